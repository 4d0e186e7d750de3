//! [`Sums`]: everything a group of attempts and items adds up to.
//!
//! Money is added in whole nano-dollars, the unit of the rows, so that the sums of all groups are the
//! total to the last digit. What was paid falls in three parts that make up the whole: for answers that
//! were accepted, for answers that a stronger model was asked to replace, and for everything else.
//!
//! Pure.

use crate::job::tag::is_rework;
use crate::money::{Usage, Usd};
use crate::report::against::Otherwise;
use crate::report::row::{AttemptRow, ResultRow, from_nano};

/// What some attempts and items add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Items that ended; of an item asked again, the newest row.
    pub items: u64,
    /// Of these, with an accepted answer.
    pub succeeded: u64,
    /// Of these, asked again by hand.
    pub rework: u64,
    /// Upstream calls.
    pub attempts: u64,
    /// Calls that repeat one on the same step.
    pub retries: u64,
    /// Answers that were not the JSON asked for.
    pub failed_json: u64,
    /// Calls that ended at their time limit.
    pub timeouts: u64,
    /// Calls after which a stronger model was asked.
    pub escalations: u64,
    /// Tokens as reported.
    pub usage: Usage,
    /// What was paid.
    pub cost: Usd,
    /// Of that, for answers that were accepted.
    pub accepted_cost: Usd,
    /// Of that, for answers after which a stronger model was asked.
    pub escalated_cost: Usd,
    /// The same calls in the dearest hours of the realtime lane.
    pub list_cost: Usd,
    /// The same calls at the moment their jobs were submitted.
    pub run_now: Usd,
    /// The accepted answers, had the strongest model given them.
    pub strongest: Usd,
    /// What reading input from a cache saved.
    pub cache_saved: Usd,
    pub(super) latencies_ms: Vec<u32>,
}

impl Sums {
    /// Adds a call.
    pub fn add_attempt(&mut self, row: &AttemptRow, otherwise: &Otherwise, is_retry: bool) {
        let cost = from_nano(row.cost_nano_usd);
        let code = row.error_code.as_deref().unwrap_or_default();
        self.attempts += 1;
        self.retries += u64::from(is_retry);
        self.failed_json += u64::from(matches!(code, "not_json" | "schema_mismatch"));
        self.timeouts += u64::from(code == "timeout");
        self.usage += row.usage.unwrap_or_default();
        self.cost += cost;
        self.list_cost += from_nano(row.list_cost_nano_usd);
        self.run_now += otherwise.run_now;
        self.strongest += otherwise.strongest;
        self.cache_saved += otherwise.cache_saved;
        if row.status == "succeeded" {
            self.accepted_cost += cost;
        } else if row.escalation_reason.is_some() {
            self.escalations += 1;
            self.escalated_cost += cost;
        }
        if matches!(row.status.as_str(), "succeeded" | "rejected") {
            self.latencies_ms.push(u32::try_from(row.duration_ms.max(0)).unwrap_or(u32::MAX));
        }
    }

    /// Adds an item that ended.
    pub fn add_item(&mut self, row: &ResultRow) {
        self.items += 1;
        self.succeeded += u64::from(row.status == "succeeded");
        self.rework += u64::from(is_rework(&row.tags));
    }

    /// Adds what another group adds up to.
    pub fn add(&mut self, other: &Sums) {
        self.items += other.items;
        self.succeeded += other.succeeded;
        self.rework += other.rework;
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.failed_json += other.failed_json;
        self.timeouts += other.timeouts;
        self.escalations += other.escalations;
        self.usage += other.usage;
        self.cost += other.cost;
        self.accepted_cost += other.accepted_cost;
        self.escalated_cost += other.escalated_cost;
        self.list_cost += other.list_cost;
        self.run_now += other.run_now;
        self.strongest += other.strongest;
        self.cache_saved += other.cache_saved;
        self.latencies_ms.extend(&other.latencies_ms);
    }

    /// Paid for calls that led to no answer and no escalation: errors, retries, items that failed.
    pub fn lost_cost(&self) -> Usd {
        self.cost - self.accepted_cost - self.escalated_cost
    }

    /// Latencies that these percents of all answers do not exceed.
    pub fn percentiles<const N: usize>(&self, percents: [usize; N]) -> [Option<u64>; N] {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_unstable();
        percents.map(|percent| percentile(&sorted, percent))
    }
}

/// The smallest value that this many percent of all do not exceed.
pub(super) fn percentile(sorted: &[u32], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map(|&ms| u64::from(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        assert_eq!(percentile(&[], 50), None);
        for (percent, value) in [(50, 20), (95, 40), (99, 40), (25, 10)] {
            assert_eq!(percentile(&[10, 20, 30, 40], percent), Some(value), "{percent}");
        }
    }

    #[test]
    fn what_was_paid_falls_in_three_parts_that_make_it_up() {
        let row = |status: &str, escalated: bool, cost| AttemptRow {
            status: status.into(),
            escalation_reason: escalated.then(|| "truncated".to_owned()),
            cost_nano_usd: cost,
            ..AttemptRow::default()
        };
        let mut sums = Sums::default();
        for row in [
            row("succeeded", false, 1),
            row("rejected", true, 20),
            row("rejected", false, 300),
            row("unknown", false, 4_000),
        ] {
            sums.add_attempt(&row, &Otherwise::default(), false);
        }
        let parts = [sums.accepted_cost, sums.escalated_cost, sums.lost_cost()].map(Usd::nano);
        assert_eq!((parts, sums.cost.nano()), ([1, 20, 4_300], 4_321));
        assert_eq!((sums.escalations, sums.attempts), (1, 4));
    }
}
