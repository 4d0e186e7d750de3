//! The store and the results on disk, as the engine of a night sees them.

use std::sync::Arc;

use overnight::cli::session::{Hold, Session};
use overnight::clock::Timestamp;
use overnight::job::{Item, ItemIndex, Job, JobId};
use overnight::ledger::{JobLedger, Ledger};
use overnight::record::{Checkpoint, PartCommitted, Record, Seq};
use overnight::rehearse::night;
use overnight::results::parts::Parts;
use overnight::store::{Store, StoreError};

/// The store on disk, as the clerk and the engine share it.
pub(super) struct Shelf(pub(super) Hold);

impl Shelf {
    pub(super) fn session(&mut self) -> &mut Session {
        match &mut self.0 {
            Hold::Ours(session) => session,
            Hold::Theirs(_) => unreachable!("it was opened here"),
        }
    }
}

impl Store for Shelf {
    fn recover(&mut self) -> Result<Ledger, StoreError> {
        self.session().store.recover()
    }
    fn replay(&mut self, from: Seq, each: &mut dyn FnMut(Seq, Record)) -> Result<(), StoreError> {
        self.session().store.replay(from, each)
    }
    fn accept(&mut self, job: &Job) -> Result<(), StoreError> {
        self.session().store.accept(job)
    }
    fn read(&mut self, job: &JobId, items: &[ItemIndex]) -> Result<Vec<Arc<Item>>, StoreError> {
        self.session().store.read(job, items)
    }
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.session().store.append(records)
    }
    fn sync(&mut self) -> Result<Seq, StoreError> {
        self.session().store.sync()
    }
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.session().store.checkpoint(checkpoint)
    }
    fn remove_job(&mut self, job: &JobId) -> Result<(), StoreError> {
        self.session().store.remove_job(job)
    }
}

/// Parts on disk.
pub(super) struct Parquet {
    pub(super) parts: Parts,
    pub(super) now: Timestamp,
}

impl night::Rows for Parquet {
    const WANTED: bool = true;

    fn add(&mut self, job: &Arc<Job>, parts: u32, committed_to: Seq) {
        self.parts.add(job.clone(), parts, committed_to).expect("the results folder can be read");
    }
    fn push(&mut self, seq: Seq, record: &Record) {
        self.parts.push(seq, record).expect("a row can be written");
    }
    fn close(&mut self, job: &JobId, now: Timestamp) -> Option<PartCommitted> {
        self.now = now;
        self.parts.close(job, now).expect("a part can be written")
    }
    fn finish(&mut self, job: &JobId, state: &JobLedger) {
        self.parts.finish(job, state, self.now).expect("a manifest can be written");
    }
}
