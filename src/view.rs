//! What a person is shown of a job: derived from the ledger and from what the engine waits for.
//!
//! `status`, `watch`, `run` and the control socket all show a [`JobView`]; with `--json` it is printed
//! as it is, so its field names are part of the interface.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{Allowance, Catalog};
use crate::clock::Timestamp;
use crate::job::{Job, JobId};
use crate::ledger::{Budgets, Counts, Day, Drawn, JobLedger, Ledger, Period, Scope, Sums};
use crate::money::Usd;
use crate::plan::estimate::class_of;
use crate::plan::odds::Odds;
use crate::plan::tally::{ModelIndex, Spent, TalliedModel, Tally};

mod dispatch;

pub use dispatch::{DispatchView, LimitView, PlannedHour};

/// Why pending items are not being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// A cheaper or permitted hour.
    Window,
    /// Their own `not_before`.
    NotBefore,
    /// Requests or tokens per minute, or parallel calls.
    RateLimit,
    /// The provider has no room, or is down.
    Capacity,
    /// The pause after a failed attempt.
    Backoff,
    /// What is left of a budget does not cover the next request.
    Budget,
    /// The user paused the job.
    Paused,
    /// A provider batch.
    UpstreamBatch,
    /// The answer of another item that asks the same.
    Duplicate,
    /// Nothing that may take them is usable: see the reason.
    NoRoute,
    /// No process owns the store.
    NoDaemon,
    /// The disk is full: what cannot be written down is not sent.
    Disk,
}

impl Waiting {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Waiting::Window => "window",
            Waiting::NotBefore => "not_before",
            Waiting::RateLimit => "rate_limit",
            Waiting::Capacity => "capacity",
            Waiting::Backoff => "backoff",
            Waiting::Budget => "budget",
            Waiting::Paused => "paused",
            Waiting::UpstreamBatch => "upstream_batch",
            Waiting::Duplicate => "duplicate",
            Waiting::NoRoute => "no_route",
            Waiting::NoDaemon => "no_daemon",
            Waiting::Disk => "disk",
        }
    }
}

/// One job as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub job_id: JobId,
    /// What the user calls it, else its file's stem.
    pub name: String,
    /// In OpenAI's words.
    pub state: String,
    /// Whether it is paused.
    pub paused: bool,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// The earliest deadline of its classes.
    pub deadline_at: Option<Timestamp>,
    /// All items.
    pub items: u32,
    /// Items by phase.
    pub counts: Counts,
    /// Pending items by reason; sums to `counts.pending` once a process has begun to work on the job.
    pub waiting: BTreeMap<Waiting, u32>,
    /// The reason most of them wait for, in words: `opens 22:00 UTC`, `key OPENAI_API_KEY rejected`.
    pub waiting_for: Option<String>,
    /// When something is expected to change.
    pub waiting_until: Option<Timestamp>,
    /// Known bills plus estimates of unknown ones, USD.
    pub cost_usd: f64,
    /// The same in pico-dollars.
    pub cost_pico_usd: i128,
    /// Worst case of attempts in flight and of unknown outcomes, USD.
    pub reserved_usd: f64,
    /// The cap in force, USD.
    pub max_cost_usd: Option<f64>,
    /// The same tokens in the dearest window of the realtime lane, USD.
    pub list_cost_usd: f64,
    /// Attempts started.
    pub attempts: u64,
    /// Attempts whose outcome is unknown.
    pub unknown_attempts: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Items ended a minute, lately; `None` while nothing runs.
    pub per_minute: Option<f64>,
    /// When the last item is expected to end.
    pub eta: Option<Timestamp>,
    /// When the first attempt was started.
    pub first_sent_at: Option<Timestamp>,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// Items that did not succeed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// What each route did.
    pub routes: Vec<RouteView>,
    /// The job whose failed items these are.
    pub retry_of: Option<JobId>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Of the tokens in, those read from a cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Of the tokens out, those of hidden reasoning.
    #[serde(default)]
    pub reasoning_tokens: u64,
}

/// What one route did for one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteView {
    /// `provider/model`.
    pub route: String,
    /// Answers accepted.
    pub succeeded: u64,
    /// Answers not accepted, by verdict.
    pub rejected: BTreeMap<String, u64>,
    /// Attempts without an answer, by reason.
    pub errors: BTreeMap<String, u64>,
    /// What its attempts cost, USD.
    pub cost_usd: f64,
    /// That, per accepted answer.
    pub cost_per_success_usd: Option<f64>,
    /// Median latency of answers.
    pub p50_ms: Option<u64>,
    /// 95th percentile.
    pub p95_ms: Option<u64>,
    /// Present price window.
    pub price_window: Option<String>,
    /// Until when it holds.
    pub price_until: Option<Timestamp>,
}

impl JobView {
    /// Of a job of which nothing is sent, whatever else its items wait for.
    pub fn held_up(&mut self, waiting: Waiting, why: &str) {
        if self.finished_at.is_some() || self.counts.pending == 0 {
            return;
        }
        self.waiting = BTreeMap::from([(waiting, self.counts.pending)]);
        self.waiting_for = Some(why.to_owned());
        (self.waiting_until, self.per_minute, self.eta) = (None, None, None);
    }

    /// What the ledger alone knows of a job.
    pub fn of(job: &Job, state: &JobLedger) -> JobView {
        let words = |codes: &BTreeMap<crate::attempt::ErrorCode, u64>| {
            codes.iter().map(|(code, &n)| (code.as_str().to_owned(), n)).collect::<BTreeMap<String, u64>>()
        };
        let routes = state.routes.iter().map(|(name, stats)| RouteView {
            route: name.to_string(),
            succeeded: stats.succeeded,
            rejected: words(&stats.rejected),
            errors: words(&stats.errors),
            cost_usd: stats.cost.as_f64(),
            cost_per_success_usd: (stats.succeeded > 0).then(|| stats.cost.as_f64() / stats.succeeded as f64),
            p50_ms: stats.latency_ms(0.5),
            p95_ms: stats.latency_ms(0.95),
            price_window: None,
            price_until: None,
        });
        JobView {
            job_id: job.id.clone(),
            name: job.title().to_owned(),
            state: state.state().as_str().to_owned(),
            paused: state.paused,
            submitted_at: job.submitted_at,
            deadline_at: job.classes.iter().filter_map(|class| class.deadline).min(),
            items: job.n_items,
            counts: state.counts(),
            waiting: BTreeMap::new(),
            waiting_for: None,
            waiting_until: None,
            cost_usd: state.shown_cost().as_f64(),
            cost_pico_usd: state.shown_cost().pico(),
            reserved_usd: (state.reserved + state.at_risk).as_f64(),
            max_cost_usd: state.cap(job).map(|cap| cap.as_f64()),
            list_cost_usd: state.list_cost.as_f64(),
            attempts: state.attempts,
            unknown_attempts: state.unknown,
            input_tokens: state.usage.input,
            output_tokens: state.usage.output,
            per_minute: None,
            eta: None,
            first_sent_at: state.first_sent,
            finished_at: state.finished_at,
            failures: words(&state.failures),
            routes: routes.collect(),
            retry_of: job.retry_of.clone(),
            tags: job.options.tags.clone(),
            cached_input_tokens: state.usage.cache_read,
            reasoning_tokens: state.usage.reasoning,
        }
    }
}

/// Where the allowance of one account stands in its present period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllowanceView {
    /// The provider's name in the config.
    pub account: String,
    /// `day`, `month` or `total`.
    pub period: String,
    /// Requests it paid for, or is to pay for, in it.
    pub requests_used: u64,
    /// Requests that are left; `None` where they are not limited.
    pub requests_left: Option<u64>,
    /// Tokens that are left.
    pub tokens_left: Option<u64>,
    /// Money that is left, USD.
    pub left_usd: Option<f64>,
    /// When it is given anew; `None` where it never is.
    pub renews_at: Option<Timestamp>,
    /// When it ends for good.
    pub ends_at: Option<Timestamp>,
}

impl AllowanceView {
    /// Of an account; `None` where nothing is given any more.
    pub fn of(account: &str, given: &Allowance, drawn: &Drawn, now: Timestamp) -> Option<AllowanceView> {
        let period = given.period(now);
        let used = drawn.of(account, period);
        let left = given.left(used);
        given.holds(now).then(|| AllowanceView {
            account: account.to_owned(),
            period: period.as_str().to_owned(),
            requests_used: used.requests,
            requests_left: left.requests,
            tokens_left: left.tokens,
            left_usd: left.money.map(Usd::as_f64),
            renews_at: given.renews(now),
            ends_at: given.ends(),
        })
    }

    /// Of every account of a catalog that gives something.
    pub fn all(catalog: &Catalog, drawn: &Drawn, now: Timestamp) -> Vec<AllowanceView> {
        let given = catalog.providers().filter_map(|provider| Some((provider, provider.allowance.as_ref()?)));
        given.filter_map(|(provider, given)| AllowanceView::of(&provider.name, given, drawn, now)).collect()
    }
}

/// Where one budget stands in its present period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetView {
    /// `process`, or the tag as `key=value`.
    pub scope: String,
    /// `day`, `month` or `total`.
    pub period: String,
    /// Which: `2026-11-21`, `2026-11` or `total`.
    pub of: String,
    /// The budget; `None` where this is only counted, USD.
    pub limit_usd: Option<f64>,
    /// Known bills, USD.
    pub spent_usd: f64,
    /// The same in pico-dollars.
    pub spent_pico_usd: i128,
    /// Worst case of attempts in flight, USD.
    pub reserved_usd: f64,
    /// Worst case of attempts whose bill is not known, USD.
    pub at_risk_usd: f64,
    /// What another request may cost at most, USD.
    pub left_usd: Option<f64>,
    /// When its next period begins.
    pub renews_at: Option<Timestamp>,
    /// The zone of its days.
    pub zone: String,
}

impl BudgetView {
    /// Every budget of this day, the process's first.
    pub fn all(budgets: &Budgets, day: Day) -> Vec<BudgetView> {
        let zone = budgets.limits().zone;
        let view = |(scope, period, limit, sums): (Scope, Period, Option<Usd>, Sums)| BudgetView {
            scope: scope.to_string(),
            period: period.as_str().to_owned(),
            of: period.to_string(),
            limit_usd: limit.map(Usd::as_f64),
            spent_usd: sums.spent.as_f64(),
            spent_pico_usd: sums.spent.pico(),
            reserved_usd: sums.reserved.as_f64(),
            at_risk_usd: sums.at_risk.as_f64(),
            left_usd: limit.map(|limit| limit.saturating_sub(sums.committed()).as_f64()),
            renews_at: period.renews(zone),
            zone: zone.0.name().to_owned(),
        };
        budgets.all(day).into_iter().map(view).collect()
    }
}

/// What checks taught of one model in one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OddsView {
    /// Jobs whose answers are alike: their title, and a mark of their check.
    pub class: String,
    /// `provider/model`.
    pub model: String,
    /// Answers that were judged; those of earlier jobs count for less.
    pub tried: f64,
    /// Of these, the ones that passed.
    pub passed: f64,
    /// The chance that an answer passes.
    pub chance: f64,
    /// The same on items that every other model of the class has failed.
    pub chance_after_others: f64,
}

impl OddsView {
    /// Every class, with what its running jobs have added; models in the order of their ladders.
    pub fn all(ledger: &Ledger) -> Vec<OddsView> {
        let kept = ledger.globals.tallies.iter();
        let mut classes: BTreeMap<String, Tally> =
            kept.map(|(class, tally)| (class.to_string(), tally.clone())).collect();
        for (job, state) in ledger.jobs() {
            if let Some(tally) = state.tally.as_deref().filter(|tally| tally.results() > 0) {
                let class = class_of(job);
                let tally = match classes.get(&class) {
                    Some(before) => tally.clone().succeeding(before),
                    None => tally.clone(),
                };
                classes.insert(class, tally);
            }
        }
        classes.iter().flat_map(|(class, tally)| OddsView::of_class(class, tally)).collect()
    }

    fn of_class(class: &str, tally: &Tally) -> Vec<OddsView> {
        let odds = Odds::estimate(tally, 0);
        let models = tally.models().iter().zip(0..);
        let all: Spent = models.clone().map(|(_, place)| place).collect();
        let view = |(model, place): (&TalliedModel, ModelIndex)| {
            let cells = tally.cells().filter(|(_, of, _)| *of == place);
            let (tried, passed) =
                cells.fold((0.0, 0.0), |sum, (_, _, cell)| (sum.0 + cell.tries, sum.1 + cell.passes));
            let others = all.iter().filter(|&other| other != place).collect();
            OddsView {
                class: class.to_owned(),
                model: model.name.to_string(),
                tried,
                passed,
                chance: odds.mean(place, Spent::NONE),
                chance_after_others: odds.mean(place, others),
            }
        };
        models.map(view).collect()
    }

    /// Whether a person who names a class means this one: by its whole name or its title.
    pub fn is_of(&self, asked: &str) -> bool {
        let is_mark = |mark: &str| mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        let title = self.class.rsplit_once(' ').filter(|(_, mark)| is_mark(mark)).map(|(title, _)| title);
        self.class == asked || title == Some(asked)
    }
}
