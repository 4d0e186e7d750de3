//! Requests in other formats as chat completions, so that every prompt can go to every provider.
//!
//! Takes what both formats can say: text, system prompt, several turns, images, sampling, stop words,
//! the output limit and JSON schemas. What would change the meaning by being dropped is refused by
//! name; [`can`] asks before anything is queued. Values are carried over as the bytes they were
//! written in.
//!
//! Pure.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalog::endpoint::Quirks;
use crate::job::{Item, Wire};

mod gemini;
mod messages;

/// Whether the item can be sent to a provider of the OpenAI family; if not, which part of it cannot.
pub fn can(item: &Item) -> Result<(), String> {
    match item.wire {
        Wire::Chat | Wire::Responses | Wire::Embeddings => Ok(()),
        Wire::Messages | Wire::GenerateContent => chat(item).map(|_| ()),
    }
}

/// The body of the chat completion that asks `model` what the item asks.
pub fn to_chat(item: &Item, model: &str, quirks: &Quirks) -> Result<Bytes, String> {
    let mut chat = chat(item)?;
    chat.model = model;
    if quirks.old_max_tokens {
        chat.max_tokens = chat.max_completion_tokens.take();
    }
    let body = serde_json::to_vec(&chat).map_err(|error| error.to_string())?;
    Ok(body.into())
}

fn chat(item: &Item) -> Result<Chat<'_>, String> {
    match item.wire {
        Wire::Messages => messages::read(&item.body.json),
        Wire::GenerateContent => gemini::read(&item.body.json),
        Wire::Chat | Wire::Responses | Wire::Embeddings => Err("is not in a format to translate".to_owned()),
    }
}

/// A chat completion request, as far as other formats have the same.
#[derive(Debug, Default, Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
}

/// One text is sent as a plain string, which every server takes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a RawValue),
    Parts(Vec<Part<'a>>),
}

impl<'a> Content<'a> {
    fn of(mut parts: Vec<Part<'a>>) -> Content<'a> {
        match parts.as_slice() {
            [Part::Text { text }] => Content::Text(text),
            _ => Content::Parts(std::mem::take(&mut parts)),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a RawValue },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Debug, Serialize)]
struct ImageUrl {
    url: String,
}

impl<'a> Part<'a> {
    fn image(url: String) -> Part<'a> {
        Part::ImageUrl { image_url: ImageUrl { url } }
    }

    fn inline_image(mime: &str, base64: &str) -> Result<Part<'a>, String> {
        if mime.starts_with("image/") {
            Ok(Part::image(format!("data:{mime};base64,{base64}")))
        } else {
            Err(format!("{mime} data cannot be sent to this kind of provider"))
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    JsonObject,
    JsonSchema { json_schema: Schema },
}

#[derive(Debug, Serialize)]
struct Schema {
    name: &'static str,
    schema: Box<RawValue>,
}

impl Format {
    fn schema(schema: Box<RawValue>) -> Format {
        Format::JsonSchema { json_schema: Schema { name: "answer", schema } }
    }
}

/// `raw`, if it is a JSON string.
fn string(raw: &RawValue) -> Option<&RawValue> {
    raw.get().starts_with('"').then_some(raw)
}

/// The error for a field that has no counterpart.
fn no_counterpart(field: &str) -> String {
    format!(
        "`{field}` has no counterpart in chat completions; take it out, or send to a provider of its own format"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::job::{Body, Needs};

    fn item(wire: Wire, body: &str) -> Item {
        Item {
            index: 0,
            custom_id: "r-1".into(),
            class: 0,
            wire,
            body: Body { json: Bytes::copy_from_slice(body.as_bytes()), model_at: None },
            input_tokens: 1,
            max_output: None,
            choices: 1,
            needs: Needs::default(),
            options: None,
        }
    }

    fn translated(wire: Wire, body: &Value) -> Result<Value, String> {
        let sent = to_chat(&item(wire, &body.to_string()), "m", &Quirks::default())?;
        Ok(serde_json::from_slice(&sent).unwrap())
    }

    #[test]
    fn anthropic_messages_become_chat() {
        let body = json!({
            "model": "claude-x", "max_tokens": 100, "system": "Be brief.",
            "temperature": 0.2, "top_p": 0.9, "stop_sequences": ["END"], "stream": false,
            "metadata": {"user_id": "u"}, "thinking": {"type": "disabled"},
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
                {"role": "user", "content": [
                    {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
                ]}
            ],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}
        });
        let expected = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
                ]}
            ],
            "max_completion_tokens": 100, "temperature": 0.2, "top_p": 0.9, "stop": ["END"],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
        });
        assert_eq!(translated(Wire::Messages, &body), Ok(expected));
    }

    #[test]
    fn gemini_contents_become_chat() {
        let body = json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "hello"}]},
                {"parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}
            ],
            "generationConfig": {
                "temperature": 0.2, "topP": 0.9, "maxOutputTokens": 100, "stopSequences": ["END"],
                "seed": 7, "candidateCount": 1, "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "propertyOrdering": ["a"], "properties": {
                    "a": {"type": "STRING", "nullable": true}, "type": {"type": "ARRAY", "items": {"type": "INTEGER"}}}}
            }
        });
        let expected = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
                ]}
            ],
            "max_completion_tokens": 100, "temperature": 0.2, "top_p": 0.9, "seed": 7, "n": 1, "stop": ["END"],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {
                "type": "object", "properties": {
                    "a": {"type": ["string", "null"]}, "type": {"type": "array", "items": {"type": "integer"}}}}}}
        });
        assert_eq!(translated(Wire::GenerateContent, &body), Ok(expected));
    }

    #[test]
    fn gemini_may_be_written_in_snake_case() {
        let body = json!({
            "system_instruction": {"parts": {"text": "s"}},
            "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "A"}}]}],
            "generation_config": {"max_output_tokens": 5, "response_mime_type": "application/json"}
        });
        let sent = translated(Wire::GenerateContent, &body).unwrap();
        assert_eq!(sent["max_completion_tokens"], 5);
        assert_eq!(sent["response_format"], json!({"type": "json_object"}));
        assert_eq!(sent["messages"][0]["content"], "s");
    }

    #[test]
    fn values_keep_their_bytes() {
        let body = r#"{"max_tokens":1e2,"temperature":0.30000000000000004,"messages":[{"role":"user","content":"\ud83d \u0041"}]}"#;
        let old = Quirks { old_max_tokens: true, ..Quirks::default() };
        let sent = to_chat(&item(Wire::Messages, body), "m", &old).unwrap();
        assert_eq!(
            std::str::from_utf8(&sent).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"\ud83d \u0041"}],"max_tokens":1e2,"temperature":0.30000000000000004}"#
        );
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_name() {
        let user = json!([{"role": "user", "content": "hi"}]);
        let parts = |part: Value| json!({"contents": [{"parts": [part]}]});
        for (wire, body, named) in [
            (Wire::Messages, json!({"messages": user, "tools": []}), "tools"),
            (Wire::Messages, json!({"messages": user, "top_k": 5}), "top_k"),
            (
                Wire::Messages,
                json!({"messages": user, "thinking": {"type": "enabled", "budget_tokens": 9}}),
                "thinking",
            ),
            (Wire::Messages, json!({"messages": user, "output_config": {"effort": "low"}}), "output_config"),
            (Wire::Messages, json!({"messages": []}), "messages"),
            (Wire::Messages, json!({"max_tokens": 1}), "messages"),
            (Wire::Messages, json!({"messages": [{"role": "assistant", "content": "{"}]}), "assistant"),
            (Wire::Messages, json!({"messages": [{"role": "tool", "content": "x"}]}), "tool"),
            (
                Wire::Messages,
                json!({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}),
                "document",
            ),
            (Wire::Messages, json!({"messages": [{"role": "user", "content": 7}]}), "content"),
            (Wire::GenerateContent, json!({"contents": []}), "contents"),
            (
                Wire::GenerateContent,
                json!({"contents": [{"role": "model", "parts": [{"text": "x"}]}]}),
                "model",
            ),
            (Wire::GenerateContent, parts(json!({"functionCall": {}})), "functionCall"),
            (Wire::GenerateContent, parts(json!({"text": "x", "thought": true})), "thought"),
            (
                Wire::GenerateContent,
                parts(json!({"inlineData": {"mimeType": "audio/wav", "data": "A"}})),
                "audio/wav",
            ),
            (
                Wire::GenerateContent,
                json!({"contents": [{"parts": [{"text": "x"}]}], "safetySettings": []}),
                "safetySettings",
            ),
            (
                Wire::GenerateContent,
                json!({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"thinkingConfig": {}}}),
                "thinkingConfig",
            ),
            (
                Wire::GenerateContent,
                json!({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"responseMimeType": "text/x.enum"}}),
                "text/x.enum",
            ),
        ] {
            let error = can(&item(wire, &body.to_string())).expect_err(named);
            assert!(error.contains(named), "{named}: {error}");
        }
    }

    #[test]
    fn formats_of_the_family_need_no_translation() {
        for wire in [Wire::Chat, Wire::Responses, Wire::Embeddings] {
            assert_eq!(can(&item(wire, r#"{"tools":[]}"#)), Ok(()));
        }
    }
}
