//! How far off a forecast may be.
//!
//! Three things are not known beforehand: the true means (what is believed may be off), what a finite
//! number of items makes of them by chance, and both for pass rates, which decide how many items the next
//! step has to answer. Each moves the cost by so much for so much of its own; together they are the
//! variance of the cost, whose logarithm is taken as normal: costs are never negative.
//!
//! Pure.

use super::belief::Estimate;
use super::{Lot, Range, Row};

/// One in twenty is beyond so many standard deviations on either side.
const NINETY: f64 = 1.645;

/// The cost of what was planned, and the range it is in nine times out of ten.
pub fn range(lots: &[Lot], rows: &[Row]) -> Range {
    let expected: f64 = rows.iter().map(|row| row.cost).sum();
    if expected <= 0.0 {
        return Range::default();
    }
    let variance: f64 = (0..lots.len()).map(|lot| variance(lots, rows, lot)).sum();
    let deviation = (variance / expected.powi(2)).ln_1p().sqrt();
    let factor = (NINETY * deviation).exp();
    Range { expected, low: expected / factor, high: expected * factor }
}

/// The share by which the time needed may be off, whatever is known of one lot the least.
pub fn time_doubt(lots: &[Lot]) -> f64 {
    let rungs = lots.iter().flat_map(|lot| lot.steps.iter().flatten());
    let doubt = |rung: &super::Rung| {
        let relative = |estimate: &Estimate| estimate.doubt / estimate.mean.max(1e-9);
        let belief = &rung.belief;
        let limits = &rung.route.limits;
        let by_requests = if limits.rpm.is_some() { 0.05 } else { 0.0 };
        let by_tokens = if limits.tpm.is_some() { relative(&belief.output) * 0.5 } else { 0.0 };
        relative(&belief.seconds).max(by_requests).max(by_tokens)
    };
    rungs.map(doubt).fold(0.0, f64::max)
}

/// The chance that a standard normal number is below `x`.
pub fn normal(x: f64) -> f64 {
    // Abramowitz and Stegun 26.2.17: off by less than 1e-7.
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let coefficients = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let series = coefficients.iter().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let above = density * series;
    if x >= 0.0 { 1.0 - above } else { above }
}

fn variance(lots: &[Lot], rows: &[Row], lot: usize) -> f64 {
    let steps = &lots[lot].steps;
    let mut variance = 0.0;
    // Dollars an item that reaches the step above costs from there on.
    let mut further = 0.0;
    for step in (0..steps.len()).rev() {
        let own = || rows.iter().filter(move |row| row.lot == lot && row.step == step);
        let items: f64 = own().map(|row| row.attempts).sum();
        if items <= 0.0 {
            continue;
        }
        let mut fails = 0.0;
        for row in own() {
            let rung = &steps[step][row.rung];
            let (belief, n) = (&rung.belief, row.attempts);
            let each = row.cost / n;
            let (input, output) = shares(rung, each);
            let of_pass = n * further;
            variance += of_pass.powi(2) * unknown(&belief.pass, n);
            variance += (n * output / belief.output.mean.max(1e-9)).powi(2) * unknown(&belief.output, n);
            variance += (n * input / belief.input.mean.max(1e-9)).powi(2) * unknown(&belief.input, n);
            fails += n * (1.0 - belief.pass.mean);
        }
        let cost: f64 = own().map(|row| row.cost).sum();
        further = cost / items + fails / items * further;
    }
    variance
}

/// The variance of the mean over `n` items: what is not known of it, and what chance makes of it.
fn unknown(estimate: &Estimate, n: f64) -> f64 {
    let chance =
        if estimate.observations > 0 || estimate.spread > 0.0 { estimate.spread.powi(2) / n } else { 0.0 };
    estimate.doubt.powi(2) + chance
}

/// How an attempt's dollars divide into prompt and answer.
fn shares(rung: &super::Rung, each: f64) -> (f64, f64) {
    let Some(table) = &rung.route.prices else { return (0.0, 0.0) };
    let (input, output) = (rung.belief.input.mean, rung.belief.output.mean);
    let of = |tokens: f64, price: u64| tokens * price as f64;
    let (input, output) = (of(input, table.base.input), of(output, table.base.output));
    let sum = (input + output).max(1e-9);
    (each * input / sum, each * output / sum)
}
