//! The first slot of a plan as orders in whole items, and what is expected of the rest.
//!
//! Pure.

use super::flow::{self, View};
use super::guard::Attempts;
use super::night::{Night, Step};
use super::slots::{hours_between, moment};
use super::{Hold, Impossible, Order, Outlook, Plan, Planned, Send, Submit, Why};
use crate::job::When;

/// Batches a submission is cut into at least.
const PARTS: u64 = 8;
/// The share done from which a batch is left alone.
const NEARLY_DONE: f64 = 0.8;
/// Without this many hours to the deadline nothing goes into a batch.
const LEAST_HOURS: f64 = 0.5;
/// How far ahead the earliest finish of an impossible job is looked for, in hours.
const FAR: f64 = 14.0 * 24.0;

/// Writes the orders of the first slot.
pub(super) fn write(night: &Night<'_>, planned: &[Planned], attempts: &Attempts, guarded: &[bool]) -> Plan {
    let mut orders = Vec::new();
    for (work, step) in night.steps.iter().enumerate() {
        let own: Vec<Planned> = planned.iter().filter(|one| one.offer.work == work).copied().collect();
        orders.push(order(night, step, &own, &attempts[work], guarded[work]));
    }
    Plan { orders, outlooks: outlooks(night, planned), replan_at: night.slots.moment(night.slots.end(0)) }
}

fn order(night: &Night<'_>, step: &Step<'_>, planned: &[Planned], attempts: &[f64], guard: bool) -> Order {
    let pending = step.work.pending;
    let sends: Vec<Send> = attempts.iter().enumerate().filter_map(|(way, &count)| send(step, planned, way, count)).collect();
    let now: f64 = attempts.iter().sum();
    let going = sends.iter().map(|send| send.count).sum::<u64>().min(pending);
    let submit = submit(night, step, planned, pending - going);
    let left = pending - going - submit.map_or(0, |submit| submit.lines);
    let soon: f64 = planned.iter().filter(|one| one.offer.slot == 1).map(|one| one.count).sum();
    Order {
        send: sends,
        submit,
        recall: recall(night, step, now, soon),
        hold: (left > 0).then(|| hold(night, step, planned, left)),
        guard,
    }
}

/// As planned, and as much more as waits for an hour that is no cheaper.
fn send(step: &Step<'_>, planned: &[Planned], way: usize, count: f64) -> Option<Send> {
    let whole = whole(count);
    if whole == 0 {
        return None;
    }
    let price = step.ways[way].prices[0]?;
    let no_cheaper = |one: &&Planned| {
        let offer = one.offer;
        offer.way == way && offer.slot > 0 && offer.batch.is_none() && offer.price >= price
    };
    let later: f64 = planned.iter().filter(no_cheaper).map(|one| one.count).sum();
    let at_most = if step.work.when == When::Asap { step.total.max(count) } else { count + later };
    Some(Send { way, count: whole, at_most: at_most.ceil() as u64 })
}

/// Up to the next whole item, but not for the dust of a calculation.
fn whole(count: f64) -> u64 {
    (count - 1e-4).ceil().max(0.0) as u64
}

/// What waits for a slot in a batch, and what finds no room at all.
fn submit(night: &Night<'_>, step: &Step<'_>, planned: &[Planned], free: u64) -> Option<Submit> {
    if !night.rules.batches || step.deadline < LEAST_HOURS || step.work.when == When::Asap && !step.only_batches() {
        return None;
    }
    let priced = step.ways.iter().enumerate().filter(|(_, way)| way.is_batch() && way.prices[0].is_some());
    let (way, _) = priced.min_by(|a, b| a.1.prices[0].partial_cmp(&b.1.prices[0]).expect("prices are numbers"))?;
    let waits: f64 = planned.iter().filter(|one| one.offer.batch.is_some()).map(|one| one.count).sum();
    let bought: f64 = planned.iter().map(|one| one.count).sum();
    let homeless = (step.total - bought).max(0.0);
    let lines = ((waits + homeless - step.out).max(0.0) + 1e-6).floor().min(free as f64) as u64;
    (lines > 0).then_some(Submit { way, lines, part: lines.div_ceil(PARTS) })
}

/// Batches whose lines are needed in this slot, and in the next, for cancelling takes time. Those least
/// likely to end are taken back first.
fn recall(night: &Night<'_>, step: &Step<'_>, now: f64, soon: f64) -> Vec<usize> {
    let here = step.work.pending as f64;
    if now <= here {
        return Vec::new();
    }
    let mut needed = now + soon - here;
    let chance = |index: usize| {
        let batch = &step.work.batches[index];
        let curve = step.ways.get(batch.way).and_then(|way| way.way.done_by()).copied().unwrap_or_default();
        curve.later(hours_between(batch.sent_at, night.problem.now).max(0.0), 1.0)
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
fn hold(night: &Night<'_>, step: &Step<'_>, planned: &[Planned], count: u64) -> Hold {
    let open = |slot: usize| step.direct().any(|(_, way)| way.prices[slot].is_some());
    let cheapest_now = step.direct().filter_map(|(_, way)| way.prices[0]).fold(f64::INFINITY, f64::min);
    let next = planned.iter().filter(|one| one.offer.slot > 0).min_by_key(|one| (one.offer.slot, one.offer.way));
    let first_open = (0..night.slots.len()).find(|&slot| open(slot));
    let slot = next.map(|one| one.offer.slot).or(first_open).unwrap_or(0).max(1).min(night.slots.len() - 1);
    let why = match next {
        _ if !open(0) => Why::Closed,
        Some(one) if step.ways[one.offer.way].prices[slot].is_some_and(|price| price < cheapest_now) => {
            Why::CheaperHour { way: one.offer.way }
        }
        _ => Why::Room,
    };
    let until = if night.slots.len() > 1 { night.slots.start(slot) } else { night.slots.end(0) };
    Hold { count, until: night.slots.moment(until), why }
}

fn outlooks(night: &Night<'_>, planned: &[Planned]) -> Vec<Outlook> {
    let flat_out = flow::run(night, night.chains.len(), View::Likely, None);
    let mut outlooks = Vec::new();
    for (index, chain) in night.chains.iter().enumerate() {
        let own = || planned.iter().filter(|one| chain.works.contains(&one.offer.work));
        let deadline = chain.works.iter().map(|&work| night.steps[work].deadline).fold(f64::INFINITY, f64::min);
        let earliest = flat_out.finish[index];
        let is_impossible = earliest.is_none_or(|finish| finish > deadline);
        let impossible = is_impossible.then(|| Impossible {
            earliest: earliest.or_else(|| earliest_of_all(night, index)).map(|hours| moment(night.problem.now, hours)),
            fits: (flat_out.in_time[index] + 1e-6) as u64,
        });
        let planned_finish = own().map(|one| finish(night, one)).fold(earliest.unwrap_or(0.0).min(0.0), f64::max);
        let finish = match impossible {
            Some(impossible) => impossible.earliest,
            None => Some(night.slots.moment(planned_finish)),
        };
        let cost = own().map(|one| one.count * one.offer.price).sum();
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

/// The finish of a chain that outlasts its deadline by far.
fn earliest_of_all(night: &Night<'_>, chain: usize) -> Option<f64> {
    let far = Night::new(night.problem, night.rules, FAR.max(night.slots.end(night.slots.len() - 1) * 2.0));
    flow::run(&far, chain + 1, View::Likely, None).finish[chain]
}
