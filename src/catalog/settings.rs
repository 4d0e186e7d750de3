//! What the user's config says of providers and models, laid over the bundled table field by field.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;

use super::batch::BatchSettings;
use super::calendar::Calendar;
use super::endpoint::{Auth, Header};
use super::model::Model;
use super::pricing::{self, LaneText, PriceError, PriceText, WindowText};
use super::provider::{Family, Key, Provider};
use super::{Allowance, Catalog, Limits, PriceTable};
use crate::job::{Needs, Wire};
use crate::money::Price;

/// All a config says of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By provider name; a name the table does not know is a provider of the user's own.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// By `provider/model`.
    pub models: BTreeMap<String, ModelSettings>,
}

/// What a config says of one provider; `None` leaves what the table says.
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Whether the config names it, rather than only the environment holding a key for it.
    pub configured: bool,
    /// The wire formats it speaks.
    pub family: Option<Family>,
    /// Its address.
    pub base_url: Option<String>,
    /// What `{resource}` in the address stands for.
    pub resource: Option<String>,
    /// How the key is presented.
    pub auth: Option<Auth>,
    /// The key, or why there is none.
    pub key: Key,
    /// Headers sent with every request; some hold keys.
    pub headers: Vec<Header>,
    /// Formats it takes.
    pub wires: Option<Vec<Wire>>,
    /// Lanes that may be used.
    pub lanes: Option<Vec<String>>,
    /// When we may send to it.
    pub hours: Option<Calendar>,
    /// Ceilings of the account.
    pub limits: Limits,
    /// From sending the first byte to having the whole response.
    pub timeout: Option<Duration>,
    /// Whether its models cost nothing unless a price is stated.
    pub free: Option<bool>,
    /// What the account gives for nothing.
    pub allowance: Option<Allowance>,
    /// How it takes batches.
    pub batch: Option<BatchSettings>,
}

/// What a config says of one model; `None` leaves what the table says.
#[derive(Clone, Debug, Default)]
pub struct ModelSettings {
    /// Realtime price.
    pub price: Option<PriceText>,
    /// Hours with a price of their own.
    pub windows: Option<Vec<WindowText>>,
    /// Price in a provider batch.
    pub batch: Option<LaneText>,
    /// Price on the flex lane.
    pub flex: Option<LaneText>,
    /// Whether it costs nothing.
    pub free: Option<bool>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// The most output tokens it gives.
    pub max_output: Option<u64>,
    /// Features it has.
    pub features: Option<Needs>,
    /// Formats it takes.
    pub wires: Option<Vec<Wire>>,
    /// Its own ceilings.
    pub limits: Limits,
    /// The day it is gone.
    pub retires: Option<NaiveDate>,
}

/// A setting that cannot be laid over the table: for which model, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No provider of that name.
    #[error("no provider is called {0:?}; add [providers.{0}] or correct the name")]
    UnknownProvider(String),
    /// The name is not `provider/model`.
    #[error("{0:?} is not a model's name; write it like \"openai/gpt-5-mini\"")]
    NotAModel(String),
    /// The price.
    #[error(transparent)]
    Price(#[from] PriceError),
}

impl Catalog {
    /// The catalog with the user's settings over it, and what could not be applied, by model name.
    pub fn merge(mut self, settings: &Settings) -> (Catalog, Vec<(String, SettingError)>) {
        for (name, set) in &settings.providers {
            let provider = self.providers.entry(name.clone()).or_insert_with(|| Provider::new(name));
            set.apply(provider);
        }
        let mut errors = Vec::new();
        for (name, set) in &settings.models {
            match self.with_model(name, set) {
                Ok(model) => self.add(model),
                Err(error) => errors.push((name.clone(), error)),
            }
        }
        (self, errors)
    }

    fn with_model(&self, full_name: &str, set: &ModelSettings) -> Result<Model, SettingError> {
        let not_a_model = || SettingError::NotAModel(full_name.to_owned());
        let (prefix, name) = full_name.split_once('/').ok_or_else(not_a_model)?;
        if name.is_empty() {
            return Err(not_a_model());
        }
        let provider =
            self.provider(prefix).ok_or_else(|| SettingError::UnknownProvider(prefix.to_owned()))?;
        let base = self.known(&provider.name, name).unwrap_or_else(|| Model::unlisted(&provider.name, name));
        set.applied(base)
    }
}

impl ProviderSettings {
    fn apply(&self, provider: &mut Provider) {
        if let Some(family) = self.family.filter(|family| *family != provider.family) {
            (provider.family, provider.wires, provider.auth) = (family, family.wires(), family.auth());
            provider.quirks.batch = None;
        }
        if let Some(said) = &self.batch {
            provider.quirks.batch = said.over(provider.quirks.batch.as_ref(), provider.family);
        }
        replace(&mut provider.auth, self.auth.clone());
        replace(&mut provider.wires, self.wires.clone());
        replace(&mut provider.lanes, self.lanes.clone());
        replace(&mut provider.hours, self.hours.clone());
        replace(&mut provider.timeout, self.timeout);
        replace(&mut provider.free, self.free);
        provider.allowance = self.allowance.clone().or_else(|| provider.allowance.take());
        provider.base_url = self.base_url.clone().or_else(|| provider.base_url.take());
        provider.resource = self.resource.clone().or_else(|| provider.resource.take());
        provider.headers.extend(self.headers.iter().cloned());
        provider.limits = provider.limits.overridden_by(self.limits);
        provider.configured |= self.configured;
        if !matches!(self.key, Key::Missing) {
            provider.key = self.key.clone();
        }
    }
}

impl ModelSettings {
    fn applied(&self, mut model: Model) -> Result<Model, SettingError> {
        model.prices = self.prices(&model)?;
        if self.price.is_some() || self.windows.is_some() || self.free.is_some() {
            model.source = Some("config".to_owned());
            model.as_of = None;
        }
        for (text, lane, name) in
            [(&self.batch, &mut model.batch, "batch"), (&self.flex, &mut model.flex, "flex")]
        {
            if let Some(text) = text {
                let id = format!("{}/{} {name} config", model.provider, model.name);
                *lane = Some(pricing::lane(id.into(), model.prices.as_ref(), text)?);
            }
        }
        model.context = self.context.or(model.context);
        model.max_output = self.max_output.or(model.max_output);
        model.features = self.features.or(model.features);
        model.wires = self.wires.clone().or(model.wires);
        model.limits = model.limits.overridden_by(self.limits);
        model.retires = self.retires.or(model.retires);
        Ok(model)
    }

    fn prices(&self, model: &Model) -> Result<Option<PriceTable>, SettingError> {
        let id = format!("{} config", model.full_name());
        let known = model.prices.as_ref();
        let named = known.map(|table| &*table.base_window).filter(|&name| name != pricing::FLAT);
        let table = match (&self.price, &self.windows) {
            (Some(price), windows) => {
                let windows = windows.as_deref().unwrap_or_default();
                pricing::table(id.into(), price, windows)?
            }
            (None, _) if self.free == Some(true) => PriceTable::flat(id, Price::default()),
            (None, Some(windows)) => match known {
                Some(table) => {
                    let table = PriceTable { id: id.into(), ..table.clone() };
                    pricing::with_windows(table, named, windows)?
                }
                None => return Err(PriceError::NoBase(first_name(windows)).into()),
            },
            (None, None) => return Ok(known.cloned()),
        };
        Ok(Some(table))
    }
}

fn first_name(windows: &[WindowText]) -> String {
    windows.first().map(|window| window.name.clone()).unwrap_or_default()
}

fn replace<T>(value: &mut T, by: Option<T>) {
    if let Some(new) = by {
        *value = new;
    }
}

impl Limits {
    /// These, with every ceiling that `other` states in place of their own.
    pub fn overridden_by(self, other: Limits) -> Limits {
        Limits {
            rpm: other.rpm.or(self.rpm),
            tpm: other.tpm.or(self.tpm),
            input_tpm: other.input_tpm.or(self.input_tpm),
            output_tpm: other.output_tpm.or(self.output_tpm),
            concurrency: other.concurrency.or(self.concurrency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::hours::Hours;

    fn merged(settings: Settings) -> Catalog {
        let (catalog, errors) = Catalog::bundled().merge(&settings);
        assert_eq!(errors, []);
        catalog
    }

    fn model(name: &str, set: ModelSettings) -> Settings {
        Settings { models: [(name.to_owned(), set)].into(), ..Settings::default() }
    }

    fn price(input: &str, output: &str) -> PriceText {
        PriceText { input: input.into(), output: output.into(), ..PriceText::default() }
    }

    fn peak() -> WindowText {
        let hours = Hours::parse("01:00-04:00").unwrap();
        WindowText { name: "peak".into(), hours, multiply: Some("3".into()), price: None }
    }

    #[test]
    fn a_stated_price_replaces_price_and_windows_and_nothing_else() {
        let set = ModelSettings { price: Some(price("0.2", "0.8")), ..ModelSettings::default() };
        let catalog = merged(model("deepseek/deepseek-flash", set));
        let model = &catalog.models["deepseek/deepseek-flash"];
        let table = model.prices.as_ref().unwrap();
        assert_eq!((&*table.base_window, table.base.input, table.windows.len()), ("flat", 200_000, 0));
        assert_eq!(&*table.id, "deepseek/deepseek-flash config");
        assert_eq!(model.context, Some(1_000_000));
    }

    #[test]
    fn stated_windows_apply_to_the_bundled_price() {
        let set = ModelSettings { windows: Some(vec![peak()]), ..ModelSettings::default() };
        let catalog = merged(model("openai/gpt-5-mini", set));
        let table = catalog.models["openai/gpt-5-mini"].prices.as_ref().unwrap();
        assert_eq!((&*table.base_window, table.windows[0].price.input), ("standard", 750_000));
    }

    #[test]
    fn a_window_cannot_multiply_an_unknown_price() {
        let set = ModelSettings { windows: Some(vec![peak()]), ..ModelSettings::default() };
        let (catalog, errors) = Catalog::bundled().merge(&model("vllm/mine", set));
        assert!(matches!(errors[0].1, SettingError::Price(PriceError::NoBase(_))));
        assert!(!catalog.models.contains_key("vllm/mine"));
    }

    #[test]
    fn a_model_needs_a_provider() {
        for (name, error) in [
            ("nobody/x", SettingError::UnknownProvider("nobody".into())),
            ("gpt-5-mini", SettingError::NotAModel("gpt-5-mini".into())),
        ] {
            let (_, errors) = Catalog::bundled().merge(&model(name, ModelSettings::default()));
            assert_eq!(errors, [(name.to_owned(), error)]);
        }
    }

    #[test]
    fn a_provider_keeps_what_the_user_does_not_state() {
        let set = ProviderSettings {
            limits: Limits { rpm: Some(60), ..Limits::default() },
            ..ProviderSettings::default()
        };
        let settings = Settings { providers: [("ollama".to_owned(), set)].into(), ..Settings::default() };
        let catalog = merged(settings);
        let ollama = &catalog.providers["ollama"];
        assert_eq!((ollama.limits.rpm, ollama.limits.concurrency), (Some(60), Some(4)));
        assert_eq!(ollama.url().unwrap(), "http://127.0.0.1:11434/v1");
    }
}
