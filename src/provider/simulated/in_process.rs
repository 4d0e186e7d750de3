//! The simulated provider without a wire: an engine's call in, the ending of its attempt out.
//!
//! Here the simulator plays both ends: what a provider does and what a careful client makes of it,
//! so that a night on virtual time costs microseconds a request.
//!
//! Pure.

use std::cmp::Reverse;
use std::time::Duration;

use bytes::Bytes;

use super::chance::hash;
use super::{Act, Answer, Asked, ClientId, Prompt, Refusal, Request, Simulated, Wanted, body};
use crate::attempt::{self, Ending, ErrorCode, Finish, Outcome};
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::engine::Call;
use crate::job::{Item, Wire};
use crate::plan::route::FLEX;
use crate::provider::translate;

impl Simulated {
    /// Serves a call that is sent now: how long it takes, and how it ends.
    ///
    /// The account is the key that pays, and the model is known by the route's name or by its own.
    /// Calls must come in order of time; each is over by itself once its duration has passed.
    pub fn outcome(&mut self, now: Timestamp, call: &Call) -> (Duration, Ending) {
        self.end_what_is_due(now);
        let (item, route) = (&*call.item, &call.route);
        let provider_and_model = route.name.split(' ').next().unwrap_or_default();
        let known = self.by_name.contains_key(provider_and_model);
        let sent = if self.config.plain_answers { None } else { as_sent(call) };
        let asked = sent.as_ref().and_then(|(wire, body)| read_body(*wire, body, call));
        let choices = item.choices.max(1);
        let request = Request {
            client_id: Some(ClientId::Attempt(call.attempt)),
            key: &route.account,
            model: if known { provider_and_model } else { &route.model },
            wire: sent.as_ref().map_or(item.wire, |(wire, _)| *wire),
            prompt: asked.as_ref().map_or_else(|| prompt(item), |asked| asked.prompt),
            max_output: item.max_output.map(|over_all| u64::from(over_all.div_ceil(u32::from(choices)))),
            choices,
            wanted: asked.map_or(Wanted::Plain, |asked| asked.wanted),
            flex: &*route.lane == FLEX,
        };
        let reply = self.request(now, &request);
        let patience = self.config.client_timeout;
        let (latency, outcome) = match reply.act {
            Act::Hang => (patience, timeout(patience)),
            _ if reply.latency > patience => (patience, timeout(patience)),
            act => (reply.latency, outcome(act, reply.ticket.number, &route.model)),
        };
        self.in_flight.push(Reverse((now + latency, reply.ticket)));
        (latency, Ending { outcome, hints: reply.hints, sent_at: now })
    }

    fn end_what_is_due(&mut self, now: Timestamp) {
        while self.in_flight.peek().is_some_and(|Reverse((end, _))| *end <= now) {
            if let Some(Reverse((end, ticket))) = self.in_flight.pop() {
                self.finish(end, ticket);
            }
        }
    }
}

/// A request in the format of its route, as it would leave; `None` where it cannot be written in that.
pub(super) fn as_sent(call: &Call) -> Option<(Wire, Bytes)> {
    let Call { item, route, .. } = call;
    let wire = translate::target(item.wire, &route.wires)?;
    if wire == item.wire {
        return Some((wire, item.body.json.clone()));
    }
    let body = translate::request(item, wire, &route.model, route.max_output, &Quirks::default());
    body.ok().map(|body| (wire, body))
}

/// What such a request asks; its model stands in its body or in its address.
pub(super) fn read_body<'a>(wire: Wire, body: &'a [u8], call: &'a Call) -> Option<Asked<'a>> {
    body::read_for(wire, body, Some(&call.route.model)).ok()
}

/// The body around the model's name, and a token count that is near the item's estimate but not it.
pub(super) fn prompt(item: &Item) -> Prompt {
    let json = &item.body.json;
    let (start, end) = item.body.model_at.map_or((0, 0), |(start, end)| (start as usize, end as usize));
    let hash = hash(&json[..start]).rotate_left(7) ^ hash(&json[end..]);
    let percent = 90 + hash % 21;
    let input_tokens = (u64::from(item.input_tokens) * percent).div_ceil(100).min(item.most_input_tokens());
    Prompt { hash, input_tokens, kept: None }
}

pub(super) fn outcome(act: Act, number: u64, model: &str) -> Outcome {
    match act {
        Act::Answer(answer) => Outcome::Answer(read(answer, number, model)),
        Act::CutBody(_) => lost("the connection closed before the body was complete", Some(200)),
        Act::Reset | Act::Hang => lost("connection reset by peer", None),
        Act::Garbage => garbage("not JSON", super::GARBAGE),
        Act::Html => garbage("an HTML page", super::HTML),
        Act::Refuse(refusal) => Outcome::Refused(refused(refusal, number)),
    }
}

fn read(answer: Answer, number: u64, model: &str) -> attempt::Answer {
    let reason = match answer.finish {
        Finish::Truncated => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Complete | Finish::Refusal | Finish::Empty => "stop",
    };
    // The name the route goes by, unless the answer is from someone else.
    let own_name = answer.model.ends_with(model);
    let text = answer.content.into_text();
    attempt::Answer {
        body: match &*text {
            "pass" => Bytes::from_static(b"pass"),
            "fail" => Bytes::from_static(b"fail"),
            text => Bytes::copy_from_slice(text.as_bytes()),
        },
        text,
        finish: answer.finish,
        finish_reason: Some(reason.to_owned()),
        usage: answer.usage,
        response_model: Some(if own_name { model.to_owned() } else { answer.model.to_string() }),
        request_id: Some(format!("sim-{number:x}")),
        reported_cost: None,
        service_tier: answer.tier.map(str::to_owned),
        http_status: 200,
    }
}

fn refused(refusal: Refusal, number: u64) -> attempt::Refusal {
    attempt::Refusal {
        kind: refusal.kind,
        http_status: refusal.status,
        message: refusal.message,
        retry_after: refusal.retry_after,
        request_id: Some(format!("sim-{number:x}")),
        body: Bytes::new(),
    }
}

fn garbage(message: &str, body: &'static str) -> Outcome {
    Outcome::Garbage {
        message: message.to_owned(),
        http_status: 200,
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn lost(message: &str, http_status: Option<u16>) -> Outcome {
    Outcome::Unknown { message: message.to_owned(), code: ErrorCode::Network, http_status }
}

fn timeout(patience: Duration) -> Outcome {
    let message = format!("no response within {} s", patience.as_secs());
    Outcome::Unknown { message, code: ErrorCode::Timeout, http_status: None }
}
