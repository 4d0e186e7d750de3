//! `[models."provider/model"]`: prices, sizes and features over the catalog's.

use std::collections::BTreeMap;

use super::hours;
use super::providers::{limits, wires};
use super::reader::{self, Log, Parsed, Section};
use super::source::Value;
use crate::catalog::pricing::{LaneText, PriceText, TierText, WindowText};
use crate::catalog::settings::ModelSettings;
use crate::catalog::words;
use crate::job::Needs;

/// What the config says of models, by `provider/model`.
pub(super) fn read(root: &mut Section<'_>, log: &mut Log) -> BTreeMap<String, ModelSettings> {
    let mut all = BTreeMap::new();
    for (name, mut section) in root.named("models", log) {
        all.insert(name, one(&mut section, log));
        section.finish(log);
    }
    all
}

fn one(section: &mut Section<'_>, log: &mut Log) -> ModelSettings {
    let settings = ModelSettings {
        price: price(section, log),
        windows: windows(section, log),
        batch: lane("batch", section, log),
        flex: lane("flex", section, log),
        free: section.get("free", log, reader::boolean),
        context: section.get("context", log, reader::whole(1, TOKENS)),
        max_output: section.get("max_output", log, reader::whole(1, TOKENS)),
        features: section.get("features", log, features),
        wires: section.get("wires", log, wires),
        limits: limits(section, log),
        retires: section.get("retires", log, |value| {
            let written = reader::text_or_date(value)?;
            written.parse().map_err(|_| format!("{written:?} is not a date like 2026-12-11"))
        }),
    };
    if settings.free == Some(true) && settings.price.is_some() {
        section.problem("free", "a model is free or has a price, not both", log);
    }
    settings
}

/// More than any context window.
const TOKENS: u64 = 1_000_000_000;

fn price(section: &mut Section<'_>, log: &mut Log) -> Option<PriceText> {
    let mut inner = section.section_if("price", log)?;
    let price = price_text(&mut inner, log);
    inner.finish(log);
    price
}

fn price_text(section: &mut Section<'_>, log: &mut Log) -> Option<PriceText> {
    let before = log.problems.len();
    let input = section.get("input", log, per_million);
    let output = section.get("output", log, per_million);
    let price = PriceText {
        cache_read: section.get("cache_read", log, per_million),
        cache_write: section.get("cache_write", log, per_million),
        cache_write_1h: section.get("cache_write_1h", log, per_million),
        reasoning: section.get("reasoning", log, per_million),
        request: section.get("request", log, per_request),
        window: section.get("window", log, reader::text),
        tiers: tiers(section, log),
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
    };
    for key in ["input", "output"] {
        if !section.has(key) {
            section.problem("", format!("a price needs `{key}`, in USD per million tokens"), log);
        }
    }
    (log.problems.len() == before).then_some(price)
}

fn tiers(section: &mut Section<'_>, log: &mut Log) -> Vec<TierText> {
    let mut tiers = Vec::new();
    for mut inner in section.list("tiers", log).unwrap_or_default() {
        let above = inner.get("above", log, reader::whole(1, TOKENS));
        let only_above = inner.get("only_above", log, reader::boolean).unwrap_or_default();
        let price = price(&mut inner, log);
        if above.is_none() || price.is_none() {
            inner.problem("", "a tier needs `above`, in tokens of prompt, and a `price`", log);
        }
        tiers.extend(above.zip(price).map(|(above, price)| TierText { above, only_above, price }));
        inner.finish(log);
    }
    tiers
}

fn lane(key: &'static str, section: &mut Section<'_>, log: &mut Log) -> Option<LaneText> {
    let mut inner = section.section_if(key, log)?;
    let lane = LaneText {
        multiply: inner.get("multiply", log, reader::decimal),
        stacks: inner.get("stacks", log, reader::boolean).unwrap_or_default(),
        caches: inner.get("caches", log, reader::boolean).unwrap_or(true),
        price: price(&mut inner, log),
        windows: windows(&mut inner, log).unwrap_or_default(),
    };
    inner.finish(log);
    Some(lane)
}

fn windows(section: &mut Section<'_>, log: &mut Log) -> Option<Vec<WindowText>> {
    let list = section.list("windows", log)?;
    let mut windows = Vec::new();
    for mut inner in list {
        windows.extend(window(&mut inner, log));
        inner.finish(log);
    }
    Some(windows)
}

fn window(section: &mut Section<'_>, log: &mut Log) -> Option<WindowText> {
    let before = log.problems.len();
    let window = WindowText {
        name: section.get("name", log, name).unwrap_or_default(),
        hours: hours::table(section, log),
        multiply: section.get("multiply", log, reader::decimal),
        price: price(section, log),
    };
    complaints(section, log);
    (log.problems.len() == before).then_some(window)
}

fn name(value: &Value) -> Parsed<String> {
    let written = reader::text(value)?;
    if written.trim().is_empty() {
        Err("is empty; name the window, such as \"peak\"".to_owned())
    } else {
        Ok(written)
    }
}

fn complaints(section: &Section<'_>, log: &mut Log) {
    if !section.has("name") {
        section.problem("", "a window needs a `name`, such as \"peak\"", log);
    }
    if section.has("multiply") == section.has("price") {
        section.problem("", "a window needs either `multiply` or `price`", log);
    }
}

fn per_million(value: &Value) -> Parsed<String> {
    let written = reader::decimal(value)?;
    let price = PriceText { input: written.clone(), output: "0".to_owned(), ..PriceText::default() };
    price.price().map(|_| written).map_err(|error| error.to_string())
}

fn per_request(value: &Value) -> Parsed<String> {
    let written = reader::decimal(value)?;
    let amount = written.trim().trim_start_matches('$').to_owned();
    let price = PriceText {
        input: "0".to_owned(),
        output: "0".to_owned(),
        request: Some(amount.clone()),
        ..PriceText::default()
    };
    price.price().map(|_| amount).map_err(|_| format!("{written:?} is not USD per request, like 0.005"))
}

fn features(value: &Value) -> Parsed<Needs> {
    let list = reader::texts(value)?;
    words::features(&list)
        .map_err(|unknown| format!("{unknown:?} is not one of {}", words::FEATURES.join(", ")))
}
