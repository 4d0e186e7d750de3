//! What an account gives for nothing, through the whole program: used first, known after a restart, shown.

use overnight::money::Price;
use overnight::provider::simulated::{Config, Model};
use overnight::simulate;
use serde_json::Value;

use crate::support::Overnight;

fn prompts(n: usize) -> String {
    let line = |n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"question {n}\",\"max_tokens\":50}}\n");
    (0..n).map(line).collect()
}

/// Items by where their cost comes from.
fn of_basis(overnight: &Overnight, job: &str, basis: &str) -> usize {
    let ran = overnight.run(&format!("results {job} --format jsonl -o -"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["cost_basis"] == basis).count()
}

#[test]
fn a_free_quota_is_used_first_and_what_is_left_is_known_to_the_next_process() {
    let price = Price { input: 1_000_000, output: 2_000_000, ..Price::default() };
    let config = Config { models: vec![Model::new("small", price)], ..Config::default() };
    let provider = simulate::spawn(config).unwrap();
    let overnight = Overnight::configured(&format!(
        r#"
[defaults]
models = ["box/small"]
when = "asap"
[providers.box]
base_url = "{}"
auth = "none"
[providers.box.free]
requests = 30
per = "month"
tz = "UTC"
[models."box/small"]
price = {{ input = 1, output = 2 }}
"#,
        provider.base_url()
    ));
    overnight.write("a.jsonl", prompts(20));
    overnight.write("b.jsonl", prompts(25));
    assert_eq!(overnight.run("run a.jsonl --no-progress").code, 0);
    assert_eq!(of_basis(&overnight, "a", "free"), 20);

    let status = overnight.run("status --json").json();
    let left =
        &status["allowances"].as_array().unwrap().iter().find(|view| view["account"] == "box").unwrap();
    assert_eq!((&left["requests_left"], &left["requests_used"]), (&10.into(), &20.into()));
    assert_eq!(status["jobs"][0]["cost_pico_usd"], 0);
    let providers = overnight.run("providers").stdout;
    assert!(providers.contains("10 requests left free (renews "), "{providers}");
    assert!(overnight.run("status").stdout.contains("10 requests"));

    assert_eq!(overnight.run("run b.jsonl --no-progress").code, 0);
    assert_eq!((of_basis(&overnight, "b", "free"), of_basis(&overnight, "b", "computed")), (10, 15));
    let status = overnight.run("status --json").json();
    let job = status["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "b").unwrap();
    assert!(job["cost_pico_usd"].as_i64().unwrap() > 0, "fifteen are paid for: {job}");
}
