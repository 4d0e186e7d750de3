//! Clocks on the wall, worked out once more: minute by minute, from what the zone shows at each of them.

use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Weekday};
use chrono_tz::Tz;
use overnight::clock::Timestamp;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const A_DAY: Duration = Duration::from_secs(86_400);

/// What clocks in a zone show.
pub(super) fn shown(at: Timestamp, zone: Tz) -> NaiveDateTime {
    zone.from_utc_datetime(&at.utc().naive_utc()).naive_local()
}

/// The first moment at which clocks show this time of a day or, where they skip it, a later one.
pub(super) fn moment(date: NaiveDate, time: (u32, u32), zone: Tz) -> Timestamp {
    let wanted = date.and_hms_opt(time.0, time.1, 0).expect("a time of day");
    let mut at: Timestamp = (wanted - TimeDelta::hours(15)).and_utc().into();
    while shown(at, zone) < wanted {
        at = at + MINUTE;
    }
    at
}

/// Whether prices are doubled then: on weekdays by day.
pub(super) fn is_peak(at: Timestamp, zone: Tz) -> bool {
    let shown = shown(at, zone);
    !matches!(shown.weekday(), Weekday::Sat | Weekday::Sun) && (8..20).contains(&shown.hour())
}

/// Whether the provider that works at night takes requests then.
pub(super) fn is_night(at: Timestamp, zone: Tz) -> bool {
    !(7..22).contains(&shown(at, zone).hour())
}
