//! Scores the planner: random nights, spend against the least possible, deadlines missed.
//!
//! ```sh
//! cargo run --release --example plan_score -- [--json] [--verbose] [--seeds N] [--first SEED]
//! ```
//!
//! Each seed draws a job (200 to 20,000 items, a ladder of one to three steps), routes with windows,
//! closed hours and paces, a deadline, and what the planner wrongly believes at first. The night is played
//! by the minute under several policies, once without provider batches and once with, and its spend is
//! divided by a fluid bound that knows everything beforehand.

mod bound;
mod dice;
mod instance;
mod night;

use instance::Instance;
use night::{Outcome, Policy, play};
use overnight::job::When;
use overnight::plan::schedule::{Rules, Solver};

const POLICIES: [&str; 4] = ["lp", "greedy", "send at once", "cheapest, no margin"];

fn policy(name: &str, batches: bool) -> Policy {
    let rules = Rules { batches, ..Rules::default() };
    match name {
        "lp" => Policy { rules: Rules { solver: Solver::Lp, ..rules }, when: When::Cheapest },
        "greedy" => Policy { rules: Rules { solver: Solver::Greedy, ..rules }, when: When::Cheapest },
        "send at once" => Policy { rules, when: When::Asap },
        _ => Policy {
            rules: Rules { solver: Solver::Greedy, margin: 1.0, guard: false, ..rules },
            when: When::Cheapest,
        },
    }
}

/// What one policy made of all seeds.
#[derive(Default)]
struct Score {
    ratios: Vec<f64>,
    missed: usize,
}

impl Score {
    fn mean(&self) -> f64 {
        self.ratios.iter().sum::<f64>() / self.ratios.len().max(1) as f64
    }

    fn p90(&self) -> f64 {
        let mut sorted = self.ratios.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get((sorted.len() * 9 / 10).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

/// What the command line asks for.
struct Options {
    seeds: u64,
    first: u64,
    json: bool,
    /// A line a night, to look at odd ones with.
    verbose: bool,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
        let mut options = Options { seeds: 500, first: 1_000_000, json: false, verbose: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--verbose" => options.verbose = true,
                "--seeds" => options.seeds = arguments.next()?.parse().ok()?,
                "--first" => options.first = arguments.next()?.parse().ok()?,
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() {
    let Some(Options { seeds, first, json, verbose }) = Options::read(std::env::args().skip(1)) else {
        eprintln!("usage: plan_score [--json] [--verbose] [--seeds N] [--first SEED]");
        std::process::exit(2);
    };
    let without = suite(first, seeds, false, verbose);
    let with = suite(first, seeds, true, verbose);
    if json {
        print_json(&without, &with, seeds);
    } else {
        print_table(&without, &with);
    }
}

/// All policies over all seeds, on as many threads as there are cores.
fn suite(first: u64, seeds: u64, batches: bool, verbose: bool) -> Vec<Score> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut scores: Vec<Score> = POLICIES.iter().map(|_| Score::default()).collect();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let own = (first..first + seeds).filter(|seed| seed % threads == thread);
                    own.filter_map(|seed| Some((seed, night(seed, batches)?))).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<_> =
            handles.into_iter().flat_map(|handle| handle.join().expect("no night panics")).collect();
        all.sort_by_key(|(seed, _)| *seed);
        for (seed, (bound, outcomes)) in all {
            if verbose {
                let ratio = |outcome: &Outcome| {
                    format!("{:.3}{}", outcome.spend / bound, if outcome.missed { "!" } else { "" })
                };
                let ratios: Vec<String> = outcomes.iter().map(ratio).collect();
                let instance = Instance::draw(seed, batches);
                eprintln!("{seed} {} done {:.2} h | {instance}", ratios.join(" "), outcomes[0].finish);
            }
            for (score, outcome) in scores.iter_mut().zip(outcomes) {
                score.ratios.push(outcome.spend / bound);
                score.missed += usize::from(outcome.missed);
            }
        }
    });
    scores
}

fn night(seed: u64, batches: bool) -> Option<(f64, Vec<Outcome>)> {
    let instance = Instance::draw(seed, batches);
    let bound = bound::bound(&instance)?;
    let outcomes = POLICIES.iter().map(|name| play(&instance, policy(name, batches), seed)).collect();
    Some((bound, outcomes))
}

/// The policy that is the default.
fn shipped() -> usize {
    usize::from(Rules::default().solver == Solver::Greedy)
}

fn print_table(without: &[Score], with: &[Score]) {
    println!(
        "{:<22} {:>7} {:>7} {:>7}   {:>7} {:>7} {:>7}",
        "spend / fluid bound", "mean", "p90", "missed", "mean", "p90", "missed"
    );
    println!("{:<22} {:>23}   {:>23}", "", "without batches", "with batches");
    for ((name, without), with) in POLICIES.iter().zip(without).zip(with) {
        println!(
            "{name:<22} {:>7.3} {:>7.3} {:>7}   {:>7.3} {:>7.3} {:>7}",
            without.mean(),
            without.p90(),
            without.missed,
            with.mean(),
            with.p90(),
            with.missed
        );
    }
    println!("{} + {} nights", without[0].ratios.len(), with[0].ratios.len());
    println!("shipped: {}", POLICIES[shipped()]);
}

fn print_json(without: &[Score], with: &[Score], seeds: u64) {
    let row = |without: &Score, with: &Score| {
        serde_json::json!({
            "missed": without.missed + with.missed,
            "spend_vs_bound_mean": without.mean(),
            "spend_vs_bound_p90": without.p90(),
            "spend_vs_bound_batch_mean": with.mean(),
            "spend_vs_bound_batch_p90": with.p90(),
            "nights": without.ratios.len() + with.ratios.len(),
        })
    };
    let mut document = row(&without[shipped()], &with[shipped()]);
    let baselines: serde_json::Map<String, serde_json::Value> = (0..POLICIES.len())
        .map(|at| (POLICIES[at].replace([',', ' '], "_").replace("__", "_"), row(&without[at], &with[at])))
        .collect();
    document["seeds"] = seeds.into();
    document["policies"] = baselines.into();
    println!("{document:#}");
}
