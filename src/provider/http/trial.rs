//! Sends the trials of [`smoke`](crate::provider::smoke), keeping everything that came back.
//!
//! Shell.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Request, Url};
use tokio::time::{Instant, timeout_at};

use super::{Chunks, End, HttpProvider, MOST_BODY, below, gemini, not_sendable, receive};
use crate::attempt::{ErrorCode, Outcome, RateHints, RefusalKind};
use crate::catalog::Route;
use crate::clock;
use crate::engine::Call;
use crate::input::edit::{self, Edit};
use crate::input::scan::check_object;
use crate::job::{AttemptId, JobId, Wire};
use crate::provider::limits;
use crate::provider::response::Response;
use crate::provider::smoke::{Exchange, Finding, Trial, judge};

/// Nobody who looks on waits longer for so small a request.
const PATIENCE: Duration = Duration::from_secs(60);

impl HttpProvider {
    /// Makes a trial on a route, and says what it found out.
    pub async fn try_out(&self, trial: Trial, route: &Arc<Route>) -> Finding {
        let call = Call {
            attempt: AttemptId(trial as u64),
            job: JobId::new("job_smoke"),
            route: trial.route(route),
            item: Arc::new(trial.item(route)),
            beside: None,
        };
        let (wire, exchange) = match self.request(&call.item, &call.route) {
            Ok((wire, body)) => {
                (wire, self.sent(self.in_pieces(trial, wire, &call, body), wire, trial).await)
            }
            Err(message) => {
                (call.item.wire, Exchange::none(not_sendable(RefusalKind::Invalid, message).outcome))
            }
        };
        judge(trial, &call.route, wire, &exchange)
    }

    /// The request, for an answer in pieces where that is what is tried.
    fn in_pieces(&self, trial: Trial, wire: Wire, call: &Call, body: Bytes) -> Request {
        let mut request = self.post(call, wire, body.clone());
        if trial != Trial::Stream {
            return request;
        }
        if wire == Wire::GenerateContent {
            *request.url_mut() = self.streaming_url(&call.route.model);
            return request;
        }
        let mut edits = vec![Edit::Set("stream", b"true")];
        if wire == Wire::Chat {
            edits.push(Edit::Set("stream_options", br#"{"include_usage":true}"#));
        }
        if let Ok(object) = check_object(&body) {
            *request.body_mut() = Some(edit::apply(object, &edits).into());
        }
        request
    }

    fn streaming_url(&self, model: &str) -> Url {
        let path = gemini::path(model).replace(":generateContent", ":streamGenerateContent");
        let mut url = below(&self.base_url, &path);
        url.query_pairs_mut().append_pair("alt", "sse");
        url
    }

    async fn sent(&self, request: Request, wire: Wire, trial: Trial) -> Exchange {
        let sent_at = clock::now();
        // Monotonic, and decides nothing but the end of this call.
        let started = Instant::now();
        let deadline = started + PATIENCE.min(self.endpoint.timeout);
        let silent = || Exchange::none(self.unknown(self.timed_out(), ErrorCode::Timeout, None));
        let mut response = match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Exchange::none(self.failed(&error)),
            Err(_) => return silent(),
        };
        let mut chunks = Chunks::default();
        let first = timeout_at(deadline, response.chunk()).await;
        let first_byte = started.elapsed();
        let end = match first {
            Ok(Ok(Some(chunk))) => {
                chunks.push(chunk);
                timeout_at(deadline, receive(&mut response, &mut chunks, MOST_BODY)).await
            }
            Ok(Ok(None)) => Ok(End::Complete),
            Ok(Err(error)) => Ok(End::Broken(super::root_cause(&error))),
            Err(late) => Err(late),
        };
        let status = response.status().as_u16();
        let headers = self.scrubber.headers(response.headers()).into_owned();
        let body = self.scrubber.body(chunks.into_bytes());
        let now = clock::now();
        let is_stream =
            headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let outcome = match end {
            // Pieces are no answer of the kind that is read elsewhere.
            Ok(End::Complete) if trial == Trial::Stream && is_stream => Outcome::Garbage {
                message: "pieces that cannot be read".to_owned(),
                http_status: status,
                body: Bytes::new(),
            },
            Ok(End::Complete) => {
                self.read(&Response { status, headers: &headers, body: body.clone() }, wire, now)
            }
            Ok(end) => self.unknown(end.describe(), ErrorCode::Network, Some(status)),
            Err(_) => return silent(),
        };
        Exchange {
            outcome,
            sent_at,
            hints: limits::hints(&headers, &self.endpoint.quirks, now),
            headers,
            body,
            http_status: Some(status),
            latency: started.elapsed(),
            first_byte: Some(first_byte),
        }
    }
}

impl Exchange {
    /// Nothing came back.
    fn none(outcome: Outcome) -> Exchange {
        Exchange {
            outcome,
            sent_at: clock::now(),
            hints: RateHints::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            http_status: None,
            latency: Duration::ZERO,
            first_byte: None,
        }
    }
}
