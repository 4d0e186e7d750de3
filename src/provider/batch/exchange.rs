//! Requests about batches and what comes back: one each way, never twice.
//!
//! An answer is held whole but for the results in it, which may be as large as all answers together.
//!
//! Shell.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Body, Method, Request, Url};
use serde_json::Value;
use tokio::time::timeout;

use super::client::Batches;
use super::dialect::{Address, Post};
use super::draft::Draft;
use super::split::Splitter;
use super::upload::Upload;
use crate::attempt::Outcome;
use crate::batch::AskError;
use crate::catalog::batch::BatchDialect;
use crate::clock::{self, Timestamp};
use crate::job::Wire;
use crate::provider::anthropic;
use crate::provider::http::{IDLE, below, root_cause, was_not_sent};
use crate::provider::response::{MOST_KEPT, Response};

/// The most that is read of an answer about batches, results apart.
const MOST_ANSWER: usize = 16 * 1024 * 1024;

/// An upload gets so much more time than another request.
const SLOWEST_BYTES_PER_SECOND: u64 = 100_000;

impl Batches<'_> {
    /// What an answer without success means.
    pub(super) fn refused(&self, answer: Answer, wire: Wire) -> AskError {
        let (status, headers, body) = (answer.status, answer.headers, answer.body);
        let body = body.slice(..body.len().min(MOST_KEPT));
        match self.provider.read(&Response { status, headers: &headers, body }, wire, clock::now()) {
            Outcome::Refused(refusal) if status == 404 || status == 410 => AskError::Gone(refusal.message),
            Outcome::Refused(refusal) => AskError::Refused(refusal),
            Outcome::Unknown { message, .. }
            | Outcome::Garbage { message, .. }
            | Outcome::NotSent { message } => AskError::Broken(message),
            Outcome::Answer(_) => AskError::Broken(format!("an answer with status {status}")),
        }
    }

    /// What stands at an address, without the results in it.
    pub(super) async fn get(&self, address: &Address, wire: Wire) -> Result<Value, AskError> {
        let answer = self.answer(address, wire).await?;
        answer.json().ok_or_else(|| AskError::Broken(format!("not JSON: {}", answer.start())))
    }

    /// The same as it came.
    pub(super) async fn answer(&self, address: &Address, wire: Wire) -> Result<Answer, AskError> {
        let request = self.at(Method::GET, address);
        let answer = self.exchange(request, self.patience(0)).await.map_err(Failed::into_ask)?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(answer, wire)) }
    }

    /// Asks for bytes from an offset on. Not compressed, because the offset counts what was read.
    pub(super) async fn download(&self, address: &Address, from: u64) -> Result<reqwest::Response, Failed> {
        let mut request = self.at(Method::GET, address);
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if from > 0 {
            let range = HeaderValue::try_from(format!("bytes={from}-")).expect("digits");
            request.headers_mut().insert(RANGE, range);
        }
        self.send(request, self.patience(0)).await
    }

    /// What a response that is no success means.
    pub(super) async fn refused_response(&self, response: reqwest::Response, wire: Wire) -> AskError {
        match self.receive(response).await {
            Ok(answer) => self.refused(answer, wire),
            Err(failed) => failed.into_ask(),
        }
    }

    /// Does away with what is at an address. That nothing is there is as good.
    pub(super) async fn delete(&self, address: &Address, wire: Wire) -> Result<(), AskError> {
        let request = self.at(Method::DELETE, address);
        let answer = self.exchange(request, self.patience(0)).await.map_err(Failed::into_ask)?;
        if answer.is_success() {
            return Ok(());
        }
        match self.refused(answer, wire) {
            AskError::Gone(_) => Ok(()),
            error => Err(error),
        }
    }

    pub(super) async fn post(&self, draft: &mut Draft, post: &Post) -> Result<Answer, Failed> {
        let Some(frame) = &post.frame else { return self.post_plain(post).await };
        let upload = Upload::new(draft, post, frame)
            .map_err(|error| Failed::NotSent(format!("the draft of the batch cannot be read: {error}")))?;
        let patience = self.patience(draft.bytes());
        self.exchange(self.posting(post, Body::wrap(upload)), patience).await
    }

    pub(super) async fn post_plain(&self, post: &Post) -> Result<Answer, Failed> {
        self.exchange(self.posting(post, Body::from(post.head.clone())), self.patience(0)).await
    }

    fn posting(&self, post: &Post, body: Body) -> Request {
        let mut request = self.at(Method::POST, &post.to);
        let kind = HeaderValue::try_from(&*post.content_type).expect("made of a mark's letters and digits");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(body);
        request
    }

    fn at(&self, method: Method, address: &Address) -> Request {
        let mut request = Request::new(method, self.url(address));
        *request.headers_mut() = self.provider.headers.clone();
        if self.api.dialect == BatchDialect::Anthropic {
            let (name, value) = anthropic::VERSION;
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        request
    }

    fn url(&self, address: &Address) -> Url {
        let (path, query) = address.path.split_once('?').unwrap_or((&address.path, ""));
        let mut url = below(&self.provider.base_url, path);
        if !query.is_empty() {
            let asked = url.query().map(|base| format!("{base}&{query}"));
            url.set_query(Some(asked.as_deref().unwrap_or(query)));
        }
        if !address.prefix.is_empty() {
            let path = format!("{}{}", address.prefix, url.path());
            url.set_path(&path);
        }
        if !address.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&address.query);
        }
        url
    }

    fn patience(&self, bytes: u64) -> Duration {
        self.provider.endpoint.timeout + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
    }

    async fn exchange(&self, request: Request, patience: Duration) -> Result<Answer, Failed> {
        let response = self.send(request, patience).await?;
        self.receive(response).await
    }

    async fn send(&self, request: Request, patience: Duration) -> Result<reqwest::Response, Failed> {
        match timeout(patience, self.provider.client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if was_not_sent(&error) => Err(Failed::NotSent(self.provider.describe(&error))),
            Ok(Err(error)) => Err(Failed::Broken(self.provider.describe(&error))),
            Err(_) => Err(Failed::Broken(format!("no response within {patience:?}"))),
        }
    }

    /// The body of a response without the results in it, which are never held here.
    async fn receive(&self, mut response: reqwest::Response) -> Result<Answer, Failed> {
        let mut splitter = Splitter::new(self.dialect().inline_results());
        loop {
            match timeout(IDLE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => splitter.read(&chunk, drop),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(Failed::Broken(format!("the answer broke off: {}", root_cause(&error))));
                }
                Err(_) => return Err(Failed::Broken(format!("no byte of the answer for {IDLE:?}"))),
            }
            if splitter.outline().len() > MOST_ANSWER {
                return Err(Failed::Broken(format!("an answer of more than {} MiB", MOST_ANSWER >> 20)));
            }
        }
        Ok(Answer {
            status: response.status().as_u16(),
            headers: self.provider.scrubber.headers(response.headers()).into_owned(),
            body: self.scrub(splitter.outline().to_vec()),
        })
    }
}

/// A complete answer.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn start(&self) -> String {
        start(&self.body)
    }

    /// When it was given, by the provider's clock.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        Some(DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc).into())
    }
}

pub(super) fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

/// Why there is no answer.
pub(super) enum Failed {
    /// No byte left.
    NotSent(String),
    /// Something was sent, and what it did is not known.
    Broken(String),
}

impl Failed {
    pub(super) fn into_ask(self) -> AskError {
        let (Failed::NotSent(message) | Failed::Broken(message)) = self;
        AskError::Broken(message)
    }
}
