//! Answers in pieces, as far as a trial looks at them: how many pieces, whether the end was said, and
//! what was used.
//!
//! Pure.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::job::Wire;
use crate::money::Usage;
use crate::provider::{conventions, openai};

/// What a stream came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Streamed {
    /// Events that say something.
    pub(super) pieces: usize,
    /// The end was announced.
    pub(super) ended: bool,
    /// The last usage that was stated.
    pub(super) usage: Option<Value>,
}

/// Reads server-sent events; `None` where there are none.
pub(super) fn read(wire: Wire, body: &str) -> Option<Streamed> {
    let mut streamed = Streamed::default();
    let mut any = false;
    for data in body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        any = true;
        if data == "[DONE]" {
            streamed.ended = true;
            continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        match wire {
            Wire::Messages => streamed.note_messages(&event),
            Wire::GenerateContent => streamed.note_contents(&event),
            Wire::Chat | Wire::Responses | Wire::Embeddings => streamed.note_chat(&event),
        }
    }
    any.then_some(streamed)
}

impl Streamed {
    fn note_chat(&mut self, event: &Value) {
        let delta = &event["choices"][0]["delta"];
        let said = ["content", "reasoning_content", "reasoning", "tool_calls"];
        self.pieces += usize::from(said.iter().any(|name| !delta[*name].is_null()));
        self.note_usage(&event["usage"]);
    }

    fn note_messages(&mut self, event: &Value) {
        match event["type"].as_str() {
            Some("message_start") => self.note_usage(&event["message"]["usage"]),
            Some("content_block_delta") => self.pieces += 1,
            // It repeats the counts of the start, or leaves them out.
            Some("message_delta") => self.note_usage(&event["usage"]),
            Some("message_stop") => self.ended = true,
            _ => {}
        }
    }

    fn note_contents(&mut self, event: &Value) {
        self.pieces += usize::from(event["candidates"][0]["content"]["parts"].is_array());
        self.ended |= event["candidates"][0]["finishReason"].is_string();
        self.note_usage(&event["usageMetadata"]);
    }

    /// Later counts go over earlier ones, field by field.
    fn note_usage(&mut self, stated: &Value) {
        let Some(fields) = stated.as_object() else { return };
        let all = self.usage.get_or_insert_with(|| Value::Object(serde_json::Map::new()));
        all.as_object_mut().expect("made above").extend(fields.clone());
    }

    /// The usage in our convention.
    pub(super) fn tokens(&self, wire: Wire) -> Option<Usage> {
        let raw = RawValue::from_string(self.usage.as_ref()?.to_string()).ok()?;
        match wire {
            Wire::Messages => conventions::anthropic(&raw),
            Wire::GenerateContent => conventions::gemini(&raw),
            Wire::Chat | Wire::Responses | Wire::Embeddings => openai::usage(&raw),
        }
    }
}
