//! Hours of the week in a time zone: when a price applies, when we may send.
//!
//! A rule is a set of days and some ranges of the local clock, start inclusive and end exclusive.
//! A range that passes midnight belongs to the day it starts, so `mon-fri 22:00-02:00` holds Saturday
//! 01:00 and not Monday 01:00. The day is read in a zone of its own where the provider says so:
//! DeepSeek's peak hours are UTC, its weekdays are Beijing's.
//!
//! Every range is turned into two moments before anything is compared, and both ends are turned the
//! same way, so ranges that touch on the clock touch in time and a night in which the clocks change
//! has neither a hole nor an overlap. A clock reading that occurs twice means its first time; one that
//! is skipped means the moment the clocks jump.
//!
//! Pure. Written forms: [`crate::catalog::hours`].

use chrono::{Days as Span, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::days::Days;
use crate::clock::Timestamp;

/// Minutes in a day of the local clock.
pub(crate) const DAY: u16 = 24 * 60;
/// Days after which rules of several zones have shown every way their clocks stand to each other.
const CLOCK_CYCLE: u64 = 400;
/// Days a range may reach beyond its own: see [`Range::LONGEST`].
const LONGEST_REACH: u64 = 8;

/// Hours of the week in a zone; [`Calendar::always`] by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Open where any of these is; always where there is none.
    rules: Vec<Rule>,
}

/// Days with their hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Days on which a range may start.
    pub(crate) days: Days,
    /// Hours of the local clock.
    pub(crate) ranges: Vec<Range>,
    /// Zone of the hours.
    pub(crate) zone: Tz,
    /// Zone in which the date of a start is read.
    pub(crate) days_zone: Tz,
    /// Nothing is open before.
    pub(crate) valid_from: Timestamp,
    /// Nothing is open at or after.
    pub(crate) valid_to: Timestamp,
}

/// A stretch of the local clock: its first minute of the day, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) start: u16,
    pub(crate) minutes: u16,
}

impl Range {
    /// A week: what is open longer is written as days.
    pub(crate) const LONGEST: u16 = 7 * DAY;

    /// From one reading of the clock to the next reading of `end`.
    pub(crate) fn between(start: u16, end: u16) -> Range {
        Range { start, minutes: if end > start { end - start } else { end + DAY - start } }
    }

    fn end(self) -> u16 {
        self.start + self.minutes
    }
}

impl Calendar {
    /// Open at every moment.
    pub fn always() -> Calendar {
        Calendar::default()
    }

    /// Open where any rule is.
    pub(crate) fn new(rules: Vec<Rule>) -> Calendar {
        Calendar { rules: rules.into_iter().map(Rule::joined).collect() }
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
        let settled = self.settled_after(now);
        let mut until = now;
        // Every turn moves on by a range at least. What has not closed until everything repeats never does.
        loop {
            let (reached, opens) = self.join(until);
            if reached == until {
                return if until > now { (true, until) } else { (false, opens) };
            }
            if reached >= settled {
                return (true, Timestamp::MAX);
            }
            until = reached;
        }
    }

    /// Its first moment, and the first one after its last, by the dates it is valid; hours aside.
    pub(crate) fn validity(&self) -> (Timestamp, Timestamp) {
        let from = self.rules.iter().map(|rule| rule.valid_from).min();
        let to = self.rules.iter().map(|rule| rule.valid_to).max();
        (from.unwrap_or(Timestamp::from_micros(i64::MIN / 4)), to.unwrap_or(Timestamp::MAX))
    }

    /// Whether it is open at every moment of its validity.
    pub(crate) fn is_whole_time(&self) -> bool {
        self.is_always() || self.rules.iter().any(Rule::is_round_the_clock)
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

    /// When every exception is past and the pattern has shown all of itself once more.
    fn settled_after(&self, now: Timestamp) -> Timestamp {
        let last = self.rules.iter().filter_map(Rule::last_exception).fold(now, Timestamp::max);
        let of_rules = self.rules.iter().map(|rule| rule.days.cycle()).max().unwrap_or(0);
        let zones = self.rules.iter().flat_map(|rule| [rule.zone, rule.days_zone]);
        let one_zone =
            self.rules.first().is_none_or(|first| zones.into_iter().all(|zone| zone == first.zone));
        let cycle = if one_zone { of_rules } else { of_rules.max(CLOCK_CYCLE) };
        last + std::time::Duration::from_secs((cycle + 2 * LONGEST_REACH) * 86_400)
    }
}

impl Rule {
    /// With ranges that overlap or touch made one, so that there is less to look through.
    fn joined(mut self) -> Rule {
        self.ranges.sort();
        // A start's day may be another one in the days' zone: then ranges stay as they are.
        if self.zone != self.days_zone && !self.days.is_every_day() {
            return self;
        }
        let mut joined: Vec<Range> = Vec::new();
        for range in self.ranges.drain(..) {
            match joined.last_mut().filter(|last| last.end() >= range.start) {
                Some(last) => last.minutes = last.end().max(range.end()) - last.start,
                None => joined.push(range),
            }
        }
        self.ranges = joined;
        self
    }

    fn is_open(&self, now: Timestamp) -> bool {
        if now < self.valid_from || now >= self.valid_to {
            return false;
        }
        if self.is_round_the_clock() {
            return true;
        }
        let today = local_date(now, self.zone);
        // Where the clocks go back over midnight, tomorrow has begun before today is over.
        let days = self.reach() + 2;
        let Some(first) = today.checked_sub_days(Span::new(self.reach())) else { return false };
        let dates = first.iter_days().take(days as usize).filter(|&date| self.days.has_near(date));
        dates.flat_map(|date| self.spans(date)).any(|(start, end)| start <= now && now < end)
    }

    /// The first range that ends after `at`, as moments.
    fn next_span(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        if at >= self.valid_to {
            return None;
        }
        if self.is_round_the_clock() {
            return Some((self.valid_from, self.valid_to));
        }
        let today = local_date(at.max(self.valid_from), self.zone);
        let first = today.checked_sub_days(Span::new(self.reach()))?;
        let days = self.days.longest_gap() + self.reach();
        // An extra day may be further off than any gap of the pattern.
        let last = first.checked_add_days(Span::new(days)).max(self.days.last_exception());
        let last = self.days.end().into_iter().chain(last).min()?;
        let dates = first.iter_days().take_while(|&date| date <= last);
        dates.filter(|&date| self.days.has_near(date)).find_map(|date| {
            let ahead = self.spans(date).filter(|&(_, end)| end > at);
            ahead.min()
        })
    }

    /// The ranges whose clock starts on `date`, as moments inside the rule's validity.
    fn spans(&self, date: NaiveDate) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.ranges.iter().filter_map(move |range| {
            let start = moment(date, range.start, self.zone)?;
            if !self.days.has(local_date(start, self.days_zone)) {
                return None;
            }
            let end = moment(date, range.end(), self.zone)?;
            let span = (start.max(self.valid_from), end.min(self.valid_to));
            (span.0 < span.1).then_some(span)
        })
    }

    /// Days before today on which a range that still holds may have started.
    fn reach(&self) -> u64 {
        let most = self.ranges.iter().map(|range| range.end() / DAY).max();
        u64::from(most.unwrap_or(0).max(1))
    }

    fn is_round_the_clock(&self) -> bool {
        self.days.is_every_day() && self.ranges.iter().any(|range| range.minutes >= DAY)
    }

    /// The last moment at which it is not what it always is.
    fn last_exception(&self) -> Option<Timestamp> {
        let date = self.days.last_exception().and_then(|date| moment(date, DAY, self.days_zone));
        let ends = [Some(self.valid_from), Some(self.valid_to).filter(|&end| end < Timestamp::MAX), date];
        ends.into_iter().flatten().max()
    }
}

/// The date a calendar on the wall in `zone` shows.
pub(crate) fn local_date(at: Timestamp, zone: Tz) -> NaiveDate {
    zone.from_utc_datetime(&at.utc().naive_utc()).date_naive()
}

/// The moment at which the clocks of `zone` show this minute, counted from the midnight `date` begins with.
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
mod tests;
