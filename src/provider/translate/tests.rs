use serde_json::{Value, json};

use super::*;
use crate::catalog::testing::with_keys;
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

fn to(target: Wire, own: Wire, body: &Value) -> Result<Value, String> {
    let sent = request(&item(own, &body.to_string()), target, "m", Some(4_096), &Quirks::default())?;
    Ok(serde_json::from_slice(&sent).unwrap())
}

fn translated(wire: Wire, body: &Value) -> Result<Value, String> {
    to(Wire::Chat, wire, body)
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
    let sent = request(&item(Wire::Messages, body), Wire::Chat, "m", None, &old).unwrap();
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
        (
            Wire::Messages,
            json!({"messages": user, "tools": [{"type": "web_search", "name": "w"}]}),
            "web_search",
        ),
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
            "assistant",
        ),
        (Wire::GenerateContent, parts(json!({"fileData": {}})), "fileData"),
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
        let error = translated(wire, &body).expect_err(named);
        assert!(error.contains(named), "{named}: {error}");
    }
}

/// A chat that says everything other formats can say.
fn everything() -> Value {
    json!({
        "model": "gpt-x", "max_completion_tokens": 100, "temperature": 0.2, "top_p": 0.9, "n": 1,
        "stop": ["END"], "presence_penalty": 0, "user": "u",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
            ]},
            {"role": "assistant", "content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1.0}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"b\":2}"},
            {"role": "tool", "tool_call_id": "c2", "content": "sunny"},
            {"role": "user", "content": "so?"}
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    })
}

#[test]
fn chat_becomes_messages() {
    let expected = json!({
        "model": "m", "max_tokens": 100, "system": "Be brief.", "temperature": 0.2, "top_p": 0.9,
        "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "hm"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1.0}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "{\"b\":2}"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "sunny"}
            ]},
            {"role": "user", "content": "so?"}
        ],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    });
    assert_eq!(to(Wire::Messages, Wire::Chat, &everything()), Ok(expected));
}

#[test]
fn chat_becomes_contents() {
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [
                {"text": "hm"},
                {"functionCall": {"name": "f", "args": {"a": 1.0}}},
                {"functionCall": {"name": "g", "args": {}}}
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"b": 2}}},
                {"functionResponse": {"name": "g", "response": {"output": "sunny"}}}
            ]},
            {"role": "user", "parts": [{"text": "so?"}]}
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "temperature": 0.2, "topP": 0.9, "maxOutputTokens": 100, "stopSequences": ["END"], "candidateCount": 1,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}
        }
    });
    assert_eq!(to(Wire::GenerateContent, Wire::Chat, &everything()), Ok(expected));
}

#[test]
fn every_format_comes_back_from_every_other_as_it_was() {
    let mut chat = everything();
    for dropped in ["user", "presence_penalty", "n"] {
        chat.as_object_mut().unwrap().remove(dropped);
    }
    let own = to(Wire::Chat, Wire::Chat, &chat).unwrap();
    let through_messages = to(Wire::Messages, Wire::Chat, &chat).unwrap();
    let back = to(Wire::Chat, Wire::Messages, &through_messages).unwrap();
    assert_eq!(
        {
            let mut own = own.clone();
            own["response_format"]["json_schema"]["name"] = "answer".into();
            own
        },
        back
    );
    let through_contents = to(Wire::GenerateContent, Wire::Messages, &through_messages).unwrap();
    let from_contents = to(Wire::Messages, Wire::GenerateContent, &through_contents).unwrap();
    let calls = &from_contents["messages"][1]["content"];
    assert_eq!((&calls[1]["id"], &calls[1]["input"]), (&json!("call_0"), &json!({"a": 1.0})));
    assert_eq!(from_contents["messages"][2]["content"][1]["tool_use_id"], "call_1");
    for same in ["system", "max_tokens", "tools", "tool_choice", "output_config", "stop_sequences"] {
        assert_eq!(from_contents[same], through_messages[same], "{same}");
    }
}

#[test]
fn responses_become_every_other_format() {
    let body = json!({
        "instructions": "Be brief.", "max_output_tokens": 50, "store": false,
        "input": [
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and?"}]}
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": true}}
    });
    let chat = to(Wire::Chat, Wire::Responses, &body).unwrap();
    assert_eq!(chat["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(chat["messages"][2]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(chat["messages"][3], json!({"role": "tool", "tool_call_id": "c", "content": "done"}));
    assert_eq!(
        chat["response_format"]["json_schema"],
        json!({"name": "x", "schema": {"type": "object"}, "strict": true})
    );
    let messages = to(Wire::Messages, Wire::Responses, &body).unwrap();
    assert_eq!((&messages["max_tokens"], &messages["tools"][0]["strict"]), (&json!(50), &json!(true)));
    let plain = to(Wire::Messages, Wire::Responses, &json!({"input": "hi"})).unwrap();
    assert_eq!(
        plain,
        json!({"model": "m", "max_tokens": 4_096, "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn what_one_format_cannot_say_is_refused_by_name() {
    let chat = |field: &str, value: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    };
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]);
    for (target, body, named) in [
        (Wire::Messages, chat("seed", json!(1)), "seed"),
        (Wire::Messages, chat("n", json!(2)), "n"),
        (Wire::Messages, chat("presence_penalty", json!(0.5)), "presence_penalty"),
        (Wire::Messages, chat("response_format", json!({"type": "json_object"})), "JSON without a schema"),
        (Wire::GenerateContent, chat("messages", image.clone()), "an image by its address"),
        (Wire::GenerateContent, chat("logit_bias", json!({"1": 2})), "logit_bias"),
        (Wire::Messages, chat("reasoning_effort", json!("low")), "reasoning_effort"),
        (
            Wire::Messages,
            chat("messages", json!([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}])),
            "a system message after the first turn",
        ),
        (
            Wire::Messages,
            chat(
                "messages",
                json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
            ),
            "input_audio",
        ),
    ] {
        let error = to(target, Wire::Chat, &body).expect_err(named);
        assert!(error.contains(named), "{named}: {error}");
    }
    assert!(to(Wire::Messages, Wire::Chat, &chat("messages", image)).is_ok());
}

#[test]
fn a_format_without_its_limit_takes_that_of_the_model() {
    let body = item(Wire::Chat, r#"{"messages":[{"role":"user","content":"hi"}]}"#);
    let error = request(&body, Wire::Messages, "m", None, &Quirks::default()).unwrap_err();
    assert!(error.contains("max_tokens"), "{error}");
}

#[test]
fn a_route_takes_its_own_formats_and_what_can_be_written_in_them() {
    let catalog = with_keys(&["openai", "anthropic", "gemini", "deepseek"]);
    let route = |name: &str| catalog.route(name, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap();
    let plain = r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
    for name in
        ["openai/gpt-5-mini", "anthropic/claude-opus-5", "gemini/gemini-2.5-flash", "deepseek/deepseek-flash"]
    {
        assert_eq!(obstacle(&item(Wire::Chat, plain), &route(name)), None, "{name}");
        assert_eq!(obstacle(&item(Wire::Messages, plain), &route(name)), None, "{name}");
    }
    let own = r#"{"messages":[],"anything":1}"#;
    assert_eq!(obstacle(&item(Wire::Chat, own), &route("openai/gpt-5-mini")), None, "sent as it is");
    let embedding = item(Wire::Embeddings, r#"{"input":"x"}"#);
    assert!(obstacle(&embedding, &route("anthropic/claude-opus-5")).is_some());
    assert_eq!(target(Wire::Embeddings, &[Wire::Chat, Wire::Messages]), None);
    assert_eq!(target(Wire::Responses, &[Wire::Messages]), Some(Wire::Messages));
}
