//! A batch as OpenAI shows it: every field always, unset ones `null`.
//!
//! Pure.

use serde::Serialize;

use super::record::{Figures, Metadata, Record, Stage};
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::serve::intake::LineError;
use crate::serve::seconds;
use crate::view::JobView;

/// OpenAI's batch object, and what we know beside it.
#[derive(Debug, Serialize)]
pub(super) struct BatchObject {
    id: String,
    object: &'static str,
    endpoint: String,
    model: Option<String>,
    errors: Option<Errors>,
    input_file_id: String,
    completion_window: String,
    status: String,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    created_at: i64,
    in_progress_at: Option<i64>,
    expires_at: i64,
    finalizing_at: Option<i64>,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    expired_at: Option<i64>,
    cancelling_at: Option<i64>,
    cancelled_at: Option<i64>,
    request_counts: RequestCounts,
    usage: Usage,
    metadata: Option<Metadata>,
    overnight: Ours,
}

#[derive(Debug, Serialize)]
struct Errors {
    object: &'static str,
    data: Vec<LineError>,
}

#[derive(Debug, Serialize)]
struct RequestCounts {
    total: u32,
    completed: u32,
    failed: u32,
}

#[derive(Debug, Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Debug, Serialize)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// What OpenAI has no field for.
#[derive(Debug, Serialize)]
struct Ours {
    job_id: JobId,
    cost_usd: f64,
    /// Against the same tokens at list price.
    saved_usd: f64,
    eta: Option<Timestamp>,
    waiting_for: Option<String>,
    paused: bool,
}

impl BatchObject {
    /// Of a batch; `view` is its job, where it is one that is in the queue.
    pub(super) fn of(record: &Record, view: Option<&JobView>) -> BatchObject {
        let outcome = match &record.stage {
            Stage::Over(outcome) => Some(outcome),
            _ => None,
        };
        let figures =
            outcome.map(|outcome| outcome.figures).or_else(|| view.map(Figures::of)).unwrap_or_default();
        let ended =
            |state: &str| outcome.filter(|outcome| outcome.state == state).map(|outcome| seconds(outcome.at));
        let (failed_at, errors) = match &record.stage {
            Stage::Failed { at, errors } => {
                (Some(seconds(*at)), Some(Errors { object: "list", data: errors.clone() }))
            }
            _ => (None, None),
        };
        BatchObject {
            id: record.id.clone(),
            object: "batch",
            endpoint: record.endpoint.clone(),
            model: None,
            errors,
            input_file_id: record.input_file_id.clone(),
            completion_window: record.completion_window.clone(),
            status: status(record, view).to_owned(),
            output_file_id: outcome.and_then(|outcome| outcome.output_file_id.clone()),
            error_file_id: outcome.and_then(|outcome| outcome.error_file_id.clone()),
            created_at: seconds(record.created_at),
            in_progress_at: record.in_progress_at.map(seconds),
            expires_at: seconds(record.expires_at),
            finalizing_at: record.finalizing_at.map(seconds),
            completed_at: ended("completed"),
            failed_at,
            expired_at: ended("expired"),
            cancelling_at: record.cancelling_at.map(seconds),
            cancelled_at: ended("cancelled"),
            request_counts: RequestCounts {
                total: figures.total,
                completed: figures.completed,
                failed: figures.failed,
            },
            usage: Usage {
                input_tokens: figures.input_tokens,
                input_tokens_details: InputDetails { cached_tokens: figures.cached_tokens },
                output_tokens: figures.output_tokens,
                output_tokens_details: OutputDetails { reasoning_tokens: figures.reasoning_tokens },
                total_tokens: figures.input_tokens + figures.output_tokens,
            },
            metadata: record.metadata.clone(),
            overnight: Ours {
                job_id: record.job(),
                cost_usd: figures.cost_usd,
                saved_usd: (figures.list_cost_usd - figures.cost_usd).max(0.0),
                eta: view.and_then(|view| view.eta),
                waiting_for: view.and_then(waiting_for),
                paused: view.is_some_and(|view| view.paused),
            },
        }
    }
}

impl BatchObject {
    /// Where it is.
    pub(super) fn status(&self) -> &str {
        &self.status
    }
}

/// Where it is. A job that is over is a batch that is being finalized until its files are written.
fn status<'a>(record: &'a Record, view: Option<&'a JobView>) -> &'a str {
    match (&record.stage, view) {
        (Stage::Failed { .. }, _) => "failed",
        (Stage::Over(outcome), _) => &outcome.state,
        _ if record.cancelling_at.is_some() => "cancelling",
        (Stage::Validating, _) => "validating",
        (Stage::Queued, Some(view)) if view.finished_at.is_none() => &view.state,
        (Stage::Queued, _) => "finalizing",
    }
}

/// The reason most pending items wait for.
fn waiting_for(view: &JobView) -> Option<String> {
    let most = view.waiting.iter().max_by_key(|(_, n)| **n).map(|(reason, _)| reason.as_str());
    match (most, &view.waiting_for) {
        (Some(reason), Some(words)) => Some(format!("{reason}: {words}")),
        (reason, words) => reason.map(str::to_owned).or_else(|| words.clone()),
    }
}
