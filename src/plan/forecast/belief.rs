//! What is believed of a model before a job runs: how often it passes, how long its answers are and take.
//!
//! Every number comes with how sure it is, so that a forecast can be a range, and with where it comes from.
//!
//! Pure.

use serde::Serialize;

use crate::plan::tokens::Basis;

/// The share of answers assumed to pass their check.
pub const ASSUMED_PASS: f64 = 0.96;
/// Attempts that the assumed share stands for.
const PASS_WEIGHT: f64 = 4.0;
/// How far off an assumed length or time may be, as a share of it.
const ASSUMED_DOUBT: f64 = 0.5;
/// How far off a counted length may be.
const COUNTED_DOUBT: f64 = 0.02;
/// How far off a length may be that a rule of thumb says.
const RULE_DOUBT: f64 = 0.15;
/// Seconds an answer is assumed to take.
pub const ASSUMED_SECONDS: f64 = 2.0;

/// A number, how much single observations differ, and how far off the number itself may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The expected value.
    pub mean: f64,
    /// Standard deviation of single observations.
    pub spread: f64,
    /// Standard error of the mean.
    pub doubt: f64,
    /// Observations behind it.
    pub observations: u64,
    /// Where it comes from.
    pub basis: Basis,
}

impl Estimate {
    /// A number nobody has seen.
    pub fn assumed(mean: f64) -> Estimate {
        let doubt = ASSUMED_DOUBT * mean;
        Estimate { mean, spread: doubt, doubt, observations: 0, basis: Basis::Assumed }
    }

    /// Input tokens, counted or by a rule of thumb.
    pub fn tokens(mean: f64, basis: Basis) -> Estimate {
        let doubt = if basis == Basis::Assumed { RULE_DOUBT } else { COUNTED_DOUBT };
        Estimate { mean, spread: 0.0, doubt: doubt * mean, observations: 0, basis }
    }

    /// A mean that was seen on `n` observations.
    pub fn measured(mean: f64, spread: f64, n: u64) -> Estimate {
        let doubt = spread / (n.max(1) as f64).sqrt();
        Estimate { mean, spread, doubt, observations: n, basis: Basis::Measured }
    }

    /// A share: `passed` of `n`, pulled a little to what was believed before.
    pub fn share(prior: &Estimate, passed: f64, n: u64) -> Estimate {
        if n == 0 {
            return *prior;
        }
        let weight = prior.mean * (1.0 - prior.mean) / prior.doubt.powi(2).max(1e-9) - 1.0;
        let weight = weight.clamp(0.0, PASS_WEIGHT);
        let all = n as f64 + weight;
        let mean = (passed + weight * prior.mean) / all;
        // One failure more than was seen: a model that never failed yet is not known to be perfect.
        let cautious = ((passed + 1.0) / (n as f64 + 2.0)).clamp(0.0, 1.0);
        let spread = (cautious * (1.0 - cautious)).sqrt();
        Estimate { spread, ..Estimate::measured(mean, spread, n) }
    }
}

/// What is believed of one model on the items of one lot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Belief {
    /// Share of answers that pass the check.
    pub pass: Estimate,
    /// Tokens of a request, as this model counts them.
    pub input: Estimate,
    /// Tokens of an answer.
    pub output: Estimate,
    /// Seconds an answer takes.
    pub seconds: Estimate,
}

impl Belief {
    /// Before anything was seen: `input` as counted, `output` as assumed.
    pub fn assumed(input: f64, counted: Basis, output: f64) -> Belief {
        let spread = (ASSUMED_PASS * (1.0 - ASSUMED_PASS)).sqrt();
        let doubt = spread / (PASS_WEIGHT + 1.0).sqrt();
        Belief {
            pass: Estimate { mean: ASSUMED_PASS, spread, doubt, observations: 0, basis: Basis::Assumed },
            input: Estimate::tokens(input, counted),
            output: Estimate::assumed(output),
            seconds: Estimate::assumed(ASSUMED_SECONDS),
        }
    }

    /// The least certain of its sources.
    pub fn basis(&self) -> Basis {
        self.pass.basis.max(self.output.basis)
    }
}
