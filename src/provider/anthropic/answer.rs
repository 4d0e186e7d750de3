//! A message as a [`Reply`].
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
struct Message<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Blocks of thinking keep their text under another name, so they have none here.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Reads the body of a success.
pub(crate) fn parse(body: &[u8]) -> Result<Reply, NoAnswer> {
    let message: Message<'_> =
        serde_json::from_slice(body).map_err(|error| NoAnswer::Unreadable(error.to_string()))?;
    if message.kind.as_str() == "error" {
        return Err(NoAnswer::Error);
    }
    let content = message.content.ok_or_else(|| NoAnswer::Unreadable("JSON without content".to_owned()))?;
    let mut reply = Reply {
        id: message.id.into_some(),
        model: message.model.into_some(),
        finish: finish(message.stop_reason.as_str()),
        reason: message.stop_reason.into_some(),
        usage: message.usage.and_then(conventions::anthropic),
        ..Reply::default()
    };
    for block in content {
        match block.kind.as_str() {
            "text" => reply.text.push_str(block.text.as_str()),
            "tool_use" => reply.calls.push(Called {
                id: block.id.into_string(),
                name: block.name.into_string(),
                arguments: block.input.map_or("{}", RawValue::get).to_owned(),
            }),
            _ => {}
        }
    }
    Ok(reply)
}

fn finish(reason: &str) -> Finish {
    match reason {
        // A paused turn would go on if it were sent back; as it is, it is not whole.
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Finish::Truncated,
        "refusal" => Finish::Refusal,
        _ => Finish::Complete,
    }
}
