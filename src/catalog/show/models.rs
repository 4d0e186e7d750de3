//! `overnight models`: what can be asked for, at which price now.

use std::fmt::Display;

use chrono::TimeZone;
use serde::Serialize;

use super::{ShownPrice, clock, columns, in_and_out, price_now, tokens};
use crate::catalog::model::Model;
use crate::catalog::{Catalog, routes, words};
use crate::clock::Timestamp;

/// All models, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelsShown {
    /// `overnight.models/1`.
    pub schema: &'static str,
    /// The day the bundled prices were read.
    pub prices_as_of: String,
    /// In order of name.
    pub models: Vec<ModelRow>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRow {
    /// `provider/model`.
    pub name: String,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// The most output tokens.
    pub max_output: Option<u64>,
    /// Formats it takes: `chat`, `responses`, `embeddings`.
    pub wires: Vec<&'static str>,
    /// `tools`, `vision`, `json_schema`, `reasoning`, `embeddings`; absent where unknown.
    pub features: Option<Vec<&'static str>>,
    /// Kinds of input it takes; empty where unknown.
    pub modalities: Vec<String>,
    /// The family of its tokenizer.
    pub tokenizer: Option<String>,
    /// Other names of it, at the same price.
    pub aliases: Vec<String>,
    /// Realtime price now; absent where unknown, which is not free.
    pub price: Option<ShownPrice>,
    /// Name of the present price window.
    pub price_window: Option<String>,
    /// Until when it holds.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub price_until: Option<Timestamp>,
    /// Price in a provider batch.
    pub batch: Option<ShownPrice>,
    /// Price on the flex lane.
    pub flex: Option<ShownPrice>,
    /// The catalog set it is in.
    pub set: Option<String>,
    /// The day it is gone.
    pub retires: Option<String>,
    /// Where the price is from, and when it was read there.
    pub source: Option<String>,
    /// Why it cannot be used.
    pub unusable: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
    /// `$0.15 / $0.60`, for the text.
    #[serde(skip)]
    price_text: String,
}

/// All listed models; with `usable_only` those that can be used now.
pub fn models(catalog: &Catalog, now: Timestamp, usable_only: bool) -> ModelsShown {
    let rows = catalog.models().map(|model| row(catalog, model, now));
    ModelsShown {
        schema: "overnight.models/1",
        prices_as_of: catalog.as_of().to_owned(),
        models: rows.filter(|row| !usable_only || row.unusable.is_none()).collect(),
    }
}

fn row(catalog: &Catalog, model: &Model, now: Timestamp) -> ModelRow {
    let route = catalog.route(&model.full_name(), now).expect("a listed model has a provider");
    let table = routes::prices(model, catalog.provider_of(model));
    let present = table.as_ref().map(|table| price_now(table, now));
    let source = match (&model.source, &model.as_of) {
        (Some(source), Some(day)) => Some(format!("{source}, {day}")),
        (source, _) => source.clone(),
    };
    ModelRow {
        name: model.full_name(),
        context: model.context,
        max_output: model.max_output,
        wires: route.wires.iter().map(|&wire| words::wire_name(wire)).collect(),
        features: (model.features.is_some() || model.embeds()).then(|| features(model)),
        modalities: model.modalities.clone(),
        tokenizer: model.tokenizer.clone(),
        aliases: model.aliases.clone(),
        price: present.map(|(_, price, _)| price.into()),
        price_window: present.map(|(window, _, _)| window.to_owned()),
        price_until: present.and_then(|(_, _, until)| until),
        batch: model.batch.as_ref().map(|table| table.at(now).1.into()),
        flex: model.flex.as_ref().map(|table| table.at(now).1.into()),
        set: model.set.clone(),
        retires: model.retires.map(|day| day.to_string()),
        source,
        unusable: route.unusable.clone(),
        note: model.note.clone(),
        price_text: present.map_or("unknown".to_owned(), |(_, price, _)| in_and_out(price)),
    }
}

fn features(model: &Model) -> Vec<&'static str> {
    let needs = model.features.unwrap_or_default();
    let has = [needs.tools, needs.vision, needs.json_schema, model.reasoning];
    let embeds = model.embeds().then_some("embeddings");
    words::FEATURES.into_iter().zip(has).filter(|&(_, has)| has).map(|(word, _)| word).chain(embeds).collect()
}

impl ModelsShown {
    /// A table; times in `zone`.
    pub fn text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let rows = self.models.iter().map(|row| {
            vec![
                row.name.clone(),
                row.price_text.clone(),
                row.window_text(now, zone),
                tokens(row.context),
                tokens(row.max_output),
                row.features.as_ref().map_or("-".to_owned(), |words| words.join(" ")),
                row.state(),
            ]
        });
        let header = ["MODEL", "IN / OUT PER 1M", "WINDOW", "CONTEXT", "OUTPUT", "FEATURES", ""];
        let mut text = columns(&header, rows.collect(), &[3, 4]);
        text.push_str(&format!("prices: catalog {}\n", self.prices_as_of));
        text
    }
}

impl ModelRow {
    fn window_text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        match (&self.price_window, self.price_until) {
            (Some(window), Some(until)) => format!("{window} until {}", clock(until, now, zone)),
            (Some(window), None) => window.clone(),
            (None, _) => "-".to_owned(),
        }
    }

    fn state(&self) -> String {
        let set = || self.set.as_ref().map(|set| format!("@{set}"));
        let retires = || self.retires.as_ref().map(|day| format!("until {day}"));
        match &self.unusable {
            Some(why) => why.clone(),
            None => [set(), retires()].into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_model_is_a_line_with_its_price_now() {
        let shown = models(&with_keys(&["deepseek", "openai"]), now(), false);
        let text = shown.text(now(), &chrono::Utc);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let words = |name: &str| line(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words("deepseek/deepseek-flash"),
            "deepseek/deepseek-flash $0.15 / $0.60 off-peak until 01:00 UTC 1M 393k tools vision json_schema reasoning @small"
        );
        assert!(words("openai/gpt-5-mini").ends_with("until 2026-12-11"));
        assert!(words("groq/openai/gpt-oss-20b").ends_with("set GROQ_API_KEY"));
        assert!(words("zai/glm-4.7-flash").contains(" free flat "));
        assert!(text.ends_with("prices: catalog 2026-11-21\n"));
    }

    #[test]
    fn scripts_get_the_same_numbers() {
        let shown = models(&with_keys(&["deepseek"]), now(), true);
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["schema"], "overnight.models/1");
        let flash =
            json["models"].as_array().unwrap().iter().find(|row| row["name"] == "deepseek/deepseek-flash");
        let flash = flash.unwrap();
        assert_eq!(flash["price"]["cache_read_usd_per_mtok"].to_string(), "0.003");
        assert_eq!(flash["price_until"], "2026-11-23T01:00:00Z");
        assert!(shown.models.iter().all(|row| row.unusable.is_none()));
    }
}
