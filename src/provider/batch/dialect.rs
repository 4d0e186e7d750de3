//! What every dialect says: how a batch is made, listed, described and cancelled, and what a line of its
//! results holds.
//!
//! Pure.

use serde_json::Value;

use crate::batch::{BatchState, Counts, Mark, NotRun, Order, ResultsAt};
use crate::catalog::batch::{BatchApi, BatchDialect};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::provider::openai::Path;

/// Requests and answers of one batch API.
pub(super) trait Dialect: Sync {
    /// The upload that must come before; `None` where a batch of so many bytes goes inline.
    fn upload(&self, order: &Order, api: &BatchApi, bytes: u64) -> Option<Post>;

    /// The name of an uploaded file, from the answer.
    fn uploaded(&self, answer: &Value) -> Option<String>;

    /// What makes the batch, over a file or with the requests inside.
    fn create(&self, order: &Order, api: &BatchApi, file: Option<&str>) -> Post;

    /// The place of an uploaded file.
    fn file(&self, name: &str) -> String {
        format!("/files/{name}")
    }

    /// A page of the files that were uploaded; `None` where requests always go inline.
    fn files(&self, _page: Option<&str>) -> Option<Address> {
        None
    }

    /// The files of the answer to that, each by its name there and the name we gave it, if it is a list; and
    /// what the next page is called.
    fn named(&self, _answer: &Value, _page: Option<&str>) -> Option<Named> {
        None
    }

    /// The place of a batch.
    fn one(&self, id: &str) -> Address;

    /// Where posting cancels it.
    fn cancel(&self, id: &str) -> Address;

    /// A page of the batches there are, mostly the newest first.
    fn list(&self, order: &Order, api: &BatchApi, page: Option<&str>) -> Address;

    /// The batches of the answer to that, if it is a list, and what the next page is called.
    fn listed(&self, answer: &Value, page: Option<&str>) -> Option<(Vec<Seen>, Option<String>)>;

    /// A batch as it is described, if this is one.
    fn read(&self, batch: &Value) -> Option<Seen>;

    /// The key of the array that holds results, where they are part of the description.
    fn inline_results(&self) -> &'static str {
        "results"
    }

    /// A line of results; `None` where it has no id.
    fn line(&self, line: &Value, raw: &[u8]) -> Option<Said>;
}

/// A page of files by two names, and what the next one is called.
pub(super) type Named = (Vec<(String, String)>, Option<String>);

/// The dialect itself.
pub(super) fn of(dialect: BatchDialect) -> &'static dyn Dialect {
    match dialect {
        BatchDialect::OpenAi => &super::openai::OpenAi,
        BatchDialect::Anthropic => &super::anthropic::Anthropic,
        BatchDialect::Gemini => &super::gemini::Gemini,
        BatchDialect::Mistral => &super::mistral::Mistral,
        BatchDialect::OpenRouter => &super::openrouter::OpenRouter,
        BatchDialect::Xai => &super::xai::Xai,
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Below the base URL; a plain query may be behind it.
    pub(super) path: String,
    /// Put before the path of the base URL: Google's uploads go to `/upload/v1beta`.
    pub(super) prefix: &'static str,
    /// What is asked beyond that, in words that may hold anything.
    pub(super) query: Vec<(&'static str, String)>,
}

impl Address {
    pub(super) fn new(path: impl Into<String>) -> Address {
        Address { path: path.into(), prefix: "", query: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Address {
        self.query.push((name, value.into()));
        self
    }

    /// The same with a query where there is something to ask for.
    pub(super) fn with_some(self, name: &'static str, value: Option<&str>) -> Address {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// A body to be posted: what stands before the requests, what around each, and what behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) to: Address,
    pub(super) content_type: String,
    pub(super) head: String,
    /// Around each request; `None` where there are none in it.
    pub(super) frame: Option<Frame>,
    pub(super) tail: String,
}

impl Post {
    /// A body that holds no request.
    pub(super) fn plain(to: Address, body: &Value) -> Post {
        Post { to, content_type: JSON.to_owned(), head: body.to_string(), frame: None, tail: String::new() }
    }
}

/// What xAI calls the next page of a list or of results.
pub(super) const PAGE_TOKEN: &str = "pagination_token";

pub(super) const JSON: &str = "application/json";

/// What stands around a request: `before`, its id, `middle`, the request, `}`, `between`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) before: &'static str,
    pub(super) middle: String,
    pub(super) between: u8,
}

impl Frame {
    /// Bytes around each request, its id apart.
    pub(super) fn overhead(&self) -> u64 {
        (self.before.len() + self.middle.len()) as u64 + 2
    }
}

/// A batch as it is described.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) mark: Option<Mark>,
    pub(super) input_file: Option<String>,
    pub(super) state: BatchState,
    pub(super) counts: Counts,
    /// At the latest.
    pub(super) made_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) results: Vec<ResultsAt>,
    /// What can be deleted of it once it has ended, where it is; itself last.
    pub(super) left: Vec<String>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) id: String,
    pub(super) what: What,
}

/// What a line says of its request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A response as a realtime call would have had it.
    Response { status: u16, request_id: Option<String>, body: String },
    /// It did not run.
    NotRun(NotRun),
}

impl What {
    /// An error that stands alone, as the body of a response with this status.
    pub(super) fn error(status: u16, error: &Value) -> What {
        let body = serde_json::json!({ "error": error }).to_string();
        What::Response { status, request_id: None, body }
    }

    /// The same, by the number it has: an HTTP status, or one of `google.rpc.Code`.
    pub(super) fn by_number(error: &Value) -> What {
        let status = match count(&error["code"]) {
            1 => return What::NotRun(NotRun::Cancelled),
            3 | 9 | 11 => 400,
            4 => return What::NotRun(NotRun::Expired),
            5 => 404,
            7 => 403,
            8 => 429,
            14 => 503,
            16 => 401,
            code @ 400..=599 => code as u16,
            _ => 500,
        };
        What::error(status, error)
    }
}

/// The text of a member exactly as it stands in an object, because numbers and keys must survive.
pub(super) fn member(raw: &[u8], path: &[&str]) -> Option<String> {
    let mut text = std::str::from_utf8(raw).ok()?;
    for key in path {
        let object: std::collections::BTreeMap<String, &serde_json::value::RawValue> =
            serde_json::from_str(text).ok()?;
        text = object.get(*key)?.get();
    }
    Some(text.to_owned())
}

/// Seconds since 1970 or RFC 3339; of a mere day, its last moment.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => {
            let micros = seconds.as_i64()?.checked_mul(1_000_000)?;
            (micros > 0).then(|| Timestamp::from_micros(micros))
        }
        Value::String(text) => text.parse().or_else(|_| format!("{text}T23:59:59Z").parse()).ok(),
        _ => None,
    }
}

/// A count written as a number or, as Google does, as text.
pub(super) fn count(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Where a request would go on its own, as batches of the OpenAI kind name it.
pub(super) fn endpoint(wire: Wire, api: &BatchApi) -> String {
    let path = match wire {
        Wire::Responses => Path::Responses.as_str(),
        Wire::Embeddings => Path::Embeddings.as_str(),
        Wire::Chat | Wire::Messages | Wire::GenerateContent => Path::Chat.as_str(),
    };
    format!("{}{path}", api.url_prefix)
}

/// What stands between the parts of an upload.
pub(super) fn boundary(mark: &Mark) -> String {
    // Requests are JSON on one line, so that no line of theirs can begin like this.
    format!("----{mark}")
}
