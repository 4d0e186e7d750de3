use super::*;
use crate::attempt::RefusalKind;
use crate::clock::Timestamp;
use crate::money::Price;

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
    ("openai/gpt-6.1-terra", 1_000_000, 5_000_000, Some(50_000), Some(1_250_000), Some((500_000, 2_500_000))),
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
    ("anthropic/claude-haiku-5-5", 100_000, 500_000, Some(10_000), Some(125_000), Some((50_000, 250_000))),
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
        let lane = model.batch.as_ref().map(|table| table.at(now).1);
        // Where the list has no price of batches, the vendor's pages may say that they are half.
        let expected = batch.or(lane.map(|_| (input.div_ceil(2), output.div_ceil(2))));
        assert_eq!(lane.map(|price| (price.input, price.output)), expected, "{name}");
    }
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
    assert_eq!(model.flex.as_ref().unwrap().base, model.batch.as_ref().unwrap().base);
    assert_eq!(catalog.models["azure/gpt-5.6-luna"].flex.as_ref().unwrap().base.input, 100_000);
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
