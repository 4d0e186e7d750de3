//! A [`Model`]: what a provider serves, its size, features and prices.
//!
//! Pure.

use std::sync::Arc;

use chrono::NaiveDate;

use super::{Limits, PriceTable};
use crate::clock::Timestamp;
use crate::job::{Needs, Wire};

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
    /// Features it has; `None` where unknown.
    pub features: Option<Needs>,
    /// Whether it thinks before it answers, and bills that.
    pub reasoning: bool,
    /// Kinds of input it takes, such as `text` and `image`; empty where unknown.
    pub modalities: Vec<String>,
    /// The family of its tokenizer, such as `o200k_base`; `None` where unknown.
    pub tokenizer: Option<String>,
    /// Other names its provider knows it by, at the same price.
    pub aliases: Vec<String>,
    /// Formats it takes; `None` for all its provider takes.
    pub wires: Option<Vec<Wire>>,
    /// Realtime prices; `None` where unknown, which is not free.
    pub prices: Option<PriceTable>,
    /// Prices in a provider batch.
    pub batch: Option<PriceTable>,
    /// Prices on the flex lane.
    pub flex: Option<PriceTable>,
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

    /// The same model under another name its provider knows it by.
    pub fn called(&self, name: &str) -> Model {
        Model { name: name.into(), set: None, ..self.clone() }
    }

    /// Whether it gives vectors rather than text.
    pub fn embeds(&self) -> bool {
        self.wires.as_deref() == Some(&[Wire::Embeddings])
    }

    /// Its prices on a lane; `None` where it has none there or they are unknown.
    pub fn on_lane(&self, lane: &str) -> Option<&PriceTable> {
        match lane {
            "realtime" => self.prices.as_ref(),
            "flex" => self.flex.as_ref(),
            "batch" => self.batch.as_ref(),
            _ => None,
        }
    }
}

/// Lanes a model may have prices on.
pub const LANES: [&str; 3] = ["realtime", "flex", "batch"];
