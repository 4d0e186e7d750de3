//! Jobs done by the real binary, against the simulated provider over real HTTP.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use overnight::money::Price;
use overnight::provider::simulated::{Config, Limits, Model};
use overnight::simulate::{self, Handle};

use crate::support::Overnight;

const RUN: &str = "--model sim/small --model sim/large --no-progress";

/// A folder with prompts and a config that knows a simulated provider.
fn with_provider(items: usize, provider: Config) -> (Overnight, Handle) {
    let overnight = Overnight::new();
    let handle = simulate::spawn(provider).unwrap();
    let config = format!(
        "[providers.sim]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         [models.\"sim/small\"]\nprice = {{ input = 0.15, output = 0.60 }}\nmax_output = 4096\n\
         [models.\"sim/large\"]\nprice = {{ input = 3, output = 15 }}\nmax_output = 4096\n",
        handle.base_url()
    );
    fs::write(overnight.path().join("overnight.toml"), config).unwrap();
    let mut file = fs::File::create(overnight.path().join("prompts.jsonl")).unwrap();
    for n in 0..items {
        writeln!(file, r#"{{"id":"p-{n}","prompt":"question {n}","max_tokens":100}}"#).unwrap();
    }
    (overnight, handle)
}

fn models(latency: Duration) -> Config {
    let model = |name: &str, input, output| Model {
        latency,
        ..Model::new(name, Price { input, output, ..Price::default() })
    };
    Config {
        models: vec![model("sim/small", 150_000, 600_000), model("sim/large", 3_000_000, 15_000_000)],
        ..Config::default()
    }
}

/// Starts the binary and leaves it running.
fn start(overnight: &Overnight, line: &str) -> Child {
    let command = overnight.command(line);
    let mut child = std::process::Command::new(command.get_program());
    child.args(line.split_whitespace()).current_dir(overnight.path()).env_clear();
    child.env("HOME", overnight.path()).env("TZ", "UTC").env("OVERNIGHT_STATE__DIR", overnight.path());
    child.env("OVERNIGHT_DAEMON__LISTEN", "127.0.0.1:0");
    child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Asks until the owner of the store answers as wanted.
fn until(overnight: &Overnight, mut wanted: impl FnMut(&mut overnight::control::Client) -> bool) {
    loop {
        if let Ok(Some(mut client)) = overnight::control::Client::connect(overnight.path())
            && wanted(&mut client)
        {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_file_is_answered_from_end_to_end() {
    let (overnight, provider) = with_provider(50, models(Duration::ZERO));
    let ran = overnight.run(&format!("run prompts.jsonl {RUN}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("50 items") && ran.stdout.contains("50 ok (100%)"), "{ran:?}");
    assert!(ran.stderr.contains("overnight results job_"), "{ran:?}");
    assert_eq!(provider.summary().totals.billed_requests, 50);
    let view = &overnight.run("status --json").json()["jobs"][0];
    assert_eq!((&view["state"], &view["counts"]["succeeded"]), (&"completed".into(), &50.into()));
    assert_eq!(overnight.run("wait prompts").code, 0);
    let again = overnight.run(&format!("run prompts.jsonl {RUN}"));
    assert_eq!(again.code, 0);
    assert_eq!(provider.summary().totals.requests, 50, "an answered file is not asked again");
}

#[test]
fn the_same_file_and_options_are_the_same_job() {
    let (overnight, _provider) = with_provider(5, models(Duration::ZERO));
    let submit = |more: &str| {
        let ran = overnight.run(&format!("submit prompts.jsonl {RUN} {more}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let first = submit("");
    assert_eq!(submit(""), first);
    assert_ne!(submit("--max-cost $1"), first);
    assert_ne!(submit("--again"), first);
    assert_eq!(overnight.run("status --json").json()["jobs"].as_array().unwrap().len(), 3);
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let slow = Config {
        account_limits: Limits { concurrency: Some(64), ..Limits::default() },
        ..models(Duration::from_millis(100))
    };
    let (overnight, provider) = with_provider(300, slow);
    let child = start(&overnight, &format!("run prompts.jsonl {RUN}"));
    until(&overnight, |client| {
        client.views().is_ok_and(|views| views.iter().any(|view| view.counts.succeeded > 0))
    });
    signal(&child, rustix::process::Signal::INT);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("overnight run --resume job_"), "{stderr}");
    let ran = overnight.run("run --resume prompts --no-progress");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("300 ok (100%)"), "{ran:?}");
    assert_eq!(provider.summary().totals.requests, 300, "answers on their way were taken");
}

#[test]
fn a_daemon_takes_jobs_over_and_is_the_only_one() {
    let (overnight, provider) = with_provider(40, models(Duration::ZERO));
    let daemon = start(&overnight, "daemon");
    until(&overnight, |_| true);
    let second = overnight.run("daemon");
    assert_eq!(second.code, 7, "{second:?}");
    assert!(second.stderr.contains("owned by process"), "{second:?}");
    let submitted = overnight.run(&format!("submit prompts.jsonl {RUN}"));
    assert_eq!(submitted.code, 0, "{submitted:?}");
    assert!(!submitted.stderr.contains("no daemon"), "{submitted:?}");
    assert_eq!(overnight.run(&format!("submit prompts.jsonl {RUN}")).stdout, submitted.stdout);
    assert_eq!(overnight.run("wait prompts").code, 0);
    let beside = overnight.run(&format!("run prompts.jsonl --again {RUN}"));
    assert_eq!(beside.code, 0, "{beside:?}");
    assert_eq!(provider.summary().totals.billed_requests, 80);
    signal(&daemon, rustix::process::Signal::TERM);
    let output = daemon.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_change_without_an_owner_is_kept_for_the_next_one() {
    let (overnight, provider) = with_provider(5, models(Duration::ZERO));
    assert_eq!(overnight.run(&format!("submit prompts.jsonl {RUN}")).code, 0);
    assert_eq!(overnight.run("pause prompts").code, 0);
    assert_eq!(overnight.run("status prompts --json").json()["job"]["paused"], true);
    assert_eq!(overnight.run("cancel prompts").code, 0);
    assert_eq!(overnight.run("daemon --drain").code, 0);
    assert_eq!(overnight.run("status prompts --json").json()["job"]["state"], "cancelled");
    assert_eq!(provider.summary().totals.requests, 0);
    assert_eq!(overnight.run("wait prompts").code, 3);
}

#[test]
fn without_a_key_nothing_is_queued_but_a_plan_is_made() {
    let overnight = Overnight::new();
    fs::write(overnight.path().join("a.jsonl"), "{\"prompt\":\"hello\"}\n").unwrap();
    for (line, said) in [
        ("submit a.jsonl --model openai/gpt-5-mini", "set OPENAI_API_KEY"),
        ("run a.jsonl --model openai/gpt-5-mini", "set OPENAI_API_KEY"),
        ("submit a.jsonl", "OPENAI_API_KEY"),
        ("submit a.jsonl --model nobody-serves-this", "no provider serves"),
    ] {
        let ran = overnight.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{line}: {ran:?}");
        assert!(ran.stderr.starts_with("error[no_route]: ") && ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!(overnight.run("status --json").json()["jobs"].as_array().unwrap().len(), 0);
    let plan = overnight.run("plan a.jsonl --model openai/gpt-5-mini --rehearse");
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(plan.stdout.contains("set OPENAI_API_KEY") && plan.stdout.contains("rehearsed 1 ok"), "{plan:?}");
    let missed = overnight.run("plan a.jsonl --model openai/gpt-5-mini --rehearse --deadline 1s");
    assert_eq!(missed.code, 8, "{missed:?}");
}

#[test]
fn bad_lines_are_reported_together_or_left_out() {
    let (overnight, _provider) = with_provider(0, models(Duration::ZERO));
    let lines =
        "{\"prompt\":\"a\"}\n{\"prompt\":\n{\"prompt\":\"b\",\"overnight\":{\"check\":{\"regex\":\"(\"}}}\n";
    fs::write(overnight.path().join("prompts.jsonl"), lines).unwrap();
    let ran = overnight.run(&format!("submit prompts.jsonl {RUN}"));
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{ran:?}");
    assert!(ran.stderr.contains("2 of 3 lines") && ran.stderr.contains("line 2"), "{ran:?}");
    assert!(ran.stderr.contains("line 3: `check`: the pattern ( makes no sense"), "{ran:?}");
    assert_eq!(overnight.run("status --json").json()["jobs"].as_array().unwrap().len(), 0);
    let left_out = overnight.run(&format!("submit prompts.jsonl {RUN} --skip-bad"));
    assert_eq!(left_out.code, 0, "{left_out:?}");
    let rejected = fs::read_to_string(overnight.path().join("prompts.rejected.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 2);
    assert_eq!(overnight.run("status --json").json()["jobs"][0]["items"], 1);
    assert_eq!(overnight.run("submit nowhere.jsonl --model sim/small").code, 4);
}

#[test]
fn a_sample_is_spread_over_the_file() {
    let (overnight, provider) = with_provider(100, models(Duration::ZERO));
    let ran = overnight.run(&format!("run prompts.jsonl --sample 7 {RUN}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(provider.summary().totals.requests, 7);
}

#[test]
fn the_demo_does_the_whole_job_without_a_key() {
    let overnight = Overnight::new();
    let ran = overnight.run("demo --no-progress");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("200 items in")
            && ran.stdout.contains("sim/large")
            && ran.stdout.contains("duckdb -c"),
        "{ran:?}"
    );
    assert!(overnight.path().join("overnight-demo/results/manifests").is_dir());
}
