use std::time::Duration;

use RefusalKind::*;
use bytes::Bytes;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::attempt::{Answer, ErrorCode, Finish, RefusalKind};
use crate::money::Usage;

fn respond(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let response = Response { status, headers: &headers, body: Bytes::copy_from_slice(body.as_bytes()) };
    read(&response, &Quirks::default(), "2026-11-21T12:00:00Z".parse().unwrap())
}

#[track_caller]
fn answer(body: &str) -> Answer {
    match respond(200, &[("request-id", "req_1")], body) {
        Outcome::Answer(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

#[test]
fn a_message_is_read_whole() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hello "},{"type":"text","text":"you"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":1,"cache_read_input_tokens":20,"output_tokens":3}}"#;
    let expected = Answer {
        text: "Hello you".to_owned(),
        finish: Finish::Complete,
        finish_reason: Some("end_turn".to_owned()),
        usage: Some(Usage { input: 30, cache_read: 20, cache_write: 1, output: 3, ..Usage::default() }),
        response_model: Some("claude-x".to_owned()),
        request_id: Some("req_1".to_owned()),
        reported_cost: None,
        service_tier: None,
        http_status: 200,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    assert_eq!(answer(body), expected);
}

#[test]
fn stop_reasons_say_whether_it_is_whole() {
    let text = r#"{"type":"text","text":"so"}"#;
    for (reason, content, finish) in [
        ("end_turn", text, Finish::Complete),
        ("stop_sequence", text, Finish::Complete),
        ("max_tokens", text, Finish::Truncated),
        ("model_context_window_exceeded", text, Finish::Truncated),
        ("pause_turn", text, Finish::Truncated),
        ("refusal", "", Finish::Refusal),
        ("end_turn", "", Finish::Empty),
    ] {
        let body = format!(r#"{{"type":"message","content":[{content}],"stop_reason":"{reason}"}}"#);
        assert_eq!(answer(&body).finish, finish, "{reason}");
    }
}

#[test]
fn tools_that_are_called_stand_for_the_text_as_with_every_family() {
    let body = r#"{"type":"message","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1.0}}],"stop_reason":"tool_use"}"#;
    let answer = answer(body);
    assert_eq!(
        (answer.text.as_str(), answer.finish),
        (
            r#"[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}}]"#,
            Finish::Complete
        )
    );
}

#[test]
fn every_documented_error_is_understood() {
    let error = |kind: &str, message: &str| {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_2"}}"#
        )
    };
    for (status, body, expected) in [
        (400, error("invalid_request_error", "temperature: range"), Invalid),
        (400, error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), TooLong),
        (400, error("invalid_request_error", "input length and `max_tokens` exceed context limit"), TooLong),
        (400, error("invalid_request_error", "You have reached your specified API usage limits."), NoCredit),
        (400, error("invalid_request_error", "Your credit balance is too low"), NoCredit),
        (401, error("authentication_error", "invalid x-api-key"), Auth),
        (403, error("permission_error", "m"), Auth),
        (402, error("billing_error", "m"), NoCredit),
        (404, error("not_found_error", "model: claude-1"), ModelGone),
        (413, error("request_too_large", "m"), TooLong),
        (429, error("rate_limit_error", "m"), Rate),
        (500, error("api_error", "m"), Server),
        (503, error("api_error", "m"), Server),
        (529, error("overloaded_error", "Overloaded"), Capacity),
        (200, error("overloaded_error", "Overloaded"), Capacity),
    ] {
        match respond(status, &[], &body) {
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.kind, expected, "{status} {body}");
                assert_eq!(refusal.request_id.as_deref(), Some("req_2"));
            }
            other => panic!("{status} {body}: {other:?}"),
        }
    }
    let timeout = respond(504, &[], &error("timeout_error", "m"));
    assert!(matches!(timeout, Outcome::Unknown { code: ErrorCode::Timeout, http_status: Some(504), .. }));
}

#[test]
fn a_spend_limit_opens_with_the_month_and_a_rate_limit_when_it_says() {
    let waits = |headers: &[(&str, &str)], body: &str| match respond(429, headers, body) {
        Outcome::Refused(refusal) => (refusal.kind, refusal.retry_after),
        other => panic!("{other:?}"),
    };
    let limit = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    // From noon of the 21st to the start of December.
    assert_eq!(waits(&[], limit), (NoCredit, Some(Duration::from_secs((9 * 24 + 12) * 3_600))));
    let rate = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#;
    assert_eq!(waits(&[("retry-after", "7")], rate), (Rate, Some(Duration::from_secs(7))));
    assert_eq!(waits(&[], rate), (Rate, None));
}

#[test]
fn what_is_no_message_is_garbage() {
    for body in ["", "{", "<html>", "7", "{}", r#"{"type":"message"}"#] {
        assert!(matches!(respond(200, &[], body), Outcome::Garbage { .. }), "{body}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in "[{}\\[\\]:,\"a-z_0-9 ]{0,60}", status in 100u16..600) {
        let _ = respond(status, &[], &body);
    }
}
