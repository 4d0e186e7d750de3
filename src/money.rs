//! Money as integers: what a token costs, what an attempt cost, what a budget holds.
//!
//! Everything inside is [`Usd`], whole pico-dollars (10⁻¹² USD), because $1 per million tokens is
//! exactly 1,000,000 pico-dollars a token: a price with six decimals times a token count has no
//! rounding at all. Parquet stores nano-dollars, rounded half to even once per attempt.
//!
//! Pure. Used by every stage that decides or reports.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of US dollars in whole pico-dollars; never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Usd(i128);

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(0);

    /// From whole pico-dollars.
    pub const fn from_pico(pico: i128) -> Usd {
        Usd(pico)
    }

    /// Whole pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Whole nano-dollars, rounded half to even: the unit of the Parquet ledger.
    pub fn nano(self) -> i64 {
        let quotient = self.0.div_euclid(1_000);
        let remainder = self.0.rem_euclid(1_000);
        let up = remainder > 500 || (remainder == 500 && quotient % 2 != 0);
        i64::try_from(quotient + i128::from(up)).expect("fewer than nine billion dollars")
    }

    /// Dollars as a float, for display and analysis columns only.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// `self` less `other`, but not below zero.
    pub fn saturating_sub(self, other: Usd) -> Usd {
        Usd((self.0 - other.0).max(0))
    }

    /// With exactly six decimals, as tables of small amounts need: `$0.000871`.
    pub fn precise(self) -> String {
        self.with_decimals(6)
    }

    /// With all the decimals it has, and at least two: `$0.15`, `$0.003`, `$0.114286`.
    pub fn to_exact(self) -> String {
        let all = self.with_decimals(12);
        let keep = all.find('.').map_or(all.len(), |point| point + 3);
        let end = all.trim_end_matches('0').len().max(keep);
        all[..end].to_owned()
    }

    fn with_decimals(self, decimals: u32) -> String {
        let unit = 10i128.pow(12 - decimals);
        let scaled = (self.0.abs() + unit / 2) / unit;
        let whole = scaled / 10i128.pow(decimals);
        let fraction = scaled % 10i128.pow(decimals);
        let sign = if self.0 < 0 && scaled != 0 { "-" } else { "" };
        format!("{sign}${whole}.{fraction:0width$}", width = decimals as usize)
    }
}

/// Cents, or enough decimals to show two digits of a smaller amount: `$4.15`, `$0.00019`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pico = self.0.unsigned_abs();
        let mut decimals = 2;
        // The smallest amount that still shows two digits with this many decimals.
        while decimals < 12 && pico != 0 && pico < 10u128.pow(13 - decimals) {
            decimals += 1;
        }
        f.write_str(&self.with_decimals(decimals))
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0 + other.0)
    }
}
impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0 - other.0)
    }
}
impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        self.0 += other.0;
    }
}
impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Usd) {
        self.0 -= other.0;
    }
}
impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

/// Why a text is not an amount of money.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an amount of money; write it like \"$5\", \"$0.002\" or \"5 USD\"")]
pub struct ParseUsdError(String);

/// Reads `$5`, `$0.002`, `5 USD` or `5`, exactly; more than twelve decimals are refused.
impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Usd, ParseUsdError> {
        let error = || ParseUsdError(text.to_owned());
        let bare = text.trim();
        let bare = bare.strip_prefix('$').unwrap_or(bare);
        let bare = bare.strip_suffix("USD").unwrap_or(bare).trim();
        decimal_to_pico(bare, 12).map(Usd).ok_or_else(error)
    }
}

/// `text` × 10^`decimals` as an integer, or `None` where that is not exact or not a number.
///
/// Prices come from files as decimal text (`4e-06`, `0.0028`); going through a binary float would
/// change their last digits, and sums of them.
pub fn decimal_to_pico(text: &str, decimals: i32) -> Option<i128> {
    let (number, shift) = decimal(text, decimals)?;
    if shift >= 0 {
        return shifted(number, shift);
    }
    let unit = 10i128.checked_pow(shift.unsigned_abs())?;
    (number % unit == 0).then_some(number / unit)
}

/// The same to the nearest integer, half to even; `None` only where it is not a number or too large.
pub fn decimal_to_pico_rounded(text: &str, decimals: i32) -> Option<i128> {
    let (number, shift) = decimal(text, decimals)?;
    if shift >= 0 {
        return shifted(number, shift);
    }
    // Where the unit does not fit, the number is far less than half of it.
    let Some(unit) = 10i128.checked_pow(shift.unsigned_abs()) else { return Some(0) };
    let (quotient, remainder) = (number.div_euclid(unit), number.rem_euclid(unit));
    let up = remainder > unit - remainder || (remainder == unit - remainder && quotient % 2 != 0);
    Some(quotient + i128::from(up))
}

fn shifted(number: i128, shift: i32) -> Option<i128> {
    number.checked_mul(10i128.checked_pow(shift.unsigned_abs())?)
}

/// The digits of `text` as an integer, and the power of ten that makes it `text` × 10^`decimals`.
fn decimal(text: &str, decimals: i32) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return None;
    }
    let number: i128 = digits.replace('_', "").parse().ok()?;
    if number == 0 {
        return Some((0, 0));
    }
    let shift = decimals.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    Some((number, shift))
}

/// Prices of one model on one lane at one hour for one length of prompt, in pico-dollars a token.
///
/// The same integer is micro-dollars per million tokens: `$0.15 per 1M` is `150_000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Fresh input tokens.
    pub input: u64,
    /// Input tokens read from a cache; `None` bills them as fresh input.
    pub cache_read: Option<u64>,
    /// Input tokens written to a cache; `None` bills them as fresh input.
    pub cache_write: Option<u64>,
    /// Output tokens, hidden reasoning included where it has no price of its own.
    pub output: u64,
    /// Flat amount a request.
    pub request: Usd,
    /// Input tokens written to a cache that keeps them for an hour; `None` bills them as `cache_write`.
    pub cache_write_1h: Option<u64>,
    /// Output tokens of hidden reasoning; `None` bills them as output.
    pub reasoning: Option<u64>,
}

impl Price {
    /// What `usage` costs at this price, exactly.
    pub fn cost(&self, usage: &Usage) -> Usd {
        self.tokens(usage) + self.request
    }

    /// What the tokens of `usage` cost, without the flat amount a request.
    pub fn tokens(&self, usage: &Usage) -> Usd {
        // Providers have been seen to report more cached than input tokens and more reasoning than
        // output; no part is ever negative, and none is billed twice.
        let fresh = usage.input.saturating_sub(usage.cache_read + usage.cache_write);
        let hour = usage.cache_write_1h.min(usage.cache_write);
        let reasoning = usage.reasoning.min(usage.output);
        let write = self.cache_write.unwrap_or(self.input);
        let of = |count: u64, price: u64| i128::from(count) * i128::from(price);
        Usd(of(fresh, self.input)
            + of(usage.cache_read, self.cache_read.unwrap_or(self.input))
            + of(usage.cache_write - hour, write)
            + of(hour, self.cache_write_1h.unwrap_or(write))
            + of(usage.output - reasoning, self.output)
            + of(reasoning, self.reasoning.unwrap_or(self.output)))
    }

    /// The most that `input` and `output` tokens can cost, whatever share of them is cached or thought.
    pub fn worst_case(&self, input: u64, output: u64) -> Usd {
        let cached = [self.cache_read, self.cache_write, self.cache_write_1h];
        let dearest_input = cached.into_iter().flatten().fold(self.input, u64::max);
        let dearest_output = self.output.max(self.reasoning.unwrap_or(0));
        let pico =
            i128::from(input) * i128::from(dearest_input) + i128::from(output) * i128::from(dearest_output);
        Usd(pico) + self.request
    }

    /// Whether it costs less to have the beginning of `uses` prompts written to a cache by the first and read
    /// by the others than to send it fresh each time.
    pub fn cache_pays(&self, uses: u64) -> bool {
        let Some(read) = self.cache_read else { return false };
        let write = self.cache_write.unwrap_or(self.input);
        let others = u128::from(uses.saturating_sub(1));
        u128::from(write) + others * u128::from(read) < (others + 1) * u128::from(self.input)
    }

    /// Whether nothing at this price costs anything.
    pub fn is_free(&self) -> bool {
        self.worst_case(1, 1) == Usd::ZERO
    }
}

/// Tokens of one or more attempts. Input includes cached tokens, output includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input: u64,
    /// Of these, read from a cache.
    pub cache_read: u64,
    /// Of these, written to a cache.
    pub cache_write: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Of these, hidden reasoning.
    pub reasoning: u64,
    /// Of those written to a cache, to one that keeps them for an hour.
    pub cache_write_1h: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.input += other.input;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.cache_write_1h += other.cache_write_1h;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, pico) in [
            ("$5", 5_000_000_000_000),
            ("5 USD", 5_000_000_000_000),
            ("$0.002", 2_000_000_000),
            ("0.000000000001", 1),
            ("1e-6", 1_000_000),
        ] {
            assert_eq!(usd(text).pico(), pico, "{text}");
        }
        for text in ["", "$", "five", "0.0000000000001", "1.2.3", "--1", "1e2147483647", "1.5e-2147483648"] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cache_pays_from_the_second_use_where_writing_costs_a_quarter_more() {
        let price =
            |input, write, read| Price { input, cache_write: write, cache_read: read, ..Price::default() };
        let claude = price(3_000_000, Some(3_750_000), Some(300_000));
        assert_eq!([0, 1, 2, 100].map(|uses| claude.cache_pays(uses)), [false, false, true, true]);
        // An hour's: twice the price, a tenth to read.
        assert_eq!([2, 3].map(|uses| price(10, Some(20), Some(1)).cache_pays(uses)), [false, true]);
        assert!(price(10, None, Some(1)).cache_pays(2) && !price(10, None, Some(1)).cache_pays(1));
        assert!(!price(10, Some(12), None).cache_pays(1_000) && !price(10, None, Some(10)).cache_pays(1_000));
    }

    #[test]
    fn nano_dollars_round_half_to_even() {
        for (pico, nano) in [(499, 0), (500, 0), (501, 1), (1_500, 2), (2_500, 2), (-500, 0), (-1_500, -2)] {
            assert_eq!(Usd::from_pico(pico).nano(), nano, "{pico}");
        }
    }

    #[test]
    fn small_amounts_show_two_digits() {
        for (text, shown) in [
            ("$4.15", "$4.15"),
            ("0", "$0.00"),
            ("0.00019", "$0.00019"),
            ("0.1", "$0.10"),
            ("1234.5", "$1234.50"),
        ] {
            assert_eq!(usd(text).to_string(), shown);
        }
    }

    #[test]
    fn every_kind_of_token_is_billed_at_its_own_price() {
        let price = Price {
            input: 150_000,
            cache_read: Some(3_000),
            cache_write: Some(187_500),
            cache_write_1h: Some(300_000),
            output: 600_000,
            reasoning: Some(900_000),
            request: Usd::from_pico(11),
        };
        let usage = Usage {
            input: 1_000,
            cache_read: 400,
            cache_write: 300,
            cache_write_1h: 100,
            output: 10,
            reasoning: 4,
        };
        let input = 300 * 150_000 + 400 * 3_000 + 200 * 187_500 + 100 * 300_000;
        assert_eq!(price.cost(&usage).pico(), input + 6 * 600_000 + 4 * 900_000 + 11);
        assert_eq!(price.tokens(&usage).pico(), price.cost(&usage).pico() - 11);
    }

    #[test]
    fn what_has_no_price_of_its_own_is_billed_as_what_it_is_part_of() {
        let price = Price { input: 100, output: 500, ..Price::default() };
        let usage =
            Usage { input: 10, cache_read: 3, cache_write: 4, cache_write_1h: 2, output: 5, reasoning: 5 };
        assert_eq!(price.cost(&usage).pico(), 10 * 100 + 5 * 500);
        let written = Price { cache_write: Some(125), ..price };
        assert_eq!(written.cost(&usage).pico(), 6 * 100 + 4 * 125 + 5 * 500);
    }

    #[test]
    fn a_usage_that_contradicts_itself_is_billed_once_a_token() {
        let price = Price { input: 100, output: 500, reasoning: Some(700), ..Price::default() };
        let usage = Usage { input: 10, cache_read: 30, output: 5, reasoning: 50, ..Usage::default() };
        assert_eq!(price.cost(&usage).pico(), 30 * 100 + 5 * 700);
    }

    #[test]
    fn the_worst_case_covers_any_share_of_cached_and_thought_tokens() {
        let price = Price {
            input: 100,
            cache_read: Some(10),
            cache_write: Some(125),
            cache_write_1h: Some(200),
            output: 500,
            reasoning: Some(600),
            request: Usd::from_pico(7),
        };
        for (cache_write, cache_write_1h, reasoning) in [(0, 0, 0), (50, 50, 3), (100, 100, 20)] {
            let usage =
                Usage { input: 100, cache_write, cache_write_1h, output: 20, reasoning, ..Usage::default() };
            assert!(price.cost(&usage) <= price.worst_case(100, 20));
        }
    }

    #[test]
    fn a_price_is_free_only_where_no_kind_of_token_costs_anything() {
        assert!(Price { cache_read: Some(0), ..Price::default() }.is_free());
        for price in [
            Price { cache_write_1h: Some(1), ..Price::default() },
            Price { reasoning: Some(1), ..Price::default() },
            Price { request: Usd::from_pico(1), ..Price::default() },
        ] {
            assert!(!price.is_free(), "{price:?}");
        }
    }
}
