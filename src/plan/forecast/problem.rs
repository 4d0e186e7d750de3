//! Lots as the planner's problem.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Lot, Rung};
use crate::catalog::{Limits, Route};
use crate::clock::Timestamp;
use crate::job::When;
use crate::money::Usage;
use crate::plan::quota::{DEFAULT_CONCURRENCY, steady_share};
use crate::plan::route::{BATCH, FLEX};
use crate::plan::schedule::{BilledAt, DoneBy, Feed, Lane, Pace, Problem, Span, Way, Work, spans};

/// How far ahead hours and prices are looked up.
const AHEAD: Duration = Duration::from_secs(21 * 86_400);

/// A problem, and what its works are.
pub(super) struct Asked {
    pub problem: Problem,
    /// Lot and step of each work.
    pub places: Vec<(usize, usize)>,
}

impl Asked {
    /// With `at_once` no hour is worth waiting for, and deadlines hold nothing up.
    pub(super) fn new(lots: &[Lot], now: Timestamp, at_once: bool) -> Asked {
        let mut meters = Meters::default();
        let mut asked = Asked { problem: Problem { now, works: Vec::new() }, places: Vec::new() };
        for (number, lot) in lots.iter().enumerate() {
            for (step, rungs) in lot.steps.iter().enumerate() {
                let work = asked.problem.works.len();
                let is_last = step + 1 == lot.steps.len();
                let no_waiting = at_once || lot.when == When::Asap;
                let only_batches = rungs.iter().all(|rung| &*rung.route.lane == BATCH);
                asked.problem.works.push(Work {
                    priority: lot.priority,
                    pending: if step == 0 { lot.items } else { 0 },
                    in_flight: 0,
                    feeds: (!is_last).then_some(Feed { work: work + 1, share: 1.0 }),
                    deadline: lot.deadline.filter(|_| !at_once),
                    when: lot.when,
                    worth: 0.0,
                    ways: rungs
                        .iter()
                        .map(|rung| way(rung, &mut meters, now, (no_waiting, only_batches)))
                        .collect(),
                    batches: Vec::new(),
                });
                asked.places.push((number, step));
            }
        }
        asked
    }
}

/// Routes and accounts by number.
#[derive(Default)]
struct Meters {
    numbers: BTreeMap<String, usize>,
}

impl Meters {
    fn of(&mut self, name: String) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(name).or_insert(next)
    }
}

fn way(rung: &Rung, meters: &mut Meters, now: Timestamp, (at_once, only_batches): (bool, bool)) -> Way {
    let Rung { route, belief, held_output } = rung;
    let (input, output) = (belief.input.mean, belief.output.mean);
    let usage = Usage { input: input.round() as u64, output: output.round() as u64, ..Usage::default() };
    let mut all = match &route.prices {
        Some(_) => spans(route, &usage, now, now + AHEAD, BilledAt::Start),
        None => vec![Span { from: now, until: now + AHEAD, cost: 0.0 }],
    };
    if at_once {
        // No hour is better than another, so the first one is taken; a cheaper route still is.
        let now_or_first = all.first().map_or(0.0, |span| span.cost);
        all.iter_mut().for_each(|span| span.cost = now_or_first);
    }
    let is_batch = &*route.lane == BATCH;
    if at_once && is_batch && !only_batches {
        // Who does not wait puts nothing into batches.
        all.clear();
    }
    let number = meters.of(route.name.to_string());
    let (seconds, held) = (belief.seconds.mean, *held_output);
    // Batches are bound by no pace of ours.
    let paced = |limits: &Limits, calls| match is_batch {
        true => f64::INFINITY,
        false => pace(limits, calls, input, held, seconds),
    };
    let mut paces = vec![Pace { meter: number, per_hour: paced(&route.limits, Some(DEFAULT_CONCURRENCY)) }];
    let of_account = paced(&route.account_limits, None);
    if of_account.is_finite() {
        paces.push(Pace { meter: meters.of(format!("account {}", route.account)), per_hour: of_account });
    }
    Way {
        route: number,
        lane: lane(route, only_batches),
        pass: belief.pass.mean,
        attempts: belief.pass.observations,
        spans: all,
        paces,
    }
}

/// The lane as the planner is told it. A batch is a way of waiting for another way; where a step has no
/// other, its batches are the way itself, and how long they take is in what is believed of them.
fn lane(route: &Route, only_batches: bool) -> Lane {
    match &*route.lane {
        BATCH if !only_batches => Lane::Batch(DoneBy::default()),
        FLEX => Lane::Flex,
        _ => Lane::Realtime,
    }
}

/// Attempts an hour under ceilings, as far as quotas use them.
fn pace(limits: &Limits, calls: Option<u32>, input: f64, output: f64, seconds: f64) -> f64 {
    let a_minute = |limit: Option<u64>, each: f64| match limit {
        Some(limit) => 60.0 * limit as f64 * steady_share(limit) / each.max(1e-3),
        None => f64::INFINITY,
    };
    let calls = limits.concurrency.or(calls).map_or(f64::INFINITY, f64::from);
    [
        a_minute(limits.rpm, 1.0),
        a_minute(limits.tpm, input + output),
        a_minute(limits.input_tpm, input),
        a_minute(limits.output_tpm, output),
        calls * 3_600.0 / seconds.max(1e-3),
    ]
    .into_iter()
    .fold(f64::INFINITY, f64::min)
}
