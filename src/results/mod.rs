//! Records leave the journal as Parquet: parts while a job runs, exports when a user asks.
//!
//! ```text
//! RESULTS/results/YYYY-MM-DD/<job>-<part>.parquet     one row per item that ended
//! RESULTS/attempts/YYYY-MM-DD/<job>-<part>.parquet    one row per upstream call
//! RESULTS/manifests/<job>.json                        parts, rows, hashes and totals of a finished job
//! RESULTS/staging/                                    files being built; never complete, never read
//! ```
//!
//! The first two folders hold complete files and nothing else, at every instant: a file is built in
//! `staging`, synced, read back, and only then renamed. A part's name depends on its job and number
//! alone, and its day folder on its first record, so a part that is built again after a crash lands
//! on the same path and replaces what stood there.
//!
//! | file | idea |
//! |---|---|
//! | [`schema`] | the columns of both tables and how they are laid out |
//! | `columns`, `describe` | a record becomes a row, a job the metadata of a file |
//! | `spool`, `table` | a file being built; rows become batches of it |
//! | [`folder`] | names, lists and renames under `RESULTS` |
//! | [`parts`] | which rows go to which part, and when one is complete |
//! | [`manifest`] | what a finished job left behind |
//! | `gather` | rows of many files by position |
//! | [`select`] | which rows, in which order: filters, retries over originals |
//! | [`read`] | rows back as values |
//! | [`export`] | one plain file: parquet, jsonl, csv, openai-batch |
//!
//! Shell. Arrow and Parquet are named here only.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

mod columns;
pub mod describe;
pub mod export;
mod extra;
pub mod folder;
mod gather;
pub mod manifest;
pub mod parts;
pub mod read;
pub mod schema;
pub mod select;
mod spool;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use describe::{JobFacts, PriceCatalog};

/// Why results cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// No room; nothing is lost, and the same call works again once there is some.
    #[error("disk full: no room for {}{}", path.display(), bytes(*needed))]
    NoRoom {
        /// What was being written.
        path: PathBuf,
        /// How many bytes of it wait, where that is known.
        needed: Option<u64>,
    },
    /// The operating system refuses; nothing is lost, and the same call may work again.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// A sync failed, so what is on disk is not known: the part must be built again from the journal.
    #[error("cannot sync {}; its rows are still in the journal, restart to write them again", path.display())]
    Sync {
        /// What was being synced.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A job was to be finished with rows still on their way: a fault of ours.
    #[error("{0} has rows that are not in a part yet; close its parts first")]
    NotClosed(crate::job::JobId),
    /// Rows that do not fit their columns: a fault of ours.
    #[error("cannot encode rows")]
    Encode(#[source] ParquetError),
}

impl ResultsError {
    /// Whether the same call may succeed later, with nothing to be done but to wait or make room.
    pub fn is_retryable(&self) -> bool {
        matches!(self, ResultsError::NoRoom { .. } | ResultsError::Io { .. })
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, ResultsError::NoRoom { .. })
    }

    fn io(action: &'static str, path: &Path, source: io::Error) -> ResultsError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ResultsError::NoRoom { path: path.to_owned(), needed: None }
            }
            _ => ResultsError::Io { action, path: path.to_owned(), source },
        }
    }

    fn damaged(path: &Path, what: impl ToString) -> ResultsError {
        ResultsError::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}

fn bytes(needed: Option<u64>) -> String {
    needed.map_or_else(String::new, |bytes| format!(" ({bytes} bytes more)"))
}
