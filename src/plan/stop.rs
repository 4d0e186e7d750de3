//! What one more success is worth, and how a budget that runs out lowers it.
//!
//! Without a stop price four fifths of the money of a long ladder go to items that no model solves. Where the
//! user states none (`give_up_above`), it is ten times what a success of the dearest route allowed costs.
//! It never overrides caps, budgets, `max_attempts` or deadlines.
//!
//! Pure.

use std::collections::BTreeMap;

use super::odds::Odds;
use super::router::{Candidate, NextAttempt, next_attempt};
use super::tally::Spent;

/// Successes of the dearest route that one success is worth, where nobody says.
const DEFAULT_FACTOR: f64 = 10.0;
/// The share of the money left that may be planned with.
const PLANNABLE: f64 = 0.98;
/// Halvings of the range between nothing and the present price, on a scale of factors.
const HALVINGS: u32 = 40;

/// The most that is paid for one more success, in dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopPrice {
    /// Everything is tried; `max_attempts` is the end.
    Unlimited,
    /// So much.
    Dollars(f64),
}

impl StopPrice {
    /// Ten times `cost ÷ chance` of the dearest candidate, by what is known beforehand.
    pub fn by_default(candidates: &[Candidate<'_>], odds: &Odds) -> StopPrice {
        let priced = candidates.iter().filter(|candidate| candidate.cost.is_finite());
        let dearest = priced.max_by(|a, b| a.cost.total_cmp(&b.cost));
        let price = dearest.map(|candidate| {
            let chance = odds.mean(candidate.model, Spent::NONE);
            DEFAULT_FACTOR * candidate.cost / chance
        });
        match price {
            Some(price) if price.is_finite() && price > 0.0 => StopPrice::Dollars(price),
            _ => StopPrice::Unlimited,
        }
    }

    /// Whether a success at this index is worth it.
    pub fn pays(self, index: f64) -> bool {
        match self {
            StopPrice::Unlimited => true,
            StopPrice::Dollars(most) => index <= most,
        }
    }
}

/// Items that wait, by the models that have failed them.
pub type Pending = BTreeMap<Spent, u64>;

/// What finishing these items is expected to cost.
pub fn forecast(pending: &Pending, candidates: &[Candidate<'_>], odds: &Odds, stop: StopPrice) -> f64 {
    let cost = |(&spent, &items): (&Spent, &u64)| items as f64 * forecast_one(spent, candidates, odds, stop);
    pending.iter().map(cost).sum()
}

/// The stop price at which the money left is enough: the present one, or less. Later steps fall away first and
/// first attempts last, because these have the lowest indices. Never more than `stop`.
pub fn affordable(
    pending: &Pending,
    candidates: &[Candidate<'_>],
    odds: &Odds,
    stop: StopPrice,
    left: f64,
) -> StopPrice {
    let fits = |stop| forecast(pending, candidates, odds, stop) <= PLANNABLE * left;
    if fits(stop) {
        return stop;
    }
    let costs = candidates.iter().map(|candidate| candidate.cost).filter(|cost| cost.is_finite());
    let cheapest = costs.clone().filter(|&cost| cost > 0.0).fold(f64::INFINITY, f64::min);
    let dearest = costs.fold(0.0, f64::max);
    // No index is below the lowest cost, and none above the highest at the least chance there is.
    let mut low = cheapest * 0.5;
    let mut high = match stop {
        StopPrice::Dollars(most) => most,
        StopPrice::Unlimited => dearest * 1_000.0,
    };
    if low >= high {
        return stop;
    }
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        if fits(StopPrice::Dollars(middle)) { low = middle } else { high = middle }
    }
    StopPrice::Dollars(low)
}

/// Follows the router down one item's way, weighing each attempt by the chance that it is needed.
fn forecast_one(spent: Spent, candidates: &[Candidate<'_>], odds: &Odds, stop: StopPrice) -> f64 {
    let (mut spent, mut needed, mut cost) = (spent, 1.0, 0.0);
    let first: Vec<Candidate<'_>> =
        candidates.iter().filter(|candidate| !candidate.repeat).copied().collect();
    while let NextAttempt::Try { candidate, .. } = next_attempt(&first, spent, odds, stop) {
        let candidate = first[candidate];
        cost += needed * candidate.cost;
        needed *= 1.0 - odds.mean(candidate.model, spent);
        spent = spent.with(candidate.model);
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::router::tests::{candidate, odds_of};

    #[test]
    fn by_default_a_success_is_worth_ten_of_the_dearest() {
        let odds = odds_of(&[0.5, 0.8]);
        let routes = [candidate("a", 0, 1.0), candidate("b", 1, 4.0)];
        let StopPrice::Dollars(price) = StopPrice::by_default(&routes, &odds) else { panic!("unlimited") };
        assert!((price - 50.0).abs() < 1.0, "{price}");
        assert_eq!(StopPrice::by_default(&[], &odds), StopPrice::Unlimited);
    }

    #[test]
    fn the_forecast_weighs_later_attempts_by_the_chance_they_are_needed() {
        let odds = odds_of(&[0.5, 0.8]);
        let routes = [candidate("a", 0, 1.0), candidate("b", 1, 4.0)];
        let pending = Pending::from([(Spent::NONE, 100)]);
        let cost = forecast(&pending, &routes, &odds, StopPrice::Unlimited);
        assert!((cost - 300.0).abs() < 10.0, "{cost}");
        let first_only = forecast(&pending, &routes, &odds, StopPrice::Dollars(3.0));
        assert!((first_only - 100.0).abs() < 1.0, "{first_only}");
    }

    #[test]
    fn short_money_drops_later_attempts_first_and_never_raises_the_price() {
        let odds = odds_of(&[0.5, 0.8]);
        let routes = [candidate("a", 0, 1.0), candidate("b", 1, 4.0)];
        let pending = Pending::from([(Spent::NONE, 100)]);
        let price = |left| affordable(&pending, &routes, &odds, StopPrice::Unlimited, left);
        assert_eq!(price(1_000.0), StopPrice::Unlimited);
        for left in [150.0, 290.0] {
            let cost = forecast(&pending, &routes, &odds, price(left));
            assert!((99.0..=0.98 * left).contains(&cost), "{cost} of {left}");
        }
        assert_eq!(forecast(&pending, &routes, &odds, price(50.0)), 0.0);
        let mut last = f64::INFINITY;
        for left in [1_000.0, 400.0, 290.0, 150.0, 50.0, 0.0] {
            let price = affordable(&pending, &routes, &odds, StopPrice::Dollars(20.0), left);
            let StopPrice::Dollars(price) = price else { panic!("unlimited") };
            assert!(price <= last.min(20.0));
            last = price;
        }
    }
}
