//! Numbers, durations and other people's words, as a terminal may show them.
//!
//! Everything a user or a provider supplied passes [`line()`] or [`block()`] before it is printed: an
//! answer must not move the cursor, hide text or reverse its order.
//!
//! Pure.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::escape;

/// On one line, with nothing a terminal would act on.
pub fn line(text: &str) -> String {
    escape::plain(text).into_owned()
}

/// As [`line()`], but line breaks stay, each line behind `indent`.
pub fn block(text: &str, indent: &str) -> String {
    escape::block(text).lines().map(|text| format!("{indent}{}\n", text.replace('\t', "    "))).collect()
}

/// With separators: `20,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `45s`, `52m`, `7h08m`, `2d03h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}

/// `85ms`, `1.9s`, `52m`.
pub fn latency(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..100_000 => format!("{:.1}s", ms as f64 / 1e3),
        _ => span(Duration::from_millis(ms)),
    }
}

/// `812 bytes`, `18.2 MB`.
pub fn size(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// `950`, `12.4k`, `31.8M`.
pub fn rounded(number: u64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    // What would round to a thousand of a unit is one of the next.
    let fits = |(unit, _): &(f64, &str)| number as f64 >= unit * 0.999_95;
    match units.into_iter().find(fits) {
        Some((unit, name)) => format!("{:.1}{name}", number as f64 / unit),
        None => number.to_string(),
    }
}

/// Money with separators: `$12,345.60`.
pub fn money(amount: crate::money::Usd) -> String {
    let shown = amount.to_string();
    match shown.split_once('$').zip(shown.split_once('.')) {
        Some(((sign, _), (whole, fraction))) => {
            let digits = whole.trim_start_matches(sign).trim_start_matches('$');
            format!("{sign}${}.{fraction}", count(digits.parse().unwrap_or(0)))
        }
        None => shown,
    }
}

/// Share of a whole, never rounded up to all of it: `99.9%`.
pub fn percent(part: u64, whole: u64) -> String {
    if part == whole && whole > 0 {
        return "100%".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole.max(1));
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// `schema_mismatch 14 · content_filter 5`, most frequent first.
pub fn reasons<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let mut counts: Vec<(&String, &u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let words: Vec<String> = counts.iter().map(|(reason, n)| format!("{reason} {}", count(**n))).collect();
    words.join(" · ")
}

/// A table without lines; columns from `numbers` on are aligned to the right.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, numbers: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    for row in rows {
        table.add_row(row);
    }
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
        if index >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_act_on() {
        for (text, shown) in [
            ("plain — ünïcode 日本", "plain — ünïcode 日本"),
            ("\u{1b}[31mred", "\\x1b[31mred"),
            ("a\u{9b}b\u{7f}", "a\\x9bb\\x7f"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("two\nlines\r\0", "two\\nlines\\r\\x00"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(block("a\tb\n\u{1b}c", "  "), "  a    b\n  \\x1bc\n");
    }

    #[test]
    fn numbers_are_short_and_never_flatter() {
        assert_eq!(
            [0, 999, 1_000, 20_000, 1_234_567].map(count),
            ["0", "999", "1,000", "20,000", "1,234,567"]
        );
        assert_eq!(
            [(19_999, 20_000), (20_000, 20_000), (0, 0)].map(|(a, b)| percent(a, b)),
            ["99.9%", "100%", "0.0%"]
        );
        let spans = [45, 3_120, 25_680, 183_600].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["45s", "52m", "7h08m", "2d03h"]);
        assert_eq!([812, 1_500, 18_200_000].map(size), ["812 bytes", "1.5 kB", "18.2 MB"]);
        assert_eq!([950, 12_400, 999_990, 31_800_000].map(rounded), ["950", "12.4k", "1.0M", "31.8M"]);
        let amounts = ["12345.6", "0.00019", "0", "-1234.5"].map(|text| money(text.parse().unwrap()));
        assert_eq!(amounts, ["$12,345.60", "$0.00019", "$0.00", "-$1,234.50"]);
        assert_eq!([85, 1_940, 250_000].map(latency), ["85ms", "1.9s", "4m"]);
    }
}
