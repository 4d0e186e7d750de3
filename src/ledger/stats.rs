//! What one route did for one job: counts, money and a histogram of latencies.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptStatus, CostBasis, ErrorCode};
use crate::money::{Usage, Usd};
use crate::record::Ended;

/// What one route did for one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStats {
    /// Answers accepted.
    pub succeeded: u64,
    /// Answers not accepted, by verdict.
    pub rejected: BTreeMap<ErrorCode, u64>,
    /// Attempts without an answer, by reason.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// What all its attempts cost.
    pub cost: Usd,
    /// Its tokens.
    pub usage: Usage,
    /// Answers by latency: bucket `b` counts those under 1 ms × 2^(b/4).
    pub latency: Vec<u32>,
    /// What its attempts cost, by the price window they fell into.
    pub windows: BTreeMap<Arc<str>, Usd>,
}

impl RouteStats {
    /// Four buckets a doubling, up to an hour.
    const BUCKETS: usize = 88;

    /// Adds one attempt up.
    pub(super) fn observe(&mut self, ended: &Ended) {
        self.cost += ended.cost;
        *self.windows.entry(ended.route.window.clone()).or_default() += ended.cost;
        self.usage += ended.usage.unwrap_or_default();
        let code = ended.error.as_ref().map_or(ErrorCode::Internal, |(code, _)| *code);
        match ended.status {
            AttemptStatus::Succeeded => self.succeeded += 1,
            AttemptStatus::Rejected => *self.rejected.entry(code).or_default() += 1,
            _ => *self.errors.entry(code).or_default() += 1,
        }
        // What was cut off by its rival would have taken longer still: leaving it out would make the rest
        // look ever faster.
        let is_cut_off = ended.status == AttemptStatus::Cancelled && ended.cost_basis == CostBasis::Estimated;
        if is_cut_off || matches!(ended.status, AttemptStatus::Succeeded | AttemptStatus::Rejected) {
            self.observe_latency(ended.ended_at.since(ended.started_at).as_millis() as u64);
        }
    }

    pub(crate) fn observe_latency(&mut self, latency_ms: u64) {
        if self.latency.is_empty() {
            self.latency = vec![0; Self::BUCKETS];
        }
        let bucket = ((latency_ms.max(1) as f64).log2() * 4.0).floor() as usize;
        self.latency[bucket.min(Self::BUCKETS - 1)] += 1;
    }

    /// Answers, accepted or not.
    pub fn answers(&self) -> u64 {
        self.succeeded + self.rejected.values().sum::<u64>()
    }

    /// How long an answer takes, as far as the buckets tell; `None` without answers.
    pub fn mean_latency(&self) -> Option<Duration> {
        let total: u64 = self.latency.iter().map(|&n| u64::from(n)).sum();
        let millis = |bucket: usize| 2f64.powf((bucket as f64 + 0.5) / 4.0);
        let sum: f64 =
            self.latency.iter().enumerate().map(|(bucket, &n)| f64::from(n) * millis(bucket)).sum();
        (total > 0).then(|| Duration::from_secs_f64(sum / total as f64 / 1e3))
    }

    /// The latency in milliseconds that `share` of all answers stayed under; `None` without answers.
    pub fn latency_ms(&self, share: f64) -> Option<u64> {
        let total: u64 = self.latency.iter().map(|&n| u64::from(n)).sum();
        let mut left = (total as f64 * share).ceil().max(1.0) as u64;
        for (bucket, &count) in self.latency.iter().enumerate() {
            if left <= u64::from(count) {
                return Some(2f64.powf((bucket as f64 + 0.5) / 4.0).round() as u64);
            }
            left -= u64::from(count);
        }
        None
    }
}
