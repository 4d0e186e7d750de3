//! OpenRouter's batches: inline, and the results come inside the batch itself.
//!
//! The body is read as it arrives there, so that its model must come before its requests.
//!
//! Pure.

use serde_json::Value;

use super::dialect::{Address, Dialect, Frame, JSON, Post, Said, Seen, endpoint};
use super::openai::{OpenAi, line_of, page};
use crate::batch::{BatchState, Ended, Order, ResultsAt};
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

    fn list(&self, order: &Order, api: &BatchApi, page: Option<&str>) -> Address {
        OpenAi.list(order, api, page)
    }

    fn listed(&self, answer: &Value, _: Option<&str>) -> Option<(Vec<Seen>, Option<String>)> {
        let (list, next) = page(answer)?;
        Some((list.iter().filter_map(|batch| self.read(batch)).collect(), next))
    }

    /// Results are there once all is done; after another end, where they are shown.
    fn read(&self, batch: &Value) -> Option<Seen> {
        let batch = batch.get("data").filter(|data| data.is_object()).unwrap_or(batch);
        let seen = OpenAi.read(batch)?;
        let has_results = match &seen.state {
            BatchState::Ended(Ended::Completed) => true,
            BatchState::Ended(_) => batch["results"].is_array(),
            _ => false,
        };
        Some(Seen { results: if has_results { vec![ResultsAt::Inline] } else { Vec::new() }, ..seen })
    }

    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said> {
        line_of(line, raw)
    }
}
