//! The first slot of a plan as orders in whole items, and what is expected of the rest.
//!
//! Pure.

use super::flow::{self, View};
use super::guard::Attempts;
use super::night::{Night, Step};
use super::slots::{hours_between, moment};
use super::{BATCH_COVER, Hold, Impossible, Order, Outlook, Plan, Planned, Send, Submit, Why};
use crate::job::When;

/// Batches a submission is cut into at least.
const PARTS: u64 = 8;
/// Of what a step needs, the share worth a submission of its own, up to some lines.
const TRICKLE: f64 = 40.0;
const MOST_TRICKLE: f64 = 200.0;
/// The share done from which a batch is left alone.
const NEARLY_DONE: f64 = 0.8;
/// Without this many hours to the deadline nothing goes into a batch.
const LEAST_HOURS: f64 = 0.5;
/// How far ahead the earliest finish of an impossible job is looked for, in hours.
const FAR: f64 = 14.0 * 24.0;

/// In the last hour before a deadline nothing is kept back.
const LAST_HOURS: f64 = 1.0;

/// Writes the orders of the first slot.
pub(super) fn write(night: &Night<'_>, planned: &[Planned], attempts: &Attempts, guarded: &[bool]) -> Plan {
    let outlooks = outlooks(night, planned);
    let mut orders = Vec::new();
    for (work, step) in night.steps.iter().enumerate() {
        let own: Vec<Planned> = planned.iter().filter(|one| one.offer.work == work).copied().collect();
        let is_late = outlooks.iter().any(|look| look.impossible.is_some() && look.works.contains(&work));
        let given = Given { night, step, planned: &own, guard: guarded[work], is_late };
        orders.push(given.order(&attempts[work]));
    }
    Plan { orders, outlooks, replan_at: night.slots.moment(night.slots.end(0)) }
}

/// What the order of one work is made from.
struct Given<'a> {
    night: &'a Night<'a>,
    step: &'a Step<'a>,
    planned: &'a [Planned],
    guard: bool,
    /// Whether its deadline cannot be kept.
    is_late: bool,
}

impl Given<'_> {
    fn order(&self, attempts: &[f64]) -> Order {
        let pending = self.step.work.pending;
        let sends = attempts.iter().enumerate();
        let sends: Vec<Send> = sends.filter_map(|(way, &count)| self.send(way, count)).collect();
        let now: f64 = attempts.iter().sum();
        let going = sends.iter().map(|send| send.count).sum::<u64>().min(pending);
        let submit = self.submit(pending - going);
        let left = pending - going - submit.map_or(0, |submit| submit.lines);
        Order {
            send: sends,
            submit,
            recall: self.recall(now),
            hold: (left > 0).then(|| self.hold(left)),
            guard: self.guard,
        }
    }

    /// As planned, and as much more as waits for an hour that is no cheaper.
    fn send(&self, way: usize, count: f64) -> Option<Send> {
        let whole = whole(count);
        if whole == 0 {
            return None;
        }
        let price = self.step.ways[way].prices[0]?;
        let no_cheaper = |one: &&Planned| {
            let offer = one.offer;
            offer.way == way && offer.slot > 0 && offer.batch.is_none() && offer.price >= price
        };
        let later: f64 = self.planned.iter().filter(no_cheaper).map(|one| one.count).sum();
        // More may come from the step before than is expected of it.
        let chance = if self.guard { 3.0 * count.sqrt() + 8.0 } else { 0.0 };
        let all = 2.0 * self.step.total + 16.0;
        let is_last = self.night.rules.guard && self.step.deadline < LAST_HOURS && self.guard;
        let at_most = match self.step.work.when {
            When::Asap => all,
            _ if is_last => all,
            _ => count + later + chance,
        };
        Some(Send { way, count: whole, at_most: at_most.ceil() as u64 })
    }

    /// What waits for a slot in a batch, and what finds no room at all.
    fn submit(&self, free: u64) -> Option<Submit> {
        let step = self.step;
        let asap = step.work.when == When::Asap && !step.only_batches();
        if !self.night.rules.batches || step.deadline < LEAST_HOURS || asap {
            return None;
        }
        let priced =
            step.ways.iter().enumerate().filter(|(_, way)| way.is_batch() && way.prices[0].is_some());
        let cheapest =
            priced.min_by(|a, b| a.1.prices[0].partial_cmp(&b.1.prices[0]).expect("prices are numbers"));
        let (way, _) = cheapest?;
        let waits: f64 =
            self.planned.iter().filter(|one| one.offer.batch.is_some()).map(|one| one.count).sum();
        let bought: f64 = self.planned.iter().map(|one| one.count).sum();
        let homeless = (step.total - bought).max(0.0);
        let covered = if step.only_batches() || self.is_late { f64::INFINITY } else { self.cover() };
        let lines = (waits + homeless).min(covered) - step.out;
        let lines = (lines.max(0.0) + 1e-6).floor().min(free as f64) as u64;
        // A trickle waits until it is worth a batch.
        let least = (step.total / TRICKLE).clamp(1.0, MOST_TRICKLE) as u64;
        (lines >= least).then_some(Submit { way, lines, part: lines.div_ceil(PARTS) })
    }

    /// Lines that could still be sent from the next slot on, should no batch ever end.
    fn cover(&self) -> f64 {
        let slots = &self.night.slots;
        let hours = |slot: usize| slots.hours(slot) * slots.share_before(slot, self.step.until);
        let mut lines = 0.0;
        for (_, way) in self.step.covers() {
            let open = (1..slots.len()).filter(|&slot| way.prices[slot].is_some());
            lines += open.map(hours).sum::<f64>() * way.pace();
        }
        lines * BATCH_COVER
    }

    /// Batches whose lines are needed in this slot, and in the next, for cancelling takes time. Those least
    /// likely to end are taken back first.
    fn recall(&self, now: f64) -> Vec<usize> {
        let step = self.step;
        let here = step.work.pending as f64;
        if now <= here {
            return Vec::new();
        }
        let soon: f64 = self.planned.iter().filter(|one| one.offer.slot == 1).map(|one| one.count).sum();
        let mut needed = now + soon - here;
        let chance = |index: usize| {
            let batch = &step.work.batches[index];
            let curve =
                step.ways.get(batch.way).and_then(|way| way.way.done_by()).copied().unwrap_or_default();
            curve.later(hours_between(batch.sent_at, self.night.problem.now).max(0.0), 1.0)
        };
        let mut open: Vec<usize> = (0..step.work.batches.len()).collect();
        open.retain(|&index| step.work.batches[index].done < NEARLY_DONE);
        open.sort_by(|&a, &b| chance(a).total_cmp(&chance(b)).then(a.cmp(&b)));
        let mut recalled = Vec::new();
        for index in open {
            if needed < 0.5 {
                break;
            }
            needed -= step.work.batches[index].lines as f64;
            recalled.push(index);
        }
        recalled.sort_unstable();
        recalled
    }

    /// What items wait for: the first slot in which more of them are to go.
    fn hold(&self, count: u64) -> Hold {
        let (slots, step) = (&self.night.slots, self.step);
        let open = |slot: usize| step.direct().any(|(_, way)| way.prices[slot].is_some());
        let cheapest_now = step.direct().filter_map(|(_, way)| way.prices[0]).fold(f64::INFINITY, f64::min);
        let later = self.planned.iter().filter(|one| one.offer.slot > 0);
        let next = later.min_by_key(|one| (one.offer.slot, one.offer.way));
        let first_open = (0..slots.len()).find(|&slot| open(slot));
        let slot = next.map(|one| one.offer.slot).or(first_open).unwrap_or(0).max(1).min(slots.len() - 1);
        let why = match next {
            _ if !open(0) => Why::Closed,
            Some(one) if step.ways[one.offer.way].prices[slot].is_some_and(|price| price < cheapest_now) => {
                Why::CheaperHour { way: one.offer.way }
            }
            _ => Why::Room,
        };
        let until = if slots.len() > 1 { slots.start(slot) } else { slots.end(0) };
        Hold { count, until: slots.moment(until), why }
    }
}

/// Up to the next whole item, but not for the dust of a calculation.
fn whole(count: f64) -> u64 {
    (count - 1e-4).ceil().max(0.0) as u64
}

/// How every chain is expected to end.
pub(super) fn outlooks(night: &Night<'_>, planned: &[Planned]) -> Vec<Outlook> {
    let flat_out = flow::run(night, night.chains.len(), View::Likely, None);
    let mut outlooks = Vec::new();
    let mut far: Option<Vec<Option<f64>>> = None;
    for (index, chain) in night.chains.iter().enumerate() {
        let own = || planned.iter().filter(|one| chain.works.contains(&one.offer.work));
        let deadline =
            chain.works.iter().map(|&work| night.steps[work].deadline).fold(f64::INFINITY, f64::min);
        let earliest = flat_out.finish[index];
        let is_impossible = earliest.is_none_or(|finish| finish > deadline);
        let impossible = is_impossible.then(|| Impossible {
            earliest: earliest
                .or_else(|| far.get_or_insert_with(|| far_finishes(night))[index])
                .map(|hours| moment(night.problem.now, hours)),
            fits: (flat_out.in_time[index] + 1e-6) as u64,
        });
        let planned_finish = own().map(|one| finish(night, one)).fold(0.0, f64::max);
        let finish = match impossible {
            Some(impossible) => impossible.earliest,
            None => Some(night.slots.moment(planned_finish)),
        };
        let cost = own().map(|one| one.count * one.offer.price).fold(0.0, |sum, cost| sum + cost);
        outlooks.push(Outlook { works: chain.works.clone(), finish, cost, impossible });
    }
    outlooks
}

/// When attempts of an offer are expected to be over.
fn finish(night: &Night<'_>, planned: &Planned) -> f64 {
    let offer = planned.offer;
    let step = &night.steps[offer.work];
    let curve = offer.batch.and_then(|way| step.ways[way].way.done_by());
    match curve {
        Some(curve) => night.slots.start(offer.slot).min(step.lead + curve.typical()),
        None => {
            let way = &step.ways[offer.way];
            let used = planned.count / (way.pace() * night.slots.hours(offer.slot)).max(1e-9);
            night.slots.start(offer.slot) + night.slots.hours(offer.slot) * used.min(1.0)
        }
    }
}

/// The finish of all chains, for those that outlast their deadlines by far.
fn far_finishes(night: &Night<'_>) -> Vec<Option<f64>> {
    let reach = FAR.max(night.slots.end(night.slots.len() - 1) * 2.0);
    let far = Night::new(night.problem, night.rules, reach);
    flow::run(&far, far.chains.len(), View::Likely, None).finish
}
