use std::time::Duration;

use RefusalKind::*;
use bytes::Bytes;
use proptest::prelude::*;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::*;
use crate::attempt::{Answer, ErrorCode, Finish, RefusalKind};
use crate::money::Usage;

fn respond(status: u16, body: &str) -> Outcome {
    let headers = HeaderMap::new();
    let response = Response { status, headers: &headers, body: Bytes::copy_from_slice(body.as_bytes()) };
    read(&response, &Quirks::default(), "2026-11-21T12:00:00Z".parse().unwrap())
}

#[track_caller]
fn answer(body: &str) -> Answer {
    match respond(200, body) {
        Outcome::Answer(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

#[test]
fn a_response_is_read_whole() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Hello "},{"text":"you","thoughtSignature":"s"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":40,"totalTokenCount":52},"modelVersion":"gemini-x","responseId":"r1"}"#;
    let expected = Answer {
        text: "Hello you".to_owned(),
        finish: Finish::Complete,
        finish_reason: Some("STOP".to_owned()),
        usage: Some(Usage { input: 9, output: 43, reasoning: 40, ..Usage::default() }),
        response_model: Some("gemini-x".to_owned()),
        request_id: Some("r1".to_owned()),
        reported_cost: None,
        service_tier: None,
        http_status: 200,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    assert_eq!(answer(body), expected);
}

#[test]
fn finish_reasons_say_whether_it_is_whole() {
    for (reason, finish) in [
        ("STOP", Finish::Complete),
        ("MAX_TOKENS", Finish::Truncated),
        ("SAFETY", Finish::ContentFilter),
        ("RECITATION", Finish::ContentFilter),
        ("LANGUAGE", Finish::ContentFilter),
        ("BLOCKLIST", Finish::ContentFilter),
        ("PROHIBITED_CONTENT", Finish::ContentFilter),
        ("SPII", Finish::ContentFilter),
        ("IMAGE_SAFETY", Finish::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", Finish::Empty),
        ("OTHER", Finish::Truncated),
    ] {
        let body = json!({"candidates": [{"content": {"parts": [{"text": "so"}]}, "finishReason": reason}]});
        assert_eq!(answer(&body.to_string()).finish, finish, "{reason}");
    }
    let silent = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5}}"#;
    assert_eq!(answer(silent).finish, Finish::Empty);
}

#[test]
fn a_blocked_prompt_is_a_success_without_candidates_and_is_billed() {
    for reason in ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR", "JAILBREAK"] {
        let body =
            json!({"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 8}});
        let answer = answer(&body.to_string());
        assert_eq!((answer.finish, answer.finish_reason.as_deref()), (Finish::ContentFilter, Some(reason)));
        assert_eq!(answer.usage.map(|usage| usage.input), Some(8));
    }
}

#[test]
fn tools_that_are_called_stand_for_the_text_as_with_every_family() {
    let body = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1.0}}}]},"finishReason":"STOP"}]}"#;
    assert_eq!(
        answer(body).text,
        r#"[{"id":"call_0","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}}]"#
    );
}

#[test]
fn every_documented_error_is_understood() {
    let error = |code: u16, status: &str, message: &str| {
        json!({"error": {"code": code, "message": message, "status": status, "details": []}}).to_string()
    };
    let bad_key = json!({"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}});
    for (status, body, expected) in [
        (400, error(400, "INVALID_ARGUMENT", "Unknown name \"foo\""), Invalid),
        (400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), Auth),
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (2) exceeds the maximum number of tokens allowed (1).",
            ),
            TooLong,
        ),
        (400, bad_key.to_string(), Auth),
        (401, error(401, "UNAUTHENTICATED", "m"), Auth),
        (402, error(402, "FAILED_PRECONDITION", "prepaid credit exhausted"), NoCredit),
        (403, error(403, "PERMISSION_DENIED", "m"), Auth),
        (404, error(404, "NOT_FOUND", "models/x is not found"), ModelGone),
        (429, error(429, "RESOURCE_EXHAUSTED", "m"), Rate),
        (500, error(500, "INTERNAL", "m"), Server),
        (503, error(503, "UNAVAILABLE", "The model is overloaded."), Capacity),
        (200, error(503, "UNAVAILABLE", "m"), Capacity),
    ] {
        match respond(status, &body) {
            Outcome::Refused(refusal) => assert_eq!(refusal.kind, expected, "{status} {body}"),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
    let timeout = respond(504, &error(504, "DEADLINE_EXCEEDED", "m"));
    assert!(matches!(timeout, Outcome::Unknown { code: ErrorCode::Timeout, http_status: Some(504), .. }));
}

#[test]
fn a_quota_of_a_day_opens_at_midnight_in_california_whatever_wait_is_stated() {
    let wait = |quota: &str| {
        let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}});
        match respond(429, &body.to_string()) {
            Outcome::Refused(refusal) => (refusal.kind, refusal.retry_after),
            other => panic!("{other:?}"),
        }
    };
    let minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    assert_eq!(wait(minute), (Rate, Some(Duration::from_millis(34_500))));
    let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    assert_eq!(wait(day), (Rate, Some(Duration::from_secs(20 * 3_600))));
}

#[test]
fn the_model_stands_in_the_address_and_not_in_the_body() {
    assert_eq!(path("gemini-x"), "/models/gemini-x:generateContent");
    assert_eq!(path("tunedModels/mine"), "/tunedModels/mine:generateContent");
}

#[test]
fn what_is_no_response_is_garbage() {
    for body in ["", "{", "<html>", "7", "{}", r#"{"choices":[]}"#] {
        assert!(matches!(respond(200, body), Outcome::Garbage { .. }), "{body}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in "[{}\\[\\]:,\"a-zA-Z0-9 ]{0,60}", status in 100u16..600) {
        let _ = respond(status, &body);
    }
}
