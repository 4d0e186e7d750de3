//! Rows in memory: parts with numbers that a redo overwrites, as the files have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overnight::clock::Timestamp;
use overnight::job::{AttemptId, ItemIndex, Job, JobId};
use overnight::ledger::JobLedger;
use overnight::record::{Ended, Next, PartCommitted, Record, Seq, Settled, Started};
use overnight::rehearse::night::Rows;

/// What is read in the morning, and every durable record there ever was.
#[derive(Default)]
pub(super) struct Parts {
    /// Rows by job and part.
    parts: BTreeMap<(JobId, u32), Part>,
    open: BTreeMap<JobId, (u32, Part)>,
    /// Starts that are durable, by attempt.
    pub(super) started: BTreeMap<AttemptId, Started>,
    /// Batches whose intent is durable.
    pub(super) intended: BTreeSet<u64>,
    /// Manifests written.
    pub(super) finished: BTreeSet<JobId>,
}

/// One part.
#[derive(Clone, Default)]
pub(super) struct Part {
    /// Results.
    pub(super) results: Vec<Settled>,
    /// Attempts.
    pub(super) attempts: Vec<Ended>,
    to: Seq,
}

impl Parts {
    /// Every committed or open row of a job.
    pub(super) fn all(&self, job: &JobId) -> Part {
        let mut all = self.committed(job);
        if let Some((_, open)) = self.open.get(job) {
            all.results.extend(open.results.iter().cloned());
            all.attempts.extend(open.attempts.iter().cloned());
        }
        all
    }

    /// Every committed row of a job.
    pub(super) fn committed(&self, job: &JobId) -> Part {
        let mut all = Part::default();
        for part in self.parts.iter().filter(|((of, _), _)| of == job).map(|(_, part)| part) {
            all.results.extend(part.results.iter().cloned());
            all.attempts.extend(part.attempts.iter().cloned());
        }
        all
    }

    /// Results per item over all committed parts.
    pub(super) fn copies(&self, job: &JobId) -> BTreeMap<ItemIndex, u32> {
        let mut copies = BTreeMap::new();
        for row in self.committed(job).results {
            *copies.entry(row.item).or_default() += 1;
        }
        copies
    }
}

impl Rows for Parts {
    const WANTED: bool = true;

    fn add(&mut self, job: &Arc<Job>, parts: u32, committed_to: Seq) {
        self.open.insert(job.id.clone(), (parts + 1, Part { to: committed_to, ..Part::default() }));
    }

    fn push(&mut self, seq: Seq, record: &Record) {
        let (job, result) = match record {
            Record::Started(started) => {
                self.started.insert(started.attempt, started.clone());
                return;
            }
            Record::BatchIntended(intended) => {
                self.intended.insert(intended.number);
                return;
            }
            Record::Ended(ended) => match &ended.next {
                Next::Settled(settled) => (&ended.job, Some(settled)),
                _ => (&ended.job, None),
            },
            Record::Settled(settled) => (&settled.job, Some(settled)),
            _ => return,
        };
        let Some((_, open)) = self.open.get_mut(job).filter(|(_, open)| seq > open.to) else { return };
        open.to = seq;
        open.results.extend(result.map(|settled| (**settled).clone()));
        if let Record::Ended(ended) = record {
            open.attempts.push((**ended).clone());
        }
    }

    fn close(&mut self, job: &JobId, now: Timestamp) -> Option<PartCommitted> {
        let (number, open) = self.open.get_mut(job)?;
        if open.results.is_empty() && open.attempts.is_empty() {
            return None;
        }
        let next = Part { to: open.to, ..Part::default() };
        let part = std::mem::replace(open, next);
        let committed = PartCommitted {
            job: job.clone(),
            part: *number,
            to: part.to,
            date: now.utc().date_naive().to_string(),
            result_rows: part.results.len() as u64,
            attempt_rows: part.attempts.len() as u64,
            results_sha256: String::new(),
            attempts_sha256: String::new(),
        };
        self.parts.insert((job.clone(), *number), part);
        *number += 1;
        Some(committed)
    }

    fn finish(&mut self, job: &JobId, _: &JobLedger) {
        self.finished.insert(job.clone());
    }
}
