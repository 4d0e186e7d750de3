//! What accounts give for nothing at the first gate: used first, at no cost, and written down.
//!
//! An attempt draws from the allowance of its route's account while what it probably needs is left of it.
//! Where the allowance covers the worst case too, no budget has to hold anything for it; else the worst case
//! is held all the same, and what really was used decides at the end who pays. An allowance that is used up
//! is waited for only where its next period would pay for all that is left of the work.
//!
//! Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Engine;
use super::flight::Flight;
use crate::attempt::{CostBasis, Ending, Outcome};
use crate::catalog::{Allowance, Route};
use crate::job::{Item, JobId};
use crate::ledger::{Amount, Drawing};
use crate::money::Usd;
use crate::plan::estimate::Known;
use crate::plan::price::{self, Bill};
use crate::plan::route::Cover;
use crate::view::AllowanceView;

impl Engine {
    /// What the allowance of a route's account says to an attempt.
    pub(super) fn cover(&self, route: &Route, item: &Item, known: &Known<'_>) -> Cover {
        let Some(allowance) = route.allowance.as_ref().filter(|given| given.holds(self.now)) else {
            return Cover::None;
        };
        let probably = self.probably(route, item, known);
        if allowance.has_room(self.used(route, allowance), probably) {
            return Cover::Whole;
        }
        let renews = allowance.renews(self.now);
        let is_enough = || self.left_to_do() <= allowance.lasts_for(probably);
        match renews.filter(|_| is_enough()) {
            Some(at) => Cover::Soon(at),
            // Nothing but the allowance is there: without it, the provider would refuse.
            None if route.prices.as_ref().is_some_and(|table| table.is_free()) => Cover::UsedUp(renews),
            None => Cover::None,
        }
    }

    /// What an attempt that is about to start draws, where it draws anything.
    pub(super) fn drawing(&self, route: &Route, item: &Item, known: &Known<'_>) -> Option<Drawing> {
        let allowance = route.allowance.as_ref().filter(|given| given.holds(self.now))?;
        let (used, probably) = (self.used(route, allowance), self.probably(route, item, known));
        if !allowance.has_room(used, probably) {
            return None;
        }
        let most = at_most(route, item).filter(|&most| allowance.has_room(used, most));
        Some(Drawing {
            account: route.account.clone(),
            period: allowance.period(self.now),
            amount: most.unwrap_or(probably),
            is_sure: most.is_some(),
        })
    }

    /// The bill of an attempt after its allowance has paid what it covers, and what it has drawn.
    pub(super) fn after_allowance(&self, flight: &Flight, ending: &Ending, bill: Bill) -> (Bill, Amount) {
        let drawn = &self.ledger.globals.drawn;
        let Some(drawing) = drawn.open(flight.call.attempt) else { return (bill, Amount::NOTHING) };
        let amount = match &ending.outcome {
            Outcome::NotSent { .. } | Outcome::Refused(_) => return (bill, Amount::NOTHING),
            Outcome::Answer(answer) => {
                let usage = answer.usage.unwrap_or_default();
                let tokens = usage.input + usage.output;
                let tokens = if tokens == 0 { drawing.amount.tokens } else { tokens };
                Amount { requests: 1, tokens, money: bill.cost }
            }
            // It may have been served, so it counts as if it had been.
            Outcome::Unknown { .. } | Outcome::Garbage { .. } => drawing.amount,
        };
        let covers = |allowance: &Arc<Allowance>| {
            let used = drawn.of(&drawing.account, drawing.period).minus(drawing.amount);
            allowance.has_room(used, amount)
        };
        let is_known = matches!(ending.outcome, Outcome::Answer(_));
        if drawing.is_sure || (is_known && flight.call.route.allowance.as_ref().is_some_and(covers)) {
            let free = Bill { cost: Usd::ZERO, basis: CostBasis::Free, at_risk: Usd::ZERO, ..bill };
            return (free, amount);
        }
        (bill, amount)
    }

    /// Puts the items of a page that would cost most first, while an allowance of the step is too small for
    /// all of them: so it saves most.
    pub(super) fn dearest_first(&mut self, id: &JobId, key: (u16, u8), routes: &[Arc<Route>]) {
        let scarce = routes.iter().any(|route| {
            let Some(given) = route.allowance.as_ref().filter(|given| given.holds(self.now)) else {
                return false;
            };
            let left = given.left(self.used(route, given)).requests;
            left.is_some_and(|left| left > 0 && left < self.left_to_do())
        });
        if !scarce {
            return;
        }
        let ready = std::mem::take(&mut self.queue_and_state(id).0.step(key.0, key.1).ready);
        let mut ready: Vec<Arc<Item>> = ready.into();
        let (now, known) = (self.now, self.known(id));
        let paid = |item: &Arc<Item>| {
            routes.iter().filter_map(|route| price::expected(route, item, now, &known)).min()
        };
        ready.sort_by_cached_key(|item| Reverse(paid(item)));
        self.queue_and_state(id).0.step(key.0, key.1).ready = ready.into();
    }

    /// Where every allowance stands, by account.
    pub fn allowances(&self) -> Vec<AllowanceView> {
        let mut views: Vec<AllowanceView> = Vec::new();
        for lane in 0..self.lanes.len() {
            let route = &self.lanes.get(lane).route;
            let Some(given) = &route.allowance else { continue };
            if !views.iter().any(|view| view.account == *route.account) {
                let drawn = &self.ledger.globals.drawn;
                views.extend(AllowanceView::of(&route.account, given, drawn, self.now));
            }
        }
        views.sort_by(|a, b| a.account.cmp(&b.account));
        views
    }

    fn used(&self, route: &Route, allowance: &Allowance) -> Amount {
        self.ledger.globals.drawn.of(&route.account, allowance.period(self.now))
    }

    fn probably(&self, route: &Route, item: &Item, known: &Known<'_>) -> Amount {
        let usage = known.usage(route, item);
        let money = route.prices.as_ref().map_or(Usd::ZERO, |table| table.cost(&usage, self.now));
        Amount { requests: 1, tokens: usage.input + usage.output, money }
    }

    /// Items of all jobs that wait to be sent.
    fn left_to_do(&self) -> u64 {
        let queues = self.queues.values().flat_map(|queue| queue.steps.values());
        queues.map(|step| u64::from(step.pending)).sum()
    }
}

/// The most that an attempt may draw; `None` where that is not known.
fn at_most(route: &Route, item: &Item) -> Option<Amount> {
    let tokens = item.most_input_tokens() + price::most_output(route, item)?;
    Some(Amount { requests: 1, tokens, money: price::worst_case(route, item)? })
}
