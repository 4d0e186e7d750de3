//! The durable state of one job, and how each record changes it.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budget::still_told;
use super::items::{Counts, ItemState, ItemStates, Phase};
use super::stats::RouteStats;
use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus};
use crate::clock::Timestamp;
use crate::job::{AttemptId, ItemIndex, Job};
use crate::money::{Usage, Usd};
use crate::plan::tally::{ModelIndex, Spent, Tally};
use crate::record::{Ended, ItemTotals, JobChange, Next, Seq, Settled, Started};

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
    /// The provider batch it goes out in, by our number.
    pub batch: Option<u64>,
}

/// An item that has attempts behind it and has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Its state, so that the states can be rebuilt without the index.
    pub state: u16,
    /// Sums over its attempts.
    pub totals: ItemTotals,
    /// What counts against its cap: known bills, worst cases of unknown ones.
    pub committed: Usd,
    /// The models that have failed it, by their places in the job's tally.
    pub spent: Spent,
    /// Whether two of its attempts raced each other: that happens once.
    pub hedged: bool,
}

/// Two attempts of one item, the second sent because the first was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Race {
    /// The one that was late.
    pub first: AttemptId,
    /// The one that was sent to race it.
    pub hedge: AttemptId,
}

impl Race {
    /// The other of the two.
    pub fn rival(&self, attempt: AttemptId) -> AttemptId {
        if attempt == self.hedge { self.first } else { self.hedge }
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
    /// Items that got the answer of another.
    pub copied: u64,
    /// The highest threshold of its cap that was told, in percent.
    pub told: u8,
    /// What its check said of the models so far, and what earlier jobs of its class taught; `None` before
    /// its first attempt and where there is no choice between models.
    pub tally: Option<Box<Tally>>,
    /// Items of which two attempts were sent, while either is in flight.
    pub races: BTreeMap<ItemIndex, Race>,
    /// Attempts that were sent to race another.
    pub hedges: u64,
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

    /// What no end of an attempt in flight gives back: known bills, worst cases of unknown ones.
    pub fn settled(&self) -> Usd {
        self.spent + self.at_risk
    }

    /// What counts against the cap: known bills, worst cases of unknown ones, reservations.
    pub fn committed(&self) -> Usd {
        self.settled() + self.reserved
    }

    /// What to show as spent: known bills and estimates of the unknown ones.
    pub fn shown_cost(&self) -> Usd {
        self.spent + self.estimated
    }

    pub(super) fn started(&mut self, started: &Started) {
        let state = self.items.get(started.item);
        if state.is_final() || self.open.contains_key(&started.attempt) {
            return;
        }
        match self.in_flight(started.item) {
            None => {
                let state = state.with_phase(Phase::Running).with_step(started.step);
                self.items.set(started.item, state);
            }
            // The item stays on the step of the attempt that was there before.
            Some(first) => {
                self.races.insert(started.item, Race { first, hedge: started.attempt });
                self.hedges += 1;
            }
        }
        self.reserved += started.worst_case;
        self.attempts += 1;
        self.first_sent.get_or_insert(started.at);
        let open = OpenAttempt {
            item: started.item,
            step: started.step,
            route: started.route.clone(),
            worst_case: started.worst_case,
            at: started.at,
            batch: started.batch,
        };
        self.open.insert(started.attempt, open);
    }

    pub(super) fn ended(&mut self, ended: &Ended) {
        let Some(open) = self.open.remove(&ended.attempt) else { return };
        let rival = self.rival(ended.item, ended.attempt);
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
        self.routes.entry(open.route).or_default().observe(ended);
        let state = self.items.get(ended.item);
        if !state.is_final() {
            self.go_on(ended, state, rival);
        }
        if rival.is_none() {
            self.races.remove(&ended.item);
        }
    }

    /// Puts the item of an attempt that ended where its record says.
    fn go_on(&mut self, ended: &Ended, state: ItemState, rival: Option<AttemptId>) {
        let attempts = state.attempts() + u8::from(ended.counts());
        let unknowns = state.unknowns() + u8::from(ended.status == AttemptStatus::Unknown);
        let state = state.with_attempts(attempts).with_unknowns(unknowns);
        let model = self.learn(ended);
        match &ended.next {
            Next::Settled(settled) => self.settle(settled, state),
            Next::Pending(step) => {
                let state = if ended.asks_for_more() { state.with_cut_off() } else { state };
                self.keep(ended, state.with_step(*step).with_phase(Phase::Pending), model);
            }
            Next::Held(step) => self.keep(ended, state.with_step(*step).with_phase(Phase::Held), model),
            Next::Running => {
                let step = rival.and_then(|rival| self.open.get(&rival)).map(|open| open.step);
                let state = state.with_step(step.unwrap_or(state.step()));
                // What is kept of it is what holds once nothing is in flight.
                self.keep(ended, state.with_phase(Phase::Pending), model);
                if step.is_some() {
                    self.items.set(ended.item, state.with_phase(Phase::Running));
                }
            }
        }
    }

    /// The attempt of an item that is in flight, if one is; the first of two.
    fn in_flight(&self, item: ItemIndex) -> Option<AttemptId> {
        let is_running = self.items.get(item).phase() == Phase::Running;
        let mut open = self.open.iter().filter(|_| is_running);
        open.find(|(_, open)| open.item == item).map(|(&attempt, _)| attempt)
    }

    /// The other attempt of the item that is in flight beside this one.
    pub fn rival(&self, item: ItemIndex, attempt: AttemptId) -> Option<AttemptId> {
        let rival = self.races.get(&item)?.rival(attempt);
        self.open.contains_key(&rival).then_some(rival)
    }

    /// Whether an attempt in flight was sent to race another.
    pub fn is_hedge(&self, item: ItemIndex, attempt: AttemptId) -> bool {
        self.races.get(&item).is_some_and(|race| race.hedge == attempt)
    }

    /// Whether two attempts of an item raced each other, or still do.
    pub fn was_hedged(&self, item: ItemIndex) -> bool {
        self.races.contains_key(&item) || self.partial.get(&item).is_some_and(|partial| partial.hedged)
    }

    /// Counts what the check said. Returns the place of the model that answered.
    fn learn(&mut self, ended: &Ended) -> Option<ModelIndex> {
        let spent = self.spent(ended.item);
        let tally = self.tally.as_mut()?;
        let model = tally.find(&ended.route.provider, &ended.route.model)?;
        if let Some(passed) = ended.lesson() {
            if let Some(answered) = &ended.response_model {
                tally.answered_by(model, answered);
            }
            tally.observe(model, spent, passed);
        }
        Some(model)
    }

    /// The models that have failed an item.
    pub fn spent(&self, item: ItemIndex) -> Spent {
        self.partial.get(&item).map_or(Spent::NONE, |partial| partial.spent)
    }

    fn keep(&mut self, ended: &Ended, state: ItemState, model: Option<ModelIndex>) {
        self.items.set(ended.item, state);
        let billed = if ended.at_risk == Usd::ZERO { ended.cost } else { ended.at_risk };
        let before = self.partial.get(&ended.item).map_or(Usd::ZERO, |partial| partial.committed);
        let spent =
            model.filter(|_| ended.spends_model).into_iter().fold(self.spent(ended.item), Spent::with);
        let (totals, committed) = (ended.totals, before + billed);
        let hedged = self.was_hedged(ended.item);
        let partial = Partial { state: state.stored(), totals, committed, spent, hedged };
        self.partial.insert(ended.item, partial);
    }

    pub(super) fn settle(&mut self, settled: &Settled, state: ItemState) {
        if state.is_final() {
            return;
        }
        self.items.set(settled.item, state.with_phase(Phase::Final(settled.status)));
        self.partial.remove(&settled.item);
        if settled.status != ItemStatus::Succeeded {
            let code = settled.error.as_ref().map_or(ErrorCode::Internal, |(code, _)| *code);
            *self.failures.entry(code).or_default() += 1;
        }
        if let Some(answer) = &settled.copied {
            // Nobody else counts what an answer that was not bought would have cost.
            self.list_cost += answer.list_cost;
            self.copied += 1;
        }
        self.last_ended = self.last_ended.max(Some(settled.at));
        self.late += u64::from(settled.deadline.is_some_and(|deadline| settled.at > deadline));
    }

    pub(super) fn changed(&mut self, change: &JobChange) {
        match change {
            JobChange::Paused => self.paused = true,
            JobChange::Resumed => self.paused = false,
            JobChange::Cancelled => self.cancelled = true,
            JobChange::MaxCost(cap) => {
                self.max_cost = Some(*cap);
                self.told = still_told(self.told, self.settled(), *cap);
            }
        }
        if change.releases_held() {
            self.release_held();
        }
    }

    /// Items that wait for the user.
    pub fn held(&self) -> Vec<ItemIndex> {
        self.partial.keys().copied().filter(|&item| self.items.get(item).phase() == Phase::Held).collect()
    }

    fn release_held(&mut self) {
        let held = self.held();
        for item in held {
            let state = self.items.get(item).with_phase(Phase::Pending).with_unknowns(0);
            self.items.set(item, state);
            self.partial.get_mut(&item).expect("listed above").state = state.stored();
        }
    }

    pub(super) fn finish(&mut self, at: Timestamp) {
        self.final_counts = Some(self.counts());
        self.items = ItemStates::default();
        self.tally = None;
        self.finished_at = Some(at);
    }

    /// A copy without the item states, which are stored in chunks.
    pub fn without_items(&self) -> JobLedger {
        JobLedger {
            items: ItemStates::default(),
            open: self.open.clone(),
            partial: self.partial.clone(),
            routes: self.routes.clone(),
            failures: self.failures.clone(),
            tally: self.tally.clone(),
            races: self.races.clone(),
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
                // As [`JobLedger::started`] has it: an attempt is counted when it ends.
                items.set(open.item, state.with_phase(Phase::Running).with_step(open.step));
            }
        }
        self.items = items;
    }

    /// Marks an item as ended, as a committed part says; used when the index is rebuilt.
    pub fn mark_final(items: &mut ItemStates, item: ItemIndex, status: ItemStatus) {
        items.set(item, items.get(item).with_phase(Phase::Final(status)));
    }
}
