//! Recovery: from what a stopped process left behind to the ledger it had.
//!
//! Both stores say what [`Remains`]; this is what is made of it. The base is the index where there is
//! a good one, else the newest stored snapshot with item states from three places: items that had
//! ended by then from committed parts and from the journal before the snapshot, items in flight and
//! items with attempts behind them from the snapshot itself. Every later record of the journal is
//! applied to that base, as the running program did. Nothing is written, so it may be repeated.
//!
//! A rebuilt item that has ended knows how it ended, but not on which step and after how many
//! attempts: nothing asks that of an ended item, its row has it.
//!
//! Pure, over what [`Remains`] reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::journal::end_of;
use super::{FinalStates, StoreError};
use crate::job::{Job, JobId};
use crate::ledger::{ItemStates, JobLedger, Ledger};
use crate::record::{Checkpoint, Record, Seq, Snapshot};

/// What is left after a stop.
pub(super) trait Remains {
    /// All jobs that were accepted.
    fn jobs(&mut self) -> Result<Vec<Found>, StoreError>;

    /// Everything the index holds, if it is whole and the journal goes on where it ends.
    fn index(&mut self) -> Result<Option<Checkpoint>, StoreError>;

    /// The newest stored snapshot.
    fn snapshot(&mut self) -> Result<Snapshot, StoreError>;

    /// Every journal record with `after < seq <= upto` that is still there, in order.
    fn records(&mut self, after: Seq, upto: Seq, each: &mut Each) -> Result<(), StoreError>;

    /// How items ended, by the first `parts` committed parts of a job.
    fn final_states(&mut self, job: &JobId, parts: u32) -> Result<FinalStates, StoreError>;
}

/// Takes one record.
pub(super) type Each<'a> = dyn FnMut(Seq, Record) -> Result<(), StoreError> + 'a;

/// An accepted job.
pub(super) struct Found {
    pub(super) job: Arc<Job>,
    /// The journal's length when it was accepted: earlier records belong to an earlier job of its name.
    pub(super) since: Seq,
    /// What it came to, if it is over.
    pub(super) finished: Option<JobLedger>,
}

/// The ledger as it was after the last durable record.
pub(super) fn ledger(remains: &mut dyn Remains) -> Result<Ledger, StoreError> {
    let found = remains.jobs()?;
    let mut base = match remains.index()? {
        Some(index) => with_chunks(index, &found),
        None => rebuilt(remains, &found)?,
    };
    let at = base.snapshot.globals.seq;
    let mut ledger = Ledger::default();
    ledger.globals = base.snapshot.globals;
    let mut later = Vec::new();
    for Found { job, since, finished } in found {
        match finished.or_else(|| base.jobs.remove(&job.id)) {
            Some(state) => ledger.add(job, state),
            None => later.push((since, job)),
        }
    }
    later.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
    remains.records(at, Seq::MAX, &mut |seq, record| {
        while let Some((_, job)) = later.pop_if(|(since, _)| *since < seq) {
            let state = JobLedger::new(&job);
            ledger.add(job, state);
        }
        ledger.apply(&record);
        Ok(())
    })?;
    for (_, job) in later {
        let state = JobLedger::new(&job);
        ledger.add(job, state);
    }
    Ok(ledger)
}

/// What was known at one position of the journal; its jobs with their item states.
struct Base {
    snapshot: Snapshot,
    jobs: BTreeMap<JobId, JobLedger>,
}

impl Base {
    /// Takes the unfinished jobs of a snapshot that are the jobs found under their names.
    fn new(mut snapshot: Snapshot, found: &[Found]) -> Base {
        let mut stored: BTreeMap<JobId, JobLedger> = std::mem::take(&mut snapshot.jobs).into_iter().collect();
        let mut jobs = BTreeMap::new();
        for Found { job, .. } in found.iter().filter(|found| found.is_within(&snapshot)) {
            if let Some(mut state) = stored.remove(&job.id) {
                state.items = ItemStates::new(job.n_items);
                jobs.insert(job.id.clone(), state);
            }
        }
        Base { snapshot, jobs }
    }
}

impl Found {
    fn is_within(&self, snapshot: &Snapshot) -> bool {
        self.finished.is_none() && self.since <= snapshot.globals.seq
    }
}

fn with_chunks(index: Checkpoint, found: &[Found]) -> Base {
    let mut base = Base::new(index.snapshot, found);
    for (job, chunk, states) in index.chunks {
        if let Some(state) = base.jobs.get_mut(&job) {
            state.items.load_chunk(chunk, &states);
        }
    }
    // The index has these chunks; only what the journal changes from here on is news to it.
    for state in base.jobs.values_mut() {
        state.items.mark_stored();
    }
    base
}

fn rebuilt(remains: &mut dyn Remains, found: &[Found]) -> Result<Base, StoreError> {
    let mut base = Base::new(remains.snapshot()?, found);
    let at = base.snapshot.globals.seq;
    let mut from = at;
    for (job, state) in &mut base.jobs {
        for (item, status) in remains.final_states(job, state.parts)? {
            if item >= state.items.counts().total() {
                return Err(StoreError::Damaged(format!(
                    "the parts of {job} hold item {item}, which it does not have"
                )));
            }
            JobLedger::mark_final(&mut state.items, item, status);
        }
        from = from.min(state.committed_to);
    }
    let since: BTreeMap<&JobId, Seq> = found.iter().map(|found| (&found.job.id, found.since)).collect();
    remains.records(from, at, &mut |seq, record| {
        let Some(settled) = end_of(&record) else { return Ok(()) };
        if let Some(state) = base.jobs.get_mut(&settled.job)
            && seq > state.committed_to.max(since[&settled.job])
            && !state.items.get(settled.item).is_final()
        {
            JobLedger::mark_final(&mut state.items, settled.item, settled.status);
        }
        Ok(())
    })?;
    for state in base.jobs.values_mut() {
        let items = std::mem::take(&mut state.items);
        state.restore_items(items);
    }
    Ok(base)
}
