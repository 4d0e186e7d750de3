//! An answer in no family's words: every family's is read into a [`Reply`], and [`reply`] writes it
//! as another family would have given it.
//!
//! Pure.

use serde_json::Value;

use super::json::{Object, list, quoted};
use crate::attempt::{Answer, Finish};
use crate::job::Wire;
use crate::money::Usage;
use crate::provider::response::Response;
use crate::provider::{anthropic, gemini, openai};

/// A complete answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The provider's name for it.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// What it says.
    pub text: String,
    /// The tools it calls.
    pub calls: Vec<Called>,
    /// Whether it is whole.
    pub finish: Finish,
    /// The provider's word for that.
    pub reason: Option<String>,
    /// Tokens as reported.
    pub usage: Option<Usage>,
}

/// A tool that an answer calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Called {
    /// Names the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// A JSON object.
    pub arguments: String,
}

impl Reply {
    /// The answer as attempts keep it; where it has no words, the tools it calls stand for them.
    pub fn into_answer(self, response: &Response<'_>) -> Answer {
        let is_silent = self.text.trim_ascii().is_empty();
        let finish = match self.finish {
            Finish::Complete if is_silent && self.calls.is_empty() => Finish::Empty,
            finish => finish,
        };
        let text = if is_silent && !self.calls.is_empty() { calls(&self.calls) } else { self.text };
        Answer {
            text,
            finish,
            finish_reason: self.reason,
            // No tokens at all is what a server says that does not count.
            usage: self.usage.filter(|usage| usage.input + usage.output > 0),
            response_model: self.model,
            request_id: response.request_id().map(str::to_owned).or(self.id),
            reported_cost: None,
            service_tier: None,
            http_status: response.status,
            body: response.body.clone(),
        }
    }

    /// Reads a body by the marks of the formats.
    fn read(body: &str) -> Option<(Wire, Reply)> {
        let value: Value = serde_json::from_str(body).ok()?;
        let has = |name: &str| value.get(name).is_some();
        if value["type"] == "message" {
            Some((Wire::Messages, anthropic::parse(body.as_bytes()).ok()?))
        } else if value["object"] == "response" {
            Some((Wire::Responses, response(&value)))
        } else if has("choices") {
            Some((Wire::Chat, completion(&value)))
        } else if has("candidates") || has("promptFeedback") {
            Some((Wire::GenerateContent, gemini::parse(body.as_bytes()).ok()?))
        } else {
            None
        }
    }

    fn usage(&self) -> Usage {
        self.usage.unwrap_or_default()
    }
}

/// An answer's body as it would be in the format `wire`; `None` where it is in it already, or is none
/// that can be read.
pub fn reply(body: &str, wire: Wire) -> Option<String> {
    if wire == Wire::Embeddings {
        return gemini::embed::as_embeddings(body);
    }
    let (own, reply) = Reply::read(body)?;
    match wire {
        _ if wire == own => None,
        Wire::Chat => Some(as_completion(&reply)),
        Wire::Responses => Some(as_response(&reply)),
        Wire::Messages => Some(as_message(&reply)),
        Wire::GenerateContent => Some(as_content(&reply)),
        Wire::Embeddings => None,
    }
}

/// Calls as chat completions have them.
fn calls(calls: &[Called]) -> String {
    list(calls.iter().map(|call| {
        let function = Object::new().with_text("name", &call.name).with_text("arguments", &call.arguments);
        let call = Object::new().with_text("id", &call.id).with_text("type", "function");
        call.with("function", &function.end()).end()
    }))
}

fn completion(value: &Value) -> Reply {
    let choice = &value["choices"][0];
    let message = &choice["message"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let refusal = message["refusal"].as_str();
    let reason = text(&choice["finish_reason"]);
    let finish = match reason.as_str() {
        "length" => Finish::Truncated,
        "content_filter" => Finish::ContentFilter,
        _ if refusal.is_some() => Finish::Refusal,
        _ => Finish::Complete,
    };
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| Called {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    });
    Reply {
        id: value["id"].as_str().map(str::to_owned),
        model: value["model"].as_str().map(str::to_owned),
        text: refusal.map_or_else(|| text(&message["content"]), str::to_owned),
        calls: calls.collect(),
        finish,
        reason: Some(reason),
        usage: usage(value),
    }
}

fn response(value: &Value) -> Reply {
    let mut reply = Reply {
        id: value["id"].as_str().map(str::to_owned),
        model: value["model"].as_str().map(str::to_owned),
        usage: usage(value),
        finish: match value["incomplete_details"]["reason"].as_str() {
            Some("content_filter") => Finish::ContentFilter,
            Some(_) => Finish::Truncated,
            None => Finish::Complete,
        },
        ..Reply::default()
    };
    for item in value["output"].as_array().into_iter().flatten() {
        for part in item["content"].as_array().into_iter().flatten() {
            reply.text.push_str(part["text"].as_str().unwrap_or_default());
            if let Some(refusal) = part["refusal"].as_str() {
                reply.text.push_str(refusal);
                reply.finish = Finish::Refusal;
            }
        }
        if item["type"] == "function_call" {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            reply.calls.push(Called {
                id: text("call_id"),
                name: text("name"),
                arguments: text("arguments"),
            });
        }
    }
    reply
}

fn usage(value: &Value) -> Option<Usage> {
    let raw = serde_json::value::to_raw_value(value.get("usage")?).ok()?;
    openai::usage(&raw)
}

fn as_completion(reply: &Reply) -> String {
    let reason = match reply.finish {
        Finish::Truncated => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Complete if !reply.calls.is_empty() => "tool_calls",
        Finish::Complete | Finish::Refusal | Finish::Empty => "stop",
    };
    let declined = reply.finish == Finish::Refusal;
    let text = if reply.text.is_empty() { "null".to_owned() } else { quoted(&reply.text) };
    let (content, refusal) = if declined { ("null", text.as_str()) } else { (text.as_str(), "null") };
    let message = Object::new()
        .with_text("role", "assistant")
        .with("content", content)
        .with("refusal", refusal)
        .with_some("tool_calls", (!reply.calls.is_empty()).then(|| calls(&reply.calls)));
    let choice = Object::new().with("index", "0").with("message", &message.end()).with("logprobs", "null");
    let Usage { input, output, cache_read, reasoning, .. } = reply.usage();
    let usage = Object::new()
        .with("prompt_tokens", &input.to_string())
        .with("completion_tokens", &output.to_string())
        .with("total_tokens", &(input + output).to_string())
        .with("prompt_tokens_details", &format!("{{\"cached_tokens\":{cache_read}}}"))
        .with("completion_tokens_details", &format!("{{\"reasoning_tokens\":{reasoning}}}"));
    head(reply, "id")
        .with_text("object", "chat.completion")
        .with("created", "0")
        .with_text("model", reply.model.as_deref().unwrap_or_default())
        .with("choices", &list([choice.with_text("finish_reason", reason).end()]))
        .with_some("usage", reply.usage.map(|_| usage.end()))
        .end()
}

fn as_response(reply: &Reply) -> String {
    let cut = match reply.finish {
        Finish::Truncated => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        Finish::Complete | Finish::Refusal | Finish::Empty => None,
    };
    let status = if cut.is_some() { "incomplete" } else { "completed" };
    let part = match reply.finish {
        Finish::Refusal => Object::new().with_text("type", "refusal").with_text("refusal", &reply.text),
        _ => Object::new()
            .with_text("type", "output_text")
            .with_text("text", &reply.text)
            .with("annotations", "[]"),
    };
    let message =
        Object::new().with_text("type", "message").with_text("id", "msg_0").with_text("status", status);
    let message = message.with_text("role", "assistant").with("content", &list([part.end()])).end();
    let calls = reply.calls.iter().map(|call| {
        let head = Object::new().with_text("type", "function_call").with_text("call_id", &call.id);
        head.with_text("name", &call.name).with_text("arguments", &call.arguments).end()
    });
    let message = (!reply.text.is_empty()).then_some(message);
    let Usage { input, output, cache_read, reasoning, .. } = reply.usage();
    let usage = Object::new()
        .with("input_tokens", &input.to_string())
        .with("input_tokens_details", &format!("{{\"cached_tokens\":{cache_read}}}"))
        .with("output_tokens", &output.to_string())
        .with("output_tokens_details", &format!("{{\"reasoning_tokens\":{reasoning}}}"))
        .with("total_tokens", &(input + output).to_string());
    head(reply, "id")
        .with_text("object", "response")
        .with("created_at", "0")
        .with_text("status", status)
        .with("error", "null")
        .with(
            "incomplete_details",
            &cut.map_or("null".into(), |why| Object::new().with_text("reason", why).end()),
        )
        .with_text("model", reply.model.as_deref().unwrap_or_default())
        .with("output", &list(message.into_iter().chain(calls)))
        .with_some("usage", reply.usage.map(|_| usage.end()))
        .end()
}

fn as_message(reply: &Reply) -> String {
    let reason = match reply.finish {
        Finish::Truncated => "max_tokens",
        Finish::Refusal | Finish::ContentFilter => "refusal",
        Finish::Complete if !reply.calls.is_empty() => "tool_use",
        Finish::Complete | Finish::Empty => "end_turn",
    };
    let text = Object::new().with_text("type", "text").with_text("text", &reply.text).end();
    let calls = reply.calls.iter().map(|call| {
        let head = Object::new().with_text("type", "tool_use").with_text("id", &call.id);
        head.with_text("name", &call.name).with("input", &call.arguments).end()
    });
    let text = (!reply.text.is_empty()).then_some(text);
    let Usage { input, output, cache_read, cache_write, .. } = reply.usage();
    let usage = Object::new()
        .with("input_tokens", &input.saturating_sub(cache_read + cache_write).to_string())
        .with("cache_creation_input_tokens", &cache_write.to_string())
        .with("cache_read_input_tokens", &cache_read.to_string())
        .with("output_tokens", &output.to_string());
    head(reply, "id")
        .with_text("type", "message")
        .with_text("role", "assistant")
        .with_text("model", reply.model.as_deref().unwrap_or_default())
        .with("content", &list(text.into_iter().chain(calls)))
        .with_text("stop_reason", reason)
        .with("stop_sequence", "null")
        .with_some("usage", reply.usage.map(|_| usage.end()))
        .end()
}

fn as_content(reply: &Reply) -> String {
    let reason = match reply.finish {
        Finish::Truncated => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Complete | Finish::Empty => "STOP",
    };
    let text = (!reply.text.is_empty()).then(|| Object::new().with_text("text", &reply.text).end());
    let calls = reply.calls.iter().map(|call| {
        let call = Object::new().with_text("name", &call.name).with("args", &call.arguments).end();
        Object::new().with("functionCall", &call).end()
    });
    let content =
        Object::new().with("parts", &list(text.into_iter().chain(calls))).with_text("role", "model");
    let candidate = Object::new().with("content", &content.end()).with_text("finishReason", reason);
    let Usage { input, output, cache_read, reasoning, .. } = reply.usage();
    let usage = Object::new()
        .with("promptTokenCount", &input.to_string())
        .with("cachedContentTokenCount", &cache_read.to_string())
        .with("candidatesTokenCount", &output.saturating_sub(reasoning).to_string())
        .with("thoughtsTokenCount", &reasoning.to_string())
        .with("totalTokenCount", &(input + output).to_string());
    Object::new()
        .with("candidates", &list([candidate.with("index", "0").end()]))
        .with_some("usageMetadata", reply.usage.map(|_| usage.end()))
        .with_text("modelVersion", reply.model.as_deref().unwrap_or_default())
        .with_some("responseId", reply.id.as_deref().map(quoted))
        .end()
}

fn head(reply: &Reply, name: &str) -> Object {
    Object::new().with_text(name, reply.id.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: [Wire; 4] = [Wire::Chat, Wire::Responses, Wire::Messages, Wire::GenerateContent];

    fn chat(message: &Value, reason: &str) -> String {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 0}}
        })
        .to_string()
    }

    #[test]
    fn an_answer_is_the_same_after_a_walk_through_every_format() {
        let call =
            json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
        for (body, finish) in [
            (chat(&json!({"role": "assistant", "content": "hi \u{1f600}"}), "stop"), Finish::Complete),
            (chat(&json!({"role": "assistant", "content": "cut o"}), "length"), Finish::Truncated),
            (
                chat(&json!({"role": "assistant", "content": null, "tool_calls": call}), "tool_calls"),
                Finish::Complete,
            ),
        ] {
            let first = Reply::read(&body).unwrap().1;
            assert_eq!(first.finish, finish);
            for wire in ALL {
                let there = reply(&body, wire).unwrap_or_else(|| body.clone());
                let (own, read) = Reply::read(&there).unwrap();
                assert_eq!(own, wire);
                assert_eq!(
                    (&read.text, read.finish, read.usage),
                    (&first.text, finish, first.usage),
                    "{there}"
                );
                assert_eq!(read.calls.len(), first.calls.len());
                for (mut there, here) in read.calls.into_iter().zip(&first.calls) {
                    // generateContent has no ids.
                    there.id.clone_from(&here.id);
                    assert_eq!(there, *here, "{wire:?}");
                }
                if wire != Wire::Chat {
                    assert_eq!(Reply::read(&reply(&there, Wire::Chat).unwrap()).unwrap().1.text, first.text);
                }
            }
        }
    }

    #[test]
    fn what_is_in_the_format_already_or_in_none_stays_as_it_is() {
        let body = chat(&json!({"content": "hi"}), "stop");
        assert_eq!(reply(&body, Wire::Chat), None);
        for body in ["", "{}", "<html>", r#"{"data":[]}"#] {
            assert_eq!(reply(body, Wire::Messages), None);
        }
        assert_eq!(reply(&body, Wire::Embeddings), None);
    }
}
