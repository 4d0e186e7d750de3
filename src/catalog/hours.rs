//! Hours as they are written, in the bundled table and in a config, and the [`Calendar`] they mean.
//!
//! | form | example |
//! |---|---|
//! | a line | `mon-fri 22:00-07:00 Europe/Berlin` |
//! | a table | `{ days = "mon-fri", hours = ["01:00-04:00"], tz = "UTC", days_tz = "Asia/Shanghai" }` |
//! | a cron with a length | `{ cron = "30 16 * * *", for = "8h", tz = "UTC" }` |
//!
//! Pure.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{NaiveDate, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::Deserialize;

use super::calendar::{Calendar, DAY, Range, Rule, moment};
use super::days::{ALL_WEEKDAYS, Days, weekday_bit};
use super::{cron, names};
use crate::clock::Timestamp;

/// Earlier than anything that is ever asked about.
const EVER: Timestamp = Timestamp::from_micros(i64::MIN / 4);

/// Weekdays and hours as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hours {
    /// `mon-fri`, `sat,sun`, `daily`; every day where absent.
    pub days: Option<String>,
    /// `01:00-04:00`, several.
    pub hours: Vec<String>,
    /// When it opens, in place of `days` and `hours`: `30 16 * * *`.
    pub cron: Option<String>,
    /// How long it is open from there, read off the clock: `8h`.
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    /// Zone of the hours; UTC where absent.
    pub tz: Option<String>,
    /// Zone of the days; that of the hours where absent.
    pub days_tz: Option<String>,
    /// Dates (in the days' zone) on which nothing starts: `2026-10-01`.
    pub except_dates: Vec<String>,
    /// Dates (in the days' zone) on which it starts whatever the weekday: made-up working days.
    pub extra_dates: Vec<String>,
    /// First moment: RFC 3339, or a date for its first minute in the days' zone.
    pub valid_from: Option<String>,
    /// First moment after it: RFC 3339, or a date for the end of that day in the days' zone.
    pub valid_to: Option<String>,
}

/// What is wrong with hours as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Not a weekday.
    #[error("{0:?} is not a day; write days like \"mon-fri\", \"sat,sun\" or \"daily\"")]
    Day(String),
    /// Not a range of the clock.
    #[error("{0:?} is not a range of hours; write it like \"22:00-07:00\"")]
    Range(String),
    /// No hours at all.
    #[error("no hours are given; write them like hours = [\"22:00-07:00\"]")]
    NoHours,
    /// Not a time zone.
    #[error("{0:?} is not a time zone{1}; write it like \"Europe/Berlin\" or \"UTC\"")]
    Zone(String, String),
    /// Not a date.
    #[error("{0:?} is not a date; write it like \"2026-10-01\"")]
    Date(String),
    /// Not a moment.
    #[error("{0:?} is neither a date nor a time; write it like \"2026-10-01\" or \"2026-10-01T16:00:00Z\"")]
    Moment(String),
    /// Not a cron, and why.
    #[error("{0:?} is not a cron we can use: {1}")]
    Cron(String, String),
    /// Not a length of time.
    #[error("{0:?} is not a length from \"1m\" to \"7d\"; write it like \"8h\" or \"1h30m\"")]
    Length(String),
    /// A cron says when it opens, not for how long.
    #[error("a cron needs `for`, how long it is open: for = \"8h\"")]
    NoLength,
    /// A length without a start.
    #[error("`for` goes with `cron`; without one, write hours = [\"22:00-07:00\"]")]
    NoCron,
    /// Two ways to say the same.
    #[error("`{0}` and `cron` both say when it opens; use one of them")]
    Both(&'static str),
    /// A date on which it both starts and does not.
    #[error("{0} is in `except_dates` and in `extra_dates`")]
    Clash(NaiveDate),
    /// It ends before it begins.
    #[error("`valid_to` is not after `valid_from`, so it would never be open")]
    Never,
}

impl Hours {
    /// Reads one line: days (optional), ranges, zone (optional), separated by spaces.
    pub fn parse(line: &str) -> Result<Hours, HoursError> {
        let mut hours = Hours::default();
        for word in line.split_whitespace() {
            if word.contains(':') {
                let ranges = word.split(',').filter(|range| !range.is_empty());
                hours.hours.extend(ranges.map(str::to_owned));
            } else if hours.hours.is_empty() && hours.days.is_none() {
                hours.days = Some(word.to_owned());
            } else if hours.tz.is_none() && !hours.hours.is_empty() {
                hours.tz = Some(word.to_owned());
            } else {
                return Err(HoursError::Range(line.to_owned()));
            }
        }
        hours.calendar()?;
        Ok(hours)
    }

    /// What it means; the first problem where there are several.
    pub fn calendar(&self) -> Result<Calendar, HoursError> {
        Hours::any(std::slice::from_ref(self))
    }

    /// Open where any of `all` is.
    pub fn any(all: &[Hours]) -> Result<Calendar, HoursError> {
        let rules = all.iter().map(|hours| hours.rule().map_err(|mut problems| problems.remove(0).1));
        Ok(Calendar::new(rules.collect::<Result<_, _>>()?))
    }

    /// Everything that is wrong with it, and with which of its keys.
    pub fn problems(&self) -> Vec<(&'static str, HoursError)> {
        self.rule().err().unwrap_or_default()
    }

    fn rule(&self) -> Result<Rule, Vec<(&'static str, HoursError)>> {
        let mut found = Found::default();
        let zone = found.good("tz", self.tz.as_deref().map_or(Ok(Tz::UTC), parse_zone)).unwrap_or(Tz::UTC);
        let days_zone = self.days_tz.as_deref().map_or(Ok(zone), parse_zone);
        let days_zone = found.good("days_tz", days_zone).unwrap_or(zone);
        let (days, ranges) = self.starts(&mut found);
        let days = Days {
            except: dates("except_dates", &self.except_dates, &mut found),
            extra: dates("extra_dates", &self.extra_dates, &mut found),
            ..days
        };
        if let Some(&date) = days.except.intersection(&days.extra).next() {
            found.bad("extra_dates", HoursError::Clash(date));
        }
        let from = self.valid_from.as_deref().map_or(Ok(EVER), |text| parse_moment(text, days_zone, 0));
        let to =
            self.valid_to.as_deref().map_or(Ok(Timestamp::MAX), |text| parse_moment(text, days_zone, DAY));
        let valid_from = found.good("valid_from", from).unwrap_or(EVER);
        let valid_to = found.good("valid_to", to).unwrap_or(Timestamp::MAX);
        if valid_to <= valid_from {
            found.bad("valid_to", HoursError::Never);
        }
        match found.0.is_empty() {
            true => Ok(Rule { days, ranges, zone, days_zone, valid_from, valid_to }),
            false => Err(found.0),
        }
    }

    /// The days and hours in which it opens.
    fn starts(&self, found: &mut Found) -> (Days, Vec<Range>) {
        let Some(cron) = &self.cron else {
            if self.lasts.is_some() {
                found.bad("for", HoursError::NoCron);
            } else if self.hours.is_empty() {
                found.bad("hours", HoursError::NoHours);
            }
            let weekdays = found.good("days", self.days.as_deref().map_or(Ok(ALL_WEEKDAYS), parse_days));
            let ranges = self.hours.iter().filter_map(|text| found.good("hours", parse_range(text)));
            let ranges = ranges.collect();
            return (Days { weekdays: weekdays.unwrap_or(ALL_WEEKDAYS), ..Days::default() }, ranges);
        };
        for (key, is_set) in [("days", self.days.is_some()), ("hours", !self.hours.is_empty())] {
            if is_set {
                found.bad(key, HoursError::Both(key));
            }
        }
        let length = self.lasts.as_deref().map_or(Err(HoursError::NoLength), cron::length);
        let length = found.good("for", length).unwrap_or(1);
        found.good("cron", cron::parse(cron, length)).unwrap_or_default()
    }
}

/// What is wrong so far, by key.
#[derive(Default)]
struct Found(Vec<(&'static str, HoursError)>);

impl Found {
    fn good<T>(&mut self, key: &'static str, result: Result<T, HoursError>) -> Option<T> {
        result.map_err(|error| self.bad(key, error)).ok()
    }

    fn bad(&mut self, key: &'static str, error: HoursError) {
        self.0.push((key, error));
    }
}

fn dates(key: &'static str, texts: &[String], found: &mut Found) -> BTreeSet<NaiveDate> {
    texts.iter().filter_map(|text| found.good(key, parse_date(text))).collect()
}

fn parse_days(text: &str) -> Result<u8, HoursError> {
    let mut days = 0;
    for part in text.split(',').map(str::trim) {
        days |= match part.split_once('-') {
            _ if part.eq_ignore_ascii_case("daily") => ALL_WEEKDAYS,
            Some((first, last)) => day_run(parse_day(first)?, parse_day(last)?),
            None => weekday_bit(parse_day(part)?),
        };
    }
    Ok(days)
}

/// The days from `first` to `last`, over Sunday where `last` comes earlier in the week.
fn day_run(first: Weekday, last: Weekday) -> u8 {
    let mut day = first;
    let mut days = weekday_bit(day);
    while day != last {
        day = day.succ();
        days |= weekday_bit(day);
    }
    days
}

/// Reads the name of a weekday.
pub(super) fn parse_day(text: &str) -> Result<Weekday, HoursError> {
    Weekday::from_str(text.trim()).map_err(|_| HoursError::Day(text.to_owned()))
}

fn parse_range(text: &str) -> Result<Range, HoursError> {
    let error = || HoursError::Range(text.to_owned());
    let (start, end) = text.split_once('-').ok_or_else(error)?;
    let start = parse_minute(start).filter(|&minute| minute < 24 * 60).ok_or_else(error)?;
    let end = parse_minute(end).ok_or_else(error)?;
    Ok(Range::between(start, end))
}

/// Minutes since midnight of `06:30`; `24:00` is the end of the day.
fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

/// Reads an IANA zone name.
pub fn parse_zone(text: &str) -> Result<Tz, HoursError> {
    Tz::from_str(text.trim()).map_err(|_| {
        let nearest = names::nearest(text, TZ_VARIANTS.iter().map(|zone| zone.name()));
        HoursError::Zone(text.to_owned(), names::did_you_mean(nearest))
    })
}

fn parse_date(text: &str) -> Result<NaiveDate, HoursError> {
    text.trim().parse().map_err(|_| HoursError::Date(text.to_owned()))
}

/// RFC 3339, or a date: then the given minute of it.
fn parse_moment(text: &str, zone: Tz, minute: u16) -> Result<Timestamp, HoursError> {
    let error = || HoursError::Moment(text.to_owned());
    match text.trim().parse::<NaiveDate>() {
        Ok(date) => moment(date, minute, zone).ok_or_else(error),
        Err(_) => text.trim().parse().map_err(|_| error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_lists_and_runs() {
        for (text, days) in [
            ("mon", 0b1),
            ("mon-fri", 0b1_1111),
            ("Sat,Sun", 0b110_0000),
            ("fri-mon", 0b111_0001),
            ("daily", ALL_WEEKDAYS),
        ] {
            assert_eq!(parse_days(text).unwrap(), days, "{text}");
        }
        assert_eq!(parse_days("mo-fri"), Err(HoursError::Day("mo".into())));
    }

    #[test]
    fn nonsense_is_refused_with_the_words_that_were_written() {
        for text in ["25:00-01:00", "1-2", "22:00", "mon 22:60-23:00", "24:00-01:00", "10:00-11:00 Mars", ""]
        {
            assert!(Hours::parse(text).is_err(), "{text}");
        }
        let zone = Hours::parse("10:00-11:00 Europe/Berln").unwrap_err().to_string();
        assert!(zone.contains("did you mean Europe/Berlin?"), "{zone}");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_key() {
        let hours = Hours {
            days: Some("mo-fri".into()),
            hours: vec!["1-4".into(), "01:00-04:00".into(), "25:00-26:00".into()],
            tz: Some("Mars".into()),
            except_dates: vec!["2026-10-01".into(), "tomorrow".into()],
            extra_dates: vec!["2026-10-01".into()],
            valid_from: Some("soon".into()),
            ..Hours::default()
        };
        let keys: Vec<&str> = hours.problems().into_iter().map(|(key, _)| key).collect();
        let told = ["tz", "days", "hours", "hours", "except_dates", "extra_dates", "valid_from"];
        assert_eq!(keys, told);
    }

    #[test]
    fn a_cron_takes_the_place_of_days_and_hours() {
        let cron = |hours: Hours| Hours { cron: Some("30 16 * * *".into()), ..hours };
        let good = cron(Hours { lasts: Some("8h".into()), ..Hours::default() });
        assert_eq!(good.calendar(), Hours::parse("16:30-00:30").unwrap().calendar());
        for (hours, key) in [
            (cron(Hours::default()), "for"),
            (cron(Hours { days: Some("mon".into()), ..good.clone() }), "days"),
            (cron(Hours { hours: vec!["01:00-02:00".into()], ..good.clone() }), "hours"),
            (Hours { cron: None, ..good.clone() }, "for"),
            (Hours { cron: Some("at night".into()), ..good.clone() }, "cron"),
            (
                Hours { valid_from: Some("2026-02-01".into()), valid_to: Some("2026-01-01".into()), ..good },
                "valid_to",
            ),
        ] {
            assert_eq!(hours.problems().iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key], "{hours:?}");
        }
    }

    #[test]
    fn a_date_as_the_last_day_includes_it() {
        let mut hours = Hours::parse("00:00-24:00").unwrap();
        hours.valid_to = Some("2026-11-21".into());
        hours.days_tz = Some("America/Los_Angeles".into());
        let end = hours.calendar().unwrap().next_change("2026-11-20T00:00:00Z".parse().unwrap());
        assert_eq!(end.unwrap().to_string(), "2026-11-22T08:00:00Z");
    }
}
