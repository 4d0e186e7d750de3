//! Hours as they are written, in the bundled table and in a config, and the [`Calendar`] they mean.
//!
//! Two forms: one line, `mon-fri 22:00-07:00 Europe/Berlin`, and a table with every field of its own.
//!
//! Pure.

use std::str::FromStr;

use chrono::{NaiveDate, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::Deserialize;

use super::calendar::{ALL_DAYS, Calendar, Range, Rule, day_bit, moment};
use super::names;
use crate::clock::Timestamp;

/// Earlier than anything that is ever asked about.
const EVER: Timestamp = Timestamp::from_micros(i64::MIN / 4);

/// Weekdays and hours as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// `mon-fri`, `sat,sun`, `daily`; every day where absent.
    pub days: Option<String>,
    /// `01:00-04:00`, several.
    pub hours: Vec<String>,
    /// Zone of the hours; UTC where absent.
    pub tz: Option<String>,
    /// Zone of the days; that of the hours where absent.
    pub days_tz: Option<String>,
    /// Dates (in the days' zone) on which nothing starts: `2026-10-01`.
    #[serde(default)]
    pub except_dates: Vec<String>,
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

    /// What it means.
    pub fn calendar(&self) -> Result<Calendar, HoursError> {
        Ok(Calendar::new(vec![self.rule()?]))
    }

    /// Open where any of `all` is.
    pub fn any(all: &[Hours]) -> Result<Calendar, HoursError> {
        Ok(Calendar::new(all.iter().map(Hours::rule).collect::<Result<_, _>>()?))
    }

    fn rule(&self) -> Result<Rule, HoursError> {
        let zone = self.tz.as_deref().map_or(Ok(Tz::UTC), parse_zone)?;
        let days_zone = self.days_tz.as_deref().map_or(Ok(zone), parse_zone)?;
        if self.hours.is_empty() {
            return Err(HoursError::NoHours);
        }
        let from = self.valid_from.as_deref().map(|text| parse_moment(text, days_zone, 0));
        let to = self.valid_to.as_deref().map(|text| parse_moment(text, days_zone, 24 * 60));
        Ok(Rule {
            days: self.days.as_deref().map_or(Ok(ALL_DAYS), parse_days)?,
            ranges: self.hours.iter().map(|text| parse_range(text)).collect::<Result<_, _>>()?,
            zone,
            days_zone,
            except: self.except_dates.iter().map(|text| parse_date(text)).collect::<Result<_, _>>()?,
            valid_from: from.unwrap_or(Ok(EVER))?,
            valid_to: to.unwrap_or(Ok(Timestamp::MAX))?,
        })
    }
}

fn parse_days(text: &str) -> Result<u8, HoursError> {
    let mut days = 0;
    for part in text.split(',').map(str::trim) {
        days |= match part.split_once('-') {
            _ if part.eq_ignore_ascii_case("daily") => ALL_DAYS,
            Some((first, last)) => day_run(parse_day(first)?, parse_day(last)?),
            None => day_bit(parse_day(part)?),
        };
    }
    Ok(days)
}

/// The days from `first` to `last`, over Sunday where `last` comes earlier in the week.
fn day_run(first: Weekday, last: Weekday) -> u8 {
    let mut day = first;
    let mut days = day_bit(day);
    while day != last {
        day = day.succ();
        days |= day_bit(day);
    }
    days
}

fn parse_day(text: &str) -> Result<Weekday, HoursError> {
    Weekday::from_str(text.trim()).map_err(|_| HoursError::Day(text.to_owned()))
}

fn parse_range(text: &str) -> Result<Range, HoursError> {
    let error = || HoursError::Range(text.to_owned());
    let (start, end) = text.split_once('-').ok_or_else(error)?;
    let start = parse_minute(start).filter(|&minute| minute < 24 * 60).ok_or_else(error)?;
    let end = parse_minute(end).ok_or_else(error)?;
    Ok(Range { start, end })
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
            ("daily", ALL_DAYS),
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
    fn a_date_as_the_last_day_includes_it() {
        let mut hours = Hours::parse("00:00-24:00").unwrap();
        hours.valid_to = Some("2026-11-21".into());
        hours.days_tz = Some("America/Los_Angeles".into());
        let end = hours.calendar().unwrap().next_change("2026-11-20T00:00:00Z".parse().unwrap());
        assert_eq!(end.unwrap().to_string(), "2026-11-22T08:00:00Z");
    }
}
