//! A success status as an [`Answer`]: text, whether it is whole, tokens, model.
//!
//! One pass over the body with borrowed text, because this runs for every answer; what is not asked
//! for is skipped unparsed. A success status may still be a refusal (OpenRouter fails after it has
//! said 200), and a body that is no answer is garbage that may have been billed.
//!
//! Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Path, usage};
use crate::attempt::{Answer, Finish, Outcome};
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::provider::refusal;
use crate::provider::response::Response;
use crate::provider::text::{Text, lossy};

/// What a response with a success status means.
pub(super) fn read(response: &Response<'_>, path: Path, quirks: &Quirks, now: Timestamp) -> Outcome {
    match parse(&response.body, path) {
        Ok(parsed) => outcome(response, parsed, quirks, now),
        // Bytes that are no text and halves of surrogates are rare; only then is the body copied.
        Err(first) => match parse(lossy(&response.body).as_bytes(), path) {
            Ok(parsed) => outcome(response, parsed, quirks, now),
            Err(_) => response.garbage(&first),
        },
    }
}

/// What every kind of answer comes down to.
struct Parsed {
    id: Option<String>,
    model: Option<String>,
    text: String,
    finish: Finish,
    finish_reason: Option<String>,
    stated: usage::Stated,
    service_tier: Option<String>,
    /// The body holds an error in place of an answer, or beside a broken-off one.
    failed: bool,
}

fn parse(body: &[u8], path: Path) -> Result<Parsed, String> {
    match path {
        Path::Chat => chat(body),
        Path::Responses => responses(body),
        Path::Embeddings => embeddings(body),
    }
}

fn outcome(response: &Response<'_>, parsed: Parsed, quirks: &Quirks, now: Timestamp) -> Outcome {
    if parsed.failed {
        return refusal::read(response, quirks, now);
    }
    let cost_header = quirks.cost_header.as_deref().and_then(|name| response.header(name));
    let reported_cost = parsed.stated.cost.or_else(|| usage::dollars(cost_header?));
    // No tokens at all is what a server says that does not count, unless it says why: an answer from
    // a response cache is free.
    let counted = reported_cost.is_some() || response.header("x-openrouter-cache-status") == Some("HIT");
    let usage = parsed.stated.usage.filter(|usage| counted || usage.input + usage.output > 0);
    Outcome::Answer(Answer {
        text: parsed.text,
        finish: parsed.finish,
        finish_reason: parsed.finish_reason,
        usage,
        response_model: parsed.model,
        request_id: response.request_id().map(str::to_owned).or(parsed.id),
        reported_cost,
        service_tier: parsed.service_tier,
        http_status: response.status,
        body: response.body.clone(),
    })
}

/// Whether the answer is whole, by the words of the whole family.
fn finish(reason: &str) -> Finish {
    match reason {
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "MAX_TOKENS"
        | "model_length"
        | "model_context_window_exceeded" => Finish::Truncated,
        // Broken off by the server (DeepSeek, Zhipu): paid for, and not whole.
        "insufficient_system_resource" | "network_error" => Finish::Truncated,
        "content_filter" | "sensitive" | "safety" | "SAFETY" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        _ => Finish::Complete,
    }
}

/// Whether an `error` field says anything.
fn is_error(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}"))
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    service_tier: Text<'a>,
    #[serde(default, borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

/// The answer is choice 0; others were asked for by the item and stay in the raw body.
fn chat(body: &[u8]) -> Result<Parsed, String> {
    let chat: Chat<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let first = chat.choices.and_then(|choices| choices.into_iter().next());
    let failed = is_error(chat.error) || first.as_ref().is_some_and(|choice| is_error(choice.error));
    if first.is_none() && !failed {
        return Err("JSON without a choice".to_owned());
    }
    let choice = first.unwrap_or(Choice { message: None, finish_reason: Text::default(), error: None });
    let failed = failed || choice.finish_reason.as_str() == "error";
    let message = choice.message.unwrap_or_default();
    let (text, finish) = match finish(choice.finish_reason.as_str()) {
        Finish::Complete => said(message),
        other => (message.content.into_string(), other),
    };
    Ok(Parsed {
        id: chat.id.into_some(),
        model: chat.model.into_some(),
        text,
        finish,
        finish_reason: choice.finish_reason.into_some(),
        service_tier: chat.service_tier.into_some(),
        stated: chat.usage.map(|raw| usage::read(raw, false)).unwrap_or_default(),
        failed,
    })
}

/// The text of a whole message: what it says, else why it declines, else the tools it calls as JSON.
fn said(message: Message<'_>) -> (String, Finish) {
    if !message.content.as_str().trim_ascii().is_empty() {
        return (message.content.into_string(), Finish::Complete);
    }
    if let Some(refusal) = message.refusal.into_some() {
        return (refusal, Finish::Refusal);
    }
    let calls = message.tool_calls.filter(|calls| calls.get() != "[]").or(message.function_call);
    match calls {
        Some(calls) => (calls.get().to_owned(), Finish::Complete),
        None => (message.content.into_string(), Finish::Empty),
    }
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    service_tier: Text<'a>,
    #[serde(default, borrow)]
    model: Text<'a>,
    #[serde(default, borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Text<'a>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    content: Option<Vec<Piece<'a>>>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
}

fn responses(body: &[u8]) -> Result<Parsed, String> {
    let reply: Responses<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let status = reply.status.as_str();
    let failed = is_error(reply.error) || status == "failed";
    let Some(output) = reply.output.or(failed.then(Vec::new)) else {
        return Err("JSON without output".to_owned());
    };
    if matches!(status, "queued" | "in_progress" | "cancelled") {
        return Err(format!("the response is {status}, not complete"));
    }
    let reason = reply.incomplete_details.map(|details| details.reason).unwrap_or_default();
    let mut said = Said::default();
    for raw in output {
        said.add(raw);
    }
    let (text, whole) = said.finish();
    let finish = match status {
        "incomplete" if finish(reason.as_str()) == Finish::ContentFilter => Finish::ContentFilter,
        "incomplete" => Finish::Truncated,
        _ => whole,
    };
    Ok(Parsed {
        id: reply.id.into_some(),
        model: reply.model.into_some(),
        text,
        finish,
        finish_reason: reason.into_some().or(reply.status.into_some()),
        service_tier: reply.service_tier.into_some(),
        stated: reply.usage.map(|raw| usage::read(raw, false)).unwrap_or_default(),
        failed,
    })
}

/// What the output items of a response add up to.
#[derive(Default)]
struct Said<'a> {
    text: String,
    refusal: String,
    calls: Vec<&'a str>,
}

impl<'a> Said<'a> {
    fn add(&mut self, raw: &'a RawValue) {
        // An item of a shape we do not know says nothing; the raw body keeps it.
        let Ok(item) = serde_json::from_str::<Output<'_>>(raw.get()) else { return };
        match item.kind.as_str() {
            "message" => {
                for piece in item.content.unwrap_or_default() {
                    self.text.push_str(piece.text.as_str());
                    self.refusal.push_str(piece.refusal.as_str());
                }
            }
            kind if kind.ends_with("_call") => self.calls.push(raw.get()),
            _ => {}
        }
    }

    fn finish(self) -> (String, Finish) {
        if !self.text.trim_ascii().is_empty() {
            (self.text, Finish::Complete)
        } else if !self.refusal.is_empty() {
            (self.refusal, Finish::Refusal)
        } else if !self.calls.is_empty() {
            (format!("[{}]", self.calls.join(",")), Finish::Complete)
        } else {
            (self.text, Finish::Empty)
        }
    }
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    data: Option<Vec<Vector<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// One vector is given as itself, several as an array in the order of the inputs.
fn embeddings(body: &[u8]) -> Result<Parsed, String> {
    let reply: Embeddings<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let failed = is_error(reply.error);
    let mut vectors = reply.data.unwrap_or_default();
    vectors.sort_by_key(|vector| vector.index);
    let text = match vectors.as_slice() {
        [] if !failed => return Err("JSON without an embedding".to_owned()),
        [one] => one.embedding.get().to_owned(),
        several => {
            let all: Vec<&str> = several.iter().map(|vector| vector.embedding.get()).collect();
            format!("[{}]", all.join(","))
        }
    };
    Ok(Parsed {
        id: reply.id.into_some(),
        model: reply.model.into_some(),
        text,
        finish: Finish::Complete,
        finish_reason: None,
        service_tier: None,
        stated: reply.usage.map(|raw| usage::read(raw, true)).unwrap_or_default(),
        failed,
    })
}

#[cfg(test)]
mod tests;
