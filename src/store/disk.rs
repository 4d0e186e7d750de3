//! The disk, as far as durability goes: every write, sync, rename and removal passes through here,
//! numbered, so that a test can let any one of them fail or be the last.
//!
//! [`Disk::default`] adds one `Option` check to each operation. [`Disk::with_faults`] counts them and
//! does what [`Disk::fail_at`] says. Files and folders are made readable by their owner only.
//!
//! Shell.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the store reaches the disk; clones share one plan of faults.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    plan: Option<Arc<Mutex<Plan>>>,
}

/// What a test lets happen to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// From here on there is no room: writes stop half way, until [`Disk::heal`].
    Full,
    /// This one operation fails as a broken device does.
    Broken,
    /// The process ends here: half of this operation, and nothing after it.
    Cut,
}

#[derive(Debug, Default)]
struct Plan {
    done: u64,
    fault: Option<(u64, Fault)>,
    free: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Other,
}

impl Disk {
    /// A disk whose faults are planned with [`Disk::fail_at`].
    pub fn with_faults() -> Disk {
        Disk { plan: Some(Arc::default()) }
    }

    /// Lets the operation number `op`, counted from 1, meet this fault.
    pub fn fail_at(&self, op: u64, fault: Fault) {
        if let Some(mut plan) = self.plan() {
            plan.fault = Some((op, fault));
        }
    }

    /// Ends all faults.
    pub fn heal(&self) {
        if let Some(mut plan) = self.plan() {
            plan.fault = None;
            plan.free = None;
        }
    }

    /// Pretends that so much space is left.
    pub fn pretend_free(&self, bytes: u64) {
        if let Some(mut plan) = self.plan() {
            plan.free = Some(bytes);
        }
    }

    /// Operations so far; zero on a disk without faults.
    pub fn ops(&self) -> u64 {
        self.plan().map_or(0, |plan| plan.done)
    }

    /// Bytes that may still be written to the file system of `path`.
    pub fn free(&self, path: &Path) -> io::Result<u64> {
        if let Some(free) = self.plan().and_then(|plan| plan.free) {
            return Ok(free);
        }
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Counts an operation that is carried out elsewhere, as sled's are.
    pub(super) fn step(&self) -> io::Result<()> {
        Ok(self.pass(Kind::Other)?)
    }

    pub(super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let verdict = self.pass(Kind::Write);
        let written = match &verdict {
            Ok(()) => bytes.len(),
            Err(refused) if refused.half_done => bytes.len() / 2,
            Err(_) => 0,
        };
        file.write_all_at(&bytes[..written], offset)?;
        Ok(verdict?)
    }

    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.pass(Kind::Other)?;
        file.sync_data()
    }

    /// A renamed, new or removed file is there for good only once its folder is synced.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.pass(Kind::Other)?;
        File::open(dir)?.sync_all()
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Kind::Other)?;
        std::fs::rename(from, to)
    }

    pub(super) fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.pass(Kind::Other)?;
        file.set_len(len)
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.pass(Kind::Other)?;
        std::fs::remove_file(path)
    }

    /// Removes a folder and all in it; that it is not there is fine.
    pub(super) fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Kind::Other)?;
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Writes a small file whole or not at all: aside, synced, renamed. Sync its folder to keep it.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let aside = path.with_extension("tmp");
        let file = create(&aside)?;
        self.write_at(&file, bytes, 0)?;
        self.sync(&file)?;
        self.rename(&aside, path)
    }

    fn plan(&self) -> Option<MutexGuard<'_, Plan>> {
        Some(self.plan.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pass(&self, kind: Kind) -> Result<(), Refused> {
        let Some(mut plan) = self.plan() else { return Ok(()) };
        plan.done += 1;
        let refuse = |half_done, error| Err(Refused { half_done, error });
        match plan.fault {
            Some((op, Fault::Full)) if plan.done >= op && kind == Kind::Write => {
                refuse(true, io::ErrorKind::StorageFull.into())
            }
            Some((op, Fault::Broken)) if plan.done == op => {
                refuse(true, io::Error::other("the device is broken"))
            }
            Some((op, Fault::Cut)) if plan.done >= op => {
                refuse(plan.done == op, io::Error::other("the process has ended"))
            }
            _ => Ok(()),
        }
    }
}

struct Refused {
    half_done: bool,
    error: io::Error,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        refused.error
    }
}

/// A new, empty file that only its owner reads.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A folder that only its owner opens; that it is there already is fine.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Bytes in words: `1.2 GiB`.
pub(super) fn in_words(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..units.len() - 1).find(|&unit| bytes >> (10 * unit) < 1_024).unwrap_or(units.len() - 1);
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{:.1} {}", bytes as f64 / (1u64 << (10 * unit)) as f64, units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit_they_fill() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (1_288_490_189, "1.2 GiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn a_cut_leaves_half_of_one_write_and_nothing_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::with_faults();
        let file = create(&dir.path().join("file")).unwrap();
        disk.write_at(&file, b"first", 0).unwrap();
        disk.fail_at(2, Fault::Cut);
        assert!(disk.write_at(&file, b"second", 5).is_err());
        assert!(disk.write_at(&file, b"third", 11).is_err());
        assert!(disk.sync(&file).is_err());
        assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"firstsec");
        assert_eq!(disk.ops(), 4);
    }
}
