//! What a few answered items teach of the rest of their job.
//!
//! Takes attempts one by one, gives a [`Belief`] of each model. Items are not alike, and a few of them are
//! never quite the mean of all: where long prompts get long answers, the length of an answer is therefore
//! read off the line through what was seen, at the mean prompt of all items. The mean prompt is known
//! beforehand, so most of the luck of the draw falls away.
//!
//! Pure.

use std::collections::BTreeMap;

use super::belief::{Belief, Estimate};

/// Answers from which a line is drawn through them.
const LEAST_FOR_LINE: u64 = 20;

/// One answered attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Input tokens that our own estimate expected, 0 where it is not known.
    pub expected_input: f64,
    /// Input tokens that were billed.
    pub input: f64,
    /// Output tokens that were billed.
    pub output: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether its answer was taken.
    pub passed: bool,
}

/// What was seen, by model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    models: BTreeMap<String, Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    n: u64,
    passed: f64,
    expected: f64,
    input: f64,
    input_2: f64,
    output: f64,
    output_2: f64,
    both: f64,
    seconds: f64,
    seconds_2: f64,
}

impl Measured {
    /// Learns from one attempt.
    pub fn add(&mut self, model: &str, seen: &Observed) {
        let sums = self.models.entry(model.to_owned()).or_default();
        sums.n += 1;
        sums.passed += f64::from(u8::from(seen.passed));
        sums.expected += seen.expected_input;
        sums.input += seen.input;
        sums.input_2 += seen.input.powi(2);
        sums.output += seen.output;
        sums.output_2 += seen.output.powi(2);
        sums.both += seen.input * seen.output;
        sums.seconds += seen.seconds;
        sums.seconds_2 += seen.seconds.powi(2);
    }

    /// Models that were asked, with their attempts and the share that passed.
    pub fn models(&self) -> impl Iterator<Item = (&str, u64, f64)> {
        self.models.iter().map(|(model, sums)| (model.as_str(), sums.n, sums.passed / sums.n as f64))
    }

    /// What is believed of a model on items whose mean prompt is `expected_input` tokens by our own
    /// estimate: `prior`, where it was not asked.
    pub fn belief(&self, model: &str, expected_input: f64, prior: &Belief) -> Belief {
        let Some(sums) = self.models.get(model).filter(|sums| sums.n > 0) else { return *prior };
        let n = sums.n as f64;
        let ratio = if sums.expected > 0.0 { sums.input / sums.expected } else { 1.0 };
        let is_known = sums.expected > 0.0 && expected_input > 0.0;
        let input = if is_known { expected_input * ratio } else { sums.input / n };
        Belief {
            pass: Estimate::share(&prior.pass, sums.passed, sums.n),
            input: Estimate { doubt: 0.005 * input, ..Estimate::measured(input, 0.0, sums.n) },
            output: sums.output_at(input),
            seconds: Estimate::measured(sums.seconds / n, deviation(sums.seconds, sums.seconds_2, n), sums.n),
        }
    }
}

impl Sums {
    /// The length of answers to prompts of this length.
    fn output_at(&self, input: f64) -> Estimate {
        let n = self.n as f64;
        let (mean, spread) = (self.output / n, deviation(self.output, self.output_2, n));
        let variance = self.input_2 / n - (self.input / n).powi(2);
        let shared = self.both / n - self.input / n * mean;
        if self.n < LEAST_FOR_LINE || variance < 1e-9 * self.input_2 / n {
            return Estimate::measured(mean, spread, self.n);
        }
        let slope = shared / variance;
        let explained = (slope * shared).clamp(0.0, spread.powi(2));
        // A line that says nothing only adds its own error.
        if explained * n < 4.0 * spread.powi(2) {
            return Estimate::measured(mean, spread, self.n);
        }
        let rest = (spread.powi(2) - explained).max(0.0).sqrt();
        let at = mean + slope * (input - self.input / n);
        let doubt = rest / n.sqrt();
        Estimate { doubt, ..Estimate::measured(at.max(0.0), spread, self.n) }
    }
}

fn deviation(sum: f64, sum_2: f64, n: f64) -> f64 {
    if n < 2.0 {
        return sum / n.max(1.0);
    }
    ((sum_2 - sum * sum / n) / (n - 1.0)).max(0.0).sqrt()
}
