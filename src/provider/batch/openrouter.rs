//! OpenRouter's batches: inline, and the results come inside the batch itself.
//!
//! The body is read as it arrives there, so that its model must come before its requests.
//!
//! Pure.

use serde_json::Value;

use super::dialect::{Address, Dialect, Frame, JSON, Post, Said, Seen, Source, endpoint};
use super::draft::Order;
use super::openai::{OpenAi, line_of};
use crate::catalog::batch::BatchApi;

pub(super) struct OpenRouter;

impl Dialect for OpenRouter {
    fn upload(&self, _: &Order, _: &BatchApi, _: u64) -> Option<Post> {
        None
    }

    fn uploaded(&self, _: &Value) -> Option<String> {
        None
    }

    fn create(&self, order: &Order, api: &BatchApi, _: Option<&str>) -> Post {
        let (endpoint, model) = (endpoint(order.wire, api), Value::from(&*order.model));
        let middle = "\",\"body\":".to_owned();
        Post {
            to: Address::new("/batches"),
            content_type: JSON.to_owned(),
            head: format!("{{\"endpoint\":\"{endpoint}\",\"model\":{model},\"requests\":["),
            frame: Some(Frame { before: "{\"custom_id\":\"", middle, between: b',' }),
            tail: "]}".to_owned(),
        }
    }

    fn one(&self, id: &str) -> Address {
        OpenAi.one(id)
    }

    fn cancel(&self, id: &str) -> Address {
        OpenAi.cancel(id)
    }

    fn list(&self, page: Option<&str>) -> Address {
        OpenAi.list(page)
    }

    fn listed(&self, answer: &Value, page: Option<&str>) -> (Vec<Seen>, Option<String>) {
        let (seen, next) = OpenAi.listed(answer, page);
        (seen.into_iter().map(inline).collect(), next)
    }

    fn read(&self, batch: &Value) -> Option<Seen> {
        OpenAi.read(batch.get("data").filter(|data| data.is_object()).unwrap_or(batch)).map(inline)
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
}

fn inline(seen: Seen) -> Seen {
    let results = if seen.state.has_ended() { vec![Source::Inline] } else { Vec::new() };
    Seen { results, ..seen }
}
