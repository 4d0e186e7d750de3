//! Cheapest first: each step buys the cheapest offers before its own latest finish.
//!
//! For one step nothing is cheaper. For several, each step's latest finish leaves the later ones the
//! time they will need: `D_k = D − max over later j of max(1 slot · (j − k), 1.15 · T_j/R_j − T_k/R_k)`.
//!
//! Pure.

use super::Planned;
use super::night::{Meters, Night};
use super::offers::{Offer, offers};
use super::slots::SLOT;

/// Plans one chain into what its meters have left.
pub(super) fn plan(night: &Night<'_>, works: &[usize], meters: &mut Meters) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (at, &work) in works.iter().enumerate() {
        let step = &night.steps[work];
        let until = latest_finish(night, &works[at..]);
        let mut open = offers(night, work, until);
        open.sort_by(by_cost);
        let left = fill(night, &open, step.total, until, meters, &mut planned);
        if left > 0.0 {
            // Too late for the steps after it is still better than never.
            let mut rest = offers(night, work, step.until);
            rest.sort_by(|a, b| a.slot.cmp(&b.slot).then(by_cost(a, b)));
            fill(night, &rest, left, step.until, meters, &mut planned);
        }
    }
    planned
}

/// Cheapest first, and the earlier slot of equals.
fn by_cost(a: &Offer, b: &Offer) -> std::cmp::Ordering {
    a.cost.total_cmp(&b.cost).then(a.slot.cmp(&b.slot)).then(a.way.cmp(&b.way))
}

/// Buys up to `total` and returns what found no room.
fn fill(
    night: &Night<'_>,
    open: &[Offer],
    total: f64,
    until: f64,
    meters: &mut Meters,
    planned: &mut Vec<Planned>,
) -> f64 {
    let mut left = total;
    for offer in open {
        if left < 1e-9 {
            return 0.0;
        }
        let way = &night.steps[offer.work].ways[offer.way];
        let share = night.slots.share_before(offer.slot, until);
        let room = meters.room(way, offer.slot, share, night.slots.hours(offer.slot), offer.weight);
        let count = room.min(left);
        if count > 1e-9 {
            meters.take(way, offer.slot, count, offer.weight);
            planned.push(Planned { offer: *offer, count });
            left -= count;
        }
    }
    left
}

/// The latest finish of the first of these steps, in hours.
fn latest_finish(night: &Night<'_>, works: &[usize]) -> f64 {
    let needed = |work: usize| {
        let step = &night.steps[work];
        let pace: f64 = step.covers().map(|(_, way)| way.pace()).sum();
        if pace > 0.0 { step.total / pace } else { 0.0 }
    };
    let own = needed(works[0]);
    let later = works.iter().enumerate().skip(1).filter(|(_, work)| night.steps[**work].total > 0.0);
    let after = later
        .map(|(at, &work)| (SLOT * at as f64).max(night.rules.margin * needed(work) - own))
        .fold(0.0, f64::max);
    night.steps[works[0]].until - after
}
