//! Moments as people write them: `06:00`, `8h`, `2026-11-24T06:00:00Z`.
//!
//! Takes the text, `now` and the user's zone, gives a [`Timestamp`]. A time of day is the next one
//! on the user's clock, so across a change to summer time it may be 23 or 25 hours away; one that
//! the clock skips is the moment the clock goes on, one it shows twice is the first still to come.
//!
//! Pure, but for [`Zone::Machine`], whose rules are the machine's.

use std::time::Duration;

use chrono::{Days, Local, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::clock::Timestamp;

/// Whose clock a time of day is meant on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// The machine's.
    #[default]
    Machine,
    /// A named one: `Europe/Berlin`.
    Named(Tz),
}

/// Why a text is not a usable moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It cannot be read.
    #[error("{0:?} is not a time; write \"06:00\", \"8h\", \"7d\" or \"2026-11-24T06:00:00Z\"")]
    Unreadable(String),
    /// A date and time without a zone means different moments to different readers.
    #[error("{0:?} has no time zone; add \"Z\" or an offset such as \"+02:00\"")]
    NoZone(String),
    /// A deadline that cannot be met.
    #[error("the deadline {0:?} is already past")]
    Past(String),
}

/// Reads a deadline: a moment that is still to come.
pub fn deadline(text: &str, now: Timestamp, zone: Zone) -> Result<Timestamp, WhenError> {
    let at = parse(text, now, zone)?;
    match at > now {
        true => Ok(at),
        false => Err(WhenError::Past(text.to_owned())),
    }
}

/// Reads a moment: a time of day (the next one), a span from now, or RFC 3339.
pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Timestamp, WhenError> {
    let bare = text.trim();
    if let Some(time) = time_of_day(bare) {
        let next = match zone {
            Zone::Machine => next_at(time, now, &Local),
            Zone::Named(zone) => next_at(time, now, &zone),
        };
        return next.ok_or_else(|| WhenError::Unreadable(text.to_owned()));
    }
    if let Some(span) = span(bare) {
        return Ok(now + span);
    }
    match bare.parse() {
        Ok(at) => Ok(at),
        Err(_) if is_local(bare) => Err(WhenError::NoZone(text.to_owned())),
        Err(_) => Err(WhenError::Unreadable(text.to_owned())),
    }
}

/// Reads a length of time: `90m`, `8h`, `7d`, `1h30m`.
pub fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S")).ok()
}

fn is_local(text: &str) -> bool {
    let shapes = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    shapes.iter().any(|shape| NaiveDateTime::parse_from_str(text, shape).is_ok())
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// The first moment after `now` at which clocks in `zone` show `time`.
fn next_at<Z: TimeZone>(time: NaiveTime, now: Timestamp, zone: &Z) -> Option<Timestamp> {
    let today = now.utc().with_timezone(zone).date_naive();
    for days in 0..=2 {
        let local = today.checked_add_days(Days::new(days))?.and_time(time);
        let next = moments(local, zone).into_iter().flatten().find(|at| *at > now);
        if next.is_some() {
            return next;
        }
    }
    None
}

/// The moments at which clocks show `local`; where they skip it, the moment they go on.
fn moments<Z: TimeZone>(local: NaiveDateTime, zone: &Z) -> [Option<Timestamp>; 2] {
    let moment = |time: chrono::DateTime<Z>| Some(Timestamp::from(time.to_utc()));
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => [moment(time), None],
        LocalResult::Ambiguous(first, second) => [moment(first), moment(second)],
        LocalResult::None => {
            // Clocks skip at most a day (Samoa in 2011), in whole minutes.
            let whole = local.with_second(0).unwrap_or(local);
            let after = (1..=24 * 60).map(|minutes| whole + TimeDelta::minutes(minutes));
            let first = after.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
            [first.and_then(moment), None]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Zone = Zone::Named(chrono_tz::Europe::Berlin);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_day_is_the_next_one_on_the_users_clock() {
        for (text, now, expected) in [
            ("06:00", "2026-11-21T18:00:00Z", "2026-11-22T05:00:00Z"),
            ("23:30", "2026-11-21T18:00:00Z", "2026-11-21T22:30:00Z"),
            ("06:00", "2026-11-21T05:00:00Z", "2026-11-22T05:00:00Z"),
            // Clocks skip 02:00–03:00 on 29 March and show it twice on 25 October.
            ("02:30", "2026-03-28T20:00:00Z", "2026-03-29T01:00:00Z"),
            ("06:00", "2026-03-28T20:00:00Z", "2026-03-29T04:00:00Z"),
            ("02:30", "2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z"),
            ("02:30", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(parse(text, at(now), BERLIN), Ok(at(expected)), "{text} at {now}");
        }
    }

    #[test]
    fn spans_start_now_and_rfc_3339_stands_for_itself() {
        let now = at("2026-11-21T18:00:00Z");
        for (text, expected) in [
            ("8h", "2026-11-22T02:00:00Z"),
            ("24h", "2026-11-22T18:00:00Z"),
            ("90m", "2026-11-21T19:30:00Z"),
            ("1h30m", "2026-11-21T19:30:00Z"),
            ("7d", "2026-11-28T18:00:00Z"),
            ("2026-11-24T06:00:00Z", "2026-11-24T06:00:00Z"),
            (" 2026-11-24T06:00:00+02:00 ", "2026-11-24T04:00:00Z"),
        ] {
            assert_eq!(parse(text, now, BERLIN), Ok(at(expected)), "{text}");
        }
    }

    #[test]
    fn a_past_deadline_is_an_error_and_so_is_a_time_without_a_zone() {
        let now = at("2026-11-21T18:00:00Z");
        let error = |text: &str| deadline(text, now, BERLIN).unwrap_err();
        assert!(matches!(error("2026-11-21T17:59:59Z"), WhenError::Past(_)));
        assert!(matches!(error("0h"), WhenError::Past(_)));
        assert!(matches!(error("2026-11-24T06:00:00"), WhenError::NoZone(_)));
        assert!(matches!(error("2026-11-24"), WhenError::NoZone(_)));
        for text in ["", "soon", "25:00", "8", "8 hours", "-8h", "8µ", "99999999999999999999d"] {
            assert!(matches!(error(text), WhenError::Unreadable(_)), "{text}");
        }
        assert_eq!(parse("2026-11-20T00:00:00Z", now, BERLIN), Ok(at("2026-11-20T00:00:00Z")));
    }
}
