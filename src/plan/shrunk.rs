//! A mean that starts from a guess: tokens of an answer, cost of an attempt.
//!
//! The guess counts like four observations, so that the first answers correct it without being taken for
//! the whole truth. Failed and passed answers go into one mean: what an attempt costs is known before how it
//! ends.
//!
//! A stored format. Pure.

use serde::{Deserialize, Serialize};

/// Observations that the guess counts for.
const PRIOR_WEIGHT: f64 = 4.0;

/// A running mean that began as a guess.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shrunk {
    sum: f64,
    weight: f64,
}

impl Shrunk {
    /// The guess alone.
    pub fn new(guess: f64) -> Shrunk {
        Shrunk { sum: guess * PRIOR_WEIGHT, weight: PRIOR_WEIGHT }
    }

    /// One more was seen; what is not a number is not.
    pub fn observe(&mut self, value: f64) {
        if value.is_finite() {
            self.sum += value;
            self.weight += 1.0;
        }
    }

    /// The mean as far as known.
    pub fn mean(&self) -> f64 {
        self.sum / self.weight
    }

    /// Everything known is worth this much more: a price changed.
    pub fn scale(&mut self, factor: f64) {
        self.sum *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_counts_like_four_observations() {
        let mut mean = Shrunk::new(300.0);
        assert_eq!(mean.mean(), 300.0);
        for _ in 0..4 {
            mean.observe(100.0);
        }
        mean.observe(f64::NAN);
        assert_eq!(mean.mean(), 200.0);
        mean.scale(0.5);
        assert_eq!(mean.mean(), 100.0);
    }
}
