//! The durable state: what the records of the journal add up to.
//!
//! The engine changes its ledger only by [`Ledger::apply`], with the record it writes down in the
//! same step. Recovery reads records back and applies them in the same order, so a restart cannot
//! arrive anywhere the running program was not. Applying a record to an item that has already
//! ended changes no item: a late or repeated record is counted at most once.
//!
//! An item is two bytes here ([`ItemState`]); everything larger exists only for items that are in
//! flight or have failed attempts behind them.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::{Item, Job, JobId};
use crate::money::Usd;
use crate::plan::estimate::{Estimates, class_of};
use crate::record::{Record, Seq, Snapshot, Started};

mod batches;
mod budget;
mod drawn;
mod items;
mod job;
mod limits;
mod period;
mod stats;
mod tallies;

pub use batches::{Batches, OpenBatch};
pub use budget::{Budgets, Full, Reservation, Sums, Tags};
pub use drawn::{Amount, Drawing, Drawn};
pub use items::{Counts, ItemState, ItemStates, Phase};
pub use job::{JobLedger, JobState, OpenAttempt, Partial, Race};
pub use limits::{Alert, Caps, Limits, Period, Scope};
pub use period::{Day, Month, Today, Zone};
pub use stats::RouteStats;
pub use tallies::Tallies;

/// What is not of one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Globals {
    /// The next attempt's name.
    pub next_attempt: u64,
    /// Records applied so far.
    pub seq: Seq,
    /// What everything cost by day, month and tag, and what it may cost.
    pub budgets: Budgets,
    /// What answers taught of tokens, over all jobs.
    pub estimates: Estimates,
    /// What is used up of what accounts give for nothing.
    pub drawn: Drawn,
    /// What checks taught of models, class by class, up to the last job that finished.
    pub tallies: Tallies,
    /// Provider batches that are out.
    pub batches: Batches,
}

/// The durable state of everything.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What is not of one job.
    pub globals: Globals,
    jobs: BTreeMap<JobId, (Arc<Job>, JobLedger)>,
    /// Jobs whose end was applied as a record and is in no checkpoint yet.
    finished: Vec<JobId>,
}

impl Ledger {
    /// Makes a job known, with what is already known of it.
    pub fn add(&mut self, job: Arc<Job>, state: JobLedger) {
        self.jobs.insert(job.id.clone(), (job, state));
    }

    /// Forgets a job.
    pub fn remove(&mut self, job: &JobId) {
        self.jobs.remove(job);
    }

    /// One job.
    pub fn get(&self, job: &JobId) -> Option<(&Arc<Job>, &JobLedger)> {
        self.jobs.get(job).map(|(job, state)| (job, state))
    }

    /// One job's state, for marks that are not stored and chunks that are to be stored.
    pub fn get_mut(&mut self, job: &JobId) -> Option<&mut JobLedger> {
        self.jobs.get_mut(job).map(|(_, state)| state)
    }

    /// All jobs, oldest name first.
    pub fn jobs(&self) -> impl Iterator<Item = (&Arc<Job>, &JobLedger)> {
        self.jobs.values().map(|(job, state)| (job, state))
    }

    /// The most that one more attempt of an item may cost, over every budget it touches: its own cap, its
    /// job's, those of its tags and of the process. Reservations are taken off; `None` where nothing limits
    /// it.
    pub fn left(&self, job: &Job, item: &Item, day: Day, tags: &[Arc<str>]) -> Option<Usd> {
        let state = self.jobs.get(&job.id).map(|(_, state)| state);
        let of_job = state.and_then(|state| Some(state.cap(job)?.saturating_sub(state.committed())));
        let own = item.options.as_ref().and_then(|options| options.max_cost);
        let partial = state.and_then(|state| state.partial.get(&item.index));
        let own = own.map(|cap| cap.saturating_sub(partial.map_or(Usd::ZERO, |partial| partial.committed)));
        [own, of_job, self.globals.budgets.left(day, tags)].into_iter().flatten().min()
    }

    /// Adds one record up. Records of unknown jobs change nothing but the position.
    pub fn apply(&mut self, record: &Record) {
        self.globals.seq += 1;
        match record {
            Record::Snapshot(_) => {}
            Record::Started(started) => {
                self.globals.next_attempt = self.globals.next_attempt.max(started.attempt.0 + 1);
                let Started { worst_case: amount, day, tags, .. } = started;
                let reservation = Reservation { amount: *amount, day: *day, tags: tags.clone() };
                self.globals.budgets.reserve(started.attempt, reservation);
                if let Some(drawing) = &started.drawing {
                    self.globals.drawn.reserve(started.attempt, drawing);
                }
                self.globals.batches.started(started);
                self.begin_tally(&started.job);
                self.with(&started.job, |state| state.started(started));
            }
            Record::Ended(ended) => {
                self.globals.budgets.settle(ended.attempt, ended.cost, ended.at_risk);
                self.globals.drawn.settle(ended.attempt, ended.drawn);
                self.globals.estimates.learn(ended);
                self.with(&ended.job, |state| state.ended(ended));
            }
            Record::Settled(settled) => self.with(&settled.job, |state| {
                let item = state.items.get(settled.item);
                state.settle(settled, item);
            }),
            Record::Changed(job, change) => self.with(job, |state| state.changed(change)),
            Record::PartCommitted(part) => self.with(&part.job, |state| {
                state.parts = state.parts.max(part.part);
                state.committed_to = state.committed_to.max(part.to);
            }),
            Record::Finished { job, at, taught } => {
                if let Some(taught) = taught {
                    self.globals.tallies.keep(taught, self.globals.seq);
                }
                self.with(job, |state| state.finish(*at));
                self.finished.push(job.clone());
            }
            Record::Limits(limits) => self.globals.budgets.set_limits((**limits).clone()),
            Record::Alerted(alert) => match &alert.scope {
                Scope::Job(job) => self.with(job, |state| state.told = state.told.max(alert.percent)),
                Scope::Process | Scope::Tag(_) => self.globals.budgets.told(alert),
            },
            Record::OddsReset(class) => self.reset_odds(class.as_deref()),
            Record::BatchIntended(intended) => self.globals.batches.intended(intended),
            Record::BatchMade(batch) => self.globals.batches.made(batch),
            Record::BatchRead { number, cursor } => self.globals.batches.read(*number, *cursor),
            Record::BatchClosed { number } => self.globals.batches.closed(*number),
        }
    }

    /// The jobs that finished since the last call and are still known. A snapshot no longer names them, so
    /// the next checkpoint has to: also those whose end was read back from the journal.
    pub fn take_finished(&mut self) -> Vec<(JobId, JobLedger)> {
        let finished = std::mem::take(&mut self.finished);
        let known = finished.into_iter().filter_map(|job| {
            let (_, state) = self.jobs.get(&job)?;
            Some((job, state.without_items()))
        });
        known.collect()
    }

    /// A job's first attempt: it begins with what earlier jobs of its class taught.
    fn begin_tally(&mut self, id: &JobId) {
        if let Some((job, state)) = self.jobs.get_mut(id)
            && state.attempts == 0
            && state.tally.is_none()
        {
            state.tally = self.globals.tallies.begin(job);
        }
    }

    fn reset_odds(&mut self, class: Option<&str>) {
        self.globals.tallies.reset(class);
        for (job, state) in self.jobs.values_mut() {
            if let Some(tally) = &mut state.tally
                && class.is_none_or(|class| class_of(job) == class)
            {
                tally.forget();
            }
        }
    }

    fn with(&mut self, job: &JobId, change: impl FnOnce(&mut JobLedger)) {
        if let Some((_, state)) = self.jobs.get_mut(job).filter(|(_, state)| state.finished_at.is_none()) {
            change(state);
        }
    }

    /// All that is not finished, added up.
    pub fn snapshot(&self) -> Snapshot {
        let unfinished = self.jobs.values().filter(|(_, state)| state.finished_at.is_none());
        Snapshot {
            globals: self.globals.clone(),
            jobs: unfinished.map(|(job, state)| (job.id.clone(), state.without_items())).collect(),
        }
    }
}
