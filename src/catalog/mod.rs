//! What there is to send to: providers, models, prices and hours, merged into [`Route`]s.
//!
//! The bundled table is data (`catalog/data/*.toml`), the user's config overrides it field by field
//! ([`settings`]). Names in a ladder are understood by [`ladder`]; [`routes`] makes what the engine
//! chooses between.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::{Needs, Wire};

mod allowance;
pub mod batch;
pub mod calendar;
pub mod compare;
pub(crate) mod cron;
pub(crate) mod days;
pub mod endpoint;
pub mod hours;
pub mod import;
pub mod ladder;
pub mod model;
pub mod names;
pub mod pricing;
pub mod provider;
pub mod routes;
pub mod settings;
pub mod show;
mod table;
pub mod tariff;
pub mod words;

use batch::BatchLimits;
use calendar::Calendar;
use endpoint::Secret;
use model::Model;
use provider::{Key, Provider};

pub use allowance::{Allowance, Per};
pub use tariff::{PriceTable, PriceTier, PriceWindow};

/// All providers and models we know of, with the user's settings over them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By name.
    providers: BTreeMap<String, Provider>,
    /// By `provider/model`.
    models: BTreeMap<String, Model>,
    /// Other full names of models, by theirs.
    aliases: BTreeMap<String, String>,
    /// Steps that go by one name, as the user wrote them.
    ladders: BTreeMap<String, Vec<Vec<String>>>,
    /// The day the bundled prices were read.
    as_of: String,
}

impl Catalog {
    /// The table that comes with the program: no keys, nothing of the user's.
    pub fn bundled() -> Catalog {
        table::bundled()
    }

    /// The day the bundled prices were read: `2026-11-21`.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// All providers, in order of name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// All listed models, in order of full name.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// A provider by its name or one of its aliases.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        let alias = |provider: &&Provider| provider.aliases.iter().any(|alias| alias == name);
        self.providers.get(name).or_else(|| self.providers.values().find(alias))
    }

    /// A listed model by its full name.
    pub fn model(&self, full_name: &str) -> Option<&Model> {
        self.models.get(full_name)
    }

    /// The catalog of someone who has every key: to work out prices, never to send.
    pub fn assuming_keys(mut self) -> Catalog {
        for provider in self.providers.values_mut().filter(|provider| !provider.has_key()) {
            provider.key = Key::Found(Secret::new("assumed"), "assumed".to_owned());
        }
        self
    }

    /// What is known of a model of `provider` under the name its user writes: a listed one, another name
    /// of one, or a dated snapshot of one, which has its price until it is listed by itself.
    pub(crate) fn known(&self, provider: &str, name: &str) -> Option<Model> {
        let listed = |name: &str| {
            let full = format!("{provider}/{name}");
            self.models.get(&full).or_else(|| self.models.get(self.aliases.get(&full)?))
        };
        let model = listed(name).or_else(|| listed(names::without_date(name)?))?;
        Some(if *model.name == *name { model.clone() } else { model.called(name) })
    }

    /// Lists a model, in place of one of the same name.
    fn add(&mut self, model: Model) {
        let full = model.full_name();
        for alias in &model.aliases {
            self.aliases.insert(format!("{}/{alias}", model.provider), full.clone());
        }
        self.models.insert(full, model);
    }

    fn provider_of(&self, model: &Model) -> &Provider {
        &self.providers[&*model.provider]
    }
}

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
    /// What its account gives for nothing and this route may draw from.
    pub allowance: Option<Arc<Allowance>>,
    /// Why it cannot be used at all: no key, for one. Shown to the user as it is.
    pub unusable: Option<String>,
    /// What a provider batch takes, on the batch lane; `None` on all others.
    pub batch: Option<BatchLimits>,
}

impl Route {
    /// A route that an earlier process used and the config no longer has: known by name only.
    pub fn gone(name: &Arc<str>) -> Route {
        let (provider, model) = name.split_once('/').unwrap_or(("", name));
        Route {
            name: name.clone(),
            provider: provider.into(),
            account: provider.into(),
            model: model.into(),
            lane: "realtime".into(),
            wires: Vec::new(),
            context: None,
            max_output: None,
            features: None,
            prices: None,
            hours: Calendar::always(),
            limits: Limits::default(),
            account_limits: Limits::default(),
            allowance: None,
            unusable: Some("no longer in the config".to_owned()),
            batch: None,
        }
    }

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

#[cfg(test)]
pub(crate) mod testing {
    use super::endpoint::Secret;
    use super::provider::Key;
    use super::settings::{ProviderSettings, Settings};
    use super::*;

    /// The bundled catalog of someone who has keys for these providers.
    pub(crate) fn with_keys(providers: &[&str]) -> Catalog {
        let bundled = Catalog::bundled();
        let mut settings = Settings::default();
        for &name in providers {
            let variable = bundled.providers[name].key_names[0].clone();
            let key = Key::Found(Secret::new("sk-canary-0123456789"), variable);
            settings
                .providers
                .insert(name.to_owned(), ProviderSettings { key, ..ProviderSettings::default() });
        }
        bundled.merge(&settings).0
    }
}
