//! Twenty thousand items in the batches of three providers, with faults and `kill -9`: one result row for
//! each item, no batch made twice, and both books say the same.
//!
//! A moment to kill at is an event: so many batches were made, so many are over, so many lines were answered.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use overnight::money::Price;
use overnight::provider::simulated::batch::Batch;
use overnight::provider::simulated::{BatchConfig, BatchFault, BatchFaultRates, Config, Model};
use overnight::simulate::{self, Handle};

use crate::books::{Matched, Ours};
use crate::reviews;
use crate::support::Overnight;

const ITEMS: i64 = 20_000;
const JOBS: i64 = 3;

/// Who serves a job: its name, kind and address.
const LABS: [(&str, &str, &str); 3] =
    [("oai", "openai", "/v1"), ("ant", "anthropic", "/v1"), ("goo", "gemini", "/v1beta")];

#[test]
fn twenty_thousand_items_in_three_providers_batches_survive_faults_and_kills() {
    let provider = simulate::spawn(provider()).unwrap();
    let overnight = Overnight::new();
    overnight.write("overnight.toml", config(&provider));
    write_jobs(&overnight);
    for (lab, ..) in LABS {
        let queued = overnight.run(&format!("submit {lab}.jsonl --model {lab}/m --deadline 8h --json"));
        assert_eq!(queued.code, 0, "{queued:?}");
    }
    let night = Night { overnight: &overnight, provider: &provider };
    let is_over = |batch: &&Batch| batch.stage.is_over();
    let over = |batches: &[Batch]| batches.iter().filter(is_over).count();
    night.live_until(|batches, _| !batches.is_empty());
    night.live_until(|batches, _| batches.len() >= 9);
    night.live_until(|batches, _| over(batches) >= 6);
    night.live_until(|_, lines| lines >= 5_000);
    night.live_until(|_, lines| lines >= 12_000);
    let ended = night.start().wait().unwrap();
    assert!(matches!(ended.code(), Some(0 | 3)), "{ended}: {}", night.said());

    let (ours, log) = (Ours::read(&overnight.path().join("overnight-results")), provider.log());
    let names: BTreeSet<&str> = ours.results.iter().map(|row| &*row.custom_id).collect();
    assert_eq!((ours.results.len() as i64, names.len() as i64), (ITEMS, ITEMS), "one row for each item");
    let matched = Matched::new(&ours, &log);
    matched.settle();
    for attempt in &matched.unsent {
        let said = attempt.error_code.as_deref();
        let is_unsent = attempt.is_orphan() || matches!(said, Some("cancelled" | "batch_expired"));
        assert!(is_unsent, "it is billed or lost, and nobody saw it: {attempt:?}");
    }
    no_line_is_in_two_batches(&provider.batches());
    let in_batches = log.iter().filter(|line| line.batch.is_some()).count();
    assert!(in_batches as i64 * 2 >= ITEMS, "most went out in batches: {in_batches}");
}

/// The same store in the course of many lives.
struct Night<'a> {
    overnight: &'a Overnight,
    provider: &'a Handle,
}

impl Night<'_> {
    fn start(&self) -> Child {
        self.overnight.spawn("daemon --drain", "stderr")
    }

    /// Lives until this is so, and dies at once.
    fn live_until(&self, is_now: impl Fn(&[Batch], usize) -> bool) {
        let mut child = self.start();
        while !is_now(&self.provider.batches(), self.provider.log().len()) {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended by itself ({status}): {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.overnight.path().join("stderr")).unwrap()
    }
}

/// Every line is named by its attempt: one that was in two batches was sent twice.
fn no_line_is_in_two_batches(batches: &[Batch]) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for batch in batches {
        let ids: BTreeSet<&str> = batch.results.iter().map(|result| &*result.id).collect();
        let ours = ids.into_iter().filter(|id| id.starts_with("ovn-") && !id.starts_with("ovn-ffffffff"));
        for id in ours {
            assert!(seen.insert(id), "{id} was in two batches");
        }
        assert!(batch.stage.is_over(), "a batch is left: {}", batch.number);
    }
}

fn provider() -> Config {
    let rates = [
        (BatchFault::LostCreate, 0.2),
        (BatchFault::Expires, 0.1),
        (BatchFault::WrongCounts, 0.2),
        (BatchFault::Missing, 0.2),
        (BatchFault::Foreign, 0.2),
        (BatchFault::Double, 0.2),
        (BatchFault::Cut, 0.4),
        (BatchFault::Late, 0.2),
    ];
    Config {
        seed: 4,
        models: vec![Model {
            latency: Duration::from_millis(20),
            ..Model::new("m", Price { input: 100_500, output: 400_500, ..Price::default() })
        }],
        batches: BatchConfig {
            duration: Duration::from_secs(4),
            window: Duration::from_secs(20),
            faults: BatchFaultRates::new(&rates),
            ..BatchConfig::default()
        },
        ..Config::default()
    }
}

fn config(provider: &Handle) -> String {
    let labs = LABS.map(|(name, kind, prefix)| {
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"http://{}{prefix}\"\n\
             lanes = [\"realtime\", \"batch\"]\nbatch = {{}}\n\n\
             [models.\"{name}/m\"]\nprice = {{ input = 0.1005, output = 0.4005 }}\n\
             batch = {{ multiply = 0.5 }}\n\
             context = 128_000\nmax_output = 16_384\n\n",
            provider.address()
        )
    });
    labs.concat()
}

fn write_jobs(overnight: &Overnight) {
    reviews::write(overnight.path(), ITEMS);
    let all = std::fs::read_to_string(overnight.path().join("reviews.jsonl")).unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let part = lines.len().div_ceil(JOBS as usize);
    for ((lab, ..), lines) in LABS.iter().zip(lines.chunks(part)) {
        overnight.write(&format!("{lab}.jsonl"), lines.join("\n"));
    }
}
