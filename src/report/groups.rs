//! Attempts and items added up by the values of some [`Key`]s, and the rows that come of it.
//!
//! Every attempt and every item is in exactly one group, so the groups add up to the total in every
//! column: money is exact, and cost per success of the whole is the sum of all costs over the sum of
//! all successes, whoever was asked in vain before.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::money::Usd;
use crate::report::against::Otherwise;
use crate::report::by::Key;
use crate::report::forecast::{Basis, Month};
use crate::report::row::{AttemptRow, ResultRow};
use crate::report::sums::Sums;

/// The values of the keys, in their order; `None` where a row has none.
type Values = Vec<Option<String>>;

/// Sums by group.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    keys: Vec<Key>,
    groups: BTreeMap<Values, Sums>,
}

impl Groups {
    /// By these keys, nothing added yet.
    pub fn by(keys: &[Key]) -> Groups {
        Groups { keys: keys.to_vec(), groups: BTreeMap::new() }
    }

    /// Adds a call.
    pub fn add_attempt(
        &mut self,
        row: &AttemptRow,
        tags: &[(String, String)],
        otherwise: &Otherwise,
        is_retry: bool,
    ) {
        let values = self.keys.iter().map(|key| key.of_attempt(row, tags)).collect();
        self.groups.entry(values).or_default().add_attempt(row, otherwise, is_retry);
    }

    /// Adds an item that ended.
    pub fn add_item(&mut self, row: &ResultRow) {
        let values = self.keys.iter().map(|key| key.of_item(row)).collect();
        self.groups.entry(values).or_default().add_item(row);
    }

    /// All groups: in the order of the first key where it has one, else the dearest first.
    pub fn rows(&self, basis: Option<&Basis>) -> Vec<GroupRow> {
        let mut groups: Vec<(&Values, &Sums)> = self.groups.iter().collect();
        if !self.keys.first().is_some_and(Key::is_ordered) {
            groups.sort_by(|a, b| b.1.cost.cmp(&a.1.cost).then_with(|| a.0.cmp(b.0)));
        }
        groups.into_iter().map(|(values, sums)| GroupRow::new(&self.keys, values, sums, basis)).collect()
    }

    /// All groups as they are.
    pub fn iter(&self) -> impl Iterator<Item = (&[Option<String>], &Sums)> {
        self.groups.iter().map(|(values, sums)| (values.as_slice(), sums))
    }
}

/// One group, or the total.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GroupRow {
    /// The value of each key, by the key's name.
    #[serde(serialize_with = "object")]
    pub key: Vec<(String, Option<String>)>,
    /// Items that ended, each where the attempt that ended it belongs.
    pub items: u64,
    /// Of these, with an accepted answer.
    pub succeeded: u64,
    /// Of these, asked again by hand (`retry --rework`).
    pub rework: u64,
    /// Upstream calls.
    pub attempts: u64,
    /// Calls that repeat one on the same step.
    pub retries: u64,
    /// Answers that were not the JSON asked for: `not_json` and `schema_mismatch`.
    pub failed_json: u64,
    /// Calls that ended at their time limit.
    pub timeouts: u64,
    /// Calls after which a stronger model was asked.
    pub escalations: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// Of these, read from a cache.
    pub cache_read_input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What was paid to this group, whatever came of it.
    pub cost_nano_usd: i64,
    /// The same in dollars.
    pub cost_usd: f64,
    /// That, per accepted answer of this group.
    pub cost_per_success_usd: Option<f64>,
    /// Of the cost: for answers that were accepted.
    pub accepted_nano_usd: i64,
    /// Of the cost: for answers that a stronger model was asked to replace.
    pub escalated_nano_usd: i64,
    /// Of the cost: for everything else.
    pub lost_nano_usd: i64,
    /// The same calls in the dearest hours of the realtime lane.
    pub list_cost_nano_usd: i64,
    /// The same calls at the moment their jobs were submitted.
    pub run_now_nano_usd: i64,
    /// The accepted answers, had the strongest model given them.
    pub strongest_nano_usd: i64,
    /// Median latency of answers.
    pub p50_ms: Option<u64>,
    /// 95th percentile.
    pub p95_ms: Option<u64>,
    /// 99th percentile.
    pub p99_ms: Option<u64>,
    /// A month at this rate.
    pub month: Option<Month>,
}

impl GroupRow {
    /// A group's sums.
    pub fn new(keys: &[Key], values: &[Option<String>], sums: &Sums, basis: Option<&Basis>) -> GroupRow {
        let [p50_ms, p95_ms, p99_ms] = sums.percentiles([50, 95, 99]);
        GroupRow {
            key: keys.iter().map(Key::to_string).zip(values.iter().cloned()).collect(),
            items: sums.items,
            succeeded: sums.succeeded,
            rework: sums.rework,
            attempts: sums.attempts,
            retries: sums.retries,
            failed_json: sums.failed_json,
            timeouts: sums.timeouts,
            escalations: sums.escalations,
            input_tokens: sums.usage.input,
            cache_read_input_tokens: sums.usage.cache_read,
            output_tokens: sums.usage.output,
            cost_nano_usd: sums.cost.nano(),
            cost_usd: sums.cost.as_f64(),
            cost_per_success_usd: super::per(sums.cost.as_f64(), sums.succeeded),
            accepted_nano_usd: sums.accepted_cost.nano(),
            escalated_nano_usd: sums.escalated_cost.nano(),
            lost_nano_usd: sums.lost_cost().nano(),
            list_cost_nano_usd: sums.list_cost.nano(),
            run_now_nano_usd: sums.run_now.nano(),
            strongest_nano_usd: sums.strongest.nano(),
            p50_ms,
            p95_ms,
            p99_ms,
            month: basis.map(|basis| basis.month(sums)),
        }
    }

    /// What was paid.
    pub fn cost(&self) -> Usd {
        super::row::from_nano(self.cost_nano_usd)
    }

    /// What was paid per accepted answer.
    pub fn cost_per_success(&self) -> Option<Usd> {
        let pico = i128::from(self.cost_nano_usd) * 1_000;
        (self.succeeded > 0).then(|| Usd::from_pico(pico / i128::from(self.succeeded)))
    }

    /// The group's name for people: its values, `-` for none.
    pub fn name(&self) -> String {
        let values: Vec<&str> = self.key.iter().map(|(_, value)| value.as_deref().unwrap_or("-")).collect();
        values.join(" · ")
    }
}

fn object<S: Serializer>(key: &[(String, Option<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(key.iter().map(|(name, value)| (name, value)))
}
