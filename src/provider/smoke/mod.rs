//! Trials of a provider: one tiny request for each thing that "OpenAI-compatible" may or may not mean
//! there, and what came of it.
//!
//! A [`Trial`] gives the item that is sent, through the same mappings as any other, and the most it may
//! cost; an `Exchange` of it, whole, becomes a [`Finding`]. Sending is [`super::http`]'s.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use crate::attempt::{Outcome, RateHints};
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{Body, Item, Needs, Wire};
use crate::money::Usd;

mod judge;
mod stream;

pub(super) use judge::judge;

/// One thing that is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A plain question.
    Chat,
    /// An answer in JSON.
    Json,
    /// A call of a tool.
    Tools,
    /// An answer in pieces.
    Stream,
    /// Vectors.
    Embeddings,
    /// A refusal: of a model that nobody has.
    Error,
}

/// Output tokens a trial allows; a model that thinks first may need them all for that.
const MOST_OUTPUT: u32 = 64;

/// A model that nobody has.
const NO_MODEL: &str = "overnight-no-such-model";

impl Trial {
    /// All of them, in the order in which they are made.
    pub const ALL: [Trial; 6] =
        [Trial::Chat, Trial::Json, Trial::Tools, Trial::Stream, Trial::Embeddings, Trial::Error];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Trial::Chat => "chat",
            Trial::Json => "json",
            Trial::Tools => "tools",
            Trial::Stream => "stream",
            Trial::Embeddings => "embeddings",
            Trial::Error => "error",
        }
    }

    /// What is sent on a route, before it is put into the route's words.
    pub fn item(self, route: &Route) -> Item {
        let ask = |prompt: &str, more: Value| {
            let mut body = json!({
                "messages": [{"role": "user", "content": prompt}], "max_completion_tokens": MOST_OUTPUT
            });
            let fields = body.as_object_mut().expect("written right above");
            fields.extend(more.as_object().cloned().unwrap_or_default());
            body
        };
        let body = match self {
            Trial::Chat | Trial::Stream | Trial::Error => {
                ask("Is water wet? Answer with one of: yes, no", json!({}))
            }
            Trial::Json => {
                ask("Give {\"wet\": true} as JSON.", json!({"response_format": json_format(route)}))
            }
            Trial::Tools => ask(
                "What is the weather in Rome?",
                json!({"tools": [{"type": "function", "function": {
                    "name": "weather", "description": "the weather of a city",
                    "parameters": object("city", "string"),
                }}], "tool_choice": "required"}),
            ),
            Trial::Embeddings => json!({"input": ["water"]}),
        };
        let embeds = self == Trial::Embeddings;
        Item {
            index: 0,
            custom_id: self.as_str().into(),
            class: 0,
            wire: if embeds { Wire::Embeddings } else { Wire::Chat },
            body: Body { json: body.to_string().into(), model_at: None },
            input_tokens: 0,
            max_output: (!embeds).then_some(MOST_OUTPUT),
            choices: 1,
            needs: Needs::default(),
            options: None,
        }
    }

    /// The route it is sent on.
    pub(super) fn route(self, route: &Arc<Route>) -> Arc<Route> {
        match self {
            Trial::Error => Arc::new(Route { model: NO_MODEL.into(), ..Route::clone(route) }),
            _ => route.clone(),
        }
    }

    /// The most it may cost on a route; `None` where its price is unknown.
    pub fn most_cost(self, route: &Route) -> Option<Usd> {
        if self == Trial::Error {
            return Some(Usd::ZERO);
        }
        let item = self.item(route);
        let prices = route.prices.as_ref()?;
        Some(prices.worst_case(item.most_input_tokens(), item.max_output.map_or(0, u64::from)))
    }
}

/// Any object where the format has a word for that, as most have; Messages needs to know which.
fn json_format(route: &Route) -> Value {
    match route.wires.contains(&Wire::Messages) {
        true => {
            json!({"type": "json_schema", "json_schema": {"name": "wet", "schema": object("wet", "boolean")}})
        }
        false => json!({"type": "json_object"}),
    }
}

fn object(field: &str, kind: &str) -> Value {
    json!({
        "type": "object", "properties": {field: {"type": kind}}, "required": [field],
        "additionalProperties": false
    })
}

/// A request that was sent, and everything that came back.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// What it means.
    pub(super) outcome: Outcome,
    /// When it was sent.
    pub(super) sent_at: Timestamp,
    /// Limits stated.
    pub(super) hints: RateHints,
    /// The response's headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
    /// Its status line.
    pub(super) http_status: Option<u16>,
    /// Until it was whole.
    pub(super) latency: Duration,
    /// Until the first piece of the body.
    pub(super) first_byte: Option<Duration>,
}

/// How a trial went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should.
    Works,
    /// It can be used, but not as usual.
    Differs,
    /// It cannot be used.
    Fails,
}

/// What was found out by a trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was tried: `chat`, `json`, `tools`, `stream`, `embeddings`, `error`.
    pub trial: &'static str,
    /// The model that was asked.
    pub model: String,
    /// How it went.
    pub verdict: Verdict,
    /// In words.
    pub words: String,
    /// The status line.
    pub http_status: Option<u16>,
    /// Until the response was whole.
    pub latency_ms: u64,
    /// Until its first piece.
    pub first_byte_ms: Option<u64>,
    /// Tokens in, as stated.
    pub input_tokens: Option<u64>,
    /// Tokens out, as stated.
    pub output_tokens: Option<u64>,
    /// What it cost, by the provider's own word or by our prices.
    pub cost_usd: Option<f64>,
    /// The fields in which usage is stated.
    pub usage_fields: Vec<String>,
    /// The fields of a refusal.
    pub error_fields: Vec<String>,
    /// What a refusal is taken for.
    pub understood_as: Option<&'static str>,
    /// Headers that state limits, waits or costs.
    pub headers: Vec<String>,
    /// Requests left, as stated.
    pub remaining_requests: Option<u64>,
    /// Tokens left, as stated.
    pub remaining_tokens: Option<u64>,
}

/// What trials took of the limits that were stated: of requests, and of tokens.
pub fn burned(findings: &[Finding]) -> (Option<u64>, Option<u64>) {
    let between = |left: fn(&Finding) -> Option<u64>| {
        let mut stated = findings.iter().filter_map(left);
        let first = stated.next()?;
        // Limits fill up again meanwhile, so that more may be left at the end.
        Some(first.saturating_sub(stated.next_back()?))
    };
    (between(|finding| finding.remaining_requests), between(|finding| finding.remaining_tokens))
}

#[cfg(test)]
mod tests;
