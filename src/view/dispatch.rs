//! What is sent on a route now, what may be, and what is planned for it.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

const HOUR: i64 = 3_600_000_000;

/// One route at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DispatchView {
    /// `provider/model`, with its lane where that is not the realtime one.
    pub route: String,
    /// Calls on their way.
    pub in_flight: u32,
    /// Calls that may be, at present: fewer after refusals, more after answers.
    pub calls_at_most: u32,
    /// Limits a minute that are stated or learned, with what was sent in the last one.
    pub limits: Vec<LimitView>,
    /// Until when nothing is sent, because the provider said so.
    pub paused_until: Option<Timestamp>,
    /// Why nothing is sent until a person acts or it is probed.
    pub trouble: Option<String>,
    /// Attempts that are planned for it.
    pub planned: Vec<PlannedHour>,
}

/// One limit a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitView {
    /// The route, or the account it shares with others.
    pub of: String,
    /// `requests`, `tokens`, `input_tokens` or `output_tokens`.
    pub counts: String,
    /// So many a minute.
    pub limit: u64,
    /// Sent in the last minute.
    pub used: u64,
    /// Whether the provider stated it in its answers; else it is of the config or the catalog.
    pub learned: bool,
}

/// Attempts that are meant to go out in one hour of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHour {
    /// Its first moment.
    pub from: Timestamp,
    /// How many.
    pub attempts: u64,
}

impl PlannedHour {
    /// Stretches with the attempts planned for each, as hours of the clock: attempts are spread evenly over
    /// their stretch, and rounded so that their sum stays what it is.
    pub fn of(stretches: &[(Timestamp, Timestamp, f64)]) -> Vec<PlannedHour> {
        let mut hours: BTreeMap<i64, f64> = BTreeMap::new();
        for &(from, until, count) in stretches {
            let (from, until) = (from.micros(), until.micros().max(from.micros() + 1));
            let mut at = from;
            while at < until {
                let hour = at.div_euclid(HOUR);
                let end = until.min((hour + 1) * HOUR);
                *hours.entry(hour).or_default() += count * (end - at) as f64 / (until - from) as f64;
                at = end;
            }
        }
        let mut sum = 0.0_f64;
        let planned = hours.into_iter().map(|(hour, count)| {
            let before = sum.round();
            sum += count;
            PlannedHour { from: Timestamp::from_micros(hour * HOUR), attempts: (sum.round() - before) as u64 }
        });
        planned.filter(|hour| hour.attempts > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    fn hours(stretches: &[(i64, i64, f64)]) -> Vec<(i64, u64)> {
        let stretches: Vec<_> =
            stretches.iter().map(|&(from, until, count)| (at(from), at(until), count)).collect();
        let hours = PlannedHour::of(&stretches);
        hours.iter().map(|hour| (hour.from.micros() / 60_000_000, hour.attempts)).collect()
    }

    #[test]
    fn a_stretch_is_spread_over_the_hours_it_touches() {
        assert_eq!(hours(&[(30, 150, 120.0)]), [(0, 30), (60, 60), (120, 30)]);
        assert_eq!(hours(&[(60, 120, 7.0), (90, 120, 3.0)]), [(60, 10)]);
        assert_eq!(hours(&[(75, 75, 4.0)]), [(60, 4)], "all at once");
        assert_eq!(hours(&[]), []);
    }

    #[test]
    fn rounding_loses_nothing() {
        let thirds = hours(&[(0, 180, 1.0)]);
        assert_eq!(thirds.iter().map(|(_, n)| n).sum::<u64>(), 1, "{thirds:?}");
        let many = hours(&[(0, 60 * 7, 100.0)]);
        assert_eq!(many.iter().map(|(_, n)| n).sum::<u64>(), 100, "{many:?}");
    }
}
