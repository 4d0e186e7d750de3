//! [`Cron`]: a cron as it is written, and its firings.
//!
//! It is read as [`crate::catalog::hours`] reads one, so a schedule and a price window that are written
//! alike begin alike, also in a night in which the clocks change: a time of day that comes twice means its
//! first time, one that is skipped the moment the clocks jump. Several firings that fall on that moment
//! are one.
//!
//! Pure.

use std::fmt;

use chrono::Days as Span;
use chrono_tz::Tz;

use crate::catalog::calendar::{local_date, moment};
use crate::catalog::cron as written;
use crate::catalog::days::Days;
use crate::catalog::hours::HoursError;
use crate::clock::Timestamp;

/// Times of day on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    days: Days,
    /// Minutes of the day, earliest first.
    starts: Vec<u16>,
}

impl Cron {
    /// Reads five fields, six with seconds in front, or a name such as `@daily`.
    pub fn parse(text: &str) -> Result<Cron, HoursError> {
        let (days, ranges) = written::parse(text, 1)?;
        let mut starts: Vec<u16> = ranges.into_iter().map(|range| range.start).collect();
        starts.sort_unstable();
        Ok(Cron { text: text.trim().to_owned(), days, starts })
    }

    /// Every day at this minute of it.
    pub fn daily(minute: u16) -> Cron {
        let text = format!("{} {} * * *", minute % 60, minute / 60);
        Cron { text, days: Days::default(), starts: vec![minute] }
    }

    /// Its firings after a moment, in order.
    pub fn firings(&self, after: Timestamp, zone: Tz) -> impl Iterator<Item = Timestamp> {
        // A day earlier, because clocks that go back over midnight show yesterday's date once more.
        let mut dates = local_date(after, zone).pred_opt().unwrap_or_default().iter_days();
        let gap = Span::new(self.days.longest_gap());
        // Moves on with what is found: only what never comes again ends the search.
        let mut horizon = local_date(after, zone).checked_add_days(gap);
        let mut latest = after;
        let mut of_day = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(firing) = of_day.find(|firing| *firing > latest) {
                    latest = firing;
                    return Some(firing);
                }
                let date = dates.next().filter(|date| Some(*date) <= horizon)?;
                if self.days.has(date) {
                    horizon = date.checked_add_days(gap);
                    let times = self.starts.iter().filter_map(|&start| moment(date, start, zone));
                    of_day = times.collect::<Vec<_>>().into_iter();
                }
            }
        })
    }
}

/// As it was written.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
