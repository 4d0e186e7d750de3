//! The bundled table: `data/providers.toml` and `data/models/*.toml` as [`Catalog`].
//!
//! The files are part of the program and read by its tests, so a mistake in them cannot reach a user.
//! They are read once a process, by the first command that asks.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::batch::{BatchDialect, BatchSettings, FoundBy};
use super::endpoint::{Auth, Quirks};
use super::hours::Hours;
use super::model::Model;
use super::pricing::{self, LaneText, PriceText, WindowText};
use super::provider::{DEFAULT_TIMEOUT, Family, Provider};
use super::{Allowance, Catalog, Limits, Per, words};

const PROVIDERS: &str = include_str!("data/providers.toml");
/// A file of models for every provider that has some.
const MODELS: [(&str, &str); 16] = [
    ("anthropic", include_str!("data/models/anthropic.toml")),
    ("azure", include_str!("data/models/azure.toml")),
    ("bedrock", include_str!("data/models/bedrock.toml")),
    ("deepseek", include_str!("data/models/deepseek.toml")),
    ("fireworks", include_str!("data/models/fireworks.toml")),
    ("gemini", include_str!("data/models/gemini.toml")),
    ("groq", include_str!("data/models/groq.toml")),
    ("mistral", include_str!("data/models/mistral.toml")),
    ("openai", include_str!("data/models/openai.toml")),
    ("openrouter", include_str!("data/models/openrouter.toml")),
    ("qwen", include_str!("data/models/qwen.toml")),
    ("sim", include_str!("data/models/sim.toml")),
    ("together", include_str!("data/models/together.toml")),
    ("xai", include_str!("data/models/xai.toml")),
    ("zai", include_str!("data/models/zai.toml")),
    ("zhipu", include_str!("data/models/zhipu.toml")),
];

/// The bundled table.
pub(super) fn bundled() -> Catalog {
    static TABLE: LazyLock<Catalog> = LazyLock::new(read);
    TABLE.clone()
}

fn read() -> Catalog {
    let providers: BTreeMap<String, ProviderRow> =
        toml::from_str(PROVIDERS).expect("the bundled providers are read by a test");
    let mut catalog = Catalog::default();
    for (name, row) in providers {
        catalog.providers.insert(name.clone(), row.provider(&name));
    }
    for (provider, text) in MODELS {
        assert!(catalog.providers.contains_key(provider), "{provider} has models and no row of its own");
        let file: ModelsFile = toml::from_str(text).unwrap_or_else(|error| panic!("{provider}: {error}"));
        catalog.as_of = catalog.as_of.max(file.defaults.as_of.clone());
        for (name, row) in &file.models {
            catalog.add(row.model(provider, name, &file));
        }
    }
    catalog
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderRow {
    title: String,
    family: String,
    #[serde(default)]
    aliases: Vec<String>,
    base_url: Option<String>,
    resource: Option<String>,
    auth: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    key_optional: bool,
    wires: Vec<String>,
    #[serde(default)]
    local: bool,
    #[serde(default)]
    gateway: bool,
    #[serde(default)]
    free: bool,
    free_quota: Option<FreeRow>,
    #[serde(default)]
    old_max_tokens: bool,
    #[serde(default)]
    requests_per_day: bool,
    cost_header: Option<String>,
    #[serde(default)]
    errors: BTreeMap<String, String>,
    #[serde(default)]
    statuses: BTreeMap<String, String>,
    max_concurrency: Option<u32>,
    batch: Option<BatchRow>,
    timeout: Option<u64>,
    start: Option<String>,
    note: Option<String>,
}

impl ProviderRow {
    fn provider(self, name: &str) -> Provider {
        let meaning = |word: &str| words::refusal(word).expect("bundled meanings are read by a test");
        let errors = self.errors.into_iter().map(|(code, word)| (code, meaning(&word)));
        let statuses = self.statuses.into_iter().map(|(status, word)| {
            (status.parse().expect("bundled statuses are read by a test"), meaning(&word))
        });
        let family = Family::parse(&self.family).expect("bundled families are read by a test");
        Provider {
            title: self.title,
            family,
            aliases: self.aliases,
            base_url: self.base_url,
            resource_name: self.resource,
            auth: self.auth.map_or(Auth::Bearer, |text| words::auth(&text).expect("read by a test")),
            key_names: self.key,
            key_optional: self.key_optional,
            wires: wires(&self.wires),
            local: self.local,
            gateway: self.gateway,
            free: self.free,
            allowance: self.free_quota.map(FreeRow::allowance),
            quirks: Quirks {
                // Of the family, so that it is put in where that is known.
                embeds_contents: false,
                error_codes: errors.collect(),
                statuses: statuses.collect(),
                requests_per_day: self.requests_per_day,
                cost_header: self.cost_header,
                old_max_tokens: self.old_max_tokens,
                batch: self.batch.and_then(|row| row.settings().over(None, family)),
            },
            limits: Limits { concurrency: self.max_concurrency, ..Limits::default() },
            timeout: self.timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            start: self.start,
            note: self.note,
            ..Provider::new(name)
        }
    }
}

/// How a provider takes batches, where it differs from the dialect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRow {
    api: Option<String>,
    requests: Option<u64>,
    bytes: Option<u64>,
    tokens: Option<u64>,
    found_by: Option<String>,
    window: Option<String>,
    url_prefix: Option<String>,
    purpose: Option<String>,
    names_model: Option<bool>,
    context: Option<u64>,
}

impl BatchRow {
    fn settings(self) -> BatchSettings {
        BatchSettings {
            dialect: self.api.map(|word| named(BatchDialect::WORDS, &word)),
            requests: self.requests,
            bytes: self.bytes,
            tokens: self.tokens,
            found_by: self.found_by.map(|word| named(FoundBy::WORDS, &word)),
            window: self.window,
            url_prefix: self.url_prefix,
            purpose: self.purpose,
            names_model: self.names_model,
            context: self.context,
            ..BatchSettings::default()
        }
    }
}

fn named<T: Copy>(words: &[(&str, T)], word: &str) -> T {
    words.iter().find(|(name, _)| *name == word).expect("bundled batches are read by a test").1
}

/// What every account of a provider gives for nothing; the user's own may give more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreeRow {
    requests: Option<u64>,
    tokens: Option<u64>,
    per: String,
    tz: Option<String>,
    #[serde(default)]
    models: Vec<String>,
}

impl FreeRow {
    fn allowance(self) -> Allowance {
        let per = Per::WORDS.iter().find(|(word, _)| *word == self.per);
        Allowance {
            requests: self.requests,
            tokens: self.tokens,
            money: None,
            per: per.expect("bundled quotas are read by a test").1,
            zone: self.tz.map_or(chrono_tz::Tz::UTC, |name| name.parse().expect("read by a test")),
            expires: None,
            models: self.models,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsFile {
    /// For rows that say nothing else.
    defaults: Defaults,
    #[serde(default)]
    hours: BTreeMap<String, Hours>,
    models: BTreeMap<String, ModelRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    source: String,
    as_of: String,
    tokenizer: Option<String>,
    batch: Option<LaneRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRow {
    context: u64,
    max_output: Option<u64>,
    features: Option<Vec<String>>,
    #[serde(default)]
    modalities: Vec<String>,
    tokenizer: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    wires: Option<Vec<String>>,
    price: PriceText,
    #[serde(default)]
    windows: Vec<WindowRow>,
    batch: Option<LaneRow>,
    flex: Option<LaneRow>,
    #[serde(default)]
    flex_as_batch: bool,
    max_concurrency: Option<u32>,
    retires: Option<String>,
    set: Option<String>,
    source: Option<String>,
    as_of: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowRow {
    name: String,
    /// Names one of the file's `hours`.
    r#use: String,
    multiply: Option<String>,
    price: Option<PriceText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaneRow {
    multiply: Option<String>,
    #[serde(default)]
    stacks: bool,
    #[serde(default)]
    caches: bool,
    price: Option<PriceText>,
    #[serde(default)]
    windows: Vec<WindowRow>,
}

impl ModelRow {
    fn model(&self, provider: &str, name: &str, file: &ModelsFile) -> Model {
        let source = self.source.as_ref().unwrap_or(&file.defaults.source);
        let as_of = self.as_of.as_ref().unwrap_or(&file.defaults.as_of);
        let id = |lane: &str| format!("{provider}/{name}{lane} {source} {as_of}").into();
        let windows = windows(&self.windows, &file.hours);
        let prices =
            pricing::table(id(""), &self.price, &windows).expect("bundled prices are read by a test");
        let lane = |word: &str, row: &LaneRow| {
            let text = row.text(&file.hours);
            pricing::lane(id(word), Some(&prices), &text).expect("bundled prices are read by a test")
        };
        let batch = self.batch.as_ref().or(file.defaults.batch.as_ref());
        let flex = if self.flex_as_batch { batch } else { self.flex.as_ref() };
        let features = self.features.as_ref();
        Model {
            context: Some(self.context),
            max_output: self.max_output,
            features: features.map(|list| words::features(list).expect("read by a test")),
            reasoning: features.is_some_and(|list| list.iter().any(|word| word == "reasoning")),
            modalities: self.modalities.clone(),
            tokenizer: self.tokenizer.clone().or_else(|| file.defaults.tokenizer.clone()),
            aliases: self.aliases.clone(),
            wires: self.wires.as_deref().map(wires),
            batch: batch.map(|row| lane(" batch", row)),
            flex: flex.map(|row| lane(" flex", row)),
            prices: Some(prices),
            limits: Limits { concurrency: self.max_concurrency, ..Limits::default() },
            retires: self.retires.as_ref().map(|day| day.parse().expect("read by a test")),
            set: self.set.clone(),
            source: Some(source.clone()),
            as_of: Some(as_of.clone()),
            note: self.note.clone(),
            ..Model::unlisted(provider, name)
        }
    }
}

impl LaneRow {
    fn text(&self, hours: &BTreeMap<String, Hours>) -> LaneText {
        LaneText {
            multiply: self.multiply.clone(),
            stacks: self.stacks,
            caches: self.caches,
            price: self.price.clone(),
            windows: windows(&self.windows, hours),
        }
    }
}

fn windows(rows: &[WindowRow], hours: &BTreeMap<String, Hours>) -> Vec<WindowText> {
    let text = |row: &WindowRow| WindowText {
        name: row.name.clone(),
        hours: hours[&row.r#use].clone(),
        multiply: row.multiply.clone(),
        price: row.price.clone(),
    };
    rows.iter().map(text).collect()
}

fn wires(words: &[String]) -> Vec<crate::job::Wire> {
    words.iter().map(|word| words::wire(word).expect("bundled formats are read by a test")).collect()
}

#[cfg(test)]
mod tests;
