//! A whole chat completion as the chunks of a stream, for clients that asked for one.
//!
//! It was checked before anybody sees it, so nothing of it comes early: each choice is one chunk with all it
//! says and one with why it ended, then the usage where it was asked for. What the provider wrote is passed
//! on as it was written, text, numbers and unknown fields alike.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

/// The fields of an object, as they were written.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// The events of a chat completion.
pub(super) fn of_chat(body: &str, with_usage: bool) -> Result<String, serde_json::Error> {
    let mut common: Fields = serde_json::from_str(body)?;
    let choices: Vec<Fields> = read(&common, "choices")?;
    common.remove("choices");
    let usage = common.remove("usage");
    common.insert("object".to_owned(), to_raw_value("chat.completion.chunk")?);
    if with_usage {
        common.insert("usage".to_owned(), to_raw_value(&())?);
    }
    let mut text = String::new();
    let mut push = |choices: &[Fields], usage: Option<Box<RawValue>>| {
        let mut chunk = common.clone();
        chunk.insert("choices".to_owned(), to_raw_value(choices)?);
        chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        text += &event(&serde_json::to_string(&chunk)?);
        Ok::<_, serde_json::Error>(())
    };
    for choice in choices {
        let (said, ended) = split(choice)?;
        push(&[said], None)?;
        push(&[ended], None)?;
    }
    if with_usage {
        push(&[], usage)?;
    }
    Ok(text + &event("[DONE]"))
}

/// One event.
pub(super) fn event(data: &str) -> String {
    format!("data: {}\n\n", flat(data))
}

/// On one line: line breaks in JSON are between values, never in a text.
pub(super) fn flat(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// What a choice says, and that it ended.
fn split(mut choice: Fields) -> Result<(Fields, Fields), serde_json::Error> {
    let nothing = to_raw_value(&())?;
    let message: Fields = read(&choice, "message")?;
    choice.remove("message");
    let why = choice.remove("finish_reason").unwrap_or_else(|| nothing.clone());
    let mut ended = choice.clone();
    ended.insert("delta".to_owned(), to_raw_value(&Fields::new())?);
    ended.insert("finish_reason".to_owned(), why);
    if ended.contains_key("logprobs") {
        ended.insert("logprobs".to_owned(), nothing.clone());
    }
    choice.insert("delta".to_owned(), to_raw_value(&delta(message)?)?);
    choice.insert("finish_reason".to_owned(), nothing);
    Ok((choice, ended))
}

/// A message as the only piece of it: calls of tools are numbered, because pieces of one would be put together
/// by that.
fn delta(mut message: Fields) -> Result<Fields, serde_json::Error> {
    let mut calls: Vec<Fields> = read(&message, "tool_calls")?;
    message.remove("tool_calls");
    for (number, call) in calls.iter_mut().enumerate() {
        call.insert("index".to_owned(), to_raw_value(&number)?);
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), to_raw_value(&calls)?);
    }
    Ok(message)
}

/// A field of an object; empty where it is absent or `null`.
pub(super) fn read<T>(of: &Fields, field: &str) -> Result<T, serde_json::Error>
where
    T: Default + serde::de::DeserializeOwned,
{
    let value = of.get(field).map(|value| serde_json::from_str::<Option<T>>(value.get()));
    Ok(value.transpose()?.flatten().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ANSWER: &str = r#"{"id":"c-1","object":"chat.completion","created":5,"model":"m","seed":12345678901234567890123,
        "choices":[{"index":0,"message":{"role":"assistant","content":"a\nb \ud800"},"logprobs":{"content":[]},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

    fn chunks(body: &str, with_usage: bool) -> Vec<Value> {
        let text = of_chat(body, with_usage).unwrap();
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.last(), Some(&"data: [DONE]"));
        let data = events[..events.len() - 1].iter().map(|event| event.strip_prefix("data: ").unwrap());
        data.map(|data| serde_json::from_str(&data.replace("\\ud800", "?")).unwrap()).collect()
    }

    #[test]
    fn an_answer_is_what_it_says_and_why_it_ended() {
        let chunks = chunks(ANSWER, false);
        assert_eq!(chunks.len(), 2);
        assert!(
            chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == "c-1")
        );
        assert_eq!(
            chunks[0]["choices"],
            json!([{ "index": 0, "delta": { "role": "assistant", "content": "a\nb ?" }, "logprobs": { "content": [] },
                     "finish_reason": null }])
        );
        let ended = json!([{ "index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop" }]);
        assert_eq!(chunks[1]["choices"], ended);
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    }

    #[test]
    fn the_usage_comes_last_where_it_is_asked_for() {
        let chunks = chunks(ANSWER, true);
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[0]["usage"], Value::Null);
        assert_eq!((&chunks[2]["choices"], &chunks[2]["usage"]["total_tokens"]), (&json!([]), &json!(5)));
    }

    #[test]
    fn what_was_written_is_passed_on_as_it_was_written() {
        let text = of_chat(ANSWER, false).unwrap();
        assert!(
            text.contains(r#""seed":12345678901234567890123"#) && text.contains(r#""a\nb \ud800""#),
            "{text}"
        );
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: ")), "{text}");
    }

    #[test]
    fn calls_of_tools_are_numbered() {
        let call = |name: &str| json!({ "id": name, "type": "function", "function": { "name": name, "arguments": "{}" } });
        let body = json!({ "choices": [{ "index": 0, "finish_reason": "tool_calls", "message":
            { "role": "assistant", "content": null, "tool_calls": [call("a"), call("b")] } }] });
        let chunks = chunks(&body.to_string(), false);
        let calls = chunks[0]["choices"][0]["delta"]["tool_calls"].as_array().unwrap();
        assert_eq!(
            [&calls[0]["index"], &calls[1]["index"], &calls[1]["id"]],
            [&json!(0), &json!(1), &json!("b")]
        );
    }
}
