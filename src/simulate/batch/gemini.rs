//! Batches and their results in the words of Google: operations, with results in them or in a file.
//!
//! Pure.

use serde_json::{Value, json};

use super::write::{body, counts, elements, failure, id};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::provider::simulated::batch::{Batch, BatchResult, BatchStage, LineEnd};

/// A batch as it is described: a long-running operation.
pub(super) fn batch(batch: &Batch, with_results: bool) -> Vec<u8> {
    let state = match batch.stage {
        BatchStage::Queued => "PENDING",
        BatchStage::Running | BatchStage::Ending => "RUNNING",
        BatchStage::Completed => "SUCCEEDED",
        BatchStage::Expired => "EXPIRED",
        BatchStage::Cancelled => "CANCELLED",
        BatchStage::Invalid | BatchStage::OverTokens => "FAILED",
    };
    let (succeeded, failed) = counts(batch);
    let over = batch.stage.is_over();
    let pending = if over { 0 } else { batch.len };
    let mut operation = json!({
        "name": id(batch),
        "metadata": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": id(batch),
            "model": format!("models/{}", batch.order.model.as_deref().unwrap_or_default()),
            "displayName": batch.order.label,
            "createTime": batch.made_at.to_string(),
            "updateTime": batch.ended_at.unwrap_or(batch.made_at).to_string(),
            "inputConfig": batch.order.input_file.as_ref().map(|file| json!({"fileName": file})),
            "state": format!("BATCH_STATE_{state}"),
            "batchStats": {
                "requestCount": batch.len.to_string(),
                "pendingRequestCount": pending.to_string(),
                "successfulRequestCount": succeeded.to_string(),
                "failedRequestCount": failed.to_string(),
            },
        },
        "done": over,
    });
    if let Some(at) = batch.ended_at {
        operation["metadata"]["endTime"] = json!(at.to_string());
    }
    if let Some((_, message)) = failure(batch) {
        operation["error"] = json!({"code": 3, "message": message});
    }
    if !batch.has_results() || !with_results && batch.order.input_file.is_none() {
        return operation.to_string().into_bytes();
    }
    if batch.order.input_file.is_some() {
        let output = json!({"responsesFile": format!("files/batch-sim-{}", batch.number)});
        operation["metadata"]["output"] = output.clone();
        operation["response"] = output;
        return operation.to_string().into_bytes();
    }
    // Answers keep the bytes they have, in both places where clients look for them.
    let elements = String::from_utf8(elements(batch)).expect("our own results are text");
    operation["metadata"]["output"] = json!({"inlinedResponses": {"inlinedResponses": HERE}});
    operation["response"] = operation["metadata"]["output"].clone();
    operation.to_string().replace(&format!("\"{HERE}\""), &elements).into_bytes()
}

/// Stands where results are put.
const HERE: &str = "<results of the batch>";

/// A result: an element of a list, or a line of a file.
pub(super) fn line(result: &BatchResult, made_at: Timestamp, inline: bool) -> String {
    let id = Value::from(&*result.id);
    let name = if inline { format!("\"metadata\":{{\"key\":{id}}}") } else { format!("\"key\":{id}") };
    let what = match &result.end {
        LineEnd::Answered { .. } => {
            format!("\"response\":{}", body(Wire::GenerateContent, &result.end, made_at))
        }
        LineEnd::Refused(_) => {
            let body = body(Wire::GenerateContent, &result.end, made_at);
            let error: Value = serde_json::from_str(&body).expect("our own errors are JSON");
            format!("\"error\":{}", error["error"])
        }
        LineEnd::Expired => "\"error\":{\"code\":4,\"message\":\"The batch expired.\"}".to_owned(),
        LineEnd::Cancelled => "\"error\":{\"code\":1,\"message\":\"The batch was cancelled.\"}".to_owned(),
    };
    format!("{{{name},{what}}}")
}
