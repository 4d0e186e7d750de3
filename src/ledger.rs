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

use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus};
use crate::clock::Timestamp;
use crate::job::{AttemptId, ItemIndex, Job, JobId};
use crate::money::{Usage, Usd};
use crate::record::{CHUNK, Ended, ItemTotals, JobChange, Next, Record, Seq, Settled, Snapshot, Started};

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Accepted, nothing in flight; leaves by an attempt, a cancel or its deadline.
    Pending,
    /// An attempt was written down and has not ended.
    Running,
    /// Waits for the user, because an outcome is unknown and may have cost money.
    Held,
    /// Ended; nothing takes it out.
    Final(ItemStatus),
}

/// One item in two bytes: phase, step, attempts and unknown outcomes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemState(u16);

impl ItemState {
    const STEP: u16 = 3;
    const ATTEMPTS: u16 = 7;
    const UNKNOWNS: u16 = 12;
    const QUEUED: u16 = 1 << 14;
    /// More attempts than this cannot be counted, so `max_attempts` is capped here.
    pub const MAX_ATTEMPTS: u8 = 31;
    /// More unknown outcomes than this cannot be counted, so `unknown_resends` is capped below.
    pub const MAX_UNKNOWNS: u8 = 3;

    /// As stored in the index, without what only the running program knows.
    pub fn stored(self) -> u16 {
        self.0 & !Self::QUEUED
    }

    /// From the index; an impossible phase reads as pending, which costs an attempt and loses nothing.
    pub fn from_stored(bits: u16) -> ItemState {
        let state = ItemState(bits & !Self::QUEUED);
        if bits & 7 == 7 { state.with_phase(Phase::Pending) } else { state }
    }

    /// Where it is.
    pub fn phase(self) -> Phase {
        match self.0 & 7 {
            1 => Phase::Running,
            2 => Phase::Held,
            3 => Phase::Final(ItemStatus::Succeeded),
            4 => Phase::Final(ItemStatus::Failed),
            5 => Phase::Final(ItemStatus::Expired),
            6 => Phase::Final(ItemStatus::Cancelled),
            _ => Phase::Pending,
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self.phase(), Phase::Final(_))
    }

    /// The step it is on, from 0.
    pub fn step(self) -> u8 {
        (self.0 >> Self::STEP) as u8 & 15
    }

    /// Attempts so far.
    pub fn attempts(self) -> u8 {
        (self.0 >> Self::ATTEMPTS) as u8 & 31
    }

    /// Attempts so far whose outcome is unknown.
    pub fn unknowns(self) -> u8 {
        (self.0 >> Self::UNKNOWNS) as u8 & 3
    }

    /// Whether a queue of the running program holds it.
    pub fn is_queued(self) -> bool {
        self.0 & Self::QUEUED != 0
    }

    fn with_phase(self, phase: Phase) -> ItemState {
        let bits = match phase {
            Phase::Pending => 0,
            Phase::Running => 1,
            Phase::Held => 2,
            Phase::Final(ItemStatus::Succeeded) => 3,
            Phase::Final(ItemStatus::Failed) => 4,
            Phase::Final(ItemStatus::Expired) => 5,
            Phase::Final(ItemStatus::Cancelled) => 6,
        };
        ItemState(self.0 & !7 | bits)
    }

    fn with_step(self, step: u8) -> ItemState {
        ItemState(self.0 & !(15 << Self::STEP) | u16::from(step.min(15)) << Self::STEP)
    }

    fn with_attempts(self, attempts: u8) -> ItemState {
        ItemState(self.0 & !(31 << Self::ATTEMPTS) | u16::from(attempts.min(31)) << Self::ATTEMPTS)
    }

    fn with_unknowns(self, unknowns: u8) -> ItemState {
        ItemState(self.0 & !(3 << Self::UNKNOWNS) | u16::from(unknowns.min(3)) << Self::UNKNOWNS)
    }
}

/// Items of a job by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Waiting for an attempt.
    pub pending: u32,
    /// With an attempt in flight.
    pub running: u32,
    /// Waiting for the user.
    pub held: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended without an accepted answer.
    pub failed: u32,
    /// Ended by their deadline.
    pub expired: u32,
    /// Ended by the user.
    pub cancelled: u32,
}

impl Counts {
    fn of(&mut self, phase: Phase) -> &mut u32 {
        match phase {
            Phase::Pending => &mut self.pending,
            Phase::Running => &mut self.running,
            Phase::Held => &mut self.held,
            Phase::Final(ItemStatus::Succeeded) => &mut self.succeeded,
            Phase::Final(ItemStatus::Failed) => &mut self.failed,
            Phase::Final(ItemStatus::Expired) => &mut self.expired,
            Phase::Final(ItemStatus::Cancelled) => &mut self.cancelled,
        }
    }

    /// Items that have ended.
    pub fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.expired + self.cancelled
    }

    /// All items.
    pub fn total(&self) -> u32 {
        self.ended() + self.pending + self.running + self.held
    }
}

/// The states of all items of one job, their counts, and which chunks changed since last asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemStates {
    states: Vec<ItemState>,
    counts: Counts,
    dirty: Vec<bool>,
}

impl ItemStates {
    /// All pending.
    pub fn new(n_items: ItemIndex) -> ItemStates {
        ItemStates {
            states: vec![ItemState::default(); n_items as usize],
            counts: Counts { pending: n_items, ..Counts::default() },
            dirty: vec![false; (n_items as usize).div_ceil(CHUNK)],
        }
    }

    /// One item.
    pub fn get(&self, item: ItemIndex) -> ItemState {
        self.states[item as usize]
    }

    /// How many are in each phase.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Every item's state in order.
    pub fn iter(&self) -> impl Iterator<Item = ItemState> + '_ {
        self.states.iter().copied()
    }

    /// Overwrites one chunk, as read from the index.
    pub fn load_chunk(&mut self, chunk: u32, stored: &[u16]) {
        let start = chunk as usize * CHUNK;
        for (offset, &bits) in stored.iter().enumerate() {
            if start + offset < self.states.len() {
                self.set((start + offset) as ItemIndex, ItemState::from_stored(bits));
            }
        }
    }

    /// Marks an item as held in a queue of the running program, or not.
    pub fn set_queued(&mut self, item: ItemIndex, queued: bool) {
        let state = &mut self.states[item as usize].0;
        *state = if queued { *state | ItemState::QUEUED } else { *state & !ItemState::QUEUED };
    }

    fn set(&mut self, item: ItemIndex, state: ItemState) {
        let old = self.states[item as usize];
        *self.counts.of(old.phase()) -= 1;
        *self.counts.of(state.phase()) += 1;
        self.states[item as usize] = state;
        self.dirty[item as usize / CHUNK] = true;
    }

    /// Forgets which chunks changed: all of them are stored as they are.
    pub fn mark_stored(&mut self) {
        self.dirty.fill(false);
    }

    /// The chunks changed since the last call, with their numbers.
    pub fn take_dirty(&mut self) -> Vec<(u32, Vec<u16>)> {
        let mut chunks = Vec::new();
        for number in 0..self.dirty.len() {
            if std::mem::take(&mut self.dirty[number]) {
                let end = ((number + 1) * CHUNK).min(self.states.len());
                let states = self.states[number * CHUNK..end].iter().map(|state| state.stored()).collect();
                chunks.push((number as u32, states));
            }
        }
        chunks
    }
}

/// An attempt that was started and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    /// Of which item.
    pub item: ItemIndex,
    /// On which step, from 0.
    pub step: u8,
    /// On which route, by name.
    pub route: Arc<str>,
    /// Reserved for it.
    pub worst_case: Usd,
    /// When it was started.
    pub at: Timestamp,
}

/// An item that has attempts behind it and has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Its state, so that the states can be rebuilt without the index.
    pub state: u16,
    /// Sums over its attempts.
    pub totals: ItemTotals,
}

/// What one route did for one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStats {
    /// Answers accepted.
    pub succeeded: u64,
    /// Answers not accepted, by verdict.
    pub rejected: BTreeMap<ErrorCode, u64>,
    /// Attempts without an answer, by reason.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// What all its attempts cost.
    pub cost: Usd,
    /// Its tokens.
    pub usage: Usage,
    /// Answers by latency: bucket `b` counts those under 1 ms × 2^(b/4).
    pub latency: Vec<u32>,
}

impl RouteStats {
    /// Four buckets a doubling, up to an hour.
    const BUCKETS: usize = 88;

    fn observe(&mut self, latency_ms: u64) {
        if self.latency.is_empty() {
            self.latency = vec![0; Self::BUCKETS];
        }
        let bucket = ((latency_ms.max(1) as f64).log2() * 4.0).floor() as usize;
        self.latency[bucket.min(Self::BUCKETS - 1)] += 1;
    }

    /// The latency in milliseconds that `share` of all answers stayed under; `None` without answers.
    pub fn latency_ms(&self, share: f64) -> Option<u64> {
        let total: u64 = self.latency.iter().map(|&n| u64::from(n)).sum();
        let mut left = (total as f64 * share).ceil().max(1.0) as u64;
        for (bucket, &count) in self.latency.iter().enumerate() {
            if left <= u64::from(count) {
                return Some(2f64.powf((bucket as f64 + 0.5) / 4.0).round() as u64);
            }
            left -= u64::from(count);
        }
        None
    }
}

/// Where a job is, in OpenAI's words; `paused` is a flag beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Items are left.
    #[default]
    InProgress,
    /// Cancelled, with attempts still in flight.
    Cancelling,
    /// All items ended, rows not all in Parquet.
    Finalizing,
    /// Over.
    Completed,
    /// Over; the user cancelled it.
    Cancelled,
    /// Over; its deadline passed with items left.
    Expired,
}

impl JobState {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::InProgress => "in_progress",
            JobState::Cancelling => "cancelling",
            JobState::Finalizing => "finalizing",
            JobState::Completed => "completed",
            JobState::Cancelled => "cancelled",
            JobState::Expired => "expired",
        }
    }

    /// Whether nothing happens to the job any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Completed | JobState::Cancelled | JobState::Expired)
    }
}

/// The durable state of one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobLedger {
    /// The states of its items; dropped when it is finished, stored in chunks.
    #[serde(skip)]
    pub items: ItemStates,
    /// Counts when it finished; while it runs, [`ItemStates::counts`] is the truth.
    pub final_counts: Option<Counts>,
    /// Attempts in flight.
    pub open: BTreeMap<AttemptId, OpenAttempt>,
    /// Items that have attempts behind them and have not ended.
    pub partial: BTreeMap<ItemIndex, Partial>,
    /// No new sends.
    pub paused: bool,
    /// Cancelled by the user.
    pub cancelled: bool,
    /// The cap in force, where a command changed it.
    pub max_cost: Option<Option<Usd>>,
    /// Cost of attempts whose bill is known.
    pub spent: Usd,
    /// Estimated cost of attempts whose bill is not.
    pub estimated: Usd,
    /// Worst case of those attempts: kept in every budget.
    pub at_risk: Usd,
    /// Worst case of attempts in flight.
    pub reserved: Usd,
    /// Attempts that were started.
    pub attempts: u64,
    /// Attempts whose outcome is unknown.
    pub unknown: u64,
    /// Tokens of all attempts.
    pub usage: Usage,
    /// What they would have cost in the dearest window of the realtime lane.
    pub list_cost: Usd,
    /// What each route did, by name.
    pub routes: BTreeMap<Arc<str>, RouteStats>,
    /// Items that did not succeed, by reason.
    pub failures: BTreeMap<ErrorCode, u64>,
    /// When the first attempt was started.
    pub first_sent: Option<Timestamp>,
    /// When the last item ended.
    pub last_ended: Option<Timestamp>,
    /// Items that ended after their deadline without succeeding by it.
    pub late: u64,
    /// Parts committed so far.
    pub parts: u32,
    /// Rows of records up to here are in parts.
    pub committed_to: Seq,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
}

impl JobLedger {
    /// Of a job none of whose items was touched.
    pub fn new(job: &Job) -> JobLedger {
        JobLedger { items: ItemStates::new(job.n_items), ..JobLedger::default() }
    }

    /// Items by phase.
    pub fn counts(&self) -> Counts {
        self.final_counts.unwrap_or_else(|| self.items.counts())
    }

    /// Where the job is.
    pub fn state(&self) -> JobState {
        let counts = self.counts();
        if self.finished_at.is_none() {
            let all_ended = counts.pending + counts.running + counts.held == 0;
            return match (all_ended, self.cancelled) {
                (true, _) => JobState::Finalizing,
                (false, true) => JobState::Cancelling,
                (false, false) => JobState::InProgress,
            };
        }
        if self.cancelled {
            JobState::Cancelled
        } else if counts.expired > 0 {
            JobState::Expired
        } else {
            JobState::Completed
        }
    }

    /// The cap in force.
    pub fn cap(&self, job: &Job) -> Option<Usd> {
        self.max_cost.unwrap_or(job.options.max_cost)
    }

    /// What counts against the cap: known bills, worst cases of unknown ones, reservations.
    pub fn committed(&self) -> Usd {
        self.spent + self.at_risk + self.reserved
    }

    /// What to show as spent: known bills and estimates of the unknown ones.
    pub fn shown_cost(&self) -> Usd {
        self.spent + self.estimated
    }

    fn started(&mut self, started: &Started) {
        let state = self.items.get(started.item);
        if state.is_final() || self.open.contains_key(&started.attempt) {
            return;
        }
        let state =
            state.with_phase(Phase::Running).with_step(started.step).with_attempts(state.attempts() + 1);
        self.set_item(started.item, state);
        self.reserved += started.worst_case;
        self.attempts += 1;
        self.first_sent.get_or_insert(started.at);
        let open = OpenAttempt {
            item: started.item,
            step: started.step,
            route: started.route.clone(),
            worst_case: started.worst_case,
            at: started.at,
        };
        self.open.insert(started.attempt, open);
    }

    fn ended(&mut self, ended: &Ended) {
        let Some(open) = self.open.remove(&ended.attempt) else { return };
        self.reserved -= open.worst_case;
        if ended.at_risk == Usd::ZERO {
            self.spent += ended.cost;
        } else {
            self.estimated += ended.cost;
            self.at_risk += ended.at_risk;
        }
        self.unknown += u64::from(ended.status == AttemptStatus::Unknown);
        self.usage += ended.usage.unwrap_or_default();
        self.list_cost += ended.list_cost;
        self.observe(&open.route, ended);
        let state = self.items.get(ended.item);
        if state.is_final() {
            return;
        }
        let unknowns = state.unknowns() + u8::from(ended.status == AttemptStatus::Unknown);
        let state = state.with_unknowns(unknowns);
        match &ended.next {
            Next::Settled(settled) => self.settle(settled, state),
            Next::Pending(step) => self.keep(ended, state.with_step(*step).with_phase(Phase::Pending)),
            Next::Held(step) => self.keep(ended, state.with_step(*step).with_phase(Phase::Held)),
        }
    }

    fn keep(&mut self, ended: &Ended, state: ItemState) {
        self.set_item(ended.item, state);
        self.partial.insert(ended.item, Partial { state: state.stored(), totals: ended.totals });
    }

    fn observe(&mut self, route: &Arc<str>, ended: &Ended) {
        let stats = self.routes.entry(route.clone()).or_default();
        stats.cost += ended.cost;
        stats.usage += ended.usage.unwrap_or_default();
        let code = ended.error.as_ref().map_or(ErrorCode::Internal, |(code, _)| *code);
        match ended.status {
            AttemptStatus::Succeeded => stats.succeeded += 1,
            AttemptStatus::Rejected => *stats.rejected.entry(code).or_default() += 1,
            _ => *stats.errors.entry(code).or_default() += 1,
        }
        if matches!(ended.status, AttemptStatus::Succeeded | AttemptStatus::Rejected) {
            let latency = ended.ended_at.since(ended.started_at);
            stats.observe(latency.as_millis() as u64);
        }
    }

    fn settle(&mut self, settled: &Settled, state: ItemState) {
        if state.is_final() {
            return;
        }
        self.set_item(settled.item, state.with_phase(Phase::Final(settled.status)));
        self.partial.remove(&settled.item);
        if settled.status != ItemStatus::Succeeded {
            let code = settled.error.as_ref().map_or(ErrorCode::Internal, |(code, _)| *code);
            *self.failures.entry(code).or_default() += 1;
        }
        self.last_ended = self.last_ended.max(Some(settled.at));
        self.late += u64::from(settled.deadline.is_some_and(|deadline| settled.at > deadline));
    }

    fn changed(&mut self, change: &JobChange) {
        match change {
            JobChange::Paused => self.paused = true,
            JobChange::Resumed => {
                self.paused = false;
                self.release_held();
            }
            JobChange::Cancelled => self.cancelled = true,
            JobChange::MaxCost(cap) => self.max_cost = Some(*cap),
        }
    }

    fn release_held(&mut self) {
        let held: Vec<ItemIndex> = self
            .partial
            .keys()
            .copied()
            .filter(|&item| self.items.get(item).phase() == Phase::Held)
            .collect();
        for item in held {
            let state = self.items.get(item).with_phase(Phase::Pending).with_unknowns(0);
            self.set_item(item, state);
            self.partial.get_mut(&item).expect("listed above").state = state.stored();
        }
    }

    /// Every change of an item's state comes through here, so that counts and dirty marks hold.
    fn set_item(&mut self, item: ItemIndex, state: ItemState) {
        self.items.set(item, state);
    }

    fn finish(&mut self, at: Timestamp) {
        self.final_counts = Some(self.counts());
        self.items = ItemStates::default();
        self.finished_at = Some(at);
    }
}

/// What is not of one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Globals {
    /// The next attempt's name.
    pub next_attempt: u64,
    /// Records applied so far.
    pub seq: Seq,
}

/// The durable state of everything.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What is not of one job.
    pub globals: Globals,
    jobs: BTreeMap<JobId, (Arc<Job>, JobLedger)>,
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

    /// Adds one record up. Records of unknown jobs change nothing but the position.
    pub fn apply(&mut self, record: &Record) {
        self.globals.seq += 1;
        match record {
            Record::Snapshot(_) => {}
            Record::Started(started) => {
                self.globals.next_attempt = self.globals.next_attempt.max(started.attempt.0 + 1);
                self.with(&started.job, |state| state.started(started));
            }
            Record::Ended(ended) => self.with(&ended.job, |state| state.ended(ended)),
            Record::Settled(settled) => self.with(&settled.job, |state| {
                let item = state.items.get(settled.item);
                state.settle(settled, item);
            }),
            Record::Changed(job, change) => self.with(job, |state| state.changed(change)),
            Record::PartCommitted(part) => self.with(&part.job, |state| {
                state.parts = state.parts.max(part.part);
                state.committed_to = state.committed_to.max(part.to);
            }),
            Record::Finished { job, at } => self.with(job, |state| state.finish(*at)),
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

impl JobLedger {
    /// A copy without the item states, which are stored in chunks.
    pub fn without_items(&self) -> JobLedger {
        JobLedger {
            items: ItemStates::default(),
            open: self.open.clone(),
            partial: self.partial.clone(),
            routes: self.routes.clone(),
            failures: self.failures.clone(),
            ..*self
        }
    }

    /// Puts back what a snapshot knows of the items: those in flight and those with attempts behind them.
    pub fn restore_items(&mut self, mut items: ItemStates) {
        for (&item, partial) in &self.partial {
            items.set(item, ItemState::from_stored(partial.state));
        }
        for open in self.open.values() {
            let state = items.get(open.item);
            if !state.is_final() && state.phase() != Phase::Running {
                items.set(
                    open.item,
                    state.with_phase(Phase::Running).with_step(open.step).with_attempts(state.attempts() + 1),
                );
            }
        }
        self.items = items;
    }

    /// Marks an item as ended, as a committed part says; used when the index is rebuilt.
    pub fn mark_final(items: &mut ItemStates, item: ItemIndex, status: ItemStatus) {
        items.set(item, items.get(item).with_phase(Phase::Final(status)));
    }
}
