//! The bundled table: `data/providers.toml` and `data/models.toml` as [`Catalog`].
//!
//! The files are part of the program and read by its tests, so a mistake in them cannot reach a user.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::endpoint::{Auth, Quirks};
use super::hours::Hours;
use super::model::Model;
use super::pricing::{self, PriceText, WindowText};
use super::provider::{DEFAULT_TIMEOUT, Family, Provider};
use super::{Catalog, Limits, words};
use crate::money::Price;

const PROVIDERS: &str = include_str!("data/providers.toml");
const MODELS: &str = include_str!("data/models.toml");

/// Reads the bundled table.
pub(super) fn bundled() -> Catalog {
    let providers: BTreeMap<String, ProviderRow> =
        toml::from_str(PROVIDERS).expect("the bundled providers are read by a test");
    let models: ModelsFile = toml::from_str(MODELS).expect("the bundled models are read by a test");
    let mut catalog = Catalog { as_of: models.defaults.as_of.clone(), ..Catalog::default() };
    for (name, row) in providers {
        catalog.providers.insert(name.clone(), row.provider(&name));
    }
    for (provider, rows) in &models.models {
        assert!(catalog.providers.contains_key(provider), "{provider} has models and no row of its own");
        for (name, row) in rows {
            let model = row.model(provider, name, &models);
            catalog.models.insert(model.full_name(), model);
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
        Provider {
            title: self.title,
            family: Family::parse(&self.family).expect("bundled families are read by a test"),
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
            quirks: Quirks {
                error_codes: errors.collect(),
                statuses: statuses.collect(),
                requests_per_day: self.requests_per_day,
                cost_header: self.cost_header,
                old_max_tokens: self.old_max_tokens,
            },
            limits: Limits { concurrency: self.max_concurrency, ..Limits::default() },
            timeout: self.timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            start: self.start,
            note: self.note,
            ..Provider::new(name)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsFile {
    defaults: Source,
    hours: BTreeMap<String, Hours>,
    models: BTreeMap<String, BTreeMap<String, ModelRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    source: String,
    as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRow {
    context: u64,
    max_output: Option<u64>,
    features: Option<Vec<String>>,
    wires: Option<Vec<String>>,
    price: PriceText,
    #[serde(default)]
    windows: Vec<WindowRow>,
    batch: Option<PriceText>,
    flex: Option<PriceText>,
    #[serde(default)]
    flex_as_batch: bool,
    dearer_above: Option<u64>,
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

impl ModelRow {
    fn model(&self, provider: &str, name: &str, file: &ModelsFile) -> Model {
        let price = |text: &PriceText| text.price().expect("bundled prices are read by a test");
        let batch: Option<Price> = self.batch.as_ref().map(price);
        let source = self.source.as_ref().unwrap_or(&file.defaults.source);
        let as_of = self.as_of.as_ref().unwrap_or(&file.defaults.as_of);
        let windows: Vec<WindowText> = self.windows.iter().map(|row| row.text(&file.hours)).collect();
        let prices = pricing::table(
            format!("{provider}/{name} {source} {as_of}").into(),
            price(&self.price),
            self.price.window.as_deref(),
            &windows,
        );
        let features = self.features.as_ref();
        Model {
            context: Some(self.context),
            max_output: self.max_output,
            dearer_above: self.dearer_above,
            features: features.map(|list| words::features(list).expect("read by a test")),
            reasoning: features.is_some_and(|list| list.iter().any(|word| word == "reasoning")),
            wires: self.wires.as_deref().map(wires),
            prices: Some(prices.expect("bundled prices are read by a test")),
            batch,
            flex: if self.flex_as_batch { batch } else { self.flex.as_ref().map(price) },
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

impl WindowRow {
    fn text(&self, hours: &BTreeMap<String, Hours>) -> WindowText {
        WindowText {
            name: self.name.clone(),
            hours: hours[&self.r#use].clone(),
            multiply: self.multiply.clone(),
            price: self.price.clone(),
        }
    }
}

fn wires(words: &[String]) -> Vec<crate::job::Wire> {
    words.iter().map(|word| words::wire(word).expect("bundled formats are read by a test")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::RefusalKind;
    use crate::clock::Timestamp;

    /// In and out, cache read and write, batch in and out, in pico-dollars a token.
    type Row = (&'static str, u64, u64, Option<u64>, Option<u64>, Option<(u64, u64)>);

    const PRICES: &[Row] = &[
        (
            "openai/gpt-6.1-sol",
            2_000_000,
            10_000_000,
            Some(100_000),
            Some(2_500_000),
            Some((1_000_000, 5_000_000)),
        ),
        (
            "openai/gpt-6.1-terra",
            1_000_000,
            5_000_000,
            Some(50_000),
            Some(1_250_000),
            Some((500_000, 2_500_000)),
        ),
        ("openai/gpt-6-luna", 100_000, 500_000, Some(10_000), Some(125_000), Some((50_000, 250_000))),
        (
            "openai/gpt-5.6-sol",
            4_000_000,
            20_000_000,
            Some(400_000),
            Some(5_000_000),
            Some((2_000_000, 10_000_000)),
        ),
        (
            "openai/gpt-5.6-terra",
            2_000_000,
            12_000_000,
            Some(200_000),
            Some(2_500_000),
            Some((1_000_000, 6_000_000)),
        ),
        ("openai/gpt-5.6-luna", 200_000, 1_200_000, Some(20_000), Some(250_000), Some((100_000, 600_000))),
        ("openai/gpt-5.5", 5_000_000, 30_000_000, Some(500_000), None, Some((2_500_000, 15_000_000))),
        ("openai/gpt-5.4-mini", 750_000, 4_500_000, Some(75_000), None, Some((375_000, 2_250_000))),
        ("openai/gpt-5.4-nano", 200_000, 1_250_000, Some(20_000), None, Some((100_000, 625_000))),
        ("openai/gpt-5-mini", 250_000, 2_000_000, Some(25_000), None, Some((125_000, 1_000_000))),
        ("openai/gpt-4.1-mini", 400_000, 1_600_000, Some(100_000), None, Some((200_000, 800_000))),
        ("openai/gpt-4o-mini", 150_000, 600_000, Some(75_000), None, Some((75_000, 300_000))),
        ("openai/text-embedding-3-small", 20_000, 0, None, None, Some((10_000, 0))),
        ("openai/text-embedding-3-large", 130_000, 0, None, None, Some((65_000, 0))),
        (
            "anthropic/claude-fable-5-1",
            10_000_000,
            50_000_000,
            Some(250_000),
            Some(12_500_000),
            Some((5_000_000, 25_000_000)),
        ),
        (
            "anthropic/claude-opus-5-5",
            4_000_000,
            20_000_000,
            Some(200_000),
            Some(5_000_000),
            Some((2_000_000, 10_000_000)),
        ),
        (
            "anthropic/claude-opus-5",
            5_000_000,
            25_000_000,
            Some(500_000),
            Some(6_250_000),
            Some((2_500_000, 12_500_000)),
        ),
        (
            "anthropic/claude-sonnet-5-5",
            2_000_000,
            10_000_000,
            Some(100_000),
            Some(2_500_000),
            Some((1_000_000, 5_000_000)),
        ),
        (
            "anthropic/claude-sonnet-4-6",
            3_000_000,
            15_000_000,
            Some(300_000),
            Some(3_750_000),
            Some((1_500_000, 7_500_000)),
        ),
        (
            "anthropic/claude-haiku-5-5",
            100_000,
            500_000,
            Some(10_000),
            Some(125_000),
            Some((50_000, 250_000)),
        ),
        (
            "anthropic/claude-haiku-4-5",
            1_000_000,
            5_000_000,
            Some(100_000),
            Some(1_250_000),
            Some((500_000, 2_500_000)),
        ),
        (
            "gemini/gemini-3.1-pro-preview",
            2_000_000,
            12_000_000,
            Some(200_000),
            None,
            Some((1_000_000, 6_000_000)),
        ),
        ("gemini/gemini-3.8-flash", 750_000, 3_750_000, Some(75_000), None, Some((375_000, 1_875_000))),
        ("gemini/gemini-3.5-flash-lite", 300_000, 2_500_000, Some(30_000), None, Some((150_000, 1_250_000))),
        ("gemini/gemini-3.1-flash-lite", 250_000, 1_500_000, Some(25_000), None, Some((125_000, 750_000))),
        ("gemini/gemini-2.5-pro", 1_250_000, 10_000_000, Some(125_000), None, Some((625_000, 5_000_000))),
        ("gemini/gemini-2.5-flash", 300_000, 2_500_000, Some(30_000), None, Some((150_000, 1_250_000))),
        ("gemini/gemini-2.5-flash-lite", 100_000, 400_000, Some(10_000), None, Some((50_000, 200_000))),
        ("gemini/gemini-embedding-001", 150_000, 0, None, None, Some((75_000, 0))),
        ("mistral/mistral-large-4", 1_360_000, 4_180_000, Some(140_000), None, None),
        ("mistral/mistral-large-latest", 500_000, 1_500_000, Some(50_000), None, None),
        ("mistral/mistral-medium-latest", 1_500_000, 7_500_000, Some(150_000), None, None),
        ("mistral/mistral-small-latest", 150_000, 600_000, Some(15_000), None, None),
        ("mistral/ministral-3b-latest", 100_000, 100_000, Some(10_000), None, None),
        ("mistral/mistral-embed", 100_000, 0, None, None, None),
        ("deepseek/deepseek-flash", 300_000, 1_200_000, Some(6_000), None, None),
        ("deepseek/deepseek-v4-pro", 1_320_000, 3_960_000, Some(44_000), None, None),
        ("qwen/qwen3.8-max", 2_000_000, 6_000_000, Some(250_000), None, None),
        ("qwen/qwen3.8-flash", 150_000, 470_000, Some(16_000), Some(200_000), None),
        ("qwen/qwen3.7-max", 2_500_000, 7_500_000, Some(500_000), Some(3_125_000), None),
        ("qwen/qwen-plus", 400_000, 1_200_000, None, None, None),
        ("zai/glm-5.3", 1_400_000, 4_400_000, Some(260_000), None, None),
        ("zai/glm-5.3-flash", 150_000, 500_000, Some(30_000), None, None),
        ("zai/glm-4.7", 600_000, 2_200_000, Some(110_000), None, None),
        ("zai/glm-4.7-flash", 0, 0, Some(0), None, None),
        ("zhipu/glm-5.3-flash", 114_286, 400_000, Some(32_857), None, None),
        ("groq/openai/gpt-oss-120b", 150_000, 600_000, Some(75_000), None, None),
        ("groq/openai/gpt-oss-20b", 75_000, 300_000, Some(37_500), None, None),
        ("xai/grok-4.7", 2_000_000, 6_000_000, Some(500_000), None, Some((1_600_000, 4_800_000))),
        ("xai/grok-4.3", 1_250_000, 2_500_000, Some(200_000), None, Some((1_000_000, 2_000_000))),
        ("together/openai/gpt-oss-120b", 150_000, 600_000, None, None, None),
        ("together/deepseek-ai/DeepSeek-V4-Flash-0731", 140_000, 280_000, Some(30_000), None, None),
        ("fireworks/accounts/fireworks/models/gpt-oss-120b", 150_000, 600_000, Some(15_000), None, None),
        ("fireworks/accounts/fireworks/models/deepseek-v4-flash", 140_000, 280_000, Some(28_000), None, None),
        ("bedrock/amazon.nova-lite-v1:0", 60_000, 240_000, Some(15_000), None, Some((30_000, 120_000))),
        ("bedrock/amazon.nova-pro-v1:0", 800_000, 3_200_000, Some(200_000), None, Some((400_000, 1_600_000))),
        ("bedrock/openai.gpt-oss-120b-1:0", 150_000, 600_000, None, None, Some((75_000, 300_000))),
        ("azure/gpt-5.4", 2_500_000, 15_000_000, Some(250_000), None, Some((1_250_000, 7_500_000))),
        ("azure/gpt-5.6-luna", 200_000, 1_200_000, Some(20_000), Some(250_000), None),
        ("sim/small", 100_000, 400_000, None, None, None),
        ("sim/medium", 400_000, 1_600_000, None, None, None),
        ("sim/large", 2_000_000, 10_000_000, None, None, None),
    ];

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_price_is_the_vendors_to_the_last_digit() {
        let catalog = bundled();
        // A Friday in DeepSeek's peak hours, on the last day of a promotional price's last week.
        let now = at("2026-11-20T02:00:00Z");
        for &(name, input, output, cache_read, cache_write, batch) in PRICES {
            let model = catalog.models.get(name).unwrap_or_else(|| panic!("{name} is missing"));
            let (_, price) = model.prices.as_ref().unwrap().at(now);
            assert_eq!((price.input, price.output), (input, output), "{name}");
            assert_eq!((price.cache_read, price.cache_write), (cache_read, cache_write), "{name}");
            assert_eq!(model.batch.map(|price| (price.input, price.output)), batch, "{name}");
        }
        assert_eq!(catalog.models.len(), PRICES.len(), "every model is in the list above");
    }

    #[test]
    fn deepseek_is_half_price_off_peak() {
        let catalog = bundled();
        let table = catalog.models["deepseek/deepseek-flash"].prices.as_ref().unwrap();
        let off_peak = Price { input: 150_000, cache_read: Some(3_000), output: 600_000, ..Price::default() };
        for (moment, window, price) in [
            ("2026-11-23T00:59:59Z", "off-peak", off_peak),
            ("2026-11-23T05:00:00Z", "off-peak", off_peak),
            ("2026-11-28T02:00:00Z", "off-peak", off_peak),
            ("2027-01-01T02:00:00Z", "off-peak", off_peak),
            (
                "2026-11-23T01:00:00Z",
                "peak",
                Price { input: 300_000, cache_read: Some(6_000), output: 1_200_000, ..off_peak },
            ),
        ] {
            assert_eq!(table.at(at(moment)), (&window.into(), &price), "{moment}");
        }
        assert_eq!(table.cheapest(), &off_peak);
    }

    #[test]
    fn a_promotional_price_ends() {
        let catalog = bundled();
        let table = catalog.models["openai/gpt-5.6-sol"].prices.as_ref().unwrap();
        assert_eq!(table.at(at("2026-11-21T23:59:59Z")).1.input, 4_000_000);
        assert_eq!(table.at(at("2026-11-22T00:00:00Z")).1.output, 30_000_000);
        assert_eq!(table.next_change(at("2026-11-21T12:00:00Z")), Some(at("2026-11-22T00:00:00Z")));
    }

    #[test]
    fn error_codes_mean_what_the_vendors_say() {
        let catalog = bundled();
        for (provider, code, meaning) in [
            ("zhipu", "1113", RefusalKind::NoCredit),
            ("zhipu", "1302", RefusalKind::Rate),
            ("zai", "1305", RefusalKind::Capacity),
            ("zai", "1261", RefusalKind::TooLong),
            ("qwen", "insufficient_quota", RefusalKind::Rate),
            ("qwen", "Arrearage", RefusalKind::NoCredit),
            ("openai", "slow_down", RefusalKind::Rate),
            ("openai", "credit_balance_exhausted", RefusalKind::NoCredit),
        ] {
            let quirks = &catalog.providers[provider].quirks;
            assert_eq!(quirks.error_codes.get(code), Some(&meaning), "{provider} {code}");
        }
        assert_eq!(catalog.providers["groq"].quirks.statuses[&498], RefusalKind::Capacity);
        assert_eq!(catalog.providers["deepseek"].quirks.statuses[&402], RefusalKind::NoCredit);
    }

    #[test]
    fn flex_costs_what_a_batch_does_unless_it_has_a_price() {
        let catalog = bundled();
        let model = &catalog.models["openai/gpt-5-mini"];
        assert_eq!(model.flex, model.batch);
        assert_eq!(catalog.models["azure/gpt-5.6-luna"].flex.unwrap().input, 100_000);
        assert_eq!(catalog.models["openai/gpt-4o-mini"].flex, None);
    }

    #[test]
    fn every_address_is_whole() {
        for provider in bundled().providers.values() {
            let url = provider.base_url.as_deref().unwrap();
            let local = provider.local || provider.gateway;
            assert!(url.starts_with("https://") || local && url.starts_with("http://127.0.0.1:"), "{url}");
            assert!(!url.ends_with('/'), "{url}");
            assert_eq!(url.contains("{resource}"), provider.resource_name.is_some(), "{url}");
        }
    }
}
