//! A response as the adapters get it: status, headers, and the body in one piece.
//!
//! Pure.

use bytes::Bytes;
use reqwest::header::HeaderMap;

use super::text::cut;
use crate::attempt::Outcome;

/// How much is kept of a body that is no answer.
pub(crate) const MOST_KEPT: usize = 64 * 1024;

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
    /// A header, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The provider's name for the request, by the headers of those who send one.
    pub(super) fn request_id(&self) -> Option<&str> {
        ["x-request-id", "request-id", "x-generation-id", "x-litellm-call-id"]
            .into_iter()
            .find_map(|name| self.header(name))
    }

    /// What a success status is whose body cannot be read, and why not.
    pub(super) fn garbage(&self, why: &str) -> Outcome {
        let start = self.body.trim_ascii_start();
        let message = match start.first() {
            None => "an empty body instead of JSON".to_owned(),
            Some(b'<') => "an HTML page instead of JSON".to_owned(),
            Some(_) => format!("not an answer: {}", cut(why, 300)),
        };
        let kept = Bytes::copy_from_slice(&self.body[..self.body.len().min(MOST_KEPT)]);
        Outcome::Garbage { message, http_status: self.status, body: kept }
    }
}
