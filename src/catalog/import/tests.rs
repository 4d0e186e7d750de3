use super::*;
use crate::clock::Timestamp;
use crate::money::{Price, Usage, Usd};

const LITELLM: &str = include_str!("../../../tests/data/prices/litellm.json");
const MODELS_DEV: &str = include_str!("../../../tests/data/prices/models-dev.json");
const OPENROUTER: &str = include_str!("../../../tests/data/prices/openrouter.json");

fn imported(source: Source, text: &str) -> Imported {
    read(source, text, "2026-11-21", &Catalog::bundled()).unwrap()
}

fn table(imported: &Imported, name: &str) -> PriceTable {
    let model = imported.models.get(name).unwrap_or_else(|| panic!("{name} is not there"));
    model.prices.clone().unwrap_or_else(|| panic!("{name} has no price"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn litellm_is_read_whole() {
    let list = imported(Source::LiteLlm, LITELLM);
    assert_eq!(list.problems, []);
    assert_eq!((list.models.len(), list.ignored), (123, 28));
    let luna = &list.models["openai/gpt-6-luna"];
    assert_eq!((luna.context, luna.max_output), (Some(922_000), Some(128_000)));
    let batch = luna.batch.as_ref().unwrap();
    assert_eq!(
        (&*batch.id, batch.base.input, batch.base.cache_write),
        ("openai/gpt-6-luna batch litellm 2026-11-21", 50_000, Some(62_500))
    );
    assert_eq!(luna.flex.as_ref().unwrap().tiers[0].price.output, 375_000);
    assert!(list.models["openai/text-embedding-3-small"].embeds());
    assert_eq!(list.models["openai/gpt-5-mini"].retires.unwrap().to_string(), "2026-12-11");
}

#[test]
fn litellm_tiers_move_the_whole_request() {
    let list = imported(Source::LiteLlm, LITELLM);
    let price = |name: &str, tokens| {
        let table = table(&list, name);
        let price = *table.base_rate().for_prompt(tokens);
        (price.input, price.output)
    };
    assert_eq!(price("openai/gpt-5.5", 272_000), (5_000_000, 30_000_000));
    assert_eq!(price("openai/gpt-5.5", 272_001), (10_000_000, 45_000_000));
    assert_eq!(price("xai/grok-4.3", 199_999), (1_250_000, 2_500_000));
    assert_eq!(price("xai/grok-4.3", 200_000), (2_500_000, 5_000_000));
    // No base price beside the tiers.
    for (tokens, expected) in [(32_000, 1_200_000), (32_001, 2_400_000), (128_001, 3_000_000)] {
        assert_eq!(price("qwen/qwen3-max", tokens).0, expected);
    }
}

#[test]
fn litellm_hours_are_the_vendors() {
    let list = imported(Source::LiteLlm, LITELLM);
    let flash = table(&list, "deepseek/deepseek-flash");
    let bundled = Catalog::bundled();
    let ours = bundled.model("deepseek/deepseek-flash").unwrap().prices.clone().unwrap();
    let mut now = at("2026-11-20T00:15:00Z");
    for _ in 0..7 * 48 {
        let (theirs, mine) = (flash.at(now), ours.at(now));
        assert_eq!((theirs.0, theirs.1), (mine.0, mine.1), "{now}");
        now = now + std::time::Duration::from_secs(1_800);
    }
    assert_eq!(flash.base.cache_write, None, "writing for nothing is writing without a surcharge");
}

#[test]
fn models_dev_is_read_whole() {
    let list = imported(Source::ModelsDev, MODELS_DEV);
    assert_eq!(list.problems, []);
    assert_eq!(table(&list, "qwen/qwen-plus").base.reasoning, Some(4_000_000));
    assert_eq!(table(&list, "gemini/gemini-2.5-pro").base_rate().for_prompt(200_001).output, 15_000_000);
    assert_eq!(table(&list, "zai/glm-4.6").base.cache_write, None);
    assert!(table(&list, "zai/glm-4.5-flash").is_free());
    assert!(list.models["qwen/qwen3.6-plus"].features.unwrap().vision);
    assert!(list.models.values().all(|model| model.batch.is_none()));
}

#[test]
fn openrouter_is_read_whole() {
    let list = imported(Source::OpenRouter, OPENROUTER);
    assert_eq!((list.problems.len(), list.models.len(), list.ignored), (0, 13, 0));
    let sonnet = table(&list, "openrouter/anthropic/claude-sonnet-4.6");
    let (short, long) = (sonnet.base, *sonnet.base_rate().for_prompt(200_001));
    assert_eq!((short.cache_write_1h, short.input), (Some(6_000_000), 3_000_000));
    // What an override does not name stays as it is.
    assert_eq!((long.input, long.cache_read, long.cache_write), (6_000_000, Some(600_000), Some(3_750_000)));
    let pro = table(&list, "openrouter/deepseek/deepseek-v4-pro");
    for (time, window, input) in [
        ("00:59", "off-peak", 660_000),
        ("01:00", "peak", 1_320_000),
        ("03:59", "peak", 1_320_000),
        ("04:00", "off-peak", 660_000),
        ("09:59", "peak", 1_320_000),
        ("23:00", "off-peak", 660_000),
    ] {
        let (name, price) = pro.at(at(&format!("2026-11-22T{time}:00Z")));
        assert_eq!((&**name, price.input), (window, input), "{time}");
    }
}

fn openrouter(pricing: &str) -> Imported {
    let entry = |id: &str, pricing: &str| {
        format!(
            r#"{{"id":"{id}","context_length":9,"architecture":{{"output_modalities":["text"]}},"pricing":{pricing}}}"#
        )
    };
    let good = entry("a/good", r#"{"prompt":"0","completion":"0"}"#);
    imported(Source::OpenRouter, &format!(r#"{{"data":[{},{good}]}}"#, entry("a/b", pricing)))
}

#[test]
fn a_discount_is_taken_off_every_price() {
    let list = openrouter(
        r#"{"prompt":"0.000001","completion":"0.000002","request":"0.004","discount":0.25,
            "overrides":[{"utc_start":1630,"utc_end":30,"prompt":"0.0000005"},{"min_prompt_tokens":100,"completion":"0.000003"}]}"#,
    );
    let table = table(&list, "openrouter/a/b");
    assert_eq!(table.base.input, 375_000);
    assert_eq!((table.base.output, table.base.request), (1_500_000, Usd::from_pico(3_000_000_000)));
    for (time, input) in [("16:29", 750_000), ("16:30", 375_000), ("00:29", 375_000), ("00:30", 750_000)] {
        let now = at(&format!("2026-11-22T{time}:00Z"));
        assert_eq!(table.at(now).1.input, input, "{time}");
        assert_eq!(table.rate_at(now).for_prompt(101).output, 2_250_000);
    }
}

#[test]
fn what_cannot_be_a_price_is_told_and_the_rest_is_kept() {
    for (pricing, why) in [
        (r#"{"prompt":"-1","completion":"-1"}"#, "prompt: price -1 is negative"),
        (r#"{"prompt":"0.1","completion":"1e9"}"#, "too large"),
        (r#"{"prompt":"0.1","completion":"NaN"}"#, "too large"),
        (r#"{"prompt":"0.000001","completion":NaN}"#, "completion: price \"NaN\" is not a number"),
        (r#"{"prompt":"0.000001","completion":"0.1","discount":-1}"#, "too large"),
        (r#"{"prompt":"0.000001","completion":"0.000001","discount":2}"#, "discount 2 is not a share"),
        (
            r#"{"prompt":"0","completion":"0","overrides":[{"utc_start":2500,"utc_end":1}]}"#,
            "2500 is not a time",
        ),
        (r#"{"prompt":"0","completion":"0","overrides":[{"weekday":1}]}"#, "not known"),
    ] {
        let list = openrouter(pricing);
        assert_eq!(list.problems.len(), 1, "{pricing}");
        assert_eq!(list.problems[0].entry, "a/b");
        assert!(list.problems[0].why.contains(why), "{pricing}: {}", list.problems[0].why);
        assert!(list.models.contains_key("openrouter/a/good"), "{pricing}");
    }
}

#[test]
fn an_unknown_price_stays_unknown() {
    for pricing in ["{}", r#"{"prompt":"0.1"}"#, r#"{"prompt":null,"completion":"0.000001"}"#] {
        let list = openrouter(pricing);
        let model = list.models.get("openrouter/a/b");
        assert!(model.is_none_or(|model| model.prices.is_none()), "{pricing}");
    }
    let text = r#"{"x":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-06}}"#;
    assert_eq!(imported(Source::LiteLlm, text).models["openai/x"].prices, None);
    let text = r#"{"openai":{"models":{"x":{"modalities":{"output":["text"]}}}}}"#;
    assert_eq!(imported(Source::ModelsDev, text).models["openai/x"].prices, None);
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    for (source, text) in [
        (Source::LiteLlm, "[]"),
        (Source::LiteLlm, "<html>"),
        (Source::LiteLlm, "{}"),
        (Source::OpenRouter, LITELLM),
        (Source::ModelsDev, OPENROUTER),
        (Source::ModelsDev, LITELLM),
    ] {
        let refused = read(source, text, "2026-11-21", &Catalog::bundled());
        assert!(refused.is_err(), "{source:?} {}", &text[..text.len().min(10)]);
    }
}

#[test]
fn bundled_rows_win_but_over_the_providers_own_list() {
    let changed = LITELLM.replace("\"input_cost_per_token\": 2.5e-07", "\"input_cost_per_token\": 9.9e-07");
    let text = changed.replace("\"gpt-5-nano\"", "\"gpt-9-nano\"");
    let catalog = Catalog::bundled()
        .with_imported(&imported(Source::OpenRouter, &OPENROUTER.replace("0.00000125", "0.00000777")))
        .with_imported(&imported(Source::LiteLlm, &text));
    let input = |name: &str| catalog.model(name).unwrap().prices.as_ref().unwrap().base.input;
    assert_eq!(input("openai/gpt-5-mini"), 250_000, "a bundled row stays");
    assert_eq!(input("openai/gpt-9-nano"), 50_000, "a model that is not bundled is added");
    assert_eq!(input("openrouter/openai/gpt-5"), 7_770_000, "OpenRouter knows its own prices best");
    assert_eq!(catalog.model("openai/gpt-9-nano").unwrap().source.as_deref(), Some("litellm"));
}

/// Rows whose price the source states otherwise, on purpose: where it is from is said in the row.
const ON_PURPOSE: [&str; 3] = ["openai/gpt-5.6-sol", "qwen/qwen-plus", "deepseek/"];

#[test]
fn the_bundled_table_is_what_its_sources_say() {
    let catalog = Catalog::bundled();
    let lists = [imported(Source::LiteLlm, LITELLM), imported(Source::ModelsDev, MODELS_DEV)];
    let mut compared = 0;
    for model in catalog.models().filter(|model| &*model.provider != "sim") {
        let name = model.full_name();
        let list = if model.source.as_deref() == Some("models.dev") { &lists[1] } else { &lists[0] };
        if ON_PURPOSE.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let theirs = list.models.get(&name).unwrap_or_else(|| panic!("{name} is not in its source"));
        let (ours, theirs_table) = (model.prices.as_ref().unwrap(), theirs.prices.as_ref().unwrap());
        assert_eq!((&ours.base, &ours.tiers), (&theirs_table.base, &theirs_table.tiers), "{name}");
        for (lane, ours, theirs) in
            [("flex", &model.flex, &theirs.flex), ("batch", &model.batch, &theirs.batch)]
        {
            if let Some(theirs) = theirs {
                let ours = ours.as_ref().unwrap_or_else(|| panic!("{name} has no {lane}"));
                assert_eq!(
                    (ours.base.input, ours.base.output),
                    (theirs.base.input, theirs.base.output),
                    "{name} {lane}"
                );
            }
        }
        compared += 1;
    }
    assert!(compared > 180, "{compared}");
}

#[test]
fn an_imported_price_bills_to_the_last_digit() {
    let list = imported(Source::LiteLlm, LITELLM);
    let usage = Usage { input: 300_000, cache_read: 100_000, output: 1_000, ..Usage::default() };
    let cost = table(&list, "gemini/gemini-2.5-pro").cost(&usage, at("2026-11-22T00:00:00Z"));
    assert_eq!(cost, "0.54".parse().unwrap()); // 200k at 2.50, 100k at 0.25, 1k at 15
    assert_eq!(
        table(&list, "zhipu/glm-5.3-flash").base,
        Price { input: 114_286, cache_read: Some(32_857), output: 400_000, ..Price::default() }
    );
}
