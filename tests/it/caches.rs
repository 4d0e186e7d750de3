//! Prompts that begin alike, against a provider that keeps what it is told to keep.

use overnight::money::Price;
use overnight::provider::simulated::{Config, Model};
use overnight::simulate;
use serde_json::json;

use crate::books::{Matched, Ours};
use crate::support::Overnight;

const ITEMS: u64 = 40;
const KEY: &str = "the-key";

#[test]
fn one_writes_what_all_others_read_for_a_tenth() {
    let price = Price {
        input: 3_000_000,
        output: 15_000_000,
        cache_read: Some(300_000),
        cache_write: Some(3_750_000),
        ..Price::default()
    };
    let models = vec![Model { output: 20, ..Model::new("m", price) }];
    let provider =
        simulate::spawn(Config { models, keys: [KEY.to_owned()].into(), ..Config::default() }).unwrap();
    let overnight = Overnight::new();
    let address = provider.address();
    overnight.write(
        "overnight.toml",
        format!(
            "[providers.claude]\nkind = \"anthropic\"\nbase_url = \"http://{address}/v1\"\napi_key = \"env:LAB_KEY\"\n\
             [models.\"claude/m\"]\nmax_output = 200\n\
             price = {{ input = 3.0, output = 15.0, cache_read = 0.3, cache_write = 3.75 }}\n"
        ),
    );
    let rules = "Judge the mood of each review, and say nothing else. ".repeat(120);
    let line = |n: u64| {
        let messages =
            [json!({"role": "system", "content": rules}), json!({"role": "user", "content": n.to_string()})];
        json!({"messages": messages}).to_string() + "\n"
    };
    overnight.write("job.jsonl", (0..ITEMS).map(line).collect::<String>());
    let ran = overnight.run_with_key("run job.jsonl --model claude/m -q", KEY);
    assert_eq!(ran.code, 0, "{ran:?}");

    let (ours, log) = (Ours::read(&overnight.path().join("overnight-results")), provider.log());
    Matched::new(&ours, &log).settle();
    let usage: Vec<_> = log.iter().filter_map(|line| line.usage).collect();
    let wrote = usage.iter().filter(|usage| usage.cache_write > 0).count();
    let read = usage.iter().filter(|usage| usage.cache_read > 1_000).count() as u64;
    assert_eq!((wrote, read), (1, ITEMS - 1));
    let fresh: i128 = usage.iter().map(|usage| i128::from(usage.input) * 3_000_000).sum();
    let billed: i128 = log.iter().map(|line| line.billed.pico()).sum();
    assert!(billed * 3 < fresh, "{billed} instead of {fresh}");
}
