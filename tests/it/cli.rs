//! Verbs, flags, streams and exit codes of the binary.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use overnight::control::Request;
use overnight::job::JobId;
use overnight::record::JobChange;
use overnight::view::JobView;

use crate::support::{Overnight, Ran};

/// A job with nothing but what a test gives it.
fn job(id: &str, name: &str, state: &str) -> JobView {
    serde_json::from_value(serde_json::json!({
        "job_id": id, "name": name, "state": state, "paused": false,
        "submitted_at": "2026-11-20T08:00:00Z", "deadline_at": null, "items": 10,
        "counts": { "pending": 4, "running": 2, "held": 0, "succeeded": 3, "failed": 1, "expired": 0, "cancelled": 0 },
        "waiting": { "rate_limit": 4 }, "waiting_for": null, "waiting_until": null,
        "cost_usd": 0.5, "cost_pico_usd": 500_000_000_000u64, "reserved_usd": 0.0, "max_cost_usd": 2.0,
        "list_cost_usd": 0.5, "attempts": 7, "unknown_attempts": 0, "input_tokens": 0, "output_tokens": 0,
        "per_minute": null, "eta": null, "first_sent_at": "2026-11-20T08:01:00Z", "finished_at": null,
        "failures": { "not_json": 1 }, "routes": [], "retry_of": null
    }))
    .unwrap()
}

fn finished(id: &str, name: &str, failed: u32) -> JobView {
    let mut view = job(id, name, "completed");
    view.finished_at = Some("2026-11-20T09:00:00Z".parse().unwrap());
    view.counts = overnight::ledger::Counts { succeeded: 10 - failed, failed, ..Default::default() };
    view.waiting.clear();
    view
}

const RUNNING: &str = "job_aaaaaaaa";
const OVER: &str = "job_bbbbbbbb";

#[test]
fn help_names_every_verb_and_every_exit_code_and_needs_nothing() {
    let ran = Overnight::new().run("--help");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for verb in [
        "demo",
        "init",
        "plan",
        "submit",
        "run",
        "daemon",
        "simulate",
        "status",
        "watch",
        "wait",
        "items",
        "show",
        "results",
        "report",
        "retry",
        "cancel",
        "pause",
        "resume",
        "providers",
        "models",
        "windows",
        "prices",
        "config",
        "doctor",
        "completions",
        "man",
        "gc",
    ] {
        assert!(ran.stdout.contains(&format!("\n  {verb} ")), "{verb} is missing:\n{}", ran.stdout);
    }
    for line in ["\n    0  done", "\n    8  the deadline", "\n  124  wait --timeout", "\n  130  interrupted"]
    {
        assert!(ran.stdout.contains(line), "{line:?} is missing:\n{}", ran.stdout);
    }
}

#[test]
fn every_verb_has_help() {
    let overnight = Overnight::new();
    for verb in
        ["submit", "run", "plan", "estimate", "serve", "wait", "results", "config show", "prices show"]
    {
        let ran = overnight.run(&format!("{verb} --help"));
        assert_eq!(ran.code, 0, "{verb}");
        assert!(ran.stdout.contains("Usage: overnight"), "{verb}");
    }
}

#[test]
fn no_arguments_show_help_and_are_a_mistake() {
    let ran = Overnight::new().run("");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("Usage: overnight"));
}

#[test]
fn wrong_flags_say_what_would_be_right() {
    let overnight = Overnight::new();
    for (line, said) in [
        ("sbmit a.jsonl", "'submit'"),
        ("submit a.jsonl --max-cots 5", "'--max-cost'"),
        ("submit a.jsonl --deadline sometime", "06:00"),
        ("submit a.jsonl --when soon", "off-peak"),
        ("items job_aaaaaaaa --reason nonsense", "schema_mismatch"),
        ("run", "<FILE>"),
    ] {
        let ran = overnight.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{line}");
        assert!(ran.stderr.contains(said), "{line}: {}", ran.stderr);
    }
}

#[test]
fn with_json_wrong_flags_are_a_document_too() {
    let ran = Overnight::new().run("--json submit a.jsonl --priority 200");
    assert_eq!(ran.code, 2);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "usage");
    assert_eq!(error["error"]["exit"], 2);
    assert!(error["error"]["message"].as_str().unwrap().contains("200"));
}

#[test]
fn colour_is_on_a_terminal_only_and_can_be_forced() {
    let overnight = Overnight::new();
    let coloured = |line: &str, no_color: &str| {
        let output = overnight.command(line).env("NO_COLOR", no_color).output().unwrap();
        output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b)
    };
    assert!(!coloured("status", ""));
    assert!(coloured("status --color always", "1"));
    assert!(coloured("--color=always --help", ""));
    assert!(!coloured("status --color never", ""));
}

#[test]
fn completions_know_the_verbs_of_every_shell() {
    let overnight = Overnight::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = overnight.run(&format!("completions {shell}"));
        assert_eq!(ran.code, 0, "{shell}");
        assert!(ran.stdout.contains("submit") && ran.stdout.contains("--max-cost"), "{shell}");
    }
}

#[test]
fn man_writes_a_page_a_verb() {
    let overnight = Overnight::new();
    let ran = overnight.run("man pages/man1");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    let page = |name: &str| fs::read_to_string(overnight.path().join("pages/man1").join(name)).unwrap();
    assert!(page("overnight.1").contains("Exit codes"));
    assert!(page("overnight-submit.1").contains("max\\-cost"));
    assert!(page("overnight-config-show.1").contains("overnight"));
}

#[test]
fn init_writes_three_files_and_overwrites_none() {
    let overnight = Overnight::new();
    let ran = overnight.run("init night");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let read = |name: &str| fs::read_to_string(overnight.path().join("night").join(name)).unwrap();
    let config: toml::Table = read("overnight.toml").parse().unwrap();
    assert!(config.contains_key("defaults"));
    for line in read("prompts.jsonl").lines() {
        let item: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(item["id"].is_string());
    }
    assert!(read(".gitignore").contains("overnight-results"));
    fs::remove_file(overnight.path().join("night/prompts.jsonl")).unwrap();
    let again = overnight.run("init night");
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("already there: night/overnight.toml, night/.gitignore"),
        "{}",
        again.stderr
    );
    assert!(!overnight.path().join("night/prompts.jsonl").exists(), "all or nothing");
}

#[test]
fn the_systemd_unit_is_printed_and_hardened() {
    let overnight = Overnight::new();
    let ran = overnight.run("init --service");
    assert_eq!(ran.code, 0);
    for line in [
        "DynamicUser=yes",
        "StateDirectory=overnight",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryMax=",
    ] {
        assert!(ran.stdout.contains(&format!("\n{line}")), "{line}");
    }
    assert_eq!(fs::read_dir(overnight.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn status_shows_all_jobs_or_one() {
    let overnight = Overnight::new();
    let _owner =
        overnight.owned_with(vec![job(RUNNING, "reviews", "in_progress"), finished(OVER, "triage", 0)]);
    insta::assert_snapshot!(overnight.run("status").stdout, @"
    JOB           NAME     STATE         DONE  FAILED  WAITING FOR  SPENT / CAP    DEADLINE
    job_bbbbbbbb  triage   completed    10/10       0  -            $0.50 / $2.00  -
    job_aaaaaaaa  reviews  in_progress   4/10       1  rate_limit   $0.50 / $2.00  -
    ");
    let one = overnight.run("status reviews").stdout;
    assert!(
        one.starts_with("reviews  job_aaaaaaaa  in_progress  4/10 done (40%)\n  ok 3   failed 1   running 2"),
        "{one}"
    );
    let document = overnight.run("status --json").json();
    assert_eq!(document["schema"], "overnight.status/1");
    assert_eq!(document["jobs"][0]["job_id"], RUNNING);
    assert_eq!(document["jobs"][0]["submitted_at"], "2026-11-20T08:00:00Z");
    assert_eq!(overnight.run("status --json bbbbbb").json()["job"]["state"], "completed");
}

#[test]
fn what_users_and_providers_write_cannot_command_the_terminal() {
    let overnight = Overnight::new();
    let mut view = job(RUNNING, "\u{1b}[2J\u{202e}evil\nname", "in_progress");
    view.waiting_for = Some("\u{9b}31mkey rejected".into());
    let _owner = overnight.owned_with(vec![view]);
    for line in ["status", "status aaaaaaaa", "--color always status"] {
        let ran = overnight.run(line);
        let text = ran.stdout.replace("\u{1b}[", "").replace("\\x1b[2J\\u{202e}evil\\nname", "SHOWN");
        assert!(text.contains("SHOWN"), "{text}");
        assert!(!ran.stdout.contains("\u{1b}[2J") && !ran.stdout.contains(['\u{202e}', '\u{9b}']), "{line}");
    }
}

#[test]
fn a_job_that_is_not_there_is_exit_9() {
    let overnight = Overnight::new();
    let _owner = overnight.owned_with(vec![job(RUNNING, "reviews", "in_progress")]);
    for line in ["status job_zzzzzzzz", "cancel nothing", "wait job_zz", "watch x"] {
        let ran = overnight.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (9, ""), "{line}");
        assert!(ran.stderr.starts_with("error[no_such_job]: "), "{}", ran.stderr);
    }
    let json = overnight.run("--json status job_zzzzzzzz");
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_such_job");
    assert_eq!((json.code, error["error"]["exit"].as_i64()), (9, Some(9)));
}

#[test]
fn wait_tells_by_its_exit_code_how_a_job_ended() {
    let overnight = Overnight::new();
    let mut late = finished("job_cccccccc", "late", 0);
    late.counts.expired = 1;
    let mut capped = finished("job_dddddddd", "capped", 2);
    capped.failures.insert("max_cost".into(), 2);
    let views = vec![finished(OVER, "good", 0), finished("job_eeeeeeee", "bad", 3), late, capped];
    let _owner = overnight.owned_with(views);
    let code = |job: &str| overnight.run(&format!("wait {job}")).code;
    assert_eq!([code("good"), code("bad"), code("late"), code("capped")], [0, 3, 8, 5]);
}

#[test]
fn wait_goes_on_until_the_job_is_over_and_no_longer_than_it_may() {
    let overnight = Overnight::new();
    let mut asked = 0;
    let owner = overnight.owned(move |_| {
        asked += 1;
        let view =
            if asked < 4 { job(RUNNING, "reviews", "in_progress") } else { finished(RUNNING, "reviews", 1) };
        overnight::control::Response::Views(vec![view])
    });
    let ran = overnight.run("wait reviews");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stdout.contains("10/10 (100%)"), "{ran:?}");
    drop(owner);
    let _owner = overnight.owned_with(vec![job(RUNNING, "reviews", "in_progress")]);
    let ran = overnight.run("wait reviews --timeout 0s");
    assert_eq!(ran.code, 124);
    assert!(ran.stderr.starts_with("error[timeout]: "), "{ran:?}");
}

#[test]
fn watch_prints_a_line_of_json_for_every_change() {
    let overnight = Overnight::new();
    let mut asked = 0;
    let _owner = overnight.owned(move |_| {
        asked += 1;
        let mut view = job(RUNNING, "reviews", "in_progress");
        view.attempts = asked;
        let view = if asked < 4 { view } else { finished(RUNNING, "reviews", 1) };
        overnight::control::Response::Views(vec![view])
    });
    let ran = overnight.run("watch reviews --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    assert!(lines.iter().all(|line| line["schema"] == "overnight.watch/1"));
    assert_eq!(lines[2]["job"]["state"], "completed");
}

#[test]
fn in_a_pipe_watch_writes_plain_lines_to_stderr() {
    let overnight = Overnight::new();
    let mut asked = 0;
    let _owner = overnight.owned(move |_| {
        asked += 1;
        let view =
            if asked < 4 { job(RUNNING, "reviews", "in_progress") } else { finished(RUNNING, "reviews", 1) };
        overnight::control::Response::Views(vec![view])
    });
    let ran = overnight.run("watch reviews");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'));
}

#[test]
fn pause_resume_and_cancel_reach_the_owner_in_order() {
    let overnight = Overnight::new();
    let owner =
        overnight.owned_with(vec![job(RUNNING, "reviews", "in_progress"), finished(OVER, "triage", 0)]);
    let ran = overnight.run("pause reviews");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "job_aaaaaaaa  paused, nothing more is sent; 2 answers on their way are still taken\n"
    );
    assert_eq!(overnight.run("resume reviews --max-cost $8").code, 0);
    assert_eq!(overnight.run("cancel reviews --json").json()["schema"], "overnight.cancel/1");
    let over = overnight.run("cancel triage");
    assert_eq!(over.code, 2);
    assert!(over.stderr.contains("already over"), "{}", over.stderr);
    let heard = owner.heard.lock().unwrap();
    let changes: Vec<&JobChange> = heard
        .iter()
        .filter_map(|request| match request {
            Request::Change { job, change } if *job == JobId::new(RUNNING) => Some(change),
            _ => None,
        })
        .collect();
    let cap = JobChange::MaxCost(Some("$8".parse().unwrap()));
    assert_eq!(changes, [&JobChange::Paused, &cap, &JobChange::Resumed, &JobChange::Cancelled]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let overnight = Overnight::new();
    let views = (0..2_000).map(|n| job(&format!("job_{n:08}"), "reviews", "in_progress")).collect();
    let _owner = overnight.owned_with(views);
    let program = overnight.command("status").get_program().to_owned();
    let mut child = std::process::Command::new(program)
        .args(["status", "--state-dir"])
        .arg(overnight.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn quiet_says_nothing_beside_the_data() {
    let overnight = Overnight::new();
    let Ran { code, stdout, stderr } = overnight.run("man pages -q");
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
}

/// A price list on a loopback server that answers once, or with 304 to whoever has it already.
fn list_server(body: &'static str) -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/list.json", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let has_it = head.iter().any(|line| line.eq_ignore_ascii_case("if-none-match: \"one\""));
            let answer = match has_it {
                true => "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned(),
                false => format!(
                    "HTTP/1.1 200 OK\r\netag: \"one\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

const OPENROUTER: &str = include_str!("../data/prices/openrouter.json");

#[test]
fn a_price_list_is_fetched_kept_and_held_against_what_is_in_use() {
    let overnight = Overnight::new();
    let nothing = overnight.run("prices diff");
    assert_eq!(nothing.code, 9, "{}", nothing.stderr);
    assert!(nothing.stderr.contains("overnight prices update --from litellm"), "{}", nothing.stderr);

    let url = list_server(OPENROUTER);
    for (unchanged, state) in [(false, "new"), (true, "unchanged")] {
        let ran = overnight.run(&format!("prices update --from openrouter --url {url} --json"));
        assert_eq!(ran.code, 0, "{state}: {}", ran.stderr);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (&told["schema"], &told["unchanged"]),
            (&"overnight.prices-update/1".into(), &unchanged.into())
        );
        assert_eq!((&told["models"], &told["problems"]), (&13.into(), &serde_json::json!([])));
    }
    // What is served there now has the price of its own list, hours and all.
    let shown = overnight.run("prices show openrouter/deepseek/deepseek-v4-pro");
    assert!(shown.stdout.contains("peak") && shown.stdout.contains("source: openrouter"), "{}", shown.stdout);

    let litellm = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/prices/litellm.json");
    let ran = overnight.run(&format!("prices update --from litellm --file {litellm} --as-of 2026-11-21"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("123 models"), "{}", ran.stdout);
    let diff = overnight.run("prices diff --json");
    let told: serde_json::Value = serde_json::from_str(&diff.stdout).unwrap();
    assert_eq!(
        (&told["schema"], told["lists"].as_array().map(Vec::len)),
        (&"overnight.prices-diff/1".into(), Some(2))
    );

    let wrong = overnight.run(&format!("prices update --from openrouter --file {litellm}"));
    assert_eq!(wrong.code, 4, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("nothing was changed"), "{}", wrong.stderr);
}

#[test]
fn a_model_in_use_without_a_price_fails_the_verification() {
    let overnight = Overnight::new();
    let well = overnight.run("prices verify openai/gpt-5.4-mini --json");
    assert_eq!(well.code, 0, "{}", well.stderr);
    let told: serde_json::Value = serde_json::from_str(&well.stdout).unwrap();
    assert_eq!((&told["schema"], &told["ok"]), (&"overnight.prices-verify/1".into(), &true.into()));
    assert_eq!(told["in_use"], serde_json::json!(["openai/gpt-5.4-mini"]));
    let unpriced = overnight.run("prices verify openai/gpt-unheard-of");
    assert_eq!(unpriced.code, 6, "{}", unpriced.stdout);
    assert!(unpriced.stdout.contains("no price"), "{}", unpriced.stdout);
}
