//! The catalog for people and scripts: `models`, `providers`, `windows`, `prices show`.
//!
//! Each gives rows that serialise as they are (with `"schema"` in front) and a text made from the same
//! rows. Times are shown in the zone that is passed in.
//!
//! Pure.

use std::fmt::Display;
use std::time::Duration;

use chrono::TimeZone;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::PriceTable;
use super::pricing::per_million;
use crate::clock::Timestamp;
use crate::money::Price;

mod choose;
mod models;
mod prices;
mod providers;
mod windows;

pub use choose::is_meant;
pub use models::{ModelRow, ModelsShown, models};
pub use prices::{LanePrice, PriceListShown, PricesShown, prices};
pub use providers::{Found, ProviderRow, ProvidersShown, left, providers};
pub use windows::{SHOWN, Span, State, WindowRow, WindowsShown, windows};

/// Times for scripts: RFC 3339 in UTC.
mod rfc3339 {
    use serde::Serializer;

    use crate::clock::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn option<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }
}

/// A price for scripts, in USD per million tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownPrice {
    /// Fresh input tokens.
    pub input_usd_per_mtok: f64,
    /// Input tokens read from a cache.
    pub cache_read_usd_per_mtok: Option<f64>,
    /// Input tokens written to a cache.
    pub cache_write_usd_per_mtok: Option<f64>,
    /// Input tokens written to a cache that keeps them for an hour, where that has a price of its own.
    pub cache_write_1h_usd_per_mtok: Option<f64>,
    /// Output tokens.
    pub output_usd_per_mtok: f64,
    /// Hidden reasoning, where it has a price of its own.
    pub reasoning_usd_per_mtok: Option<f64>,
    /// Flat amount a request.
    pub request_usd: f64,
}

impl From<&Price> for ShownPrice {
    fn from(price: &Price) -> ShownPrice {
        // Six decimals at most: the nearest float prints as the number that was written.
        let shown = |price: u64| price as f64 / 1e6;
        ShownPrice {
            input_usd_per_mtok: shown(price.input),
            cache_read_usd_per_mtok: price.cache_read.map(shown),
            cache_write_usd_per_mtok: price.cache_write.map(shown),
            cache_write_1h_usd_per_mtok: price.cache_write_1h.map(shown),
            output_usd_per_mtok: shown(price.output),
            reasoning_usd_per_mtok: price.reasoning.map(shown),
            request_usd: price.request.as_f64(),
        }
    }
}

/// `$0.15 / $0.60`; `free` where nothing costs anything.
pub fn in_and_out(price: &Price) -> String {
    if price.is_free() {
        return "free".to_owned();
    }
    format!("{} / {}", per_million(price.input), per_million(price.output))
}

/// The price at `now`, its window and until when it holds.
fn price_now(table: &PriceTable, now: Timestamp) -> (&str, &Price, Option<Timestamp>) {
    let (window, price) = table.at(now);
    (window, price, next_price_change(table, now))
}

/// The next moment at which another window holds; windows may open and close without a change.
fn next_price_change(table: &PriceTable, now: Timestamp) -> Option<Timestamp> {
    let (window, _) = table.at(now);
    let mut at = now;
    for _ in 0..MAX_CHANGES {
        at = table.next_change(at)?;
        if table.at(at).0 != window {
            return Some(at);
        }
    }
    None
}

/// Windows that open under another one and never show; then we do not know, and say nothing.
const MAX_CHANGES: usize = 100;

/// `01:00 UTC`, with the day in front where it is not within the next 24 hours.
pub fn clock<Z: TimeZone>(at: Timestamp, now: Timestamp, zone: &Z) -> String
where
    Z::Offset: Display,
{
    let local = at.utc().with_timezone(zone);
    let far = at.since(now) >= Duration::from_secs(7 * 86_400);
    let near = at.since(now) < Duration::from_secs(86_400);
    let format = match (near, far) {
        (true, _) => "%H:%M %Z",
        (_, true) => "%Y-%m-%d %H:%M %Z",
        _ => "%a %H:%M %Z",
    };
    local.format(format).to_string()
}

/// `1h48m`, `3d4h`, `12m`: two units are enough to plan by.
pub fn in_words(length: Duration) -> String {
    let minutes = length.as_secs().div_ceil(60);
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// `400k`, `1.05M`.
fn tokens(count: Option<u64>) -> String {
    match count {
        None => "-".to_owned(),
        Some(count) if count < 1_000 => count.to_string(),
        Some(count) if count < 999_500 => format!("{}k", (count + 500) / 1_000),
        Some(count) => {
            let millions = format!("{:.2}", count as f64 / 1e6);
            format!("{}M", millions.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// Columns two spaces apart, without lines; `right` names the columns of numbers.
pub(crate) fn columns(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.iter().copied());
    table.add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_are_short() {
        for (seconds, words) in [(0, "0m"), (61, "2m"), (6_480, "1h48m"), (7_200, "2h"), (93_600, "1d2h")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
        for (count, words) in
            [(None, "-"), (Some(8_191), "8k"), (Some(1_050_000), "1.05M"), (Some(1_000_000), "1M")]
        {
            assert_eq!(tokens(count), words);
        }
    }

    #[test]
    fn a_far_moment_has_its_day() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (at, words) in [
            ("2026-11-22T01:00:00Z", "02:00 CET"),
            ("2026-11-23T01:00:00Z", "Mon 02:00 CET"),
            ("2027-06-01T01:00:00Z", "2027-06-01 03:00 CEST"),
        ] {
            assert_eq!(clock(at.parse().unwrap(), now, &chrono_tz::Europe::Berlin), words);
        }
        assert_eq!(clock(now, now, &chrono::Utc), "12:00 UTC");
    }
}
