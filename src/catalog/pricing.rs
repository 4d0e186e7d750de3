//! Prices as they are written, in USD per million tokens, and the [`PriceTable`] they mean.
//!
//! Decimal text all the way to the integer: a price never passes through a binary float.
//!
//! Pure.

use std::sync::Arc;

use serde::Deserialize;

use super::hours::{Hours, HoursError};
use super::tariff::TierScope;
use super::{PriceTable, PriceTier, PriceWindow};
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
    /// Input tokens written to a cache that keeps them for an hour; as `cache_write` where absent.
    pub cache_write_1h: Option<String>,
    /// Hidden reasoning; as output where absent.
    pub reasoning: Option<String>,
    /// Flat amount a request, in USD.
    pub request: Option<String>,
    /// Names the hours no window covers.
    pub window: Option<String>,
    /// Prices of long prompts.
    #[serde(default)]
    pub tiers: Vec<TierText>,
}

/// The price of long prompts as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierText {
    /// It holds for prompts of more tokens than this.
    pub above: u64,
    /// Whether it holds only for the input tokens above the limit, rather than for the whole request.
    #[serde(default)]
    pub only_above: bool,
    /// The price.
    pub price: PriceText,
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

/// The price of a lane as written: a factor on the realtime price, or a price of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneText {
    /// The realtime price times this.
    pub multiply: Option<String>,
    /// Whether the factor also applies to the price of cheaper hours. Where it does not, it is taken
    /// off the dearest hours' price and the hour makes no difference.
    pub stacks: bool,
    /// Whether cached tokens keep a price of their own; otherwise they are billed as fresh input.
    pub caches: bool,
    /// The price in full.
    pub price: Option<PriceText>,
    /// Hours and dates with another price, beside a price in full.
    pub windows: Vec<WindowText>,
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
    /// The same of a lane.
    #[error("a lane needs either `multiply` or `price`")]
    LanePrice,
    /// A window multiplies a price that is not known.
    #[error("window {0:?} multiplies a price that is not known; give `price` too")]
    NoBase(String),
    /// A lane multiplies a price that is not known.
    #[error("a lane multiplies a price that is not known; give `price` too")]
    NoRealtime,
    /// Tiers that do not come one after another, or have tiers themselves.
    #[error("tiers come shortest first, each `above` greater than the last, and have no tiers themselves")]
    Tiers,
    /// Hours that cannot be read.
    #[error("window {0:?}: {1}")]
    Hours(String, HoursError),
}

impl PriceText {
    /// As integers, tiers aside.
    pub fn price(&self) -> Result<Price, PriceError> {
        let optional = |text: &Option<String>| text.as_deref().map(per_token).transpose();
        Ok(Price {
            input: per_token(&self.input)?,
            output: per_token(&self.output)?,
            cache_read: optional(&self.cache_read)?,
            cache_write: optional(&self.cache_write)?,
            cache_write_1h: optional(&self.cache_write_1h)?,
            reasoning: optional(&self.reasoning)?,
            request: self.request.as_deref().map_or(Ok(Usd::ZERO), per_request)?,
        })
    }

    /// The prices of long prompts, as integers.
    pub fn tiers(&self) -> Result<Vec<PriceTier>, PriceError> {
        let ordered = self.tiers.windows(2).all(|pair| pair[0].above < pair[1].above);
        let flat = self.tiers.iter().all(|tier| tier.price.tiers.is_empty());
        if !ordered || !flat {
            return Err(PriceError::Tiers);
        }
        self.tiers.iter().map(TierText::tier).collect()
    }
}

impl TierText {
    fn tier(&self) -> Result<PriceTier, PriceError> {
        let scope = if self.only_above { TierScope::Above } else { TierScope::Whole };
        Ok(PriceTier { above: self.above, scope, price: self.price.price()? })
    }
}

/// The table of one model: `base` in the hours no window covers.
pub fn table(id: Arc<str>, base: &PriceText, windows: &[WindowText]) -> Result<PriceTable, PriceError> {
    let flat = PriceTable { tiers: base.tiers()?, ..PriceTable::flat(id, base.price()?) };
    with_windows(flat, base.window.as_deref(), windows)
}

/// The same table with these windows in place of its own; `base_window` names the other hours.
pub fn with_windows(
    table: PriceTable,
    base_window: Option<&str>,
    windows: &[WindowText],
) -> Result<PriceTable, PriceError> {
    let unnamed = if windows.is_empty() { FLAT } else { "standard" };
    let windows = windows.iter().map(|window| window.priced(&table)).collect::<Result<_, _>>()?;
    Ok(PriceTable { base_window: base_window.unwrap_or(unnamed).into(), windows, ..table })
}

/// The table of another lane of the same model.
pub fn lane(id: Arc<str>, realtime: Option<&PriceTable>, text: &LaneText) -> Result<PriceTable, PriceError> {
    match (&text.multiply, &text.price) {
        (Some(factor), None) => {
            let factor = Factor::parse(factor)?;
            discounted(id, realtime.ok_or(PriceError::NoRealtime)?, factor, text)
        }
        (None, Some(price)) => table(id, price, &text.windows),
        _ => Err(PriceError::LanePrice),
    }
}

/// Dates always count; hours only where the discount is given on top of theirs.
fn discounted(
    id: Arc<str>,
    realtime: &PriceTable,
    factor: Factor,
    text: &LaneText,
) -> Result<PriceTable, PriceError> {
    let scale = |price: &Price| factor.price(&if text.caches { *price } else { uncached(price) });
    let scale_tiers = |tiers: &[PriceTier]| {
        let scaled = |tier: &PriceTier| Ok(PriceTier { price: scale(&tier.price)?, ..*tier });
        tiers.iter().map(scaled).collect::<Result<Vec<_>, _>>()
    };
    let kept = |window: &&PriceWindow| text.stacks || window.hours.is_whole_time();
    let windows = realtime.windows.iter().filter(kept).map(|window| {
        let (name, hours) = (window.name.clone(), window.hours.clone());
        Ok(PriceWindow { name, hours, price: scale(&window.price)?, tiers: scale_tiers(&window.tiers)? })
    });
    let windows = windows.collect::<Result<Vec<_>, _>>()?;
    let by_hours = realtime.windows.iter().filter(|window| !window.hours.is_whole_time());
    let hours = by_hours.map(PriceWindow::rate).chain([realtime.base_rate()]);
    let dearest = hours.max_by_key(|rate| u128::from(rate.price.input) + u128::from(rate.price.output));
    let base = if text.stacks { None } else { dearest }.unwrap_or(realtime.base_rate());
    let is_flat = windows.is_empty();
    Ok(PriceTable {
        id,
        base_window: if is_flat { FLAT.into() } else { realtime.base_window.clone() },
        base: scale(base.price)?,
        tiers: scale_tiers(base.tiers)?,
        windows,
    })
}

fn uncached(price: &Price) -> Price {
    Price { cache_read: None, cache_write: None, cache_write_1h: None, ..*price }
}

impl WindowText {
    fn priced(&self, base: &PriceTable) -> Result<PriceWindow, PriceError> {
        let (price, tiers) = match (&self.multiply, &self.price) {
            (Some(factor), None) => Factor::parse(factor)?.rate(base)?,
            (None, Some(price)) => (price.price()?, price.tiers()?),
            _ => return Err(PriceError::WindowPrice(self.name.clone())),
        };
        let hours = self.hours.calendar().map_err(|error| PriceError::Hours(self.name.clone(), error))?;
        Ok(PriceWindow { name: self.name.as_str().into(), hours, price, tiers })
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
pub const MOST: u64 = 1_000_000_000_000;

fn per_request(text: &str) -> Result<Usd, PriceError> {
    let pico =
        decimal_to_pico(text.trim(), 12).filter(|&pico| (0..=i128::from(MOST) * 1_000).contains(&pico));
    pico.map(Usd::from_pico).ok_or_else(|| PriceError::NotAPrice(text.to_owned()))
}

/// What a price is multiplied by, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factor(u64);

impl Factor {
    pub(super) fn millionths(millionths: u64) -> Factor {
        Factor(millionths)
    }

    pub(super) fn parse(text: &str) -> Result<Factor, PriceError> {
        let millionths =
            decimal_to_pico(text.trim(), 6).and_then(|millionths| u64::try_from(millionths).ok());
        let factor = millionths.filter(|&n| n <= 1_000_000_000).map(Factor);
        factor.ok_or_else(|| PriceError::NotAFactor(text.to_owned()))
    }

    /// Rounded up where it is not whole: never too low.
    pub(super) fn price(self, price: &Price) -> Result<Price, PriceError> {
        let scale = |price: i128| (price * i128::from(self.0) + 999_999) / 1_000_000;
        let error = |_| PriceError::NotAFactor(format!("{}e-6", self.0));
        let tokens = |price: u64| u64::try_from(scale(price.into())).map_err(error);
        let optional = |price: Option<u64>| price.map(tokens).transpose();
        Ok(Price {
            input: tokens(price.input)?,
            cache_read: optional(price.cache_read)?,
            cache_write: optional(price.cache_write)?,
            cache_write_1h: optional(price.cache_write_1h)?,
            output: tokens(price.output)?,
            reasoning: optional(price.reasoning)?,
            request: Usd::from_pico(scale(price.request.pico())),
        })
    }

    fn rate(self, table: &PriceTable) -> Result<(Price, Vec<PriceTier>), PriceError> {
        let scaled = |tier: &PriceTier| Ok(PriceTier { price: self.price(&tier.price)?, ..*tier });
        Ok((self.price(&table.base)?, table.tiers.iter().map(scaled).collect::<Result<_, _>>()?))
    }
}

/// A price per token as USD per million tokens: `$0.15`, `$0.003`, `$12.00`.
pub fn per_million(price: u64) -> String {
    Usd::from_pico(i128::from(price) * 1_000_000).to_exact()
}

#[cfg(test)]
mod tests;
