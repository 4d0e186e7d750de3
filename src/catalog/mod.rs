//! What there is to send to: providers, models, prices and hours, merged into [`Route`]s.
//!
//! The bundled table is data (`catalog/*.toml`), the user's config overrides it field by field.
//!
//! Pure.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::job::{Needs, Wire};
use crate::money::Price;

pub mod calendar;
pub mod endpoint;
pub mod hours;
pub mod names;

use calendar::Calendar;

/// A model of a provider on a lane, at a price, under limits: what the engine chooses between.
#[derive(Clone, Debug)]
pub struct Route {
    /// `provider/model`, with ` flex` or ` batch` behind it on those lanes; unique.
    pub name: Arc<str>,
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// The account that is billed and limited: provider plus key. Breakers and stops work on it.
    pub account: Arc<str>,
    /// The model as the provider wants it named.
    pub model: Arc<str>,
    /// `realtime`, `flex` or `batch`.
    pub lane: Arc<str>,
    /// Formats its endpoint takes.
    pub wires: Vec<Wire>,
    /// Tokens of prompt and answer together; `None` where unknown.
    pub context: Option<u64>,
    /// The most output tokens the model gives; `None` where unknown.
    pub max_output: Option<u64>,
    /// Features it has; `None` where unknown, which never excludes it.
    pub features: Option<Needs>,
    /// What it costs; `None` where unknown, which is not free.
    pub prices: Option<PriceTable>,
    /// When we may send to it.
    pub hours: Calendar,
    /// Ceilings the user or the catalog states, for this route.
    pub limits: Limits,
    /// Ceilings for the whole account.
    pub account_limits: Limits,
    /// Why it cannot be used at all: no key, for one. Shown to the user as it is.
    pub unusable: Option<String>,
}

impl Route {
    /// Output tokens a request may be billed for.
    pub fn most_output(&self, asked: Option<u32>) -> Option<u64> {
        asked.map(u64::from).or(self.max_output)
    }
}

/// Ceilings; `None` is no ceiling that we know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Input and output tokens a minute together.
    pub tpm: Option<u64>,
    /// Input tokens a minute.
    pub input_tpm: Option<u64>,
    /// Output tokens a minute.
    pub output_tpm: Option<u64>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
}

/// The prices of a route over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    /// The catalog row: model, source and as-of date.
    pub id: Arc<str>,
    /// Name of the hours no window covers: `flat` where there is no window.
    pub base_window: Arc<str>,
    /// The price in those hours.
    pub base: Price,
    /// Other hours; the first that is open wins.
    pub windows: Vec<PriceWindow>,
}

/// Hours with a price of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceWindow {
    /// Its name, such as `peak`.
    pub name: Arc<str>,
    /// When it applies.
    pub hours: Calendar,
    /// The price then.
    pub price: Price,
}

impl PriceTable {
    /// The window and price in force at a moment.
    pub fn at(&self, now: Timestamp) -> (&Arc<str>, &Price) {
        let open = self.windows.iter().find(|window| window.hours.is_open(now));
        open.map_or((&self.base_window, &self.base), |window| (&window.name, &window.price))
    }

    /// The dearest price of any hour, by input and output together.
    pub fn dearest(&self) -> &Price {
        let all = self.windows.iter().map(|window| &window.price).chain([&self.base]);
        all.max_by_key(|price| u128::from(price.input) + u128::from(price.output)).expect("there is a base")
    }

    /// The cheapest price of any hour, by input and output together.
    pub fn cheapest(&self) -> &Price {
        let all = self.windows.iter().map(|window| &window.price).chain([&self.base]);
        all.min_by_key(|price| u128::from(price.input) + u128::from(price.output)).expect("there is a base")
    }

    /// The next moment after `now` at which the price may change.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.iter().filter_map(|window| window.hours.next_change(now)).min()
    }
}
