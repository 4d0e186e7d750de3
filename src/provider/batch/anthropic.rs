//! Anthropic's Message Batches: inline, of any mix of models, with results as one stream of lines.
//!
//! There is no name and no metadata to find a batch by, only the ids of its lines; and all counts but
//! one stay zero until the end.
//!
//! Pure.

use serde_json::Value;

use super::dialect::{Address, Dialect, Frame, JSON, Post, Said, Seen, What, count, text, time};
use crate::batch::{BatchState, Counts, Ended, NotRun, Order, ResultsAt};
use crate::catalog::batch::BatchApi;

pub(super) struct Anthropic;

const PATH: &str = "/messages/batches";

impl Dialect for Anthropic {
    fn upload(&self, _: &Order, _: &BatchApi, _: u64) -> Option<Post> {
        None
    }

    fn uploaded(&self, _: &Value) -> Option<String> {
        None
    }

    fn create(&self, _: &Order, _: &BatchApi, _: Option<&str>) -> Post {
        let middle = "\",\"params\":".to_owned();
        Post {
            to: Address::new(PATH),
            content_type: JSON.to_owned(),
            head: "{\"requests\":[".to_owned(),
            frame: Some(Frame { before: "{\"custom_id\":\"", middle, between: b',' }),
            tail: "]}".to_owned(),
        }
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}/cancel"))
    }

    fn list(&self, _: &Order, _: &BatchApi, page: Option<&str>) -> Address {
        Address::new(PATH).with("limit", "100").with_some("after_id", page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        let list = answer["data"].as_array()?.iter();
        let more = answer["has_more"].as_bool() == Some(true);
        Some((list.filter_map(|batch| self.read(batch)).collect(), text(&answer["last_id"]).filter(|_| more)))
    }

    fn read(&self, batch: &Value) -> Option<Seen> {
        let id = text(&batch["id"])?;
        let counts = counts(&batch["request_counts"]);
        let state = match batch["processing_status"].as_str()? {
            "ended" => BatchState::Ended(ended(batch, counts)),
            "canceling" => BatchState::Ending,
            _ => BatchState::Running,
        };
        // The address is our own: the stated one may be of another host, which must not get the key.
        let results = state.has_ended() && batch["archived_at"].is_null();
        let source = ResultsAt::Address(format!("{PATH}/{id}/results"));
        Some(Seen {
            mark: None,
            input_file: None,
            state,
            counts,
            made_at: time(&batch["created_at"]),
            expires_at: time(&batch["expires_at"]),
            results: if results { vec![source] } else { Vec::new() },
            left: vec![format!("{PATH}/{id}")],
            id,
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        let id = text(&line["custom_id"])?;
        let result = &line["result"];
        let what = match result["type"].as_str()? {
            "expired" => What::NotRun(NotRun::Expired),
            "canceled" => What::NotRun(NotRun::Cancelled),
            "errored" => What::Response {
                status: status(&result["error"]["error"]["type"]),
                request_id: text(&result["error"]["request_id"]),
                body: super::dialect::member(raw, &["result", "error"])?,
            },
            _ => What::Response {
                status: 200,
                request_id: None,
                body: super::dialect::member(raw, &["result", "message"])?,
            },
        };
        Some(Said { id, what })
    }
}

fn counts(counts: &Value) -> Counts {
    let (succeeded, failed) = (count(&counts["succeeded"]), count(&counts["errored"]));
    let (expired, cancelled) = (count(&counts["expired"]), count(&counts["canceled"]));
    let total = count(&counts["processing"]) + succeeded + failed + expired + cancelled;
    Counts { total, succeeded, failed, expired, cancelled }
}

/// It has one word for every end; what was done and what is left tell the rest.
fn ended(batch: &Value, counts: Counts) -> Ended {
    if !batch["cancel_initiated_at"].is_null() {
        Ended::Cancelled
    } else if counts.expired > 0 {
        Ended::Expired
    } else {
        Ended::Completed
    }
}

/// The status a realtime call would have had with an error of this type.
fn status(error_type: &Value) -> u16 {
    match error_type.as_str().unwrap_or_default() {
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        "invalid_request_error" => 400,
        _ => 500,
    }
}
