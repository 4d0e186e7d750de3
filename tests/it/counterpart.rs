//! The main job against a provider that keeps books of its own.
//!
//! Ten thousand reviews are judged through real HTTP while one in sixteen requests goes wrong, one
//! answer in twenty does not fit the schema, and the cheapest model takes only so many a minute. In the
//! morning our Parquet files and the provider's log must tell the same story, attempt by attempt and
//! pico-dollar by pico-dollar.
//!
//! What makes it honest: the simulator bills by its own price list and token counts, keeps its log
//! apart from us, and answers on a real socket; prices are such that nano-dollars have to be rounded.
//! What makes it quick: answers take 100 ms, not seconds, and refusals ask for waits of 50 ms.

use std::time::Duration;

use overnight::clock::{self, Timestamp};
use overnight::job::Wire;
use overnight::money::Price;
use overnight::provider::simulated::{
    Admission, ClientId, Config, Fault, FaultRates, Faults, Limits, Line, Model, Prompt, Request, Wanted,
};
use overnight::simulate::{self, Handle};

use crate::books::{Attempt, Matched, Ours};
use crate::judges::Judges;
use crate::reviews;
use crate::support::Overnight;

const ITEMS: i64 = 10_000;
const PARALLEL: u32 = 64;
const KEY: &str = "the-key";
/// Requests a minute that the cheapest model takes from one key.
const NARROW_RPM: u64 = 600;
/// So many of them were used up by another program with the same key, 50 seconds ago.
const USED_BY_OTHERS: u64 = 550;

#[test]
fn ten_thousand_items_cost_what_the_provider_says() {
    let provider = simulate::spawn(provider()).unwrap();
    let overnight = Overnight::new();
    reviews::write(overnight.path(), ITEMS);
    overnight.write("overnight.toml", config(&provider.base_url()));

    let queued =
        overnight.run_with_key("submit reviews.jsonl --check schema:review.schema.json --json", KEY).json();
    // Only now: its minute goes on while we begin.
    another_program_used_most_of_a_minute(&provider);
    let resume = format!("run --resume {} -q --json", queued["jobs"][0]["job_id"].as_str().unwrap());
    let ran = overnight.run_with_key(&resume, KEY);
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let (log, job) = (provider.log(), ran.json()["jobs"][0].clone());
    let results = overnight.path().join("overnight-results");
    let ours = Ours::read(&results);

    ours.has_each_item_once(ITEMS, reviews::name);
    let seen = Judges::start().look(&results);
    assert_eq!((seen.results, seen.attempts), (ITEMS as u64, ours.attempts.len() as u64));
    assert_eq!(seen.attempts_cost_nano, ours.attempts.iter().map(|attempt| attempt.cost_nano).sum::<i64>());
    let failed: Vec<_> = ours.results.iter().filter(|result| result.status != "succeeded").collect();
    assert!(failed.len() < 300, "{} failed, such as {:?}", failed.len(), failed[0]);

    let matched = Matched::new(&ours, &log);
    all_faults_came(&matched);
    for attempt in &matched.unsent {
        assert_eq!(
            (attempt.status.as_str(), attempt.cost_nano),
            ("cancelled", 0),
            "never arrived: {attempt:?}"
        );
    }
    the_provider_can_multiply(&log);
    let known = matched.settle();
    matched.settle_items(&ours);

    let manifest = manifest(&overnight, job["job_id"].as_str().unwrap());
    let totals = &manifest["totals"];
    assert_eq!(pico(&totals["known_cost_pico_usd"]), known.pico(), "to the pico-dollar");
    assert_eq!(pico(&totals["cost_pico_usd"]), pico(&job["cost_pico_usd"]));
    let unknown: Vec<&Attempt> = ours.attempts.iter().filter(|attempt| !attempt.is_known()).collect();
    let estimated: i64 = unknown.iter().map(|attempt| attempt.cost_nano).sum();
    // Each of them is rounded once.
    let rounding = unknown.len() as i128 * 500;
    let difference = pico(&totals["cost_pico_usd"]) - known.pico() - i128::from(estimated) * 1_000;
    assert!(difference.abs() <= rounding, "{difference} pico-dollars are in no row");

    limits_taught_once(&matched, &log);
    assert!(provider.summary().most_in_flight <= PARALLEL);
}

/// Two cheap models, of which the cheaper takes few requests a minute, and a stronger one.
fn provider() -> Config {
    // One token costs an odd number of half nano-dollars, so that sums have to be rounded both ways.
    let price =
        |input, output, cache_read| Price { input, output, cache_read: Some(cache_read), ..Price::default() };
    let model = |name: &str, price, pass_rate| Model {
        pass_rate,
        latency: Duration::from_millis(100),
        latency_spread: 1.2,
        cached_share: 0.3,
        reasoning_share: 0.2,
        ..Model::new(name, price)
    };
    let mut narrow = model("narrow", price(100_500, 400_500, 10_050), 0.95);
    narrow.limits = Limits { rpm: Some(NARROW_RPM), ..Limits::default() };
    let rates = [
        (Fault::RateLimited, 0.02),
        (Fault::ServerError, 0.01),
        (Fault::Overloaded, 0.01),
        (Fault::ResetBilled, 0.01),
        (Fault::Garbage, 0.01),
    ];
    Config {
        seed: 20_261_121,
        models: vec![
            narrow,
            model("wide", price(150_500, 600_500, 15_050), 0.95),
            model("strong", price(2_000_500, 10_000_500, 200_050), 0.995),
        ],
        keys: [KEY.to_owned()].into(),
        faults: Faults {
            rates: FaultRates::new(&rates).unwrap(),
            retry_after: Duration::from_millis(50),
            ..Faults::default()
        },
        ..Config::default()
    }
}

fn config(base_url: &str) -> String {
    format!(
        r#"
[defaults]
models = [["lab/narrow", "lab/wide"], "lab/strong"]
when = "asap"

[providers.lab]
kind = "openai"
base_url = "{base_url}"
api_key = "env:LAB_KEY"
max_concurrency = {PARALLEL}

[models."lab/narrow"]
price = {{ input = 0.1005, output = 0.4005, cache_read = 0.01005 }}
context = 128_000
max_output = 16_384

[models."lab/wide"]
price = {{ input = 0.1505, output = 0.6005, cache_read = 0.01505 }}
context = 128_000
max_output = 16_384

[models."lab/strong"]
price = {{ input = 2.0005, output = 10.0005, cache_read = 0.20005 }}
context = 128_000
max_output = 16_384
"#
    )
}

/// The window of the narrow model is nearly full when we begin and opens again ten seconds later: we
/// are refused at once, and then have most of the run to go over the limit again.
fn another_program_used_most_of_a_minute(provider: &Handle) {
    let began = clock::now();
    let mut books = provider.shared().lock();
    for n in 0..USED_BY_OTHERS {
        let at = Timestamp::from_micros(began.micros() - 50_000_000 + n as i64);
        let reply = books.request(
            at,
            &Request {
                client_id: Some(ClientId::Other("another program".into())),
                key: KEY,
                model: "narrow",
                wire: Wire::Chat,
                prompt: Prompt { hash: n, input_tokens: 20, kept: None },
                max_output: Some(20),
                choices: 1,
                wanted: Wanted::Text,
                flex: false,
            },
        );
        books.finish(at, reply.ticket);
    }
}

/// The job met everything it was to be shown against, about as often as it was to.
fn all_faults_came(matched: &Matched<'_>) {
    let share = |fault| {
        let met = matched.seen.iter().filter(|(_, line)| line.fault == Some(fault)).count();
        met as f64 / matched.seen.len() as f64
    };
    for (fault, rate) in [
        (Fault::RateLimited, 0.02),
        (Fault::ServerError, 0.01),
        (Fault::Overloaded, 0.01),
        (Fault::ResetBilled, 0.01),
        (Fault::Garbage, 0.01),
    ] {
        assert!((share(fault) - rate).abs() < rate / 2.0, "{fault}: {}", share(fault));
    }
    let off_schema = matched.seen.iter().filter(|(attempt, _)| attempt.status == "rejected").count();
    let off_schema = off_schema as f64 / ITEMS as f64;
    assert!((off_schema - 0.05).abs() < 0.015, "{off_schema} do not fit the schema");
}

/// Its bills and ours come from the same few lines of arithmetic, so that these are done once more here.
fn the_provider_can_multiply(log: &[Line]) {
    // Micro-dollars per million tokens, which are pico-dollars a token: input, output, cached input.
    const PRICES: [[u64; 3]; 3] =
        [[100_500, 400_500, 10_050], [150_500, 600_500, 15_050], [2_000_500, 10_000_500, 200_050]];
    for line in log {
        let Some(usage) = line.usage else {
            assert_eq!(line.billed.pico(), 0, "{line:?}");
            continue;
        };
        let [input, output, cached] = PRICES[usize::from(line.model.unwrap())];
        let fresh = usage.input - usage.cache_read;
        let pico = fresh * input + usage.output * output + usage.cache_read * cached;
        assert_eq!(line.billed.pico(), i128::from(pico), "{line:?}");
    }
}

/// The limit was reached, and from the moment we knew it, never again.
fn limits_taught_once(matched: &Matched<'_>, log: &[Line]) {
    let over = |&&(_, line): &&(&Attempt, &Line)| line.admission == Admission::OverLimit;
    let refused: Vec<_> = matched.seen.iter().filter(over).collect();
    let (first, _) =
        refused.iter().min_by_key(|(attempt, _)| attempt.ended_at).expect("the limit is reached");
    let told_at = first.ended_at;
    for (attempt, _) in &refused {
        assert!(attempt.queued_at <= told_at, "decided on after we were told: {attempt:?}");
    }
    let wait = first.retry_after_ms.expect("the provider says how long") * 1_000;
    assert!(wait > 1_000_000, "the wait is long enough to be told from none");
    let on_narrow = |&&(attempt, _): &&(&Attempt, &Line)| attempt.model == "narrow";
    let later: Vec<_> =
        matched.seen.iter().filter(on_narrow).filter(|(a, _)| a.queued_at > told_at).collect();
    for (attempt, _) in &later {
        assert!(attempt.queued_at >= told_at + wait, "before its time: {attempt:?}");
    }
    assert!(later.len() > 20, "the model is used again when it may be: {}", later.len());
    let narrow: Vec<&Line> = log.iter().filter(|line| line.model == Some(0)).collect();
    let told_at = Timestamp::from_micros(told_at);
    let slack = Duration::from_micros(wait as u64 / 2);
    let fullest = fullest_minute(narrow.into_iter().filter(|line| line.received_at > told_at + slack));
    assert!(fullest as u64 <= NARROW_RPM, "{fullest} requests arrived in one minute");
}

fn fullest_minute<'a>(lines: impl Iterator<Item = &'a Line>) -> usize {
    let times: Vec<Timestamp> = lines.map(|line| line.received_at).collect();
    let within = |start: &Timestamp| {
        times.iter().filter(|at| **at >= *start && at.since(*start) < Duration::from_secs(60)).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

fn manifest(overnight: &Overnight, job: &str) -> serde_json::Value {
    let path = overnight.path().join(format!("overnight-results/manifests/{job}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn pico(value: &serde_json::Value) -> i128 {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value} is not a whole number"))
}
