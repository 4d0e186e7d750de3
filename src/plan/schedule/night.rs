//! A problem made ready to plan: slots, prices by slot, work grouped in chains and ranked, and what is
//! expected to reach each step.
//!
//! A *chain* is works that feed each other: the steps of one class. Chains are planned one after the
//! other in the order they are served, by priority, then deadline, then the caller's order; each sees
//! what the ones before it left of every meter. A later chain never takes an earlier one's hours.
//!
//! Pure.

use std::collections::BTreeMap;

use super::problem::{Lane, Problem, Way, Work};
use super::slots::{self, Slots};
use super::{END_MARGIN, Rules};
use crate::job::When;

/// A problem made ready.
pub(super) struct Night<'a> {
    pub problem: &'a Problem,
    pub rules: &'a Rules,
    pub slots: Slots,
    /// One for each work, in the caller's order.
    pub steps: Vec<Step<'a>>,
    /// In the order they are served.
    pub chains: Vec<Chain>,
    n_meters: usize,
}

/// Works that feed each other, earlier steps first.
pub(super) struct Chain {
    pub works: Vec<usize>,
}

/// A work made ready.
pub(super) struct Step<'a> {
    pub work: &'a Work,
    pub ways: Vec<Lined<'a>>,
    /// The ways open in each slot, cheapest first.
    pub open: Vec<Vec<usize>>,
    /// Items expected to need the step, those in its batches included.
    pub total: f64,
    /// Lines out in batches.
    pub out: f64,
    /// Items on their way to it from answers that will fail.
    pub coming: f64,
    /// Dollars that a failed answer still costs further up.
    pub failure: f64,
    /// Hours until most of what earlier steps send in batches arrives.
    pub lead: f64,
    /// Hours to its deadline.
    pub deadline: f64,
    /// Hours to its deadline, less the margin at the end.
    pub due: f64,
    /// Hours until which it counts on its ways: until it is due, or a margin before they close for the last
    /// time.
    pub until: f64,
}

/// A way laid out over the slots.
pub(super) struct Lined<'a> {
    pub way: &'a Way,
    /// Dollars an attempt by slot; `None` where it is closed.
    pub prices: Vec<Option<f64>>,
    /// Meters it counts against, with attempts an hour.
    pub meters: Vec<(usize, f64)>,
    pub pass: f64,
    pub least_pass: f64,
    /// How many times slower than its pace it may prove.
    pub caution: f64,
}

impl Lined<'_> {
    pub(super) fn is_batch(&self) -> bool {
        matches!(self.way.lane, Lane::Batch(_))
    }

    pub(super) fn is_flex(&self) -> bool {
        matches!(self.way.lane, Lane::Flex)
    }

    /// Attempts an hour with its meters for itself.
    pub(super) fn pace(&self) -> f64 {
        self.meters.iter().map(|meter| meter.1).fold(f64::INFINITY, f64::min)
    }

    fn cheapest(&self) -> Option<f64> {
        self.prices.iter().flatten().copied().min_by(f64::total_cmp)
    }
}

impl Step<'_> {
    /// Ways that what must be done can rely on: realtime ones, and flex where there is nothing else.
    pub(super) fn covers(&self) -> impl Iterator<Item = (usize, &Lined<'_>)> {
        let only_flex = self.has_only_flex();
        self.direct().filter(move |(_, way)| only_flex || !way.is_flex())
    }

    /// When the last hours before `due` end in which it can send, if there are any.
    fn last_open(&self, slots: &Slots, due: f64) -> Option<f64> {
        let is_open = |slot: &usize| self.covers().any(|(_, way)| way.prices[*slot].is_some());
        (0..slots.len())
            .rev()
            .filter(|&slot| slots.start(slot) < due)
            .find(is_open)
            .map(|slot| slots.end(slot))
    }

    /// Whether nothing but flex sends at once.
    pub(super) fn has_only_flex(&self) -> bool {
        self.ways.iter().all(|way| way.is_batch() || way.is_flex())
    }

    /// Ways that send at once.
    pub(super) fn direct(&self) -> impl Iterator<Item = (usize, &Lined<'_>)> {
        self.ways.iter().enumerate().filter(|(_, way)| !way.is_batch())
    }

    /// Whether batches are its only way.
    pub(super) fn only_batches(&self) -> bool {
        !self.ways.is_empty() && self.direct().next().is_none()
    }

    /// The pass chance of the way most of its items will take: the cheapest.
    fn pass(&self) -> f64 {
        let priced = self.ways.iter().filter_map(|way| Some((way.cheapest()?, way.pass)));
        priced.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |(_, pass)| pass)
    }
}

impl<'a> Night<'a> {
    /// Over slots that reach the last deadline, or `reach` hours where that is more.
    pub(super) fn new(problem: &'a Problem, rules: &'a Rules, reach: f64) -> Night<'a> {
        let patience = patience(problem);
        let hours =
            |work: &Work| work.deadline.map_or(patience, |at| slots::hours_between(problem.now, at).max(0.0));
        let last = problem.works.iter().map(hours).fold(0.0, f64::max);
        let slots = Slots::new(problem, last.max(reach), rules.end_margin(END_MARGIN));
        let mut numbers = BTreeMap::new();
        let mut steps: Vec<Step<'a>> = Vec::new();
        for work in &problem.works {
            let ways: Vec<Lined<'_>> =
                work.ways.iter().map(|way| line(way, work.when, &slots, rules, &mut numbers)).collect();
            let open = (0..slots.len()).map(|slot| open_ways(&ways, slot)).collect();
            let deadline = hours(work);
            let margin = rules.end_margin(END_MARGIN);
            let due = (deadline - margin).max(0.0);
            let out = work.batches.iter().map(|batch| batch.lines as f64).sum();
            steps.push(Step {
                work,
                ways,
                open,
                total: 0.0,
                out,
                coming: 0.0,
                failure: 0.0,
                lead: 0.0,
                deadline,
                due,
                until: due,
            });
            let step = steps.last_mut().expect("just pushed");
            step.until =
                step.last_open(&slots, due).map_or(due, |end| if end < due { end - margin } else { due });
        }
        let chains = chains(problem, &steps);
        let mut night = Night { problem, rules, slots, steps, chains, n_meters: numbers.len() };
        night.expect();
        night
    }

    /// Fresh meters: all hours of all slots.
    pub(super) fn meters(&self) -> Meters {
        let hours: Vec<f64> = (0..self.slots.len()).map(|slot| self.slots.hours(slot)).collect();
        Meters { left: vec![hours; self.n_meters] }
    }

    /// What reaches each step, and what a failure costs there.
    fn expect(&mut self) {
        for at in 0..self.steps.len() {
            let step = &mut self.steps[at];
            let flying = step.work.in_flight as f64;
            step.total += step.work.pending as f64 + step.out + step.coming;
            let fails = 1.0 - step.pass();
            let typical = step.ways.iter().filter_map(|way| way.way.done_by()).map(|done| done.typical());
            let lead = step.lead + typical.fold(0.0, f64::max);
            let sent = step.total;
            let Some(feed) = feed(self.problem, at) else { continue };
            let next = &mut self.steps[feed.0];
            next.coming += flying * fails * feed.1;
            next.total += sent * fails * feed.1;
            next.lead = next.lead.max(lead);
        }
        for at in (0..self.steps.len()).rev() {
            let failure = match feed(self.problem, at) {
                Some((next, share)) => share * self.steps[next].cheapest_end(),
                None => self.steps[at].work.worth.max(0.0),
            };
            self.steps[at].failure = if failure.is_finite() { failure } else { 0.0 };
        }
    }
}

impl Step<'_> {
    /// Dollars to bring one item from here to its end, at the best hours.
    fn cheapest_end(&self) -> f64 {
        let ends = self.ways.iter().filter_map(|way| Some(way.cheapest()? + (1.0 - way.pass) * self.failure));
        ends.min_by(f64::total_cmp).unwrap_or(0.0)
    }
}

/// Hours left on each meter in each slot.
#[derive(Clone)]
pub(super) struct Meters {
    left: Vec<Vec<f64>>,
}

impl Meters {
    /// Attempts a way can take in a slot, if each takes `weight` of one.
    pub(super) fn room(&self, way: &Lined<'_>, slot: usize, share: f64, hours: f64, weight: f64) -> f64 {
        let room = |&(meter, per_hour): &(usize, f64)| {
            if per_hour.is_infinite() {
                return f64::INFINITY;
            }
            self.left[meter][slot].min(share * hours) * per_hour / weight
        };
        way.meters.iter().map(room).fold(f64::INFINITY, f64::min).max(0.0)
    }

    pub(super) fn take(&mut self, way: &Lined<'_>, slot: usize, attempts: f64, weight: f64) {
        for &(meter, per_hour) in &way.meters {
            let left = &mut self.left[meter][slot];
            *left = (*left - attempts * weight / per_hour.max(1e-9)).max(0.0);
        }
    }

    /// Hours left on a meter in a slot.
    pub(super) fn left(&self, meter: usize, slot: usize) -> f64 {
        self.left[meter][slot]
    }
}

/// How far ahead work without a deadline is planned: a day, and room for all of it.
fn patience(problem: &Problem) -> f64 {
    let free = problem.works.iter().filter(|work| work.deadline.is_none());
    let needed = free.map(|work| {
        let items = work.pending + work.batches.iter().map(|batch| batch.lines).sum::<u64>();
        let pace = |way: &Way| way.paces.iter().map(|pace| pace.per_hour).fold(f64::INFINITY, f64::min);
        let pace: f64 = work.ways.iter().map(pace).filter(|pace| pace.is_finite()).sum();
        if pace > 0.0 { items as f64 / pace } else { 0.0 }
    });
    slots::NO_DEADLINE + 2.0 * needed.sum::<f64>()
}

/// Where failed items of a work go, if it is a later work.
pub(super) fn feed(problem: &Problem, work: usize) -> Option<(usize, f64)> {
    let feed = problem.works[work].feeds?;
    (feed.work > work && feed.work < problem.works.len()).then(|| (feed.work, feed.share.clamp(0.0, 1.0)))
}

fn line<'a>(
    way: &'a Way,
    when: When,
    slots: &Slots,
    rules: &Rules,
    numbers: &mut BTreeMap<usize, usize>,
) -> Lined<'a> {
    let mut prices = if way.is_sound() { slots.prices(&way.spans) } else { vec![None; slots.len()] };
    if when == When::OffPeak {
        let cheapest = way.spans.iter().map(|span| span.cost).fold(f64::INFINITY, f64::min);
        for price in &mut prices {
            *price = price.filter(|&price| price <= cheapest * (1.0 + 1e-9));
        }
    }
    let mut meters = Vec::new();
    for pace in &way.paces {
        let next = numbers.len();
        meters.push((*numbers.entry(pace.meter).or_insert(next), pace.per_hour));
    }
    Lined {
        way,
        prices,
        meters,
        pass: way.pass.clamp(0.0, 1.0),
        least_pass: if rules.guard { way.least_pass() } else { way.pass.clamp(0.0, 1.0) },
        caution: rules.caution(way.attempts),
    }
}

fn open_ways(ways: &[Lined<'_>], slot: usize) -> Vec<usize> {
    let mut open: Vec<usize> = (0..ways.len()).filter(|&way| ways[way].prices[slot].is_some()).collect();
    open.sort_by(|&a, &b| {
        ways[a].prices[slot].partial_cmp(&ways[b].prices[slot]).expect("prices are numbers")
    });
    open
}

fn chains(problem: &Problem, steps: &[Step<'_>]) -> Vec<Chain> {
    let mut chain_of: Vec<usize> = (0..steps.len()).collect();
    for work in (0..steps.len()).rev() {
        if let Some((next, _)) = feed(problem, work) {
            chain_of[work] = chain_of[next];
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (work, &chain) in chain_of.iter().enumerate() {
        members.entry(chain).or_default().push(work);
    }
    let mut ranked: Vec<(i16, f64, Vec<usize>)> = Vec::new();
    for works in members.into_values() {
        let priority = works.iter().map(|&work| steps[work].work.priority).max().unwrap_or(0);
        let deadline = works.iter().map(|&work| steps[work].deadline).fold(f64::INFINITY, f64::min);
        ranked.push((priority, deadline, works));
    }
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    ranked.into_iter().map(|(.., works)| Chain { works }).collect()
}
