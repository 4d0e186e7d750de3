use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::money::{Usage, Usd};
use crate::provider::response::MOST_KEPT;

fn read_with(headers: &[(&str, &str)], body: &[u8], path: Path, quirks: &Quirks) -> Outcome {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let response = Response { status: 200, headers: &headers, body: Bytes::copy_from_slice(body) };
    read(&response, path, quirks, Timestamp::default())
}

#[track_caller]
fn answer(path: Path, body: &str) -> Answer {
    match read_with(&[], body.as_bytes(), path, &Quirks::default()) {
        Outcome::Answer(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

#[test]
fn a_chat_completion_is_read_whole() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-x-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hello \"you\"","refusal":null},"logprobs":null,"finish_reason":"stop"},{"index":1,"message":{"content":"other"}}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},"service_tier":"default","system_fingerprint":null,"error":null}"#;
    let expected = Answer {
        text: "Hello \"you\"".to_owned(),
        finish: Finish::Complete,
        finish_reason: Some("stop".to_owned()),
        usage: Some(Usage { input: 9, output: 3, ..Usage::default() }),
        response_model: Some("gpt-x-2026".to_owned()),
        request_id: Some("chatcmpl-1".to_owned()),
        reported_cost: None,
        service_tier: Some("default".to_owned()),
        http_status: 200,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    assert_eq!(answer(Path::Chat, body), expected);
}

#[test]
fn whether_a_chat_answer_is_whole() {
    let choice = |choice: &str| answer(Path::Chat, &format!(r#"{{"choices":[{choice}]}}"#));
    for (json, finish, text) in [
        (r#"{"finish_reason":"stop","message":{"content":"a"}}"#, Finish::Complete, "a"),
        (r#"{"finish_reason":null,"message":{"content":"a"}}"#, Finish::Complete, "a"),
        (r#"{"finish_reason":"length","message":{"content":"a"}}"#, Finish::Truncated, "a"),
        (r#"{"finish_reason":"length","message":{"content":null}}"#, Finish::Truncated, ""),
        (
            r#"{"finish_reason":"insufficient_system_resource","message":{"content":"a"}}"#,
            Finish::Truncated,
            "a",
        ),
        (r#"{"finish_reason":"content_filter","message":{"content":""}}"#, Finish::ContentFilter, ""),
        (r#"{"finish_reason":"sensitive","message":{"content":""}}"#, Finish::ContentFilter, ""),
        (
            r#"{"finish_reason":"stop","message":{"content":null,"refusal":"I cannot"}}"#,
            Finish::Refusal,
            "I cannot",
        ),
        (r#"{"finish_reason":"stop","message":{"content":" \n"}}"#, Finish::Empty, " \n"),
        (
            r#"{"finish_reason":"stop","message":{"content":null,"reasoning_content":"hm"}}"#,
            Finish::Empty,
            "",
        ),
        (r#"{"finish_reason":"stop"}"#, Finish::Empty, ""),
        (
            r#"{"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[{"id":"c"}]}}"#,
            Finish::Complete,
            r#"[{"id":"c"}]"#,
        ),
        (r#"{"finish_reason":"stop","message":{"content":"","tool_calls":[]}}"#, Finish::Empty, ""),
        (
            r#"{"finish_reason":"stop","message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}"#,
            Finish::Complete,
            "ab",
        ),
    ] {
        let answer = choice(json);
        assert_eq!((answer.finish, answer.text.as_str()), (finish, text), "{json}");
    }
}

#[test]
fn a_response_is_read_whole() {
    let body = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-x","output":[{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hel","annotations":[]},{"type":"output_text","text":"lo"}]}],"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":9}}"#;
    let answer = answer(Path::Responses, body);
    assert_eq!((answer.text.as_str(), answer.finish), ("Hello", Finish::Complete));
    assert_eq!(answer.finish_reason.as_deref(), Some("completed"));
    assert_eq!(
        answer.usage,
        Some(Usage { input: 5, cache_read: 1, output: 4, reasoning: 2, ..Usage::default() })
    );
    assert_eq!(answer.request_id.as_deref(), Some("resp_1"));
}

#[test]
fn whether_a_response_is_whole() {
    let message = r#"[{"type":"message","content":[{"type":"output_text","text":"a"}]}]"#;
    for (status, details, output, finish, text) in [
        ("incomplete", r#"{"reason":"max_output_tokens"}"#, message, Finish::Truncated, "a"),
        ("incomplete", r#"{"reason":"content_filter"}"#, message, Finish::ContentFilter, "a"),
        ("incomplete", "null", "[]", Finish::Truncated, ""),
        (
            "completed",
            "null",
            r#"[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]"#,
            Finish::Refusal,
            "no",
        ),
        ("completed", "null", "[]", Finish::Empty, ""),
        (
            "completed",
            "null",
            r#"[{"type":"function_call","name":"f"}]"#,
            Finish::Complete,
            r#"[{"type":"function_call","name":"f"}]"#,
        ),
    ] {
        let body = format!(r#"{{"status":"{status}","incomplete_details":{details},"output":{output}}}"#);
        let answer = answer(Path::Responses, &body);
        assert_eq!((answer.finish, answer.text.as_str()), (finish, text), "{body}");
    }
    let failed = br#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"},"output":[]}"#;
    assert!(matches!(read_with(&[], failed, Path::Responses, &Quirks::default()), Outcome::Refused(_)));
    let queued = br#"{"status":"queued","output":[]}"#;
    assert!(matches!(read_with(&[], queued, Path::Responses, &Quirks::default()), Outcome::Garbage { .. }));
}

#[test]
fn embeddings_are_given_in_the_order_of_the_inputs() {
    let one = answer(
        Path::Embeddings,
        r#"{"object":"list","data":[{"index":0,"embedding":[0.10,-1e-3]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}"#,
    );
    assert_eq!(one.text, "[0.10,-1e-3]");
    assert_eq!(one.usage, Some(Usage { input: 3, ..Usage::default() }));
    let two =
        answer(Path::Embeddings, r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":"AAA="}]}"#);
    assert_eq!(two.text, r#"["AAA=",[2]]"#);
}

#[test]
fn half_a_surrogate_costs_a_character_and_not_the_answer() {
    let answer = answer(
        Path::Chat,
        r#"{"choices":[{"message":{"content":"a\ud83d b\ud83d\ude00"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    );
    assert_eq!(answer.text, "a\u{fffd} b😀");
    assert!(answer.body.ends_with(b"}}"), "the body stays as it came");
    let bytes = b"{\"choices\":[{\"message\":{\"content\":\"a\xff\"}}]}";
    let Outcome::Answer(answer) = read_with(&[], bytes, Path::Chat, &Quirks::default()) else { panic!() };
    assert_eq!(answer.text, "a\u{fffd}");
}

#[test]
fn what_is_no_answer_is_garbage() {
    for (path, body, why) in [
        (Path::Chat, "", "empty body"),
        (Path::Chat, "<html>", "HTML"),
        (Path::Chat, r#"{"choices":[{"message":{"content":"cut"#, "EOF"),
        (Path::Chat, "{}", "without a choice"),
        (Path::Chat, r#"{"choices":[]}"#, "without a choice"),
        (Path::Chat, r#"{"choices":null,"error":null}"#, "without a choice"),
        (Path::Chat, "[]", "not an answer"),
        (Path::Chat, "data: {}", "expected value"),
        (Path::Chat, r#"{"choices":[{"message":{"content":"a"}}]} trailing"#, "trailing"),
        (Path::Responses, "{}", "without output"),
        (Path::Embeddings, r#"{"data":[]}"#, "without an embedding"),
    ] {
        match read_with(&[], body.as_bytes(), path, &Quirks::default()) {
            Outcome::Garbage { message, body: kept, http_status: 200 } => {
                assert!(message.contains(why), "{body}: {message}");
                assert_eq!(kept, body.as_bytes());
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let long = "x".repeat(MOST_KEPT + 5);
    let Outcome::Garbage { body, .. } = read_with(&[], long.as_bytes(), Path::Chat, &Quirks::default())
    else {
        panic!()
    };
    assert_eq!(body.len(), MOST_KEPT);
}

#[test]
fn a_spoiled_usage_does_not_spoil_the_answer() {
    for usage in [
        "null",
        "{}",
        "7",
        r#""none""#,
        r#"{"prompt_tokens":-4,"completion_tokens":1}"#,
        r#"{"prompt_tokens":0,"completion_tokens":0}"#,
    ] {
        let answer = answer(
            Path::Chat,
            &format!(r#"{{"choices":[{{"message":{{"content":"a"}}}}],"usage":{usage}}}"#),
        );
        assert_eq!((answer.text.as_str(), answer.usage), ("a", None), "{usage}");
    }
}

#[test]
fn costs_come_from_the_body_or_the_vendors_header() {
    let litellm = Quirks { cost_header: Some("x-litellm-response-cost".to_owned()), ..Quirks::default() };
    let body =
        r#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    for (header, cost) in [("3.6e-05", Some(36_000_000)), ("None", None), ("0.0", Some(0))] {
        let headers = [("x-litellm-response-cost", header)];
        let Outcome::Answer(answer) = read_with(&headers, body.as_bytes(), Path::Chat, &litellm) else {
            panic!()
        };
        assert_eq!(answer.reported_cost.map(Usd::pico), cost, "{header}");
    }
    let body = r#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.000015}}"#;
    assert_eq!(answer(Path::Chat, body).reported_cost, Some(Usd::from_pico(15_000_000)));
}

#[test]
fn an_answer_from_a_cache_may_use_no_tokens() {
    let body =
        br#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let headers = [("x-openrouter-cache-status", "HIT"), ("x-request-id", "req")];
    let Outcome::Answer(answer) = read_with(&headers, body, Path::Chat, &Quirks::default()) else { panic!() };
    assert_eq!((answer.usage, answer.request_id.as_deref()), (Some(Usage::default()), Some("req")));
}
