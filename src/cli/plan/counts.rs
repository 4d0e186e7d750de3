//! What the items of a file add up to, by ladder: memory does not grow with the file.
//!
//! Pure.

use std::collections::BTreeMap;

use crate::catalog::Route;
use crate::job::{Class, Item, Ladder};
use crate::money::{Price, Usage, Usd};
use crate::plan::estimate::ASSUMED_OUTPUT;
use crate::plan::forecast::Belief;

/// What the items of a class add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) items: u64,
    pub(super) input: u64,
    pub(super) most_input: u64,
    /// Of the longest request.
    pub(super) longest: u64,
    /// Expected, where a limit of the request is no lower.
    pub(super) output: u64,
    /// Allowed by requests that say so.
    pub(super) most_output: u64,
    /// Answers asked for by requests that do not.
    pub(super) unlimited: u64,
}

impl Sums {
    pub(super) fn add(&mut self, item: &Item) {
        let choices = u64::from(item.choices.max(1));
        let assumed = ASSUMED_OUTPUT * choices;
        self.items += 1;
        self.input += u64::from(item.input_tokens);
        self.most_input += item.most_input_tokens();
        self.longest = self.longest.max(item.most_input_tokens());
        self.output += item.max_output.map_or(assumed, |most| u64::from(most).min(assumed));
        self.most_output += u64::from(item.max_output.unwrap_or(0));
        self.unlimited += if item.max_output.is_none() { choices } else { 0 };
    }

    pub(super) fn plus(&mut self, other: &Sums) {
        self.items += other.items;
        self.input += other.input;
        self.most_input += other.most_input;
        self.longest = self.longest.max(other.longest);
        self.output += other.output;
        self.most_output += other.most_output;
        self.unlimited += other.unlimited;
    }

    /// With the tokens that are believed of a model.
    pub(super) fn believed(&self, belief: &Belief) -> Sums {
        let all = |mean: f64| (self.items as f64 * mean).round() as u64;
        Sums { input: all(belief.input.mean), output: all(belief.output.mean), ..*self }
    }

    pub(super) fn cost(&self, price: &Price) -> f64 {
        let usage = Usage { input: self.input, output: self.output, ..Usage::default() };
        self.with_requests(price, price.cost(&usage))
    }

    pub(super) fn worst(&self, route: &Route) -> Option<f64> {
        let table = route.prices.as_ref()?;
        let unlimited = if self.unlimited > 0 { self.unlimited * route.max_output? } else { 0 };
        let output = self.most_output + unlimited;
        let cost = |price: &Price| self.with_requests(price, price.worst_case(self.most_input, output));
        table.prices_up_to(self.longest).map(cost).reduce(f64::max)
    }

    /// Prices count one request; there are as many as items.
    pub(super) fn with_requests(&self, price: &Price, cost: Usd) -> f64 {
        cost.as_f64() + price.request.as_f64() * self.items.saturating_sub(1) as f64
    }
}

/// Classes that differ in nothing but times are one.
pub(super) fn by_ladder(sums: &BTreeMap<u16, Sums>, classes: &[Class]) -> BTreeMap<Ladder, Sums> {
    let mut by_ladder: BTreeMap<Ladder, Sums> = BTreeMap::new();
    for (class, sums) in sums {
        by_ladder.entry(classes[usize::from(*class)].ladder.clone()).or_default().plus(sums);
    }
    by_ladder
}
