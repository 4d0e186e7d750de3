//! What a month like the days seen would come to.
//!
//! All calls are divided by the calendar days (UTC) from the first to the last of them, both counted
//! and idle ones between them too, and taken thirty times. One busy night alone therefore reads as a
//! month of such nights; how many days were seen is always said.
//!
//! Pure.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::report::by::day;
use crate::report::sums::Sums;

/// How long a month is.
pub const DAYS: u64 = 30;

/// The days a forecast is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// From the first call to the last, both days included.
    pub days_seen: u64,
    /// The first, UTC.
    pub first_day: String,
    /// The last, UTC.
    pub last_day: String,
    /// How it is worked out, in words.
    pub method: String,
}

/// A month at this rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Month {
    /// Calls.
    pub attempts: u64,
    /// Items.
    pub items: u64,
    /// Tokens in and out together.
    pub tokens: u64,
    /// Money.
    pub cost_usd: f64,
}

impl Basis {
    /// From the end of the first call to that of the last.
    pub fn new(first: Timestamp, last: Timestamp) -> Basis {
        const DAY: i64 = 86_400_000_000;
        let days = last.micros().div_euclid(DAY) - first.micros().div_euclid(DAY) + 1;
        let days_seen = days.max(1).unsigned_abs();
        let method = match days_seen {
            1 => format!("{DAYS} days like {} (UTC), the only day seen", day(first)),
            n => format!("{DAYS} days like the {n} days from {} to {} (UTC)", day(first), day(last)),
        };
        Basis { days_seen, first_day: day(first), last_day: day(last), method }
    }

    /// What a month of these sums comes to.
    pub fn month(&self, sums: &Sums) -> Month {
        let scale = |n: u64| (u128::from(n) * u128::from(DAYS) / u128::from(self.days_seen)) as u64;
        Month {
            attempts: scale(sums.attempts),
            items: scale(sums.items),
            tokens: scale(sums.usage.input.saturating_add(sums.usage.output)),
            cost_usd: sums.cost.as_f64() * DAYS as f64 / self.days_seen as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Usage, Usd};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn idle_days_count_and_a_night_over_midnight_is_two() {
        for (first, last, days) in [
            ("2026-11-21T22:00:00Z", "2026-11-21T23:59:59Z", 1),
            ("2026-11-21T23:59:59Z", "2026-11-22T00:00:01Z", 2),
            ("2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z", 30),
        ] {
            assert_eq!(Basis::new(at(first), at(last)).days_seen, days, "{first} {last}");
        }
    }

    #[test]
    fn a_month_is_thirty_days_like_those_seen() {
        let basis = Basis::new(at("2026-11-21T22:00:00Z"), at("2026-11-23T04:00:00Z"));
        let usage = Usage { input: 90, output: 9, ..Usage::default() };
        let sums = Sums {
            attempts: 300,
            items: 200,
            usage,
            cost: Usd::from_pico(3_000_000_000_000),
            ..Sums::default()
        };
        let month = Month { attempts: 3_000, items: 2_000, tokens: 990, cost_usd: 30.0 };
        assert_eq!(basis.month(&sums), month);
        assert_eq!(basis.method, "30 days like the 3 days from 2026-11-21 to 2026-11-23 (UTC)");
    }
}
