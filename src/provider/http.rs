//! Sends requests and reads responses: [`HttpProvider`] for one account, [`Providers`] for all.
//!
//! The rule it protects: every way a call can end is told apart by what we know about the bill. No
//! byte left → not sent. A status that refuses → refused. Anything broken off after sending →
//! unknown. Nothing is sent twice (see [`client`](super::client)), and no key comes back out: bodies
//! and messages are scrubbed before anything else sees them.
//!
//! Shell.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use tokio::time::{Instant, timeout, timeout_at};

use super::lane::on_lane;
use super::response::{MOST_KEPT, Response};
use super::scrub::Scrubber;
use crate::attempt::{Ending, ErrorCode, Outcome, RateHints, Refusal, RefusalKind};
use crate::catalog::Route;
use crate::catalog::endpoint::{Auth, Endpoint, Header};
use crate::catalog::provider::Family;
use crate::clock::{self, Timestamp};
use crate::engine::Call;
use crate::job::{Item, Wire};
use crate::provider::{anthropic, gemini, limits, openai, translate};

mod look;
mod trial;

pub use look::{Look, Problem};

/// The most of a body that is read, after decompression; a gzip bomb ends here.
pub(super) const MOST_BODY: usize = 64 * 1024 * 1024;

/// The longest silence inside a body. Servers that think long either send nothing at all, which the
/// endpoint's timeout bounds, or keep the line alive with white space.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// Headers of a request beyond those that are the same for every one: its name, and what the client adds.
const MORE_HEADERS: usize = 4;

/// All provider accounts that can be called.
#[derive(Debug, Default)]
pub struct Providers {
    by_name: BTreeMap<Arc<str>, HttpProvider>,
}

impl Providers {
    /// One provider for each endpoint, over one client.
    pub fn new(endpoints: Vec<Endpoint>, client: &Client) -> Result<Providers, String> {
        let mut by_name = BTreeMap::new();
        for endpoint in endpoints {
            let name = endpoint.provider.clone();
            by_name.insert(name, HttpProvider::new(endpoint, client.clone())?);
        }
        Ok(Providers { by_name })
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&HttpProvider> {
        self.by_name.get(name)
    }

    /// Sends a call to its route's provider, once, and says how it ended.
    pub async fn call(&self, call: &Call) -> Ending {
        match self.get(&call.route.provider) {
            Some(provider) => provider.call(call).await,
            None => not_sendable(
                RefusalKind::ModelGone,
                format!("provider {} is not configured", call.route.provider),
            ),
        }
    }
}

/// One provider account, ready to be called.
pub struct HttpProvider {
    pub(super) endpoint: Endpoint,
    pub(super) client: Client,
    pub(super) base_url: Url,
    models_url: Url,
    addresses: Addresses,
    pub(super) headers: HeaderMap,
    /// Finds the keys where a provider echoes them.
    pub(super) scrubber: Scrubber,
}

/// Where requests go whose address does not name the model; joined once, not for every call.
struct Addresses {
    chat: Url,
    responses: Url,
    embeddings: Url,
    messages: Url,
}

impl Addresses {
    fn below(base: &Url) -> Addresses {
        let of = |path: openai::Path| below(base, path.as_str());
        Addresses {
            chat: of(openai::Path::Chat),
            responses: of(openai::Path::Responses),
            embeddings: of(openai::Path::Embeddings),
            messages: below(base, anthropic::PATH),
        }
    }
}

/// Without the keys, which are also in the headers and in the pattern that looks for it.
impl fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl HttpProvider {
    /// Prepares what is the same for every request; an error where the configuration cannot be sent.
    pub fn new(endpoint: Endpoint, client: Client) -> Result<HttpProvider, String> {
        let base_url = base_url(&endpoint)?;
        Ok(HttpProvider {
            models_url: below(&base_url, "/models"),
            addresses: Addresses::below(&base_url),
            base_url,
            headers: headers(&endpoint)?,
            scrubber: Scrubber::new(endpoint.keys()),
            client,
            endpoint,
        })
    }

    /// Sends a call, once, and says how it ended. What it shares with the item beside it is marked to be kept,
    /// where the provider wants to be told.
    pub async fn call(&self, call: &Call) -> Ending {
        let (wire, body) = match self.request(&call.item, &call.route) {
            Ok((wire, body)) => (wire, on_lane(self.with_mark(call, wire, body), wire, &call.route.lane)),
            Err(message) => return not_sendable(RefusalKind::Invalid, message),
        };
        let request = self.post(call, wire, body);
        let sent_at = clock::now();
        let (outcome, hints) = self.exchange(request, wire).await;
        Ending { outcome, hints, sent_at }
    }

    /// What is sent, headers and all.
    fn post(&self, call: &Call, wire: Wire, body: Bytes) -> Request {
        let mut request = Request::new(Method::POST, self.url(wire, &call.route.model));
        let headers = request.headers_mut();
        // With room for those the client adds: a copy of the map as it is would grow twice on its way.
        headers.reserve(self.headers.len() + MORE_HEADERS);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if wire == Wire::Messages {
            let (name, value) = anthropic::VERSION;
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let mut id = String::with_capacity(16);
        let _ = write!(id, "{}", call.attempt);
        let id = HeaderValue::try_from(id).expect("letters and digits");
        headers.insert(HeaderName::from_static("x-client-request-id"), id);
        *request.body_mut() = Some(body.into());
        request
    }

    /// The format of the request, and its body.
    pub(super) fn request(&self, item: &Item, route: &Route) -> Result<(Wire, Bytes), String> {
        let none = || "its endpoint does not take this kind of request".to_owned();
        let wire = translate::target(item.wire, &route.wires).ok_or_else(none)?;
        let body = match wire {
            Wire::GenerateContent if wire == item.wire => gemini::request(item)?,
            Wire::Embeddings if self.endpoint.quirks.embeds_contents => {
                gemini::embed::request(item, &route.model)?
            }
            _ if wire == item.wire => item.body.for_model(&route.model),
            _ => translate::request(item, wire, &route.model, route.max_output, &self.endpoint.quirks)?,
        };
        Ok((wire, body))
    }

    fn url(&self, wire: Wire, model: &str) -> Url {
        match wire {
            Wire::Chat => self.addresses.chat.clone(),
            Wire::Responses => self.addresses.responses.clone(),
            Wire::Embeddings if self.endpoint.quirks.embeds_contents => {
                below(&self.base_url, &gemini::embed::path(model))
            }
            Wire::Embeddings => self.addresses.embeddings.clone(),
            Wire::Messages => self.addresses.messages.clone(),
            Wire::GenerateContent => below(&self.base_url, &gemini::path(model)),
        }
    }

    /// A body with its cache mark.
    fn with_mark(&self, call: &Call, wire: Wire, body: Bytes) -> Bytes {
        let other = call.beside.as_ref().filter(|_| wire == Wire::Messages);
        match other.map(|other| self.request(other, &call.route)) {
            Some(Ok((_, other))) => anthropic::marked(body, &other),
            Some(Err(_)) | None => body,
        }
    }

    /// What a response to a request in this format means.
    pub(super) fn read(&self, response: &Response<'_>, wire: Wire, now: Timestamp) -> Outcome {
        let quirks = &self.endpoint.quirks;
        match wire {
            Wire::Chat => openai::read(response, openai::Path::Chat, quirks, now),
            Wire::Responses => openai::read(response, openai::Path::Responses, quirks, now),
            Wire::Embeddings if quirks.embeds_contents => gemini::embed::read(response, quirks, now),
            Wire::Embeddings => openai::read(response, openai::Path::Embeddings, quirks, now),
            Wire::Messages => anthropic::read(response, quirks, now),
            Wire::GenerateContent => gemini::read(response, quirks, now),
        }
    }

    async fn exchange(&self, request: Request, wire: Wire) -> (Outcome, RateHints) {
        // Monotonic, and decides nothing but the end of this call.
        let deadline = Instant::now() + self.endpoint.timeout;
        let mut response = match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return (self.failed(&error), RateHints::default()),
            Err(_) => {
                return (self.unknown(self.timed_out(), ErrorCode::Timeout, None), RateHints::default());
            }
        };
        let success = response.status().is_success();
        let mut chunks = Chunks::default();
        let most = if success { MOST_BODY } else { MOST_KEPT };
        let end = timeout_at(deadline, receive(&mut response, &mut chunks, most))
            .await
            .unwrap_or_else(|_| End::TimedOut(self.timed_out()));

        let now = clock::now();
        let status = response.status().as_u16();
        let headers = self.scrubber.headers(response.headers());
        let hints = limits::hints(&headers, &self.endpoint.quirks, now);
        let body = self.scrubber.body(chunks.into_bytes());
        let read = |body| self.read(&Response { status, headers: &headers, body }, wire, now);
        // A refusal is told by its status; a body that broke off changes nothing about it.
        let outcome = match end {
            _ if !success => read(body),
            End::Complete => read(body),
            End::TooLarge | End::Undecodable(_) => Outcome::Garbage {
                message: self.scrubber.text(&end.describe()),
                http_status: status,
                body: Bytes::copy_from_slice(&body[..body.len().min(MOST_KEPT)]),
            },
            End::Broken(_) => self.unknown(end.describe(), ErrorCode::Network, Some(status)),
            End::TimedOut(_) => self.unknown(end.describe(), ErrorCode::Timeout, Some(status)),
        };
        (outcome, hints)
    }

    /// How a call ended that brought no response.
    fn failed(&self, error: &reqwest::Error) -> Outcome {
        let message = self.describe(error);
        if was_not_sent(error) {
            Outcome::NotSent { message }
        } else {
            self.unknown(message, ErrorCode::Network, None)
        }
    }

    fn unknown(&self, message: String, code: ErrorCode, http_status: Option<u16>) -> Outcome {
        Outcome::Unknown { message: self.scrubber.text(&message), code, http_status }
    }

    fn timed_out(&self) -> String {
        format!("no complete response within {:?}", self.endpoint.timeout)
    }

    pub(super) fn describe(&self, error: &reqwest::Error) -> String {
        let place = self.models_url.host_str().unwrap_or_default();
        let place = match self.models_url.port() {
            Some(port) => format!("{place}:{port}"),
            None => place.to_owned(),
        };
        let what =
            if was_not_sent(error) { "no connection to" } else { "the connection broke after sending to" };
        self.scrubber.text(&format!("{what} {place}: {}", root_cause(error)))
    }
}

fn base_url(endpoint: &Endpoint) -> Result<Url, String> {
    let refuse = |why: &str| format!("provider {}: base_url {}: {why}", endpoint.provider, endpoint.base_url);
    let url = Url::parse(&endpoint.base_url).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("must start with https:// or http://"));
    }
    Ok(url)
}

/// The address of a path. A query, as Azure's `?api-version=`, stays behind it.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}

/// The headers of every request. The key goes here and nowhere else.
fn headers(endpoint: &Endpoint) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for Header { name, value, is_key } in &endpoint.headers {
        let refuse = || format!("provider {}: header {name} cannot be sent", endpoint.provider);
        let header = HeaderName::try_from(name.as_str()).map_err(|_| refuse())?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| refuse())?;
        value.set_sensitive(*is_key);
        headers.insert(header, value);
    }
    if endpoint.auth == Family::Anthropic.auth() {
        let (name, value) = anthropic::VERSION;
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let Some(key) = &endpoint.key else { return Ok(headers) };
    let (name, value) = match &endpoint.auth {
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Auth::Header(name) => {
            let refuse = |_| format!("provider {}: auth header {name} is not a name", endpoint.provider);
            (HeaderName::try_from(name.as_str()).map_err(refuse)?, key.expose().to_owned())
        }
        Auth::None => return Ok(headers),
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        format!("provider {}: the key holds characters no header may hold", endpoint.provider)
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// The end of a call that could not even be made; the refusal is ours.
fn not_sendable(kind: RefusalKind, message: String) -> Ending {
    let refusal =
        Refusal { kind, http_status: 0, message, retry_after: None, request_id: None, body: Bytes::new() };
    Ending { outcome: Outcome::Refused(refusal), hints: RateHints::default(), sent_at: clock::now() }
}

/// Whether the error proves that no byte of the request was written: the connection was never made,
/// or hyper gave the request back unencoded.
pub(super) fn was_not_sent(error: &reqwest::Error) -> bool {
    error.is_builder()
        || error.is_connect()
        || find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled)
}

/// The first error of type `T` among the causes. I/O errors hide theirs from `source`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// How reading a body ended.
enum End {
    Complete,
    TooLarge,
    /// Not what its `content-encoding` says.
    Undecodable(String),
    Broken(String),
    TimedOut(String),
}

impl End {
    fn describe(&self) -> String {
        match self {
            End::Complete => "complete".to_owned(),
            End::TooLarge => format!("the body is larger than {} MiB", MOST_BODY >> 20),
            End::Undecodable(why) => format!("the body cannot be decompressed: {why}"),
            End::Broken(why) => format!("the body broke off: {why}"),
            End::TimedOut(why) => why.clone(),
        }
    }
}

async fn receive(response: &mut reqwest::Response, chunks: &mut Chunks, most: usize) -> End {
    loop {
        match timeout(IDLE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                if chunks.len() + chunk.len() > most {
                    chunks.push(chunk.slice(..most - chunks.len()));
                    return End::TooLarge;
                }
                chunks.push(chunk);
            }
            Ok(Ok(None)) => return End::Complete,
            // reqwest calls every fault in a body a decoding error; only the cause tells them apart.
            Ok(Err(error)) if find::<hyper::Error>(&error).is_some() => {
                return End::Broken(root_cause(&error));
            }
            Ok(Err(error)) => return End::Undecodable(root_cause(&error)),
            Err(_) => return End::TimedOut(format!("no byte of the body for {IDLE:?}")),
        }
    }
}

/// A body as it arrives; most come in one chunk.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    all: Vec<u8>,
}

impl Chunks {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
    }

    /// The bytes in an allocation of their own. A chunk is a slice of what the connection reads into, and
    /// an answer lives until it is in a part: kept as it came, it would take that whole buffer from the
    /// connection, which has to get another one for every answer.
    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { Bytes::copy_from_slice(&self.first) } else { self.all.into() }
    }
}

#[cfg(test)]
mod tests;
