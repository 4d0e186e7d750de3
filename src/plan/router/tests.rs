use proptest::prelude::*;

use super::*;
use crate::plan::tally::Tally;

/// A route of one model on step 0.
pub(in crate::plan) fn candidate(route: &str, model: ModelIndex, cost: f64) -> Candidate<'_> {
    Candidate { route, step: 0, model, cost, failing: 0.0, repeat: false }
}

/// Models known to pass these shares, whatever failed before.
pub(in crate::plan) fn odds_of(shares: &[f64]) -> Odds {
    let names: Vec<String> = (0..shares.len()).map(|n| format!("m{n}")).collect();
    let mut tally = Tally::new(names.iter().map(|name| (name.as_str(), None)));
    for bits in 0..1u64 << shares.len() {
        let spent: Spent = (0..shares.len() as ModelIndex).filter(|model| bits >> model & 1 == 1).collect();
        for (model, share) in (0..).zip(shares).filter(|&(model, _)| !spent.has(model)) {
            tally.set_cell(model, spent, 1e6, 1e6 * share);
        }
    }
    Odds::estimate(&tally, 0)
}

fn chosen(next: NextAttempt) -> Option<usize> {
    match next {
        NextAttempt::Try { candidate, .. } => Some(candidate),
        _ => None,
    }
}

fn choose(candidates: &[Candidate<'_>], odds: &Odds) -> Option<usize> {
    chosen(next_attempt(candidates, Spent::NONE, odds, StopPrice::Unlimited))
}

#[test]
fn the_least_dollars_for_a_success_go_first() {
    let odds = odds_of(&[0.5, 0.9]);
    assert_eq!(choose(&[candidate("a", 0, 1.0), candidate("b", 1, 1.7)], &odds), Some(1));
    assert_eq!(choose(&[candidate("a", 0, 1.0), candidate("b", 1, 1.9)], &odds), Some(0));
}

#[test]
fn spent_models_are_not_asked_again_and_a_dear_success_is_not_bought() {
    let odds = odds_of(&[0.5, 0.9]);
    let routes = [candidate("a", 0, 1.0), candidate("b", 1, 9.0)];
    let after = Spent::NONE.with(0);
    let at = |stop| next_attempt(&routes, after, &odds, StopPrice::Dollars(stop));
    assert_eq!(chosen(at(10.1)), Some(1));
    assert!(matches!(at(9.9), NextAttempt::NotWorthIt { index } if (index - 10.0).abs() < 0.1));
    let all = after.with(1);
    assert_eq!(next_attempt(&routes, all, &odds, StopPrice::Unlimited), NextAttempt::NothingLeft);
}

#[test]
fn a_lower_step_goes_first_and_gives_up_for_itself() {
    let odds = odds_of(&[0.2, 0.9]);
    let second = Candidate { step: 1, ..candidate("b", 1, 1.0) };
    let routes = [second, candidate("a", 0, 1.0)];
    assert_eq!(choose(&routes, &odds), Some(1), "the ladder's order is the user's");
    let given_up = next_attempt(&routes, Spent::NONE, &odds, StopPrice::Dollars(2.0));
    assert_eq!(chosen(given_up), Some(0), "5 dollars for a success on the first step are too many");
}

#[test]
fn equals_are_told_apart_by_cost_then_health_then_name() {
    let odds = odds_of(&[0.5, 0.503, 0.5, 0.5]);
    let routes = [candidate("a", 0, 1.0), candidate("b", 1, 1.001)];
    assert_eq!(choose(&routes, &odds), Some(0));
    let routes = [Candidate { failing: 0.1, ..candidate("a", 0, 1.0) }, candidate("b", 2, 1.0)];
    assert_eq!(choose(&routes, &odds), Some(1));
    assert_eq!(choose(&[candidate("y", 2, 1.0), candidate("x", 3, 1.0)], &odds), Some(1));
}

#[test]
fn free_routes_go_first_if_they_pass_anything() {
    let odds = odds_of(&[0.01, 0.3, 0.6, 0.9]);
    let paid = candidate("paid", 3, 0.001);
    assert_eq!(choose(&[paid, candidate("f", 1, 0.0), candidate("g", 2, 0.0)], &odds), Some(2));
    assert_eq!(choose(&[paid, candidate("f", 0, 0.0)], &odds), Some(0));
}

#[test]
fn nonsense_is_no_candidate() {
    let odds = odds_of(&[0.5]);
    for cost in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(choose(&[candidate("a", 0, cost)], &odds), None, "{cost}");
    }
    assert_eq!(choose(&[candidate("a", 7, 1.0)], &odds), None);
    assert_eq!(choose(&[], &odds), None);
}

#[test]
fn a_repeat_is_a_candidate_once_the_model_has_failed() {
    let odds = odds_of(&[0.8, 0.8]);
    let again = Candidate { repeat: true, ..candidate("a", 0, 1.0) };
    assert_eq!(choose(&[again], &odds), None);
    let after = Spent::NONE.with(0);
    let next = |routes: &[Candidate<'_>]| next_attempt(routes, after, &odds, StopPrice::Unlimited);
    assert_eq!(chosen(next(&[candidate("a", 0, 1.0), again])), Some(1));
    assert_eq!(chosen(next(&[again, candidate("b", 1, 1.0)])), Some(1));
    assert_eq!(chosen(next(&[again, candidate("b", 1, 9.0)])), Some(0));
}

#[test]
fn billed_failures_raise_the_cost_and_a_dead_route_is_none() {
    assert_eq!(effective_cost(2.0, 0.0, 1.0), Some(2.0));
    assert_eq!(effective_cost(2.0, 0.5, 1.0), Some(4.0));
    assert_eq!(effective_cost(2.0, 0.5, 0.5), Some(3.0));
    assert_eq!(effective_cost(2.0, 1.0, 0.0), None);
}

/// A small world: which models pass each item, all items equally likely, and what a try costs.
#[derive(Clone, Debug)]
struct World {
    passes: Vec<Vec<bool>>,
    costs: Vec<f64>,
    worth: f64,
}

impl World {
    /// Mean spend, with `worth` for each item that stays unsolved.
    fn net(&self, order: &[usize]) -> f64 {
        let item = |passes: &Vec<bool>| {
            let tried = order.iter().position(|&model| passes[model]);
            let paid = &order[..tried.map_or(order.len(), |at| at + 1)];
            paid.iter().map(|&model| self.costs[model]).sum::<f64>() + tried.map_or(self.worth, |_| 0.0)
        };
        self.passes.iter().map(item).sum::<f64>() / self.passes.len() as f64
    }

    fn index(&self, model: usize, before: &[usize]) -> f64 {
        let failed = |passes: &&Vec<bool>| !before.iter().any(|&model| passes[model]);
        let left: Vec<_> = self.passes.iter().filter(failed).collect();
        let passed = left.iter().filter(|passes| passes[model]).count();
        if passed == 0 { f64::INFINITY } else { self.costs[model] * left.len() as f64 / passed as f64 }
    }

    fn orders(&self) -> Vec<Vec<usize>> {
        let mut orders = vec![Vec::new()];
        let mut at = 0;
        while at < orders.len() {
            let order = orders[at].clone();
            let left = (0..self.costs.len()).filter(|model| !order.contains(model));
            orders.extend(left.map(|model| [&order[..], &[model]].concat()));
            at += 1;
        }
        orders
    }

    /// The router's rule with the true chances.
    fn greedy(&self) -> Vec<usize> {
        let mut order = Vec::new();
        loop {
            let left = (0..self.costs.len()).filter(|model| !order.contains(model));
            let best = left.map(|model| (self.index(model, &order), model));
            match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((index, model)) if index <= self.worth => order.push(model),
                _ => return order,
            }
        }
    }

    /// The best adaptive rule: after every failure it may look again at everything.
    fn adaptive(&self, before: &[usize]) -> f64 {
        let failed = |passes: &&Vec<bool>| !before.iter().any(|&model| passes[model]);
        let left = self.passes.iter().filter(failed).count() as f64;
        let total = self.passes.len() as f64;
        let stop = self.worth * left / total;
        let models = (0..self.costs.len()).filter(|model| !before.contains(model));
        let tries = models
            .map(|model| self.costs[model] * left / total + self.adaptive(&[before, &[model]].concat()));
        tries.fold(stop, f64::min)
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let passes = prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..16);
    (passes, prop::collection::vec(0.01..10.0f64, 4), 0.1..100.0f64)
        .prop_map(|(passes, costs, worth)| World { passes, costs, worth })
}

proptest! {
    #[test]
    fn a_fixed_order_loses_nothing_to_a_rule_that_looks_again(world in worlds()) {
        let best = world.orders().iter().map(|order| world.net(order)).fold(f64::INFINITY, f64::min);
        prop_assert!((best - world.adaptive(&[])).abs() < 1e-9 * best.max(1.0));
    }

    #[test]
    fn neighbours_stand_right_exactly_when_their_indices_rise(world in worlds(), swap in 0usize..3) {
        let order = [0, 1, 2, 3];
        let (first, second) = (order[swap], order[swap + 1]);
        let mut swapped = order;
        swapped.swap(swap, swap + 1);
        let indices = [first, second].map(|model| world.index(model, &order[..swap]));
        let gain = world.net(&swapped) - world.net(&order);
        let rises = match indices {
            [a, b] if a.is_infinite() && b.is_infinite() => return Ok(()),
            [a, b] => b - a,
        };
        if rises.abs() > 1e-6 && gain.abs() > 1e-9 {
            prop_assert_eq!(rises > 0.0, gain > 0.0, "{:?} {}", indices, gain);
        }
    }

    #[test]
    fn the_smallest_index_each_time_costs_at_most_four_times_the_best(world in worlds()) {
        let best = world.orders().iter().map(|order| world.net(order)).fold(f64::INFINITY, f64::min);
        prop_assert!(world.net(&world.greedy()) <= 4.0 * best + 1e-9);
    }

    #[test]
    fn the_same_question_has_the_same_answer_in_any_order(
        costs in prop::collection::vec(0.0..5.0f64, 4), bits in 0u8..16, rotate in 0usize..4,
    ) {
        let odds = odds_of(&[0.2, 0.5, 0.7, 0.9]);
        let spent: Spent = (0..4).filter(|model| bits >> model & 1 == 1).collect();
        let names = ["a", "b", "c", "d"];
        let mut routes: Vec<_> = (0..4).map(|n| candidate(names[n], n as u8, costs[n])).collect();
        let route = |routes: &[Candidate<'_>]| {
            chosen(next_attempt(routes, spent, &odds, StopPrice::Dollars(4.0))).map(|at| routes[at].model)
        };
        let first = route(&routes);
        prop_assert!(first.is_none_or(|model| !spent.has(model)));
        routes.rotate_left(rotate);
        prop_assert_eq!(route(&routes), first);
    }
}
