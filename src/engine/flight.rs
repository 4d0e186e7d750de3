//! An attempt between its `Started` record and its end.
//!
//! Pure.

use std::sync::Arc;

use crate::attempt::Ending;
use crate::check::{Check, Rule};
use crate::clock::Timestamp;
use crate::engine::Call;
use crate::job::{Item, Job};
use crate::money::Usd;

/// An attempt that was started and has not ended.
pub(super) struct Flight {
    /// What is sent.
    pub call: Call,
    /// The item as it was submitted; the call's may have a larger output limit.
    pub item: Arc<Item>,
    /// The job it is of.
    pub job: Arc<Job>,
    /// Its route's place among the lanes; `None` where a former process sent it on a route now gone.
    pub lane: Option<usize>,
    /// Which step of the ladder it is on, from 0.
    pub step: u8,
    /// Reserved for it.
    pub worst_case: Usd,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was sent; as it was started until then.
    pub sent_at: Timestamp,
    /// Where it is.
    pub stage: Stage,
}

/// Where a flight is.
pub(super) enum Stage {
    /// Its record is on the way to the disk; `true` when it already holds room on its lane.
    Recording(bool),
    /// Durable, waiting for room on its lane.
    Ready,
    /// Out.
    Sent,
    /// Answered; a command decides whether the answer is good.
    Judging(Box<Ending>),
}

impl Flight {
    /// The check that applies, compiled. An item's own check replaces the job's.
    pub(super) fn rule(&self, job_rule: Option<&Arc<Rule>>) -> Option<Result<Arc<Rule>, String>> {
        let own: Option<&Check> = self.item.options.as_ref().and_then(|options| options.check.as_ref());
        match (own, &self.job.options.check, job_rule) {
            (Some(check), _, _) => Some(Rule::compile(check).map(Arc::new)),
            (None, Some(_), Some(rule)) => Some(Ok(rule.clone())),
            (None, Some(check), None) => Some(Rule::compile(check).map(Arc::new)),
            (None, None, _) => None,
        }
    }
}
