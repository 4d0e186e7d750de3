//! OpenAI's batches, and those of the many who copied them: a file of requests, a batch over it, and
//! files of results.
//!
//! What differs elsewhere: Together puts the batch into `job` and shouts its states; Zhipu's addresses
//! begin with `/v4`. Both output files may be absent, whatever the state says.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{
    Address, Dialect, Frame, Named, Post, Said, Seen, What, boundary, count, endpoint, text, time,
};
use super::why;
use crate::batch::{BatchState, Counts, Ended, KEY, Mark, NotRun, Order, ResultsAt};
use crate::catalog::batch::{BatchApi, FoundBy};

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
        let mut body = json!({
            "input_file_id": file,
            "endpoint": endpoint(order.wire, api),
            "completion_window": api.window,
        });
        // Not everybody takes metadata.
        if api.found_by == FoundBy::Mark {
            body["metadata"] = json!({KEY: order.mark.to_string()});
        }
        Post::plain(Address::new("/batches"), &body)
    }

    fn files(&self, page: Option<&str>) -> Option<Address> {
        Some(Address::new("/files").with("limit", "100").with_some("after", page))
    }

    fn named(&self, answer: &Value, _: Option<&str>) -> Option<Named> {
        let (list, next) = page(answer)?;
        Some((named(list), next))
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("/batches/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("/batches/{id}/cancel"))
    }

    fn list(&self, order: &Order, api: &BatchApi, page: Option<&str>) -> Address {
        let model = api.names_model.then_some(&*order.model);
        Address::new("/batches").with("limit", "100").with_some("after", page).with_some(MODEL_FIELD, model)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        let (list, next) = page(answer)?;
        Some((list.iter().filter_map(|batch| self.read(batch)).collect(), next))
    }

    fn read(&self, batch: &Value) -> Option<Seen> {
        let batch = batch.get("job").unwrap_or(batch);
        let counts = &batch["request_counts"];
        let (output, errors) = (&batch["output_file_id"], &batch["error_file_id"]);
        let left = [output, errors, &batch["input_file_id"]].into_iter().filter_map(text);
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
            results: [output, errors].into_iter().filter_map(text).map(|id| content(&id)).collect(),
            left: left.map(|id| self.file(&id)).collect(),
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
}

/// What LiteLLM calls the models of a file.
const MODEL_FIELD: &str = "target_model_names";

/// The upload of a file of requests as a form, named like the batch.
pub(super) fn upload(order: &Order, api: &BatchApi, frame: Frame) -> Post {
    let (line, mark) = (boundary(&order.mark), order.mark);
    let field = |name: &str, value: &str| {
        format!("--{line}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut head = if api.purpose.is_empty() { String::new() } else { field("purpose", &api.purpose) };
    if api.names_model {
        head += &field(MODEL_FIELD, &order.model);
    }
    head += &format!(
        "--{line}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{mark}.jsonl\"\r\n\
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
pub(super) fn page(answer: &Value) -> Option<(&[Value], Option<String>)> {
    // Together lists without a frame, all at once.
    let list = answer.as_array().or_else(|| answer["data"].as_array())?;
    let more = answer["has_more"].as_bool() == Some(true);
    let last = list.last().and_then(|batch| text(&batch["id"]));
    Some((list, last.filter(|_| more)))
}

/// Files by their names there and the names they were given.
pub(super) fn named(list: &[Value]) -> Vec<(String, String)> {
    list.iter().filter_map(|file| Some((text(&file["id"])?, text(&file["filename"])?))).collect()
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
