//! The next attempt for one item, or the end of its ladder: cost against the chance to pass.
//!
//! Of the candidates of the lowest step that has any left, the one with the smallest `cost ÷ chance` is
//! tried, as long as that *index* is not above the stop price: what one more success is worth. A step
//! whose best index is above it gives up, and the next one is asked.
//!
//! Why so little is enough:
//!
//! 1. The only news there can be before an item's next attempt is "failed", so a fixed order per class
//!    loses nothing to any rule that looks again.
//! 2. Two neighbours in an order stand right exactly when `cost ÷ P(passes | all before failed)` rises,
//!    however their failures are correlated. Taking the smallest each time puts every pair of neighbours
//!    right.
//! 3. It never costs more than four times the best order, and in replays, with everything to learn, 1–3%
//!    more.
//!
//! The chance is the upper bound of [`Odds`], so what is little known is tried where it would pay. A route
//! that costs more than the best index so far is never explored: no chance could bring it to the front.
//!
//! Costs are dollars as `f64`, good enough to compare; what is paid is counted exactly elsewhere. Pure.

use std::cmp::Ordering;

use super::odds::Odds;
use super::stop::StopPrice;
use super::tally::{ModelIndex, Spent};

/// Indices nearer than this to each other are equal.
pub(super) const TIE: f64 = 0.01;
/// What a free route must be able to pass to be worth its time and its place in the rate limit.
pub(super) const LEAST_FOR_FREE: f64 = 0.05;

/// A route that could take the item now: fits, is open, and its worst case is affordable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// Its name: the last word between equals.
    pub route: &'a str,
    /// Its step of the ladder; all the same where no steps are given.
    pub step: u8,
    /// Its model's place in the tally of the class.
    pub model: ModelIndex,
    /// What an attempt is expected to cost here, in dollars: see [`effective_cost`].
    pub cost: f64,
    /// Share of its sends that fail in transport: health, between equals.
    pub failing: f64,
    /// The model has failed this item, answers at a temperature above 0, and may be asked once more.
    pub repeat: bool,
}

/// What to do next with an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextAttempt {
    /// Try this candidate.
    Try {
        /// Its place among the candidates.
        candidate: usize,
        /// Dollars for one expected success.
        index: f64,
    },
    /// What is left costs more than a success is worth: dollars for one expected success at the cheapest.
    NotWorthIt {
        /// The lowest index.
        index: f64,
    },
    /// No candidate is left.
    NothingLeft,
}

/// Chooses among the candidates for an item that the models of `spent` have failed.
pub fn next_attempt(candidates: &[Candidate<'_>], spent: Spent, odds: &Odds, stop: StopPrice) -> NextAttempt {
    let options = choices(candidates, spent, odds);
    let steps = options.iter().map(|choice| choice.candidate.step);
    let mut step = steps.clone().min();
    let mut dearest = NextAttempt::NothingLeft;
    while let Some(current) = step {
        let best = best_of(options.iter().filter(|choice| choice.candidate.step == current));
        if stop.pays(best.index) {
            return NextAttempt::Try { candidate: best.place, index: best.index };
        }
        dearest = match dearest {
            NextAttempt::NotWorthIt { index } if index <= best.index => dearest,
            _ => NextAttempt::NotWorthIt { index: best.index },
        };
        step = steps.clone().filter(|&other| other > current).min();
    }
    dearest
}

/// What of the candidates may be tried at all.
fn choices<'a>(candidates: &'a [Candidate<'a>], spent: Spent, odds: &Odds) -> Vec<Choice<'a>> {
    let chances = odds.after(spent);
    let chance = |candidate: &Candidate<'_>| {
        let model = candidate.model;
        match candidate.repeat {
            true => spent.has(model).then(|| odds.repeat(model, spent).upper),
            false if spent.has(model) || odds.is_out(model) => None,
            false => chances.get(usize::from(model)).map(|chance| chance.upper),
        }
    };
    let mut choices = Vec::with_capacity(candidates.len());
    for (place, candidate) in candidates.iter().enumerate() {
        choices.extend(chance(candidate).and_then(|chance| Choice::new(place, candidate, chance)));
    }
    choices
}

/// The cost to compare by: some of the attempts that fail in transport are billed and made again.
/// `None` for a route on which nothing gets through.
pub fn effective_cost(cost: f64, failing: f64, billed: f64) -> Option<f64> {
    let failing = failing.max(0.0);
    (failing < 1.0).then(|| cost * (1.0 + billed.clamp(0.0, 1.0) * failing / (1.0 - failing)))
}

/// A candidate that may be tried.
struct Choice<'a> {
    place: usize,
    candidate: &'a Candidate<'a>,
    chance: f64,
    index: f64,
}

impl<'a> Choice<'a> {
    /// Unknown and impossible costs, and free routes that pass nothing, are not choices.
    fn new(place: usize, candidate: &'a Candidate<'a>, chance: f64) -> Option<Choice<'a>> {
        let is_free = candidate.cost == 0.0;
        let possible = candidate.cost.is_finite() && candidate.cost >= 0.0 && chance > 0.0;
        let usable = possible && (!is_free || chance >= LEAST_FOR_FREE);
        usable.then(|| Choice { place, candidate, chance, index: candidate.cost / chance })
    }

    /// Free routes by their chance; others by cost, then health, then name.
    fn among_equals(&self, other: &Choice<'_>) -> Ordering {
        let (a, b) = (self.candidate, other.candidate);
        let by_chance = if a.cost == 0.0 && b.cost == 0.0 {
            other.chance.total_cmp(&self.chance)
        } else {
            Ordering::Equal
        };
        by_chance
            .then(a.cost.total_cmp(&b.cost))
            .then(a.failing.total_cmp(&b.failing))
            .then(a.route.cmp(b.route))
            .then(self.place.cmp(&other.place))
    }
}

fn best_of<'a>(choices: impl Iterator<Item = &'a Choice<'a>> + Clone) -> &'a Choice<'a> {
    let lowest = choices.clone().map(|choice| choice.index).fold(f64::INFINITY, f64::min);
    let equals = choices.filter(|choice| choice.index <= lowest * (1.0 + TIE));
    equals.min_by(|a, b| a.among_equals(b)).expect("the step was taken from one of the choices")
}

#[cfg(test)]
pub(in crate::plan) mod tests;
