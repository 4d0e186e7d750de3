//! `kill -9` at fifty random moments of one job, each followed by a restart.
//!
//! A moment is an event, not a time: the provider has had so many more requests, or the process has just
//! begun, or it has opened its socket. Before many kills the process is asked to write its rows, so that
//! it often dies over a half-written part. `OVERNIGHT_SEED=n` plays the same moments again, as far as a
//! real machine can.
//!
//! What is counted: an attempt is an *orphan* if recovery found it started and not ended, and so wrote it
//! down as unknown. Orphans are the only sends that may be made twice because of a kill, and there are
//! never more of them than were under way: one for each parallel call, and one for each start that waited
//! recorded for a free place, of which each route has at most half as many.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::thread::JoinHandle;
use std::time::Duration;

use overnight::clock::{self, Timestamp};
use overnight::control::Client;
use overnight::job::JobId;
use overnight::money::Price;
use overnight::provider::simulated::{Config, Fault, FaultRates, Faults, Line, Model};
use overnight::simulate::{self, Handle};

use crate::books::{Attempt, Matched, Ours};
use crate::judges::{Judges, Seen};
use crate::reviews;
use crate::support::Overnight;

const KILLS: usize = 50;
const ITEMS: i64 = 14_000;
const PARALLEL: usize = 32;
const ROUTES: usize = 2;
/// Sent, or recorded and waiting for a free place.
const UNDER_WAY: usize = PARALLEL + ROUTES * PARALLEL / 2;
/// Requests between a start and its kill.
const APART: std::ops::Range<u64> = 100..400;

#[test]
fn fifty_kills_lose_nothing_and_repeat_only_what_was_in_flight() {
    let seed =
        std::env::var("OVERNIGHT_SEED").ok().map(|text| text.parse().expect("OVERNIGHT_SEED is a number"));
    let seed = seed.unwrap_or_else(|| clock::now().micros().unsigned_abs());
    println!("OVERNIGHT_SEED={seed}");
    let mut chance = Chance(seed);
    let provider = simulate::spawn(provider(seed)).unwrap();
    let overnight = Overnight::new();
    reviews::write(overnight.path(), ITEMS);
    overnight.write("overnight.toml", config(&provider.base_url()));
    let queued = overnight.run("submit reviews.jsonl --check schema:review.schema.json --json");
    assert_eq!(queued.code, 0, "{queued:?}");
    let job = JobId::new(queued.json()["jobs"][0]["job_id"].as_str().unwrap());

    let night = Night { overnight: &overnight, provider: &provider, job: &job };
    let mut judges = Judges::start();
    let mut before = Seen { results: 0, attempts: 0, attempts_cost_nano: 0 };
    let mut lives = Vec::new();
    for _ in 0..KILLS {
        lives.push(night.live_and_die(&mut chance));
        let seen = judges.look(&night.results());
        assert!(
            seen.results >= before.results && seen.attempts >= before.attempts,
            "rows went: {before:?} {seen:?}"
        );
        before = seen;
    }
    assert!(before.results > 0, "parts are written before the end, or there was nothing to read");
    let ended = night.start().wait().unwrap();
    assert!(matches!(ended.code(), Some(0 | 3)), "{ended}: {}", night.said());

    let (ours, log) = (Ours::read(&night.results()), provider.log());
    let seen = judges.look(&night.results());
    assert_eq!((seen.results, seen.attempts), (ITEMS as u64, ours.attempts.len() as u64));
    ours.has_each_item_once(ITEMS, reviews::name);
    let matched = Matched::new(&ours, &log);
    matched.settle();
    let n_orphans = orphans_were_under_way(&ours, &lives);
    let sent_twice = matched.seen.iter().filter(|(attempt, _)| attempt.is_orphan()).count();
    assert!(sent_twice <= KILLS * PARALLEL, "{sent_twice} sends repeated");
    what_was_in_flight_is_unknown(&matched, &lives);
    sent_again_for_a_reason(&ours);
    let n_unknown = given_up_after_three_unknowns(&ours);
    let unsent = matched.unsent.len();
    println!(
        "{} sends, {n_orphans} orphans of which {unsent} were never sent, {n_unknown} given up",
        log.len()
    );
    assert!(matched.unsent.iter().all(|attempt| attempt.is_orphan() || attempt.status == "cancelled"));
}

/// A job in the course of many lives.
struct Night<'a> {
    overnight: &'a Overnight,
    provider: &'a Handle,
    job: &'a JobId,
}

/// From when to when a process lived.
#[derive(Clone, Copy)]
struct Life {
    dead_at: Timestamp,
}

impl Night<'_> {
    fn start(&self) -> Child {
        self.overnight.spawn(&format!("run --resume {} --no-progress", self.job), "stderr")
    }

    fn live_and_die(&self, chance: &mut Chance) -> Life {
        let mut child = self.start();
        let mut flush = None;
        match chance.below(8) {
            0 => {}
            1 => self.wait(&mut child, || {
                Client::connect(self.overnight.path()).is_ok_and(|owner| owner.is_some())
            }),
            _ => {
                let moment = self.requests() + APART.start + chance.below(APART.end - APART.start);
                if chance.below(3) > 0 {
                    let earlier = moment - chance.below(60);
                    self.wait(&mut child, || self.requests() >= earlier);
                    flush = Some(flush_beside(self.overnight.path().to_owned(), self.job.clone()));
                }
                self.wait(&mut child, || self.requests() >= moment);
            }
        }
        // SIGKILL: nothing of it runs after this.
        child.kill().unwrap();
        child.wait().unwrap();
        let dead_at = clock::now();
        if let Some(flush) = flush {
            flush.join().unwrap();
        }
        Life { dead_at }
    }

    /// Looks until the moment has come; a process that ends by itself before that is a failure.
    fn wait(&self, child: &mut Child, mut is_now: impl FnMut() -> bool) {
        while !is_now() {
            if let Some(status) = child.try_wait().unwrap() {
                self.ended_early(status);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn ended_early(&self, status: ExitStatus) -> ! {
        panic!("it ended by itself ({status}) after {} requests: {}", self.requests(), self.said())
    }

    fn requests(&self) -> u64 {
        self.provider.shared().lock().totals().requests
    }

    fn results(&self) -> PathBuf {
        self.overnight.path().join("overnight-results")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.overnight.path().join("stderr")).unwrap()
    }
}

/// Asks for the rows so far to be written; whether it comes to that is up to the kill.
fn flush_beside(state: PathBuf, job: JobId) -> JoinHandle<()> {
    std::thread::spawn(move || {
        if let Ok(Some(mut owner)) = Client::connect(&state) {
            let _ = owner.flush(job);
        }
    })
}

/// No kill left more attempts behind than were under way.
fn orphans_were_under_way(ours: &Ours, lives: &[Life]) -> usize {
    let mut by_life: BTreeMap<usize, usize> = BTreeMap::new();
    for orphan in ours.attempts.iter().filter(|attempt| attempt.is_orphan()) {
        let began = Timestamp::from_micros(orphan.queued_at);
        *by_life.entry(lives.partition_point(|life| life.dead_at < began)).or_default() += 1;
    }
    assert!(!by_life.contains_key(&lives.len()), "the last life ended by itself and left attempts behind");
    for (life, &orphans) in &by_life {
        assert!(orphans <= UNDER_WAY, "kill {life} left {orphans} attempts behind");
    }
    let total: usize = by_life.values().sum();
    assert!(total > KILLS, "the kills hit something: {total}");
    total
}

/// What the provider had not answered when the process died cannot be known to us.
fn what_was_in_flight_is_unknown(matched: &Matched<'_>, lives: &[Life]) {
    for (attempt, line) in &matched.seen {
        let died = |life: &Life| {
            Timestamp::from_micros(attempt.queued_at) <= life.dead_at && ends_after(line, life.dead_at)
        };
        let in_flight = lives.iter().any(|life| died(life) && line.received_at <= life.dead_at);
        assert!(!in_flight || attempt.is_orphan(), "in flight at a kill: {attempt:?}\n{line:?}");
    }
}

fn ends_after(line: &Line, moment: Timestamp) -> bool {
    line.ended_at.is_none_or(|end| end > moment)
}

/// An item whose answer was taken is not sent again; each further attempt follows one that failed, was
/// not accepted, or whose end is unknown.
fn sent_again_for_a_reason(ours: &Ours) {
    for (item, attempts) in ours.by_item() {
        let numbers: Vec<i16> = attempts.iter().map(|attempt| attempt.number).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as i16), "attempts of item {item}: {numbers:?}");
        let earlier = &attempts[..attempts.len() - 1];
        assert!(earlier.iter().all(|attempt| attempt.status != "succeeded"), "{attempts:?}");
        let overlap = attempts.windows(2).find(|pair| pair[1].queued_at < pair[0].ended_at);
        assert!(overlap.is_none(), "sent again before its end was known: {overlap:?}");
    }
}

/// Few items are given up because nobody can say whether they were answered, and only after the first
/// send and both repeats came to nothing.
fn given_up_after_three_unknowns(ours: &Ours) -> usize {
    let attempts = ours.by_item();
    let given_up: Vec<_> =
        ours.results.iter().filter(|row| row.error_code.as_deref() == Some("outcome_unknown")).collect();
    for row in &given_up {
        let unknown = |attempt: &&&Attempt| attempt.status == "unknown";
        assert_eq!(attempts[&row.item].iter().filter(unknown).count(), 3, "{row:?}");
        assert_eq!(row.attempts as usize, attempts[&row.item].len());
    }
    assert!(given_up.len() * 100 <= ITEMS as usize, "{} items given up", given_up.len());
    given_up.len()
}

fn provider(seed: u64) -> Config {
    let model = |name: &str, input, pass_rate| Model {
        pass_rate,
        latency: Duration::from_millis(35),
        latency_spread: 1.3,
        ..Model::new(name, Price { input, output: input * 4, ..Price::default() })
    };
    let rates = [
        (Fault::RateLimited, 0.02),
        (Fault::ServerError, 0.01),
        (Fault::Overloaded, 0.01),
        (Fault::ResetBilled, 0.01),
        (Fault::Garbage, 0.01),
    ];
    Config {
        seed,
        models: vec![model("weak", 100_500, 0.95), model("strong", 2_000_500, 0.995)],
        faults: Faults {
            rates: FaultRates::new(&rates).unwrap(),
            retry_after: Duration::from_millis(50),
            ..Faults::default()
        },
        ..Config::default()
    }
}

fn config(base_url: &str) -> String {
    let model = |name: &str, input: &str, output: &str| {
        format!(
            "[models.\"lab/{name}\"]\nprice = {{ input = {input}, output = {output} }}\n\
             context = 128_000\nmax_output = 16_384\n"
        )
    };
    let weak = model("weak", "0.1005", "0.402");
    let strong = model("strong", "2.0005", "8.002");
    format!(
        r#"
[defaults]
models = ["lab/weak", "lab/strong"]

[providers.lab]
kind = "openai"
base_url = "{base_url}"
max_concurrency = {PARALLEL}

{weak}{strong}"#
    )
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
