//! How likely each model is to pass an item that others have failed: estimated from a [`Tally`].
//!
//! Failures are shared: after one, two, three failures of other models a model keeps about a half, a third,
//! a quarter of its pass rate. Taking models for independent buys hopeless attempts. Here the
//! sharing is a fitted *latent difficulty* (see `latent`), averaged over three strengths of sharing by how
//! well they explain the counts. Where a count itself has seen enough it speaks for itself: chance and
//! count meet as prior and evidence of a Beta distribution.
//!
//! Decisions use its upper bound, `mean + z·deviation`, so that what is little known is tried. How much that
//! is worth depends on how many items are left to profit, so `z` rises from 0.5 to 1.5 with them.
//!
//! # Why not a discount by depth
//!
//! The simpler rule gives every model its ability times one discount for each number of failures before it.
//! Net cost over that of the best fixed order in hindsight (`examples/score`; pools of 4–6 models, stop
//! prices of 1, 3 and 10 successes; the last column are jobs of fifty items that begin without counts):
//!
//! | | mean | 90th percentile | 50 items |
//! |---|---|---|---|
//! | 18 made-up sets of known structure: this | 1.013 | 1.035 | 1.033 |
//! | the same: discount by depth | 1.026 | 1.067 | 1.047 |
//! | answers of 15 models to coding questions: this | 1.019 | 1.044 | 1.037 |
//! | the same: discount by depth | 1.023 | 1.059 | 1.035 |
//! | answers of 13 models to grade-school maths: this | 1.022 | 1.056 | 1.023 |
//! | the same: discount by depth | 1.023 | 1.057 | 1.019 |
//!
//! Also tried in a prototype on such sets, and left out: the exact optimum over subsets at the upper bounds
//! (1.02–1.03 where the smallest index had 1.01: optimism adds up along an order); a prior that rises with
//! the price (nothing gained); one fixed strength of sharing (1.016 for 1.008 on made-up sets); no
//! exploration (1.04 for 1.02); and the fitted chance alone, without the counts (1.017 for 1.014).
//!
//! Odds are a pure function of counts and items left; they are made anew with every wave and not stored.
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::tally::{ModelIndex, Spent, Tally};

mod latent;
#[cfg(test)]
mod tests;

use latent::{Guess, Latent};

/// Strengths of sharing that are weighed against each other, and what they are given beforehand.
const SPREADS: [(f64, f64); 3] = [(0.5, 0.3), (2.0, 0.4), (4.0, 0.3)];
/// Chances stay between these, whatever was counted.
const LEAST: f64 = 0.002;
const MOST: f64 = 0.98;
/// The most attempts that the fitted chance stands for against counts of its own.
const MOST_PSEUDO_ATTEMPTS: f64 = 20.0;
/// A repeat of a model on an item it failed passes so much less often, until counted.
const REPEAT_SHARE: f64 = 0.3;
const REPEAT_PSEUDO_ATTEMPTS: f64 = 4.0;
/// A model below this upper bound after so many first attempts is out, but for a probe now and then.
const HOPELESS: f64 = 0.02;
const HOPELESS_AFTER: f64 = 30.0;
const PROBE_EVERY: u64 = 500;
/// Odds are made anew after so many results, or this time.
const WAVE_RESULTS: u64 = 16;
/// Where much is known, a wave is this part of it: a little more would change nothing.
const WAVE_SHARE: u64 = 64;
const WAVE_TIME: Duration = Duration::from_secs(1);

/// The chance of one model to pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// As far as is known: for forecasts.
    pub mean: f64,
    /// As high as it may well be: for decisions.
    pub upper: f64,
}

/// The chances of all models of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Odds {
    tally: Tally,
    /// Fits and their weights.
    latents: Vec<(Latent, f64)>,
    boldness: f64,
    /// What the counted ways are worth, worked out beforehand.
    known: BTreeMap<Spent, Vec<Chance>>,
    out: Vec<bool>,
}

impl Odds {
    /// Estimates them from what was counted. `items_left` have not been begun: who has much left to do
    /// gains more from trying what is little known.
    pub fn estimate(tally: &Tally, items_left: u64) -> Odds {
        let fits: Vec<(Latent, f64)> =
            SPREADS.iter().map(|&(spread, prior)| (Latent::fit(tally, spread), prior)).collect();
        let best = fits.iter().map(|(latent, _)| latent.fit).fold(f64::NEG_INFINITY, f64::max);
        let weigh = |(latent, prior): (Latent, f64)| {
            let weight = prior * (latent.fit - best).exp();
            (latent, weight)
        };
        let mut latents: Vec<(Latent, f64)> = fits.into_iter().map(weigh).collect();
        let sum: f64 = latents.iter().map(|(_, weight)| weight).sum();
        latents.iter_mut().for_each(|(_, weight)| *weight /= sum);
        let boldness = boldness(items_left);
        let (known, out) = (BTreeMap::new(), Vec::new());
        let mut odds = Odds { tally: tally.clone(), latents, boldness, known, out };
        let ways = tally.cells().map(|(spent, _, _)| spent).chain([Spent::NONE]);
        odds.known = ways.map(|spent| (spent, odds.work_out(spent))).collect();
        odds.out = (0..tally.models().len()).map(|model| odds.is_hopeless(model as ModelIndex)).collect();
        odds
    }

    /// Whether it is time to estimate anew: a wave of results has come in, or some and a second has passed.
    pub fn are_stale(&self, tally: &Tally, age: Duration) -> bool {
        let known = self.tally.results();
        let news = tally.results().saturating_sub(known);
        news >= WAVE_RESULTS.max(known / WAVE_SHARE) || news > 0 && age >= WAVE_TIME
    }

    /// Every model's chance on an item that these have failed.
    pub fn after(&self, spent: Spent) -> std::borrow::Cow<'_, [Chance]> {
        match self.known.get(&spent) {
            Some(chances) => chances.into(),
            None => self.work_out(spent).into(),
        }
    }

    /// The upper bound of one model.
    pub fn upper(&self, model: ModelIndex, spent: Spent) -> f64 {
        self.after(spent).get(usize::from(model)).map_or(0.0, |chance| chance.upper)
    }

    /// The mean of one model.
    pub fn mean(&self, model: ModelIndex, spent: Spent) -> f64 {
        self.after(spent).get(usize::from(model)).map_or(0.0, |chance| chance.mean)
    }

    /// The chance that a model passes an item it has failed before, asked once more. `spent` holds all that
    /// failed it, this model included.
    pub fn repeat(&self, model: ModelIndex, spent: Spent) -> Chance {
        let Some(known) = self.tally.models().get(usize::from(model)) else {
            return Chance { mean: 0.0, upper: 0.0 };
        };
        let others: Spent = spent.iter().filter(|&other| other != model).collect();
        let first = self.mean(model, others);
        let chance = (REPEAT_SHARE * first).clamp(LEAST, MOST);
        self.chance(chance, REPEAT_PSEUDO_ATTEMPTS, known.repeats.tries, known.repeats.passes)
    }

    /// Whether a model has shown that it cannot do this class. One try in 500 items is let through, since
    /// models change.
    pub fn is_out(&self, model: ModelIndex) -> bool {
        self.out.get(usize::from(model)).copied().unwrap_or(true)
    }

    fn is_hopeless(&self, model: ModelIndex) -> bool {
        self.tally.cell(model, Spent::NONE).tries >= HOPELESS_AFTER
            && self.upper(model, Spent::NONE) < HOPELESS
            && self.tally.items_since(model) < PROBE_EVERY
    }

    fn work_out(&self, spent: Spent) -> Vec<Chance> {
        let beliefs: Vec<_> = self.latents.iter().map(|(latent, _)| latent.difficulty_after(spent)).collect();
        let guess = |model: usize| {
            let guesses = self.latents.iter().zip(&beliefs);
            let guesses =
                guesses.map(|((latent, weight), difficulty)| (latent.guess(model, difficulty), *weight));
            mixed(&guesses.collect::<Vec<_>>())
        };
        let chance = |model: usize| {
            let Guess { chance, variance } = guess(model);
            let chance = chance.clamp(LEAST, MOST);
            let spread = chance * (1.0 - chance);
            let pseudo = (spread / variance.max(1e-9) - 1.0).clamp(1.0, MOST_PSEUDO_ATTEMPTS);
            let cell = self.tally.cell(model as ModelIndex, spent);
            self.chance(chance, pseudo, cell.tries, cell.passes)
        };
        (0..self.tally.models().len()).map(chance).collect()
    }

    /// A Beta distribution: what is expected, as if seen on `pseudo` attempts, and what was counted.
    fn chance(&self, expected: f64, pseudo: f64, tries: f64, passes: f64) -> Chance {
        let weight = pseudo + tries;
        let mean = (pseudo * expected + passes) / weight;
        let deviation = (mean * (1.0 - mean) / (weight + 1.0)).max(0.0).sqrt();
        Chance { mean, upper: (mean + self.boldness * deviation).min(1.0) }
    }
}

/// `z`: 0.5 up to 10 items left, 1 at 100, 1.5 from 1,000.
fn boldness(items_left: u64) -> f64 {
    1.0 + 0.5 * ((items_left as f64 + 1.0) / 100.0).log10().clamp(-1.0, 1.0)
}

/// Mean and variance of a mixture.
fn mixed(guesses: &[(Guess, f64)]) -> Guess {
    let chance: f64 = guesses.iter().map(|(guess, weight)| weight * guess.chance).sum();
    let within = guesses.iter().map(|(guess, weight)| weight * guess.variance);
    let between = guesses.iter().map(|(guess, weight)| weight * (guess.chance - chance).powi(2));
    Guess { chance, variance: within.chain(between).sum() }
}
