//! What is kept of a batch: the request that made it, and how far it is.
//!
//! While its job is in the queue, everything else about it is asked of the queue; once it is over, what
//! it came to stands here, so that a batch outlives its job.
//!
//! Stored as JSON in `STATE/batches/<id>.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::config::Config;
use crate::job::JobId;
use crate::serve::id;
use crate::serve::intake::LineError;
use crate::tenant::{Caller, Tenant};
use crate::view::JobView;

/// OpenAI's free pairs of words.
pub(super) type Metadata = BTreeMap<String, String>;

/// A batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    /// Whose it is, with what held for them when they made it.
    pub(super) tenant: Option<Tenant>,
    pub(super) input_file_id: String,
    pub(super) endpoint: String,
    pub(super) completion_window: String,
    pub(super) metadata: Option<Metadata>,
    /// What is asked beyond OpenAI's fields, from the body and the metadata.
    pub(super) options: Map<String, Value>,
    pub(super) created_at: Timestamp,
    /// Its deadline.
    pub(super) expires_at: Timestamp,
    /// How long its output is kept, in seconds.
    pub(super) output_expires_after: Option<u64>,
    pub(super) in_progress_at: Option<Timestamp>,
    pub(super) cancelling_at: Option<Timestamp>,
    pub(super) finalizing_at: Option<Timestamp>,
    /// Names for its output and error files, kept so that writing them twice makes them once.
    pub(super) reserved: Option<(String, String)>,
    pub(super) stage: Stage,
    /// A webhook is still to be told that it is over.
    #[serde(default)]
    pub(super) untold: bool,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Its file is to be read.
    Validating,
    /// Its file cannot be used; nothing was queued.
    Failed { at: Timestamp, errors: Vec<LineError> },
    /// It is a job.
    Queued,
    /// It is over.
    Over(Outcome),
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// `completed`, `expired` or `cancelled`.
    pub(super) state: String,
    pub(super) at: Timestamp,
    pub(super) output_file_id: Option<String>,
    pub(super) error_file_id: Option<String>,
    pub(super) figures: Figures,
}

/// Counts, tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) total: u32,
    pub(super) completed: u32,
    pub(super) failed: u32,
    pub(super) input_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) reasoning_tokens: u64,
    pub(super) cost_usd: f64,
    pub(super) list_cost_usd: f64,
}

impl Figures {
    /// Of a job.
    pub(super) fn of(view: &JobView) -> Figures {
        let counts = view.counts;
        Figures {
            total: view.items,
            completed: counts.succeeded,
            failed: counts.failed + counts.expired + counts.cancelled,
            input_tokens: view.input_tokens,
            cached_tokens: view.cached_input_tokens,
            output_tokens: view.output_tokens,
            reasoning_tokens: view.reasoning_tokens,
            cost_usd: view.cost_usd,
            list_cost_usd: view.list_cost_usd,
        }
    }
}

impl Record {
    /// Its job.
    pub(super) fn job(&self) -> JobId {
        id::job_of(&self.id).expect("our own names are plain")
    }

    /// Who made it.
    pub(super) fn caller(&self) -> Caller {
        self.tenant.clone().map_or(Caller::Operator, |tenant| Caller::Tenant(Arc::new(tenant)))
    }

    /// Whether a caller may see it.
    pub(super) fn is_shown(&self, caller: &Caller) -> bool {
        caller.sees(self.tenant.as_ref().map(|tenant| tenant.name.as_str()))
    }

    /// Whether it asks for the same as another.
    pub(super) fn repeats(&self, other: &Record) -> bool {
        self.tenant.as_ref().map(|tenant| &tenant.name) == other.tenant.as_ref().map(|tenant| &tenant.name)
            && self.input_file_id == other.input_file_id
            && self.endpoint == other.endpoint
            && self.completion_window == other.completion_window
            && self.metadata == other.metadata
            && self.options == other.options
    }

    /// It is over; whether anybody is to be told is settled then, so that who comes later hears of no old ones.
    pub(super) fn end(&mut self, stage: Stage, config: &Config) {
        self.stage = stage;
        self.untold = config.daemon.webhook.is_some();
    }

    /// When it was over, and how.
    pub(super) fn ended(&self) -> Option<(Timestamp, &str)> {
        match &self.stage {
            Stage::Failed { at, .. } => Some((*at, "failed")),
            Stage::Over(outcome) => Some((outcome.at, &outcome.state)),
            Stage::Validating | Stage::Queued => None,
        }
    }

    /// Whether nothing happens to it any more.
    pub(super) fn is_over(&self) -> bool {
        self.ended().is_some()
    }
}
