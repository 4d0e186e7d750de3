//! Refusals, as OpenAI words them, and where other families differ.
//!
//! Pure.

use std::time::Duration;

use super::RefusalKind;
use super::limits::Excess;
use crate::job::Wire;

/// An error response.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What it means to a client that reads it right.
    pub kind: RefusalKind,
    /// The status line.
    pub status: u16,
    /// `error.type`.
    pub error_type: &'static str,
    /// `error.code`.
    pub code: Option<&'static str>,
    /// `error.message`.
    pub message: String,
    /// How long to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The code or, without one, the type.
    pub fn word(&self) -> &'static str {
        self.code.unwrap_or(self.error_type)
    }

    /// The same with the status and the words of the family that speaks this format.
    pub(super) fn worded(mut self, wire: Wire) -> Refusal {
        match (wire, self.kind) {
            (Wire::Messages, RefusalKind::Capacity) => self.status = 529,
            (Wire::Messages, RefusalKind::TooLong) => {
                self.message = format!("prompt is too long: {}", self.message);
            }
            (Wire::GenerateContent, RefusalKind::Auth) => self.status = 400,
            (Wire::GenerateContent, RefusalKind::NoCredit) => self.status = 402,
            (Wire::GenerateContent, RefusalKind::TooLong) => {
                let exceeds = "The input token count exceeds the maximum number of tokens allowed.";
                self.message = exceeds.to_owned();
            }
            _ => {}
        }
        self
    }

    /// The request itself is wrong.
    pub fn invalid(message: String) -> Refusal {
        new(RefusalKind::Invalid, 400, "invalid_request_error", None, message)
    }

    /// Nothing is served there.
    pub fn no_path(method: &str, path: &str) -> Refusal {
        let message = format!("Unknown request URL: {method} {path}.");
        new(RefusalKind::Invalid, 404, "invalid_request_error", Some("unknown_url"), message)
    }

    /// A batch with more requests than one may have.
    pub(super) fn batch_too_large(most: u64) -> Refusal {
        let message = format!("The batch has too many requests: at most {most} are taken.");
        new(RefusalKind::TooLong, 413, "invalid_request_error", Some("too_many_requests_in_batch"), message)
    }

    /// More tokens would wait in batches than may.
    pub(super) fn batch_queue_full(most: u64) -> Refusal {
        let message = format!("Too many enqueued tokens: at most {most} may wait in batches.");
        new(RefusalKind::Rate, 429, "rate_limit_error", Some("token_limit_exceeded"), message)
    }

    pub(super) fn rate_limited(retry_after: Option<Duration>) -> Refusal {
        let message = "Rate limit reached. Please try again later.".to_owned();
        Refusal {
            retry_after,
            ..new(RefusalKind::Rate, 429, "requests", Some("rate_limit_exceeded"), message)
        }
    }

    pub(super) fn over_limit(excess: Excess) -> Refusal {
        let (what, message, retry_after) = match excess {
            Excess::Requests { limit, wait } => {
                ("requests", format!("Rate limit reached on requests per min: limit {limit}."), Some(wait))
            }
            Excess::Tokens { limit, wait } => {
                ("tokens", format!("Rate limit reached on tokens per min: limit {limit}."), Some(wait))
            }
            Excess::TooManyTokensForAnyMinute { limit } => {
                ("tokens", format!("Request too large: more than the limit of {limit} tokens per min."), None)
            }
            Excess::Concurrency { limit } => {
                ("rate_limit_error", format!("Too many requests at the same time: limit {limit}."), None)
            }
        };
        Refusal { retry_after, ..new(RefusalKind::Rate, 429, what, Some("rate_limit_exceeded"), message) }
    }

    pub(super) fn server_error() -> Refusal {
        let message = "The server had an error while processing your request.".to_owned();
        new(RefusalKind::Server, 500, "server_error", None, message)
    }

    pub(super) fn overloaded() -> Refusal {
        let message = "The engine is currently overloaded.".to_owned();
        let code = Some("server_is_overloaded");
        new(RefusalKind::Capacity, 503, "service_unavailable_error", code, message)
    }

    pub(super) fn down() -> Refusal {
        let message = "The service is temporarily unavailable.".to_owned();
        new(RefusalKind::Server, 503, "server_error", None, message)
    }

    pub(super) fn bad_key() -> Refusal {
        let message = "Incorrect API key provided.".to_owned();
        new(RefusalKind::Auth, 401, "invalid_request_error", Some("invalid_api_key"), message)
    }

    pub(super) fn no_model(name: &str) -> Refusal {
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        new(RefusalKind::ModelGone, 404, "invalid_request_error", Some("model_not_found"), message)
    }

    pub(super) fn no_credit() -> Refusal {
        let message =
            "You exceeded your current quota, please check your plan and billing details.".to_owned();
        new(RefusalKind::NoCredit, 429, "insufficient_quota", Some("credit_balance_exhausted"), message)
    }

    pub(super) fn too_long(context: u64, asked: u64) -> Refusal {
        let message = format!(
            "This model's maximum context length is {context} tokens. However, you requested {asked} tokens."
        );
        new(RefusalKind::TooLong, 400, "invalid_request_error", Some("context_length_exceeded"), message)
    }
}

fn new(
    kind: RefusalKind,
    status: u16,
    error_type: &'static str,
    code: Option<&'static str>,
    message: String,
) -> Refusal {
    Refusal { kind, status, error_type, code, message, retry_after: None }
}
