//! What a job would cost and when it would be done, before a single item is sent.
//!
//! Takes counts: [`Lot`]s of items that are alike, the routes of each step of their ladder and what is
//! [believed](Belief) of them. The planner ([`super::schedule`]) places the attempts in time; prices are
//! those of the hours they are placed in. Costs are a range, because neither answers nor passes are known
//! beforehand: see [`spread`]. What each decision saves is in [`levers`].
//!
//! Time and memory depend on lots, steps and price changes, never on the number of items.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

pub mod belief;
pub mod levers;
pub mod measured;
mod problem;
pub mod replay;
pub mod spread;

pub use belief::{Belief, Estimate};
pub use levers::{Lever, Levers};
pub use measured::{Measured, Observed};

use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{When, Worth};
use crate::plan::schedule::{self, Impossible, Outlook, Placed, Rules};

/// Items that are alike.
#[derive(Clone, Debug)]
pub struct Lot {
    /// How many will be sent.
    pub items: u64,
    /// How many more get the answer of one of them.
    pub copies: u64,
    /// When all must be done.
    pub deadline: Option<Timestamp>,
    /// Whether cheaper hours are waited for.
    pub when: When,
    /// Higher goes first.
    pub priority: i16,
    /// The routes of each step.
    pub steps: Vec<Vec<Rung>>,
}

/// One route of a step, and what is believed of it.
#[derive(Clone, Debug)]
pub struct Rung {
    /// The route.
    pub route: Arc<Route>,
    /// On the items of the lot.
    pub belief: Belief,
    /// Output tokens that a request takes of a quota while it is out: what it allows, where it says so.
    pub held_output: f64,
}

/// What is to be expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What goes where, by lot, step and route; routes that get nothing are left out.
    pub rows: Vec<Row>,
    /// Dollars.
    pub cost: Range,
    /// When the last answer is in; `None` where the hours known do not suffice.
    pub finish: Option<Timestamp>,
    /// Items expected to succeed.
    pub succeeded: f64,
    /// Set where the deadline cannot be kept: the earliest finish, and the items that fit.
    pub impossible: Option<Impossible>,
    /// The chance to keep the deadline, where there is one.
    pub chance: Option<f64>,
    /// The same sent at once.
    pub at_once: AtOnce,
}

/// All of it sent as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtOnce {
    /// Dollars.
    pub cost: f64,
    /// When the last answer is in.
    pub finish: Option<Timestamp>,
}

/// An expected value, and the range it is in nine times out of ten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// Expected.
    pub expected: f64,
    /// Less in one of twenty.
    pub low: f64,
    /// More in one of twenty.
    pub high: f64,
}

impl Range {
    /// How far its ends are from what is expected, as a share of it.
    pub fn half(&self) -> f64 {
        if self.expected > 0.0 { self.high / self.expected - 1.0 } else { 0.0 }
    }

    /// How many items a sample needs for ends this near, if `items` gave these: what is not known shrinks
    /// with the root of what was seen.
    pub fn items_for(&self, half: f64, items: u64) -> u64 {
        (items as f64 * (self.half() / half).powi(2)).ceil() as u64
    }
}

/// What goes to one route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which lot.
    pub lot: usize,
    /// Which step, from 0.
    pub step: usize,
    /// Which route of the step.
    pub rung: usize,
    /// Attempts.
    pub attempts: f64,
    /// Dollars.
    pub cost: f64,
    /// When the first goes.
    pub starts: Timestamp,
    /// When the last answer is in.
    pub ends: Timestamp,
}

/// The same lots without the steps at the end of their ladders at which one success is expected to cost more
/// than it is worth: there the items are given up.
pub fn worth_it(lots: &[Lot], worth: Option<Worth>, now: Timestamp) -> Vec<Lot> {
    let Some(Worth::UpTo(worth)) = worth else { return lots.to_vec() };
    let pays = |rung: &Rung| attempt_cost(rung, now) <= worth.as_f64() * rung.belief.pass.mean;
    let cut = |lot: &Lot| {
        let last = lot.steps.iter().rposition(|step| step.iter().any(pays));
        Lot { steps: lot.steps[..last.map_or(0, |last| last + 1)].to_vec(), ..lot.clone() }
    };
    lots.iter().map(cut).collect()
}

/// What is to be expected of these lots from `now` on.
pub fn forecast(lots: &[Lot], now: Timestamp) -> Forecast {
    let planned = Played::new(lots, now, false, &Rules::default());
    let at_once = Played::new(lots, now, true, &Rules::default());
    let impossible = planned.outlooks.iter().filter_map(|look| look.impossible).reduce(worse);
    // So near its deadline that margins leave nothing to plan: all of it goes now.
    let planned = if planned.takes_all(lots) { planned } else { at_once.clone() };
    let cost = spread::range(lots, &planned.rows);
    let finish = planned.finish();
    let at_once = AtOnce { cost: at_once.cost(), finish: at_once.finish() };
    Forecast {
        chance: chance(lots, now, &at_once, impossible.is_some()),
        succeeded: lots.iter().map(succeeded).sum(),
        rows: planned.rows,
        cost,
        finish,
        impossible,
        at_once,
    }
}

/// Dollars one attempt on a rung costs, sent at a moment; nothing where the price is unknown.
pub fn attempt_cost(rung: &Rung, at: Timestamp) -> f64 {
    let Some(table) = &rung.route.prices else { return 0.0 };
    let Belief { input, output, .. } = rung.belief;
    let price = table.rate_at(at).for_prompt(input.mean.round() as u64);
    (input.mean * price.input as f64 + output.mean * price.output as f64) * 1e-12 + price.request.as_f64()
}

/// Items of a lot that pass one of its steps, those that get another's answer included.
fn succeeded(lot: &Lot) -> f64 {
    let fails: f64 = lot.steps.iter().map(|step| 1.0 - pass_of(step)).product();
    (lot.items + lot.copies) as f64 * (1.0 - fails)
}

/// The chance of a pass on a step: that of its cheapest route.
fn pass_of(step: &[Rung]) -> f64 {
    step.first().map_or(0.0, |rung| rung.belief.pass.mean)
}

/// The one that keeps the user waiting longer.
fn worse(a: Impossible, b: Impossible) -> Impossible {
    let earliest = a.earliest.zip(b.earliest).map(|(a, b)| a.max(b));
    Impossible { earliest, fits: a.fits + b.fits }
}

/// How much slower or faster than believed a night may prove against the time there is.
fn chance(lots: &[Lot], now: Timestamp, at_once: &AtOnce, is_impossible: bool) -> Option<f64> {
    let deadline = lots.iter().filter_map(|lot| lot.deadline).min()?;
    let Some(finish) = at_once.finish else { return Some(0.0) };
    let needed = finish.since(now).as_secs_f64().max(1.0);
    let there_is = deadline.since(now).as_secs_f64().max(1e-3);
    let doubt = spread::time_doubt(lots).max(0.02);
    let chance = spread::normal((there_is / needed).ln() / doubt);
    // Where the planner finds no way there may be one all the same, if all goes well.
    Some(if is_impossible { chance.min(0.5) } else { chance })
}

/// The planner's night.
#[derive(Clone)]
struct Played {
    rows: Vec<Row>,
    outlooks: Vec<Outlook>,
}

impl Played {
    fn new(lots: &[Lot], now: Timestamp, at_once: bool, rules: &Rules) -> Played {
        let asked = problem::Asked::new(lots, now, at_once);
        let (outlooks, placed) = schedule::outlook(&asked.problem, rules);
        let mut rows: Vec<Row> = Vec::new();
        for one in placed.iter().filter(|one| one.count > 1e-9) {
            let (lot, step) = asked.places[one.work];
            let rung = &lots[lot].steps[step][one.way];
            add(&mut rows, one, (lot, step), rung);
        }
        rows.sort_by_key(|row| (row.lot, row.step, row.starts, row.rung));
        follow(&mut rows, lots);
        Played { rows, outlooks }
    }

    /// Whether every item has its first attempt.
    fn takes_all(&self, lots: &[Lot]) -> bool {
        lots.iter().enumerate().all(|(lot, of)| {
            let own = self.rows.iter().filter(|row| row.lot == lot && row.step == 0);
            own.map(|row| row.attempts).sum::<f64>() >= 0.995 * of.items as f64
        })
    }

    fn cost(&self) -> f64 {
        self.rows.iter().map(|row| row.cost).sum()
    }

    /// The planner's finish, and the time the last answers take.
    fn finish(&self) -> Option<Timestamp> {
        let all = self.outlooks.iter().map(|look| look.finish);
        let planned = all.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten()?;
        let last = self.rows.iter().map(|row| row.ends).max();
        Some(last.map_or(planned, |last| planned.max(last)))
    }
}

fn add(rows: &mut Vec<Row>, one: &Placed, (lot, step): (usize, usize), rung: &Rung) {
    let cost = one.count * attempt_cost(rung, one.from);
    let ends = one.until + tail(rung, one.count);
    let place = (lot, step, one.way);
    match rows.iter_mut().find(|row| (row.lot, row.step, row.rung) == place) {
        Some(row) => {
            row.attempts += one.count;
            row.cost += cost;
            row.starts = row.starts.min(one.from);
            row.ends = row.ends.max(ends);
        }
        None => {
            let (attempts, starts) = (one.count, one.from);
            rows.push(Row { lot, step, rung: one.way, attempts, cost, starts, ends });
        }
    }
}

/// Nothing moves up a step before the step below has an answer that failed, and the last one may.
fn follow(rows: &mut [Row], lots: &[Lot]) {
    for at in 0..rows.len() {
        let row = rows[at];
        let below = rows.iter().filter(|other| other.lot == row.lot && other.step + 1 == row.step);
        let seconds = |row: &Row| {
            let seconds = lots[row.lot].steps[row.step][row.rung].belief.seconds.mean;
            Duration::from_secs_f64(seconds.max(0.0))
        };
        let first = below.clone().map(|other| other.starts + seconds(other)).min();
        let last = below.map(|other| other.ends + seconds(&row)).max();
        rows[at].starts = first.map_or(row.starts, |first| row.starts.max(first));
        rows[at].ends = last.map_or(row.ends, |last| row.ends.max(last));
    }
}

/// The last answers are not the quickest: those in flight at the end, the slowest of them.
fn tail(rung: &Rung, count: f64) -> Duration {
    let Estimate { mean, spread, .. } = rung.belief.seconds;
    let in_flight = count.clamp(1.0, 64.0);
    Duration::from_secs_f64((mean + spread * (2.0 * in_flight.ln()).sqrt()).max(0.0))
}

#[cfg(test)]
mod tests;
