//! Numbers of a list: the text as it is written, to whole pico-dollars.
//!
//! Pure.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::catalog::pricing::Factor;
use crate::money::{Price, Usd, decimal_to_pico, decimal_to_pico_rounded};

/// What a list counts its prices in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// USD per token.
    Token,
    /// USD per million tokens.
    Million,
}

/// Ten thousand dollars per million tokens: no model has cost a tenth of it.
const MOST_A_TOKEN: i128 = 10_000_000_000;
/// A hundred dollars a request.
const MOST_A_REQUEST: i128 = 100_000_000_000_000;

/// A price per token in pico-dollars; `None` where the list says nothing.
pub(super) fn price(raw: Option<&&RawValue>, unit: Unit) -> Result<Option<u64>, String> {
    let decimals = match unit {
        Unit::Token => 12,
        Unit::Million => 6,
    };
    let pico = amount(raw, decimals, MOST_A_TOKEN)?;
    Ok(pico.map(|pico| u64::try_from(pico).expect("within zero and the most")))
}

/// USD a request; zero where the list says nothing, as almost nobody charges it.
pub(super) fn request(raw: Option<&&RawValue>) -> Result<Usd, String> {
    Ok(Usd::from_pico(amount(raw, 12, MOST_A_REQUEST)?.unwrap_or(0)))
}

/// A number of tokens; `256000.0` is one.
pub(super) fn count(raw: &RawValue) -> Option<u64> {
    decimal_to_pico(bare(raw), 0).and_then(|count| u64::try_from(count).ok())
}

/// The price less a share of it, in the list's own words `discount: 0.25`.
pub(super) fn discounted(price: &Price, share: Option<&&RawValue>) -> Result<Price, String> {
    let Some(share) = share.filter(|raw| bare(raw) != "null") else { return Ok(*price) };
    let wrong = || format!("discount {} is not a share between 0 and 1", share.get());
    let millionths = decimal_to_pico_rounded(bare(share), 6).filter(|n| (0..=1_000_000).contains(n));
    let rest = 1_000_000 - millionths.ok_or_else(wrong)?;
    Factor::millionths(u64::try_from(rest).expect("a share")).price(price).map_err(|_| wrong())
}

fn amount(raw: Option<&&RawValue>, decimals: i32, most: i128) -> Result<Option<i128>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let text = bare(raw);
    if text == "null" {
        return Ok(None);
    }
    let pico = decimal_to_pico_rounded(text, decimals)
        .ok_or_else(|| format!("price {} is not a number", raw.get()))?;
    let is_zero = decimal_to_pico(text, 0) == Some(0);
    match pico {
        _ if text.starts_with('-') && !is_zero => Err(format!("price {text} is negative")),
        0 if !is_zero => Err(format!("price {text} is too small to be one")),
        pico if pico > most => Err(format!("price {text} is too large to be one")),
        pico => Ok(Some(pico)),
    }
}

/// The text of a number, or of one written as a string.
fn bare(raw: &RawValue) -> &str {
    raw.get().trim_matches('"').trim()
}

/// The text with `NaN` and `Infinity` as strings: Python writes them, and they are no JSON.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len() + 64), text);
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word =
            ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_string && rest.starts_with(word));
        let step = match (word, c) {
            (Some(word), _) => {
                out.push_str(&format!("\"{word}\""));
                rest = &rest[word.len()..];
                continue;
            }
            (None, '\\') if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                in_string = !in_string;
                1
            }
            _ => c.len_utf8(),
        };
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, unit: Unit) -> Result<Option<u64>, String> {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        price(Some(&&*raw), unit)
    }

    #[test]
    fn every_way_to_write_a_price_is_exact() {
        for (text, unit, pico) in [
            ("1.5e-07", Unit::Token, 150_000),
            ("1.5E-7", Unit::Token, 150_000),
            ("0.00000015", Unit::Token, 150_000),
            ("\"0.00000015\"", Unit::Token, 150_000),
            ("4e-06", Unit::Token, 4_000_000),
            ("1.142857e-06", Unit::Token, 1_142_857),
            ("0.3", Unit::Million, 300_000),
            ("10.0", Unit::Million, 10_000_000),
            ("0", Unit::Million, 0),
            ("0.0", Unit::Token, 0),
            // Finer than a pico-dollar: to the nearest, half to even.
            ("1.142857142857143e-07", Unit::Token, 114_286),
            ("0.0000025", Unit::Million, 2),
            ("0.0000035", Unit::Million, 4),
        ] {
            assert_eq!(read(text, unit), Ok(Some(pico)), "{text}");
        }
        assert_eq!(read("null", Unit::Token), Ok(None));
        assert_eq!(price(None, Unit::Token), Ok(None));
    }

    #[test]
    fn what_cannot_be_a_price_is_refused() {
        for (text, why) in [
            ("-1", "negative"),
            ("\"-1\"", "negative"),
            ("\"-0.0000000000001\"", "negative"),
            ("\"NaN\"", "not a number"),
            ("\"\"", "not a number"),
            ("true", "not a number"),
            ("[1]", "not a number"),
            ("1", "too large"),
            ("1e300", "not a number"),
            ("1e-20", "too small"),
        ] {
            assert!(read(text, Unit::Token).is_err_and(|error| error.contains(why)), "{text}: {why}");
        }
    }

    #[test]
    fn what_python_writes_for_no_number_is_made_text() {
        for (text, expected) in [
            ("{\"a\": NaN, \"NaN\": -Infinity}", "{\"a\": \"NaN\", \"NaN\": \"-Infinity\"}"),
            ("[\"\\\"NaN\", Infinity, \"ü NaN\"]", "[\"\\\"NaN\", \"Infinity\", \"ü NaN\"]"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
