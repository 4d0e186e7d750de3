//! Hedges: a second attempt of an item that races one which is late.
//!
//! [`crate::plan::hedge`] says when an attempt is late and what an item and its job can afford. Here a route
//! is found for the second: another of the same step, or with the deadline near one of the next, that would
//! take the item at once and that nobody else waits for. It is started like any other attempt, so every
//! budget and every limit holds for it.
//!
//! The first good answer settles the item. The other call is given up before that is written down; it may be
//! billed all the same, so its worst case stays in every budget. A failure decides nothing while the other
//! attempt is in flight. The ledger knows who races whom, so a restart that finds both settles both.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::budgets::item_cap;
use super::decide::{Decision, Then};
use super::flight::{Flight, Stage};
use super::{Effect, Engine};
use crate::attempt::{AttemptStatus, Ending, ErrorCode, Outcome, RateHints};
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, Job};
use crate::ledger::{JobLedger, RouteStats, Tags};
use crate::money::Usd;
use crate::plan::hedge::{
    LEAST_PATIENCE, Tries, has_share, is_wanted, late_at, leaves_a_try, may_stay_unknown,
};
use crate::plan::route::{Choice, Circumstances, Door, FLEX, choose};
use crate::record::ItemTotals;
use crate::view::Waiting;

/// How often attempts in flight are looked at, at least.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// When attempts in flight are looked at next.
pub(super) struct Hedges {
    look_at: Timestamp,
}

impl Default for Hedges {
    fn default() -> Hedges {
        Hedges { look_at: Timestamp::MAX }
    }
}

impl Hedges {
    pub(super) fn clock_set_back(&mut self) {
        self.look_at = Timestamp::default();
    }
}

/// A second attempt that may start.
struct Second {
    step: u8,
    route: Arc<Route>,
    worst_case: Usd,
    tags: Tags,
}

impl Engine {
    /// When attempts in flight are looked at next; the end of time where none is, or nothing may be sent.
    pub(super) fn look_at(&self) -> Timestamp {
        let is_none = self.on_hold || self.flights.is_empty();
        if is_none { Timestamp::MAX } else { self.hedges.look_at }
    }

    /// An attempt was sent: it is looked at when it may be late.
    pub(super) fn look_after(&mut self, attempt: AttemptId) {
        if self.may_race(&self.flights[&attempt]) {
            self.hedges.look_at = self.hedges.look_at.min(self.now + LEAST_PATIENCE);
        }
    }

    /// Starts a second attempt of items whose first is late, where there is room to spare.
    pub(super) fn hedge(&mut self) {
        if self.now < self.look_at() {
            return;
        }
        let late = self.by_lateness();
        // What is late is learned from answers that come meanwhile, and routes come free.
        let mut next = if late.is_empty() { Timestamp::MAX } else { self.now + ASK_AGAIN };
        let mut awaited = None;
        for (late, attempt) in late {
            if late > self.now {
                next = next.min(late);
                break;
            }
            let awaited = awaited.get_or_insert_with(|| self.awaited());
            if let Some(Second { step, route, worst_case, tags }) = self.second(attempt, awaited) {
                let Flight { job, item, .. } = &self.flights[&attempt];
                self.launch(&job.clone(), item.clone(), step, route, worst_case, tags);
            }
        }
        self.hedges.look_at = next.max(self.now + LEAST_PATIENCE);
    }

    /// Attempts that are out and may be raced, with the moment from which on they are late, that first; the
    /// end of time where nobody can say yet.
    fn by_lateness(&mut self) -> Vec<(Timestamp, AttemptId)> {
        let mut jobs: Vec<Arc<Job>> = self.queues.values().map(|queue| queue.job.clone()).collect();
        jobs.retain(|job| job.classes.iter().any(|class| is_wanted(&job.options, class.deadline.is_some())));
        let mut late = Vec::new();
        for job in jobs {
            let urgent: Vec<bool> =
                job.classes.iter().map(|class| self.deadline(&job.id, &job, class.deadline).0).collect();
            let of_job = self.flights.values().filter(|flight| flight.job.id == job.id);
            late.extend(of_job.filter(|flight| self.may_race(flight)).map(|flight| {
                let is_urgent = urgent[usize::from(flight.item.class)] || self.is_guarded(flight);
                let late = late_at(flight.sent_at, is_urgent, self.stats(flight));
                (late.unwrap_or(Timestamp::MAX), flight.call.attempt)
            }));
        }
        late.sort();
        late
    }

    fn stats(&self, flight: &Flight) -> Option<&RouteStats> {
        self.ledger.get(&flight.job.id)?.1.routes.get(&flight.call.route.name)
    }

    /// Whether the plan sends what is on the step of this attempt at any price.
    fn is_guarded(&self, flight: &Flight) -> bool {
        let order = self.schedule.order(&flight.job.id, (flight.item.class, flight.step));
        order.is_some_and(|order| order.guard)
    }

    /// Whether an attempt may be raced at all, by what its item and its job have behind them.
    fn may_race(&self, flight: &Flight) -> bool {
        let Flight { job, item, stage, .. } = flight;
        let state = self.ledger.get(&job.id).expect("a flight has a ledger").1;
        let class = job.class(item.index);
        let ladder = &class.ladder.0;
        let has_others = ladder.len() > usize::from(flight.step) + 1
            || ladder.get(usize::from(flight.step)).is_some_and(|equals| equals.len() > 1)
            || &*flight.call.route.lane == FLEX;
        has_others
            && matches!(stage, Stage::Sent)
            && is_wanted(&job.options, class.deadline.is_some())
            && !(state.paused || state.cancelled || state.was_hedged(item.index))
            && has_share(state.hedges, state.attempts)
            && leaves_a_try(tries(state, job, item), &job.options)
            && may_stay_unknown(flight.worst_case, &job.options)
    }

    /// Lanes on which others wait for room: a first attempt goes before any second.
    fn awaited(&mut self) -> Vec<Arc<str>> {
        let mut waiting = Vec::new();
        for queue in self.queues.values() {
            for (&(class, step), items) in &queue.steps {
                let waits = items.parked.as_ref().is_some_and(|parked| parked.waiting == Waiting::RateLimit);
                if waits && !items.ready.is_empty() {
                    waiting.push(queue.job.classes[usize::from(class)].ladder.0[usize::from(step)].clone());
                }
            }
        }
        let routes = waiting.iter().flat_map(|names| self.lanes.of_step(names).to_vec());
        routes.map(|route| route.name.clone()).collect()
    }

    /// The second attempt of the item of a late one, if a route would take it now and budgets have room.
    fn second(&mut self, attempt: AttemptId, awaited: &[Arc<str>]) -> Option<Second> {
        let flight = &self.flights[&attempt];
        // Another one may have used up the job's share since the list was made.
        if !self.may_race(flight) {
            return None;
        }
        let (job, item, step) = (flight.job.clone(), flight.item.clone(), flight.step);
        let (late, held) = (flight.call.route.name.clone(), flight.worst_case);
        let is_guarded = self.is_guarded(flight);
        let class = job.class(item.index);
        let is_urgent = is_guarded || self.deadline(&job.id, &job, class.deadline).0;
        // A stronger model costs more than waiting does, unless there is no time to wait.
        let steps = if is_urgent { step..=step + 1 } else { step..=step };
        let tags = self.queues.get_mut(&job.id)?.tags.of(&item);
        for step in steps {
            let Some(names) = class.ladder.0.get(usize::from(step)) else { break };
            let routes = self.lanes.of_step(names);
            let Some(route) = self.free_route(&job, &item, step, &routes, (&late, awaited), &tags) else {
                continue;
            };
            let item = self.as_sent(&job, &item, step, &route);
            let worst_case = self.to_reserve(&job, &route, &item);
            if self.has_money(&job, &item, &tags, held, worst_case) {
                return Some(Second { step, route, worst_case, tags });
            }
        }
        None
    }

    /// The route of a step that would take an item at once, beside the one that is late.
    fn free_route(
        &mut self,
        job: &Arc<Job>,
        item: &Item,
        step: u8,
        routes: &Arc<[Arc<Route>]>,
        (late, awaited): (&Arc<str>, &[Arc<str>]),
        tags: &Tags,
    ) -> Option<Arc<Route>> {
        let taught = self.lessons(&job.id, job, (item.class, step), routes);
        let state = self.ledger.get(&job.id).expect("a flight has a ledger").1;
        let limited = self.ledger.globals.budgets.is_limited(tags);
        let is_closed = |route: &Route| {
            let is_taken = route.name == *late || awaited.contains(&route.name);
            is_taken || &*route.lane == FLEX || !self.lanes.has_room_to_spare(&route.name)
        };
        let given = Circumstances {
            taught: taught.of(self.spent(&job.id, item), false),
            stop: self.stop_at_first(job, state, item),
            now: self.now,
            when: job.options.when,
            urgent: true,
            wait_until: self.now,
            plan: None,
            allow_unpriced: job.options.allow_unpriced,
            capped: state.cap(job).is_some() || item_cap(item).is_some() || limited,
            known: self.known(&job.id),
            cover: &|route, item| self.cover(route, item, &self.known(&job.id)),
            door: &|route| match is_closed(route) {
                true => Door::Closed(Waiting::RateLimit, None),
                false => self.lanes.door(route, self.now),
            },
        };
        match choose(routes, item, &given) {
            Choice::Send(route) => Some(route),
            _ => None,
        }
    }

    /// Whether the worst case fits every budget beside that of the attempt in flight.
    fn has_money(&self, job: &Job, item: &Item, tags: &Tags, held: Usd, worst_case: Usd) -> bool {
        let state = self.ledger.get(&job.id).expect("a flight has a ledger").1;
        let committed = state.partial.get(&item.index).map_or(Usd::ZERO, |partial| partial.committed);
        let fits_item = item_cap(item).is_none_or(|cap| committed + held + worst_case <= cap);
        let may_stay_unknown = may_stay_unknown(worst_case, &job.options);
        fits_item && may_stay_unknown && self.afford(job, state, item, tags, worst_case).is_ok()
    }

    /// Whether an attempt was sent to race another.
    pub(super) fn is_hedge(&self, flight: &Flight) -> bool {
        let state = self.ledger.get(&flight.job.id).map(|(_, state)| state);
        state.is_some_and(|state| state.is_hedge(flight.item.index, flight.call.attempt))
    }

    /// What is known of an attempt's item beside it: the sums over those that ended, whether this one was
    /// sent to race another, and whether another is in flight.
    pub(super) fn beside(&self, flight: &Flight) -> (ItemTotals, bool, bool) {
        let Some((_, state)) = self.ledger.get(&flight.job.id) else { return Default::default() };
        let (item, attempt) = (flight.item.index, flight.call.attempt);
        let totals = state.partial.get(&item).map(|partial| partial.totals).unwrap_or_default();
        (totals, state.is_hedge(item, attempt), state.rival(item, attempt).is_some())
    }

    /// An answer was accepted: the other attempt of its item, if there is one, is given up.
    pub(super) fn cancel_rival(&mut self, winner: &Flight) {
        if let Some(rival) = self.rival(winner) {
            self.give_up(rival);
        }
    }

    fn rival(&self, flight: &Flight) -> Option<AttemptId> {
        self.ledger.get(&flight.job.id)?.1.rival(flight.item.index, flight.call.attempt)
    }

    /// Ends a call whose answer nobody wants any more. One that was answered already has a bill; one that
    /// was not may get one all the same.
    fn give_up(&mut self, attempt: AttemptId) {
        let Some(flight) = self.flights.get_mut(&attempt) else { return };
        let message = "another attempt of its item was answered first".to_owned();
        let ending = match std::mem::replace(&mut flight.stage, Stage::Sent) {
            Stage::Judging(ending) => *ending,
            Stage::Sent => {
                self.effects.push(Effect::Cancel(attempt));
                let sent_at = flight.sent_at;
                if let Some(lane) = flight.lane {
                    self.lanes.release(lane);
                    self.lanes.account(lane).probe_lost();
                }
                let outcome = Outcome::Unknown {
                    message: message.clone(),
                    code: ErrorCode::Cancelled,
                    http_status: None,
                };
                Ending { outcome, hints: RateHints::default(), sent_at }
            }
            stage => {
                flight.stage = stage;
                return self.withdraw(attempt);
            }
        };
        let flight = self.flights.remove(&attempt).expect("found above");
        self.filled(&flight, false);
        let decision = Decision {
            status: AttemptStatus::Cancelled,
            error: Some((ErrorCode::Cancelled, message)),
            then: Then::Failover,
        };
        self.write_end(flight, ending, decision, None);
    }
}

fn tries(state: &JobLedger, job: &Job, item: &Item) -> Tries {
    let own = item.options.as_ref().and_then(|options| options.max_attempts);
    let before = state.items.get(item.index);
    Tries {
        attempts: before.attempts(),
        max_attempts: own.unwrap_or(job.options.max_attempts),
        unknowns: before.unknowns(),
    }
}
