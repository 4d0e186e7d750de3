//! When, on which lane, and how many: the plan that pays least and still keeps the deadline.
//!
//! [`plan`] takes counts, prices by the hour and paces ([`Problem`]) and says for every work how many
//! attempts go out in the current slot, how many lines go into provider batches, what waits, until when
//! and why ([`Plan`]). It is asked again when [`replan`] says so, and then sees what came of it: nothing
//! is remembered between plans, so the same problem always gets the same plan. Time and memory depend
//! on the number of classes, steps, routes and price changes, never on the number of items.
//!
//! # How
//!
//! 1. `slots`: time is cut where a price or an hour changes, and every quarter of an hour.
//! 2. `night`: works become chains of steps, ranked by priority, then deadline. Chains share meters
//!    (routes, accounts); each is planned into what the ones before it left.
//! 3. `offers`: an attempt on a way in a slot, at a price. A provider batch is a way of waiting for a
//!    slot, and the slot is kept as its cover.
//! 4. `greedy` buys the cheapest offers step by step, `lp` all steps at once. Both aim at the deadline
//!    less a margin, at the paces and pass chances as they are known.
//! 5. `guard`: what must go now because a slower night would miss the deadline, whatever it costs.
//! 6. `orders`: the first slot of all that, in whole items.
//!
//! So the plan hopes for the likely night and is safe in a slower one. The margins: 15% of the time
//! needed, more while a pace is known from few attempts only, and a slot at the end.
//!
//! Pure.

mod batch;
mod flow;
mod greedy;
mod guard;
mod lp;
mod night;
mod offers;
mod orders;
mod problem;
pub mod replan;
mod slots;
mod spans;

pub use batch::DoneBy;
pub use problem::{Batch, Feed, Lane, Pace, Problem, Span, Way, Work, per_hour};
pub use spans::{BilledAt, spans};

use crate::clock::Timestamp;
use guard::Attempts;
use night::Night;
use offers::Offer;

/// Hours before a deadline at which everything is to be done: a slot, and never under ten minutes.
const END_MARGIN: f64 = slots::SLOT;
/// Share of the pace that lines out in provider batches are covered with.
const BATCH_COVER: f64 = 0.7;

/// Offers that linear programs may weigh in one plan, so that it takes milliseconds; chains beyond are
/// planned greedily. A count and not a time: the same problem always gets the same plan.
const LP_OFFERS: usize = 800;

/// How to plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// What buys the offers.
    pub solver: Solver,
    /// How many times slower than measured a night may prove.
    pub margin: f64,
    /// Whether deadlines are guarded at all; without, hope is the plan.
    pub guard: bool,
    /// Whether provider batches may be used.
    pub batches: bool,
}

/// What buys the offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// Cheapest first, step by step.
    Greedy,
    /// All steps at once, and greedy where that fails.
    Lp,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { solver: Solver::Lp, margin: 1.15, guard: true, batches: true }
    }
}

impl Rules {
    fn end_margin(&self, margin: f64) -> f64 {
        if self.guard { margin } else { 0.0 }
    }
}

/// What to do until the next plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One for each work, in the problem's order.
    pub orders: Vec<Order>,
    /// One for each chain of works, in the order they are served.
    pub outlooks: Vec<Outlook>,
    /// Ask again then, if nothing else happens.
    pub replan_at: Timestamp,
}

/// What to do with one work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// Attempts to send in the current slot.
    pub send: Vec<Send>,
    /// Lines to put into provider batches.
    pub submit: Option<Submit>,
    /// Batches to cancel: indices of the work's own.
    pub recall: Vec<usize>,
    /// What waits.
    pub hold: Option<Hold>,
    /// Whether the deadline forces sending at any price.
    pub guard: bool,
}

/// Attempts to send on a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The work's way.
    pub way: usize,
    /// As many as are planned, those that are still to come from earlier steps included.
    pub count: u64,
    /// As many as may go if there is room for them: waiting would not make them cheaper.
    pub at_most: u64,
}

/// Lines to put into provider batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit {
    /// The work's way.
    pub way: usize,
    /// How many.
    pub lines: u64,
    /// Lines in each batch, so that one stuck batch is not all.
    pub part: u64,
}

/// What waits, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How many items.
    pub count: u64,
    /// When the first of them can go.
    pub until: Timestamp,
    /// What for.
    pub why: Why,
}

/// What held items wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The hour in which this way is cheaper.
    CheaperHour {
        /// The work's way.
        way: usize,
    },
    /// The hour in which any way is open.
    Closed,
    /// Room: everything that is worth its price is in use.
    Room,
}

/// How a chain of works is expected to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Its works.
    pub works: Vec<usize>,
    /// When the last item is expected to end; `None` where the hours known do not suffice.
    pub finish: Option<Timestamp>,
    /// Dollars its attempts are expected to cost from now on.
    pub cost: f64,
    /// Set where the deadline cannot be kept even flat out.
    pub impossible: Option<Impossible>,
}

/// A deadline that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// When all could be done, sent flat out; `None` where the hours known do not suffice.
    pub earliest: Option<Timestamp>,
    /// Items that can end by the deadline.
    pub fits: u64,
}

/// Attempts that are meant to go out between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// The work.
    pub work: usize,
    /// The way, of the work's own.
    pub way: usize,
    /// When the first of them goes.
    pub from: Timestamp,
    /// When the last of them goes.
    pub until: Timestamp,
    /// How many.
    pub count: f64,
}

/// Attempts bought.
#[derive(Clone, Copy, Debug)]
struct Planned {
    offer: Offer,
    count: f64,
}

/// Plans everything that waits.
pub fn plan(problem: &Problem, rules: &Rules) -> Plan {
    let night = Night::new(problem, rules, 0.0);
    let planned = buy(&night);
    let mut attempts = first_slot(&night, &planned);
    let asap = guard::flat_out(&night);
    for (work, step) in night.steps.iter().enumerate() {
        if step.work.when == crate::job::When::Asap {
            attempts[work].clone_from(&asap[work]);
        }
    }
    let guarded =
        if rules.guard { guard::keep(&night, &mut attempts) } else { vec![false; night.steps.len()] };
    guard::fit(&night, &mut attempts);
    orders::write(&night, &planned, &attempts, &guarded)
}

/// The whole night as it is hoped for: how every chain ends, and what goes where and when. Where [`plan`]
/// says what to do now, this is for showing.
pub fn outlook(problem: &Problem, rules: &Rules) -> (Vec<Outlook>, Vec<Placed>) {
    let night = Night::new(problem, rules, 0.0);
    let planned = buy(&night);
    let placed = planned.iter().map(|one| {
        let Offer { work, way, slot, batch, .. } = one.offer;
        let pace = night.steps[work].ways[way].pace();
        let hours = (one.count / pace.max(1e-9)).min(night.slots.hours(slot));
        let from = night.slots.start(slot);
        // What goes into a batch goes now; the slot is where it goes at once if the batch is not done by then.
        let (from, hours) = if batch.is_some() { (night.slots.start(0), 0.0) } else { (from, hours) };
        let (from, until) = (night.slots.moment(from), night.slots.moment(from + hours));
        Placed { work, way: batch.unwrap_or(way), from, until, count: one.count }
    });
    (orders::outlooks(&night, &planned), placed.collect())
}

/// Buys offers for every chain in turn.
fn buy(night: &Night<'_>) -> Vec<Planned> {
    let mut meters = night.meters();
    let mut budget = LP_OFFERS;
    let mut planned = Vec::new();
    for chain in &night.chains {
        let by_lp = match night.rules.solver {
            // One step is served as well by the simpler way.
            Solver::Lp if chain.works.len() > 1 => lp::plan(night, &chain.works, &mut meters, &mut budget),
            _ => None,
        };
        planned.extend(by_lp.unwrap_or_else(|| greedy::plan(night, &chain.works, &mut meters)));
    }
    planned
}

fn first_slot(night: &Night<'_>, planned: &[Planned]) -> Attempts {
    let mut attempts: Attempts = night.steps.iter().map(|step| vec![0.0; step.ways.len()]).collect();
    for one in planned.iter().filter(|one| one.offer.slot == 0) {
        attempts[one.offer.work][one.offer.way] += one.count;
    }
    attempts
}

#[cfg(test)]
mod tests;
