//! What must hold in every night, judged by the provider's own log and by the committed rows.
//!
//! The numbers I1–I19 name the promises: counts add up, results are unique and final, nothing is sent
//! before it is written down, budgets hold, limits hold, recovery is repeatable, everything ends. What
//! the sums of a whole job must be is in [`super::audit`].

use std::collections::{BTreeMap, BTreeSet};

use overnight::attempt::{Answer, Ending, ItemStatus, Outcome, RateHints};
use overnight::engine::Event;
use overnight::job::{AttemptId, ItemIndex, JobId};
use overnight::ledger::{ItemState, JobLedger, Phase};
use overnight::money::Usd;
use overnight::provider::simulated::{ClientId, Line};
use overnight::record::JobChange;
use overnight::view::Waiting;

use super::A_DAY;
use super::audit;
use super::budgets::Purse;
use super::chance::Chance;
use super::free;
use super::seen::Seen;
use super::world::World;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Witness {
    log_seen: usize,
    /// Jobs that were paused or cancelled before the present step.
    stopped: BTreeSet<JobId>,
    was_on_hold: bool,
    final_rows: BTreeMap<(JobId, ItemIndex), ItemStatus>,
    blocked: u64,
    resumes: u32,
    pub(super) purse: Purse,
    /// The provider remembers what we sent before a crash or by another clock; we do not.
    pub(super) forgot: bool,
}

impl Witness {
    /// After every step.
    pub(super) fn look(&mut self, world: &World) {
        self.purse.look(world);
        let mut stopped = BTreeSet::new();
        for (job, state) in world.night.engine.ledger().jobs() {
            let counts = state.counts();
            assert_eq!(counts.total(), job.n_items, "I1: every item is in one place: {counts:?}");
            let in_flight: BTreeSet<ItemIndex> = state.open.values().map(|open| open.item).collect();
            assert_eq!(counts.running as usize, in_flight.len(), "I1: what runs has an attempt in flight");
            let racing = state.open.len() - in_flight.len();
            assert!(racing <= state.races.len(), "I1: {racing} attempts too many: {:?}", state.races);
            if let Some(cap) = state.cap(job) {
                assert!(state.committed() <= cap, "I9: {} committed of {cap}", state.committed());
            }
            let reserved: Usd = state.open.values().map(|open| open.worst_case).sum();
            assert_eq!(state.reserved, reserved, "I9: reservations are those of the attempts in flight");
            if state.paused || state.cancelled {
                stopped.insert(job.id.clone());
            }
        }
        let log = world.night.provider.log();
        for line in &log[self.log_seen..] {
            let attempt = attempt(line);
            let started = world.night.rows.started.get(&attempt);
            let started =
                started.unwrap_or_else(|| panic!("I4: {attempt} was sent before it was written down"));
            if line.batch.is_some() {
                // It ran when its batch was over, whatever has happened since that was made.
                assert!(started.batch.is_some(), "I4: {attempt} was sent in a batch it was not started for");
                continue;
            }
            let stopped = self.stopped.contains(&started.job);
            assert!(!stopped, "I6: {attempt} was sent although its job was stopped");
            assert!(!self.was_on_hold, "I6: {attempt} was sent although the disk was full");
        }
        self.log_seen = log.len();
        self.stopped = stopped;
        self.was_on_hold = world.on_hold;
    }

    /// The power went: what is durable now must stay as it is.
    pub(super) fn power_cut(&mut self, world: &mut World) {
        self.purse.look(world);
        self.log_seen = world.night.provider.log().len();
        self.stopped.clear();
        self.was_on_hold = false;
        self.forgot = true;
        world.on_hold = false;
        self.rows_are_final(world);
    }

    /// Recovery a second time comes to the same (I17).
    pub(super) fn recovered(&mut self, world: &mut World, again: bool) {
        if !again {
            return;
        }
        let bare = |world: &World| {
            let jobs = world.night.engine.ledger().jobs();
            let jobs = jobs.map(|(job, state)| (job.id.clone(), bare(state))).collect::<Vec<_>>();
            let globals = &world.night.engine.ledger().globals;
            (jobs, globals.budgets.clone(), globals.drawn.clone())
        };
        let before = bare(world);
        world.night.restart(0, before.0.len().is_multiple_of(2));
        // The two are too long to be shown.
        assert!(bare(world) == before, "I17: recovering twice is recovering once");
    }

    /// A command or an order to hold is about to be given: what was sent before is no breach of it.
    pub(super) fn commanded(&mut self, world: &World, resumed: Option<&JobId>) {
        self.log_seen = world.night.provider.log().len();
        if let Some(job) = resumed {
            self.stopped.remove(job);
        }
    }

    /// Sends are allowed again.
    pub(super) fn hold_over(&mut self) {
        self.was_on_hold = false;
    }

    /// An answer to an attempt that is over, or that never was, changes nothing (I16).
    pub(super) fn deliver_stale(&mut self, world: &mut World, chance: &mut Chance) {
        if !chance.hit(0.01) {
            return;
        }
        let open: BTreeSet<AttemptId> =
            world.night.engine.ledger().jobs().flat_map(|(_, state)| state.open.keys().copied()).collect();
        let over = world.night.rows.started.keys().find(|attempt| !open.contains(attempt)).copied();
        let seq = world.night.engine.ledger().globals.seq;
        let ending = Ending {
            outcome: Outcome::Answer(Answer { text: "pass".to_owned(), ..Answer::default() }),
            hints: RateHints::default(),
            sent_at: world.night.now(),
        };
        let attempt = over.unwrap_or(AttemptId(u64::MAX));
        world.night.event(Event::Ended(attempt, ending)).expect("nothing is written, so nothing is cut");
        assert_eq!(world.night.engine.ledger().globals.seq, seq, "I16: a stale answer was taken");
    }

    /// Where nothing happens without a person, does what a person would.
    pub(super) fn help_where_stuck(&mut self, world: &mut World) {
        if world.night.engine.in_flight() > 0 {
            return;
        }
        for view in world.night.engine.views(world.night.now()) {
            let (_, state) = world.night.engine.ledger().get(&view.job_id).expect("it has a view");
            if state.finished_at.is_some() || state.cancelled || !state.open.is_empty() {
                continue;
            }
            // Copies wait as the item does whose answer they get.
            let copies = view.waiting.get(&Waiting::Duplicate).copied().unwrap_or_default();
            let waiting = view.waiting.keys().filter(|waiting| **waiting != Waiting::Duplicate);
            let only_budget = waiting.eq([&Waiting::Budget]);
            if only_budget && self.purse.help(world, view.waiting_until) {
                continue;
            } else if only_budget {
                self.blocked += 1;
                assert!(self.blocked < 50, "I19: the cap was taken away and still stops the job");
                let change = Event::Command(view.job_id.clone(), JobChange::MaxCost(None));
                world.night.event(change).expect("no cut is planned");
            } else if view.counts.held > 0 && view.counts.pending == copies {
                self.resumes += 1;
                assert!(self.resumes < 150, "I19: held items come back for ever");
                let change = Event::Command(view.job_id.clone(), JobChange::Resumed);
                world.night.event(change).expect("no cut is planned");
            }
        }
    }

    /// When all is over.
    pub(super) fn end(&mut self, world: &World, cuts: u64) {
        self.rows_are_final(world);
        for submission in &world.jobs {
            let id = &submission.job.id;
            let (job, state) =
                world.night.engine.ledger().get(id).expect("G1: a job that was accepted is gone");
            assert!(state.finished_at.is_some(), "I19: the job did not end: {:?}", state.counts());
            let rows = world.night.rows.committed(id);
            let once: BTreeMap<ItemIndex, u32> = (0..job.n_items).map(|item| (item, 1)).collect();
            assert_eq!(world.night.rows.copies(id), once, "I2, I13: one row for each item");
            assert!(world.night.rows.finished.contains(id), "I13: the manifest is written");
            audit::job(world, submission, state, &rows);
            audit::hours(world, submission);
        }
        // Where a month's budget is waited for, nobody looks after a disk that stays full.
        let days = if world.limits.is_some() { 100 } else { 30 };
        assert!(world.night.now() < world.begins + A_DAY * days, "I19: it took {days} days");
        audit::provider(world);
        audit::batches(world);
        free::end(world);
        self.purse.end(world, cuts);
        if !self.forgot {
            let over = world.night.provider.totals().over_limit;
            assert_eq!(over, 0, "I10: {over} requests were over a limit of {:?} a minute", world.rpm);
        }
    }

    /// Adds to what all nights saw.
    pub(super) fn sum_up(&self, world: &World, seen: &mut Seen) {
        for (job, state) in world.night.engine.ledger().jobs() {
            seen.job(state, &world.night.rows.committed(&job.id));
        }
        seen.blocked += self.blocked;
        seen.resumed += u64::from(self.resumes);
        seen.out_of_budget += self.purse.stopped;
        seen.over_midnight += u64::from(self.purse.days() > 1);
        seen.alerts += self.purse.alerts();
        seen.measured += u64::from(!self.forgot && world.rpm.is_some());
        seen.requests += world.night.provider.totals().requests;
        seen.pico += world.night.provider.totals().billed.pico();
    }

    /// A result that was durable once is the same for ever (I2).
    fn rows_are_final(&mut self, world: &World) {
        for submission in &world.jobs {
            let id = &submission.job.id;
            for row in world.night.rows.all(id).results {
                let before = self.final_rows.insert((id.clone(), row.item), row.status);
                assert!(
                    before.is_none_or(|status| status == row.status),
                    "I2: item {} ended twice",
                    row.item
                );
            }
        }
    }
}

pub(super) fn attempt(line: &Line) -> AttemptId {
    match &line.client_id {
        Some(ClientId::Attempt(attempt)) => *attempt,
        other => panic!("a request without an attempt's name: {other:?}"),
    }
}

/// A job's state without marks of the running program, and of items that have ended only how: from the
/// parts that is all that is known.
fn bare(state: &JobLedger) -> (JobLedger, Vec<(Phase, u16)>) {
    let item = |state: ItemState| (state.phase(), if state.is_final() { 0 } else { state.stored() });
    (state.without_items(), state.items.iter().map(item).collect())
}
