//! Gemini's batches: long-running operations, inline while they are small and over a file otherwise.
//!
//! Results come the way the requests went. The operation holds its output in one of two places,
//! depending on the version, and so does its state.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{
    Address, Dialect, Frame, JSON, Named, Post, Said, Seen, What, boundary, count, text, time,
};
use super::why;
use crate::batch::{BatchState, Counts, Ended, Mark, Order, ResultsAt};
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

    fn file(&self, name: &str) -> String {
        format!("/{name}")
    }

    fn files(&self, page: Option<&str>) -> Option<Address> {
        Some(Address::new("/files").with("pageSize", "100").with_some("pageToken", page))
    }

    fn named(&self, answer: &Value, _: Option<&str>) -> Option<Named> {
        answer.as_object().filter(|_| answer["error"].is_null())?;
        let list = answer["files"].as_array().into_iter().flatten();
        let named = list.filter_map(|file| Some((text(&file["name"])?, text(&file["displayName"])?)));
        Some((named.collect(), text(&answer["nextPageToken"])))
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("/{id}:cancel"))
    }

    fn list(&self, _: &Order, _: &BatchApi, page: Option<&str>) -> Address {
        Address::new("/batches").with("pageSize", "100").with_some("pageToken", page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        // Google leaves out what is empty, so that an empty list is an empty object.
        answer.as_object().filter(|_| answer["error"].is_null())?;
        let list = answer["operations"].as_array().or_else(|| answer["batches"].as_array());
        let seen = list.into_iter().flatten().filter_map(|batch| self.read(batch)).collect();
        Some((seen, text(&answer["nextPageToken"])))
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
        let input_file = text(&metadata["inputConfig"]["fileName"]);
        // The operation holds what is inline, and the name of the batch.
        let left = [output_file(operation), input_file.clone(), Some(id.clone())];
        Some(Seen {
            results: results(operation, &state),
            left: left.iter().flatten().map(|name| self.file(name)).collect(),
            mark: text(&metadata["displayName"]).and_then(|name| Mark::parse(&name)),
            input_file,
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
            error => What::by_number(error),
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

/// Where its output may be.
fn outputs(operation: &Value) -> [&Value; 3] {
    let metadata = operation.get("metadata").unwrap_or(operation);
    [&metadata["output"], &operation["response"], &operation["response"]["output"]]
}

fn output_file(operation: &Value) -> Option<String> {
    outputs(operation).into_iter().find_map(|output| text(&output["responsesFile"]))
}

fn results(operation: &Value, state: &BatchState) -> Vec<ResultsAt> {
    if let Some(file) = output_file(operation) {
        return vec![ResultsAt::Address(format!("/{file}:download?alt=media"))];
    }
    let inline = outputs(operation).into_iter().any(|output| !output["inlinedResponses"].is_null());
    if inline && state.has_ended() { vec![ResultsAt::Inline] } else { Vec::new() }
}
