//! Who owns the state folder, which format it has, and how the last session ended.
//!
//! `LOCK` is held by flock for as long as the process lives, so it frees itself however that ends;
//! the pid in it is for the message. `SESSION` tells a killed process from a power cut: dirty and
//! another boot id means that the machine went down with us, and with it whatever sled had not
//! really synced.
//!
//! Shell.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::disk::Disk;
use crate::record::FORMAT;

/// The ownership of a state folder; ends when dropped.
pub(super) struct Session {
    disk: Disk,
    state: PathBuf,
    /// Whether the machine went down during the last session.
    pub(super) power_was_lost: bool,
    /// Held, not read.
    lock: File,
}

/// Closing the file would do, but for a child that was forked and has not yet become another program:
/// it holds a copy of the file for a moment, and with it the lock.
impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Session {
    /// Takes the folder, or says who has it.
    pub(super) fn begin(disk: Disk, state: &Path) -> Result<Session, StoreError> {
        let lock = lock(state)?;
        check_format(&disk, state)?;
        let boot = boot_id();
        let last = std::fs::read_to_string(state.join("SESSION")).unwrap_or_default();
        let power_was_lost = match last.trim().split_once(' ') {
            Some(("clean", _)) => false,
            Some(("dirty", last_boot)) => boot.is_empty() || last_boot != boot,
            _ => true,
        };
        let session = Session { disk, state: state.to_owned(), power_was_lost, lock };
        Ok(session)
    }

    /// Notes that from now on the index may be ahead of what is synced of it.
    pub(super) fn mark_dirty(&self) -> Result<(), StoreError> {
        self.mark("dirty")
    }

    /// Notes that everything is durable.
    pub(super) fn mark_clean(&self) -> Result<(), StoreError> {
        self.mark("clean")
    }

    fn mark(&self, how: &str) -> Result<(), StoreError> {
        let path = self.state.join("SESSION");
        let text = format!("{how} {}\n", boot_id());
        let written =
            self.disk.replace(&path, text.as_bytes()).and_then(|()| self.disk.sync_dir(&self.state));
        written.map_err(StoreError::io("write", &path))
    }
}

fn lock(state: &Path) -> Result<File, StoreError> {
    let path = state.join("LOCK");
    let failed = |error| StoreError::io("lock", &path)(error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(failed)?;
            writeln!(file, "{}", std::process::id()).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            Err(StoreError::Owned { pid: pid.trim().parse().unwrap_or(0), path: state.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn check_format(disk: &Disk, state: &Path) -> Result<(), StoreError> {
    let path = state.join("FORMAT");
    let found = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let written = disk.replace(&path, format!("{FORMAT}\n").as_bytes());
            return written.map_err(StoreError::io("write", &path));
        }
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    match found.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(format) => Err(StoreError::Newer(format!(
            "{} was written by a newer version of overnight (format {format}, this one knows {FORMAT}); \
             update overnight or choose another state folder",
            state.display()
        ))),
        Err(_) => Err(StoreError::Damaged(format!("{} is damaged: it holds no number", path.display()))),
    }
}

/// Changes with every start of the machine; empty where the system does not tell.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
