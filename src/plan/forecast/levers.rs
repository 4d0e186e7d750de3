//! What each way of saving saves, one after the other.
//!
//! Levers multiply: each is taken on what the ones before it left, so their factors make up the whole
//! saving and none is counted twice. It begins at the same work on the strongest model alone, at the price
//! of this moment, with every repeated request sent.
//!
//! Pure.

use serde::Serialize;

use super::{Forecast, Lot, Rung, attempt_cost, pass_of};
use crate::clock::Timestamp;

/// One way of saving.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lever {
    /// What it is.
    pub name: &'static str,
    /// Dollars it saves of what the ones before it left.
    pub saves_usd: f64,
    /// What is left of it, as a share.
    pub factor: f64,
}

/// Where the saving begins, and what makes it up.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Levers {
    /// All of it on the strongest model alone, at once.
    pub strongest_alone_usd: f64,
    /// All of it by the ladder, at once, every repeated request sent.
    pub list_price_now_usd: f64,
    /// Those that save anything.
    pub levers: Vec<Lever>,
}

/// What makes up the difference between the dearest plain way and this forecast of `lots`; `whole` are the
/// same with every step of their ladders, those included that are not worth their price.
pub fn levers(whole: &[Lot], lots: &[Lot], forecast: &Forecast, now: Timestamp) -> Levers {
    let all = |lot: &Lot| (lot.items + lot.copies) as f64;
    let strongest: f64 = whole.iter().map(|lot| all(lot) * strongest(lot, now)).sum();
    let ladder: f64 = whole.iter().map(|lot| all(lot) * by_ladder(lot, now)).sum();
    let worth_it: f64 = lots.iter().map(|lot| all(lot) * by_ladder(lot, now)).sum();
    let once: f64 = lots.iter().map(|lot| lot.items as f64 * by_ladder(lot, now)).sum();
    let expected = forecast.cost.expected;
    let chain = [
        ("cheap model first", strongest, ladder),
        ("give_up_above", ladder, worth_it),
        ("repeated requests answered once", worth_it, once),
        ("cheaper hours and routes", once, expected),
    ];
    let levers = chain.into_iter().filter(|&(_, from, to)| from > 0.0 && to < from * 0.9995);
    let lever =
        |(name, from, to): (&'static str, f64, f64)| Lever { name, saves_usd: from - to, factor: to / from };
    Levers { strongest_alone_usd: strongest, list_price_now_usd: ladder, levers: levers.map(lever).collect() }
}

/// Dollars an item costs on the dearest route of the last step.
fn strongest(lot: &Lot, now: Timestamp) -> f64 {
    lot.steps.last().map_or(0.0, |step| dearest(step, now))
}

/// Dollars an item is expected to cost by the ladder, sent now.
fn by_ladder(lot: &Lot, now: Timestamp) -> f64 {
    let (mut needed, mut cost) = (1.0, 0.0);
    for step in &lot.steps {
        cost += needed * cheapest(step, now);
        needed *= 1.0 - pass_of(step);
    }
    cost
}

fn dearest(step: &[Rung], now: Timestamp) -> f64 {
    step.iter().map(|rung| attempt_cost(rung, now)).fold(0.0, f64::max)
}

fn cheapest(step: &[Rung], now: Timestamp) -> f64 {
    let least = step.iter().map(|rung| attempt_cost(rung, now)).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}
