//! Starts as a cron writes them, with how long each lasts: another way to write hours.
//!
//! `30 16 * * *` for `8h` means what `16:30-00:30` means, also in a night in which the clocks change:
//! the length is read off the clock. Five fields (minute hour day month weekday), six with seconds in
//! front, or seven with years behind.
//!
//! Crons disagree in two points, and a price that is wrong by a day is worse than a message: a weekday is
//! a number only where five fields make plain that Sunday is 0, and a day of the month does not stand
//! beside a weekday.
//!
//! Pure.

use cron::{Schedule, TimeUnitSpec};

use super::calendar::Range;
use super::days::{ALL_WEEKDAYS, Days, weekday_bit};
use super::hours::{HoursError, parse_day};

/// The days and hours a cron and a length mean.
pub(crate) fn parse(text: &str, minutes: u16) -> Result<(Days, Vec<Range>), HoursError> {
    let error = |why: &str| HoursError::Cron(text.to_owned(), why.to_owned());
    let written = match text.trim() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    };
    let mut fields: Vec<&str> = written.split_whitespace().collect();
    let is_classic = fields.len() == 5;
    if is_classic {
        fields.insert(0, "0");
    }
    if !(6..=7).contains(&fields.len()) {
        return Err(error("it has five fields, or six with seconds in front"));
    }
    if fields[0] != "0" && fields[0] != "00" {
        return Err(error("hours start on the minute: its seconds must be 0"));
    }
    let is_any = |field: &str| matches!(field, "*" | "?");
    if !is_any(fields[3]) && !is_any(fields[5]) {
        return Err(error("it names days of the month and weekdays, which crons read differently; use one"));
    }
    let weekdays = weekdays(fields[5], is_classic).map_err(|why| error(&why))?;
    fields[5] = "*";
    let schedule: Schedule = fields.join(" ").parse().map_err(|_| error("it cannot be read"))?;
    let years = schedule.years();
    let days = Days {
        weekdays,
        months: schedule.months().iter().fold(0, |bits, month| bits | 1 << month),
        month_days: schedule.days_of_month().iter().fold(0, |bits, day| bits | 1 << day),
        years: (!years.is_all()).then(|| years.iter().map(|year| year as i32).collect()),
        ..Days::default()
    };
    Ok((days, ranges(&schedule, minutes)))
}

fn ranges(schedule: &Schedule, minutes: u16) -> Vec<Range> {
    let at = |hour: u32, minute: u32| (hour * 60 + minute) as u16;
    let hours = schedule.hours().iter();
    let starts = hours.flat_map(|hour| schedule.minutes().iter().map(move |minute| at(hour, minute)));
    starts.map(|start| Range { start, minutes }).collect()
}

/// `mon-fri`, `sat,sun`, `*/2`, and with `numbers` also `1-5`, Sunday being 0 or 7.
fn weekdays(field: &str, numbers: bool) -> Result<u8, String> {
    let mut days = 0;
    for part in field.split(',') {
        let (run, step) = part.split_once('/').unwrap_or((part, "1"));
        let step = step.parse().ok().filter(|step| (1..=7).contains(step));
        let step = step.ok_or_else(|| format!("{part:?} is not a step of days"))?;
        if run == "*" || run == "?" {
            days |= if step == 1 { ALL_WEEKDAYS } else { steps(chrono::Weekday::Sun, 7, step) };
            continue;
        }
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last) = (weekday(first, numbers)?, weekday(last, numbers)?);
        let length = (last.num_days_from_monday() + 7 - first.num_days_from_monday()) % 7 + 1;
        days |= steps(first, length, step);
    }
    Ok(days)
}

/// Every `step`th of `length` days.
fn steps(first: chrono::Weekday, length: u32, step: usize) -> u8 {
    let mut day = first;
    let mut days = 0;
    for at in 0..length as usize {
        if at.is_multiple_of(step) {
            days |= weekday_bit(day);
        }
        day = day.succ();
    }
    days
}

fn weekday(text: &str, numbers: bool) -> Result<chrono::Weekday, String> {
    let Ok(number) = text.parse::<u8>() else {
        return parse_day(text).map_err(|error| error.to_string());
    };
    if !numbers {
        return Err("a weekday's number means different days in different crons; write mon-fri".to_owned());
    }
    match number {
        0 | 7 => Ok(chrono::Weekday::Sun),
        1..=6 => Ok(chrono::Weekday::try_from(number - 1).expect("0 is Monday, 5 is Saturday")),
        _ => Err(format!("{number} is not a weekday: 0 is Sunday, 6 is Saturday")),
    }
}

/// Minutes of `8h`, `1h30m`, `2d`; up to a week.
pub(super) fn length(text: &str) -> Result<u16, HoursError> {
    minutes(text.trim()).ok_or_else(|| HoursError::Length(text.to_owned()))
}

fn minutes(text: &str) -> Option<u16> {
    let mut rest = text;
    let mut units = [('d', 1_440u32), ('h', 60), ('m', 1)].iter();
    let mut total = 0u32;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[end..].chars().next()?;
        // `find` goes on where it stopped, so units only get smaller and none comes twice.
        let (_, minutes) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(rest[..end].parse::<u32>().ok()?.checked_mul(*minutes)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    u16::try_from(total).ok().filter(|&total| (1..=Range::LONGEST).contains(&total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(text: &str) -> u8 {
        parse(text, 60).unwrap().0.weekdays
    }

    #[test]
    fn five_six_and_seven_fields_say_the_same() {
        let evening = vec![Range { start: 16 * 60 + 30, minutes: 480 }];
        for text in ["30 16 * * *", "0 30 16 * * *", "0 30 16 * * * *", " 30  16 ? * ? "] {
            assert_eq!(parse(text, 480), Ok((Days::default(), evening.clone())), "{text}");
        }
        assert_eq!(parse("0,30 */12 * * *", 5).unwrap().1.len(), 4);
        let (days, _) = parse("0 0 2 29 feb * 2028-2032", 60).unwrap();
        assert_eq!((days.months, days.month_days, days.years.unwrap().len()), (1 << 2, 1 << 29, 5));
    }

    #[test]
    fn weekdays_are_those_of_the_classic_cron() {
        for (text, days) in [
            ("0 22 * * 1-5", 0b1_1111),
            ("0 22 * * mon-fri", 0b1_1111),
            ("0 22 * * 0", 0b100_0000),
            ("0 22 * * 7", 0b100_0000),
            ("0 22 * * 5-1", 0b111_0001),
            ("0 22 * * fri-mon", 0b111_0001),
            ("0 22 * * 1-5/2", 0b1_0101),
            ("0 22 * * */3", 0b110_0100),
            ("0 0 22 * * sat,sun", 0b110_0000),
            ("@weekly", 0b100_0000),
        ] {
            assert_eq!(week(text), days, "{text}");
        }
    }

    #[test]
    fn what_two_crons_would_read_differently_is_refused() {
        for (text, why) in [
            ("0 0 22 * * 1-5", "write mon-fri"),
            ("0 22 13 * fri", "use one"),
            ("30 0 22 * * *", "its seconds must be 0"),
            ("0 22 * *", "five fields"),
            ("0 25 * * *", "cannot be read"),
            ("0 22 * * 8", "8 is not a weekday"),
            ("0 22 * * mo", "not a day"),
            ("* * * * * * * *", "five fields"),
            ("", "five fields"),
        ] {
            let error = parse(text, 60).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_length_is_minutes_up_to_a_week() {
        for (text, minutes) in [("8h", Some(480)), ("1h30m", Some(90)), ("7d", Some(10_080)), ("1m", Some(1))]
        {
            assert_eq!(length(text).ok(), minutes, "{text}");
        }
        for text in ["", "8", "h", "0m", "8d", "1m1h", "90s", "-1h", "99999999999d", "8é"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
