//! [`MemoryStore`]: the store of rehearsals and simulated nights.
//!
//! It keeps the promises of the files and no better ones: unsynced records may be lost from any point
//! on, the index trails the journal and may be lost whole, snapshots are stored now and then and old
//! records dropped by the same rule, and recovery is the same code.
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::index::Owed;
use super::journal::{end_of, row_of};
use super::recovery::{self, Each, Found, Remains};
use super::{FinalStates, Store, StoreError};
use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::{JobLedger, Ledger};
use crate::record::{Checkpoint, Record, Seq, Snapshot};

/// A store in memory, with the accidents that happen to disks.
pub struct MemoryStore {
    staged: BTreeMap<JobId, Prompts>,
    jobs: BTreeMap<JobId, Kept>,
    /// Records `first..`, of which those up to `synced` are durable.
    journal: VecDeque<Record>,
    first: Seq,
    synced: Seq,
    snapshot: Snapshot,
    snapshot_every: u64,
    /// How items ended by the records that were dropped; on disk their parts say that.
    ended: BTreeMap<JobId, FinalStates>,
    index: Option<Checkpoint>,
    owed: Owed,
    broken: bool,
    next_sync_fails: bool,
    disk_full: bool,
}

struct Prompts {
    job: Arc<Job>,
    items: Vec<Arc<Item>>,
}

struct Kept {
    prompts: Prompts,
    since: Seq,
    finished: Option<JobLedger>,
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::with_snapshots_every(10_000)
    }
}

impl MemoryStore {
    /// Stores a snapshot at the first checkpoint after so many records, and may then drop older ones.
    pub fn with_snapshots_every(records: u64) -> MemoryStore {
        MemoryStore {
            staged: BTreeMap::new(),
            jobs: BTreeMap::new(),
            journal: VecDeque::new(),
            first: 1,
            synced: 0,
            snapshot: Snapshot::default(),
            snapshot_every: records,
            ended: BTreeMap::new(),
            index: None,
            owed: Owed::default(),
            broken: false,
            next_sync_fails: false,
            disk_full: false,
        }
    }

    /// Puts a job's prompts where [`Store::accept`] finds them.
    pub fn stage(&mut self, job: Arc<Job>, items: Vec<Arc<Item>>) {
        self.staged.insert(job.id.clone(), Prompts { job, items });
    }

    /// The machine goes down: of the records that were not synced only the first few survive.
    pub fn power_cut(&mut self, keep_unsynced: usize) {
        let durable = (self.synced + 1 - self.first) as usize;
        self.journal.truncate(durable + keep_unsynced);
        self.synced = self.appended();
        self.staged.clear();
        self.owed = Owed::default();
        self.broken = false;
        self.next_sync_fails = false;
    }

    /// The index is gone, as it is after a power cut.
    pub fn lose_index(&mut self) {
        self.index = None;
    }

    /// Lets the next sync fail; after that only [`MemoryStore::power_cut`] helps.
    pub fn fail_next_sync(&mut self) {
        self.next_sync_fails = true;
    }

    /// Fills the disk, or makes room.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// The last record that was appended, durable or not.
    pub fn appended(&self) -> Seq {
        self.first + self.journal.len() as u64 - 1
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match self.broken {
            true => {
                Err(StoreError::Io("the journal is closed for writing".into(), io::ErrorKind::Other.into()))
            }
            false => Ok(()),
        }
    }

    fn check_room(&self) -> Result<(), StoreError> {
        match self.disk_full {
            true => Err(StoreError::DiskFull("so it was decided".into())),
            false => Ok(()),
        }
    }

    fn write_index(&mut self, snapshot: &Snapshot) {
        let owed = std::mem::take(&mut self.owed);
        for (job, state) in owed.finished {
            self.ended.remove(&job);
            if let Some(kept) = self.jobs.get_mut(&job) {
                kept.finished = Some(state);
            }
        }
        let old = self.index.take().unwrap_or_default().chunks;
        let mut chunks: BTreeMap<(JobId, u32), Vec<u16>> =
            old.into_iter().map(|(job, chunk, states)| ((job, chunk), states)).collect();
        chunks.extend(owed.chunks);
        let named: BTreeMap<&JobId, &JobLedger> =
            snapshot.jobs.iter().map(|(job, state)| (job, state)).collect();
        chunks.retain(|(job, _), _| named.contains_key(job));
        let chunks = chunks.into_iter().map(|((job, chunk), states)| (job, chunk, states)).collect();
        self.index = Some(Checkpoint { snapshot: snapshot.clone(), finished: Vec::new(), chunks });
    }

    /// Drops the oldest records while neither a recovery from the stored snapshot nor a part needs them.
    fn trim(&mut self) {
        let committed: BTreeMap<&JobId, Seq> =
            self.snapshot.jobs.iter().map(|(job, state)| (job, state.committed_to)).collect();
        while self.first <= self.snapshot.globals.seq {
            let record = &self.journal[0];
            let finished = |job: &JobId| self.jobs.get(job).is_none_or(|kept| kept.finished.is_some());
            let needed = row_of(record)
                .is_some_and(|job| committed.get(job).is_some_and(|to| self.first > *to) && !finished(job));
            if needed {
                break;
            }
            if let Some(settled) = end_of(record).filter(|settled| !finished(&settled.job)) {
                self.ended.entry(settled.job.clone()).or_default().push((settled.item, settled.status));
            }
            self.journal.pop_front();
            self.first += 1;
        }
    }
}

impl Store for MemoryStore {
    fn remove_job(&mut self, job: &JobId) -> Result<(), StoreError> {
        if self.jobs.get(job).is_none_or(|kept| kept.finished.is_none()) {
            return Err(StoreError::refused(format!("{job} is not finished and cannot be removed")));
        }
        self.jobs.remove(job);
        Ok(())
    }

    fn recover(&mut self) -> Result<Ledger, StoreError> {
        recovery::ledger(self)
    }

    fn replay(&mut self, from: Seq, each: &mut dyn FnMut(Seq, Record)) -> Result<(), StoreError> {
        self.records(from, Seq::MAX, &mut |seq, record| {
            if row_of(&record).is_some() {
                each(seq, record);
            }
            Ok(())
        })
    }

    fn accept(&mut self, job: &Job) -> Result<(), StoreError> {
        self.check_room()?;
        if self.jobs.contains_key(&job.id) {
            self.staged.remove(&job.id);
            return Ok(());
        }
        let since = self.sync()?;
        match self.staged.remove(&job.id) {
            Some(prompts) if *prompts.job == *job => {
                self.jobs.insert(job.id.clone(), Kept { prompts, since, finished: None });
                Ok(())
            }
            _ => Err(StoreError::refused(format!("{} is not the job that was staged", job.id))),
        }
    }

    fn read(&mut self, job: &JobId, items: &[ItemIndex]) -> Result<Vec<Arc<Item>>, StoreError> {
        let unknown = || StoreError::refused(format!("there is no job {job}"));
        let all = &self.jobs.get(job).ok_or_else(unknown)?.prompts.items;
        let find = |&item: &ItemIndex| {
            let missing = || StoreError::refused(format!("{job} has {} items, no item {item}", all.len()));
            all.get(item as usize).cloned().ok_or_else(missing)
        };
        items.iter().map(find).collect()
    }

    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.check_usable()?;
        self.journal.extend(records.iter().cloned());
        Ok(())
    }

    fn sync(&mut self) -> Result<Seq, StoreError> {
        self.check_usable()?;
        if self.synced == self.appended() {
            return Ok(self.synced);
        }
        self.check_room()?;
        if std::mem::take(&mut self.next_sync_fails) {
            self.broken = true;
            return Err(StoreError::Io("cannot sync".into(), io::Error::other("the device is broken")));
        }
        self.synced = self.appended();
        Ok(self.synced)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let at = checkpoint.snapshot.globals.seq;
        if at != self.appended() {
            let end = self.appended();
            return Err(StoreError::refused(format!(
                "a checkpoint of record {at} came when {end} was the last"
            )));
        }
        self.owed.add(checkpoint);
        self.sync()?;
        self.check_room()?;
        self.write_index(&checkpoint.snapshot);
        if at >= self.snapshot.globals.seq + self.snapshot_every {
            self.snapshot = checkpoint.snapshot.clone();
        }
        self.trim();
        Ok(())
    }
}

impl Remains for MemoryStore {
    fn jobs(&mut self) -> Result<Vec<Found>, StoreError> {
        let found = |kept: &Kept| Found {
            job: kept.prompts.job.clone(),
            since: kept.since,
            finished: kept.finished.clone(),
        };
        Ok(self.jobs.values().map(found).collect())
    }

    fn index(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.index.clone())
    }

    fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        Ok(self.snapshot.clone())
    }

    fn records(&mut self, after: Seq, upto: Seq, each: &mut Each) -> Result<(), StoreError> {
        for (seq, record) in (self.first..).zip(&self.journal) {
            if seq > after && seq <= upto.min(self.synced) {
                each(seq, record.clone())?;
            }
        }
        Ok(())
    }

    fn final_states(&mut self, job: &JobId, _parts: u32) -> Result<FinalStates, StoreError> {
        let mut states = self.ended.get(job).cloned().unwrap_or_default();
        let stored = self.snapshot.jobs.iter().find(|(of, _)| of == job);
        let committed_to = stored.map_or(0, |(_, state)| state.committed_to);
        for (seq, record) in (self.first..).zip(&self.journal) {
            if let Some(settled) = end_of(record).filter(|settled| settled.job == *job && seq <= committed_to)
            {
                states.push((settled.item, settled.status));
            }
        }
        // The first end of an item is the one that counts; the caller takes the last it is told.
        states.reverse();
        Ok(states)
    }
}
