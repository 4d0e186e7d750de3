//! A watched folder: what is finished in it becomes a job and moves to `accepted/`, what cannot be one to
//! `rejected/`, with the reason beside it.
//!
//! It is looked at, not listened to, which works on network file systems too. Only plain files are taken:
//! a link may lead anywhere. A stop between submitting and moving does no harm, because the same file
//! with the same terms is the same job.
//!
//! Shell.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::super::error::CliError;
use super::super::session::Hold;
use super::diary::Trouble;
use super::submit::{Offer, passes, submit};
use crate::clock::Timestamp;
use crate::config::Watch;
use crate::input::FileKind;
use crate::schedule::settle::{Settling, Stamp};

/// Files of the same name that one folder keeps.
const MOST_NAMESAKES: u32 = 100_000;

/// A folder and what is going on in it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) watch: Watch,
    settling: Settling,
    /// It could not be looked at, and that was said.
    is_out: bool,
}

/// A file that is finished.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    path: PathBuf,
    stamp: Stamp,
}

impl Folder {
    pub(super) fn new(watch: Watch) -> Folder {
        Folder { watch, settling: Settling::default(), is_out: false }
    }

    /// The same folder under other terms; what was seen in it stays known.
    pub(super) fn under(self, watch: Watch) -> Folder {
        Folder { watch, ..self }
    }

    /// Looks what is there and gives what is finished. A folder that is away is said once.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Finished> {
        let dir = &self.watch.dir;
        let found = match files(dir) {
            Ok(found) => found,
            Err(error) => {
                if !self.is_out {
                    tracing::warn!(dir = %dir.display(), %error, "the watched folder cannot be read; it is tried again and again");
                }
                self.is_out = true;
                return Vec::new();
            }
        };
        self.is_out = false;
        let finished = self.settling.look(found, self.watch.settle, now);
        finished.into_iter().map(|(name, stamp)| Finished { path: dir.join(name), stamp }).collect()
    }

    /// Whether files are there that are not finished.
    pub(super) fn is_waiting(&self) -> bool {
        self.settling.is_waiting(self.watch.settle)
    }
}

/// Submits a finished file and moves it; what a person has to know of it. An error may pass.
pub(super) fn take(
    watch: &Watch,
    file: &Finished,
    now: Timestamp,
    context: &Context,
    hold: &mut Hold,
) -> Result<Option<Trouble>, CliError> {
    if stamp_of(&file.path) != Some(file.stamp) {
        return Ok(None);
    }
    let rejected = watch.dir.join("rejected");
    let terms = &watch.terms;
    let offer = Offer { file: &file.path, terms, key: None, tag: None, rejects: rejected.clone() };
    let submitted = submit(offer, now, context, hold);
    // What was written to or replaced meanwhile is a file that nobody has read.
    if stamp_of(&file.path) != Some(file.stamp) {
        return Ok(None);
    }
    match submitted {
        Ok(queued) => {
            let to = put_away(&file.path, &watch.dir.join("accepted"))?;
            tracing::info!(job = %queued.job_id, items = queued.items, queued_before = queued.already, file = %to.display(), "accepted");
            Ok(None)
        }
        Err(error) if passes(&error) => Err(error),
        Err(error) => {
            let to = put_away(&file.path, &rejected)?;
            let words = error.human(false);
            let mut reason = to.clone().into_os_string();
            reason.push(".reason.txt");
            fs::write(&reason, &words).map_err(|error| cannot("write", Path::new(&reason), &error))?;
            tracing::warn!(file = %to.display(), "rejected: {}", error.message);
            Ok(Some(Trouble { subject: to.display().to_string(), words: words.trim().to_owned() }))
        }
    }
}

/// The plain files of a folder that may become jobs: hidden ones and those of other kinds are left alone.
fn files(dir: &Path) -> io::Result<Vec<(std::ffi::OsString, Stamp)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_wanted(&name)
            && let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            found.push((name, stamp(&metadata)));
        }
    }
    Ok(found)
}

/// By its name. A text file is more likely a note than a thousand prompts.
fn is_wanted(name: &OsStr) -> bool {
    let kind = name.to_str().filter(|name| !name.starts_with('.')).and_then(FileKind::of_name);
    kind.is_some_and(|kind| kind != FileKind::Text)
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    fs::symlink_metadata(path).ok().filter(Metadata::is_file).map(|metadata| stamp(&metadata))
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        identity: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    }
}

/// Moves a file into a folder, under its name or, where that is taken, with a number before the ending.
fn put_away(file: &Path, into: &Path) -> Result<PathBuf, CliError> {
    fs::create_dir_all(into).map_err(|error| cannot("make", into, &error))?;
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or("file");
    let (stem, ending) =
        name.split_once('.').map_or((name, String::new()), |(stem, rest)| (stem, format!(".{rest}")));
    let names =
        std::iter::once(name.to_owned()).chain((2..MOST_NAMESAKES).map(|n| format!("{stem}-{n}{ending}")));
    let free = names.map(|name| into.join(name)).find(|path| fs::symlink_metadata(path).is_err());
    let to = free.ok_or_else(|| cannot("make room in", into, &io::ErrorKind::AlreadyExists.into()))?;
    fs::rename(file, &to).map_err(|error| cannot("move a file to", &to, &error))?;
    Ok(to)
}

fn cannot(doing: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::from(io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_that_can_be_jobs_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "b.jsonl.gz", "c.csv.zst", ".hidden.jsonl", "d.jsonl.part", "e.txt", "f"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("accepted.jsonl")).unwrap();
        symlink("/etc/passwd", dir.path().join("link.jsonl")).unwrap();
        let mut names: Vec<_> = files(dir.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["a.jsonl", "b.jsonl.gz", "c.csv.zst"]);
        assert_eq!(stamp_of(&dir.path().join("link.jsonl")), None);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("accepted");
        let moved = |text: &str| {
            let file = dir.path().join("in.jsonl.gz");
            fs::write(&file, text).unwrap();
            let to = put_away(&file, &into).unwrap();
            (to.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(to).unwrap())
        };
        assert_eq!(moved("1"), ("in.jsonl.gz".to_owned(), "1".to_owned()));
        assert_eq!(moved("2"), ("in-2.jsonl.gz".to_owned(), "2".to_owned()));
        assert_eq!(moved("3"), ("in-3.jsonl.gz".to_owned(), "3".to_owned()));
    }
}
