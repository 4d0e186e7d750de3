//! What the planner is told: the queues as counts, the lanes as prices, hours and paces.
//!
//! Items of a class are planned by their typical one: the first that was loaded, at the mean length of
//! all that were. Time and memory depend on jobs, classes, steps and routes, never on items.
//!
//! Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::budgets::item_cap;
use super::queue::Typical;
use crate::catalog::{Limits, PriceTable, Route};
use crate::clock::Timestamp;
use crate::job::{Item, Job, JobId};
use crate::ledger::RouteStats;
use crate::money::{Price, Usage};
use crate::plan::route::{BATCH, FLEX, takes};
use crate::plan::schedule::{Batch, BilledAt, Feed, Lane, Pace, Problem, Span, Way, Work, per_hour, spans};

/// Classes of all jobs that are planned at a time, the first in order of service. Those behind them go by
/// the simpler rules until these are done.
const MOST_CLASSES: usize = 32;
/// How long an answer is assumed to take, and the number of answers that assumption counts as.
const ASSUMED_LATENCY: (Duration, f64) = (Duration::from_secs(12), 4.0);
/// Prices are looked at for so long, and up to the deadline.
const SHORTEST_LOOK: Duration = Duration::from_secs(8 * 24 * 3_600);
/// The share of answers taken to pass, and the number of answers that assumption counts as.
const ASSUMED_PASS: (f64, f64) = (0.7, 2.0);

/// One queue of a job: class and step.
pub(super) type Key = (u16, u8);

/// Which queue a work of the problem is.
pub(super) struct Posed {
    pub job: JobId,
    pub key: Key,
    /// The routes of the step.
    pub routes: Arc<[Arc<Route>]>,
    /// Which of these take the typical item.
    pub takes: Vec<bool>,
    /// The route of each of the work's ways: those of the step that take the item, then the batch lanes of
    /// its models.
    pub ways: Vec<Arc<Route>>,
    /// The numbers of the work's batches.
    pub batches: Vec<u64>,
}

/// A class of a job that has something to do.
struct Chain {
    job: Arc<Job>,
    class: u16,
    /// Pending and in flight, by step; what is out in batches aside.
    counts: Vec<(u64, u64)>,
}

impl Engine {
    /// Everything that may be sent tonight, as the planner wants it told, with the classes that were
    /// looked at, planned or left for later.
    pub(super) fn problem(&mut self) -> (Problem, Vec<Posed>, BTreeSet<(JobId, u16)>) {
        let mut problem = Problem { now: self.now, works: Vec::new() };
        let mut posed = Vec::new();
        let mut chains = self.chains();
        let seen = chains.iter().map(|chain| (chain.job.id.clone(), chain.class)).collect();
        chains.truncate(MOST_CLASSES);
        for chain in chains {
            let typical = self.queues[&chain.job.id].typical[&chain.class].clone();
            for (step, &(pending, in_flight)) in chain.counts.iter().enumerate() {
                let class = &chain.job.classes[usize::from(chain.class)];
                let routes = self.lanes.of_step(&class.ladder.0[step]);
                let takes = self.takes(&chain.job, &typical.item, &routes);
                let key = (chain.class, step as u8);
                let direct = routes.iter().zip(&takes).filter(|(_, takes)| **takes).map(|(route, _)| route);
                let mut ways: Vec<Arc<Route>> = direct.cloned().collect();
                let batches = self.lanes.batches_of_step(&class.ladder.0[step]);
                let batches =
                    batches.into_iter().filter(|route| self.takes_one(&chain.job, &typical.item, route));
                ways.extend(batches);
                let (numbers, batches) = self.batches_of(&chain.job.id, key, &ways);
                let is_last = step + 1 == chain.counts.len();
                problem.works.push(Work {
                    priority: class.priority.into(),
                    pending,
                    in_flight,
                    feeds: (!is_last).then_some(Feed { work: problem.works.len() + 1, share: 1.0 }),
                    deadline: class.deadline,
                    when: chain.job.options.when,
                    worth: 0.0,
                    ways: ways.iter().map(|route| self.way(&chain, &typical, route)).collect(),
                    batches,
                });
                let job = chain.job.id.clone();
                posed.push(Posed { job, key, routes, takes, ways, batches: numbers });
            }
        }
        (problem, posed, seen)
    }

    /// What has something to do and may do it, in order of service.
    fn chains(&self) -> Vec<Chain> {
        let mut in_flight: BTreeMap<(&JobId, Key), u64> = BTreeMap::new();
        for flight in self.flights.values().filter(|flight| !self.is_hedge(flight)) {
            *in_flight.entry((&flight.job.id, (flight.item.class, flight.step))).or_default() += 1;
        }
        let mut chains = Vec::new();
        for (id, queue) in &self.queues {
            let state = self.ledger.get(id).expect("a queue has a ledger").1;
            if state.paused || state.cancelled {
                continue;
            }
            let classes: BTreeSet<u16> = queue.steps.keys().map(|&(class, _)| class).collect();
            for class in classes.into_iter().filter(|class| queue.typical.contains_key(class)) {
                let of = &queue.job.classes[usize::from(class)];
                let count = |step| {
                    let key = (class, step as u8);
                    let pending = queue.steps.get(&key).map_or(0, |step| u64::from(step.pending));
                    (pending, in_flight.get(&(id, key)).copied().unwrap_or_default())
                };
                let counts: Vec<(u64, u64)> = (0..of.ladder.0.len()).map(count).collect();
                let is_over = of.deadline.is_some_and(|deadline| deadline <= self.now);
                let is_busy = counts.iter().any(|&(pending, in_flight)| pending + in_flight > 0);
                if !is_over && (is_busy || self.batches.is_out(id, class)) {
                    chains.push(Chain { job: queue.job.clone(), class, counts });
                }
            }
        }
        chains.sort_by_key(|chain| {
            let of = &chain.job.classes[usize::from(chain.class)];
            let deadline = of.deadline.unwrap_or(Timestamp::MAX);
            (Reverse(of.priority), deadline, chain.job.submitted_at, chain.job.id.clone(), chain.class)
        });
        chains
    }

    /// Which routes take an item, whatever the hour.
    pub(super) fn takes(&self, job: &Job, item: &Item, routes: &[Arc<Route>]) -> Vec<bool> {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let capped = state.cap(job).is_some() || item_cap(item).is_some();
        routes.iter().map(|route| takes(route, item, job.options.allow_unpriced, capped)).collect()
    }

    /// Whether a route takes an item, whatever the hour.
    pub(super) fn takes_one(&self, job: &Job, item: &Item, route: &Route) -> bool {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let capped = state.cap(job).is_some() || item_cap(item).is_some();
        takes(route, item, job.options.allow_unpriced, capped)
    }

    /// The batches of a queue that are out, with their numbers.
    fn batches_of(&self, job: &JobId, key: Key, ways: &[Arc<Route>]) -> (Vec<u64>, Vec<Batch>) {
        let of_queue = self.batches.of_queue(job, key);
        let batches = of_queue.filter_map(|(number, out)| {
            let way = ways.iter().position(|way| *way.name == *out.route)?;
            Some((number, Batch { way, lines: out.lines, sent_at: out.sent_at, done: out.done }))
        });
        batches.unzip()
    }

    fn way(&self, chain: &Chain, typical: &Typical, route: &Arc<Route>) -> Way {
        let Chain { job, class, .. } = chain;
        let lane = self.lanes.find(&route.name).expect("a route of a step has a lane");
        let stats = self.ledger.get(&job.id).and_then(|(_, state)| state.routes.get(&route.name));
        let answers = stats.map_or(0, RouteStats::answers);
        let latency = latency(stats);
        let usage = self.typical_usage(job, typical, route);
        let class = &job.classes[usize::from(*class)];
        let rests = self.batches.rests_until(&route.name);
        let opens = class.not_before.into_iter().chain(self.lanes.shut_until(lane)).chain(rests).max();
        let look = class.deadline.unwrap_or(self.now).max(self.now + SHORTEST_LOOK);
        let is_dead = self.lanes.get(lane).dead.is_some();
        let pace = |limits: &Limits| pace(limits, self.lanes.most_calls, &usage, latency);
        let mut paces = vec![Pace { meter: lane, per_hour: pace(&self.lanes.get(lane).quota.limits()) }];
        let account = self.lanes.get(lane).account;
        let of_account = pace(&self.lanes.account_limits(account));
        // An account without limits of its own is one meter more for nothing.
        if of_account < pace(&Limits { concurrency: Some(u32::MAX), ..Limits::default() }) {
            paces.push(Pace { meter: self.lanes.len() + account, per_hour: of_account });
        }
        Way {
            route: lane,
            lane: match &*route.lane {
                BATCH => Lane::Batch(self.batches.done_by(&route.name)),
                FLEX => Lane::Flex,
                _ => Lane::Realtime,
            },
            pass: pass_chance(&self.stats_of_model(job, route)),
            attempts: answers,
            spans: if is_dead { Vec::new() } else { hours(route, &usage, self.now, look, opens) },
            paces,
        }
    }

    /// What all lanes of a route's model did for a job: the answers are the same.
    fn stats_of_model(&self, job: &Job, route: &Route) -> Vec<&RouteStats> {
        let Some((_, state)) = self.ledger.get(&job.id) else { return Vec::new() };
        let realtime = format!("{}/{}", route.provider, route.model);
        let lanes = [FLEX, BATCH].map(|lane| format!("{realtime} {lane}"));
        [realtime].iter().chain(&lanes).filter_map(|name| state.routes.get(name.as_str())).collect()
    }

    /// Tokens the typical item probably bills on a route.
    fn typical_usage(&self, job: &Job, typical: &Typical, route: &Route) -> Usage {
        let known = self.known(&job.id);
        let (ratio, _) = known.estimates.input_ratio(&format!("{}/{}", route.provider, route.model));
        let input = (typical.mean_input() * ratio).round() as u64;
        let output = known.estimates.output(known.class, route, &typical.item).tokens;
        Usage { input, output, ..Usage::default() }
    }
}

/// The chance that an answer of a model passes its check, as this job's own answers have it.
pub(super) fn pass_chance(lanes: &[&RouteStats]) -> f64 {
    let (prior, weight) = ASSUMED_PASS;
    let passed: u64 = lanes.iter().map(|stats| stats.succeeded).sum();
    let answers: u64 = lanes.iter().map(|stats| stats.answers()).sum();
    (passed as f64 + prior * weight) / (answers as f64 + weight)
}

/// How long an answer takes: a few that came at once do not make a route fast.
fn latency(stats: Option<&RouteStats>) -> Duration {
    let (assumed, weight) = ASSUMED_LATENCY;
    let measured = stats.and_then(|stats| Some((stats.mean_latency()?, stats.answers() as f64)));
    measured.map_or(assumed, |(mean, n)| (assumed.mul_f64(weight) + mean.mul_f64(n)).div_f64(weight + n))
}

/// Attempts an hour under these ceilings.
fn pace(limits: &Limits, most_calls: u32, usage: &Usage, latency: Duration) -> f64 {
    let Limits { rpm, tpm, input_tpm, output_tpm, concurrency } = *limits;
    let calls = f64::from(concurrency.unwrap_or(u32::MAX).min(most_calls));
    let tokens = |limit: Option<u64>, tokens: u64| {
        per_hour(None, limit.map(|limit| limit as f64), tokens as f64, calls, latency)
    };
    let requests = per_hour(rpm.map(|rpm| rpm as f64), None, 1.0, calls, latency);
    [
        tokens(tpm, usage.input + usage.output),
        tokens(input_tpm, usage.input),
        tokens(output_tpm, usage.output),
    ]
    .into_iter()
    .fold(requests, f64::min)
}

/// Hours and prices of a route, from `opens` on; an unknown price counts as nothing, as it does in every
/// budget.
fn hours(
    route: &Route,
    usage: &Usage,
    now: Timestamp,
    until: Timestamp,
    opens: Option<Timestamp>,
) -> Vec<Span> {
    let spans = if route.prices.is_some() {
        spans(route, usage, now, until, BilledAt::Start)
    } else {
        let prices = Some(PriceTable::flat("unpriced", Price::default()));
        spans(&Route { prices, ..route.clone() }, usage, now, until, BilledAt::Start)
    };
    let opens = opens.unwrap_or(now);
    let cut = |span: Span| Span { from: span.from.max(opens), ..span };
    spans.into_iter().filter(|span| span.until > opens).map(cut).collect()
}
