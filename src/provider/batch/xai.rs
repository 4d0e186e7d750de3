//! xAI's batches: a file of requests as OpenAI has them, a batch that is named, and results page by page.
//!
//! A batch has no state, only counts, from which its state follows. What it does not say: why some of
//! its requests were given up. Where nobody cancelled it, time was up.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{Address, Dialect, Named, PAGE_TOKEN, Post, Said, Seen, What, count, text, time};
use super::openai::{OpenAi, named};
use super::why;
use crate::batch::{BatchState, Counts, Ended, Mark, NotRun, Order, ResultsAt};
use crate::catalog::batch::BatchApi;

pub(super) struct Xai;

const PATH: &str = "/batches";

impl Dialect for Xai {
    fn upload(&self, order: &Order, api: &BatchApi, bytes: u64) -> Option<Post> {
        OpenAi.upload(order, api, bytes)
    }

    fn uploaded(&self, answer: &Value) -> Option<String> {
        OpenAi.uploaded(answer)
    }

    fn create(&self, order: &Order, _: &BatchApi, file: Option<&str>) -> Post {
        Post::plain(Address::new(PATH), &json!({"name": order.mark.to_string(), "input_file_id": file}))
    }

    fn files(&self, page: Option<&str>) -> Option<Address> {
        Some(Address::new("/files").with("limit", "100").with_some(PAGE_TOKEN, page))
    }

    fn named(&self, answer: &Value, _: Option<&str>) -> Option<Named> {
        Some((named(answer["data"].as_array()?), text(&answer[PAGE_TOKEN])))
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}:cancel"))
    }

    fn list(&self, _: &Order, _: &BatchApi, page: Option<&str>) -> Address {
        Address::new(PATH).with("limit", "100").with_some(PAGE_TOKEN, page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        let list = answer["batches"].as_array()?.iter();
        Some((list.filter_map(|batch| self.read(batch)).collect(), text(&answer[PAGE_TOKEN])))
    }

    fn read(&self, batch: &Value) -> Option<Seen> {
        let id = text(&batch["batch_id"])?;
        let (state, counts) = (state(batch), counts(&batch["state"]));
        let results = ResultsAt::Pages(format!("{PATH}/{id}/results"));
        let input_file = text(&batch["input_file_id"]);
        Some(Seen {
            mark: text(&batch["name"]).and_then(|name| Mark::parse(&name)),
            results: if state.has_ended() && counts.total > 0 { vec![results] } else { Vec::new() },
            // What it answered cannot be deleted there.
            left: input_file.iter().map(|file| format!("/files/{file}")).collect(),
            input_file,
            counts,
            made_at: time(&batch["create_time"]),
            expires_at: time(&batch["expire_time"]),
            state,
            id,
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        let id = text(&line["batch_request_id"])?;
        let result = &line["batch_result"];
        let mut responses = result["response"].as_object().into_iter().flatten();
        let what = match responses.find(|(_, body)| !body.is_null()) {
            Some((kind, _)) => What::Response {
                status: 200,
                request_id: None,
                body: super::dialect::member(raw, &["batch_result", "response", kind])?,
            },
            None if result["error"].is_null() => failed(&json!({"message": line["error_message"]})),
            None => failed(&result["error"]),
        };
        Some(Said { id, what })
    }
}

fn counts(state: &Value) -> Counts {
    Counts {
        total: count(&state["num_requests"]),
        succeeded: count(&state["num_success"]),
        failed: count(&state["num_error"]),
        cancelled: count(&state["num_cancelled"]),
        ..Counts::default()
    }
}

fn state(batch: &Value) -> BatchState {
    if let Some(message) = text(&batch["cancel_by_xai_message"]) {
        // Its file was not taken: an error of the batch, unless the words say more.
        let error = json!({"code": "invalid_input_file", "message": message});
        return BatchState::Ended(why::failed(&error, &Value::Null));
    }
    let number = |name: &str| count(&batch["state"][name]);
    let was_cancelled = !batch["cancel_time"].is_null();
    if number("num_pending") > 0 {
        return if was_cancelled { BatchState::Ending } else { BatchState::Running };
    }
    match (was_cancelled, number("num_requests")) {
        (true, _) => BatchState::Ended(Ended::Cancelled),
        // Its file was not read yet.
        (false, 0) => BatchState::Queued,
        (false, _) if number("num_cancelled") > 0 => BatchState::Ended(Ended::Expired),
        (false, _) => BatchState::Ended(Ended::Completed),
    }
}

/// A request without a response, by a number of `google.rpc.Code` or an HTTP status.
fn failed(error: &Value) -> What {
    match error["code"].as_str() {
        Some("cancelled" | "batch_cancelled") => What::NotRun(NotRun::Cancelled),
        _ => What::by_number(error),
    }
}
