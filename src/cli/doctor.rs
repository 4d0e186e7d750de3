//! `overnight doctor`: looks for what could go wrong tonight, and says what to do about it.
//!
//! The state folder, its disk, open files, the clock and the owner of the store; then the config and every
//! provider a person meant to use.
//!
//! Shell.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use serde::Serialize;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{bytes, count};
use super::style::{Align, Line, Paint, table};
use super::zone;
use crate::catalog::provider::{Key, Provider};
use crate::clock;
use crate::config::{Config, Schedule};

/// Below this a store refuses to start anything.
const LEAST_DISK: u64 = 1 << 30;
/// Below this connections and files together may run out.
const LEAST_FILES: u64 = 1_024;
/// No clock of ours was ever before this: 2026-01-01.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Will not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub health: Health,
    /// What was seen, and what to do where something is.
    pub words: String,
}

impl Finding {
    /// Something that was looked at.
    pub fn new(subject: impl Into<String>, health: Health, words: impl Into<String>) -> Finding {
        Finding { subject: subject.into(), health, words: words.into() }
    }
}

/// Tells what is found here; exit code 1 if anything will not work.
pub fn run(context: &Context) -> Result<Exit, CliError> {
    let mut findings = machine(context);
    if let Ok(config) = context.config() {
        findings.extend(settings(config));
    }
    context.document("doctor", "findings", &findings, || render(&findings))?;
    let worst = findings.iter().map(|finding| finding.health).max();
    Ok(if worst == Some(Health::Bad) { Exit::Unexpected } else { Exit::Done })
}

/// What is found about this machine.
pub fn machine(context: &Context) -> Vec<Finding> {
    let mut findings = match context.state_dir() {
        Ok(dir) => [folder(dir)].into_iter().chain(disk(dir)).collect(),
        Err(error) => vec![Finding::new("config", Health::Bad, error.message)],
    };
    findings.push(open_files());
    findings.push(time());
    findings.push(owner(context));
    findings
}

/// What is found about the config and the providers it names or the environment has keys for.
pub fn settings(config: &Config) -> Vec<Finding> {
    let from = config
        .path
        .as_ref()
        .map_or("none; defaults and the environment hold".to_owned(), |path| path.display().to_string());
    let mut findings = vec![Finding::new("config", Health::Ok, from)];
    let wanted: Vec<&Provider> = config.catalog.providers().filter(|provider| provider.wanted()).collect();
    if wanted.is_empty() {
        let words = "none has a key: set one such as OPENAI_API_KEY; `overnight providers` lists them all";
        findings.push(Finding::new("providers", Health::Warn, words));
    }
    findings.extend(wanted.into_iter().map(provider));
    findings.push(ladder(config));
    findings.extend(config.watches.iter().map(|watch| watched(&watch.dir)));
    findings.extend(config.schedules.iter().filter_map(schedule));
    findings
}

/// Files are moved within a watched folder, so it must be more than readable.
fn watched(dir: &Path) -> Finding {
    let shown = dir.display();
    let subject = format!("folder {shown}");
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match (dir.is_dir(), access(dir, all)) {
        (false, _) => Finding::new(
            subject,
            Health::Bad,
            format!("it is to be watched and is not there: mkdir -p {shown}"),
        ),
        (true, Err(_)) => {
            let words = "it is to be watched and cannot be written to: accepted files are moved within it";
            Finding::new(subject, Health::Bad, words)
        }
        (true, Ok(())) => Finding::new(subject, Health::Ok, "it is watched while a daemon runs"),
    }
}

/// A schedule that will do nothing.
fn schedule(schedule: &Schedule) -> Option<Finding> {
    let zone = schedule.tz.unwrap_or_else(zone::named);
    let fires = schedule.cron.firings(clock::now(), zone).next().is_some();
    let subject = format!("schedule {}", schedule.name);
    (!fires).then(|| Finding::new(subject, Health::Warn, format!("{} never comes again", schedule.cron)))
}

fn provider(provider: &Provider) -> Finding {
    match (provider.unusable(), &provider.key) {
        (Some(why), _) => Finding::new(&*provider.name, Health::Bad, why),
        (None, Key::Found(_, place)) => {
            Finding::new(&*provider.name, Health::Ok, format!("key from {place}"))
        }
        (None, _) => Finding::new(&*provider.name, Health::Ok, "needs no key"),
    }
}

fn ladder(config: &Config) -> Finding {
    match config.catalog.resolve(&config.defaults.models, clock::now()) {
        Ok(resolved) => Finding::new("default models", Health::Ok, resolved.ladder.to_string()),
        Err(errors) => {
            let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Finding::new("default models", Health::Warn, words.join("; "))
        }
    }
}

fn folder(dir: &Path) -> Finding {
    let shown = dir.display();
    match fs::metadata(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::new("state folder", Health::Ok, format!("{shown} will be made when something is queued"))
        }
        Err(error) => Finding::new("state folder", Health::Bad, format!("{shown}: {error}")),
        Ok(found) if !found.is_dir() => {
            Finding::new("state folder", Health::Bad, format!("{shown} is not a folder"))
        }
        Ok(found) if found.mode() & 0o077 != 0 => {
            let words =
                format!("{shown} can be entered by others, and prompts are kept there: chmod 700 {shown}");
            Finding::new("state folder", Health::Warn, words)
        }
        Ok(_) => Finding::new("state folder", Health::Ok, shown.to_string()),
    }
}

/// Room where the state is, or will be.
fn disk(dir: &Path) -> Option<Finding> {
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    Some(match free < LEAST_DISK {
        true => Finding::new(
            "disk",
            Health::Warn,
            format!("only {} left at {}; work pauses when it is full", bytes(free), there.display()),
        ),
        false => Finding::new("disk", Health::Ok, format!("{} free", bytes(free))),
    })
}

fn open_files() -> Finding {
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < LEAST_FILES => {
            let words = format!("only {} may be open at once: ulimit -n 4096", count(limit));
            Finding::new("open files", Health::Warn, words)
        }
        Some(limit) => Finding::new("open files", Health::Ok, format!("{} at once", count(limit))),
        None => Finding::new("open files", Health::Ok, "no limit"),
    }
}

fn time() -> Finding {
    let now = clock::now();
    let earliest = EARLIEST.parse().expect("written right above");
    match now < earliest {
        true => Finding::new(
            "clock",
            Health::Bad,
            format!("it says {now}: set it, prices and deadlines depend on it"),
        ),
        false => Finding::new("clock", Health::Ok, now.to_string()),
    }
}

fn owner(context: &Context) -> Finding {
    match context.owner() {
        Ok(Some(client)) => {
            let owner = client.owner();
            Finding::new(
                "daemon",
                Health::Ok,
                format!("overnight {} works here, pid {}", owner.overnight, owner.pid),
            )
        }
        Ok(None) => Finding::new("daemon", Health::Ok, "none is running: what is queued waits for one"),
        Err(error) => {
            let hint = error.hint.map_or(String::new(), |hint| format!("; {hint}"));
            Finding::new("daemon", Health::Bad, format!("{}{hint}", error.message))
        }
    }
}

/// The list for people.
pub fn render(findings: &[Finding]) -> Vec<Line> {
    let row = |finding: &Finding| {
        let health = match finding.health {
            Health::Ok => (Paint::Good, "ok"),
            Health::Warn => (Paint::Warn, "look"),
            Health::Bad => (Paint::Bad, "bad"),
        };
        vec![
            (Paint::Plain, finding.subject.clone()),
            (health.0, health.1.to_owned()),
            (Paint::Plain, finding.words.clone()),
        ]
    };
    let headings = [("WHAT", Align::Left), ("HOW", Align::Left), ("", Align::Left)];
    table(&headings, &findings.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_state_folder_others_can_enter_is_pointed_out() {
        let dir = tempfile::tempdir().unwrap();
        let health = |mode: u32| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            folder(dir.path()).health
        };
        assert_eq!([health(0o700), health(0o755)], [Health::Ok, Health::Warn]);
        assert_eq!(folder(&dir.path().join("not-yet")).health, Health::Ok);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(folder(&file).health, Health::Bad);
    }

    #[test]
    fn findings_in_a_list() {
        let findings = [
            Finding::new("clock", Health::Ok, "2026-11-20T10:00:00Z"),
            Finding::new("openai", Health::Bad, "key OPENAI_API_KEY rejected"),
        ];
        insta::assert_snapshot!(super::super::style::print(&render(&findings), 100, false), @"
        WHAT    HOW
        clock   ok   2026-11-20T10:00:00Z
        openai  bad  key OPENAI_API_KEY rejected
        ");
    }
}
