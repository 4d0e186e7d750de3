//! What can be bought: attempts of a work on a way in a slot, at a price.
//!
//! **A provider batch is a way of waiting.** What is planned for a later slot may sit in a batch until
//! then: it is done for the batch price with the chance that the batch ends in time, and otherwise
//! taken back and sent in its slot. So an offer in a later slot costs
//! `done × batch price + (1 − done) × price of the slot`, later slots are worth more, and whatever is
//! out is covered by a slot kept for it. That slot is kept at seven tenths of the pace.
//!
//! Pure.

use super::BATCH_COVER;
use super::night::{Lined, Night, Step};
use super::slots::hours_between;

/// Hours a batch must have before its lines are needed back.
const LEAST_WAIT: f64 = 0.3;
/// Hours it takes to cancel a batch and read what it has done.
const RECALL: f64 = 0.1;

/// Attempts of a work, on a way, in a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    pub work: usize,
    pub way: usize,
    pub slot: usize,
    /// Dollars for one attempt.
    pub price: f64,
    /// The same, with what its failure costs further up: what offers are compared by.
    pub cost: f64,
    /// The share of a meter's attempt that one takes.
    pub weight: f64,
    /// The way it waits in until the slot, if a batch pays.
    pub batch: Option<usize>,
}

/// A batch way that is open now, and the chance by slot that what waits in it is done.
struct Wait<'a> {
    way: usize,
    price: f64,
    lined: &'a Lined<'a>,
}

/// All offers to a work that begin before `until`.
pub(super) fn offers(night: &Night<'_>, work: usize, until: f64) -> Vec<Offer> {
    let step = &night.steps[work];
    let wait = batch_to_wait_in(night, step);
    let mut offers = Vec::new();
    for (way, lined) in step.direct() {
        for slot in 0..night.slots.len() {
            let (Some(price), true) = (lined.prices[slot], night.slots.start(slot) < until) else { continue };
            let fails = (1.0 - lined.pass) * step.failure;
            let direct = Offer { work, way, slot, price, cost: price + fails, weight: 1.0, batch: None };
            offers.push(wait.as_ref().and_then(|wait| wait.before(night, step, direct)).unwrap_or(direct));
        }
    }
    offers
}

fn batch_to_wait_in<'a>(night: &Night<'_>, step: &'a Step<'_>) -> Option<Wait<'a>> {
    if !night.rules.batches {
        return None;
    }
    let open = step.ways.iter().enumerate().filter(|(_, lined)| lined.is_batch());
    let priced = open.filter_map(|(way, lined)| Some(Wait { way, price: lined.prices[0]?, lined }));
    priced.min_by(|a, b| a.price.total_cmp(&b.price))
}

impl Wait<'_> {
    /// The offer with a wait in the batch before it, where that is cheaper.
    fn before(&self, night: &Night<'_>, step: &Step<'_>, direct: Offer) -> Option<Offer> {
        let start = night.slots.start(direct.slot);
        if start < LEAST_WAIT {
            return None;
        }
        let done = self.done_by(night, step, start - RECALL);
        let price = done * self.price + (1.0 - done) * direct.price;
        let fails = direct.cost - direct.price;
        (price < direct.price).then_some(Offer {
            price,
            cost: price + fails,
            weight: 1.0 / BATCH_COVER,
            batch: Some(self.way),
            ..direct
        })
    }

    /// The chance that an item of the step is done in a batch by then: some are out already, some can go
    /// now, some arrive later.
    fn done_by(&self, night: &Night<'_>, step: &Step<'_>, hours: f64) -> f64 {
        let curve = self.lined.way.done_by().copied().unwrap_or_default();
        let pending = step.work.pending as f64;
        let later = (step.total - pending - step.out).max(0.0);
        let mut sum = pending * curve.at(hours) + later * curve.at(hours - step.lead);
        for batch in &step.work.batches {
            let age = hours_between(batch.sent_at, night.problem.now).max(0.0);
            sum += batch.lines as f64 * curve.later(age, hours);
        }
        let all = pending + later + step.out;
        if all > 0.0 { sum / all } else { curve.at(hours) }
    }
}
