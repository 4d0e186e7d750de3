//! Spend over time, each bar in the colours of the price windows it was spent in.
//!
//! An hour a bar, or a day a bar once there are more hours than fit; empty ones are shown as such,
//! because waiting for a cheap hour is what they mean. All times are UTC, as price windows mostly are.
//!
//! Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Timelike};

use super::pen::{Anchor, Ink, Look, Pen};
use super::scale::{dollars, ticks};
use super::{Chart, letters, window_class};
use crate::money::Usd;
use crate::report::attribution::HourRow;
use crate::report::text::count;

/// More hours than this are shown as days.
const MOST_HOURS: i64 = 72;
/// Fewer bars than this would look like walls.
const LEAST_BARS: i64 = 24;
/// Older than this many bars is left out.
const MOST_BARS: i64 = 120;

/// Room for the name of an hour or a day.
const NAME: f32 = 44.0;

const HEIGHT: f32 = 250.0;
const LEFT: f32 = 58.0;
const RIGHT: f32 = 8.0;
const TOP: f32 = 34.0;
const BOTTOM: f32 = 42.0;

/// What one window cost in one bar: nano-dollars and calls.
type Parts<'a> = BTreeMap<&'a str, (i64, u64)>;

/// Spend by hour or day.
pub fn spend(rows: &[HourRow], width: f32, ink: Ink) -> Option<Chart> {
    let hours: Vec<(i64, &HourRow)> =
        rows.iter().filter_map(|row| Some((hour_number(&row.hour)?, row))).collect();
    let (first, last) = (hours.first()?.0, hours.last()?.0);
    let unit = if last - first >= MOST_HOURS { 24 } else { 1 };
    let mut slots: BTreeMap<i64, Parts<'_>> = BTreeMap::new();
    for (hour, row) in hours {
        let part = slots.entry(hour.div_euclid(unit)).or_default().entry(&row.window).or_default();
        part.0 += row.cost_nano_usd;
        part.1 += row.attempts;
    }
    let (mut from, mut to) = (first.div_euclid(unit), last.div_euclid(unit));
    from = from.max(to - MOST_BARS + 1);
    let idle = (LEAST_BARS - (to - from + 1)).max(0);
    (from, to) = (from - idle / 2, to + idle - idle / 2);
    let drawing = Drawing { slots, from, to, unit, width, windows: windows(rows) };
    Some(drawing.chart(ink))
}

struct Drawing<'a> {
    slots: BTreeMap<i64, Parts<'a>>,
    from: i64,
    to: i64,
    unit: i64,
    width: f32,
    windows: Vec<(&'a str, &'static str)>,
}

impl Drawing<'_> {
    fn chart(&self, ink: Ink) -> Chart {
        let mut pen = Pen::new(ink);
        let total = |parts: &Parts<'_>| parts.values().map(|(nano, _)| *nano).sum::<i64>();
        let most = self.slots.range(self.from..).map(|(_, parts)| total(parts)).max().unwrap_or(0);
        let marks = ticks(most as f64 / 1e9, 4);
        let top = marks.last().copied().unwrap_or(1.0);
        for mark in &marks {
            let y = y_of(mark / top);
            pen.line(if *mark == 0.0 { "a" } else { "g" }, (LEFT, y), (self.width - RIGHT, y));
            pen.text(Look::MUTED, (LEFT - 8.0, y + 4.0), Anchor::End, &dollars(*mark, marks[1]));
        }
        self.legend(&mut pen);
        for (slot, parts) in self.slots.range(self.from..) {
            self.bar(&mut pen, *slot, parts, top);
        }
        self.days(&mut pen);
        let (word, n) = (if self.unit == 1 { "hour" } else { "day" }, self.slots.len());
        let busiest = self.slots.iter().max_by_key(|(_, parts)| total(parts));
        let says = busiest.map_or_else(String::new, |(slot, parts)| {
            let (at, most) = (self.name(*slot), Usd::from_pico(i128::from(total(parts)) * 1_000));
            format!("{n} {word}s with calls, the dearest {at} UTC with {most}")
        });
        let title = format!("Spend by {word} and price window");
        Chart { title, says, width: self.width, height: HEIGHT, drawn: pen.done() }
    }

    fn bar(&self, pen: &mut Pen, slot: i64, parts: &Parts<'_>, top: f64) {
        let step = self.step();
        let thick = (step * 0.76).min(46.0);
        let x = self.x_of(slot) + (step - thick) / 2.0;
        let mut below = 0.0;
        for &(window, class) in &self.windows {
            let Some(&(nano, calls)) = parts.get(window) else { continue };
            let above = below + nano as f64 / 1e9;
            let (y, foot) = (y_of(above / top), y_of(below / top));
            // A call that cost next to nothing is still there.
            let height = (foot - y).max(if calls > 0 { 1.5 } else { 0.0 });
            let cost = Usd::from_pico(i128::from(nano) * 1_000);
            let tip = format!("{} UTC, {window}: {cost}, {} calls", self.name(slot), count(calls));
            pen.rect(class, [x, foot - height, thick, height], 2.0, &tip);
            below = above;
        }
    }

    fn legend(&self, pen: &mut Pen) {
        let mut x = LEFT;
        for (window, class) in &self.windows {
            let name = letters::fit(&crate::escape::plain(window), 12.5, letters::Weight::Regular, 150.0);
            pen.rect(class, [x, 7.0, 11.0, 11.0], 2.5, "");
            pen.text(Look::LABEL, (x + 17.0, 17.0), Anchor::Start, &name);
            x += 17.0 + letters::width(&name, 12.5, letters::Weight::Regular) + 22.0;
        }
    }

    /// Marks below the bars: some hours, and the day where one begins.
    fn days(&self, pen: &mut Pen) {
        let n = self.to - self.from + 1;
        let most = ((self.width - LEFT - RIGHT) / NAME).clamp(1.0, 14.0) as i64;
        let every = [1, 2, 3, 6, 12, 24].into_iter().find(|every| n / every <= most).unwrap_or(24);
        let foot = HEIGHT - BOTTOM;
        let mut day_shown = false;
        for slot in self.from..=self.to {
            let Some(at) = moment(slot * self.unit) else { continue };
            let x = self.x_of(slot);
            let is_marked = if self.unit == 1 {
                i64::from(at.hour()) % every == 0
            } else {
                (slot - self.from) % every == 0
            };
            if is_marked {
                let name = if self.unit == 1 { at.format("%H:%M") } else { at.format("%b %-d") };
                pen.line("a", (x, foot), (x, foot + 4.0));
                pen.text(Look::MUTED, (x, foot + 17.0), Anchor::Middle, &name.to_string());
            }
            if self.unit == 1 && is_marked && (at.hour() == 0 || !day_shown) {
                day_shown = true;
                pen.text(Look::MUTED, (x, foot + 33.0), Anchor::Middle, &at.format("%a %b %-d").to_string());
            }
        }
        pen.text(Look::MUTED, (self.width - RIGHT, 17.0), Anchor::End, "UTC");
    }

    fn name(&self, slot: i64) -> String {
        let form = if self.unit == 1 { "%a %H:00" } else { "%a %b %-d" };
        moment(slot * self.unit).map_or_else(String::new, |at| at.format(form).to_string())
    }

    fn step(&self) -> f32 {
        (self.width - LEFT - RIGHT) / (self.to - self.from + 1) as f32
    }

    fn x_of(&self, slot: i64) -> f32 {
        LEFT + (slot - self.from) as f32 * self.step()
    }
}

fn y_of(share: f64) -> f32 {
    let foot = HEIGHT - BOTTOM;
    foot - (foot - TOP) * share.clamp(0.0, 1.0) as f32
}

/// The windows that were seen, cheap ones at the bottom, each with its colour.
fn windows(rows: &[HourRow]) -> Vec<(&str, &'static str)> {
    let mut names: Vec<&str> = rows.iter().map(|row| row.window.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut turn = 0;
    let mut windows: Vec<(&str, &'static str)> = Vec::new();
    for name in names {
        let class = window_class(name, turn);
        turn += usize::from(!matches!(class, "s1" | "s2" | "s3"));
        windows.push((name, class));
    }
    windows.sort_by_key(|(name, class)| {
        (["s3", "s1"].iter().position(|cheap| cheap == class).unwrap_or(2), *name)
    });
    windows
}

/// Hours since 1970.
fn hour_number(hour: &str) -> Option<i64> {
    let at = NaiveDateTime::parse_from_str(hour, "%Y-%m-%d %H:%M").ok()?;
    Some(at.and_utc().timestamp().div_euclid(3_600))
}

fn moment(hour: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(hour.checked_mul(3_600)?, 0)?.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: &str, window: &str, cost_nano_usd: i64) -> HourRow {
        HourRow { hour: hour.into(), window: window.into(), attempts: 3, cost_nano_usd }
    }

    #[test]
    fn a_night_has_a_bar_an_hour_and_window_and_idle_hours_between() {
        let rows = [
            row("2026-11-20 22:00", "peak", 2_000_000_000),
            row("2026-11-20 22:00", "off-peak", 1_000_000_000),
            row("2026-11-21 01:00", "off-peak", 500_000_000),
        ];
        let chart = spend(&rows, 600.0, Ink::Text).unwrap();
        assert_eq!(chart.svg().matches("<title>").count(), 3);
        assert_eq!(chart.says, "2 hours with calls, the dearest Fri 22:00 UTC with $3.00");
        assert!(chart.svg().contains("Sat Nov 21") && chart.svg().contains("off-peak: $0.50, 3 calls"));
    }

    #[test]
    fn a_week_has_a_bar_a_day_and_nothing_has_none() {
        let rows = [
            row("2026-11-14 22:00", "flat", 1),
            row("2026-11-21 01:00", "flat", 2),
            row("2026-11-21 02:00", "flat", 2),
        ];
        let chart = spend(&rows, 600.0, Ink::Text).unwrap();
        assert_eq!(
            (chart.title.as_str(), chart.svg().matches("<title>").count()),
            ("Spend by day and price window", 2)
        );
        assert_eq!(spend(&[], 600.0, Ink::Text), None);
        assert_eq!(spend(&[row("whenever", "flat", 1)], 600.0, Ink::Text), None);
        let years = [row("1999-01-01 00:00", "flat", 1), row("2026-11-21 02:00", "flat", 2)];
        assert!(
            spend(&years, 600.0, Ink::Text).unwrap().svg().len() < 20_000,
            "no bar for every day of them"
        );
    }
}
