//! Mistral's batch jobs: a file of requests, a job over it that names the model, files of results.
//!
//! Pure.

use serde_json::{Value, json};

use super::dialect::{Address, Dialect, Frame, Post, Said, Seen, count, endpoint, text, time};
use super::openai::{content, line_of, upload};
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

    fn one(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}"))
    }

    fn cancel(&self, id: &str) -> Address {
        Address::new(format!("{PATH}/{id}/cancel"))
    }

    fn list(&self, page: Option<&str>) -> Address {
        Address::new(PATH)
            .with("page", page.unwrap_or("0"))
            .with("page_size", PAGE.to_string())
            .with("order_by", "-created")
    }

    fn listed(&self, answer: &Value, page: Option<&str>) -> (Vec<Seen>, Option<String>) {
        let list: Vec<&Value> = answer["data"].as_array().into_iter().flatten().collect();
        let number: u64 = page.and_then(|page| page.parse().ok()).unwrap_or(0);
        let next = (list.len() == PAGE).then(|| (number + 1).to_string());
        (list.into_iter().filter_map(|job| self.read(job)).collect(), next)
    }

    fn read(&self, job: &Value) -> Option<Seen> {
        let files = [&job["output_file"], &job["error_file"]].into_iter().filter_map(text);
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
            results: files.map(|id| content(&id)).collect(),
        })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
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
