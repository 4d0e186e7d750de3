//! [`Timestamp`]: a moment in UTC, and the one place that reads the machine's clock.
//!
//! Everything that decides takes `now` as an argument, so that a night can be rehearsed and a crash
//! replayed; only the live driver and the command line call [`now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than anything that is ever scheduled.
    pub const MAX: Timestamp = Timestamp(i64::MAX / 4);

    /// From microseconds since 1970-01-01 UTC.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not after.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// As a calendar time in UTC.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Reads the machine's wall clock. Shell only: drivers and commands, never a stage that decides.
#[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
pub fn now() -> Timestamp {
    Utc::now().into()
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Timestamp {
        Timestamp(time.timestamp_micros())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(Timestamp::MAX.0);
        Timestamp(self.0.saturating_add(micros).min(Timestamp::MAX.0))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with the decimals it needs: `2026-11-21T18:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

/// Reads RFC 3339 with any offset.
impl FromStr for Timestamp {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Timestamp, chrono::ParseError> {
        Ok(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc).into())
    }
}

/// RFC 3339 where people read it (JSON), whole microseconds where only we do, and for moments so far away
/// that RFC 3339 has no year for them.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() && (0..=9_999).contains(&self.utc().year()) {
            true => serializer.collect_str(self),
            false => serializer.serialize_i64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(TextOrMicros),
            false => i64::deserialize(deserializer).map(Timestamp),
        }
    }
}

struct TextOrMicros;

impl Visitor<'_> for TextOrMicros {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time like 2026-11-20T18:00:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E>(self, micros: i64) -> Result<Timestamp, E> {
        Ok(Timestamp(micros))
    }

    fn visit_u64<E: serde::de::Error>(self, micros: u64) -> Result<Timestamp, E> {
        i64::try_from(micros).map(Timestamp).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_text_and_stored_records_hold_microseconds() {
        for text in ["2026-11-20T18:00:00Z", "2026-11-20T18:00:00.000001Z", "1969-12-31T23:59:59.500Z"] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("{text:?}")).unwrap(), time);
            let stored = postcard::to_stdvec(&time).unwrap();
            assert_eq!(stored, postcard::to_stdvec(&time.micros()).unwrap());
            assert_eq!(postcard::from_bytes::<Timestamp>(&stored).unwrap(), time);
        }
    }

    #[test]
    fn even_the_last_moment_survives_json() {
        let text = serde_json::to_string(&Timestamp::MAX).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), Timestamp::MAX);
    }
}
