//! Where state is kept: prompts and journal as files we sync and rename, sled as their index.
//!
//! The engine asks for little: accept a job, read its prompts, append records, make them durable,
//! bring the index up to here, recover. [`Store`] is that list; [`files::FileStore`] keeps it on
//! disk, [`memory::MemoryStore`] in memory with power cuts and full disks. One suite of tests runs
//! on both.
//!
//! **Files that we write, sync and rename are the truth; sled is the queue's index, rebuildable.**
//! The index may be behind the files, never ahead. Losing it costs seconds, never data.
//!
//! ```text
//! STATE/                       0700; files 0600
//!   LOCK  FORMAT  SESSION      flock and pid · format number · boot id and clean or dirty
//!   BALLAST                    16 MiB to give back when the disk is full
//!   prompts/<job>/000001.seg   accepted prompts, see `prompts`
//!   prompts/<job>/since        the journal's length when the job was accepted
//!   prompts/<job>/finished     what the job came to, once it is over
//!   journal/000001.seg         what we are about to do and what came of it, see `journal`
//!   index/                     sled: item states, job totals and the position they hold for, see `index`
//! ```
//!
//! Two things are simpler than one would first draw them. Prompts are found without the index: a
//! segment's footer lists its frames, twelve bytes for 64 items. And finished jobs are not in the
//! index: their totals are a small file of their own, so nothing about them depends on sled or on
//! the results folder.
//!
//! Shell.

use std::path::Path;
use std::sync::Arc;

use crate::attempt::ItemStatus;
use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::Ledger;
use crate::record::{Checkpoint, Record, Seq};

pub mod backup;
pub mod beside;
mod codec;
pub mod disk;
pub mod files;
mod index;
pub mod journal;
pub mod memory;
pub mod prompts;
mod recovery;
pub mod repair;
mod session;

#[cfg(test)]
mod tests;

/// What a store does, in the queue's own words.
pub trait Store {
    /// The jobs, their items' states and what the journal adds to them.
    fn recover(&mut self) -> Result<Ledger, StoreError>;

    /// Every record after `from` that makes rows, in order: what Parquet does not hold yet.
    fn replay(&mut self, from: Seq, each: &mut dyn FnMut(Seq, Record)) -> Result<(), StoreError>;

    /// Makes a staged job's prompts permanent; after this the submission cannot be lost.
    fn accept(&mut self, job: &Job) -> Result<(), StoreError>;

    /// Items of an accepted job, in the order asked for.
    fn read(&mut self, job: &JobId, items: &[ItemIndex]) -> Result<Vec<Arc<Item>>, StoreError>;

    /// Appends records; they are durable only after [`Store::sync`].
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError>;

    /// Makes everything appended durable and says how far that is.
    ///
    /// After [`StoreError::DiskFull`] what was appended still waits, and the next call tries again.
    fn sync(&mut self) -> Result<Seq, StoreError>;

    /// Brings the index up to here and drops what is no longer needed.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// Removes a finished job, whose end a checkpoint has summed up.
    fn remove_job(&mut self, job: &JobId) -> Result<(), StoreError>;
}

/// Items that ended, and how.
pub type FinalStates = Vec<(ItemIndex, ItemStatus)>;

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room; nothing was damaged and the last write was taken back.
    #[error("disk full: {0}")]
    DiskFull(String),
    /// Another process owns the store.
    #[error("the store is owned by process {pid}: {path}")]
    Owned {
        /// Its process id, as it wrote it down.
        pid: u32,
        /// The state folder.
        path: String,
    },
    /// Written by a newer version.
    #[error("{0}")]
    Newer(String),
    /// A file is damaged in a way that cannot be mended without losing something.
    #[error("{0}")]
    Damaged(String),
    /// Anything else the operating system says; after a failed sync nothing more is written.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
}

impl StoreError {
    /// Turns what the operating system says about `path` into an error that says what was tried.
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        move |error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::DiskFull(
                format!("cannot {doing} {}; free some space and try again", path.display()),
            ),
            _ => StoreError::Io(format!("cannot {doing} {}", path.display()), error),
        }
    }

    /// A request that the store's own state rules out.
    pub(crate) fn refused(message: String) -> StoreError {
        StoreError::Io(message, std::io::ErrorKind::InvalidInput.into())
    }
}
