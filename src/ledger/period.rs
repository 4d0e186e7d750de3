//! Calendar days and months of a zone: which one a moment belongs to, and when it is over.
//!
//! A day is the date that a calendar on the wall shows, so it has 23 or 25 hours where clocks change;
//! every end given here is a [`Timestamp`]. Where midnight is skipped the day begins when the clocks
//! jump, where it comes twice it begins the first time.
//!
//! Pure.

use std::fmt;

use chrono::{Datelike, Days, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::catalog::calendar::{local_date, moment};
use crate::clock::Timestamp;

/// A date on the wall, counted in days from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(i32);

impl Day {
    /// The one a moment belongs to.
    pub fn of(at: Timestamp, zone: Tz) -> Day {
        Day((local_date(at, zone) - NaiveDate::default()).num_days() as i32)
    }

    /// The month it is in.
    pub fn month(self) -> Month {
        let date = self.date();
        Month(date.year() * 12 + date.month0() as i32)
    }

    /// Its first moment.
    pub fn begins(self, zone: Tz) -> Timestamp {
        moment(self.date(), 0, zone).unwrap_or(Timestamp::MAX)
    }

    /// The first moment after it.
    pub fn ends(self, zone: Tz) -> Timestamp {
        Day(self.0 + 1).begins(zone)
    }

    fn date(self) -> NaiveDate {
        let first = NaiveDate::default();
        let date = match u64::try_from(self.0) {
            Ok(days) => first.checked_add_days(Days::new(days)),
            Err(_) => first.checked_sub_days(Days::new(u64::from(self.0.unsigned_abs()))),
        };
        date.unwrap_or(NaiveDate::MAX)
    }
}

/// `2026-11-21`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

/// A month, counted from the beginning of year 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Month(i32);

impl Month {
    /// The first moment after it.
    pub fn ends(self, zone: Tz) -> Timestamp {
        let next = self.0 + 1;
        let first = NaiveDate::from_ymd_opt(next.div_euclid(12), next.rem_euclid(12) as u32 + 1, 1);
        first.and_then(|first| moment(first, 0, zone)).unwrap_or(Timestamp::MAX)
    }
}

/// `2026-11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// A zone of the IANA database, stored by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Default for Zone {
    fn default() -> Zone {
        Zone(Tz::UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Zone).map_err(|_| de::Error::custom(format!("no zone is called {name:?}")))
    }
}

/// The present day of a zone, worked out once a day and not once a request.
#[derive(Clone, Copy, Debug)]
pub struct Today {
    zone: Tz,
    day: Day,
    from: Timestamp,
    until: Timestamp,
}

impl Today {
    /// At this moment.
    pub fn at(now: Timestamp, zone: Tz) -> Today {
        let day = Day::of(now, zone);
        Today { zone, day, from: day.begins(zone), until: day.ends(zone) }
    }

    /// Moves to the day of another moment, in whichever direction.
    pub fn turn(&mut self, now: Timestamp) {
        if now < self.from || now >= self.until {
            *self = Today::at(now, self.zone);
        }
    }

    /// The day.
    pub fn day(&self) -> Day {
        self.day
    }

    /// Its zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_has_as_many_hours_as_the_clocks_make_of_it() {
        for (zone, noon, begins, ends) in [
            ("UTC", "2026-11-21T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            // 25 hours, then 23.
            ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("Europe/Berlin", "2027-03-28T12:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
            // Midnight is skipped: the day begins at one o'clock.
            ("Asia/Beirut", "2027-03-28T12:00:00Z", "2027-03-27T22:00:00Z", "2027-03-28T21:00:00Z"),
            // Midnight comes twice: the day begins the first time.
            ("America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            // Half of the day before comes twice.
            ("Asia/Beirut", "2026-10-24T12:00:00Z", "2026-10-23T21:00:00Z", "2026-10-24T22:00:00Z"),
        ] {
            let zone: Tz = zone.parse().unwrap();
            let day = Day::of(at(noon), zone);
            assert_eq!((day.begins(zone), day.ends(zone)), (at(begins), at(ends)), "{zone} {day}");
        }
    }

    #[test]
    fn a_month_ends_where_its_last_day_does() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        for (text, month, ends) in [
            ("2026-11-30T22:59:59Z", "2026-11", "2026-11-30T23:00:00Z"),
            ("2026-11-30T23:00:00Z", "2026-12", "2026-12-31T23:00:00Z"),
            ("2027-03-31T12:00:00Z", "2027-03", "2027-03-31T22:00:00Z"),
            ("2028-02-29T12:00:00Z", "2028-02", "2028-02-29T23:00:00Z"),
        ] {
            let found = Day::of(at(text), berlin).month();
            assert_eq!((found.to_string().as_str(), found.ends(berlin)), (month, at(ends)));
        }
    }

    #[test]
    fn a_zone_is_stored_by_its_name() {
        let zone = Zone(Tz::America__New_York);
        let stored = postcard::to_stdvec(&zone).unwrap();
        assert_eq!(postcard::from_bytes::<Zone>(&stored), Ok(zone));
        assert!(postcard::from_bytes::<Zone>(&postcard::to_stdvec("Mars/Base").unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn every_moment_is_in_its_day_and_days_touch(
            seconds in 0i64..4_102_444_800, // to 2100
            zone in 0usize..6,
        ) {
            let zones = ["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe"];
            let zone: Tz = zones[zone].parse().unwrap();
            let now = Timestamp::from_micros(seconds * 1_000_000);
            let mut today = Today::at(now, zone);
            let day = today.day();
            prop_assert!(day.begins(zone) <= now && now < day.ends(zone), "{} {} {}", now, day, zone);
            prop_assert!(day.ends(zone) <= day.month().ends(zone));
            today.turn(day.ends(zone));
            prop_assert!(today.day() > day);
            today.turn(now);
            prop_assert_eq!(today.day(), day);
        }
    }
}
