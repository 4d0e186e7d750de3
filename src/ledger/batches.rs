//! Provider batches that are out: from their intent until every attempt in them has ended.
//!
//! Which attempts are in a batch is written at the attempts ([`super::OpenAttempt::batch`]). An attempt of a
//! batch that is not listed here was started for one that was never intended: it was not sent.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::{BatchRef, Cursor, Mark};
use crate::clock::Timestamp;
use crate::job::{JobId, Wire};
use crate::record::{BatchIntended, Started};

/// Every batch that is out, by our number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// What tells this store's marks from those of others: the checksum of the first job that had a batch.
    store: Option<u32>,
    last: u64,
    open: BTreeMap<u64, OpenBatch>,
}

/// A batch that may exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBatch {
    /// Of which job.
    pub job: JobId,
    /// Of which class of it.
    pub class: u16,
    /// On which step, from 0.
    pub step: u8,
    /// On which route, by name.
    pub route: Arc<str>,
    /// The format of its requests.
    pub wire: Wire,
    /// How many lines it has.
    pub len: u64,
    /// When it was intended.
    pub at: Timestamp,
    /// It, where it is known to exist.
    pub made: Option<BatchRef>,
    /// Behind the last line of its results that is written down.
    pub cursor: Cursor,
}

impl Batches {
    /// The number of the next one: none that an attempt was ever started for is used again.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// Our name for a batch with lines of this job, as provider and journal know it.
    pub fn mark(&self, number: u64, job: &JobId) -> Mark {
        Mark { store: self.store.unwrap_or_else(|| store_of(job)), number }
    }

    /// One that is out.
    pub fn get(&self, number: u64) -> Option<&OpenBatch> {
        self.open.get(&number)
    }

    /// All that are out, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &OpenBatch)> {
        self.open.iter().map(|(&number, batch)| (number, batch))
    }

    pub(super) fn started(&mut self, started: &Started) {
        let Some(number) = started.batch else { return };
        self.store.get_or_insert_with(|| store_of(&started.job));
        self.last = self.last.max(number);
    }

    pub(super) fn intended(&mut self, intended: &BatchIntended) {
        let BatchIntended { number, job, class, step, route, wire, len, at } = intended.clone();
        let cursor = Cursor::default();
        let batch = OpenBatch { job, class, step, route, wire, len, at, made: None, cursor };
        self.open.entry(number).or_insert(batch);
    }

    pub(super) fn made(&mut self, batch: &BatchRef) {
        if let Some(open) = self.open.get_mut(&batch.mark.number) {
            open.made.get_or_insert_with(|| batch.clone());
        }
    }

    pub(super) fn read(&mut self, number: u64, cursor: Cursor) {
        if let Some(open) = self.open.get_mut(&number) {
            open.cursor = cursor;
        }
    }

    pub(super) fn closed(&mut self, number: u64) {
        self.open.remove(&number);
    }
}

/// Names of jobs are drawn by chance, so no two stores begin with the same.
fn store_of(job: &JobId) -> u32 {
    crc32c::crc32c(job.as_str().as_bytes())
}
