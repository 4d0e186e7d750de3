//! [`Batch`]: a batch that was made, how it stands, and what became of its lines.
//!
//! Pure.

use serde::Serialize;
use serde_json::Value;

use super::{BatchFault, BatchOrder};
use crate::clock::Timestamp;
use crate::money::{Usage, Usd};
use crate::provider::simulated::{Answer, Refusal};

/// A batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Counts from 1.
    pub number: u64,
    /// What was ordered; the bodies of its requests are gone once it has ended.
    pub order: BatchOrder,
    /// How many requests it has.
    pub len: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it will have expired at the latest.
    pub expires_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// How it stands.
    pub stage: BatchStage,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What became of its lines, once it has ended: in no order of theirs.
    pub results: Vec<BatchResult>,
    /// What was billed for it.
    pub billed: Usd,
    /// Tokens billed for it.
    pub usage: Usage,
    /// What goes wrong with it.
    pub faults: Vec<BatchFault>,
    pub(super) key: String,
    pub(super) tokens: u64,
    /// What of its results was deleted, by part.
    pub(super) deleted: Vec<u8>,
    /// Deleted as a whole.
    pub(super) is_deleted: bool,
    /// Downloads that were cut, by part.
    pub(super) cut: Vec<u8>,
    pub(super) asked_for: bool,
    pub(super) looked_at: bool,
}

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStage {
    /// Not begun.
    Queued,
    /// Begun.
    Running,
    /// Cancelled, and not yet over.
    Ending,
    /// Over, all run.
    Completed,
    /// Over, time was up.
    Expired,
    /// Over, it was cancelled.
    Cancelled,
    /// Over, nothing run: it is no valid batch.
    Invalid,
    /// Over, nothing run: too many tokens wait.
    OverTokens,
}

impl BatchStage {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, BatchStage::Queued | BatchStage::Running | BatchStage::Ending)
    }
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchResult {
    /// The client's name for it.
    pub id: String,
    /// What became of it.
    pub end: LineEnd,
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq)]
pub enum LineEnd {
    /// It was answered.
    Answered {
        /// The number of the request in the log.
        number: u64,
        /// The answer.
        answer: Answer,
        /// Embeddings as base64.
        base64: bool,
        /// The tool that is called.
        tool: Option<String>,
    },
    /// It was refused, or failed.
    Refused(Refusal),
    /// It had not run when time was up.
    Expired,
    /// It had not run when the batch was cancelled.
    Cancelled,
}

impl Batch {
    /// Whether its results are there to be asked for.
    pub fn has_results(&self) -> bool {
        self.stage.is_over() && !self.results.is_empty()
    }

    /// As it stands in the books.
    pub fn out(&self) -> BatchOut<'_> {
        BatchOut {
            number: self.number,
            dialect: self.order.dialect.as_str(),
            label: &self.order.label,
            stage: self.stage,
            made_at: self.made_at.to_string(),
            ended_at: self.ended_at.map(|at| at.to_string()),
            len: self.len,
            usage: self.usage,
            billed_pico_usd: self.billed.pico().to_string(),
            faults: self.faults.iter().map(|fault| fault.as_str()).collect(),
        }
    }

    /// How many results are like this.
    pub fn count(&self, like: impl Fn(&LineEnd) -> bool) -> u64 {
        self.results.iter().filter(|result| like(&result.end)).count() as u64
    }

    pub(super) fn end(&mut self, stage: BatchStage, at: Timestamp) {
        self.stage = stage;
        self.ended_at = Some(at);
        self.order.lines = Vec::new();
    }
}

/// A batch in the books.
#[derive(Debug, Serialize)]
pub struct BatchOut<'a> {
    /// Its number.
    pub number: u64,
    /// In whose words it is described.
    pub dialect: &'static str,
    /// What the client calls it.
    pub label: &'a Value,
    /// How it stands.
    pub stage: BatchStage,
    /// When it was made.
    pub made_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How many requests it has.
    pub len: u64,
    /// Tokens billed.
    pub usage: Usage,
    /// Pico-dollars billed, as text because JSON numbers are doubles to many readers.
    pub billed_pico_usd: String,
    /// What goes wrong with it.
    pub faults: Vec<&'static str>,
}
