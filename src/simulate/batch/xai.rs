//! Batches and their results in the words of xAI: counts without a state, days without a time, pages.
//!
//! Pure.

use serde_json::{Value, json};

use super::page::Page;
use super::write::{body, failure, id};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::provider::simulated::batch::{Batch, BatchFault, BatchResult, BatchStage, LineEnd};

/// A batch as it is described.
pub(super) fn batch(batch: &Batch) -> Value {
    let over = batch.stage.is_over();
    let known = if batch.stage == BatchStage::Queued { 0 } else { batch.len };
    let count = |like: fn(&LineEnd) -> bool| batch.count(like);
    let mut state = json!({
        "num_requests": known,
        "num_pending": if over { 0 } else { known },
        "num_success": count(|end| matches!(end, LineEnd::Answered { .. })),
        "num_error": count(|end| matches!(end, LineEnd::Refused(_))),
        "num_cancelled": count(|end| matches!(end, LineEnd::Expired | LineEnd::Cancelled)),
    });
    if over && batch.faults.contains(&BatchFault::WrongCounts) {
        state["num_success"] = batch.len.into();
        state["num_error"] = 0.into();
        state["num_cancelled"] = 0.into();
    }
    let failure = failure(batch).map(|(_, message)| format!("JSONL file validation failed: {message}"));
    let cancelled_at = batch.cancelled_at.or(batch.ended_at.filter(|_| failure.is_some()));
    json!({
        "batch_id": id(batch),
        "name": batch.order.label,
        "create_time": day(batch.made_at),
        "expire_time": day(batch.expires_at),
        "create_api_key_id": "sim",
        "cancel_time": cancelled_at.map(day),
        "cancel_by_xai_message": failure,
        "input_file_id": batch.order.input_file,
        "state": state,
    })
}

/// A page of batches.
pub(super) fn list(described: &[Value], next: Option<&str>) -> Value {
    json!({"batches": described, "pagination_token": next})
}

/// A page of a batch's results.
pub(super) fn results(batch: &Batch, page: &Page) -> Vec<u8> {
    let lines: Vec<String> =
        batch.results[page.from..page.until].iter().map(|result| line(result, batch.made_at)).collect();
    let next = Value::from(page.next.as_deref());
    format!("{{\"results\":[{}],\"pagination_token\":{next}}}", lines.join(",")).into_bytes()
}

fn line(result: &BatchResult, made_at: Timestamp) -> String {
    let error = |code: u64, message: &str| {
        format!("{{\"response\":null,\"error\":{}}}", json!({"code": code, "message": message}))
    };
    let what = match &result.end {
        LineEnd::Answered { .. } => {
            let body = body(Wire::Chat, &result.end, made_at);
            format!("{{\"response\":{{\"chat_get_completion\":{body}}},\"error\":null}}")
        }
        LineEnd::Refused(refusal) => error(code(refusal.status), &refusal.message),
        LineEnd::Expired => error(4, "The batch expired."),
        LineEnd::Cancelled => error(1, "The batch was cancelled."),
    };
    format!("{{\"batch_request_id\":{},\"batch_result\":{what}}}", Value::from(&*result.id))
}

/// A status as `google.rpc.Code` numbers it.
fn code(status: u16) -> u64 {
    match status {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        503 => 14,
        _ => 13,
    }
}

/// Over HTTP, a time is the day it is on.
fn day(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d").to_string()
}
