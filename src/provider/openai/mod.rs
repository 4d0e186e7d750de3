//! The OpenAI wire family in three mappings and nothing else: [`request`], and [`read`], which hands a
//! response to `answer` or to `refusal`.
//!
//! Pure.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use crate::attempt::Outcome;
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::job::{Item, Wire};
use crate::money::Usage;
use crate::provider::translate;

mod answer;
mod refusal;
mod text;
mod usage;
mod words;

/// The tokens of a `usage` object; `None` where they cannot be used.
pub fn usage(raw: &RawValue) -> Option<Usage> {
    usage::read(raw, false).usage
}

/// How much is kept of a body that is no answer.
pub(crate) const MOST_KEPT: usize = 64 * 1024;

/// Where a request goes, below the base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `/chat/completions`
    Chat,
    /// `/responses`
    Responses,
    /// `/embeddings`
    Embeddings,
}

impl Path {
    /// Every path, in the order of their numbers.
    pub const ALL: [Path; 3] = [Path::Chat, Path::Responses, Path::Embeddings];

    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Path::Chat => "/chat/completions",
            Path::Responses => "/responses",
            Path::Embeddings => "/embeddings",
        }
    }
}

/// What is sent for an item that `model` shall answer; an error text where this family has no way to
/// say what the body asks for.
pub fn request(item: &Item, model: &str, quirks: &Quirks) -> Result<(Path, Bytes), String> {
    Ok(match item.wire {
        Wire::Chat => (Path::Chat, item.body.for_model(model)),
        Wire::Responses => (Path::Responses, item.body.for_model(model)),
        Wire::Embeddings => (Path::Embeddings, item.body.for_model(model)),
        Wire::Messages | Wire::GenerateContent => (Path::Chat, translate::to_chat(item, model, quirks)?),
    })
}

/// The body asking for a lane: what is not realtime is a service tier.
pub fn on_lane(body: Bytes, lane: &str) -> Bytes {
    match (lane, body.iter().position(|&byte| byte == b'{')) {
        ("flex", Some(open)) => {
            let (before, after) = body.split_at(open + 1);
            // A request that is sent names its model, so something follows.
            [before, br#""service_tier":"flex","#, after].concat().into()
        }
        _ => body,
    }
}

/// A response, complete as far as we wanted to read it.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// The status line.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Response<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The provider's name for the request, by the headers of those who send one.
    fn request_id(&self) -> Option<&str> {
        ["x-request-id", "request-id", "x-generation-id", "x-litellm-call-id"]
            .into_iter()
            .find_map(|name| self.header(name))
    }
}

/// What a response to a request on `path` means.
pub fn read(response: &Response<'_>, path: Path, quirks: &Quirks, now: Timestamp) -> Outcome {
    match response.status {
        200..=299 => answer::read(response, path, quirks, now),
        _ => refusal::read(response, quirks, now),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lane_is_a_service_tier_and_realtime_is_none() {
        let body = || Bytes::from_static(br#" {"model":"m","a":1}"#);
        assert_eq!(on_lane(body(), "realtime"), body());
        assert_eq!(on_lane(body(), "flex"), &br#" {"service_tier":"flex","model":"m","a":1}"#[..]);
    }

    /// Bodies that are nearly right, which go further into the code than noise does.
    fn body() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\ud83d",
            "\\ude00",
            "null",
            "-1",
            "1e400",
            "é",
            "<title>",
            "\"choices\"",
            "\"message\"",
            "\"content\"",
            "\"error\"",
            "\"code\"",
            "\"details\"",
            "\"usage\"",
            "\"prompt_tokens\"",
            "\"data\"",
            "\"output\"",
            "{\"choices\":[{\"message\":{\"content\":\"",
            "\"}}]}",
            "{\"error\":{\"message\":\"",
            "{\"usage\":{\"prompt_tokens\":",
        ]);
        prop::collection::vec(words, 0..20).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in body(), status in 100u16..600, path in 0usize..3) {
            let headers = HeaderMap::new();
            let response = Response { status, headers: &headers, body: body.into() };
            let _ = read(&response, Path::ALL[path], &Quirks::default(), Timestamp::default());
        }

        #[test]
        fn no_header_makes_it_panic(value in "[0-9.eE+:TZhmsuµ-]{0,20}") {
            let _ = crate::provider::limits::wait(&value, Timestamp::default());
        }
    }
}
