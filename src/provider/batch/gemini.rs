//! Gemini's batches: long-running operations, inline while they are small and over a file otherwise.
//!
//! Results come the way the requests went. The operation holds its output in one of two places,
//! depending on the version, and so does its state.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{Address, Dialect, Frame, JSON, Post, Said, Seen, What, boundary, count, text, time};
use super::why;
use crate::batch::{BatchState, Counts, Ended, Mark, NotRun, Order, ResultsAt};
use crate::catalog::batch::BatchApi;
use crate::provider::gemini;

pub(super) struct Gemini;

impl Dialect for Gemini {
    fn upload(&self, order: &Order, api: &BatchApi, bytes: u64) -> Option<Post> {
        if bytes <= api.limits.inline_bytes {
            return None;
        }
        let line = boundary(&order.mark);
        let about = json!({"file": {"displayName": order.mark.to_string(), "mimeType": JSONL}});
        let mut to = Address::new("/files").with("uploadType", "multipart");
        to.prefix = "/upload";
        Some(Post {
            to,
            content_type: format!("multipart/related; boundary={line}"),
            head: format!(
                "--{line}\r\nContent-Type: {JSON}\r\n\r\n{about}\r\n--{line}\r\nContent-Type: {JSONL}\r\n\r\n"
            ),
            frame: Some(Frame {
                before: "{\"key\":\"",
                middle: "\",\"request\":".to_owned(),
                between: b'\n',
            }),
            tail: format!("\r\n--{line}--\r\n"),
        })
    }

    fn uploaded(&self, answer: &Value) -> Option<String> {
        text(&answer["file"]["name"])
    }

    fn create(&self, order: &Order, _: &BatchApi, file: Option<&str>) -> Post {
        let to = gemini::path(&order.model).replace(":generateContent", ":batchGenerateContent");
        let mark = order.mark.to_string();
        if let Some(file) = file {
            let batch = json!({"batch": {"displayName": mark, "inputConfig": {"fileName": file}}});
            return Post::plain(Address::new(to), &batch);
        }
        let middle = "\"},\"request\":".to_owned();
        Post {
            to: Address::new(to),
            content_type: JSON.to_owned(),
            head: format!(
                "{{\"batch\":{{\"displayName\":\"{mark}\",\"inputConfig\":{{\"requests\":{{\"requests\":["
            ),
            frame: Some(Frame { before: "{\"metadata\":{\"key\":\"", middle, between: b',' }),
            tail: "]}}}}".to_owned(),
        }
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("/{id}:cancel"))
    }

    fn list(&self, page: Option<&str>) -> Address {
        Address::new("/batches").with("pageSize", "100").with_some("pageToken", page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> (Vec<Seen>, Option<String>) {
        let list = answer["operations"].as_array().or_else(|| answer["batches"].as_array());
        let seen = list.into_iter().flatten().filter_map(|batch| self.read(batch)).collect();
        (seen, text(&answer["nextPageToken"]))
    }

    fn read(&self, operation: &Value) -> Option<Seen> {
        let metadata = operation.get("metadata").unwrap_or(operation);
        let stats = &metadata["batchStats"];
        let counted = Counts {
            total: count(&stats["requestCount"]),
            succeeded: count(&stats["successfulRequestCount"]),
            failed: count(&stats["failedRequestCount"]),
            ..Counts::default()
        };
        let state = state(operation, metadata);
        let id = text(&operation["name"]).filter(|name| name.starts_with("batches/"))?;
        Some(Seen {
            results: results(operation, metadata, &state),
            mark: text(&metadata["displayName"]).and_then(|name| Mark::parse(&name)),
            input_file: text(&metadata["inputConfig"]["fileName"]),
            counts: counted,
            made_at: time(&metadata["createTime"]),
            expires_at: None,
            state,
            id,
        })
    }

    fn inline_results(&self) -> &'static str {
        "inlinedResponses"
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        let id = text(&line["key"]).or_else(|| text(&line["metadata"]["key"]))?;
        let what = match &line["error"] {
            Value::Null => What::Response {
                status: 200,
                request_id: None,
                body: super::dialect::member(raw, &["response"])?,
            },
            error => failed(error),
        };
        Some(Said { id, what })
    }
}

const JSONL: &str = "application/jsonl";

fn state(operation: &Value, metadata: &Value) -> BatchState {
    let word = metadata["state"].as_str().unwrap_or_default();
    let word = word.trim_start_matches("BATCH_STATE_").trim_start_matches("JOB_STATE_");
    match word {
        "RUNNING" => BatchState::Running,
        "CANCELLING" => BatchState::Ending,
        "SUCCEEDED" | "PARTIALLY_SUCCEEDED" => BatchState::Ended(Ended::Completed),
        "EXPIRED" => BatchState::Ended(Ended::Expired),
        "CANCELLED" => BatchState::Ended(Ended::Cancelled),
        "FAILED" => BatchState::Ended(why::failed(&operation["error"], &metadata["error"])),
        _ if operation["done"] == true && operation["error"].is_object() => {
            BatchState::Ended(why::failed(&operation["error"], &Value::Null))
        }
        _ if operation["done"] == true => BatchState::Ended(Ended::Completed),
        _ => BatchState::Queued,
    }
}

fn results(operation: &Value, metadata: &Value, state: &BatchState) -> Vec<ResultsAt> {
    let outputs = [&metadata["output"], &operation["response"], &operation["response"]["output"]];
    let file = outputs.iter().find_map(|output| text(&output["responsesFile"]));
    if let Some(file) = file {
        return vec![ResultsAt::Address(format!("/{file}:download?alt=media"))];
    }
    let inline = outputs.iter().any(|output| !output["inlinedResponses"].is_null());
    if inline && state.has_ended() { vec![ResultsAt::Inline] } else { Vec::new() }
}

/// An error of a line: an HTTP status, or one of `google.rpc.Code`.
fn failed(error: &Value) -> What {
    let status = match count(&error["code"]) {
        1 => return What::NotRun(NotRun::Cancelled),
        3 | 9 | 11 => 400,
        4 => return What::NotRun(NotRun::Expired),
        5 => 404,
        7 => 403,
        8 => 429,
        14 => 503,
        16 => 401,
        code @ 400..=599 => code as u16,
        _ => 500,
    };
    What::error(status, error)
}
