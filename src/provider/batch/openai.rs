//! OpenAI's batches, and those of the many who copied them: a file of requests, a batch over it, and
//! files of results.
//!
//! What differs elsewhere: Together puts the batch into `job` and shouts its states; Zhipu's addresses
//! begin with `/v4`. Both output files may be absent, whatever the state says.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{
    Address, Dialect, Frame, Post, Said, Seen, What, boundary, count, endpoint, text, time,
};
use super::why;
use crate::batch::{BatchState, Counts, Ended, KEY, Mark, NotRun, Order, ResultsAt};
use crate::catalog::batch::BatchApi;

pub(super) struct OpenAi;

impl Dialect for OpenAi {
    fn upload(&self, order: &Order, api: &BatchApi, _: u64) -> Option<Post> {
        let url = endpoint(order.wire, api);
        let middle = format!("\",\"method\":\"POST\",\"url\":\"{url}\",\"body\":");
        Some(upload(order, api, Frame { before: "{\"custom_id\":\"", middle, between: b'\n' }))
    }

    fn uploaded(&self, answer: &Value) -> Option<String> {
        text(&answer["id"])
    }

    fn create(&self, order: &Order, api: &BatchApi, file: Option<&str>) -> Post {
        let body = json!({
            "input_file_id": file,
            "endpoint": endpoint(order.wire, api),
            "completion_window": api.window,
            "metadata": {KEY: order.mark.to_string()},
        });
        Post::plain(Address::new("/batches"), &body)
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("/batches/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("/batches/{id}/cancel"))
    }

    fn list(&self, page: Option<&str>) -> Address {
        Address::new("/batches").with("limit", "100").with_some("after", page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> (Vec<Seen>, Option<String>) {
        let (list, next) = page(answer);
        (list.filter_map(|batch| self.read(batch)).collect(), next)
    }

    fn read(&self, batch: &Value) -> Option<Seen> {
        let batch = batch.get("job").unwrap_or(batch);
        let counts = &batch["request_counts"];
        let files = [&batch["output_file_id"], &batch["error_file_id"]].into_iter().filter_map(text);
        Some(Seen {
            id: text(&batch["id"])?,
            mark: text(&batch["metadata"][KEY]).and_then(|text| Mark::parse(&text)),
            input_file: text(&batch["input_file_id"]),
            state: state(batch)?,
            counts: Counts {
                total: count(&counts["total"]),
                succeeded: count(&counts["completed"]),
                failed: count(&counts["failed"]),
                ..Counts::default()
            },
            made_at: time(&batch["created_at"]),
            expires_at: time(&batch["expires_at"]).or_else(|| time(&batch["job_deadline"])),
            results: files.map(|id| content(&id)).collect(),
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
}

/// The upload of a file of requests as a form, named like the batch.
pub(super) fn upload(order: &Order, api: &BatchApi, frame: Frame) -> Post {
    let (line, mark, purpose) = (boundary(&order.mark), order.mark, &api.purpose);
    let head = format!(
        "--{line}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n\
         --{line}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{mark}.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n"
    );
    Post {
        to: Address::new("/files"),
        content_type: format!("multipart/form-data; boundary={line}"),
        head,
        frame: Some(frame),
        tail: format!("\r\n--{line}--\r\n"),
    }
}

/// The batches of a page, and behind which of them the next one begins.
pub(super) fn page(answer: &Value) -> (impl Iterator<Item = &Value>, Option<String>) {
    // Together lists without a frame, all at once.
    let list = answer.as_array().or_else(|| answer["data"].as_array()).map_or(&[][..], Vec::as_slice);
    let more = answer["has_more"].as_bool() == Some(true);
    let last = list.last().and_then(|batch| text(&batch["id"]));
    (list.iter(), last.filter(|_| more))
}

/// Where a file's bytes are.
pub(super) fn content(file: &str) -> ResultsAt {
    ResultsAt::Address(format!("/files/{file}/content"))
}

/// A line of an output or an error file.
pub(super) fn line_of(line: &Value, raw: &[u8]) -> Option<Said> {
    let id = text(&line["custom_id"])?;
    let response = &line["response"];
    let what = match &line["error"] {
        error if !response.is_object() => alone(error),
        _ => What::Response {
            status: response["status_code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or(200),
            request_id: text(&response["request_id"]),
            body: super::dialect::member(raw, &["response", "body"])?,
        },
    };
    Some(Said { id, what })
}

/// An error without a response; one whose words say nothing else is the provider's own failure.
fn alone(error: &Value) -> What {
    match error["code"].as_str() {
        Some("batch_expired") => What::NotRun(NotRun::Expired),
        Some("batch_cancelled") => What::NotRun(NotRun::Cancelled),
        _ => What::error(500, error),
    }
}

fn state(batch: &Value) -> Option<BatchState> {
    Some(match batch["status"].as_str()?.to_ascii_lowercase().as_str() {
        "in_progress" => BatchState::Running,
        "finalizing" | "cancelling" => BatchState::Ending,
        "completed" => BatchState::Ended(Ended::Completed),
        "expired" => BatchState::Ended(Ended::Expired),
        "cancelled" => BatchState::Ended(Ended::Cancelled),
        "failed" => BatchState::Ended(why::failed(&batch["errors"]["data"][0], &batch["error"])),
        // "validating", and whatever comes before it.
        _ => BatchState::Queued,
    })
}
