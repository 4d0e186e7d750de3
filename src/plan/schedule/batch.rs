//! When provider batches are done: a curve per route, assumed first and then learned.
//!
//! A batch is promised "within 24 hours" and is mostly done in one; a few are never done. The curve
//! holds the share of parts done by some ages, and learns from every part that ends or is cancelled.
//!
//! Pure.

use std::time::Duration;

/// Ages in hours, and the share of parts done by then before anything is known.
const ASSUMED: [(f64, f64); 8] = [
    (1.0 / 6.0, 0.5),
    (0.5, 0.75),
    (1.0, 0.9),
    (2.0, 0.93),
    (6.0, 0.97),
    (12.0, 0.98),
    (24.0, 0.99),
    (48.0, 0.99),
];
/// Parts the assumption counts as, at every age.
const WEIGHT: f64 = 4.0;

/// The share of batch parts done by an age.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DoneBy {
    /// For each stretch between ages: parts not done when it began, and parts done in it. Counting by
    /// stretch lets a part that was cancelled say what it knows, and nothing of the ages after.
    known: [(f64, f64); ASSUMED.len()],
}

impl DoneBy {
    /// Learns from a part that was done at an age.
    pub fn done(&mut self, age: Duration) {
        let age = age.as_secs_f64() / 3_600.0;
        for ((until, _), (open, done)) in ASSUMED.iter().zip(&mut self.known) {
            *open += 1.0;
            if age <= *until {
                *done += 1.0;
                return;
            }
        }
    }

    /// Learns from a part that was not done when it was cancelled or expired, at an age.
    pub fn never_done(&mut self, age: Duration) {
        let age = age.as_secs_f64() / 3_600.0;
        for ((until, _), (open, _)) in ASSUMED.iter().zip(&mut self.known) {
            if *until <= age {
                *open += 1.0;
            }
        }
    }

    /// The share done by an age in hours.
    pub(super) fn at(&self, hours: f64) -> f64 {
        let (mut from, mut assumed_before, mut share) = (0.0, 0.0, 0.0);
        for (&(until, assumed), (open, done)) in ASSUMED.iter().zip(self.known) {
            let assumed_of_open = (assumed - assumed_before) / (1.0 - assumed_before);
            let done_of_open = (assumed_of_open * WEIGHT + done) / (WEIGHT + open);
            let next = share + (1.0 - share) * done_of_open;
            if hours < until {
                return share + (next - share) * (hours.max(0.0) - from) / (until - from);
            }
            (from, assumed_before, share) = (until, assumed, next);
        }
        share
    }

    /// The chance that what is not done at `age` is done `hours` later.
    pub(super) fn later(&self, age: f64, hours: f64) -> f64 {
        let by_now = self.at(age);
        ((self.at(age + hours) - by_now) / (1.0 - by_now).max(1e-9)).clamp(0.0, 1.0)
    }

    /// The age by which nine in ten of those ever done are.
    pub(super) fn typical(&self) -> f64 {
        let ever = self.at(f64::INFINITY);
        let ages = ASSUMED.iter().map(|point| point.0);
        ages.clone().find(|&age| self.at(age) >= 0.9 * ever).unwrap_or(ASSUMED[ASSUMED.len() - 1].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn nothing_known_is_the_assumption() {
        let curve = DoneBy::default();
        for (age, share) in
            [(0.0, 0.0), (1.0 / 6.0, 0.5), (1.0, 0.9), (6.0, 0.97), (24.0, 0.99), (99.0, 0.99)]
        {
            assert!((curve.at(age) - share).abs() < 1e-9, "{age} h: {}", curve.at(age));
        }
        assert!((curve.later(1.0, 5.0) - 0.7).abs() < 1e-9, "seven of the ten left after an hour");
        assert_eq!(curve.typical(), 1.0);
    }

    #[test]
    fn slow_parts_pull_the_curve_down_and_quick_ones_up() {
        let (mut slow, mut quick, mut stuck) = (DoneBy::default(), DoneBy::default(), DoneBy::default());
        for _ in 0..100 {
            slow.done(5 * HOUR);
            quick.done(HOUR / 20);
            stuck.never_done(3 * HOUR);
        }
        assert!(slow.at(2.0) < 0.1 && slow.at(6.0) > 0.95);
        assert!(quick.at(0.2) > 0.9);
        assert!(stuck.at(2.0) < 0.1, "seen not to be done by then");
        assert!((0..400).all(|at| stuck.at(f64::from(at) / 10.0) <= stuck.at(f64::from(at + 1) / 10.0)));
    }
}
