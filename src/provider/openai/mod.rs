//! The OpenAI wire family: the paths its requests go to, and [`read`], which hands a response to `answer` or
//! to the refusals all families share. What is sent is made by [`translate`](crate::provider::translate).
//!
//! Pure.

use serde_json::value::RawValue;

use crate::attempt::Outcome;
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::money::Usage;
use crate::provider::refusal;
use crate::provider::response::Response;

mod answer;
mod usage;

/// The tokens of a `usage` object; `None` where they cannot be used.
pub fn usage(raw: &RawValue) -> Option<Usage> {
    usage::read(raw, false).usage
}

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

    use reqwest::header::HeaderMap;

    use super::*;

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
