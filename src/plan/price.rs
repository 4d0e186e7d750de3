//! Tokens into money: what an attempt may cost, probably costs, and did cost.
//!
//! Pure.

use crate::attempt::{Answer, CostBasis};
use crate::catalog::{PriceTable, Route};
use crate::clock::Timestamp;
use crate::job::Item;
use crate::money::{Usage, Usd};
use crate::plan::estimate::Known;
pub use crate::plan::estimate::most_output;

/// The bill of one attempt, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// What it cost.
    pub cost: Usd,
    /// The same tokens in the dearest window.
    pub list_cost: Usd,
    /// Where the cost comes from.
    pub basis: CostBasis,
    /// Kept in every budget because the bill is not known; zero where it is.
    pub at_risk: Usd,
}

impl Bill {
    /// Nothing was billed.
    pub const NOTHING: Bill =
        Bill { cost: Usd::ZERO, list_cost: Usd::ZERO, basis: CostBasis::Computed, at_risk: Usd::ZERO };
}

/// The most an attempt can cost at any hour; `None` where the price or the output limit is unknown.
pub fn worst_case(route: &Route, item: &Item) -> Option<Usd> {
    at_most(route, item.most_input_tokens(), most_output(route, item))
}

/// The most an answer that the request does not limit can cost at any hour, its prompt aside.
pub fn longest_answer(route: &Route) -> Option<Usd> {
    at_most(route, 0, route.max_output)
}

fn at_most(route: &Route, input: u64, output: Option<u64>) -> Option<Usd> {
    let table = route.prices.as_ref()?;
    if table.is_free() {
        return Some(Usd::ZERO);
    }
    Some(table.worst_case(input, output?))
}

/// What an attempt probably costs at this hour; `None` where the price is unknown.
pub fn expected(route: &Route, item: &Item, now: Timestamp, known: &Known<'_>) -> Option<Usd> {
    Some(route.prices.as_ref()?.cost(&known.usage(route, item), now))
}

/// The bill of a complete answer, at the price of the hour it was sent in.
pub fn of_answer(route: &Route, item: &Item, answer: &Answer, sent_at: Timestamp, known: &Known<'_>) -> Bill {
    let Some(table) = &route.prices else {
        let cost = answer.reported_cost.unwrap_or(Usd::ZERO);
        let basis = if answer.reported_cost.is_some() { CostBasis::Reported } else { CostBasis::Unpriced };
        return Bill { cost, list_cost: cost, basis, at_risk: Usd::ZERO };
    };
    let Some(usage) = answer.usage else {
        let output = (answer.text.len() as u64).div_ceil(4);
        return estimated(route, item, table, &Usage { output, ..known.usage(route, item) }, sent_at);
    };
    let (cost, basis) = match answer.reported_cost {
        Some(reported) => (reported, CostBasis::Reported),
        None if table.at(sent_at).1.is_free() && table.cost(&usage, sent_at) == Usd::ZERO => {
            (Usd::ZERO, CostBasis::Free)
        }
        None => (table.cost(&usage, sent_at), CostBasis::Computed),
    };
    Bill { cost, list_cost: table.list_cost(&usage, sent_at), basis, at_risk: Usd::ZERO }
}

/// The bill of a request whose outcome we will never know: a guess, with the worst case kept aside.
pub fn of_unknown(route: &Route, item: &Item, sent_at: Timestamp, known: &Known<'_>) -> Bill {
    match &route.prices {
        Some(table) => estimated(route, item, table, &known.usage(route, item), sent_at),
        None => Bill { basis: CostBasis::Unpriced, ..Bill::NOTHING },
    }
}

fn estimated(route: &Route, item: &Item, table: &PriceTable, usage: &Usage, sent_at: Timestamp) -> Bill {
    let cost = table.cost(usage, sent_at);
    let list_cost = table.list_cost(usage, sent_at);
    let at_risk = worst_case(route, item).unwrap_or(cost).max(cost);
    let basis = if at_risk == Usd::ZERO { CostBasis::Free } else { CostBasis::Estimated };
    Bill { cost, list_cost, basis, at_risk }
}

#[cfg(test)]
mod tests;
