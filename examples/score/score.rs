//! The score: what a policy pays against the best that was possible, over random pools of models.
//!
//! `net = spend + worth × unsolved items`. `R_static` is the net of the policy over that of the best fixed order
//! in hindsight; `R_oracle` over that of the clairvoyant. Everything is drawn from seeds, so a score repeats.

use std::collections::BTreeMap;

use super::answers::Answers;
use super::best::{MOST_MODELS, best_fixed, clairvoyant};
use super::chance::Chance;
use super::job::Job;
use super::policies::{FixedOrder, Router, Simple};
use super::replay::{Ended, Policy, net, play};

/// A success is worth so many of the strongest model's.
pub(super) const WORTHS: [f64; 3] = [1.0, 3.0, 10.0];
/// Pools drawn for the exact order over all models.
const FULL_SEEDS: u64 = 3;
/// First guesses of costs are off by up to this.
const GUESS_ERROR: f64 = 0.2;
/// Prices that change half way change by this.
const SHIFT: f64 = 4.0;
const SMALL_JOB: usize = 50;

/// Who is scored, ours first.
pub(super) const POLICIES: [(&str, Maker); 6] = [
    ("router", |job| Box::new(Router::new(job))),
    ("depth_discount", |job| Box::new(Simple::by_depth(job))),
    ("pooled_beta", |job| Box::new(Simple::pooled(job))),
    ("cheap_then_strongest", |job| {
        let (cheapest, strongest) = (job.by_cost()[0], job.strongest());
        Box::new(FixedOrder(vec![cheapest, strongest]))
    }),
    ("strong_only", |job| Box::new(FixedOrder(vec![job.strongest()]))),
    ("whole_list", |job| Box::new(FixedOrder(job.by_cost()))),
];

type Maker = fn(&Job<'_>) -> Box<dyn Policy>;

/// What was measured of one policy, a number for every pool and worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Score {
    pub(super) r_static: Vec<f64>,
    pub(super) r_oracle: Vec<f64>,
    pub(super) cost_per_success: Vec<f64>,
    pub(super) success_share: Vec<f64>,
    /// Share of the spend on items that no model of the pool passes.
    pub(super) wasted_share: Vec<f64>,
    /// Jobs of fifty items against one best order for all of them.
    pub(super) small: Vec<f64>,
    /// The same against every job's own best order.
    pub(super) small_own: Vec<f64>,
    pub(super) after_shift: Vec<f64>,
    pub(super) all_models: Vec<f64>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scores {
    /// By the names of [`POLICIES`].
    pub(super) policies: BTreeMap<&'static str, Score>,
    /// `R_static` of the router by worth.
    pub(super) by_worth: Vec<Vec<f64>>,
    /// Jobs of fifty items that start with what the job before learned.
    pub(super) small_warm: Vec<f64>,
    /// What the best order for all jobs pays against every small job's own best: nobody can expect less.
    pub(super) small_own_floor: Vec<f64>,
    /// After so many items: what the router has paid and what the best order has, in worths.
    pub(super) regret: BTreeMap<usize, (f64, f64)>,
    pub(super) notes: Vec<String>,
}

impl Scores {
    /// Plays pools from this many seeds.
    pub(super) fn of(answers: &Answers, seeds: u64) -> Scores {
        let mut scores = Scores { notes: answers.notes.clone(), ..Scores::default() };
        scores.by_worth = vec![Vec::new(); WORTHS.len()];
        for seed in 0..seeds {
            let mut draw = Draw::new(answers, seed);
            let pool = draw.pool();
            for (place, &worth) in WORTHS.iter().enumerate() {
                if let Some(job) = draw.job(pool.clone(), worth) {
                    scores.whole_job(&job, place);
                    scores.small_jobs(&job);
                    scores.shifted_job(&draw.shifted(job));
                }
            }
        }
        scores.full_pools(answers, seeds.min(FULL_SEEDS));
        scores
    }

    fn score(&mut self, policy: &'static str) -> &mut Score {
        self.policies.entry(policy).or_default()
    }

    fn whole_job(&mut self, job: &Job<'_>, worth: usize) {
        let best = best_fixed(job, 0..job.items.len());
        let oracle = clairvoyant(job);
        for (name, make) in POLICIES {
            let ended = play(job, &mut *make(job));
            let paid = net(&ended, job.worth);
            let spend: f64 = ended.iter().map(|item| item.spend).sum();
            let solved = ended.iter().filter(|item| item.solved).count() as f64;
            let score = self.score(name);
            score.r_static.push(ratio(paid, best.net));
            score.r_oracle.push(ratio(paid, oracle));
            score.success_share.push(solved / ended.len() as f64);
            if solved > 0.0 {
                score.cost_per_success.push(spend / solved);
            }
            if spend > 0.0 {
                score.wasted_share.push(hopeless_spend(job, &ended) / spend);
            }
            if name == POLICIES[0].0 {
                self.by_worth[worth].push(ratio(paid, best.net));
                self.add_regret(job, &ended, best.order.clone());
            }
        }
    }

    fn add_regret(&mut self, job: &Job<'_>, ended: &[Ended], order: Vec<usize>) {
        let best = play(job, &mut FixedOrder(order));
        let mut sizes: Vec<usize> = (0..).map(|n| 50 << n).take_while(|&n| n < ended.len()).collect();
        sizes.push(ended.len());
        for size in sizes {
            let sums = self.regret.entry(size).or_default();
            sums.0 += net(&ended[..size], job.worth) / job.worth;
            sums.1 += net(&best[..size], job.worth) / job.worth;
        }
    }

    /// The items cut into jobs of fifty, each begun without knowing anything.
    fn small_jobs(&mut self, job: &Job<'_>) {
        let size = SMALL_JOB.min(job.items.len());
        let jobs: Vec<Job<'_>> = job.items.chunks_exact(size).map(|items| job.over(items)).collect();
        let all = job.over(&job.items[..size * jobs.len()]);
        let best = best_fixed(&all, 0..all.items.len()).net;
        let own: f64 = jobs.iter().map(|job| best_fixed(job, 0..size).net).sum();
        self.small_own_floor.push(ratio(best, own));
        for (name, make) in POLICIES {
            let paid: f64 = jobs.iter().map(|job| net(&play(job, &mut *make(job)), job.worth)).sum();
            let score = self.score(name);
            score.small.push(ratio(paid, best));
            score.small_own.push(ratio(paid, own));
        }
        let (mut router, mut paid) = (Router::new(job), 0.0);
        for job in &jobs {
            router = router.carry_over(job);
            paid += net(&play(job, &mut router), job.worth);
        }
        self.small_warm.push(ratio(paid, best));
    }

    /// Against the order that is best from the change on.
    fn shifted_job(&mut self, job: &Job<'_>) {
        let from = job.shift.as_ref().map_or(0, |(from, _)| *from);
        let best = best_fixed(job, from..job.items.len());
        for (name, make) in POLICIES {
            let ended = play(job, &mut *make(job));
            self.score(name).after_shift.push(ratio(net(&ended[from..], job.worth), best.net));
        }
    }

    fn full_pools(&mut self, answers: &Answers, seeds: u64) {
        let n_models = answers.models.len();
        if n_models > MOST_MODELS {
            self.notes.push(format!(
                "all {n_models} models at once: not scored, the best order of more than {MOST_MODELS} is not known"
            ));
            return;
        }
        for seed in 0..seeds {
            let mut draw = Draw::new(answers, seed);
            for worth in WORTHS {
                let Some(job) = draw.job((0..n_models).collect(), worth) else { continue };
                let best = best_fixed(&job, 0..job.items.len());
                for (name, make) in POLICIES {
                    let paid = net(&play(&job, &mut *make(&job)), job.worth);
                    self.score(name).all_models.push(ratio(paid, best.net));
                }
            }
        }
    }
}

/// What one seed draws.
struct Draw<'a> {
    answers: &'a Answers,
    chance: Chance,
    items: Vec<usize>,
}

impl<'a> Draw<'a> {
    fn new(answers: &'a Answers, seed: u64) -> Draw<'a> {
        let mut chance = Chance::new(seed + 1);
        let mut items: Vec<usize> = (0..answers.items.len()).collect();
        chance.shuffle(&mut items);
        Draw { answers, chance, items }
    }

    /// Four to six models, or all where there are fewer.
    fn pool(&mut self) -> Vec<usize> {
        let mut models: Vec<usize> = (0..self.answers.models.len()).collect();
        self.chance.shuffle(&mut models);
        models.truncate(4 + self.chance.below(3));
        models
    }

    /// `None` where the strongest model is free, so that a success is worth nothing.
    fn job(&mut self, pool: Vec<usize>, worth: f64) -> Option<Job<'a>> {
        let items = self.items.clone();
        let mut job = Job { answers: self.answers, pool, items, worth, guesses: Vec::new(), shift: None };
        let (passed, cost) = job.record(job.strongest());
        // Where nothing ever passes, a success is still worth a finite sum.
        job.worth = worth * cost / passed.max(1.0 / (job.items.len() as f64 + 1.0));
        for model in 0..job.pool.len() {
            let error = 1.0 + GUESS_ERROR * (2.0 * self.chance.share() - 1.0);
            job.guesses.push(job.record(model).1 * error);
        }
        (job.worth > 0.0).then_some(job)
    }

    /// Half way, the model that was best for its money becomes dear, and another one cheap.
    fn shifted(&mut self, mut job: Job<'a>) -> Job<'a> {
        let index = |model: &usize| {
            let (passed, cost) = job.record(*model);
            if passed > 0.0 { cost / passed } else { f64::INFINITY }
        };
        let models = 0..job.pool.len();
        let best = models.min_by(|a, b| index(a).total_cmp(&index(b))).expect("a pool has models");
        let mut factors = vec![1.0; job.pool.len()];
        factors[best] = SHIFT;
        if job.pool.len() > 1 {
            let other = self.chance.below(job.pool.len() - 1);
            factors[if other < best { other } else { other + 1 }] = 1.0 / SHIFT;
        }
        job.shift = Some((job.items.len() / 2, factors));
        job
    }
}

/// Where the best costs nothing, costing nothing is 1 and anything else is off the scale.
fn ratio(paid: f64, best: f64) -> f64 {
    if best > 0.0 { paid / best } else { 1.0 + paid.signum() * paid.min(1e6) }
}

fn hopeless_spend(job: &Job<'_>, ended: &[Ended]) -> f64 {
    let solvable = |position: usize| {
        (0..job.pool.len()).filter_map(|model| job.answer(position, model)).any(|answer| answer.passed)
    };
    let hopeless = ended.iter().enumerate().filter(|(position, _)| !solvable(*position));
    hopeless.map(|(_, item)| item.spend).sum()
}
