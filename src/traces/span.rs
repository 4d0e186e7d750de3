//! [`Span`]: an attempt as OpenTelemetry sees it, with the attributes of its GenAI conventions.
//!
//! The attempts of an item are one trace, so that a retry and an escalation are seen together. Names are
//! worked out from those we have, so a record that is read again gives the same span.
//!
//! Pure.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::attempt::AttemptStatus;
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::record::{Ended, RouteFacts};

/// `SPAN_KIND_CLIENT`.
const CLIENT: u8 = 3;
/// `STATUS_CODE_OK` and `STATUS_CODE_ERROR`.
const OK: u8 = 1;
const ERROR: u8 = 2;

/// One attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    trace: [u8; 16],
    span: [u8; 8],
    job: String,
    attempt: String,
    operation: &'static str,
    number: u16,
    step: u8,
    route: RouteFacts,
    response_model: Option<String>,
    request_id: Option<String>,
    finish_reason: Option<String>,
    http_status: Option<u16>,
    /// Input, cached input, output.
    tokens: Option<[u64; 3]>,
    cost_nano: i128,
    error: Option<&'static str>,
    is_ok: bool,
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// Of an attempt that ended.
    pub fn of(ended: &Ended) -> Span {
        let trace = Sha256::digest(format!("{} {}", ended.job, ended.item));
        let span = Sha256::digest(format!("{} {}", ended.job, ended.attempt));
        Span {
            trace: head(&trace),
            span: head(&span),
            job: ended.job.to_string(),
            attempt: ended.attempt.to_string(),
            operation: operation(ended.wire),
            number: ended.number,
            step: ended.step,
            route: ended.route.clone(),
            response_model: ended.response_model.clone(),
            request_id: ended.request_id.clone(),
            finish_reason: ended.finish_reason.clone(),
            http_status: ended.http_status,
            tokens: ended.usage.map(|usage| [usage.input, usage.cache_read, usage.output]),
            cost_nano: ended.cost.nano().into(),
            error: ended.error.as_ref().map(|(code, _)| code.as_str()),
            is_ok: ended.status == AttemptStatus::Succeeded,
            from: ended.started_at,
            to: ended.ended_at,
        }
    }

    fn json(&self) -> Value {
        let route = &self.route;
        let text = |name: &str, value: &str| Some(json!({ "key": name, "value": { "stringValue": value } }));
        // OTLP writes whole numbers as text.
        let whole = |name: &str, value: i128| {
            Some(json!({ "key": name, "value": { "intValue": value.to_string() } }))
        };
        let shared = |name: &str, value: &Arc<str>| text(name, value);
        let token = |name: &str, at: usize| self.tokens.and_then(|tokens| whole(name, tokens[at].into()));
        let reasons = self.finish_reason.as_ref().map(|reason| {
            let list = json!({ "arrayValue": { "values": [{ "stringValue": reason }] } });
            json!({ "key": "gen_ai.response.finish_reasons", "value": list })
        });
        let attributes = [
            text("gen_ai.operation.name", self.operation),
            shared("gen_ai.provider.name", &route.provider),
            shared("gen_ai.request.model", &route.model),
            self.response_model.as_deref().and_then(|model| text("gen_ai.response.model", model)),
            self.request_id.as_deref().and_then(|id| text("gen_ai.response.id", id)),
            reasons,
            token("gen_ai.usage.input_tokens", 0),
            token("gen_ai.usage.cache_read.input_tokens", 1),
            token("gen_ai.usage.output_tokens", 2),
            self.http_status.and_then(|status| whole("http.response.status_code", status.into())),
            self.error.and_then(|code| text("error.type", code)),
            text("overnight.job.id", &self.job),
            text("overnight.attempt.id", &self.attempt),
            whole("overnight.attempt.number", self.number.into()),
            whole("overnight.step", i128::from(self.step) + 1),
            shared("overnight.lane", &route.lane),
            shared("overnight.price.window", &route.window),
            whole("overnight.cost.nano_usd", self.cost_nano),
        ];
        // What providers say of an error may quote the prompt.
        let status = match self.is_ok {
            true => json!({ "code": OK }),
            false => json!({ "code": ERROR, "message": self.error.unwrap_or_default() }),
        };
        json!({
            "traceId": hex(&self.trace),
            "spanId": hex(&self.span),
            "name": format!("{} {}", self.operation, route.model),
            "kind": CLIENT,
            "startTimeUnixNano": nanos(self.from),
            "endTimeUnixNano": nanos(self.to.max(self.from)),
            "attributes": attributes.into_iter().flatten().collect::<Vec<Value>>(),
            "status": status,
        })
    }
}

/// Spans as a collector takes them.
pub fn document(service: &str, spans: &[Span]) -> Value {
    let text = |name: &str, value: &str| json!({ "key": name, "value": { "stringValue": value } });
    let version = env!("CARGO_PKG_VERSION");
    json!({ "resourceSpans": [{
        "resource": { "attributes": [text("service.name", service), text("service.version", version)] },
        "scopeSpans": [{
            "scope": { "name": "overnight", "version": version },
            "spans": spans.iter().map(Span::json).collect::<Vec<Value>>(),
        }],
    }] })
}

/// The conventions' word for what is asked.
fn operation(wire: Wire) -> &'static str {
    match wire {
        Wire::Chat | Wire::Responses | Wire::Messages => "chat",
        Wire::Embeddings => "embeddings",
        Wire::GenerateContent => "generate_content",
    }
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.micros()) * 1_000).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn head<const N: usize>(hash: &[u8]) -> [u8; N] {
    *hash.first_chunk().expect("a hash has thirty-two bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testing;

    fn attributes(span: &Value) -> std::collections::BTreeMap<String, Value> {
        let all = span["attributes"].as_array().unwrap().iter();
        let value = |pair: &Value| pair["value"].as_object().unwrap().values().next().unwrap().clone();
        all.map(|pair| (pair["key"].as_str().unwrap().to_owned(), value(pair))).collect()
    }

    #[test]
    fn an_attempt_is_a_span_with_what_it_cost() {
        let job = testing::job("job_aaaaaaaaaa", 9);
        let ended = testing::succeeded(&job, 4);
        let document = document("night", &[Span::of(&ended)]);
        let of = &document["resourceSpans"][0];
        assert_eq!(of["resource"]["attributes"][0]["value"]["stringValue"], "night");
        let span = &of["scopeSpans"][0]["spans"][0];
        assert_eq!((&span["kind"], &span["status"]["code"]), (&3.into(), &1.into()));
        assert_eq!(span["startTimeUnixNano"], nanos(ended.started_at));
        let has = attributes(span);
        assert_eq!(span["name"], format!("chat {}", ended.route.model));
        assert_eq!(has["gen_ai.request.model"], *ended.route.model);
        assert_eq!(has["gen_ai.usage.input_tokens"], "604");
        assert_eq!(has["overnight.job.id"], "job_aaaaaaaaaa");
        assert_eq!(has["overnight.cost.nano_usd"], ended.cost.nano().to_string());
        assert_eq!(has["overnight.price.window"], *ended.route.window);
        assert!(!has.contains_key("error.type"));
    }

    #[test]
    fn attempts_of_an_item_are_one_trace_and_errors_say_no_more_than_their_code() {
        let job = testing::job("job_aaaaaaaaaa", 9);
        let spans = [testing::rejected(&job, 4, 1), testing::succeeded(&job, 4), testing::succeeded(&job, 5)]
            .map(|ended| Span::of(&ended));
        assert_eq!(spans[0].trace, spans[1].trace);
        assert_ne!(spans[1].trace, spans[2].trace);
        assert_ne!(spans[1].span, spans[2].span);
        let json = spans[0].json();
        assert_eq!(json["status"], json!({ "code": 2, "message": "schema_mismatch" }));
        assert_eq!(attributes(&json)["error.type"], "schema_mismatch");
        assert!(!json.to_string().contains("meh"), "what was answered is not told: {json}");
        assert_eq!((hex(&spans[0].trace).len(), hex(&spans[0].span).len()), (32, 16));
    }
}
