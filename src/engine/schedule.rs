//! When to wait for a cheaper hour, on which lane to go, and how many: the planner's orders in force.
//!
//! [`crate::plan::schedule`] plans counts; here it is decided when to plan again, and its orders become
//! doors that a route of a step shows to an item. Jobs all of whose routes cost the same at every hour are
//! not planned: there is nothing to wait for. Neither are jobs that say themselves when to send, `asap` and
//! `off-peak`; but what they take of a route is known to the plans of the others.
//!
//! A plan is derived from the ledger and the queues and is never stored: a restart makes a new one.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::flight::Flight;
use super::problem::{Key, Posed};
use super::queue::StepQueue;
use super::{Effect, Engine, Notice};
use crate::attempt::{Ending, Outcome, RefusalKind};
use crate::catalog::Route;
use crate::catalog::pricing::FLAT;
use crate::clock::Timestamp;
use crate::job::{ItemIndex, Job, JobId, When};
use crate::plan::route::{BATCH, Door, FLEX, Orders};
use crate::plan::schedule::replan::{AT_MOST_EVERY, AfterRefusal, after_refusals, is_due};
use crate::plan::schedule::{Order, Plan, Problem, Rules, Why, plan};
use crate::view::Waiting;

/// Answers after which a pace is known well enough to call a deadline impossible.
const ENOUGH_ANSWERS: u64 = 20;

/// The plan in force.
#[derive(Default)]
pub(super) struct Schedule {
    /// Jobs that have something to wait for.
    jobs: BTreeSet<JobId>,
    made: Option<Made>,
    looked_at: Timestamp,
    /// Jobs whose deadline was called impossible.
    told: BTreeSet<JobId>,
    /// Refusals in a row on the flex lane, of items that had any.
    refused: BTreeMap<(JobId, ItemIndex), u32>,
}

/// What a plan was made from, and what it orders.
struct Made {
    at: Timestamp,
    problem: Problem,
    replan_at: Timestamp,
    orders: BTreeMap<JobId, BTreeMap<Key, Standing>>,
    /// Classes it knows of, those included that were too many to plan.
    seen: BTreeSet<(JobId, u16)>,
}

/// The order for one queue, less what was sent since.
pub(super) struct Standing {
    /// Which routes of the step take what was planned.
    takes: Vec<bool>,
    /// Attempts that may still be sent in this slot.
    left: Vec<(Arc<str>, u64)>,
    /// The routes it sends to or waits for; `None` where it waits for any.
    named: Option<Vec<Arc<str>>>,
    /// Whether there was nothing to plan.
    is_empty: bool,
    waiting: Waiting,
    until: Timestamp,
    words: Option<String>,
    /// What goes into provider batches.
    submit: Option<Submission>,
    /// The batch lane that all goes to or waits for; `None` where single calls have a part in it.
    only_batch: Option<Arc<Route>>,
    /// Whether the deadline forces sending at any price.
    pub guard: bool,
}

/// Lines that an order puts into provider batches.
#[derive(Clone)]
pub(super) struct Submission {
    /// On this route.
    pub route: Arc<Route>,
    /// So many, less those that are in one since.
    pub left: u64,
    /// So many in each batch.
    pub part: u64,
}

/// What an order says to one item.
pub(super) struct Ordered<'a> {
    /// The order for its queue.
    pub order: &'a Standing,
    /// The item was refused on the flex lane so often that it pays for realtime.
    pub pays_more: bool,
}

impl Orders for Ordered<'_> {
    fn names(&self, route: &Route) -> bool {
        let Standing { named, .. } = self.order;
        self.pays_more || named.as_ref().is_none_or(|named| named.contains(&route.name))
    }

    fn door(&self, route: &Route) -> Door {
        match self.pays_more {
            true if &*route.lane != FLEX => Door::Open,
            true => Door::Closed(Waiting::RateLimit, None),
            false => self.order.door(route),
        }
    }
}

impl Standing {
    /// What a route that would start something now says to an item.
    fn door(&self, route: &Route) -> Door {
        let left = self.left.iter().find(|(name, _)| *name == route.name);
        match left {
            Some(&(_, left)) if left > 0 => Door::Open,
            _ => Door::Closed(self.waiting, Some(self.until)),
        }
    }

    /// Until when, if nothing else happens.
    pub(super) fn until(&self) -> Timestamp {
        self.until
    }

    /// What is waited for, in words.
    pub(super) fn words(&self) -> Option<String> {
        self.words.clone()
    }

    /// Whether more wants to go than was ordered.
    fn is_used_up(&self) -> bool {
        if let Some(submit) = &self.submit {
            return submit.left == 0;
        }
        self.left.iter().all(|&(_, left)| left == 0) && (self.is_empty || !self.left.is_empty())
    }
}

impl Schedule {
    /// The order for a queue, if it holds for an item that these routes take.
    pub(super) fn order(&self, job: &JobId, key: Key) -> Option<&Standing> {
        self.made.as_ref()?.orders.get(job)?.get(&key)
    }

    /// An attempt was started.
    pub(super) fn sent(&mut self, job: &JobId, key: Key, route: &str) {
        let Some(orders) = self.made.as_mut().and_then(|made| made.orders.get_mut(job)) else { return };
        let Some(order) = orders.get_mut(&key) else { return };
        if let Some((_, left)) = order.left.iter_mut().find(|(name, _)| **name == *route) {
            *left = left.saturating_sub(1);
        }
    }

    /// Whether an item was refused on the flex lane so often that it pays for realtime.
    pub(super) fn pays_for_realtime(&self, job: &JobId, item: ItemIndex, guard: bool) -> bool {
        guard
            && !self.refused.is_empty()
            && self
                .refused
                .get(&(job.clone(), item))
                .is_some_and(|&times| after_refusals(times, guard) == AfterRefusal::Realtime)
    }

    /// A line was put into a batch.
    pub(super) fn submitted(&mut self, job: &JobId, key: Key) {
        let made = self.made.as_mut().and_then(|made| made.orders.get_mut(job));
        if let Some(submit) = made.and_then(|orders| orders.get_mut(&key)?.submit.as_mut()) {
            submit.left = submit.left.saturating_sub(1);
        }
    }

    /// The batch lane that everything of a queue goes to or waits for.
    pub(super) fn only_batch(&self, job: &JobId, key: Key) -> Option<&Arc<Route>> {
        self.order(job, key)?.only_batch.as_ref()
    }

    /// What is still to be put into batches from a queue.
    pub(super) fn submission(&self, job: &JobId, key: Key) -> Option<&Submission> {
        self.order(job, key)?.submit.as_ref().filter(|submit| submit.left > 0)
    }

    /// A job is over.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.refused.retain(|(of, _), _| of != job);
        self.jobs.remove(job);
        self.told.remove(job);
    }

    /// The routes it was made for are others now.
    pub(super) fn drop_plan(&mut self) {
        self.made = None;
    }

    fn next_look(&self) -> Timestamp {
        self.looked_at + AT_MOST_EVERY
    }
}

impl Engine {
    /// Plans a job from now on, if it has something to wait for: asked when it comes, or a route does.
    pub(super) fn plan_for(&mut self, job: &Job) {
        let mut steps = job.classes.iter().flat_map(|class| &class.ladder.0);
        let mut waits = |names: &Vec<String>| {
            let batches = self.lanes.batches_of_step(names);
            let direct = self.lanes.of_step(names);
            let only_batches = !batches.is_empty() && direct.iter().all(|route| route.unusable.is_some());
            let may_wait = job.options.when == When::Cheapest;
            only_batches || may_wait && (!batches.is_empty() || direct.iter().any(|route| varies(route)))
        };
        if steps.any(&mut waits) {
            self.schedule.jobs.insert(job.id.clone());
        }
    }

    /// Looks at every job again, because routes have come or changed.
    pub(super) fn plan_for_all(&mut self) {
        let jobs: Vec<Arc<Job>> = self.queues.values().map(|queue| queue.job.clone()).collect();
        for job in jobs {
            self.plan_for(&job);
        }
    }

    /// Plans again where something changed.
    pub(super) fn replan(&mut self) {
        if self.schedule.jobs.is_empty() || self.on_hold {
            return;
        }
        let is_new = self.has_unplanned();
        let was_set_back = self.now < self.schedule.looked_at;
        if self.now < self.schedule.next_look() && !is_new && !was_set_back {
            return;
        }
        self.schedule.looked_at = self.now;
        let (problem, posed, seen) = self.problem();
        let is_due = match &self.schedule.made {
            _ if is_new => true,
            Some(made) => {
                is_due(&made.problem, made.at, made.replan_at, &problem)
                    || made.asks_for(&posed)
                    || self.wants_more(made)
            }
            None => !posed.is_empty(),
        };
        if is_due {
            let plan = plan(&problem, &Rules::default());
            self.tell_impossible(&problem, &posed, &plan);
            let recalled: Vec<u64> = posed
                .iter()
                .zip(&plan.orders)
                .flat_map(|(posed, order)| order.recall.iter().map(|&batch| posed.batches[batch]))
                .collect();
            self.put_in_force(problem, &posed, seen, &plan);
            self.recall(&recalled);
        }
    }

    /// When a plan is due if nothing else happens. None is made on hold: whoever woke for it would wake again
    /// at once.
    pub(super) fn replan_at(&self) -> Timestamp {
        match &self.schedule.made {
            _ if self.on_hold => Timestamp::MAX,
            Some(made) if !self.schedule.jobs.is_empty() && !made.orders.is_empty() => {
                let due = if self.wants_more(made) { self.now } else { made.replan_at };
                due.max(self.schedule.next_look())
            }
            _ => Timestamp::MAX,
        }
    }

    /// Counts refusals on the flex lane; how long the item rests where these are too many and it has time.
    pub(super) fn rest_after_refusal(&mut self, flight: &Flight, ending: &Ending) -> Option<Duration> {
        let is_flex = &*flight.call.route.lane == FLEX;
        if !is_flex && self.schedule.refused.is_empty() {
            return None;
        }
        let key = (flight.job.id.clone(), flight.item.index);
        let is_refused = |outcome: &Outcome| {
            matches!(outcome, Outcome::Refused(refusal)
                if matches!(refusal.kind, RefusalKind::Rate | RefusalKind::Capacity))
        };
        if !is_flex || !is_refused(&ending.outcome) {
            self.schedule.refused.remove(&key);
            return None;
        }
        let times = self.schedule.refused.get(&key).map_or(1, |times| times + 1);
        let guard = self.schedule.order(&key.0, (flight.item.class, flight.step)).map(|order| order.guard);
        let rests = guard.is_some_and(|guard| after_refusals(times, guard) == AfterRefusal::Wait);
        if rests {
            self.schedule.refused.remove(&key);
            return Some(self.schedule.made.as_ref()?.replan_at.since(self.now));
        }
        self.schedule.refused.insert(key, times);
        None
    }

    /// Whether something is loaded that no plan has seen.
    fn has_unplanned(&self) -> bool {
        self.schedule.jobs.iter().any(|id| {
            let Some(queue) = self.queues.get(id) else { return false };
            let state = self.ledger.get(id).expect("a queue has a ledger").1;
            let is_seen = |class| match &self.schedule.made {
                Some(made) => made.seen.contains(&(id.clone(), class)),
                None => false,
            };
            let is_past = |class: u16| {
                queue.job.classes[usize::from(class)].deadline.is_some_and(|deadline| deadline <= self.now)
            };
            let is_new = |&(class, _): &Key, step: &StepQueue| {
                !step.ready.is_empty() && !is_seen(class) && !is_past(class)
            };
            !state.paused && !state.cancelled && queue.steps.iter().any(|(key, step)| is_new(key, step))
        })
    }

    /// Whether a queue has sent all that was ordered, and more waits.
    fn wants_more(&self, made: &Made) -> bool {
        made.orders.iter().any(|(id, orders)| {
            let Some(queue) = self.queues.get(id) else { return false };
            let waits = |key: &Key| queue.steps.get(key).is_some_and(|step| !step.ready.is_empty());
            orders.iter().any(|(key, order)| order.is_used_up() && waits(key))
        })
    }

    fn put_in_force(&mut self, problem: Problem, posed: &[Posed], seen: BTreeSet<(JobId, u16)>, plan: &Plan) {
        let mut orders: BTreeMap<JobId, BTreeMap<Key, Standing>> = BTreeMap::new();
        for ((posed, order), work) in posed.iter().zip(&plan.orders).zip(&problem.works) {
            if self.schedule.jobs.contains(&posed.job) {
                let standing = standing(posed, order, work.pending, self.now, plan.replan_at);
                orders.entry(posed.job.clone()).or_default().insert(posed.key, standing);
            }
        }
        self.schedule.made = Some(Made { at: self.now, problem, replan_at: plan.replan_at, orders, seen });
    }

    /// Says once of a job that its deadline cannot be kept. While an account is shut nobody knows.
    fn tell_impossible(&mut self, problem: &Problem, posed: &[Posed], plan: &Plan) {
        for outlook in &plan.outlooks {
            let Some(impossible) = outlook.impossible else { continue };
            let Some(&first) = outlook.works.first() else { continue };
            let id = &posed[first].job;
            let ways = || outlook.works.iter().flat_map(|&work| &problem.works[work].ways);
            let answers: u64 = ways().map(|way| way.attempts).sum();
            let is_shut = ways().any(|way| self.lanes.shut_until(way.route).is_some());
            let has_deadline = problem.works[first].deadline.is_some();
            let is_known = answers >= ENOUGH_ANSWERS && has_deadline && !is_shut;
            if is_known && self.schedule.told.insert(id.clone()) {
                let (job, earliest, fits) = (id.clone(), impossible.earliest, impossible.fits);
                self.effects.push(Effect::Tell(Notice::TooLate { job, earliest, fits }));
            }
        }
    }
}

impl Made {
    /// Whether other queues are to be planned than were.
    fn asks_for(&self, posed: &[Posed]) -> bool {
        let is_missing = |posed: &&Posed| {
            self.orders.get(&posed.job).is_some_and(|orders| !orders.contains_key(&posed.key))
        };
        posed.iter().any(|posed| is_missing(&posed))
    }
}

/// Whether an hour or a lane of a route may be better than another.
fn varies(route: &Route) -> bool {
    let prices = route.prices.as_ref().is_some_and(|table| !table.windows.is_empty());
    prices || !route.hours.is_always() || &*route.lane != "realtime"
}

fn standing(posed: &Posed, order: &Order, pending: u64, now: Timestamp, replan_at: Timestamp) -> Standing {
    let route = |way: usize| &posed.ways[way];
    let submit = order.submit.map(|submit| Submission {
        route: route(submit.way).clone(),
        left: submit.lines,
        part: submit.part,
    });
    let left: Vec<_> = order.send.iter().map(|send| (route(send.way).name.clone(), send.at_most)).collect();
    let held_for = match order.hold.map(|hold| hold.why) {
        Some(Why::CheaperHour { way }) => Some(route(way).clone()),
        _ => None,
    };
    let awaited = match order.hold.map(|hold| hold.why) {
        Some(Why::Closed | Why::Room) => None,
        _ => Some(held_for.as_ref().map(|route| route.name.clone())),
    };
    let only_batch = match (&submit, &awaited) {
        _ if !left.is_empty() => None,
        (Some(submit), Some(None)) => Some(submit.route.clone()),
        _ => held_for.filter(|route| &*route.lane == BATCH),
    };
    let named = awaited.map(|awaited| left.iter().map(|(name, _)| name.clone()).chain(awaited).collect());
    let named = named.filter(|named: &Vec<Arc<str>>| !named.is_empty());
    let (waiting, until, words) = match order.hold {
        Some(hold) => match hold.why {
            Why::CheaperHour { way } => (Waiting::Window, hold.until, cheaper(route(way), now, hold.until)),
            Why::Closed => (Waiting::Window, hold.until, opening(&posed.routes, now)),
            Why::Room => (Waiting::RateLimit, replan_at, None),
        },
        None => (Waiting::RateLimit, replan_at, None),
    };
    Standing {
        takes: posed.takes.clone(),
        left,
        named,
        is_empty: pending == 0 && order.send.is_empty(),
        waiting,
        until,
        words,
        submit,
        only_batch,
        guard: order.guard,
    }
}

impl Standing {
    /// Whether what was planned is like an item that these routes take.
    pub(super) fn is_for(&self, takes: &[bool]) -> bool {
        self.takes == takes
    }
}

/// `waits for deepseek off-peak`.
fn cheaper(route: &Route, now: Timestamp, at: Timestamp) -> Option<String> {
    let window = &**route.prices.as_ref()?.at(at).0;
    let provider = &route.provider;
    Some(match window {
        _ if !route.hours.is_open(now) => format!("waits for {provider} to open"),
        FLAT | "standard" => format!("waits for cheaper hours of {provider}"),
        _ => format!("waits for {provider} {window}"),
    })
}

/// `waits for deepseek to open`.
fn opening(routes: &[Arc<Route>], now: Timestamp) -> Option<String> {
    let closed = routes.iter().filter(|route| !route.hours.is_open(now));
    let first = closed.min_by_key(|route| route.hours.next_change(now).unwrap_or(Timestamp::MAX))?;
    Some(format!("waits for {} to open", first.provider))
}

/// What an item waits for that is not planned, where a route of its step has another hour then.
pub(super) fn window_words(routes: &[Arc<Route>], now: Timestamp, until: Timestamp) -> Option<String> {
    let opens = |route: &&Arc<Route>| !route.hours.is_open(now) && route.hours.is_open(until);
    if let Some(route) = routes.iter().find(opens) {
        return Some(format!("waits for {} to open", route.provider));
    }
    let changes =
        |route: &&Arc<Route>| route.prices.as_ref().is_some_and(|table| table.at(now).0 != table.at(until).0);
    routes.iter().find(changes).and_then(|route| cheaper(route, now, until))
}

/// `1 h 48 m`.
pub(super) fn duration(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} m"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} m"),
    }
}
