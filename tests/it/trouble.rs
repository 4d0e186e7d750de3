//! Providers that refuse: a bad key, no credit, a retired model, nobody there, too much at once.
//!
//! The job waits or goes elsewhere, says so, and fails no item; what was mended lets it go on.

use std::process::Command;

use overnight::money::Price;
use overnight::provider::simulated::{Config, FaultChange, Model};
use overnight::simulate::{self, Handle};
use serde_json::Value;

use crate::support::folder;
use crate::support::script::{Say, Script};
use crate::support::{Overnight, Ran};

/// The usual config, and no item may be tried twice: whatever else happens burns no attempt.
fn config(base_url: &str) -> String {
    folder::config(base_url).replace("[defaults]", "[defaults]\nmax_attempts = 1")
}

/// Five items.
fn job() -> String {
    (0..5).map(|n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"{n}\"}}\n")).collect()
}

/// A provider with one model, `small`.
fn provider() -> Handle {
    let models = vec![Model::new("small", Price { input: 1_000_000, output: 2_000_000, ..Price::default() })];
    simulate::spawn(Config { models, ..Config::default() }).unwrap()
}

fn change(provider: &Handle, change: &str) {
    provider.change(serde_json::from_str::<FaultChange>(change).unwrap()).unwrap();
}

/// Work stopped because a person has to act: exit code 6, these words, no item failed, all still there.
#[track_caller]
fn waits_for_a_person(overnight: &Overnight, ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 6, "{ran:?}");
    for said in words {
        assert!(ran.stderr.contains(said), "{said:?} is not said:\n{}", ran.stderr);
    }
    let id = overnight.job_id();
    assert!(ran.stderr.contains(&format!("overnight run --resume {id}")), "{}", ran.stderr);
    let job = overnight.job();
    assert_eq!(
        (job["counts"]["failed"].as_u64(), job["counts"]["pending"].as_u64()),
        (Some(0), Some(5)),
        "{job}"
    );
    assert_eq!(job["cost_usd"], 0.0);
}

/// After mending, the job ends well and no item is poorer by the attempts that were refused.
#[track_caller]
fn goes_on(overnight: &Overnight) {
    let id = overnight.job_id();
    let ran = overnight.run(&format!("run --resume {id}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let statuses: Vec<Value> = overnight.rows("results").iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded"; 5]);
}

/// A config with an account `other` beside `box`, of the same model at twice the price.
fn with_other(first: &str, second: &str) -> String {
    let other = format!(
        "[providers.other]\nbase_url = \"{second}\"\nauth = \"none\"\n[models.\"other/small\"]\nprice = {{ input = 2, output = 4 }}\nmax_output = 1_000\n"
    );
    config(first).replace("[\"box/small\"]", "[[\"box/small\", \"other/small\"]]") + &other
}

#[test]
fn a_rejected_key_stops_the_account_until_it_is_mended() {
    let provider = provider();
    change(&provider, r#"{"revoke":["sk-old"]}"#);
    let overnight = Overnight::configured(
        &config(&provider.base_url()).replace("auth = \"none\"", "api_key = \"env:BOX_KEY\""),
    );
    overnight.write("in.jsonl", job());
    let with_key =
        |key: &str, line: &str| Ran::of(&overnight.command(line).env("BOX_KEY", key).output().unwrap());
    let ran = with_key("sk-old", "run in.jsonl");
    waits_for_a_person(
        &overnight,
        &ran,
        &["box stopped until you act: Incorrect API key provided", "error[no_route]"],
    );
    assert!(provider.summary().totals.requests <= 5, "each item is sent once at most, and none again");
    let ran = with_key("sk-new", &format!("run --resume {}", overnight.job_id()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(overnight.rows("results").len(), 5);
}

#[test]
fn a_missing_key_is_said_before_anything_is_queued() {
    let overnight = Overnight::configured(
        &config("http://127.0.0.1:9/v1").replace("auth = \"none\"", "api_key = \"env:BOX_KEY\""),
    );
    let ran = overnight.submit(job(), "");
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{ran:?}");
    assert!(ran.stderr.contains("BOX_KEY") && ran.stderr.contains("nothing was queued"), "{}", ran.stderr);
}

#[test]
fn without_credit_the_account_stops_in_both_dialects() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    for say in [Say::json(429, quota), Say::json(402, r#"{"error":{"message":"Insufficient Balance"}}"#)] {
        let server = Script::always(say);
        let overnight = Overnight::configured(&config(&server.base_url()));
        let ran = overnight.work(job(), "");
        waits_for_a_person(&overnight, &ran, &["box stopped until you act: "]);
        assert!(server.heard().len() <= 5);
        let attempts = overnight.rows("attempts");
        assert!(attempts.iter().all(|attempt| attempt["error_code"] == "quota"), "{attempts:?}");
        let port = server.port();
        drop(server);
        let _paid = Script::start_at(port, |_, _| Say::answer("ok"));
        goes_on(&overnight);
    }
}

#[test]
fn credit_that_ends_in_the_middle_keeps_what_was_paid_for() {
    let provider = provider();
    change(&provider, r#"{"no_credit_after":"$0.0000001"}"#);
    let overnight = Overnight::configured(
        &config(&provider.base_url()).replace("timeout", "max_concurrency = 1\ntimeout"),
    );
    let ran = overnight.work(job(), "");
    assert_eq!(ran.code, 6, "{ran:?}");
    let counts = overnight.job()["counts"].clone();
    assert_eq!(
        (counts["succeeded"].as_u64(), counts["pending"].as_u64(), counts["failed"].as_u64()),
        (Some(1), Some(4), Some(0))
    );
    change(&provider, r#"{"reset":true}"#);
    goes_on(&overnight);
    assert_eq!(provider.summary().totals.billed_requests, 5, "what was answered is not bought again");
}

#[test]
fn a_retired_model_is_not_asked_again_this_night() {
    let provider = provider();
    change(&provider, r#"{"retire":["small"]}"#);
    let overnight = Overnight::configured(&config(&provider.base_url()));
    let ran = overnight.work(job(), "");
    waits_for_a_person(&overnight, &ran, &["box/small is out for this run", "does not exist"]);
    change(&provider, r#"{"reset":true}"#);
    goes_on(&overnight);
}

#[test]
fn another_account_of_the_step_takes_over_and_it_is_said() {
    for fault in [r#"{"retire":["small"]}"#, r#"{"revoke":[""]}"#, r#"{"no_credit_after":"$0"}"#] {
        let (first, second) = (provider(), provider());
        change(&first, fault);
        let overnight = Overnight::configured(&with_other(&first.base_url(), &second.base_url()));
        let ran = overnight.work(job(), "");
        assert_eq!(ran.code, 0, "{fault}: {ran:?}");
        let results = overnight.rows("results");
        assert!(
            results.iter().all(|row| row["provider"] == "other" && row["step"] == 1),
            "{fault}: {results:?}"
        );
        assert!(ran.stderr.contains("box"), "{fault}: {}", ran.stderr);
    }
}

#[test]
fn with_nobody_there_the_items_wait_and_go_on_when_somebody_is() {
    let port = Script::always(Say::HangUp).port();
    let overnight = Overnight::configured(&config(&format!("http://127.0.0.1:{port}/v1")));
    overnight.write("in.jsonl", job());
    let mut running = overnight.start("run in.jsonl");
    let line = running.until("failed too often in a row");
    assert!(line.contains("box") && line.contains("no connection to 127.0.0.1"), "{line}");
    // Once the pauses between tries are over, items wait for the provider.
    let job = loop {
        let job = overnight.job();
        if job["waiting_for"].is_string() {
            break job;
        }
    };
    assert!(job["waiting_for"].as_str().unwrap().contains("no connection to 127.0.0.1"), "{job}");
    assert_eq!((job["counts"]["failed"].as_u64(), job["cost_usd"].as_f64()), (Some(0), Some(0.0)), "{job}");
    let server = Script::start_at(port, |_, _| Say::answer("ok"));
    let line = running.until("answers again");
    assert!(line.contains("box"), "{line}");
    let ran = running.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((overnight.rows("results").len(), server.heard().len()), (5, 5));
}

#[test]
fn a_day_to_wait_is_waited_and_shown_with_its_time() {
    let limited = |_, _: &_| {
        Say::with(
            429,
            "retry-after: 86400",
            r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#,
        )
    };
    let server = Script::start(limited);
    let overnight =
        Overnight::configured(&config(&server.base_url()).replace("timeout", "max_concurrency = 1\ntimeout"));
    assert_eq!(overnight.submit(job(), "--deadline 72h").code, 0);
    let mut running = overnight.start("daemon");
    running.until("started");
    // Once nothing runs and the first refusal is known, nothing more is sent.
    let job = loop {
        let job = overnight.job();
        if job["attempts"].as_u64() > Some(0) && job["counts"]["running"] == 0 {
            break job;
        }
    };
    assert_eq!(job["counts"]["pending"], 5, "{job}");
    assert_eq!(job["waiting"]["rate_limit"], 5, "{job}");
    let submitted: overnight::clock::Timestamp = job["submitted_at"].as_str().unwrap().parse().unwrap();
    let until: overnight::clock::Timestamp = job["waiting_until"].as_str().unwrap().parse().unwrap();
    assert!(until.since(submitted).as_secs() >= 86_400, "{job}");
    assert!(overnight.run("status").stdout.contains("rate_limit"), "{job}");
    let shown = overnight.run(&format!("status {}", overnight.job_id())).stdout;
    assert!(shown.contains("something is expected to change at"), "{shown}");
    running.terminate();
    assert_eq!(running.end().code, 0);
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn a_moment_to_wait_costs_no_attempt_of_the_item() {
    let server = Script::start(|n, _| match n {
        0..8 => Say::with(
            429,
            "retry-after-ms: 20",
            r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#,
        ),
        _ => Say::answer("ok"),
    });
    let overnight =
        Overnight::configured(&config(&server.base_url()).replace("timeout", "max_concurrency = 1\ntimeout"));
    let ran = overnight.work(job(), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    let attempts = overnight.rows("attempts");
    assert_eq!(attempts.iter().filter(|attempt| attempt["error_code"] == "rate_limited").count(), 8);
}

#[test]
fn resume_tells_a_running_daemon_that_it_is_mended() {
    let provider = provider();
    change(&provider, r#"{"no_credit_after":"$0"}"#);
    let overnight = Overnight::configured(&config(&provider.base_url()));
    assert_eq!(overnight.submit(job(), "").code, 0);
    let mut daemon = overnight.start("daemon");
    daemon.until("box stopped until you act");
    let id = overnight.job_id();
    let status = overnight.run("status").stdout;
    assert!(status.contains("no_route") || status.contains("quota"), "{status}");
    change(&provider, r#"{"reset":true}"#);
    assert_eq!(overnight.run(&format!("resume {id}")).code, 0);
    assert_eq!(overnight.run(&format!("wait {id} --timeout 30s")).code, 0);
    daemon.terminate();
    assert_eq!(daemon.end().code, 0);
    assert_eq!(overnight.rows("results").len(), 5);
}

/// The command under a shell's `ulimit`.
fn limited(overnight: &Overnight, ulimit: &str, line: &str) -> Command {
    let asserted = overnight.command(line);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{ulimit}; exec \"$0\" \"$@\"")]).arg(asserted.get_program());
    command.args(asserted.get_args()).current_dir(overnight.path()).env_clear();
    command.envs(asserted.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn with_few_files_to_open_fewer_calls_run_and_every_item_is_answered() {
    // The soft limit alone is raised, and nothing is said.
    for (ulimit, warnings) in [("ulimit -n 64", 1), ("ulimit -S -n 64", 0)] {
        let provider = provider();
        let config = config(&provider.base_url()).replace("timeout", "max_concurrency = 400\ntimeout");
        let overnight = Overnight::configured(&config);
        let job: String =
            (0..500).map(|n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"{n}\"}}\n")).collect();
        overnight.write("in.jsonl", job);
        let ran = Ran::of(&limited(&overnight, ulimit, "run in.jsonl").output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        let said = ran.stderr.matches("open files are limited, so 12 calls run at a time").count();
        assert_eq!(said, warnings, "{ulimit}: {}", ran.stderr);
        let totals = provider.summary().totals;
        assert_eq!((totals.requests, totals.billed_requests), (500, 500), "none was sent twice");
        let succeeded = overnight.rows("results").iter().filter(|row| row["status"] == "succeeded").count();
        assert_eq!((succeeded, overnight.rows("attempts").len()), (500, 500));
    }
}
