//! Who plays: the router of this crate, and the rules it is compared with.

use overnight::plan::odds::Odds;
use overnight::plan::router::{Candidate, NextAttempt, next_attempt};
use overnight::plan::shrunk::Shrunk;
use overnight::plan::stop::StopPrice;
use overnight::plan::tally::{Cell, ModelIndex, Spent, Tally};

use super::job::Job;
use super::replay::Policy;

/// The crate's own, learning from nothing.
pub(super) struct Router {
    names: Vec<String>,
    costs: Vec<Shrunk>,
    stop: StopPrice,
    tally: Tally,
    odds: Odds,
}

impl Router {
    pub(super) fn new(job: &Job<'_>) -> Router {
        let names: Vec<String> = job.pool.iter().map(|&model| job.answers.models[model].clone()).collect();
        let tally = Tally::new(names.iter().map(|name| (name.as_str(), None)));
        let odds = Odds::estimate(&tally, job.items.len() as u64);
        let costs = job.guesses.iter().map(|&guess| Shrunk::new(guess)).collect();
        Router { names, costs, stop: StopPrice::Dollars(job.worth), tally, odds }
    }

    /// A further job of the class: starts with what this one learned.
    pub(super) fn carry_over(self, job: &Job<'_>) -> Router {
        let next = Router::new(job);
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let tally = self.tally.carry_over(names.into_iter().map(|name| (name, None)));
        let odds = Odds::estimate(&tally, job.items.len() as u64);
        Router { tally, odds, ..next }
    }
}

impl Policy for Router {
    fn choose(&mut self, spent: Spent, available: &[usize]) -> Option<usize> {
        let candidate = |&model: &usize| Candidate {
            route: &self.names[model],
            step: 0,
            model: model as ModelIndex,
            cost: self.costs[model].mean(),
            failing: 0.0,
            repeat: false,
        };
        let candidates: Vec<Candidate<'_>> = available.iter().map(candidate).collect();
        match next_attempt(&candidates, spent, &self.odds, self.stop) {
            NextAttempt::Try { candidate, .. } => Some(available[candidate]),
            NextAttempt::NotWorthIt { .. } | NextAttempt::NothingLeft => None,
        }
    }

    fn observe(&mut self, model: usize, spent: Spent, passed: bool, cost: f64) {
        self.tally.observe(model as ModelIndex, spent, passed);
        self.costs[model].observe(cost);
    }

    fn wave(&mut self, items_left: usize) {
        self.odds = Odds::estimate(&self.tally, items_left as u64);
    }

    fn reprice(&mut self, factors: &[f64]) {
        self.costs.iter_mut().zip(factors).for_each(|(cost, &factor)| cost.scale(factor));
    }
}

/// A fixed order with a fixed end.
pub(super) struct FixedOrder(pub(super) Vec<usize>);

impl Policy for FixedOrder {
    fn choose(&mut self, spent: Spent, available: &[usize]) -> Option<usize> {
        // Models that cannot take the item are passed over.
        let mut left = self.0.iter().filter(|&&model| !spent.has(model as ModelIndex));
        left.find(|model| available.contains(model)).copied()
    }
}

/// One upper bound per model, by depth or not: the simpler rules that ours has to beat.
pub(super) struct Simple {
    by_depth: bool,
    costs: Vec<Shrunk>,
    worth: f64,
    /// By model and number of failures before.
    cells: Vec<[Cell; DEPTHS]>,
    upper: Vec<[f64; DEPTHS]>,
}

const DEPTHS: usize = 5;
const DISCOUNTS: [f64; DEPTHS] = [1.0, 0.5, 0.3, 0.2, 0.15];
const PRIOR: f64 = 0.7;
const PRIOR_WEIGHT: f64 = 2.0;
const DISCOUNT_WEIGHT: f64 = 10.0;
const PSEUDO_ATTEMPTS: f64 = 4.0;

impl Simple {
    /// Every model's failures are its own.
    pub(super) fn pooled(job: &Job<'_>) -> Simple {
        Simple::new(job, false)
    }

    /// Ability times a discount for every number of failures before, the same for all models.
    pub(super) fn by_depth(job: &Job<'_>) -> Simple {
        Simple::new(job, true)
    }

    fn new(job: &Job<'_>, by_depth: bool) -> Simple {
        let costs = job.guesses.iter().map(|&guess| Shrunk::new(guess)).collect();
        let n_models = job.pool.len();
        let (cells, upper) = (vec![[Cell::default(); DEPTHS]; n_models], vec![[1.0; DEPTHS]; n_models]);
        Simple { by_depth, costs, worth: job.worth, cells, upper }
    }

    fn depth(&self, spent: Spent) -> usize {
        if self.by_depth { (spent.depth() as usize).min(DEPTHS - 1) } else { 0 }
    }

    fn abilities(&self, discounts: &[f64; DEPTHS]) -> Vec<f64> {
        let ability = |cells: &[Cell; DEPTHS]| {
            let passes: f64 = cells.iter().map(|cell| cell.passes).sum();
            let tries: f64 = cells.iter().zip(discounts).map(|(cell, discount)| cell.tries * discount).sum();
            ((PRIOR_WEIGHT * PRIOR + passes) / (PRIOR_WEIGHT + tries)).min(0.98)
        };
        self.cells.iter().map(ability).collect()
    }

    fn discounts(&self, abilities: &[f64]) -> [f64; DEPTHS] {
        let mean = abilities.iter().sum::<f64>() / abilities.len() as f64;
        let mut discounts = [1.0; DEPTHS];
        for depth in 1..DEPTHS {
            let (mut passes, mut expected) =
                (DISCOUNT_WEIGHT * DISCOUNTS[depth] * mean, DISCOUNT_WEIGHT * mean);
            for (cells, ability) in self.cells.iter().zip(abilities) {
                passes += cells[depth].passes;
                expected += cells[depth].tries * ability;
            }
            discounts[depth] = (passes / expected).min(discounts[depth - 1]);
        }
        discounts
    }
}

impl Policy for Simple {
    fn choose(&mut self, spent: Spent, available: &[usize]) -> Option<usize> {
        let depth = self.depth(spent);
        let index = |&model: &usize| (self.costs[model].mean() / self.upper[model][depth], model);
        let best = available.iter().map(index).min_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 <= self.worth).then_some(best.1)
    }

    fn observe(&mut self, model: usize, spent: Spent, passed: bool, cost: f64) {
        let depth = self.depth(spent);
        let cell = &mut self.cells[model][depth];
        cell.tries += 1.0;
        cell.passes += f64::from(u8::from(passed));
        self.costs[model].observe(cost);
    }

    fn wave(&mut self, _items_left: usize) {
        let mut discounts = if self.by_depth { DISCOUNTS } else { [1.0; DEPTHS] };
        let mut abilities = self.abilities(&discounts);
        for _ in 0..if self.by_depth { 3 } else { 0 } {
            discounts = self.discounts(&abilities);
            abilities = self.abilities(&discounts);
        }
        let items: f64 = self.cells.iter().map(|cells| cells[0].tries).sum();
        let boldness = 1.0 + (items.max(1.0) / 100.0).log10().clamp(0.0, 1.0);
        for (model, ability) in abilities.iter().enumerate() {
            for (depth, discount) in discounts.iter().enumerate() {
                let cell = self.cells[model][depth];
                let expected = (ability * discount).clamp(0.002, 0.98);
                let weight = PSEUDO_ATTEMPTS + cell.tries;
                let mean = (PSEUDO_ATTEMPTS * expected + cell.passes) / weight;
                let deviation = (mean * (1.0 - mean) / (weight + 1.0)).sqrt();
                self.upper[model][depth] = (mean + boldness * deviation).min(1.0);
            }
        }
    }

    fn reprice(&mut self, factors: &[f64]) {
        self.costs.iter_mut().zip(factors).for_each(|(cost, &factor)| cost.scale(factor));
    }
}
