//! What a job came to: items, reasons, money, deadline, and what each route did.
//!
//! Takes what the ledger shows of a job ([`JobView`]) and, where the attempts are at hand, a [`Tally`]
//! of their rows, which alone knows escalations and exact latencies. Gives a [`JobReport`], printed as
//! it is with `--json` and by [`render`] for a terminal. [`show`] does the same for one item, [`items`]
//! for a list of them.
//!
//! Who spent it is an [`Attribution`]:
//!
//! | file | idea |
//! |---|---|
//! | [`by`] | what there is to group by |
//! | [`sums`], [`groups`] | what a group adds up to; the groups add up to the total |
//! | [`against`], [`savings`] | what it would have cost otherwise, and which lever saved what |
//! | [`places`] | what ran where, and why |
//! | [`needs`] | what waits for a person |
//! | [`forecast`] | a month like the days seen |
//! | [`attribution`] | all of it in one pass over the rows |
//! | [`breakdown`] | it as a terminal and as a spreadsheet show it |
//! | [`chart`], [`page`] | it as pictures, and as one HTML file or one picture |
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::job::JobId;
use crate::money::Usd;
use crate::report::row::{AttemptRow, from_nano};
use crate::view::{JobView, RouteView};

pub mod against;
pub mod attribution;
pub mod breakdown;
pub mod by;
pub mod chart;
pub mod forecast;
pub mod groups;
pub mod items;
pub mod needs;
pub mod page;
pub mod places;
pub mod render;
pub mod row;
pub mod savings;
pub mod show;
pub mod sums;
pub mod text;

use attribution::Attribution;
use needs::Need;
use sums::percentile;

/// `overnight report --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `overnight.report/1`.
    pub schema: &'static str,
    /// Each job.
    pub jobs: Vec<JobReport>,
    /// What their rows add up to, where they were read.
    #[serde(flatten)]
    pub attribution: Option<Attribution>,
    /// What waits for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
}

impl Report {
    /// Of these jobs.
    pub fn new(jobs: Vec<JobReport>) -> Report {
        Report { schema: "overnight.report/1", jobs, attribution: None, needs: Vec::new() }
    }

    /// With what waits for a person.
    pub fn needing(self, needs: Vec<Need>) -> Report {
        Report { needs, ..self }
    }

    /// With what their rows add up to.
    pub fn with(self, attribution: Attribution) -> Report {
        Report { attribution: Some(attribution), ..self }
    }
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobReport {
    /// Which.
    pub job_id: JobId,
    /// What the user calls it.
    pub name: String,
    /// In OpenAI's words.
    pub state: String,
    /// All items.
    pub items: u32,
    /// With an accepted answer.
    pub succeeded: u32,
    /// Without one.
    pub failed: u32,
    /// Past their deadline.
    pub expired: u32,
    /// By the user.
    pub cancelled: u32,
    /// Not ended yet.
    pub left: u32,
    /// Items that did not succeed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// From the first request to the end, or to now.
    pub took_seconds: Option<u64>,
    /// What was paid.
    pub cost_usd: f64,
    /// The same tokens in the dearest hours of the realtime lane.
    pub list_cost_usd: f64,
    /// The difference; never below zero.
    pub saved_usd: f64,
    /// What was paid, per accepted answer.
    pub cost_per_success_usd: Option<f64>,
    /// Attempts whose outcome is unknown.
    pub unknown_attempts: u64,
    /// What those may have cost at most, while it is not known.
    pub reserved_usd: f64,
    /// Whether it was done in time.
    pub deadline: Option<Deadline>,
    /// What each route did, dearest first.
    pub routes: Vec<RouteReport>,
    /// The job whose failed items these are.
    pub retry_of: Option<JobId>,
}

/// A job's deadline and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deadline {
    /// When.
    #[serde(serialize_with = "row::rfc3339")]
    pub at: Timestamp,
    /// Whether everything ended by then; `None` while it runs.
    pub met: Option<bool>,
    /// How long before it the job ended; negative is after.
    pub early_seconds: Option<i64>,
}

/// What one route did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RouteReport {
    /// `provider/model`, and the lane where it is not realtime.
    pub route: String,
    /// Calls that ended.
    pub attempts: u64,
    /// Answers accepted.
    pub succeeded: u64,
    /// Answers not accepted, by verdict.
    pub rejected: BTreeMap<String, u64>,
    /// Calls without an answer, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Calls after which a stronger model was asked; `None` where rows were not read.
    pub escalated: Option<u64>,
    /// What its calls cost.
    pub cost_usd: f64,
    /// That, per accepted answer.
    pub cost_per_success_usd: Option<f64>,
    /// Median latency of answers.
    pub p50_ms: Option<u64>,
    /// 95th percentile.
    pub p95_ms: Option<u64>,
    /// 99th percentile; `None` where rows were not read.
    pub p99_ms: Option<u64>,
}

impl JobReport {
    /// From what is shown of a job and, where its attempts were read, their tally.
    pub fn new(view: &JobView, tally: Option<Tally>, now: Timestamp) -> JobReport {
        let counts = &view.counts;
        let ended = view.finished_at.unwrap_or(now);
        let mut routes = match tally {
            Some(tally) => tally.routes(),
            None => view.routes.iter().map(RouteReport::of_view).collect(),
        };
        routes.sort_by(|a, b| b.cost_usd.total_cmp(&a.cost_usd).then_with(|| a.route.cmp(&b.route)));
        JobReport {
            job_id: view.job_id.clone(),
            name: view.name.clone(),
            state: view.state.clone(),
            items: view.items,
            succeeded: counts.succeeded,
            failed: counts.failed,
            expired: counts.expired,
            cancelled: counts.cancelled,
            left: counts.pending + counts.running + counts.held,
            failures: view.failures.clone(),
            took_seconds: view.first_sent_at.map(|first| ended.since(first).as_secs()),
            cost_usd: view.cost_usd,
            list_cost_usd: view.list_cost_usd,
            saved_usd: (view.list_cost_usd - view.cost_usd).max(0.0),
            cost_per_success_usd: per(view.cost_usd, u64::from(counts.succeeded)),
            unknown_attempts: view.unknown_attempts,
            reserved_usd: view.reserved_usd,
            deadline: view.deadline_at.map(|at| Deadline::of(view, at)),
            routes,
            retry_of: view.retry_of.clone(),
        }
    }
}

impl Deadline {
    fn of(view: &JobView, at: Timestamp) -> Deadline {
        let early = view.finished_at.map(|end| (at.micros() - end.micros()).div_euclid(1_000_000));
        let met = early.map(|early| early >= 0 && view.counts.expired == 0);
        Deadline { at, met, early_seconds: early }
    }
}

impl RouteReport {
    fn of_view(view: &RouteView) -> RouteReport {
        let sum = |reasons: &BTreeMap<String, u64>| reasons.values().sum::<u64>();
        RouteReport {
            route: view.route.clone(),
            attempts: view.succeeded + sum(&view.rejected) + sum(&view.errors),
            succeeded: view.succeeded,
            rejected: view.rejected.clone(),
            errors: view.errors.clone(),
            escalated: None,
            cost_usd: view.cost_usd,
            cost_per_success_usd: view.cost_per_success_usd,
            p50_ms: view.p50_ms,
            p95_ms: view.p95_ms,
            p99_ms: None,
        }
    }
}

/// Attempts added up by route, as their rows are read.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    routes: BTreeMap<String, RouteTally>,
}

#[derive(Clone, Debug, Default)]
struct RouteTally {
    attempts: u64,
    succeeded: u64,
    rejected: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    escalated: u64,
    cost: Usd,
    latencies_ms: Vec<u32>,
}

impl Tally {
    /// Adds one attempt.
    pub fn add(&mut self, attempt: &AttemptRow) {
        let route = self.routes.entry(attempt.route()).or_default();
        route.attempts += 1;
        route.cost += from_nano(attempt.cost_nano_usd);
        route.escalated += u64::from(attempt.escalation_reason.is_some());
        let reason = attempt.error_code.clone().unwrap_or_else(|| "internal".to_owned());
        match attempt.status.as_str() {
            "succeeded" => route.succeeded += 1,
            "rejected" => *route.rejected.entry(reason).or_default() += 1,
            _ => *route.errors.entry(reason).or_default() += 1,
        }
        if matches!(attempt.status.as_str(), "succeeded" | "rejected") {
            route.latencies_ms.push(u32::try_from(attempt.duration_ms.max(0)).unwrap_or(u32::MAX));
        }
    }

    fn routes(self) -> Vec<RouteReport> {
        self.routes.into_iter().map(|(name, tally)| tally.report(name)).collect()
    }
}

impl RouteTally {
    fn report(mut self, route: String) -> RouteReport {
        self.latencies_ms.sort_unstable();
        RouteReport {
            route,
            attempts: self.attempts,
            succeeded: self.succeeded,
            escalated: Some(self.escalated),
            cost_usd: self.cost.as_f64(),
            cost_per_success_usd: per(self.cost.as_f64(), self.succeeded),
            p50_ms: percentile(&self.latencies_ms, 50),
            p95_ms: percentile(&self.latencies_ms, 95),
            p99_ms: percentile(&self.latencies_ms, 99),
            rejected: self.rejected,
            errors: self.errors,
        }
    }
}

fn per(cost: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| cost / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_add_up_by_route_and_lane() {
        let row = |lane: &str, status: &str, code: Option<&str>, ms| AttemptRow {
            provider: "p".into(),
            request_model: "m".into(),
            lane: lane.into(),
            status: status.into(),
            error_code: code.map(str::to_owned),
            escalation_reason: (status == "rejected").then(|| "truncated".to_owned()),
            cost_nano_usd: 1_000,
            duration_ms: ms,
            ..AttemptRow::default()
        };
        let mut tally = Tally::default();
        for attempt in [
            row("realtime", "succeeded", None, 100),
            row("realtime", "rejected", Some("truncated"), 300),
            row("realtime", "error", Some("rate_limited"), 9_000),
            row("flex", "unknown", Some("timeout"), 0),
        ] {
            tally.add(&attempt);
        }
        let routes = tally.routes();
        let shown: Vec<_> = routes.iter().map(|route| (route.route.as_str(), route.attempts)).collect();
        assert_eq!(shown, [("p/m", 3), ("p/m flex", 1)]);
        assert_eq!(
            (routes[0].escalated, routes[0].p50_ms, routes[0].p95_ms),
            (Some(1), Some(100), Some(300))
        );
        assert_eq!(routes[0].cost_per_success_usd, Some(3e-6));
        assert_eq!((routes[1].p50_ms, routes[1].cost_per_success_usd), (None, None));
    }
}
