//! Spans for a collector.

use std::collections::BTreeSet;

use super::{night, prompts, receiver};
use crate::support::Ran;

#[test]
fn every_attempt_is_a_span_at_the_collector() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("canary", 12));
    let (url, received) = receiver();
    let mut command = overnight.command("run in.jsonl --no-progress");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b");
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut seen = BTreeSet::new();
    while seen.len() < 12 {
        let (head, body) = received.recv().unwrap();
        assert!(
            head[0].starts_with("post /v1/traces ") && head.contains(&"x-key: a b".to_owned()),
            "{head:?}"
        );
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        seen.extend(spans.iter().map(|span| span["spanId"].as_str().unwrap().to_owned()));
        assert!(!body.to_string().contains("canary"), "{body}");
    }
}

#[test]
fn a_collector_that_is_not_there_costs_nothing_but_a_line() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 3));
    let mut command = overnight.command("run in.jsonl --no-progress");
    let ran = Ran::of(&command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("the collector takes no traces"), "{ran:?}");
    let mut command = overnight.command("run in.jsonl --no-progress --again");
    let ran = Ran::of(&command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318").output().unwrap());
    assert!(ran.code == 2 && ran.stderr.contains("is not an address"), "{ran:?}");
}
