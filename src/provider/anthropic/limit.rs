//! The monthly spend limit of an account: its refusal names no time, and opens with the month.
//!
//! Pure.

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};

use crate::attempt::{Outcome, RefusalKind};
use crate::clock::Timestamp;

/// The outcome with the time at which the limit opens again: the 1st of the month, 00:00 UTC.
pub(super) fn until_it_opens(mut outcome: Outcome, now: Timestamp) -> Outcome {
    if let Outcome::Refused(refusal) = &mut outcome
        && refusal.kind == RefusalKind::NoCredit
        && refusal.http_status == 429
        && refusal.retry_after.is_none()
    {
        refusal.retry_after = next_month(now).map(|opens| opens.since(now));
    }
    outcome
}

fn next_month(now: Timestamp) -> Option<Timestamp> {
    let today = DateTime::<Utc>::from_timestamp_micros(now.micros())?.date_naive();
    let first = today.with_day(1)?.checked_add_months(Months::new(1))?;
    Some(first.and_time(NaiveTime::MIN).and_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_with_the_month() {
        for (now, opens) in [
            ("2026-11-21T12:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            ("2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z"),
        ] {
            assert_eq!(next_month(now.parse().unwrap()), Some(opens.parse().unwrap()), "{now}");
        }
    }
}
