//! Budgets of the whole program: two jobs that share a day's money, a kill in their midst, and who is told.
//!
//! What was spent is read from the simulator's own ledger.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use overnight::money::{Price, Usd};
use overnight::provider::simulated::{Config, Fault, FaultRates, Faults, Model};
use overnight::simulate::{self, Handle};
use serde_json::Value;

use crate::support::Overnight;
use crate::support::script::{Say, Script};

const PARALLEL: usize = 16;
/// Prices of [`provider`], in pico-dollars a token.
const INPUT: u64 = 1_000_000;

fn provider() -> Handle {
    let price = Price { input: INPUT, output: 2 * INPUT, ..Price::default() };
    let rates = [(Fault::ServerError, 0.03), (Fault::Reset, 0.02), (Fault::ResetBilled, 0.03)];
    let config = Config {
        seed: 7,
        models: vec![Model { latency: Duration::from_millis(10), ..Model::new("small", price) }],
        faults: Faults { rates: FaultRates::new(&rates).unwrap(), ..Faults::default() },
        ..Config::default()
    };
    simulate::spawn(config).unwrap()
}

fn prompts(n: usize) -> String {
    let line = |n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"question {n}\"}}\n");
    (0..n).map(line).collect()
}

/// One model at the prices of [`provider`], and these budgets.
fn config(base_url: &str, max_output: u32, budget: &str) -> String {
    format!(
        r#"
{budget}
[defaults]
models = ["box/small"]
[providers.box]
base_url = "{base_url}"
auth = "none"
max_concurrency = {PARALLEL}
[models."box/small"]
price = {{ input = 1, output = 2 }}
context = 1_000_000
max_output = {max_output}
"#
    )
}

fn budget(status: &Value, scope: &str, period: &str) -> Value {
    let all = status["budgets"].as_array().unwrap();
    let found = all.iter().find(|budget| budget["scope"] == scope && budget["period"] == period);
    found.unwrap_or_else(|| panic!("no {period} of {scope}: {status}")).clone()
}

fn billed(provider: &Handle) -> Usd {
    provider.shared().lock().totals().billed
}

#[test]
fn two_jobs_a_kill_and_a_restart_stay_within_the_day() {
    let provider = provider();
    let limit = "$0.08";
    let text = config(&provider.base_url(), 1_000, &format!("[budget]\nday = \"{limit}\"\ntz = \"UTC\""));
    let overnight = Overnight::configured(&text);
    overnight.write("a.jsonl", prompts(400));
    overnight.write("b.jsonl", prompts(300));
    for (file, team) in [("a", "search"), ("b", "ads")] {
        let queued = overnight.run(&format!("submit {file}.jsonl --tag team={team} --deadline 48h"));
        assert_eq!(queued.code, 0, "{queued:?}");
    }
    let mut child = overnight.spawn("daemon --drain", "first");
    while provider.shared().lock().totals().requests < 60 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let stopped = overnight.run("daemon --drain");
    assert_eq!(stopped.code, 5, "{stopped:?}");
    let status = overnight.run("status --json").json();
    let day = budget(&status, "process", "day");
    let limit: Usd = limit.parse().unwrap();
    assert!(billed(&provider) <= limit, "{} billed of {limit}", billed(&provider));
    assert!(billed(&provider).pico() * 5 > limit.pico(), "it bites: {}", billed(&provider));
    let of = |key: &str| day[key].as_f64().unwrap();
    assert_eq!(of("reserved_usd"), 0.0, "{day}");
    assert!(of("at_risk_usd") > 0.0, "what was in flight at the kill stays committed: {day}");
    assert!(of("spent_usd") + of("at_risk_usd") <= limit.as_f64() + 1e-9, "{day}");
    let table = overnight.run("status").stdout;
    assert!(table.contains("BUDGET") && table.contains("process"), "{table}");

    // A larger budget holds at once for what the day has cost already.
    overnight.write("overnight.toml", text.replace("$0.08", "$0.10"));
    let before = billed(&provider);
    assert_eq!(overnight.run("daemon --drain").code, 5);
    assert!(billed(&provider) > before, "the rest of the larger budget is used");
    assert!(billed(&provider) <= "$0.10".parse().unwrap(), "{}", billed(&provider));
}

#[test]
fn a_job_that_hits_its_budget_stops_with_what_is_done_and_tells_the_webhook() {
    let answers = Script::always(Say::answer("ok"));
    let posts: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = posts.clone();
    // The first try is turned away: it is made again.
    let hook = Script::start(move |n, heard| {
        if n > 0 {
            kept.lock().unwrap().push(serde_json::from_slice(&heard.body).unwrap());
        }
        Say::json(if n == 0 { 503 } else { 200 }, "{}")
    });
    // Each answer costs 10 x $1 + 5 x $2 per million: twenty millionths of a dollar.
    let overnight = Overnight::new();
    let secret = overnight.write("secret", "whsec_c2VjcmV0");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let budget = format!(
        "[budget]\nalerts = [\"50%\", \"100%\"]\nwebhook = \"{}/hook\"\nwebhook_secret = \"file:{}\"\n\
         [budget.tags.\"team=search\"]\ntotal = \"$0.0016\"",
        hook.base_url(),
        secret.display()
    );
    overnight.write("overnight.toml", config(&answers.base_url(), 100, &budget));

    let ran = overnight.work(prompts(200), "--tag team=search --tag app=web");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("team=search") && ran.stderr.contains("[budget.tags]"), "{ran:?}");
    let job = overnight.job();
    let done = job["counts"]["succeeded"].as_u64().unwrap();
    assert!(done > 30 && done < 100, "{job}");
    assert_eq!(job["counts"]["pending"].as_u64(), Some(200 - done), "{job}");

    let posts = posts.lock().unwrap();
    let mut told: Vec<(&str, u64)> = posts
        .iter()
        .map(|post| (post["data"]["name"].as_str().unwrap(), post["data"]["percent"].as_u64().unwrap()))
        .collect();
    // The one that was turned away arrives later.
    told.sort_unstable();
    assert_eq!(told, [("team=search", 50), ("team=search", 100)], "{posts:?}");
    for heard in hook.heard() {
        let head = heard.head.to_ascii_lowercase();
        for header in ["webhook-id: budget_total_", "webhook-timestamp: ", "webhook-signature: v1,"] {
            assert!(head.contains(header), "{head}");
        }
        assert!(!heard.text().contains("question"), "a prompt was told: {}", heard.text());
    }
}
