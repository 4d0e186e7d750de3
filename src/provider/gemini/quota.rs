//! Quotas of a day: the wait they state is that of a minute, but they open at midnight Pacific.
//!
//! Pure.

use chrono::{DateTime, Days, NaiveTime, TimeZone, Utc};
use chrono_tz::America::Los_Angeles;
use serde_json::Value;

use crate::attempt::{Outcome, RefusalKind};
use crate::clock::Timestamp;

/// The outcome with the wait that counts, where it is a quota of a day that is used up.
pub(super) fn until_the_day_ends(mut outcome: Outcome, body: &[u8], now: Timestamp) -> Outcome {
    if let Outcome::Refused(refusal) = &mut outcome
        && refusal.kind == RefusalKind::Rate
        && is_of_a_day(body)
    {
        refusal.retry_after = midnight(now).map(|opens| opens.since(now)).or(refusal.retry_after);
    }
    outcome
}

/// Whether one of the quotas named in the error counts a day.
fn is_of_a_day(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let details = body["error"]["details"].as_array().into_iter().flatten();
    let violations = details.flat_map(|detail| detail["violations"].as_array().into_iter().flatten());
    let mut ids = violations.filter_map(|violation| violation["quotaId"].as_str());
    ids.any(|id| id.contains("PerDay"))
}

/// The next midnight in California.
fn midnight(now: Timestamp) -> Option<Timestamp> {
    let here = DateTime::<Utc>::from_timestamp_micros(now.micros())?.with_timezone(&Los_Angeles);
    let tomorrow = here.date_naive().checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    Some(Los_Angeles.from_local_datetime(&tomorrow).earliest()?.to_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_ends_at_midnight_in_california_in_summer_and_winter() {
        for (now, opens) in [
            ("2026-11-21T12:00:00Z", "2026-11-22T08:00:00Z"),
            ("2026-11-21T07:59:59Z", "2026-11-21T08:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-07-02T07:00:00Z"),
            // The clocks go back in this night.
            ("2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"),
            ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            assert_eq!(midnight(now.parse().unwrap()), Some(opens.parse().unwrap()), "{now}");
        }
    }
}
