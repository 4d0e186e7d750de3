//! Numbers, money, spans and times as people read them: `13,073`, `$2.73`, `1h48m`, `18:00 +01:00`.
//!
//! Pure: the zone and `now` are arguments, so that a rendering can be tested.

use std::time::Duration;

use chrono::{DateTime, Datelike, FixedOffset, Local, Offset};

use crate::clock::Timestamp;
use crate::money::Usd;

/// The zone in which times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The machine's, with the offset it had at the time shown.
    Local,
    /// Always this offset.
    Fixed(FixedOffset),
}

impl Zone {
    /// Greenwich.
    pub fn utc() -> Zone {
        Zone::Fixed(chrono::Utc.fix())
    }

    /// A moment on this zone's calendar.
    pub fn at(self, time: Timestamp) -> DateTime<FixedOffset> {
        match self {
            Zone::Local => time.utc().with_timezone(&Local).fixed_offset(),
            Zone::Fixed(offset) => time.utc().with_timezone(&offset),
        }
    }
}

/// `13,073`.
pub fn count(n: impl Into<u64>) -> String {
    let digits = n.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 item`, `20,000 items`.
pub fn counted(n: impl Into<u64>, word: &str) -> String {
    let n = n.into();
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {word}{plural}", count(n))
}

/// `950`, `12.4k`, `12.0M`: for token counts, where the last digits say nothing.
pub fn rounded(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..999_950 => format!("{:.1}k", n as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{:.1}B", n as f64 / 1e9),
    }
}

/// Bytes as `18.2 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..999_950 => format!("{:.1} kB", n as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// A share in whole percent; 100% only where nothing is missing, 0% only where nothing is there.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "100%".to_owned();
    }
    let rounded = (part as f64 * 100.0 / whole as f64).round() as u64;
    let honest = match (part, rounded) {
        (0, _) => 0,
        (part, 100) if part < whole => 99,
        (_, 0) => 1,
        (_, rounded) => rounded,
    };
    format!("{honest}%")
}

/// Money from a float of a view: cents, or two digits of a smaller amount.
///
/// `$1234.50` has no thousands mark, so that it can be given back as a flag.
pub fn usd(amount: f64) -> String {
    Usd::from_pico((amount * 1e12).round() as i128).to_string()
}

/// A total: whole cents, but never `$0.00` for something that cost money.
pub fn total(amount: f64) -> String {
    if amount > 0.0 && amount < 0.005 { usd(amount) } else { format!("${amount:.2}") }
}

/// A span in its two largest units: `45s`, `9m05s`, `1h48m`, `2d03h`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 if seconds.is_multiple_of(60) => format!("{minutes}m"),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..86_400 if minutes.is_multiple_of(60) => format!("{hours}h"),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ if hours.is_multiple_of(24) => format!("{days}d"),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A span rounded up or down to whole minutes, for distances of hours where seconds only flicker.
pub fn rough(distance: Duration) -> String {
    if distance < Duration::from_secs(600) {
        return span(distance);
    }
    span(Duration::from_secs(distance.as_secs() / 60 * 60))
}

/// Latency: `950ms`, `2.1s`, `1m05s`.
pub fn latency(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{:.1}s", ms as f64 / 1e3),
        _ => span(Duration::from_millis(ms)),
    }
}

/// A moment near `now`, with its offset: `18:00 UTC`, `06:00 +01:00`, `Sun 06:00 UTC`, `2026-12-24 06:00 UTC`.
pub fn moment(time: Timestamp, now: Timestamp, zone: Zone) -> String {
    format!("{} {}", clock_time(time, now, zone), offset(time, zone))
}

/// [`moment`] without its offset, for lines that name it elsewhere.
pub fn clock_time(time: Timestamp, now: Timestamp, zone: Zone) -> String {
    let (there, here) = (zone.at(time), zone.at(now));
    let days = there.date_naive().signed_duration_since(here.date_naive()).num_days();
    let pattern = match days {
        0 => "%H:%M",
        -6..=6 => "%a %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    if there.year() > 9_999 { "never".to_owned() } else { there.format(pattern).to_string() }
}

/// With seconds, for lists of events: `10:02:11 UTC`.
pub fn second(time: Timestamp, zone: Zone) -> String {
    format!("{} {}", zone.at(time).format("%H:%M:%S"), offset(time, zone))
}

/// `UTC` or `+01:00`.
fn offset(time: Timestamp, zone: Zone) -> String {
    let offset = *zone.at(time).offset();
    if offset.local_minus_utc() == 0 { "UTC".to_owned() } else { offset.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn counts_have_thousands_marks() {
        for (n, shown) in
            [(0u64, "0"), (999, "999"), (1_000, "1,000"), (13_073, "13,073"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(n), shown);
        }
        assert_eq!(counted(1u32, "item"), "1 item");
        assert_eq!(counted(0u32, "item"), "0 items");
    }

    #[test]
    fn spans_show_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (545, "9m05s"),
            (6_480, "1h48m"),
            (7_200, "2h"),
            (86_400, "1d"),
            (183_600, "2d03h"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(rough(Duration::from_secs(659)), "10m");
        assert_eq!(rough(Duration::from_secs(65)), "1m05s");
    }

    #[test]
    fn nothing_is_rounded_to_all_or_to_none() {
        assert_eq!(percent(19_999, 20_000), "99%");
        assert_eq!(percent(1, 20_000), "1%");
        assert_eq!(percent(0, 20_000), "0%");
        assert_eq!(percent(13_073, 20_000), "65%");
        assert_eq!(percent(0, 0), "100%");
    }

    #[test]
    fn money_shows_cents_or_two_digits() {
        assert_eq!(usd(0.000_19), "$0.00019");
        assert_eq!(total(2.7349), "$2.73");
        assert_eq!(total(0.000_871), "$0.00087");
        assert_eq!(total(0.0), "$0.00");
    }

    #[test]
    fn big_numbers_never_show_a_thousand_of_a_smaller_unit() {
        for (n, shown) in [(950, "950"), (12_400, "12.4k"), (999_990, "1.0M"), (12_000_000, "12.0M")] {
            assert_eq!(rounded(n), shown);
        }
        assert_eq!(bytes(18_234_567), "18.2 MB");
    }

    #[test]
    fn times_say_their_day_when_it_is_not_today_and_always_their_offset() {
        let now = at("2026-11-21T20:00:00Z");
        let berlin = Zone::Fixed(FixedOffset::east_opt(3_600).unwrap());
        let cases = [
            ("2026-11-21T22:30:00Z", Zone::utc(), "22:30 UTC"),
            ("2026-11-21T22:30:00Z", berlin, "23:30 +01:00"),
            ("2026-11-21T23:30:00Z", berlin, "Sun 00:30 +01:00"),
            ("2026-11-15T08:00:00Z", Zone::utc(), "Sun 08:00 UTC"),
            ("2026-12-24T06:00:00Z", Zone::utc(), "2026-12-24 06:00 UTC"),
        ];
        for (time, zone, shown) in cases {
            assert_eq!(moment(at(time), now, zone), shown);
        }
        assert_eq!(second(at("2026-11-21T10:02:11Z"), Zone::utc()), "10:02:11 UTC");
        assert_eq!(clock_time(Timestamp::MAX, now, Zone::utc()), "never");
    }

    #[test]
    fn latencies_fit_their_size() {
        for (ms, shown) in [(212, "212ms"), (2_149, "2.1s"), (65_000, "1m05s")] {
            assert_eq!(latency(ms), shown);
        }
    }
}
