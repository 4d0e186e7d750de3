//! [`Here`]: the machine's time zone as a renderer of [`crate::report`] or [`crate::catalog::show`]
//! takes it, with `UTC` for what chrono calls `+00:00`.
//!
//! Shell: the rules of the zone are the machine's.

use std::fmt;

use chrono::{FixedOffset, Local, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::catalog::hours::parse_zone;

/// The machine's zone by its name, as `TZ` or the system has it; UTC where neither names one we know.
pub fn named() -> Tz {
    let ours = std::env::var("TZ").ok();
    let system = || iana_time_zone::get_timezone().ok();
    let known = |name: String| parse_zone(name.trim_start_matches(':')).ok();
    ours.and_then(known).or_else(|| system().and_then(known)).unwrap_or(Tz::UTC)
}

/// The machine's time zone.
#[derive(Clone, Copy, Debug)]
pub struct Here;

/// Its distance from UTC at some moment.
#[derive(Clone, Copy, Debug)]
pub struct Distance(FixedOffset);

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.local_minus_utc() {
            0 => f.write_str("UTC"),
            _ => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Offset for Distance {
    fn fix(&self) -> FixedOffset {
        self.0
    }
}

impl TimeZone for Here {
    type Offset = Distance;

    fn from_offset(_: &Distance) -> Here {
        Here
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> LocalResult<Distance> {
        Local.offset_from_local_date(local).map(Distance)
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<Distance> {
        Local.offset_from_local_datetime(local).map(Distance)
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> Distance {
        Distance(Local.offset_from_utc_date(utc))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> Distance {
        Distance(Local.offset_from_utc_datetime(utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_distance_is_called_utc() {
        let shown = |seconds| Distance(FixedOffset::east_opt(seconds).unwrap()).to_string();
        assert_eq!((shown(0).as_str(), shown(3_600).as_str()), ("UTC", "+01:00"));
    }
}
