//! Hours of the week in a time zone: when a price applies, when we may send.
//!
//! A rule is a set of weekdays and some ranges of the local clock, start inclusive and end exclusive.
//! A range that passes midnight belongs to the day it starts, so `mon-fri 22:00-02:00` holds Saturday
//! 01:00 and not Monday 01:00. The day is read in a zone of its own where the provider says so:
//! DeepSeek's peak hours are UTC, its weekdays are Beijing's.
//!
//! Every range is turned into two moments before anything is compared, and both ends are turned the
//! same way, so ranges that touch on the clock touch in time and a night in which the clocks change
//! has neither a hole nor an overlap. A clock reading that occurs twice means its first time; one that
//! is skipped means the moment the clocks jump.
//!
//! Pure. Written form: [`crate::catalog::hours`].

use std::collections::BTreeSet;

use chrono::{Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use crate::clock::Timestamp;

/// Minutes in a day of the local clock.
const DAY: u16 = 24 * 60;
/// Touching ranges joined before we call it always open; about three years of daily ranges.
const MAX_JOINS: usize = 1_000;

/// Hours of the week in a zone; [`Calendar::always`] by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Open where any of these is; always where there is none.
    rules: Vec<Rule>,
}

/// Weekdays with their hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Days on which a range may start; bit 0 is Monday.
    pub(crate) days: u8,
    /// Hours of the local clock.
    pub(crate) ranges: Vec<Range>,
    /// Zone of the hours.
    pub(crate) zone: Tz,
    /// Zone in which the weekday and the date of a start are read.
    pub(crate) days_zone: Tz,
    /// Dates on which no range starts.
    pub(crate) except: BTreeSet<NaiveDate>,
    /// Nothing is open before.
    pub(crate) valid_from: Timestamp,
    /// Nothing is open at or after.
    pub(crate) valid_to: Timestamp,
}

/// Minutes of the local day, start inclusive, end exclusive; the end is tomorrow's where it is not
/// after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Calendar {
    /// Open at every moment.
    pub fn always() -> Calendar {
        Calendar::default()
    }

    /// Open where any rule is.
    pub(crate) fn new(rules: Vec<Rule>) -> Calendar {
        Calendar { rules }
    }

    /// Whether it is open at every moment, by having no rules.
    pub fn is_always(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether it is open at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.is_always() || self.rules.iter().any(|rule| rule.is_open(now))
    }

    /// The next moment after `now` at which it opens or closes; `None` where it never does.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, until) = self.open_until(now);
        (until < Timestamp::MAX).then_some(until)
    }

    /// Whether it is open at `now`, and the moment until which that holds: ask again only then.
    pub fn open_until(&self, now: Timestamp) -> (bool, Timestamp) {
        if self.is_always() {
            return (true, Timestamp::MAX);
        }
        let mut until = now;
        for _ in 0..MAX_JOINS {
            let (reached, opens) = self.join(until);
            if reached == until {
                return if until > now { (true, until) } else { (false, opens) };
            }
            until = reached;
        }
        (true, Timestamp::MAX)
    }

    /// Its first moment, and the first one after its last, by the dates it is valid; hours aside.
    pub(crate) fn validity(&self) -> (Timestamp, Timestamp) {
        let from = self.rules.iter().map(|rule| rule.valid_from).min();
        let to = self.rules.iter().map(|rule| rule.valid_to).max();
        (from.unwrap_or(Timestamp::from_micros(i64::MIN / 4)), to.unwrap_or(Timestamp::MAX))
    }

    /// Whether it is open at every moment of its validity.
    pub(crate) fn is_whole_time(&self) -> bool {
        self.is_always() || self.rules.iter().any(Rule::whole_week)
    }

    /// How far the ranges that hold `at` reach (`at` itself where none does), and the next opening.
    fn join(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let (mut reached, mut opens) = (at, Timestamp::MAX);
        for (start, end) in self.rules.iter().filter_map(|rule| rule.next_span(at)) {
            if start <= at {
                reached = reached.max(end);
            } else {
                opens = opens.min(start);
            }
        }
        (reached, opens)
    }
}

impl Rule {
    fn is_open(&self, now: Timestamp) -> bool {
        if self.whole_week() {
            return self.valid_from <= now && now < self.valid_to;
        }
        let today = local_date(now, self.zone);
        let yesterday = today.checked_sub_days(Days::new(1));
        let mut spans = yesterday.into_iter().chain([today]).flat_map(|date| self.spans(date));
        spans.any(|(start, end)| start <= now && now < end)
    }

    /// The first range that ends after `at`, as moments.
    fn next_span(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        if self.whole_week() {
            return (at < self.valid_to).then_some((self.valid_from, self.valid_to));
        }
        let mut date = local_date(at.max(self.valid_from), self.zone).checked_sub_days(Days::new(1))?;
        // Every excepted date can put the next start off by a week at most, a skipped hour by another.
        for _ in 0..7 * (self.except.len() + 4) {
            let ahead = self.spans(date).filter(|&(_, end)| end > at);
            if let Some(first) = ahead.min() {
                return Some(first);
            }
            date = date.checked_add_days(Days::new(1))?;
        }
        None
    }

    /// The ranges whose clock starts on `date`, as moments inside the rule's validity.
    fn spans(&self, date: NaiveDate) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.ranges.iter().filter_map(move |range| {
            let start = moment(date, range.start, self.zone)?;
            let end_date = if range.end > range.start { date } else { date.succ_opt()? };
            let end = moment(end_date, range.end, self.zone)?;
            if !self.starts_on(start) {
                return None;
            }
            let span = (start.max(self.valid_from), end.min(self.valid_to));
            (span.0 < span.1).then_some(span)
        })
    }

    fn starts_on(&self, start: Timestamp) -> bool {
        let date = local_date(start, self.days_zone);
        self.days & day_bit(date.weekday()) != 0 && !self.except.contains(&date)
    }

    fn whole_week(&self) -> bool {
        let whole_day = |range: &Range| range.start == 0 && (range.end == 0 || range.end == DAY);
        self.days == ALL_DAYS && self.except.is_empty() && self.ranges.iter().any(whole_day)
    }
}

/// Every day of the week.
pub(crate) const ALL_DAYS: u8 = 0b111_1111;

/// The bit of one weekday.
pub(crate) fn day_bit(day: Weekday) -> u8 {
    1 << day.num_days_from_monday()
}

/// The date a calendar on the wall in `zone` shows.
pub(crate) fn local_date(at: Timestamp, zone: Tz) -> NaiveDate {
    zone.from_utc_datetime(&at.utc().naive_utc()).date_naive()
}

/// The moment at which the clocks of `zone` show this minute of `date`.
pub(crate) fn moment(date: NaiveDate, minute: u16, zone: Tz) -> Option<Timestamp> {
    let local = date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::minutes(minute.into()))?;
    Some(first_at_or_after(local, zone)?.with_timezone(&Utc).into())
}

/// The first moment whose local reading is `local`, or the jump that skips it.
fn first_at_or_after(local: NaiveDateTime, zone: Tz) -> Option<chrono::DateTime<Tz>> {
    let mut reading = local;
    // The longest jump known is a whole day (Samoa crossed the date line in 2011).
    for _ in 0..=DAY {
        match zone.from_local_datetime(&reading) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => return Some(time),
            LocalResult::None => reading = reading.checked_add_signed(TimeDelta::minutes(1))?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::hours::Hours;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn calendar(text: &str) -> Calendar {
        Hours::parse(text).unwrap().calendar().unwrap()
    }

    /// DeepSeek's peak since 2026-08-16 16:00 UTC.
    fn peak() -> Calendar {
        let hours = Hours {
            days: Some("mon-fri".into()),
            hours: vec!["01:00-04:00".into(), "06:00-10:00".into()],
            days_tz: Some("Asia/Shanghai".into()),
            except_dates: vec!["2026-10-01".into()],
            valid_from: Some("2026-08-16T16:00:00Z".into()),
            ..Hours::default()
        };
        hours.calendar().unwrap()
    }

    fn check(calendar: &Calendar, cases: &[(&str, bool, &str)]) {
        for &(now, open, until) in cases {
            let answer = calendar.open_until(at(now));
            assert_eq!((answer.0, answer.1.to_string().as_str()), (open, until), "at {now}");
            assert_eq!(calendar.is_open(at(now)), open, "at {now}");
        }
    }

    #[test]
    fn deepseek_peak_hours_hold_on_beijing_weekdays() {
        check(
            &peak(),
            &[
                ("2026-08-14T02:00:00Z", false, "2026-08-17T01:00:00Z"), // before the rule began
                ("2026-11-23T00:59:59Z", false, "2026-11-23T01:00:00Z"), // Monday
                ("2026-11-23T01:00:00Z", true, "2026-11-23T04:00:00Z"),
                ("2026-11-23T04:00:00Z", false, "2026-11-23T06:00:00Z"),
                ("2026-11-27T09:59:59Z", true, "2026-11-27T10:00:00Z"), // Friday
                ("2026-11-27T10:00:00Z", false, "2026-11-30T01:00:00Z"), // over the weekend
                ("2026-09-30T10:00:00Z", false, "2026-10-02T01:00:00Z"), // a holiday on Thursday
                ("2026-10-01T02:00:00Z", false, "2026-10-02T01:00:00Z"),
            ],
        );
    }

    #[test]
    fn the_night_discount_of_2025_passes_midnight_every_day() {
        let mut hours = Hours::parse("16:30-00:30").unwrap();
        hours.valid_from = Some("2025-02-26T00:00:00Z".into());
        hours.valid_to = Some("2025-09-05T16:00:00Z".into());
        check(
            &hours.calendar().unwrap(),
            &[
                ("2025-03-01T16:29:59Z", false, "2025-03-01T16:30:00Z"),
                ("2025-03-01T16:30:00Z", true, "2025-03-02T00:30:00Z"),
                ("2025-03-02T00:29:00Z", true, "2025-03-02T00:30:00Z"),
                ("2025-09-05T00:10:00Z", true, "2025-09-05T00:30:00Z"),
            ],
        );
        let cancelled = hours.calendar().unwrap();
        assert_eq!(cancelled.next_change(at("2025-09-05T01:00:00Z")), None);
        assert!(!cancelled.is_open(at("2025-09-05T17:00:00Z")));
    }

    #[test]
    fn a_wrapped_range_belongs_to_the_day_it_starts() {
        check(
            &calendar("mon-fri 22:00-02:00"),
            &[
                ("2026-11-28T01:00:00Z", true, "2026-11-28T02:00:00Z"), // Saturday 01:00, of Friday
                ("2026-11-28T22:30:00Z", false, "2026-11-30T22:00:00Z"), // Saturday night is closed
                ("2026-11-30T01:00:00Z", false, "2026-11-30T22:00:00Z"), // Monday 01:00, of Sunday
            ],
        );
    }

    #[test]
    fn the_day_is_read_in_its_own_zone() {
        // 20:00 UTC on Sunday is Monday morning in Shanghai.
        let mut hours = Hours::parse("mon 20:00-22:00").unwrap();
        hours.days_tz = Some("Asia/Shanghai".into());
        check(
            &hours.calendar().unwrap(),
            &[
                ("2026-11-22T20:00:00Z", true, "2026-11-22T22:00:00Z"),
                ("2026-11-23T20:00:00Z", false, "2026-11-29T20:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_range_that_ends_where_it_starts_is_a_whole_day() {
        check(&calendar("mon 10:00-10:00"), &[("2026-11-24T09:00:00Z", true, "2026-11-24T10:00:00Z")]);
    }

    #[test]
    fn a_skipped_hour_is_not_open_and_a_range_into_it_starts_at_the_jump() {
        // Berlin skips 02:00–03:00 on 2026-03-29 (01:00 UTC); Los Angeles on 2026-03-08 (10:00 UTC).
        check(
            &calendar("02:15-02:45 Europe/Berlin"),
            &[("2026-03-28T02:00:00Z", false, "2026-03-30T00:15:00Z")],
        );
        check(
            &calendar("02:30-04:00 Europe/Berlin"),
            &[("2026-03-29T00:59:00Z", false, "2026-03-29T01:00:00Z")],
        );
        check(
            &calendar("01:00-03:30 America/Los_Angeles"),
            &[("2026-03-08T09:30:00Z", true, "2026-03-08T10:30:00Z")],
        );
    }

    #[test]
    fn a_repeated_hour_counts_its_first_time_at_both_ends() {
        // Berlin repeats 02:00–03:00 on 2026-10-25 (01:00 UTC); Los Angeles 01:00–02:00 on 2026-11-01.
        check(
            &calendar("22:00-02:30 Europe/Berlin"),
            &[("2026-10-24T20:00:00Z", true, "2026-10-25T00:30:00Z")],
        );
        check(
            &calendar("02:30-07:00 Europe/Berlin"),
            &[("2026-10-25T00:30:00Z", true, "2026-10-25T06:00:00Z")],
        );
        check(
            &calendar("01:30-03:00 America/Los_Angeles"),
            &[("2026-11-01T08:30:00Z", true, "2026-11-01T11:00:00Z")],
        );
    }

    #[test]
    fn a_week_that_is_covered_never_closes() {
        for text in ["00:00-24:00", "00:00-00:00", "daily 00:00-24:00 Asia/Tokyo"] {
            assert_eq!(calendar(text).next_change(at("2026-11-21T12:00:00Z")), None, "{text}");
        }
        let halves = Hours { hours: vec!["07:00-19:00".into(), "19:00-07:00".into()], ..Hours::default() };
        let halves = halves.calendar().unwrap();
        assert_eq!(halves.open_until(at("2026-11-21T12:00:00Z")), (true, Timestamp::MAX));
    }

    #[test]
    fn no_moment_is_too_far_off_to_ask_about() {
        for far in [Timestamp::MAX, Timestamp::from_micros(i64::MIN / 4), Timestamp::from_micros(0)] {
            peak().open_until(far);
            calendar("22:00-07:00 Europe/Berlin").is_open(far);
        }
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_next_change(
            now in 1_767_225_600i64..1_830_297_600, // 2026 and 2027
            probe in 0.0f64..1.0,
            days in 1u8..=ALL_DAYS,
            ranges in prop::collection::vec((0u16..DAY, 1u16..=DAY), 1..4),
            zones in (0usize..4, 0usize..4),
        ) {
            let tz = [Tz::UTC, Tz::Europe__Berlin, Tz::America__Los_Angeles, Tz::Asia__Shanghai];
            let rule = Rule {
                days,
                ranges: ranges.into_iter().map(|(start, end)| Range { start, end }).collect(),
                zone: tz[zones.0],
                days_zone: tz[zones.1],
                except: BTreeSet::new(),
                valid_from: Timestamp::from_micros(i64::MIN / 4),
                valid_to: Timestamp::MAX,
            };
            let calendar = Calendar::new(vec![rule]);
            let now = Timestamp::from_micros(now * 1_000_000);
            let (open, until) = calendar.open_until(now);
            prop_assert_eq!(calendar.is_open(now), open);
            if until < Timestamp::MAX {
                prop_assert!(until > now);
                let between = now + until.since(now).mul_f64(probe * 0.999_999);
                prop_assert_eq!(calendar.is_open(between), open, "at {}", between);
                prop_assert_eq!(calendar.is_open(until), !open, "until {}", until);
            }
        }
    }
}
