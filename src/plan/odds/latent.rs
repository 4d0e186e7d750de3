//! A latent difficulty behind the outcomes: why models fail on the same items, in one number an item.
//!
//! An item of difficulty `t` is passed by model `i` with probability `σ(b_i − s·t)`; difficulties are
//! standard normal, on a grid of eleven points. `b_i` is the model's ability, `s` how strongly failures
//! are shared: 0 would be independent models. Failing moves what is believed of an item's difficulty, and
//! with it the chance of every other model.
//!
//! Abilities are drawn towards the class's common level, which itself is free to move: sixteen failures of
//! one model on a hard class say something of the others too. They are found by scoring steps that
//! only ever improve the fit, always from the prior, so the result depends on the counts alone.
//!
//! Pure.

use crate::plan::tally::{ModelIndex, Spent, Tally};

/// Points of the difficulty grid.
const POINTS: usize = 11;
/// Standard deviations at its ends.
const GRID_END: f64 = 2.5;
/// Share of items a model passes, where nobody says.
const PRIOR: f64 = 0.7;
/// How far a whole class may be from the priors, and a model from its class; in log-odds.
const CLASS_DEVIATION: f64 = 1.5;
const MODEL_DEVIATION: f64 = 0.35;
/// The likelihood never divides by less than this chance.
const LEAST: f64 = 1e-4;
const MOST_ROUNDS: usize = 20;
const LONGEST_STEP: f64 = 1.0;
const STRONGEST: f64 = 12.0;

/// A value at every point of the grid.
type Points = [f64; POINTS];

/// Abilities fitted to a tally at one strength of sharing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latent {
    /// Log of likelihood times prior.
    pub(super) fit: f64,
    /// By model and difficulty, the chance to pass.
    pass: Vec<Points>,
    /// By model, how certain its ability is: one over its variance.
    information: Vec<f64>,
}

/// The chance of one model, and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guess {
    pub(super) chance: f64,
    pub(super) variance: f64,
}

impl Latent {
    /// Fits abilities to the counts, with failures shared to the degree `spread`.
    pub(super) fn fit(tally: &Tally, spread: f64) -> Latent {
        let level = Level::new(tally, spread);
        let mut abilities = level.centres.clone();
        let mut now = Fitting::at(tally, &level, spread, &abilities);
        let mut pace = 0.8;
        for _ in 0..MOST_ROUNDS {
            let stepped = now.step(&abilities, pace);
            let next = Fitting::at(tally, &level, spread, &stepped);
            let gain = next.latent.fit - now.latent.fit;
            if gain > 0.0 {
                (abilities, now) = (stepped, next);
                if gain < 1e-3 {
                    break;
                }
            } else {
                pace *= 0.5;
            }
        }
        now.latent
    }

    /// What is believed of the difficulty of an item that these models have failed.
    pub(super) fn difficulty_after(&self, spent: Spent) -> Points {
        let mut belief = normal();
        for model in spent.iter().map(usize::from).take_while(|&model| model < self.pass.len()) {
            for (weight, pass) in belief.iter_mut().zip(&self.pass[model]) {
                *weight *= 1.0 - pass;
            }
        }
        let sum: f64 = belief.iter().sum();
        // Abilities are bounded, so that no number of failures leaves nothing.
        belief.map(|weight| weight / sum)
    }

    /// The chance of a model on an item of which that is believed.
    pub(super) fn guess(&self, model: usize, difficulty: &Points) -> Guess {
        let chance = mean(difficulty, &self.pass[model]);
        let slope = mean(difficulty, &self.pass[model].map(|pass| pass * (1.0 - pass)));
        Guess { chance, variance: slope * slope / self.information[model] }
    }
}

/// The common level of a class: where abilities are expected before anything is counted.
struct Level {
    centres: Vec<f64>,
    /// Log-odds are stretched by this where difficulty varies: averaging over it flattens them.
    stretch: f64,
}

impl Level {
    fn new(tally: &Tally, spread: f64) -> Level {
        let stretch = (1.0 + 0.35 * spread * spread).sqrt();
        let centre = |prior: Option<f64>| {
            let prior = prior.filter(|prior| prior.is_finite()).unwrap_or(PRIOR).clamp(0.02, 0.98);
            stretch * (prior / (1.0 - prior)).ln()
        };
        Level { centres: tally.models().iter().map(|model| centre(model.prior)).collect(), stretch }
    }

    /// The class's level that goes best with these abilities.
    fn shift(&self, abilities: &[f64]) -> f64 {
        let own = (MODEL_DEVIATION * self.stretch).powi(-2);
        let common = (CLASS_DEVIATION * self.stretch).powi(-2);
        let sum: f64 = abilities.iter().zip(&self.centres).map(|(ability, centre)| ability - centre).sum();
        sum * own / (common + own * abilities.len() as f64)
    }
}

/// Abilities on the way to the best ones: the fit and where it rises.
struct Fitting {
    latent: Latent,
    slope: Vec<f64>,
}

impl Fitting {
    fn at(tally: &Tally, level: &Level, spread: f64, abilities: &[f64]) -> Fitting {
        let pass = abilities.iter().map(|ability| grid().map(|t| sigmoid(ability - spread * t))).collect();
        let own = (MODEL_DEVIATION * level.stretch).powi(-2);
        let shift = level.shift(abilities);
        let off = |model: usize| abilities[model] - level.centres[model] - shift;
        let squares: f64 = (0..abilities.len()).map(|model| off(model).powi(2)).sum();
        let common = (shift / (CLASS_DEVIATION * level.stretch)).powi(2);
        let mut fitting = Fitting {
            slope: (0..abilities.len()).map(|model| -off(model) * own).collect(),
            latent: Latent {
                fit: -0.5 * (own * squares + common),
                pass,
                information: vec![own; abilities.len()],
            },
        };
        fitting.add_counts(tally);
        fitting
    }

    fn add_counts(&mut self, tally: &Tally) {
        let mut known: Option<(Spent, Points)> = None;
        for (spent, model, cell) in tally.cells() {
            let belief = match known {
                Some((of, belief)) if of == spent => belief,
                _ => self.latent.difficulty_after(spent),
            };
            known = Some((spent, belief));
            self.add_cell(spent, model, &belief, cell.tries, cell.passes);
        }
    }

    /// A cell's likelihood moves the model tried, and those that failed before: where the tried one passes
    /// less than expected, the item was harder, so failing it counts less against the others.
    fn add_cell(&mut self, spent: Spent, model: ModelIndex, belief: &Points, tries: f64, passes: f64) {
        let tried = self.latent.pass[usize::from(model)];
        let chance = mean(belief, &tried).clamp(LEAST, 1.0 - LEAST);
        let spread = chance * (1.0 - chance);
        self.latent.fit += passes * chance.ln() + (tries - passes) * (1.0 - chance).ln();
        let mut moves = |model: usize, by: f64| {
            self.slope[model] += (passes - tries * chance) / spread * by;
            self.latent.information[model] += tries / spread * by * by;
        };
        moves(usize::from(model), mean(belief, &tried.map(|pass| pass * (1.0 - pass))));
        for other in spent.iter().map(usize::from).take_while(|&other| other < self.latent.pass.len()) {
            let failed = &self.latent.pass[other];
            let expected = mean(belief, failed);
            let covariance: f64 =
                (0..POINTS).map(|at| belief[at] * (failed[at] - expected) * tried[at]).sum();
            moves(other, -covariance);
        }
    }

    fn step(&self, abilities: &[f64], pace: f64) -> Vec<f64> {
        let step = |(model, ability): (usize, &f64)| {
            let step = pace * self.slope[model] / self.latent.information[model];
            (ability + step.clamp(-LONGEST_STEP, LONGEST_STEP)).clamp(-STRONGEST, STRONGEST)
        };
        abilities.iter().enumerate().map(step).collect()
    }
}

fn grid() -> Points {
    std::array::from_fn(|at| GRID_END * (2.0 * at as f64 / (POINTS - 1) as f64 - 1.0))
}

fn normal() -> Points {
    let weights = grid().map(|t| (-0.5 * t * t).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn mean(weights: &Points, values: &Points) -> f64 {
    weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chance(latent: &Latent, model: usize, spent: Spent) -> f64 {
        latent.guess(model, &latent.difficulty_after(spent)).chance
    }

    #[test]
    fn before_anything_is_counted_a_model_passes_as_its_prior_says() {
        for spread in [0.5, 2.0, 4.0] {
            let latent = Latent::fit(&Tally::new([("a", None), ("b", Some(0.2))]), spread);
            assert!((chance(&latent, 0, Spent::NONE) - PRIOR).abs() < 0.02, "{spread}");
            assert!((chance(&latent, 1, Spent::NONE) - 0.2).abs() < 0.03, "{spread}");
        }
    }

    #[test]
    fn many_outcomes_overrule_the_prior() {
        let mut tally = Tally::new([("a", None), ("b", None)]);
        for n in 0..3_000 {
            tally.observe(0, Spent::NONE, n % 10 == 0);
        }
        let latent = Latent::fit(&tally, 2.0);
        assert!((chance(&latent, 0, Spent::NONE) - 0.1).abs() < 0.01);
        assert!(chance(&latent, 1, Spent::NONE) < PRIOR, "a hard class is hard for others too");
    }

    #[test]
    fn the_slope_is_that_of_the_fit() {
        let mut tally = Tally::new([("a", None), ("b", None), ("c", Some(0.9))]);
        tally.set_cell(0, Spent::NONE, 50.0, 20.0);
        tally.set_cell(1, Spent::NONE.with(0), 30.0, 9.0);
        tally.set_cell(2, Spent::NONE.with(0).with(1), 21.0, 2.0);
        let (spread, abilities) = (2.0, [0.3, -0.4, 1.1]);
        let level = Level::new(&tally, spread);
        let at = |abilities: &[f64]| Fitting::at(&tally, &level, spread, abilities);
        let slope = at(&abilities).slope;
        for model in 0..3 {
            let fit = [1e-5, -1e-5].map(|off| {
                let mut moved = abilities;
                moved[model] += off;
                at(&moved).latent.fit
            });
            let measured = (fit[0] - fit[1]) / 2e-5;
            assert!((slope[model] - measured).abs() < 1e-3, "{model}: {} {measured}", slope[model]);
        }
    }

    proptest! {
        #[test]
        fn no_counts_break_it_and_failures_never_raise_a_chance(
            cells in prop::collection::vec((0u64..16, 0u8..4, 0.0..1e7f64, 0.0..=1.0f64), 0..12),
            spread in 0.0..6.0f64,
        ) {
            let mut tally = Tally::new(["a", "b", "c", "d"].map(|name| (name, None)));
            for (bits, model, tries, share) in cells {
                let spent: Spent = (0..4).filter(|other| bits >> other & 1 == 1 && *other != model).collect();
                tally.set_cell(model, spent, tries, tries * share);
            }
            let latent = Latent::fit(&tally, spread);
            prop_assert!(latent.fit.is_finite());
            for bits in 0..16u64 {
                let spent: Spent = (0..4).filter(|other| bits >> other & 1 == 1).collect();
                for model in 0..4 {
                    let guess = latent.guess(model, &latent.difficulty_after(spent));
                    prop_assert!((0.0..=1.0).contains(&guess.chance), "{guess:?}");
                    prop_assert!(guess.variance.is_finite() && guess.variance >= 0.0);
                    for other in 0..4 {
                        let deeper = chance(&latent, model, spent.with(other));
                        prop_assert!(spent.has(other) || deeper <= guess.chance + 1e-12);
                    }
                }
            }
        }
    }
}
