//! Whether a second route may race an attempt that takes too long.
//!
//! An answer is late when it takes longer than all but one in a hundred of its route have; with the deadline
//! near, longer than all but one in ten, and where nothing is measured yet, longer than a guess. Then a second
//! route may be asked the same: the first good answer is taken and the other call is cancelled. That may be
//! paid for twice, so it stays rare: one race for an item, one attempt of a job in twenty, never what an item
//! needs of its attempts to move up the ladder, and never where the user wants to be asked about unknown bills.
//!
//! Whether a route, the rate limits and the budgets have room is the caller's to see. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::job::{Hedge, JobOptions, OnUnknown, When};
use crate::ledger::RouteStats;
use crate::money::Usd;

/// Of a job's attempts, one in so many may be a hedge: a slow night costs a twentieth more, not twice as much.
pub const ONE_IN: u64 = 20;
/// No answer is late before.
pub const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// Answers after which the slowest of them are known.
const ENOUGH_ANSWERS: u64 = 50;
/// The share of a route's answers that come in time, and the same with the deadline near.
const IN_TIME: (f64, f64) = (0.99, 0.9);
/// Latencies are known to a fifth: so much later than measured is late.
const BUCKET: f64 = 1.1;
/// What is late with the deadline near, where too little is measured.
const ASSUMED_PATIENCE: Duration = Duration::from_secs(20);

/// What is known of the item that an attempt is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// Attempts so far that count.
    pub attempts: u8,
    /// The most there may be.
    pub max_attempts: u8,
    /// Outcomes so far that will never be known.
    pub unknowns: u8,
}

/// From when on an attempt that was sent at this moment is late; `None` while nobody can say.
pub fn late_at(sent_at: Timestamp, is_urgent: bool, stats: Option<&RouteStats>) -> Option<Timestamp> {
    let share = if is_urgent { IN_TIME.1 } else { IN_TIME.0 };
    let measured = stats.filter(|stats| stats.answers() >= ENOUGH_ANSWERS);
    let measured = measured.and_then(|stats| stats.latency_ms(share));
    let patience = match measured {
        Some(latency_ms) => Duration::from_millis(latency_ms).mul_f64(BUCKET),
        None if is_urgent => ASSUMED_PATIENCE,
        None => return None,
    };
    Some(sent_at + patience.max(LEAST_PATIENCE))
}

/// Whether a job's items may race at all: where somebody waits for them, at a deadline or as soon as possible.
pub fn is_wanted(options: &JobOptions, has_deadline: bool) -> bool {
    let is_awaited = has_deadline || options.when == When::Asap;
    options.hedge == Hedge::Auto && options.on_unknown == OnUnknown::Resend && is_awaited
}

/// Whether a job may have one more hedge.
pub fn has_share(hedges: u64, attempts: u64) -> bool {
    hedges * ONE_IN < attempts
}

/// Whether an item can afford that neither of two attempts comes to anything: it must have an attempt left,
/// and a resend if nobody ever learns what became of them.
pub fn leaves_a_try(tries: Tries, options: &JobOptions) -> bool {
    let Tries { attempts, max_attempts, unknowns } = tries;
    attempts + 2 < max_attempts && unknowns + 2 <= options.unknown_resends
}

/// Whether a call may be cancelled, which leaves its bill unknown.
pub fn may_stay_unknown(worst_case: Usd, options: &JobOptions) -> bool {
    worst_case <= options.hold_above
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::at;

    /// A route that gave so many answers, each after this many milliseconds.
    fn stats(answers: &[(u32, u64)]) -> RouteStats {
        let mut stats = RouteStats::default();
        for &(count, latency_ms) in answers {
            stats.succeeded += u64::from(count);
            for _ in 0..count {
                stats.observe_latency(latency_ms);
            }
        }
        stats
    }

    fn patience(is_urgent: bool, stats: Option<&RouteStats>) -> Option<f64> {
        late_at(at("12:00"), is_urgent, stats).map(|late| late.since(at("12:00")).as_secs_f64())
    }

    #[test]
    fn the_slowest_in_a_hundred_is_late_and_near_the_deadline_the_slowest_in_ten() {
        let route = stats(&[(89, 2_000), (10, 8_000), (1, 60_000)]);
        let (usual, urgent) = (patience(false, Some(&route)).unwrap(), patience(true, Some(&route)).unwrap());
        assert!((7.0..11.0).contains(&usual), "{usual}");
        assert!((7.0..11.0).contains(&urgent), "{urgent}");
        let route = stats(&[(95, 2_000), (3, 8_000), (2, 60_000)]);
        let (usual, urgent) = (patience(false, Some(&route)).unwrap(), patience(true, Some(&route)).unwrap());
        assert!(usual > 50.0, "{usual}");
        assert!((1.7..2.8).contains(&urgent), "{urgent}");
    }

    #[test]
    fn with_little_measured_only_a_deadline_makes_anything_late() {
        let few = stats(&[(ENOUGH_ANSWERS as u32 - 1, 100)]);
        for route in [None, Some(&few)] {
            assert_eq!(patience(false, route), None);
            assert_eq!(patience(true, route), Some(20.0));
        }
        let enough = stats(&[(ENOUGH_ANSWERS as u32, 100)]);
        assert_eq!(patience(false, Some(&enough)), Some(1.0), "nobody races for less than a second");
    }

    #[test]
    fn a_twentieth_of_the_attempts_at_most() {
        assert!(has_share(0, 1), "a small job may have one");
        for (hedges, attempts, expected) in [(1, 20, false), (1, 21, true), (50, 1_000, false)] {
            assert_eq!(has_share(hedges, attempts), expected, "{hedges} of {attempts}");
        }
    }

    #[test]
    fn only_where_somebody_waits_and_no_unknown_bill_is_held() {
        let usual = JobOptions::default();
        assert!(is_wanted(&usual, true));
        assert!(!is_wanted(&usual, false));
        assert!(is_wanted(&JobOptions { when: When::Asap, ..usual.clone() }, false));
        assert!(!is_wanted(&JobOptions { hedge: Hedge::Off, ..usual.clone() }, true));
        assert!(!is_wanted(&JobOptions { on_unknown: OnUnknown::Hold, ..usual.clone() }, true));
        assert!(may_stay_unknown(usual.hold_above, &usual));
        assert!(!may_stay_unknown(usual.hold_above + Usd::from_pico(1), &usual));
    }

    #[test]
    fn both_may_come_to_nothing_and_the_item_goes_on() {
        let options = JobOptions::default();
        let tries = |attempts, unknowns| Tries { attempts, max_attempts: 4, unknowns };
        assert!(leaves_a_try(tries(1, 0), &options));
        assert!(!leaves_a_try(tries(2, 0), &options));
        assert!(!leaves_a_try(tries(0, 1), &options));
        assert!(!leaves_a_try(tries(0, 0), &JobOptions { unknown_resends: 1, ..options }));
    }
}
