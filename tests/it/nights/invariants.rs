//! What must hold in every night, judged by the provider's own log and by the committed rows.
//!
//! The numbers I1–I19 name the promises: counts add up, results are unique and final, nothing is sent
//! before it is written down, budgets hold, money adds up, recovery is repeatable, everything ends.

use std::collections::{BTreeMap, BTreeSet};

use overnight::attempt::{Answer, AttemptStatus, CostBasis, Ending, ItemStatus, Outcome, RateHints};
use overnight::engine::Event;
use overnight::job::{AttemptId, ItemIndex, OnUnknown};
use overnight::ledger::{ItemState, JobLedger};
use overnight::money::Usd;
use overnight::provider::simulated::{ClientId, Fault, Line};
use overnight::record::{Ended, JobChange, Next};
use overnight::view::Waiting;

use super::rows::Part;
use super::scenario::{Chance, World};
use super::{A_DAY, Seen};

/// What was seen so far.
pub(super) struct Witness {
    log_seen: usize,
    stopped: bool,
    final_rows: BTreeMap<ItemIndex, ItemStatus>,
    blocked: bool,
    resumes: u32,
}

impl Witness {
    pub(super) fn new(_: &World) -> Witness {
        Witness { log_seen: 0, stopped: false, final_rows: BTreeMap::new(), blocked: false, resumes: 0 }
    }

    /// After every step.
    pub(super) fn look(&mut self, world: &World) {
        let (job, state) = world.night.engine.ledger().get(&world.job.id).expect("the job is known");
        let counts = state.counts();
        assert_eq!(counts.total(), job.n_items, "I1: every item is in one place: {counts:?}");
        if let Some(cap) = state.cap(job) {
            assert!(state.committed() <= cap, "I9: {} committed of {cap}", state.committed());
        }
        let reserved: Usd = state.open.values().map(|open| open.worst_case).sum();
        assert_eq!(state.reserved, reserved, "I9: reservations are those of the attempts in flight");
        let log = world.night.provider.log();
        for line in &log[self.log_seen..] {
            let attempt = attempt(line);
            let written = world.night.rows.started.contains_key(&attempt);
            assert!(written, "I4: {attempt} was sent before it was written down");
            assert!(!self.stopped, "I6: {attempt} was sent although the job was stopped");
        }
        self.log_seen = log.len();
        self.stopped = state.paused || state.cancelled;
    }

    /// The power went: what is durable now must stay as it is.
    pub(super) fn power_cut(&mut self, world: &World) {
        self.log_seen = world.night.provider.log().len();
        self.stopped = false;
        self.rows_are_final(world);
    }

    /// Recovery a second time comes to the same (I17).
    pub(super) fn recovered(&mut self, world: &mut World, again: bool) {
        let job = world.job.id.clone();
        let Some((_, state)) = world.night.engine.ledger().get(&job) else { return };
        self.stopped = false;
        if again {
            let before = bare(state);
            world.night.restart(0, before.1.len().is_multiple_of(2));
            let (_, state) = world.night.engine.ledger().get(&job).expect("I17: the job is still known");
            assert_eq!(bare(state), before, "I17: recovering twice is recovering once");
        }
    }

    /// A command is about to be given.
    pub(super) fn commanded(&mut self, world: &World, change: &JobChange) {
        // What was sent before the command is no breach of it.
        self.log_seen = world.night.provider.log().len();
        if *change == JobChange::Resumed {
            self.stopped = false;
        }
    }

    /// The command was lost with the power.
    pub(super) fn forget_command(&mut self) {
        self.stopped = false;
    }

    /// An answer to an attempt that is over, or that never was, changes nothing (I16).
    pub(super) fn deliver_stale(&mut self, world: &mut World, chance: &mut Chance) {
        if !chance.hit(0.01) {
            return;
        }
        let (_, state) = world.night.engine.ledger().get(&world.job.id).expect("the job is known");
        let over = world.night.rows.started.keys().find(|attempt| !state.open.contains_key(attempt)).copied();
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

    /// Whether nothing happens without a person; then does what a person would.
    pub(super) fn is_stuck(&mut self, world: &mut World) -> bool {
        let now = world.night.now();
        let job = world.job.id.clone();
        let (_, state) = world.night.engine.ledger().get(&job).expect("the job is known");
        if world.night.engine.in_flight() > 0 || state.finished_at.is_some() || !state.open.is_empty() {
            return false;
        }
        let held = state.counts().held;
        let over_cap = state.cap(&world.job).is_some();
        let views = world.night.engine.views(now);
        let waits = &views[0].waiting;
        if over_cap && waits.len() == 1 && waits.contains_key(&Waiting::Budget) {
            self.blocked = true;
            world.night.event(Event::Command(job, JobChange::MaxCost(None))).expect("no cut is planned");
            return false;
        }
        if held > 0 && views[0].counts.pending == 0 {
            self.resumes += 1;
            assert!(self.resumes < 50, "I19: held items come back for ever");
            world.night.event(Event::Command(job, JobChange::Resumed)).expect("no cut is planned");
        }
        false
    }

    /// When all is over.
    pub(super) fn end(&mut self, world: &World) {
        let (job, state) = world.night.engine.ledger().get(&world.job.id).expect("the job is known");
        assert!(state.finished_at.is_some(), "I19: the job did not end: {:?}", state.counts());
        assert!(world.night.now() < super::scenario::EVENING + A_DAY * 30, "I19: it took a month");
        self.rows_are_final(world);
        let rows = world.night.rows.committed(&job.id);
        let copies = world.night.rows.copies(&job.id);
        let once: BTreeMap<ItemIndex, u32> = (0..job.n_items).map(|item| (item, 1)).collect();
        assert_eq!(copies, once, "I2, I13: one row for each item");
        assert!(world.night.rows.finished.contains(&job.id), "I13: the manifest is written");
        self.attempts_are_the_providers(world, &rows);
        self.money_adds_up(world, state, &rows);
        limits_of_attempts(world, &rows);
    }

    /// Adds to what all nights saw.
    pub(super) fn sum_up(&self, world: &World, seen: &mut Seen) {
        let (job, state) = world.night.engine.ledger().get(&world.job.id).expect("the job is known");
        let rows = world.night.rows.committed(&job.id);
        seen.unknown += state.unknown;
        seen.escalated += rows.attempts.iter().filter(|row| row.escalation.is_some()).count() as u64;
        seen.succeeded += u64::from(state.counts().succeeded);
        seen.cancelled += u64::from(state.counts().cancelled);
        seen.blocked += u64::from(self.blocked);
        seen.requests += world.night.provider.totals().requests;
        seen.pico += world.night.provider.totals().billed.pico();
    }

    /// A result that was durable once is the same for ever (I2).
    fn rows_are_final(&mut self, world: &World) {
        for row in world.night.rows.all(&world.job.id).results {
            let before = self.final_rows.insert(row.item, row.status);
            assert!(before.is_none_or(|status| status == row.status), "I2: item {} ended twice", row.item);
        }
    }

    /// Every request the provider saw has one row, and none follows an accepted answer (G4, G10).
    fn attempts_are_the_providers(&self, world: &World, rows: &Part) {
        let mut ids = BTreeSet::new();
        for row in &rows.attempts {
            assert!(ids.insert(row.attempt), "{} has two rows", row.attempt);
        }
        for line in world.night.provider.log() {
            assert!(ids.contains(&attempt(line)), "{} was sent and has no row", attempt(line));
        }
        let accepted = rows.attempts.iter().filter(|row| row.status == AttemptStatus::Succeeded);
        let accepted: BTreeMap<ItemIndex, AttemptId> = accepted.map(|row| (row.item, row.attempt)).collect();
        for row in &rows.attempts {
            let last = accepted.get(&row.item).copied().unwrap_or(row.attempt);
            assert!(row.attempt <= last, "G4: item {} was sent again after its answer", row.item);
        }
    }

    /// To the pico-dollar where the bill is known, within the worst case where it is not (I8).
    fn money_adds_up(&self, world: &World, state: &JobLedger, rows: &Part) {
        let log = world.night.provider.log();
        let lines: BTreeMap<AttemptId, &Line> = log.iter().map(|line| (attempt(line), line)).collect();
        let (mut known, mut at_risk, mut unbilled) = (Usd::ZERO, Usd::ZERO, Usd::ZERO);
        for row in &rows.attempts {
            let billed = lines.get(&row.attempt).map_or(Usd::ZERO, |line| line.billed);
            at_risk += row.at_risk;
            let presumed_unbilled =
                lines.get(&row.attempt).and_then(|line| line.fault) == Some(Fault::ServerErrorBilled);
            if row.at_risk > Usd::ZERO {
                assert_eq!(row.cost_basis, CostBasis::Estimated);
                assert!(billed <= row.at_risk, "I8: {} was billed more than its worst case", row.attempt);
            } else if presumed_unbilled {
                unbilled += billed;
            } else {
                assert_eq!(row.cost, billed, "I8: {} {:?}", row.attempt, row.error);
                known += row.cost;
            }
        }
        assert_eq!(state.spent, known, "I8: the ledger's sum is that of its rows");
        assert_eq!(state.at_risk, at_risk);
        let billed = world.night.provider.totals().billed;
        assert!(known <= billed && billed <= known + at_risk + unbilled, "I8: {known} {billed} {at_risk}");
        let of_items: Usd = rows.results.iter().map(|row| row.totals.cost).sum();
        let of_attempts: Usd = rows.attempts.iter().map(|row| row.cost).sum();
        assert_eq!(of_items, of_attempts, "items cost what their attempts cost");
    }
}

/// I5: attempts per item are limited by kind.
fn limits_of_attempts(world: &World, rows: &Part) {
    let options = &world.job.options;
    let mut by_item: BTreeMap<ItemIndex, Vec<&Ended>> = BTreeMap::new();
    for row in &rows.attempts {
        by_item.entry(row.item).or_default().push(row);
    }
    for (item, attempts) in by_item {
        let counted = attempts.iter().filter(|row| row.counts()).count();
        assert!(counted <= usize::from(options.max_attempts), "I5: item {item} took {counted} attempts");
        let unknown = attempts.iter().filter(|row| row.status == AttemptStatus::Unknown).count();
        let resends = usize::from(options.unknown_resends);
        if options.on_unknown == OnUnknown::Resend {
            assert!(
                unknown <= resends + 1,
                "I5: item {item} was sent again after {unknown} unknown outcomes"
            );
        }
        let settled = attempts.iter().filter(|row| matches!(row.next, Next::Settled(_))).count();
        assert!(settled <= 1, "I2: item {item} was settled {settled} times");
        let numbers: Vec<u16> = attempts.iter().map(|row| row.number).collect();
        let expected: Vec<u16> = (1..=numbers.len() as u16).collect();
        assert_eq!(numbers, expected, "attempts of item {item} are numbered without a gap");
    }
}

fn attempt(line: &Line) -> AttemptId {
    match &line.client_id {
        Some(ClientId::Attempt(attempt)) => *attempt,
        other => panic!("a request without an attempt's name: {other:?}"),
    }
}

/// A job's state without marks of the running program.
fn bare(state: &JobLedger) -> (JobLedger, Vec<u16>) {
    (state.without_items(), state.items.iter().map(ItemState::stored).collect())
}
