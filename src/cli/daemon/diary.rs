//! [`Diary`]: what the daemon must still know after it was stopped: which firings were looked at, which
//! one is being carried out, up to when the night was reported.
//!
//! `STATE/daemon.json`, replaced whole and synced. A firing is written down before its first job is
//! submitted and struck out after its last, and its jobs are named by schedule, firing and file: what a
//! crash interrupts is done again, and what was already queued is not queued twice.
//!
//! Shell.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::store::disk::Disk;

/// Troubles kept for the next report; more are in the log only.
const MOST_TROUBLES: usize = 100;

/// What is known across restarts.
#[derive(Debug)]
pub(super) struct Diary {
    path: PathBuf,
    page: Page,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Page {
    /// By schedule.
    schedules: BTreeMap<String, Entry>,
    /// The report at its time of day.
    report: Option<Entry>,
    /// Up to when the night was reported.
    reported: Option<Timestamp>,
    troubles: Vec<Trouble>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// When it fires, as it was written: another rule begins anew.
    rule: String,
    /// Up to where it was looked at.
    seen: Timestamp,
    /// The firing that is being carried out.
    firing: Option<Timestamp>,
}

/// Something that could not be done and that no second try mends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// `schedule reviews`, or a file.
    pub(super) subject: String,
    /// What happened.
    pub(super) words: String,
}

/// What has a rule of its own for when it is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clockwork<'a> {
    /// A schedule, by name.
    Schedule(&'a str),
    /// The report of the night.
    Report,
}

impl Diary {
    /// Reads it; where it is damaged, everything begins anew and the damage is said.
    pub(super) fn open(state: &Path) -> io::Result<Diary> {
        let path = state.join("daemon.json");
        let page = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the diary is damaged and begun anew: firings missed since then are not made up for");
                Page::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Page::default(),
            Err(error) => return Err(error),
        };
        Ok(Diary { path, page })
    }

    /// Forgets schedules that are no more: one that comes back begins anew.
    pub(super) fn keep(&mut self, names: &[&str]) -> io::Result<()> {
        let before = self.page.schedules.len();
        self.page.schedules.retain(|name, _| names.contains(&name.as_str()));
        if self.page.schedules.len() == before { Ok(()) } else { self.write() }
    }

    /// Up to where something was looked at, and the firing that was not carried out to its end. What is
    /// seen for the first time, or under another rule, begins now.
    pub(super) fn last(
        &mut self,
        of: Clockwork<'_>,
        rule: &str,
        now: Timestamp,
    ) -> io::Result<(Timestamp, Option<Timestamp>)> {
        match self.entry(of).filter(|entry| entry.rule == rule) {
            Some(entry) => Ok((entry.seen, entry.firing)),
            None => {
                self.put(of, Entry { rule: rule.to_owned(), seen: now, firing: None })?;
                Ok((now, None))
            }
        }
    }

    /// Notes how far it was looked at, and the firing that is about to be carried out.
    pub(super) fn begin(
        &mut self,
        of: Clockwork<'_>,
        rule: &str,
        seen: Timestamp,
        firing: Option<Timestamp>,
    ) -> io::Result<()> {
        self.put(of, Entry { rule: rule.to_owned(), seen, firing })
    }

    /// Notes that the firing was carried out.
    pub(super) fn end(&mut self, of: Clockwork<'_>) -> io::Result<()> {
        let Some(entry) = self.entry(of) else { return Ok(()) };
        let entry = Entry { firing: None, ..entry.clone() };
        self.put(of, entry)
    }

    /// Keeps a trouble for the next report.
    pub(super) fn trouble(&mut self, trouble: Trouble) -> io::Result<()> {
        if self.page.troubles.contains(&trouble) || self.page.troubles.len() >= MOST_TROUBLES {
            return Ok(());
        }
        self.page.troubles.push(trouble);
        self.write()
    }

    /// Troubles since the night was last reported.
    pub(super) fn troubles(&self) -> &[Trouble] {
        &self.page.troubles
    }

    /// Up to when the night was reported.
    pub(super) fn reported(&self) -> Option<Timestamp> {
        self.page.reported
    }

    /// Notes that the night was reported up to here.
    pub(super) fn report(&mut self, upto: Timestamp) -> io::Result<()> {
        self.page.reported = Some(upto);
        self.page.troubles.clear();
        self.write()
    }

    fn entry(&self, of: Clockwork<'_>) -> Option<&Entry> {
        match of {
            Clockwork::Schedule(name) => self.page.schedules.get(name),
            Clockwork::Report => self.page.report.as_ref(),
        }
    }

    fn put(&mut self, of: Clockwork<'_>, entry: Entry) -> io::Result<()> {
        if self.entry(of) == Some(&entry) {
            return Ok(());
        }
        match of {
            Clockwork::Schedule(name) => drop(self.page.schedules.insert(name.to_owned(), entry)),
            Clockwork::Report => self.page.report = Some(entry),
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.page)?;
        let disk = Disk::default();
        disk.replace(&self.path, &text)?;
        disk.sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    #[test]
    fn what_is_noted_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let of = Clockwork::Schedule("reviews");
        let mut diary = Diary::open(dir.path()).unwrap();
        assert_eq!(diary.last(of, "0 22 * * *", at(10)).unwrap(), (at(10), None), "it begins now");
        diary.begin(of, "0 22 * * *", at(22), Some(at(22))).unwrap();
        let trouble = Trouble { subject: "a.jsonl".to_owned(), words: "is empty".to_owned() };
        diary.trouble(trouble.clone()).unwrap();
        diary.trouble(trouble).unwrap();

        let mut diary = Diary::open(dir.path()).unwrap();
        assert_eq!(diary.last(of, "0 22 * * *", at(30)).unwrap(), (at(22), Some(at(22))), "not carried out");
        assert_eq!((diary.troubles().len(), diary.reported()), (1, None));
        diary.end(of).unwrap();
        diary.report(at(31)).unwrap();

        let mut diary = Diary::open(dir.path()).unwrap();
        assert_eq!(diary.last(of, "0 22 * * *", at(32)).unwrap(), (at(22), None));
        assert_eq!((diary.troubles().len(), diary.reported()), (0, Some(at(31))));
        assert_eq!(diary.last(of, "0 9 * * *", at(33)).unwrap(), (at(33), None), "another rule begins now");
        diary.keep(&["reviews"]).unwrap();
        assert_eq!(diary.last(of, "0 9 * * *", at(34)).unwrap(), (at(33), None));
        diary.keep(&["others"]).unwrap();
        assert_eq!(diary.last(of, "0 9 * * *", at(35)).unwrap(), (at(35), None), "it was forgotten");
    }

    #[test]
    fn a_damaged_diary_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("daemon.json"), "{\"schedules\":").unwrap();
        let mut diary = Diary::open(dir.path()).unwrap();
        assert_eq!(diary.last(Clockwork::Report, "0 7 * * *", at(5)).unwrap(), (at(5), None));
    }
}
