//! What a monitor reads, judged by Prometheus' own parser.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use overnight::control::Client;
use regex::Regex;
use serde_json::Value;

use super::{all_over, night, prompts, stop, until};
use crate::judges;

/// The samples of a text as a scraper reads it.
fn scraped(text: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics.py");
    let mut child = Command::new(judges::python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_scraper_reads_what_the_daemon_did() {
    let (overnight, provider) = night("[budget]\nday = \"$3\"\n");
    overnight.write("in.jsonl", prompts("a", 7));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit in.jsonl --tag team=search").code, 0);
    let views = until(&overnight, |views| all_over(views, 1));
    let text = Client::connect(overnight.path()).unwrap().unwrap().metrics().unwrap();
    stop(daemon);

    let scraped = scraped(&text);
    let samples = scraped["samples"].as_array().unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let is_it = |sample: &&Value| {
            sample["name"] == name && labels.iter().all(|(label, text)| sample["labels"][label] == *text)
        };
        samples.iter().find(is_it).unwrap_or_else(|| panic!("{name} {labels:?}\n{text}"))["value"]
            .as_f64()
            .unwrap()
    };
    let small = [("provider", "sim"), ("model", "small"), ("lane", "realtime")];
    assert_eq!(value("overnight_items_finished_total", &[("status", "succeeded")]), 7.0);
    assert_eq!(value("overnight_attempts_total", &[small[0], small[1], ("status", "succeeded")]), 7.0);
    assert_eq!(value("overnight_attempt_duration_seconds_count", &small), 7.0);
    let cost = value("overnight_cost_usd_total", &[small[0], small[1], small[2], ("price_window", "flat")]);
    assert!((cost - views[0].cost_usd).abs() < 1e-12 && cost > 0.0, "{cost}");
    assert_eq!(value("overnight_budget_usd", &[("scope", "process"), ("period", "day")]), 3.0);
    assert_eq!(value("overnight_budget_spent_usd", &[("scope", "process"), ("period", "day")]), cost);
    assert!(!text.contains(views[0].job_id.as_str()), "a job is no label");
    assert_eq!(provider.summary().totals.billed_requests, 7);
}

/// What monitors may rely on.
const INTERFACE: [&str; 13] = [
    "overnight_items",
    "overnight_items_finished_total",
    "overnight_attempts_total",
    "overnight_attempt_duration_seconds",
    "overnight_input_tokens_total",
    "overnight_output_tokens_total",
    "overnight_cost_usd_total",
    "overnight_list_cost_usd_total",
    "overnight_budget_usd",
    "overnight_budget_spent_usd",
    "overnight_window_open",
    "overnight_deadline_at_risk_items",
    "overnight_build_info",
];

/// The labels of the samples that a query asks for.
fn labels_of<'a>(text: &'a str, query: &str) -> BTreeSet<&'a str> {
    let samples = text.lines().filter_map(|line| line.split_once('{'));
    let asked = samples.filter(|(name, _)| query.contains(name));
    let pairs = asked.flat_map(|(_, rest)| rest.split(['{', '}', ',']));
    pairs.filter_map(|pair| Some(pair.split_once('=')?.0)).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_there_are() {
    let (overnight, _provider) = night("[budget]\nday = \"$3\"\n");
    overnight.write("in.jsonl", prompts("a", 3));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit in.jsonl").code, 0);
    until(&overnight, |views| all_over(views, 1));
    let text = Client::connect(overnight.path()).unwrap().unwrap().metrics().unwrap();
    stop(daemon);
    let known: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in INTERFACE {
        assert!(known.contains(name), "{name} is none of {known:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring/grafana.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let names = Regex::new(r"overnight_\w+").unwrap();
    // In a selection, or in a list of labels to group or match by.
    let named = Regex::new(r#"[{,](\w+)!?=~?"|(?:by|on) \(([^)]*)\)"#).unwrap();
    let mut asked = BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let query = target["expr"].as_str().unwrap();
        for name in names.find_iter(query) {
            let family = name.as_str().trim_end_matches("_bucket");
            assert!(known.contains(family), "{query} asks for {family}, which is none of {known:?}");
            asked.insert(family.to_owned());
        }
        let labels = labels_of(&text, query);
        for label in
            named.captures_iter(query).flat_map(|found| found.iter().skip(1).flatten().collect::<Vec<_>>())
        {
            for label in label.as_str().split(',').map(str::trim) {
                assert!(labels.contains(label), "{query} asks for {label}, which is none of {labels:?}");
            }
        }
    }
    let unused: Vec<&&str> = known.iter().filter(|name| !asked.contains(**name)).collect();
    assert!(unused.is_empty(), "no panel shows {unused:?}");
}
