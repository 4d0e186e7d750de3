//! Which files of a watched folder are finished: those that have not changed for a while.
//!
//! Nothing tells that a writer is done, least of all on a network file system, so a file is finished when
//! several looks in a row found the same size, time and identity over the time that is asked for. An empty
//! file is one whose writer has not begun.
//!
//! Pure: the caller looks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use crate::clock::Timestamp;

/// What changes when a file is written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device and number of the file.
    pub identity: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// When it was last written to: seconds and nanoseconds.
    pub modified: (i64, i64),
}

/// Files that were seen and may still change.
#[derive(Clone, Debug, Default)]
pub struct Settling {
    looked_at: Timestamp,
    files: BTreeMap<OsString, (Stamp, Duration)>,
}

impl Settling {
    /// Takes what is there now and gives the names of what is finished, in order. What is not there any
    /// more is forgotten.
    pub fn look(
        &mut self,
        found: impl IntoIterator<Item = (OsString, Stamp)>,
        settle: Duration,
        now: Timestamp,
    ) -> Vec<(OsString, Stamp)> {
        // A machine that slept between two looks has shown no more than one that did not: the writer
        // slept too.
        let step = now.since(self.looked_at).min(settle / 2);
        self.looked_at = now;
        let before = std::mem::take(&mut self.files);
        for (name, stamp) in found {
            let quiet = match before.get(&name) {
                Some((earlier, quiet)) if *earlier == stamp => quiet.saturating_add(step),
                _ => Duration::ZERO,
            };
            self.files.insert(name, (stamp, quiet));
        }
        let finished = self.files.iter().filter(|(_, (stamp, quiet))| stamp.size > 0 && *quiet >= settle);
        finished.map(|(name, (stamp, _))| (name.clone(), *stamp)).collect()
    }

    /// Whether files are there that are not finished.
    pub fn is_waiting(&self, settle: Duration) -> bool {
        self.files.values().any(|(stamp, quiet)| stamp.size > 0 && *quiet < settle)
    }
}
