//! Mistral's batch jobs: a file of requests, a job over it that names the model, files of results.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{Address, Dialect, Frame, Named, Post, Said, Seen, count, endpoint, text, time};
use super::openai::{content, line_of, named, upload};
use super::why;
use crate::batch::{BatchState, Counts, Ended, KEY, Mark, Order};
use crate::catalog::batch::BatchApi;

pub(super) struct Mistral;

const PATH: &str = "/batch/jobs";
const PAGE: usize = 100;

impl Dialect for Mistral {
    fn upload(&self, order: &Order, api: &BatchApi, _: u64) -> Option<Post> {
        let middle = "\",\"body\":".to_owned();
        Some(upload(order, api, Frame { before: "{\"custom_id\":\"", middle, between: b'\n' }))
    }

    fn uploaded(&self, answer: &Value) -> Option<String> {
        text(&answer["id"])
    }

    fn create(&self, order: &Order, api: &BatchApi, file: Option<&str>) -> Post {
        let body = json!({
            "input_files": [file],
            "endpoint": endpoint(order.wire, api),
            "model": *order.model,
            "metadata": {KEY: order.mark.to_string()},
            "timeout_hours": hours(&api.window),
        });
        Post::plain(Address::new(PATH), &body)
    }

    fn files(&self, page: Option<&str>) -> Option<Address> {
        Some(paged("/files", page))
    }

    fn named(&self, answer: &Value, page: Option<&str>) -> Option<Named> {
        let list = list(answer)?;
        Some((named(list), next(list, page)))
    }

    fn one(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}/cancel"))
    }

    fn list(&self, _: &Order, _: &BatchApi, page: Option<&str>) -> Address {
        paged(PATH, page).with("order_by", "-created")
    }

    fn listed(&self, answer: &Value, page: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        let list = list(answer)?;
        Some((list.iter().filter_map(|job| self.read(job)).collect(), next(list, page)))
    }

    fn read(&self, job: &Value) -> Option<Seen> {
        let outputs = [&job["output_file"], &job["error_file"]];
        let left = [outputs[0], outputs[1], &job["input_files"][0]].into_iter().filter_map(text);
        Some(Seen {
            id: text(&job["id"])?,
            mark: text(&job["metadata"][KEY]).and_then(|text| Mark::parse(&text)),
            input_file: text(&job["input_files"][0]),
            state: state(job)?,
            counts: Counts {
                total: count(&job["total_requests"]),
                succeeded: count(&job["succeeded_requests"]),
                failed: count(&job["failed_requests"]),
                ..Counts::default()
            },
            made_at: time(&job["created_at"]),
            expires_at: None,
            results: outputs.into_iter().filter_map(text).map(|id| content(&id)).collect(),
            left: left.map(|id| self.file(&id)).collect(),
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
}

/// A page of a list; pages are counted.
fn paged(path: &str, page: Option<&str>) -> Address {
    Address::new(path).with("page", page.unwrap_or("0")).with("page_size", PAGE.to_string())
}

/// What is on a page, if it is one. An empty list may be left out; its length is not.
fn list(answer: &Value) -> Option<&[Value]> {
    let list = answer["data"].as_array().map(Vec::as_slice);
    list.or_else(|| (answer["total"] == 0).then_some(&[]))
}

/// What the page behind this one is called, where there may be one.
fn next(list: &[Value], page: Option<&str>) -> Option<String> {
    let number: u64 = page.and_then(|page| page.parse().ok()).unwrap_or(0);
    (list.len() == PAGE).then(|| (number + 1).to_string())
}

fn state(job: &Value) -> Option<BatchState> {
    Some(match job["status"].as_str()? {
        "RUNNING" => BatchState::Running,
        "CANCELLATION_REQUESTED" => BatchState::Ending,
        "SUCCESS" => BatchState::Ended(Ended::Completed),
        "TIMEOUT_EXCEEDED" => BatchState::Ended(Ended::Expired),
        "CANCELLED" => BatchState::Ended(Ended::Cancelled),
        "FAILED" => BatchState::Ended(why::failed(&job["errors"][0], &Value::Null)),
        _ => BatchState::Queued,
    })
}

/// Whole hours of a window such as `24h` or `7d`; a day where it says something else.
fn hours(window: &str) -> u64 {
    let number = |unit: char| window.strip_suffix(unit)?.parse::<u64>().ok();
    number('h').or_else(|| Some(number('d')? * 24)).unwrap_or(24)
}
