//! `overnight windows`: the next 24 hours of every price that varies, and what opens next.

use std::fmt::Display;
use std::time::Duration;

use chrono::{TimeZone, Timelike};
use serde::Serialize;

use super::{clock, in_and_out, in_words, price_now};
use crate::catalog::model::Model;
use crate::catalog::{Catalog, PriceTable};
use crate::clock::Timestamp;

/// A cell of the strip.
const CELL: Duration = Duration::from_secs(30 * 60);
/// Cells of the strip: 24 hours.
const CELLS: u32 = 48;

/// All prices that vary, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowsShown {
    /// `overnight.windows/1`.
    pub schema: &'static str,
    /// By provider and model.
    pub windows: Vec<WindowRow>,
}

/// Models of one provider whose prices vary alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowRow {
    /// The provider.
    pub provider: String,
    /// Its models that share these hours.
    pub models: Vec<String>,
    /// The present window.
    pub window: String,
    /// Whether it is the cheapest there is.
    pub cheapest: bool,
    /// `$0.15 / $0.60` of the first model, now.
    pub price: String,
    /// Until when it holds.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub until: Option<Timestamp>,
    /// The window that opens then.
    pub next: Option<String>,
    /// `$0.30 / $1.20` of the first model, then.
    pub next_price: Option<String>,
    /// Why it cannot be used.
    pub unusable: Option<String>,
    /// The next 24 hours.
    pub spans: Vec<Span>,
}

/// A stretch of one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// First moment.
    #[serde(serialize_with = "super::rfc3339::serialize")]
    pub from: Timestamp,
    /// First moment after it.
    #[serde(serialize_with = "super::rfc3339::serialize")]
    pub to: Timestamp,
    /// The window's name.
    pub window: String,
    /// Whether it is the cheapest there is.
    pub cheapest: bool,
}

/// Every price that varies within what we can see.
pub fn windows(catalog: &Catalog, now: Timestamp) -> WindowsShown {
    let mut rows: Vec<(WindowRow, &PriceTable)> = Vec::new();
    for model in catalog.models().filter(|model| !model.is_retired(now)) {
        let Some(table) = model.prices.as_ref().filter(|table| table.next_change(now).is_some()) else {
            continue;
        };
        let alike = |(row, other): &&mut (WindowRow, &PriceTable)| {
            *row.provider == *model.provider && same_hours(table, other)
        };
        match rows.iter_mut().find(alike) {
            Some((row, _)) => row.models.push(model.full_name()),
            None => rows.push((row(catalog, model, table, now), table)),
        }
    }
    WindowsShown { schema: "overnight.windows/1", windows: rows.into_iter().map(|(row, _)| row).collect() }
}

fn same_hours(table: &PriceTable, other: &PriceTable) -> bool {
    let hours = |table: &PriceTable| {
        let named = table.windows.iter().map(|window| (window.name.clone(), window.hours.clone()));
        (table.base_window.clone(), named.collect::<Vec<_>>())
    };
    hours(table) == hours(other)
}

fn row(catalog: &Catalog, model: &Model, table: &PriceTable, now: Timestamp) -> WindowRow {
    let (window, price, until) = price_now(table, now);
    let next = until.map(|at| table.at(at));
    WindowRow {
        provider: model.provider.to_string(),
        models: vec![model.full_name()],
        window: window.to_owned(),
        cheapest: price == table.cheapest(),
        price: in_and_out(price),
        until,
        next: next.map(|(name, _)| name.to_string()),
        next_price: next.map(|(_, price)| in_and_out(price)),
        unusable: catalog.route(&model.full_name(), now).and_then(|route| route.unusable.clone()),
        spans: spans(table, now),
    }
}

fn spans(table: &PriceTable, now: Timestamp) -> Vec<Span> {
    let end = now + CELL * CELLS;
    let mut spans: Vec<Span> = Vec::new();
    let mut from = now;
    while from < end {
        let (window, price, until) = price_now(table, from);
        let to = until.unwrap_or(end).min(end);
        spans.push(Span { from, to, window: window.to_owned(), cheapest: price == table.cheapest() });
        from = to;
    }
    spans
}

impl WindowsShown {
    /// A strip a row, and in words what it says; times in `zone`.
    pub fn text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        if self.windows.is_empty() {
            return "no price varies over the day; state your own windows under [models] in overnight.toml\n"
                .to_owned();
        }
        let width = self.windows.iter().map(|row| row.label().chars().count()).max().unwrap_or(0);
        let mut text = format!("{:width$}  {}\n", "", hours(now, zone));
        for row in &self.windows {
            let strip: String = (0..CELLS).map(|cell| row.mark(now + CELL * cell)).collect();
            text.push_str(&format!("{:width$}  {strip}\n", row.label()));
            text.push_str(&format!("{:width$}  {}\n", "", row.in_words(now, zone)));
        }
        text.push_str("█ cheapest  ░ dearer\n");
        text
    }
}

/// The hour over every third hour of the strip: `12    15    18`.
fn hours<Z: TimeZone>(now: Timestamp, zone: &Z) -> String
where
    Z::Offset: Display,
{
    let hour = |cell: u32| (now + CELL * cell).utc().with_timezone(zone).hour();
    let cells = (0..CELLS).step_by(6).map(|cell| format!("{:<6}", format!("{:02}h", hour(cell))));
    cells.collect::<String>().trim_end().to_owned()
}

impl WindowRow {
    fn label(&self) -> &str {
        match self.models.as_slice() {
            [one] => one,
            _ => &self.provider,
        }
    }

    fn mark(&self, at: Timestamp) -> char {
        let span = self.spans.iter().find(|span| span.from <= at && at < span.to);
        if span.is_some_and(|span| span.cheapest) { '█' } else { '░' }
    }

    /// `off-peak $0.15 / $0.60 until Mon 01:00 UTC, then peak $0.30 / $1.20 (in 13h)`.
    fn in_words<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let mut words = format!("{} {}", self.window, self.price);
        if let (Some(until), Some(next), Some(price)) = (self.until, &self.next, &self.next_price) {
            let when = clock(until, now, zone);
            let wait = in_words(until.since(now));
            words.push_str(&format!(" until {when}, then {next} {price} (in {wait})"));
        }
        if self.models.len() > 1 {
            words.push_str(&format!("   {}", self.models.join(", ")));
        }
        if let Some(why) = &self.unusable {
            words.push_str(&format!("   {why}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    #[test]
    fn a_day_is_a_strip_of_half_hours() {
        // Sunday 18:00 UTC, which is 19:00 in Berlin: cheap until Monday 02:00 there.
        let now = "2026-11-22T18:00:00Z".parse().unwrap();
        let shown = windows(&with_keys(&["deepseek"]), now);
        let text = shown.text(now, &chrono_tz::Europe::Berlin);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].trim(), "19h   22h   01h   04h   07h   10h   13h   16h");
        assert_eq!(
            lines[1],
            format!(
                "deepseek  {}{}{}{}{}",
                "█".repeat(14),
                "░".repeat(6),
                "█".repeat(4),
                "░".repeat(8),
                "█".repeat(16)
            )
        );
        assert_eq!(
            lines[2].trim(),
            "off-peak $0.15 / $0.60 until 02:00 CET, then peak $0.30 / $1.20 (in 7h)   \
             deepseek/deepseek-flash, deepseek/deepseek-v4-pro"
        );
        assert_eq!(shown.windows[0].spans.len(), 5);
    }

    #[test]
    fn a_price_that_is_about_to_end_is_a_window_too() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let shown = windows(&with_keys(&["openai"]), now);
        let sol = shown.windows.iter().find(|row| row.provider == "openai").unwrap();
        assert_eq!((sol.window.as_str(), sol.next.as_deref(), sol.cheapest), ("promo", Some("list"), true));
    }
}
