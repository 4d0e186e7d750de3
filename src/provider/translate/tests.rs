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
