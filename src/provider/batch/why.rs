//! What it means that a batch is not taken, or fails as a whole.
//!
//! Pure.

use serde_json::Value;

use crate::attempt::{Refusal, RefusalKind};
use crate::batch::{Ended, Why};

/// Why a request to create a batch was refused. A batch has limits that single requests do not know.
pub(super) fn refused(refusal: &Refusal) -> Why {
    match words(&refusal.message, &String::from_utf8_lossy(&refusal.body)) {
        Some(why) => why,
        None if refusal.http_status == 413 || refusal.kind == RefusalKind::TooLong => Why::TooLarge,
        None => Why::Refused(refusal.kind),
    }
}

/// The end of a batch that failed, by its first error; `or` is where else the provider may say it.
pub(super) fn failed(error: &Value, or: &Value) -> Ended {
    let error = if error.is_null() { or } else { error };
    let code = error["code"].as_str().unwrap_or_default();
    let message = error["message"].as_str().or(error.as_str()).unwrap_or_default();
    let by_number = error["code"].as_u64().and_then(number);
    let why = words(message, code).or(by_number).unwrap_or(match code {
        "model_not_found" | "invalid_model" => Why::Refused(RefusalKind::ModelGone),
        "insufficient_quota" | "billing_hard_limit_reached" => Why::Refused(RefusalKind::NoCredit),
        "server_error" | "internal_error" | "" => Why::Refused(RefusalKind::Server),
        _ => Why::Refused(RefusalKind::Invalid),
    });
    let message = match (message, code) {
        ("", "") => "the provider does not say why".to_owned(),
        ("", code) => code.to_owned(),
        (message, _) => message.to_owned(),
    };
    Ended::Failed { why, message }
}

/// A failure by its `google.rpc.Code` or status.
fn number(code: u64) -> Option<Why> {
    Some(Why::Refused(match code {
        3 | 9 | 11 | 400 => RefusalKind::Invalid,
        5 | 404 => RefusalKind::ModelGone,
        7 | 16 | 401 | 403 => RefusalKind::Auth,
        8 | 429 => RefusalKind::Rate,
        14 | 503 => RefusalKind::Capacity,
        _ => return None,
    }))
}

/// What is said of a model that takes no batches.
const NO_BATCHES: [&str; 4] = [
    "not available through the batch",
    "does not support batch",
    "not supported by the batch",
    "not supported for batch",
];

fn words(message: &str, code: &str) -> Option<Why> {
    let (message, code) = (message.to_ascii_lowercase(), code.to_ascii_lowercase());
    let either = |word: &str| message.contains(word) || code.contains(word);
    if either("token_limit_exceeded") || either("enqueued") || message.contains("too many batch") {
        Some(Why::QueueFull)
    } else if NO_BATCHES.into_iter().any(|phrase| message.contains(phrase)) || either("batch_not_supported") {
        Some(Why::NoBatches)
    } else if either("file_too_large")
        || either("too_many_requests_in_batch")
        || message.contains("too large")
    {
        Some(Why::TooLarge)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_that_failed_says_what_helps() {
        let cases = [
            (
                json!({"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}),
                Why::QueueFull,
            ),
            (json!({"code": "model_not_found", "message": "no"}), Why::Refused(RefusalKind::ModelGone)),
            (json!({"code": "batch_not_supported", "message": "no"}), Why::NoBatches),
            (json!({"code": "file_too_large"}), Why::TooLarge),
            (json!({"code": "invalid_json_line", "message": "line 3"}), Why::Refused(RefusalKind::Invalid)),
            (json!({"code": 3, "message": "bad"}), Why::Refused(RefusalKind::Invalid)),
            (json!({"code": 13, "message": "internal"}), Why::Refused(RefusalKind::Server)),
            (json!({"message": "an error", "count": 3}), Why::Refused(RefusalKind::Server)),
            (json!("out of order"), Why::Refused(RefusalKind::Server)),
        ];
        for (error, expected) in cases {
            let Ended::Failed { why, message } = failed(&error, &Value::Null) else { unreachable!() };
            assert_eq!(why, expected, "{error}");
            assert!(!message.is_empty());
        }
    }
}
