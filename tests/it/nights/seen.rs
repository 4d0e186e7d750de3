//! What happened in a night, for comparison and for the sums at the end: nights in which nothing
//! interesting happens would prove nothing.

use overnight::attempt::{AttemptStatus, ErrorCode};
use overnight::ledger::JobLedger;
use overnight::money::Usd;

use super::rows::Part;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) nights: u64,
    pub(super) cuts: u64,
    pub(super) holds: u64,
    unknown: u64,
    escalated: u64,
    longer: u64,
    succeeded: u64,
    cancelled: u64,
    expired: u64,
    failed_over: u64,
    at_peak: u64,
    over_item_cap: u64,
    pub(super) blocked: u64,
    pub(super) resumed: u64,
    pub(super) measured: u64,
    pub(super) out_of_budget: u64,
    pub(super) over_midnight: u64,
    pub(super) alerts: u64,
    for_nothing: u64,
    hedged: u64,
    overtaken: u64,
    given_up: u64,
    in_batches: u64,
    not_run: u64,
    pub(super) requests: u64,
    pub(super) pico: i128,
}

impl Seen {
    /// Adds one job.
    pub(super) fn job(&mut self, state: &JobLedger, rows: &Part) {
        let counts = state.counts();
        self.unknown += state.unknown;
        self.succeeded += u64::from(counts.succeeded);
        self.cancelled += u64::from(counts.cancelled);
        self.expired += u64::from(counts.expired);
        self.over_item_cap += state.failures.get(&ErrorCode::MaxCost).copied().unwrap_or(0);
        for row in &rows.attempts {
            self.escalated += u64::from(row.escalation.is_some());
            self.longer += u64::from(row.asks_for_more());
            self.failed_over += u64::from(&*row.route.provider == "other");
            self.for_nothing += u64::from(super::free::is_covered(row));
            self.hedged += u64::from(row.hedge);
            self.overtaken += u64::from(row.hedge && row.status == AttemptStatus::Succeeded);
            let is_cut_off = row.status == AttemptStatus::Cancelled && row.at_risk > Usd::ZERO;
            self.given_up += u64::from(is_cut_off);
            self.at_peak += u64::from(&*row.route.window == "peak");
            self.in_batches += u64::from(row.upstream_batch.is_some());
            self.not_run +=
                u64::from(row.error.as_ref().is_some_and(|(code, _)| *code == ErrorCode::BatchExpired));
        }
    }

    /// Adds one night.
    pub(super) fn add(&mut self, other: &Seen) {
        self.nights += 1;
        for ((sum, ..), more) in self.fields().into_iter().zip(other.counts()) {
            *sum += more;
        }
        self.resumed += other.resumed;
        self.requests += other.requests;
        self.pico += other.pico;
    }

    /// Whether two thousand nights saw enough.
    pub(super) fn check(&mut self) {
        let nights = self.nights;
        for (count, least, name) in self.fields() {
            assert!(*count * 2_000 >= least * nights, "too few {name}: {count} in {nights} nights");
        }
    }

    fn fields(&mut self) -> [(&mut u64, u64, &'static str); 22] {
        [
            (&mut self.cuts, 2_000, "power cuts"),
            (&mut self.holds, 500, "full disks"),
            (&mut self.unknown, 500, "unknown outcomes"),
            (&mut self.escalated, 3_000, "escalations"),
            (&mut self.longer, 200, "answers asked for at greater length"),
            (&mut self.succeeded, 20_000, "successes"),
            (&mut self.cancelled, 500, "cancelled items"),
            (&mut self.expired, 500, "expired items"),
            (&mut self.failed_over, 500, "attempts on the other account"),
            (&mut self.at_peak, 200, "attempts at the peak price"),
            (&mut self.over_item_cap, 50, "items over their own cap"),
            (&mut self.blocked, 20, "jobs stopped by their cap"),
            (&mut self.measured, 10, "nights under a measured limit"),
            (&mut self.out_of_budget, 200, "stops by a budget"),
            (&mut self.over_midnight, 200, "nights that spent on both sides of midnight"),
            (&mut self.alerts, 500, "alerts"),
            (&mut self.for_nothing, 1_000, "attempts that cost nothing"),
            (&mut self.hedged, 200, "races"),
            (&mut self.overtaken, 50, "races won by the second"),
            (&mut self.given_up, 50, "calls given up"),
            (&mut self.in_batches, 2_000, "attempts in batches"),
            (&mut self.not_run, 100, "lines that did not run"),
        ]
    }

    fn counts(&self) -> [u64; 22] {
        [
            self.cuts,
            self.holds,
            self.unknown,
            self.escalated,
            self.longer,
            self.succeeded,
            self.cancelled,
            self.expired,
            self.failed_over,
            self.at_peak,
            self.over_item_cap,
            self.blocked,
            self.measured,
            self.out_of_budget,
            self.over_midnight,
            self.alerts,
            self.for_nothing,
            self.hedged,
            self.overtaken,
            self.given_up,
            self.in_batches,
            self.not_run,
        ]
    }
}
