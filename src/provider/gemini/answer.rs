//! A generateContent response as a [`Reply`].
//!
//! A prompt that is blocked comes back as a success without candidates.
//!
//! Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::attempt::Finish;
use crate::provider::conventions;
use crate::provider::text::Text;
use crate::provider::translate::reply::{Called, Reply};

/// Why a body is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NoAnswer {
    /// It is an error.
    Error,
    /// It cannot be read.
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model_version: Text<'a>,
    #[serde(default, borrow)]
    response_id: Text<'a>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(default, borrow)]
    block_reason: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    thought: Option<bool>,
    #[serde(borrow)]
    function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

/// Reads the body of a success. The answer is the first candidate; others were asked for by the item
/// and stay in the raw body.
pub(crate) fn parse(body: &[u8]) -> Result<Reply, NoAnswer> {
    let generated: Generated<'_> =
        serde_json::from_slice(body).map_err(|error| NoAnswer::Unreadable(error.to_string()))?;
    if generated.error.is_some() {
        return Err(NoAnswer::Error);
    }
    let blocked = generated.prompt_feedback.and_then(|feedback| feedback.block_reason.into_some());
    let first = generated.candidates.map(|candidates| candidates.into_iter().next());
    let mut reply = match (first, blocked) {
        (_, Some(reason)) => {
            Reply { finish: Finish::ContentFilter, reason: Some(reason), ..Reply::default() }
        }
        (Some(Some(candidate)), None) => said(candidate),
        (Some(None), None) => Reply { finish: Finish::Empty, ..Reply::default() },
        (None, None) if generated.usage_metadata.is_some() => {
            Reply { finish: Finish::Empty, ..Reply::default() }
        }
        (None, None) => return Err(NoAnswer::Unreadable("JSON without candidates".to_owned())),
    };
    reply.id = generated.response_id.into_some();
    reply.model = generated.model_version.into_some();
    reply.usage = generated.usage_metadata.and_then(conventions::gemini);
    Ok(reply)
}

fn said(candidate: Candidate<'_>) -> Reply {
    let mut reply = Reply {
        finish: finish(candidate.finish_reason.as_str()),
        reason: candidate.finish_reason.into_some(),
        ..Reply::default()
    };
    let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
    for part in parts.into_iter().filter(|part| part.thought != Some(true)) {
        reply.text.push_str(part.text.as_str());
        if let Some(call) = part.function_call {
            let number = reply.calls.len();
            reply.calls.push(Called {
                id: call.id.into_some().unwrap_or_else(|| format!("call_{number}")),
                name: call.name.into_string(),
                arguments: call.args.map_or("{}", RawValue::get).to_owned(),
            });
        }
    }
    reply
}

fn finish(reason: &str) -> Finish {
    match reason {
        "" | "STOP" | "FINISH_REASON_UNSPECIFIED" => Finish::Complete,
        "MAX_TOKENS" => Finish::Truncated,
        // A call that cannot be made is nothing.
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "NO_IMAGE" => {
            Finish::Empty
        }
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => {
            Finish::ContentFilter
        }
        reason if reason.starts_with("IMAGE_") => Finish::ContentFilter,
        // Whatever else made it stop, it was not done.
        _ => Finish::Truncated,
    }
}
