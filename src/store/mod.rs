//! Where state is kept: prompts and journal as files we sync and rename, sled as their index.
//!
//! Shell.

use std::sync::Arc;

use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::Ledger;
use crate::record::{Checkpoint, Record, Seq};

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
    fn sync(&mut self) -> Result<Seq, StoreError>;

    /// Brings the index up to here and drops what is no longer needed.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError>;
}

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
