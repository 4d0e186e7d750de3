//! [`Context`]: what every verb is given beside its own flags.
//!
//! Where the config and the state are, how to talk to the person or script outside, and the present
//! moment, read once. Data goes to stdout through [`Context::document`] and [`Context::print`], notes to
//! stderr through [`Context::note`].
//!
//! Shell.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::args::Globals;
use super::error::CliError;
use super::exit::Exit;
use super::format::Zone;
use super::style::{self, Line};
use super::term::Terminal;
use super::words::Setting;
use crate::clock;
use crate::config::{self, Config, Inputs};
use crate::control::Client;

/// What every verb is given beside its own flags.
#[derive(Clone, Debug)]
pub struct Context {
    /// Flags of every verb.
    pub globals: Globals,
    /// The standard output stream.
    pub stdout: Terminal,
    /// The standard error stream.
    pub stderr: Terminal,
    config: OnceCell<Config>,
}

impl Context {
    /// Of this process.
    pub fn new(globals: Globals) -> Context {
        Context {
            stdout: Terminal::stdout(globals.color),
            stderr: Terminal::stderr(globals.color, globals.no_progress, globals.quiet),
            globals,
            config: OnceCell::new(),
        }
    }

    /// With a config that is in no file.
    pub fn with_config(globals: Globals, config: Config) -> Context {
        let context = Context::new(globals);
        let _ = context.config.set(config);
        context
    }

    /// The same with the config read anew.
    pub fn anew(&self) -> Result<Context, CliError> {
        Ok(Context::with_config(self.globals.clone(), load(&self.globals)?))
    }

    /// The config, read when a verb first needs it: one that does not is not stopped by a mistake there.
    pub fn config(&self) -> Result<&Config, CliError> {
        if self.config.get().is_none() {
            let loaded = load(&self.globals)?;
            let _ = self.config.set(loaded);
        }
        Ok(self.config.get().expect("set above"))
    }

    /// Where the state is kept.
    pub fn state_dir(&self) -> Result<&Path, CliError> {
        Ok(&self.config()?.state_dir)
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
        Ok(Client::connect(self.state_dir()?)?)
    }
}

/// A document as `--json` prints it.
pub fn document<T: Serialize + ?Sized>(verb: &str, key: &str, data: &T) -> Result<String, CliError> {
    document_of(verb, &BTreeMap::from([(key, data)]))
}

/// A document whose parts are the fields of `data`.
pub fn document_of(verb: &str, data: &impl Serialize) -> Result<String, CliError> {
    let mut document = serde_json::to_value(data).map_err(anyhow::Error::from)?;
    document["schema"] = json!(format!("overnight.{verb}/1"));
    Ok(format!("{document}\n"))
}

/// The environment, as far as it is text.
pub fn environment() -> BTreeMap<String, String> {
    let text =
        |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Reads the config as flags, environment and file give it.
fn load(globals: &Globals) -> Result<Config, CliError> {
    let cwd = std::env::current_dir()?;
    let env = environment();
    let state_dir = globals.state_dir.as_ref().map(|dir| dir.display().to_string());
    let flags: Vec<(&str, &str, String)> =
        state_dir.map(|dir| ("state.dir", "--state-dir", dir)).into_iter().collect();
    let inputs = Inputs { file: globals.config.as_deref(), cwd: &cwd, env: &env, flags: &flags };
    config::load(&inputs).map_err(|error| {
        let text = error.to_string();
        let mut lines = text.lines();
        let error = CliError::new("bad_config", Exit::Usage, lines.next().unwrap_or_default());
        let error = lines.fold(error, |error, line| error.detail(line.trim()));
        error.hint("overnight config schema shows every key")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

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
