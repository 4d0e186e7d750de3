//! `plan` as a user meets it: before a job, with a sample of it, and after it.

use std::fmt::Write as _;
use std::fs;

use crate::readme::Simulator;
use crate::support::{Overnight, Ran};

const RUN: &str = "--model sim/small --model sim/large --check contains:e";

struct Desk {
    overnight: Overnight,
    simulator: Simulator,
}

impl Desk {
    fn new(items: usize) -> Desk {
        let overnight = Overnight::new();
        let mut lines = String::new();
        for item in 0..items {
            let padding = "word ".repeat(item % 17);
            writeln!(lines, r#"{{"prompt":"Say no. {item}: {padding}","max_tokens":200}}"#).unwrap();
        }
        fs::write(overnight.path().join("words.jsonl"), lines).unwrap();
        Desk { overnight, simulator: Simulator::start() }
    }

    fn run(&self, line: &str) -> Ran {
        let mut command = self.overnight.command(line);
        Ran::of(&command.env("OVERNIGHT_PROVIDERS__SIM__BASE_URL", &self.simulator.1).output().unwrap())
    }
}

#[test]
fn a_sample_is_answered_only_when_allowed_and_is_kept() {
    let desk = Desk::new(120);
    let refused = desk.run(&format!("plan words.jsonl {RUN} --sample 30"));
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(refused.stderr.contains("at most $") && refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(desk.run("status --json").json()["jobs"].as_array().unwrap().len(), 0);

    let planned = desk.run(&format!("plan words.jsonl {RUN} --sample 30 --yes --json"));
    assert_eq!(planned.code, 0, "{planned:?}");
    let plan = &planned.json()["plans"][0];
    assert_eq!((plan["items"].as_u64(), plan["sample"]["items"].as_u64()), (Some(120), Some(30)));
    assert_eq!(plan["output_tokens_basis"], "measured");
    assert_eq!(plan["ladders"][0]["routes"][0]["pass_rate_basis"], "measured");
    let money = |key: &str| plan[key].as_f64().unwrap();
    assert!(money("expected_low_usd") <= money("expected_usd"), "{plan}");
    assert!(money("expected_usd") <= money("expected_high_usd"), "{plan}");
    let paid = plan["sample"]["cost_usd"].as_f64().unwrap();
    assert!(paid > 0.0, "{plan}");

    // The same sample is not paid for twice; its answers are a job's like any other.
    let again = desk.run(&format!("plan words.jsonl {RUN} --sample 30 --yes --json"));
    assert_eq!(again.json()["plans"][0]["sample"]["cost_usd"].as_f64(), Some(paid), "{again:?}");
    let jobs = desk.run("status --json").json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(jobs["jobs"][0]["name"], "words (sample)");
    assert_eq!(jobs["jobs"][0]["items"], 30);
}

#[test]
fn a_job_that_is_over_is_played_again_under_other_terms() {
    let desk = Desk::new(60);
    let ran = desk.run(&format!("run words.jsonl {RUN}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let play = |terms: &[&str]| {
        let mut command = desk.overnight.command("plan --replay words --json");
        command.args(terms.iter().flat_map(|term| ["--with", term]));
        let ran = Ran::of(&command.output().unwrap());
        assert_eq!(ran.code, 0, "{terms:?}: {ran:?}");
        ran.json()["replay"].clone()
    };
    let same = play(&[]);
    assert_eq!((same["guessed"].as_u64(), same["items"].as_u64()), (Some(0), Some(60)));
    let (paid, replayed) = (same["paid_usd"].as_f64().unwrap(), same["replayed_usd"].as_f64().unwrap());
    assert!((paid - replayed).abs() < 1e-9, "{same}");
    let large = play(&["ladder=sim/large"]);
    assert!(
        large["replayed_usd"].as_f64().unwrap() > 3.0 * paid && large["guessed"].as_u64() > Some(30),
        "{large}"
    );
    let capped = play(&["ladder=sim/large", "max_cost=$0.0001"]);
    assert!(capped["unsent"].as_u64() > Some(0), "{capped}");
    let wrong = desk.run("plan --replay words --with colour=blue");
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn a_deadline_that_cannot_be_met_is_said_at_once() {
    let overnight = Overnight::new();
    let lines: String = (0..20_000).map(|n| format!("{{\"prompt\":\"{n}\"}}\n")).collect();
    fs::write(overnight.path().join("many.jsonl"), lines).unwrap();
    let late = overnight.run("plan many.jsonl --model sim/small --deadline 1m --json");
    assert_eq!(late.code, 8, "{late:?}");
    let impossible = &late.json()["plans"][0]["impossible"];
    let fits = impossible["items_that_fit"].as_u64().unwrap();
    assert!((1..20_000).contains(&fits) && impossible["earliest_finish_at"].is_string(), "{late:?}");
    let early = overnight.run("plan many.jsonl --model sim/small --deadline 8h");
    assert_eq!(early.code, 0, "{early:?}");
}
