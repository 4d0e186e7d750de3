//! [`Context`]: what every verb is given beside its own flags.
//!
//! Where the config and the state are, how to talk to the person or script outside, and the present
//! moment, read once. Data goes to stdout through [`Context::document`] and [`Context::print`], notes to
//! stderr through [`Context::note`].
//!
//! Shell.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::args::Globals;
use super::error::CliError;
use super::format::Zone;
use super::jobs::Jobs;
use super::style::{self, Line};
use super::term::Terminal;
use super::words::Setting;
use crate::clock;
use crate::control::Client;

/// What every verb is given beside its own flags.
#[derive(Clone, Debug)]
pub struct Context {
    /// Flags of every verb.
    pub globals: Globals,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// The standard output stream.
    pub stdout: Terminal,
    /// The standard error stream.
    pub stderr: Terminal,
}

impl Context {
    /// Of this process.
    pub fn new(globals: Globals) -> Result<Context, CliError> {
        let state_dir =
            state_dir(globals.state_dir.clone(), |name| std::env::var_os(name).map(PathBuf::from))?;
        Ok(Context {
            state_dir,
            stdout: Terminal::stdout(globals.color),
            stderr: Terminal::stderr(globals.color, globals.no_progress, globals.quiet),
            globals,
        })
    }

    /// The present moment in the zone of this machine.
    pub fn setting(&self) -> Setting {
        Setting { now: clock::now(), zone: Zone::Local }
    }

    /// Prints data: with `--json` one document named `overnight.VERB/1` that holds `data` under `key`,
    /// else lines for people.
    pub fn document<T: Serialize + ?Sized>(
        &self,
        verb: &str,
        key: &str,
        data: &T,
        lines: impl FnOnce() -> Vec<Line>,
    ) -> Result<(), CliError> {
        if !self.globals.json {
            return self.lines(&lines());
        }
        self.print(&document(verb, key, data)?)
    }

    /// Prints lines for people: cut to a terminal's width, whole in a pipe.
    pub fn lines(&self, lines: &[Line]) -> Result<(), CliError> {
        let width = if self.stdout.is_live { usize::from(self.stdout.width) } else { usize::MAX };
        self.print(&style::print(lines, width, self.stdout.colour))
    }

    /// Prints data as it is.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Says something on stderr, unless only errors are wanted.
    pub fn note(&self, line: &Line) {
        if !self.globals.quiet {
            // Whoever closed our stderr does not want to hear it.
            let _ = writeln!(io::stderr(), "{}", line.render(usize::MAX, self.stderr.colour));
        }
    }

    /// Asks yes or no; without a terminal nobody can answer, so `--yes` must have been given.
    pub fn confirm(&self, question: &str) -> Result<bool, CliError> {
        if self.globals.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(CliError::usage(format!("{question}: nobody is here to answer"))
                .hint("pass --yes (-y) to go ahead without being asked"));
        }
        write!(io::stderr(), "{question} [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
    }

    /// The process that owns the store, if there is one.
    pub fn owner(&self) -> Result<Option<Client>, CliError> {
        Ok(Client::connect(&self.state_dir)?)
    }

    /// The state of all jobs: from the process that owns the store, else from the store itself, which
    /// `open` opens.
    pub fn jobs<S: Jobs + 'static>(
        &self,
        open: impl FnOnce(&Context) -> Result<S, CliError>,
    ) -> Result<Box<dyn Jobs>, CliError> {
        match self.owner()? {
            Some(client) => Ok(Box::new(client)),
            None => Ok(Box::new(open(self)?)),
        }
    }
}

/// A document as `--json` prints it.
pub fn document<T: Serialize + ?Sized>(verb: &str, key: &str, data: &T) -> Result<String, CliError> {
    let mut document = serde_json::Map::new();
    document.insert("schema".to_owned(), json!(format!("overnight.{verb}/1")));
    let data = serde_json::to_value(data).map_err(anyhow::Error::from)?;
    document.insert(key.to_owned(), data);
    Ok(format!("{}\n", serde_json::Value::Object(document)))
}

/// `--state-dir`, `$OVERNIGHT_STATE_DIR`, `$XDG_STATE_HOME/overnight`, `~/.local/state/overnight`.
fn state_dir(flag: Option<PathBuf>, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, CliError> {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    flag.or_else(|| set("OVERNIGHT_STATE_DIR"))
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("overnight")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/overnight")))
        .ok_or_else(|| {
            CliError::usage("there is no place for the queue: neither HOME nor XDG_STATE_HOME is set")
                .hint("name one with --state-dir DIR")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn the_state_folder_is_the_first_that_is_named() {
        let vars = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(var, _)| *var == name).map(|(_, value)| PathBuf::from(value))
        };
        let dir = |flag: Option<&str>, set| state_dir(flag.map(PathBuf::from), vars(set)).unwrap();
        assert_eq!(dir(Some("s"), &[("OVERNIGHT_STATE_DIR", "/e")]), PathBuf::from("s"));
        assert_eq!(dir(None, &[("OVERNIGHT_STATE_DIR", "/e"), ("HOME", "/h")]), PathBuf::from("/e"));
        assert_eq!(dir(None, &[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]), PathBuf::from("/x/overnight"));
        let relative_is_ignored = dir(None, &[("XDG_STATE_HOME", "x"), ("HOME", "/h")]);
        assert_eq!(relative_is_ignored, PathBuf::from("/h/.local/state/overnight"));
        assert_eq!(state_dir(None, vars(&[])).unwrap_err().code, "usage");
    }

    #[test]
    fn a_document_names_its_schema_and_writes_times_as_text() {
        let text = document("status", "job", &samples::running()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], "overnight.status/1");
        assert_eq!(document["job"]["job_id"], "job_01kb3v6m8d");
        assert_eq!(document["job"]["deadline_at"], "2026-11-20T18:00:00Z");
        assert_eq!(document["job"]["waiting"]["rate_limit"], 5_990);
        assert_eq!(document["job"]["cost_pico_usd"], 2_730_000_000_000u64);
    }
}
