//! A [`Model`]: what a provider serves, its size, features and prices.
//!
//! Pure.

use std::sync::Arc;

use chrono::NaiveDate;

use super::{Limits, PriceTable};
use crate::clock::Timestamp;
use crate::job::{Needs, Wire};
use crate::money::Price;

/// A model of a provider, on all its lanes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model as the provider wants it named.
    pub name: Arc<str>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// The most output tokens it gives.
    pub max_output: Option<u64>,
    /// A longer prompt costs more, for the whole request; such prompts are not sent to it.
    pub dearer_above: Option<u64>,
    /// Features it has; `None` where unknown.
    pub features: Option<Needs>,
    /// Whether it thinks before it answers, and bills that.
    pub reasoning: bool,
    /// Formats it takes; `None` for all its provider takes.
    pub wires: Option<Vec<Wire>>,
    /// Realtime prices; `None` where unknown, which is not free.
    pub prices: Option<PriceTable>,
    /// Price in a provider batch.
    pub batch: Option<Price>,
    /// Price on the flex lane.
    pub flex: Option<Price>,
    /// Its own ceilings.
    pub limits: Limits,
    /// The day it is gone.
    pub retires: Option<NaiveDate>,
    /// `small` or `large`: the catalog set it belongs to.
    pub set: Option<String>,
    /// Where the price is from.
    pub source: Option<String>,
    /// When the price was read there.
    pub as_of: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
}

impl Model {
    /// A model nothing is known of but its name.
    pub fn unlisted(provider: &str, name: &str) -> Model {
        Model { provider: provider.into(), name: name.into(), ..Model::default() }
    }

    /// `provider/model`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }

    /// Whether it is gone at `now`.
    pub fn is_retired(&self, now: Timestamp) -> bool {
        self.retires.is_some_and(|day| day <= now.utc().date_naive())
    }

    /// Tokens a request may hold: the window, cut where the price would change with the length.
    pub fn usable_context(&self) -> Option<u64> {
        match (self.context, self.dearer_above) {
            (Some(context), Some(limit)) => Some(context.min(limit)),
            (context, limit) => context.or(limit),
        }
    }
}
