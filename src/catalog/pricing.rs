//! Prices as they are written, in USD per million tokens, and the [`PriceTable`] they mean.
//!
//! Decimal text all the way to the integer: a price never passes through a binary float.
//!
//! Pure.

use std::sync::Arc;

use serde::Deserialize;

use super::hours::{Hours, HoursError};
use super::{PriceTable, PriceWindow};
use crate::money::{Price, Usd, decimal_to_pico};

/// Name of the price that holds at every hour.
pub const FLAT: &str = "flat";

/// A price as written, USD per million tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceText {
    /// Fresh input tokens.
    pub input: String,
    /// Output tokens.
    pub output: String,
    /// Input tokens read from a cache; as fresh input where absent.
    pub cache_read: Option<String>,
    /// Input tokens written to a cache; as fresh input where absent.
    pub cache_write: Option<String>,
    /// Flat amount a request, in USD.
    pub request: Option<String>,
    /// Names the hours no window covers.
    pub window: Option<String>,
}

/// A window as written: hours, and either a factor on the base price or a price of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowText {
    /// Its name, such as `peak`.
    pub name: String,
    /// When it applies.
    pub hours: Hours,
    /// The price then: the base price times this.
    pub multiply: Option<String>,
    /// The price then, in full.
    pub price: Option<PriceText>,
}

/// What is wrong with a price as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a number, negative, or beyond reason.
    #[error("{0:?} is not a price; write USD per million tokens, like 0.15")]
    NotAPrice(String),
    /// More decimals than we can keep.
    #[error("{0:?} has more than six decimals; prices are USD per million tokens")]
    TooFine(String),
    /// Not a factor.
    #[error("{0:?} is not a factor; write it like multiply = 2")]
    NotAFactor(String),
    /// Neither or both of `multiply` and `price`.
    #[error("window {0:?} needs either `multiply` or `price`")]
    WindowPrice(String),
    /// A window multiplies a price that is not known.
    #[error("window {0:?} multiplies a price that is not known; give `price` too")]
    NoBase(String),
    /// Hours that cannot be read.
    #[error("window {0:?}: {1}")]
    Hours(String, HoursError),
}

impl PriceText {
    /// As integers.
    pub fn price(&self) -> Result<Price, PriceError> {
        let optional = |text: &Option<String>| text.as_deref().map(per_token).transpose();
        Ok(Price {
            input: per_token(&self.input)?,
            output: per_token(&self.output)?,
            cache_read: optional(&self.cache_read)?,
            cache_write: optional(&self.cache_write)?,
            request: self.request.as_deref().map_or(Ok(Usd::ZERO), per_request)?,
        })
    }
}

/// The table of one model: `base` in the hours no window covers.
pub fn table(
    id: Arc<str>,
    base: Price,
    base_window: Option<&str>,
    windows: &[WindowText],
) -> Result<PriceTable, PriceError> {
    let unnamed = if windows.is_empty() { FLAT } else { "standard" };
    let windows = windows.iter().map(|window| window.priced(&base)).collect::<Result<_, _>>()?;
    Ok(PriceTable { id, base_window: base_window.unwrap_or(unnamed).into(), base, windows })
}

impl WindowText {
    fn priced(&self, base: &Price) -> Result<PriceWindow, PriceError> {
        let price = match (&self.multiply, &self.price) {
            (Some(factor), None) => multiplied(base, factor)?,
            (None, Some(price)) => price.price()?,
            _ => return Err(PriceError::WindowPrice(self.name.clone())),
        };
        let hours = self.hours.calendar().map_err(|error| PriceError::Hours(self.name.clone(), error))?;
        Ok(PriceWindow { name: self.name.as_str().into(), hours, price })
    }
}

/// USD per million tokens as pico-dollars a token.
fn per_token(text: &str) -> Result<u64, PriceError> {
    let error = || PriceError::NotAPrice(text.to_owned());
    let Some(pico) = decimal_to_pico(text.trim(), 6) else {
        // What is exact with twelve decimals is a number, only too fine a one.
        let fine = decimal_to_pico(text.trim(), 30).is_some();
        return Err(if fine { PriceError::TooFine(text.to_owned()) } else { error() });
    };
    u64::try_from(pico).ok().filter(|&price| price <= MOST).ok_or_else(error)
}

/// A million dollars per million tokens: dearer is a slip of the pen, and sums stay far from overflow.
const MOST: u64 = 1_000_000_000_000;

fn per_request(text: &str) -> Result<Usd, PriceError> {
    let pico =
        decimal_to_pico(text.trim(), 12).filter(|&pico| (0..=i128::from(MOST) * 1_000).contains(&pico));
    pico.map(Usd::from_pico).ok_or_else(|| PriceError::NotAPrice(text.to_owned()))
}

fn multiplied(base: &Price, factor: &str) -> Result<Price, PriceError> {
    let error = || PriceError::NotAFactor(factor.to_owned());
    let millionths = decimal_to_pico(factor.trim(), 6).ok_or_else(error)?;
    let millionths = u64::try_from(millionths).ok().filter(|&n| n <= 1_000_000_000).ok_or_else(error)?;
    // Rounded up where it is not whole: never too low.
    let scale = |price: i128| (price * i128::from(millionths) + 999_999) / 1_000_000;
    let tokens = |price: u64| u64::try_from(scale(price.into())).map_err(|_| error());
    Ok(Price {
        input: tokens(base.input)?,
        cache_read: base.cache_read.map(tokens).transpose()?,
        cache_write: base.cache_write.map(tokens).transpose()?,
        output: tokens(base.output)?,
        request: Usd::from_pico(scale(base.request.pico())),
    })
}

/// A price per token as USD per million tokens: `$0.15`, `$0.003`, `$12.00`.
pub fn per_million(price: u64) -> String {
    Usd::from_pico(i128::from(price) * 1_000_000).to_exact()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str, output: &str) -> PriceText {
        PriceText { input: input.into(), output: output.into(), ..PriceText::default() }
    }

    #[test]
    fn prices_are_whole_pico_dollars_a_token() {
        for (written, price) in
            [("0.15", 150_000), ("0.114286", 114_286), ("2", 2_000_000), ("1e-1", 100_000)]
        {
            assert_eq!(text(written, "0").price().unwrap().input, price, "{written}");
        }
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for written in ["-1", "", "free", "NaN", "inf", "1000001", "1e99"] {
            assert_eq!(text(written, "0").price(), Err(PriceError::NotAPrice(written.into())), "{written}");
        }
        assert_eq!(text("0.1142857", "0").price(), Err(PriceError::TooFine("0.1142857".into())));
    }

    #[test]
    fn a_factor_is_exact_or_rounds_up() {
        let base = Price { input: 660_000, cache_read: Some(3), output: 1, ..Price::default() };
        let doubled = multiplied(&base, "2").unwrap();
        assert_eq!((doubled.input, doubled.cache_read, doubled.cache_write), (1_320_000, Some(6), None));
        let halved = multiplied(&base, "0.5").unwrap();
        assert_eq!((halved.input, halved.cache_read, halved.output), (330_000, Some(2), 1));
        assert!(multiplied(&base, "-2").is_err());
    }

    #[test]
    fn a_window_has_one_price() {
        let hours = Hours::parse("01:00-04:00").unwrap();
        let window = WindowText { name: "peak".into(), hours, ..WindowText::default() };
        assert!(matches!(window.priced(&Price::default()), Err(PriceError::WindowPrice(_))));
    }

    #[test]
    fn prices_are_shown_with_the_decimals_they_have() {
        for (price, shown) in [
            (150_000, "$0.15"),
            (3_000, "$0.003"),
            (12_000_000, "$12.00"),
            (0, "$0.00"),
            (114_286, "$0.114286"),
        ] {
            assert_eq!(per_million(price), shown);
        }
    }
}
