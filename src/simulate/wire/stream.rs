//! Answers in pieces, as server-sent events, in the format of the family.
//!
//! They leave at once: what is tried with them is how they are read, not how fast they come.
//!
//! Pure.

use serde_json::{Value, json};

use super::{Stamp, put};
use crate::attempt::Finish;
use crate::job::Wire;
use crate::money::Usage;
use crate::provider::simulated::{Answer, Content};

/// Characters in a piece.
const PIECE: usize = 24;

/// All events of an answer.
pub(in crate::simulate) fn stream(wire: Wire, stamp: Stamp, answer: &Answer) -> Vec<u8> {
    let text = match &answer.content {
        Content::Text(text) => text.as_str(),
        Content::Vectors(_) => "",
    };
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters.chunks(PIECE).map(|piece| piece.iter().collect()).collect();
    match wire {
        Wire::Messages => messages(stamp, answer, &pieces),
        Wire::GenerateContent => contents(stamp, answer, &pieces),
        Wire::Chat | Wire::Responses | Wire::Embeddings => chat(stamp, answer, &pieces),
    }
}

fn chat(stamp: Stamp, answer: &Answer, pieces: &[String]) -> Vec<u8> {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": format!("chatcmpl-sim-{:x}", stamp.number), "object": "chat.completion.chunk",
            "created": stamp.created, "model": &*answer.model, "choices": choices, "usage": usage
        })
    };
    let choice = |delta: Value, reason: Value| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let mut out = Vec::new();
    for piece in pieces {
        event(&mut out, None, &chunk(choice(json!({"content": piece}), Value::Null), Value::Null));
    }
    let reason = if answer.finish == Finish::Truncated { "length" } else { "stop" };
    event(&mut out, None, &chunk(choice(json!({}), json!(reason)), Value::Null));
    if let Some(Usage { input, output, cache_read, reasoning, .. }) = answer.usage {
        let usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cache_read},
            "completion_tokens_details": {"reasoning_tokens": reasoning}
        });
        event(&mut out, None, &chunk(json!([]), usage));
    }
    put(&mut out, format_args!("data: [DONE]\n\n"));
    out
}

fn messages(stamp: Stamp, answer: &Answer, pieces: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut say = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        event(&mut out, Some(kind), &data);
    };
    let usage = answer.usage.unwrap_or_default();
    let apart = usage.input.saturating_sub(usage.cache_read + usage.cache_write);
    let start = json!({
        "id": format!("msg_sim_{:x}", stamp.number), "type": "message", "role": "assistant",
        "model": &*answer.model, "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": apart, "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write, "output_tokens": 1
        }
    });
    say("message_start", json!({"message": start}));
    say("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}}));
    for piece in pieces {
        say("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": piece}}));
    }
    say("content_block_stop", json!({"index": 0}));
    let reason = if answer.finish == Finish::Truncated { "max_tokens" } else { "end_turn" };
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    say("message_delta", json!({"delta": delta, "usage": {"output_tokens": usage.output}}));
    say("message_stop", json!({}));
    out
}

fn contents(stamp: Stamp, answer: &Answer, pieces: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let mut chunk = json!({
            "candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}],
            "modelVersion": &*answer.model, "responseId": format!("sim-{:x}", stamp.number)
        });
        if i + 1 == pieces.len() {
            let reason = if answer.finish == Finish::Truncated { "MAX_TOKENS" } else { "STOP" };
            chunk["candidates"][0]["finishReason"] = json!(reason);
            if let Some(Usage { input, output, cache_read, reasoning, .. }) = answer.usage {
                chunk["usageMetadata"] = json!({
                    "promptTokenCount": input, "cachedContentTokenCount": cache_read,
                    "candidatesTokenCount": output.saturating_sub(reasoning),
                    "thoughtsTokenCount": reasoning, "totalTokenCount": input + output
                });
            }
        }
        event(&mut out, None, &chunk);
    }
    out
}

fn event(out: &mut Vec<u8>, name: Option<&str>, data: &Value) {
    if let Some(name) = name {
        put(out, format_args!("event: {name}\n"));
    }
    put(out, format_args!("data: {data}\n\n"));
}
