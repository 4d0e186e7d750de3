//! Lengths of time as people write them: `8h`, `90m`, `1h30m`, `2d`.
//!
//! Pure.

use std::time::Duration;

/// Not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a length of time; write it like \"90s\", \"30m\", \"8h\" or \"1h30m\"")]
pub struct ParseDurationError(String);

/// Units in the order they may follow each other, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longer than this is a slip of the pen: ten years.
const LONGEST_MS: u64 = 10 * 366 * 86_400_000;

/// Reads whole numbers with units, largest unit first.
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    total_ms(text.trim()).map(Duration::from_millis).ok_or_else(|| ParseDurationError(text.to_owned()))
}

fn total_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_at(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_at(after, |c| !c.is_ascii_alphabetic());
        // `find` goes on where it stopped, so units only get smaller and none comes twice.
        let (_, ms) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*ms)?)?;
        rest = after;
    }
    (!text.is_empty() && total <= LONGEST_MS).then_some(total)
}

fn split_at(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// As it is written: `1h30m`; `0s` for nothing.
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, ms) in UNITS.iter().filter(|(unit, _)| *unit != "w") {
        if rest >= *ms {
            text.push_str(&format!("{}{unit}", rest / ms));
            rest %= ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_numbers_with_units() {
        for (text, seconds) in
            [("90s", 90), ("8h", 28_800), ("1h30m", 5_400), ("2d", 172_800), ("1w", 604_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "8", "h", "8x", "-1h", "1m1h", "1h1h", "1.5h", "99999999999999999999d", "9000d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["0s", "1h30m", "2d", "250ms", "1d1s"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }
}
