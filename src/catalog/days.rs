//! Which days of the calendar something starts on: weekdays, the dates a cron names, holidays off and
//! made-up working days on.
//!
//! Pure.

use std::collections::BTreeSet;

use chrono::{Datelike, Days as Span, NaiveDate, Weekday};

/// Every day of the week.
pub(crate) const ALL_WEEKDAYS: u8 = 0b111_1111;
/// Every month; bit 1 is January.
pub(crate) const ALL_MONTHS: u16 = 0b1_1111_1111_1110;
/// Every day of the month; bit 1 is the first.
pub(crate) const ALL_MONTH_DAYS: u32 = !1;

/// Days with a weekly pattern repeat by the week, dates by the leap year, which 2100 puts off.
const WEEK: u64 = 7;
const LEAP_CYCLE: u64 = 8 * 366 + 2;

/// A set of days; every day by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// Bit 0 is Monday.
    pub(crate) weekdays: u8,
    /// Bit 1 is January.
    pub(crate) months: u16,
    /// Bit 1 is the first.
    pub(crate) month_days: u32,
    /// `None` for every year.
    pub(crate) years: Option<BTreeSet<i32>>,
    /// Not on these, whatever the rest says.
    pub(crate) except: BTreeSet<NaiveDate>,
    /// On these, too.
    pub(crate) extra: BTreeSet<NaiveDate>,
}

impl Default for Days {
    fn default() -> Days {
        Days {
            weekdays: ALL_WEEKDAYS,
            months: ALL_MONTHS,
            month_days: ALL_MONTH_DAYS,
            years: None,
            except: BTreeSet::new(),
            extra: BTreeSet::new(),
        }
    }
}

impl Days {
    /// Whether `date` is one of them.
    pub(crate) fn has(&self, date: NaiveDate) -> bool {
        !self.except.contains(&date) && (self.extra.contains(&date) || self.follows_pattern(date))
    }

    /// Whether `date` or a day beside it is one of them: a cheap look before moments are worked out.
    pub(crate) fn has_near(&self, date: NaiveDate) -> bool {
        let (before, after) = (date.pred_opt(), date.succ_opt());
        [before, Some(date), after].into_iter().flatten().any(|date| self.has(date))
    }

    /// Whether every day is one of them.
    pub(crate) fn is_every_day(&self) -> bool {
        self.repeats_weekly() && self.weekdays == ALL_WEEKDAYS && self.except.is_empty()
    }

    /// Whether the pattern, its exceptions aside, is one of weekdays only.
    pub(crate) fn repeats_weekly(&self) -> bool {
        self.months == ALL_MONTHS && self.month_days == ALL_MONTH_DAYS && self.years.is_none()
    }

    /// Days after which the pattern has shown all of itself.
    pub(crate) fn cycle(&self) -> u64 {
        if self.repeats_weekly() { WEEK } else { LEAP_CYCLE }
    }

    /// More days than there can be from one of them to the next.
    pub(crate) fn longest_gap(&self) -> u64 {
        // An exception puts the next one off by a cycle at most, an hour that the clocks skip by another.
        self.cycle() * (self.except.len() as u64 + 4)
    }

    /// The last day on which the pattern is not what it always is.
    pub(crate) fn last_exception(&self) -> Option<NaiveDate> {
        let year = self.years.as_ref().and_then(|years| years.last());
        let end = year.and_then(|&year| NaiveDate::from_ymd_opt(year, 12, 31));
        let dates = [self.except.last().copied(), self.extra.last().copied(), end];
        dates.into_iter().flatten().max()
    }

    /// The last day there can be, where the years are listed.
    pub(crate) fn end(&self) -> Option<NaiveDate> {
        self.years.as_ref().and_then(|_| self.last_exception()?.checked_add_days(Span::new(1)))
    }

    fn follows_pattern(&self, date: NaiveDate) -> bool {
        self.weekdays & weekday_bit(date.weekday()) != 0
            && self.months & (1 << date.month()) != 0
            && self.month_days & (1 << date.day()) != 0
            && self.years.as_ref().is_none_or(|years| years.contains(&date.year()))
    }
}

/// The bit of one weekday.
pub(crate) fn weekday_bit(day: Weekday) -> u8 {
    1 << day.num_days_from_monday()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_holiday_is_off_and_a_made_up_day_is_on() {
        let days = Days {
            weekdays: 0b1_1111,
            except: [date("2026-10-01")].into(),
            extra: [date("2026-10-10")].into(),
            ..Days::default()
        };
        for (day, is_one) in [
            ("2026-09-30", true),
            ("2026-10-01", false), // a holiday on Thursday
            ("2026-10-09", true),
            ("2026-10-10", true), // a working Saturday
            ("2026-10-11", false),
        ] {
            assert_eq!(days.has(date(day)), is_one, "{day}");
        }
        assert!(days.has_near(date("2026-10-11")) && !days.is_every_day());
    }

    #[test]
    fn dates_and_years_narrow_the_days() {
        let leap = Days { months: 1 << 2, month_days: 1 << 29, ..Days::default() };
        assert!(leap.has(date("2028-02-29")) && !leap.has(date("2028-02-28")));
        assert!(leap.longest_gap() > 8 * 366);
        let listed = Days { years: Some([2026, 2027].into()), ..Days::default() };
        assert_eq!(listed.end(), Some(date("2028-01-01")));
        assert!(!listed.has(date("2028-01-01")) && !listed.repeats_weekly());
    }
}
