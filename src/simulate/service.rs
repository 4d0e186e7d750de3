//! A request that has arrived → what happens to it, on its socket.
//!
//! Shell.

use std::future::pending;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::Shared;
use super::batch;
use super::socket::{Sent, Switch};
use super::wire::{self, Shape, Stamp};
use crate::clock;
use crate::job::Wire;
use crate::provider::simulated::{self as model, Act, ClientId, FaultChange, GARBAGE, HTML, Refusal, Ticket};

/// A larger body is refused; the largest that real providers take are smaller.
const MAX_BODY: usize = 256 << 20;

/// The end of a Gemini address that asks for pieces.
const STREAMED: &str = ":streamGenerateContent";

/// The end of a Gemini address that asks for vectors.
const EMBEDDED: &str = ":batchEmbedContents";

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset")]
pub(super) struct ResetNow;

/// Finds out what a request wants, and sees to it.
pub(super) async fn respond(
    shared: Shared,
    switch: Switch,
    request: Request<Incoming>,
) -> Result<Response<Sent>, ResetNow> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        let message = "the body is larger than 256 MiB, or broke off".to_owned();
        return Ok(refuse(&Refusal::invalid(message)));
    };
    let body = body.to_bytes();
    if let Some(response) = batch::respond(&shared, &switch, &parts, &body) {
        return response;
    }
    let path = parts.uri.path();
    if let Some(model) = generated_by(path).filter(|_| parts.method == Method::POST) {
        return serve(&shared, &switch, Wire::GenerateContent, Some(model), &parts, &body).await;
    }
    if path == "/v1beta/models" && parts.method == Method::GET {
        return Ok(json(wire::gemini_models(&shared.lock().config().models)));
    }
    let path = path.strip_prefix("/xai").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let wire = match (&parts.method, path) {
        (&Method::POST, "/chat/completions") => Wire::Chat,
        (&Method::POST, "/messages") => Wire::Messages,
        (&Method::POST, "/responses") => Wire::Responses,
        (&Method::POST, "/embeddings") => Wire::Embeddings,
        (&Method::GET, "/models") => return Ok(json(wire::models(&shared.lock().config().models))),
        (&Method::GET, "/sim/ledger") => return Ok(json(to_json(&shared.lock().summary()))),
        (&Method::GET, "/sim/log") => return Ok(json(log(&shared))),
        (&Method::POST, "/sim/faults") => return Ok(change_faults(&shared, &body)),
        _ => return Ok(refuse(&Refusal::no_path(parts.method.as_str(), parts.uri.path()))),
    };
    serve(&shared, &switch, wire, None, &parts, &body).await
}

/// The model in `/v1beta/models/MODEL:generateContent`, which is also served as `/v1` and in pieces.
fn generated_by(path: &str) -> Option<&str> {
    let verbs = [":generateContent", STREAMED, EMBEDDED];
    let path = verbs.into_iter().find_map(|verb| path.strip_suffix(verb))?;
    let path = path.strip_prefix("/v1beta/").or_else(|| path.strip_prefix("/v1/"))?;
    Some(path.strip_prefix("models/").unwrap_or(path))
}

/// Asks the simulated provider, waits as long as it takes, and does what it does.
async fn serve(
    shared: &Shared,
    switch: &Switch,
    wire: Wire,
    in_path: Option<&str>,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Sent>, ResetNow> {
    let client_id = parts.headers.get("x-client-request-id").and_then(|id| id.to_str().ok());
    let client_id = client_id.map(ClientId::parse);
    let now = clock::now();
    let asked = match read(wire, parts, body) {
        Ok(asked) => asked,
        Err(message) => return Ok(refuse_in(wire, &shared.lock().refuse_unread(now, client_id, message))),
    };
    let request = model::Request {
        client_id,
        key: key(&parts.headers),
        model: in_path.unwrap_or(&asked.model),
        wire,
        prompt: asked.prompt,
        max_output: asked.max_output,
        choices: asked.choices,
        wanted: asked.wanted,
        flex: asked.flex,
    };
    let reply = shared.lock().request(now, &request);
    let stamp = Stamp { number: reply.ticket.number, created: now.micros() / 1_000_000 };
    let _serving = Serving { shared, ticket: Some(reply.ticket) };
    if !reply.latency.is_zero() {
        tokio::time::sleep(reply.latency).await;
    }
    let in_pieces = asked.stream || parts.uri.path().ends_with(STREAMED);
    let shape = Shape { wire, base64: asked.base64, tool: asked.tool };
    let mut response = match reply.act {
        Act::Answer(answer) if in_pieces => {
            with_body("text/event-stream", Sent::whole(wire::stream(wire, stamp, &answer)))
        }
        Act::Answer(answer) => json(wire::answer(&shape, stamp, &answer)),
        Act::CutBody(answer) => {
            let whole = wire::answer(&shape, stamp, &answer);
            with_body("application/json", Sent::half(whole))
        }
        Act::Garbage => json(GARBAGE),
        Act::Html => with_body("text/html", Sent::whole(HTML)),
        Act::Refuse(refusal) => refuse_in(wire, &refusal),
        Act::Hang => pending().await,
        Act::Reset => {
            switch.reset();
            return Err(ResetNow);
        }
    };
    let headers = response.headers_mut();
    wire::write_id(wire, headers, stamp);
    wire::write_hints(wire, headers, &reply.hints, now);
    Ok(response)
}

/// What a body asks for; the error is the message a client gets.
fn read<'a>(wire: Wire, parts: &Parts, body: &'a [u8]) -> Result<model::Asked<'a>, String> {
    if wire == Wire::Messages && !parts.headers.contains_key("anthropic-version") {
        return Err("anthropic-version: header is required".to_owned());
    }
    if parts.uri.path().ends_with(EMBEDDED) {
        return model::body::read_contents_to_embed(body);
    }
    model::body::read(wire, body)
}

/// A request being served: over when it is answered, and also when its client has left.
struct Serving<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.lock().finish(clock::now(), ticket);
        }
    }
}

/// The key, however it is presented.
pub(super) fn key(headers: &HeaderMap) -> &str {
    let plain = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.map(|value| value.strip_prefix("Bearer ").unwrap_or(value).trim());
    let others = ["x-api-key", "x-goog-api-key", "api-key"];
    bearer.or_else(|| others.into_iter().find_map(plain)).unwrap_or_default()
}

fn change_faults(shared: &Shared, body: &[u8]) -> Response<Sent> {
    let change: FaultChange = match serde_json::from_slice(body) {
        Ok(change) => change,
        Err(error) => return refuse(&Refusal::invalid(format!("cannot read the faults: {error}"))),
    };
    match shared.lock().change(clock::now(), change) {
        Ok(()) => json("{\"ok\":true}"),
        Err(error) => refuse(&Refusal::invalid(error.to_string())),
    }
}

/// The request log as JSON lines.
pub(super) fn log(shared: &Shared) -> Vec<u8> {
    let mut out = Vec::new();
    for line in shared.lock().log_out() {
        serde_json::to_writer(&mut out, &line).expect("a line of the log is always JSON");
        out.push(b'\n');
    }
    out
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own figures are always JSON")
}

fn refuse(refusal: &Refusal) -> Response<Sent> {
    refuse_in(Wire::Chat, refusal)
}

pub(super) fn refuse_in(wire: Wire, refusal: &Refusal) -> Response<Sent> {
    let mut response = json(wire::error(wire, refusal));
    *response.status_mut() = StatusCode::from_u16(refusal.status).expect("our own statuses are valid");
    if let Some(wait) = refusal.retry_after {
        wire::write_retry_after(wire, response.headers_mut(), wait);
    }
    response
}

pub(super) fn json(bytes: impl Into<Bytes>) -> Response<Sent> {
    with_body("application/json", Sent::whole(bytes))
}

pub(super) fn with_body(content_type: &'static str, body: Sent) -> Response<Sent> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
