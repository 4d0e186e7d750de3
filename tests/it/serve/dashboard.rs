//! The dashboard: what it may do, and how it is in a real browser.
//!
//! `tests/run` installs the browser and what drives it; without them this says what is missing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use overnight::provider::simulated::{Config, Limits};
use serde_json::{Value, json};

use super::http::Api;
use super::{Daemon, provider};

#[test]
fn the_page_needs_no_token_and_may_do_nothing_but_ask_us() {
    let daemon = Daemon::start();
    daemon.token("acme");
    let stranger = daemon.api.with_token("wrong");
    for path in ["/", "/jobs/job_01kb3v6m8d", "/assets/app.js", "/assets/style.css"] {
        let answer = stranger.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(stranger.get("/api/v1/jobs").status, 401);
    assert_eq!(stranger.get("/assets/none.js").status, 404);
}

/// What a prompt may hold to do harm: markup, terminal commands, marks that turn the writing.
const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)> \u{1b}[31mred\u{1b}[0m \
                    \u{202e}gnp.exe\u{202c} \u{200b}\u{2066}hidden\u{2069}";

/// Items, every ninth with a name that is no better than the prompts.
fn items(n: usize) -> Vec<Value> {
    let name = |n: usize| match n % 9 {
        0 => format!("r-{n}<b>\u{202e}{n}</b>"),
        _ => format!("r-{n}"),
    };
    let messages = |n: usize| json!([{ "role": "user", "content": format!("Is review {n} good? {EVIL}") }]);
    (0..n).map(|n| json!({ "custom_id": name(n), "max_tokens": 60, "messages": messages(n) })).collect()
}

fn submit(api: &Api, body: &Value) -> String {
    let answer = api.post("/api/v1/jobs", body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["job"]["job_id"].as_str().unwrap().to_owned()
}

/// A provider that takes its time and does not always answer.
fn world() -> Config {
    let limits = Limits { concurrency: Some(6), rpm: Some(2_000), ..Limits::default() };
    let mut config = Config { account_limits: limits, ..provider(Duration::from_millis(700)) };
    for (fault, rate) in [("refusal", 0.1), ("content-filter", 0.05)] {
        config.faults.rates.set(fault.parse().unwrap(), rate).unwrap();
    }
    config
}

#[test]
fn every_section_is_right_in_a_browser() {
    let daemon = Daemon::with(
        world(),
        "[budget]\nday = \"$5\"\n[models.\"sim/windowed\"]\nprice = { input = 1, output = 2, window = \"off-peak\" }\n\
         windows = [{ name = \"peak\", hours = [\"06:00-10:00\", \"14:00-20:00\"], multiply = 2 }]\n",
    );
    let api = &daemon.api;
    let retried = submit(
        api,
        &json!({ "items": items(40), "name": "retried <i>\u{202e}late</i>", "priority": 9, "max_attempts": 1 }),
    );
    let reviews = submit(
        api,
        &json!({ "items": items(20_000), "name": "reviews", "tags": { "team": "search" }, "deadline": "20h", "max_cost": "$9" }),
    );
    let paused = submit(api, &json!({ "items": items(30), "name": "paused" }));
    assert_eq!(api.request("POST", &format!("/api/v1/jobs/{paused}/pause"), &[], b"").status, 200);
    let look = |job: &str| api.get(&format!("/api/v1/jobs/{job}")).json()["job"].clone();
    while look(&retried)["finished_at"].is_null() || look(&reviews)["counts"]["failed"].as_u64() < Some(5) {
        std::thread::yield_now();
    }
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    let shown = in_browser("dashboard.py", api, &shots.display().to_string());
    shown.unwrap_or_else(|trouble| panic!("{trouble}\npictures: {}", shots.display()));
}

/// Runs a script of `tests/browser` over the page; what it said, where it does not end well.
fn in_browser(script: &str, api: &Api, about: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let mut command = Command::new(crate::judges::python());
    command.arg("-B").arg(path).arg(format!("http://{}", api.address)).arg(about);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/run"));
    let said = String::from_utf8_lossy(&output.stdout);
    let is_well = output.status.success() && said.ends_with("ok\n");
    if is_well { Ok(()) } else { Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))) }
}

#[test]
fn many_jobs_and_many_items_are_a_page_at_a_time() {
    let mut config = provider(Duration::ZERO);
    config.faults.rates.set("content-filter".parse().unwrap(), 0.02).unwrap();
    let daemon = Daemon::with(config, "");
    let api = &daemon.api;
    let item = |n: usize| json!({ "custom_id": format!("r-{n}"), "prompt": format!("question {n}") });
    let items: Vec<Value> = (0..10_000).map(item).collect();
    let large = submit(api, &json!({ "items": items, "name": "large" }));
    for n in 0..150 {
        submit(api, &json!({ "items": [item(n)], "name": format!("small {n}") }));
    }
    let is_over = |job: &Value| !job["finished_at"].is_null();
    while !api.get("/api/v1/jobs").json()["jobs"].as_array().unwrap().iter().all(is_over) {
        std::thread::yield_now();
    }
    in_browser("large.py", api, &large).unwrap_or_else(|trouble| panic!("{trouble}"));
}
