//! What an exchange says about a provider.
//!
//! Pure.

use std::time::Duration;

use serde_json::Value;

use super::stream::{self, Streamed};
use super::{Exchange, Finding, MOST_OUTPUT, Trial, Verdict};
use crate::attempt::{Answer, Finish, Outcome, RefusalKind};
use crate::catalog::Route;
use crate::job::Wire;
use crate::money::Usage;

/// The most fields of one object that are named; nobody reads more.
const MOST_FIELDS: usize = 30;

/// What a trial that was sent in this format found out.
pub(in crate::provider) fn judge(trial: Trial, route: &Route, wire: Wire, exchange: &Exchange) -> Finding {
    let success = exchange.http_status.is_some_and(|status| (200..=299).contains(&status));
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    let streamed = (trial == Trial::Stream && success)
        .then(|| stream::read(wire, &String::from_utf8_lossy(&exchange.body)))
        .flatten();
    let (verdict, words) = match &streamed {
        Some(streamed) => of_stream(streamed),
        None => of_outcome(trial, &exchange.outcome),
    };
    let (usage, stated) = match (&streamed, &exchange.outcome) {
        (Some(streamed), _) => (streamed.tokens(wire), streamed.usage.clone()),
        (None, Outcome::Answer(answer)) => (answer.usage, stated_usage(&body)),
        _ => (None, None),
    };
    let reported = match &exchange.outcome {
        Outcome::Answer(answer) => answer.reported_cost,
        _ => None,
    };
    let cost = reported.or_else(|| Some(route.prices.as_ref()?.cost(&usage?, exchange.sent_at)));
    Finding {
        trial: trial.as_str(),
        model: route.model.to_string(),
        verdict,
        words,
        http_status: exchange.http_status,
        latency_ms: millis(exchange.latency),
        first_byte_ms: exchange.first_byte.map(millis),
        input_tokens: usage.map(|usage| usage.input),
        output_tokens: usage.map(|usage| usage.output),
        cost_usd: cost.map(|cost| cost.as_f64()),
        usage_fields: stated.map(|stated| fields(&stated)).unwrap_or_default(),
        error_fields: if success { Vec::new() } else { fields(&body) },
        understood_as: refusal(&exchange.outcome),
        headers: telling_headers(exchange),
        remaining_requests: exchange.hints.remaining_requests,
        remaining_tokens: exchange.hints.remaining_tokens,
    }
}

fn of_outcome(trial: Trial, outcome: &Outcome) -> (Verdict, String) {
    match (trial, outcome) {
        (Trial::Error, Outcome::Refused(refusal)) if refusal.kind == RefusalKind::ModelGone => {
            (Verdict::Works, format!("a model that is not there: HTTP {}", refusal.http_status))
        }
        (Trial::Error, Outcome::Refused(refusal)) => {
            let taken_for = word(refusal.kind);
            (
                Verdict::Differs,
                format!("a model that is not there is taken for {taken_for}: {}", refusal.message),
            )
        }
        (Trial::Error, Outcome::Answer(_)) => {
            (Verdict::Differs, "answers whatever model is named".to_owned())
        }
        (Trial::Stream, Outcome::Answer(_)) => {
            (Verdict::Differs, "answers whole where pieces are asked for".to_owned())
        }
        (_, Outcome::Answer(answer)) => of_answer(trial, answer),
        (_, Outcome::Refused(refusal)) if refusal.http_status == 0 => {
            (Verdict::Fails, refusal.message.clone())
        }
        (_, Outcome::Refused(refusal)) => {
            (Verdict::Fails, format!("HTTP {}: {}", refusal.http_status, refusal.message))
        }
        (
            _,
            Outcome::NotSent { message }
            | Outcome::Unknown { message, .. }
            | Outcome::Garbage { message, .. },
        ) => (Verdict::Fails, message.clone()),
    }
}

fn of_answer(trial: Trial, answer: &Answer) -> (Verdict, String) {
    let said: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let what = match trial {
        Trial::Json if said.is_object() => "a JSON object".to_owned(),
        Trial::Tools if said[0].is_object() => "calls the tool".to_owned(),
        Trial::Embeddings => match said.as_array() {
            Some(numbers) => format!("{} numbers", numbers.len()),
            None => return (Verdict::Differs, "answers without a vector".to_owned()),
        },
        Trial::Json | Trial::Tools if answer.finish == Finish::Truncated => {
            return (Verdict::Differs, format!("cut off at {MOST_OUTPUT} tokens, before there was any"));
        }
        Trial::Json => return (Verdict::Differs, "answers text that is no JSON object".to_owned()),
        Trial::Tools => return (Verdict::Differs, "answers without calling the tool".to_owned()),
        _ => match answer.finish {
            Finish::Truncated => format!("cut off at {MOST_OUTPUT} tokens"),
            Finish::Empty => return (Verdict::Differs, "an answer with nothing in it".to_owned()),
            _ => "answers".to_owned(),
        },
    };
    counted(what, answer.usage)
}

fn of_stream(streamed: &Streamed) -> (Verdict, String) {
    let pieces = match streamed.pieces {
        0 => return (Verdict::Differs, "events with nothing in them".to_owned()),
        1 => "1 piece".to_owned(),
        n => format!("{n} pieces"),
    };
    match (streamed.ended, &streamed.usage) {
        (false, _) => (Verdict::Differs, format!("{pieces}, and no word of the end")),
        (true, None) => (Verdict::Differs, format!("{pieces}, and nothing of what was used")),
        (true, Some(_)) => (Verdict::Works, pieces),
    }
}

fn counted(what: String, usage: Option<Usage>) -> (Verdict, String) {
    match usage {
        Some(_) => (Verdict::Works, what),
        None => (Verdict::Differs, format!("{what}, but says nothing of what was used")),
    }
}

fn stated_usage(body: &Value) -> Option<Value> {
    ["usage", "usageMetadata"].iter().find_map(|name| body.get(name)).cloned()
}

/// The names of all fields, with dots where they are inside another.
fn fields(value: &Value) -> Vec<String> {
    let mut names = Vec::new();
    collect(value, "", &mut names);
    names.truncate(MOST_FIELDS);
    names
}

fn collect(value: &Value, path: &str, names: &mut Vec<String>) {
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(value, &inside(name), names)),
        Value::Array(items) if !items.is_empty() => collect(&items[0], &format!("{path}[]"), names),
        _ if path.is_empty() => {}
        _ => names.push(path.to_owned()),
    }
}

/// The names of headers that state limits, waits, costs or the request's name.
fn telling_headers(exchange: &Exchange) -> Vec<String> {
    let tells = |name: &str| {
        ["ratelimit", "retry-after", "request-id", "cost"].iter().any(|part| name.contains(part))
    };
    let mut names: Vec<String> =
        exchange.headers.keys().map(|name| name.as_str().to_owned()).filter(|name| tells(name)).collect();
    names.sort();
    names.truncate(MOST_FIELDS);
    names
}

fn refusal(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Refused(refusal) => Some(word(refusal.kind)),
        _ => None,
    }
}

fn word(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::Rate => "rate",
        RefusalKind::Capacity => "capacity",
        RefusalKind::Server => "server",
        RefusalKind::NoCredit => "no_credit",
        RefusalKind::Auth => "auth",
        RefusalKind::ModelGone => "model_gone",
        RefusalKind::TooLong => "too_long",
        RefusalKind::Blocked => "blocked",
        RefusalKind::Invalid => "invalid",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
