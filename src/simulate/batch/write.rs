//! Batches and their results in the words of each API.
//!
//! Pure.

use serde_json::{Value, json};

use super::{gemini, xai};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::provider::simulated::batch::{Batch, BatchFault, BatchFile, BatchResult, BatchStage, LineEnd};
use crate::simulate::wire::{self, Shape, Stamp};

/// Which results of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Answers,
    Errors,
    All,
}

/// The provider's name for a batch.
pub(super) fn id(batch: &Batch) -> String {
    let number = batch.number;
    match batch.order.dialect {
        BatchDialect::OpenAi | BatchDialect::OpenRouter | BatchDialect::Xai => format!("batch_sim_{number}"),
        BatchDialect::Anthropic => format!("msgbatch_sim_{number}"),
        BatchDialect::Gemini => format!("batches/sim-{number}"),
        BatchDialect::Mistral => format!("sim-{number}"),
    }
}

/// A batch as its API describes it; `base` is where the server is reached, `with_results` whether those
/// that belong into the description are shown.
pub(super) fn batch(batch: &Batch, base: &str, with_results: bool) -> Vec<u8> {
    match batch.order.dialect {
        BatchDialect::OpenAi => openai(batch).to_string().into_bytes(),
        BatchDialect::OpenRouter => openrouter(batch, with_results),
        BatchDialect::Anthropic => anthropic(batch, base).to_string().into_bytes(),
        BatchDialect::Mistral => mistral(batch).to_string().into_bytes(),
        BatchDialect::Gemini => gemini::batch(batch, with_results),
        BatchDialect::Xai => xai::batch(batch).to_string().into_bytes(),
    }
}

/// A page of batches as their API lists them, without results; `next` is where the next page begins.
pub(super) fn list(batches: &[&Batch], dialect: BatchDialect, next: Option<&str>, base: &str) -> Vec<u8> {
    let described: Vec<Value> = batches
        .iter()
        .map(|one| serde_json::from_slice(&batch(one, base, false)).expect("our own objects are JSON"))
        .collect();
    let (first, last) = (batches.first().map(|batch| id(batch)), batches.last().map(|batch| id(batch)));
    let mut list = match dialect {
        BatchDialect::Gemini => json!({"operations": described}),
        BatchDialect::Xai => xai::list(&described, next),
        BatchDialect::Mistral => json!({"object": "list", "data": described, "total": described.len()}),
        BatchDialect::OpenAi | BatchDialect::OpenRouter | BatchDialect::Anthropic => json!({
            "object": "list", "data": described, "first_id": first, "last_id": last,
            "has_more": next.is_some(),
        }),
    };
    if let (BatchDialect::Gemini, Some(next)) = (dialect, next) {
        list["nextPageToken"] = next.into();
    }
    list.to_string().into_bytes()
}

/// Uploaded files as they are listed, all of them at once.
pub(super) fn files<'a>(dialect: BatchDialect, files: impl Iterator<Item = (u64, &'a BatchFile)>) -> Value {
    let described: Vec<Value> = files.map(|(number, one)| file(dialect, number, one)).collect();
    match dialect {
        BatchDialect::Gemini => {
            json!({"files": described.iter().map(|file| &file["file"]).collect::<Vec<_>>()})
        }
        _ => json!({"object": "list", "data": described, "has_more": false}),
    }
}

/// That something is gone, in the words of each.
pub(super) fn deleted(dialect: BatchDialect, id: &str) -> Value {
    match dialect {
        BatchDialect::Anthropic => json!({"id": id, "type": "message_batch_deleted"}),
        BatchDialect::Gemini => json!({}),
        _ => json!({"id": id, "object": "file", "deleted": true}),
    }
}

/// An uploaded file as it is described.
pub(super) fn file(dialect: BatchDialect, number: u64, file: &BatchFile) -> Value {
    let size = file.bytes.len();
    match dialect {
        BatchDialect::Gemini => json!({"file": {
            "name": file_id(dialect, number), "displayName": file.name, "mimeType": "application/jsonl",
            "sizeBytes": size.to_string(), "state": "ACTIVE", "createTime": file.made_at.to_string(),
        }}),
        _ => json!({
            "id": file_id(dialect, number), "object": "file", "bytes": size, "filename": file.name,
            "created_at": seconds(file.made_at), "purpose": file.purpose, "status": "processed",
        }),
    }
}

fn file_id(dialect: BatchDialect, number: u64) -> String {
    match dialect {
        BatchDialect::Gemini => format!("files/sim-{number}"),
        _ => format!("file-sim-{number}"),
    }
}

/// Results as lines.
pub(super) fn lines(batch: &Batch, part: Part) -> Vec<u8> {
    let mut out = Vec::new();
    for result in batch.results.iter().filter(|result| belongs(result, part)) {
        line(&mut out, batch, result, false);
        out.push(b'\n');
    }
    out
}

fn belongs(result: &BatchResult, part: Part) -> bool {
    let is_answer = matches!(result.end, LineEnd::Answered { .. });
    part == Part::All || is_answer == (part == Part::Answers)
}

/// Results as the elements of an array.
pub(super) fn elements(batch: &Batch) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, result) in batch.results.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        line(&mut out, batch, result, true);
    }
    out.push(b']');
    out
}

fn line(out: &mut Vec<u8>, batch: &Batch, result: &BatchResult, inline: bool) {
    let (wire, made_at) = (batch.order.wire, batch.made_at);
    let text = match batch.order.dialect {
        BatchDialect::Anthropic => anthropic_line(result, made_at),
        BatchDialect::Gemini => gemini::line(result, made_at, inline),
        _ => openai_line(wire, result, made_at),
    };
    out.extend_from_slice(text.as_bytes());
}

/// An answer's body as a realtime call would have had it.
pub(super) fn body(wire: Wire, end: &LineEnd, made_at: Timestamp) -> String {
    let bytes = match end {
        LineEnd::Answered { number, answer, base64, tool } => {
            let shape = Shape { wire, base64: *base64, tool: tool.clone() };
            wire::answer(&shape, Stamp { number: *number, created: seconds(made_at) }, answer)
        }
        LineEnd::Refused(refusal) => wire::error(wire, refusal),
        LineEnd::Expired | LineEnd::Cancelled => b"null".to_vec(),
    };
    String::from_utf8(bytes).expect("our own bodies are text")
}

fn openai_line(wire: Wire, result: &BatchResult, made_at: Timestamp) -> String {
    let id = Value::from(&*result.id);
    let never = |code: &str, message: &str| {
        let error = json!({"code": code, "message": message});
        format!("{{\"id\":\"batch_req_sim\",\"custom_id\":{id},\"response\":null,\"error\":{error}}}")
    };
    let status = match &result.end {
        LineEnd::Expired => {
            return never(
                "batch_expired",
                "This request was not executed before the completion window expired.",
            );
        }
        LineEnd::Cancelled => return never("batch_cancelled", "The batch was cancelled."),
        LineEnd::Answered { .. } => 200,
        LineEnd::Refused(refusal) => refusal.status,
    };
    let body = body(wire, &result.end, made_at);
    format!(
        "{{\"id\":\"batch_req_sim\",\"custom_id\":{id},\"response\":{{\"status_code\":{status},\
         \"request_id\":\"sim\",\"body\":{body}}},\"error\":null}}"
    )
}

fn anthropic_line(result: &BatchResult, made_at: Timestamp) -> String {
    let id = Value::from(&*result.id);
    let body = body(Wire::Messages, &result.end, made_at);
    let result = match &result.end {
        LineEnd::Answered { .. } => {
            let message = body.replace("\"service_tier\":\"standard\"", "\"service_tier\":\"batch\"");
            format!("{{\"type\":\"succeeded\",\"message\":{message}}}")
        }
        LineEnd::Refused(_) => format!("{{\"type\":\"errored\",\"error\":{body}}}"),
        LineEnd::Expired => "{\"type\":\"expired\"}".to_owned(),
        LineEnd::Cancelled => "{\"type\":\"canceled\"}".to_owned(),
    };
    format!("{{\"custom_id\":{id},\"result\":{result}}}")
}

/// Lines answered and lines refused or not run, as the provider says.
pub(super) fn counts(batch: &Batch) -> (u64, u64) {
    if batch.stage.is_over() && batch.faults.contains(&BatchFault::WrongCounts) {
        return (batch.len, 0);
    }
    let answered = batch.count(|end| matches!(end, LineEnd::Answered { .. }));
    (answered, batch.results.len() as u64 - answered)
}

/// Why a batch failed: code and words.
pub(super) fn failure(batch: &Batch) -> Option<(&'static str, &'static str)> {
    match batch.stage {
        BatchStage::Invalid => Some(("invalid_json_line", "This line is not parseable as valid JSON.")),
        BatchStage::OverTokens => {
            Some(("token_limit_exceeded", "Enqueued token limit reached for this model."))
        }
        _ => None,
    }
}

fn openai(batch: &Batch) -> Value {
    let status = match batch.stage {
        BatchStage::Queued => "validating",
        BatchStage::Running => "in_progress",
        BatchStage::Ending => "cancelling",
        BatchStage::Completed => "completed",
        BatchStage::Expired => "expired",
        BatchStage::Cancelled => "cancelled",
        BatchStage::Invalid | BatchStage::OverTokens => "failed",
    };
    let (completed, failed) = counts(batch);
    let output = batch.count(|end| matches!(end, LineEnd::Answered { .. })) > 0;
    let errors = batch.count(|end| !matches!(end, LineEnd::Answered { .. })) > 0;
    let file = |kind: &str, there: bool| there.then(|| format!("file-sim-{kind}-{}", batch.number));
    let ended = |stage| batch.ended_at.filter(|_| batch.stage == stage).map(seconds);
    let over = batch.stage.is_over();
    json!({
        "id": id(batch),
        "object": "batch",
        "endpoint": batch.order.endpoint,
        "model": batch.order.model,
        "errors": failure(batch).map(|(code, message)| json!({"object": "list", "data": [
            {"code": code, "message": message, "param": null, "line": 1},
        ]})),
        "input_file_id": batch.order.input_file,
        "completion_window": "24h",
        "status": status,
        "output_file_id": file("out", over && output),
        "error_file_id": file("err", over && errors),
        "created_at": seconds(batch.made_at),
        "in_progress_at": (batch.stage != BatchStage::Queued).then(|| seconds(batch.made_at)),
        "expires_at": seconds(batch.expires_at),
        "completed_at": ended(BatchStage::Completed),
        "failed_at": failure(batch).and(batch.ended_at).map(seconds),
        "expired_at": ended(BatchStage::Expired),
        "cancelling_at": batch.cancelled_at.map(seconds),
        "cancelled_at": ended(BatchStage::Cancelled),
        "request_counts": {"total": batch.len, "completed": completed, "failed": failed},
        "usage": over.then(|| json!({
            "input_tokens": batch.usage.input,
            "input_tokens_details": {"cached_tokens": batch.usage.cache_read},
            "output_tokens": batch.usage.output,
            "output_tokens_details": {"reasoning_tokens": batch.usage.reasoning},
            "total_tokens": batch.usage.input + batch.usage.output,
        })),
        "metadata": batch.order.label,
    })
}

fn openrouter(batch: &Batch, with_results: bool) -> Vec<u8> {
    let mut object = openai(batch);
    for unknown in ["input_file_id", "output_file_id", "error_file_id"] {
        object.as_object_mut().expect("it is one").remove(unknown);
    }
    let results = match with_results && batch.has_results() {
        true => elements(batch),
        false => b"null".to_vec(),
    };
    let mut text = object.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"results\":");
    text.extend_from_slice(&results);
    text.push(b'}');
    text
}

fn anthropic(batch: &Batch, base: &str) -> Value {
    let status = match batch.stage {
        BatchStage::Queued | BatchStage::Running => "in_progress",
        BatchStage::Ending => "canceling",
        _ => "ended",
    };
    let count = |like: fn(&LineEnd) -> bool| batch.count(like);
    let over = batch.stage.is_over();
    let mut counts = json!({
        "processing": if over { 0 } else { batch.len },
        "succeeded": count(|end| matches!(end, LineEnd::Answered { .. })),
        "errored": count(|end| matches!(end, LineEnd::Refused(_))),
        "canceled": count(|end| *end == LineEnd::Cancelled),
        "expired": count(|end| *end == LineEnd::Expired),
    });
    if over && batch.faults.contains(&BatchFault::WrongCounts) {
        counts = json!({"processing": 0, "succeeded": batch.len, "errored": 0, "canceled": 0, "expired": 0});
    }
    json!({
        "id": id(batch),
        "type": "message_batch",
        "processing_status": status,
        "request_counts": counts,
        "created_at": batch.made_at.to_string(),
        "expires_at": batch.expires_at.to_string(),
        "ended_at": batch.ended_at.map(|at| at.to_string()),
        "cancel_initiated_at": batch.cancelled_at.map(|at| at.to_string()),
        "archived_at": null,
        "results_url": over.then(|| format!("{base}/v1/messages/batches/{}/results", id(batch))),
    })
}

fn mistral(batch: &Batch) -> Value {
    let status = match batch.stage {
        BatchStage::Queued => "QUEUED",
        BatchStage::Running => "RUNNING",
        BatchStage::Ending => "CANCELLATION_REQUESTED",
        BatchStage::Completed => "SUCCESS",
        BatchStage::Expired => "TIMEOUT_EXCEEDED",
        BatchStage::Cancelled => "CANCELLED",
        BatchStage::Invalid | BatchStage::OverTokens => "FAILED",
    };
    let object = openai(batch);
    let (succeeded, failed) = counts(batch);
    let errors = failure(batch).map(|(_, message)| json!({"message": message, "count": batch.len}));
    json!({
        "id": id(batch),
        "object": "batch",
        "input_files": [batch.order.input_file],
        "metadata": batch.order.label,
        "endpoint": batch.order.endpoint,
        "model": batch.order.model,
        "agent_id": null,
        "output_file": object["output_file_id"],
        "error_file": object["error_file_id"],
        "errors": Vec::from_iter(errors),
        "outputs": null,
        "status": status,
        "created_at": seconds(batch.made_at),
        "started_at": object["in_progress_at"],
        "completed_at": batch.ended_at.map(seconds),
        "total_requests": batch.len,
        "completed_requests": succeeded + failed,
        "succeeded_requests": succeeded,
        "failed_requests": failed,
    })
}

fn seconds(at: Timestamp) -> i64 {
    at.micros() / 1_000_000
}
