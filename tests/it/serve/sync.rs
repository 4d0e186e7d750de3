//! Requests that wait for their answers.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::http::Api;
use super::{Daemon, provider, refused};

const JSON: &str = "content-type: application/json";

fn chat(api: &Api, model: &str, headers: &[&str]) -> super::Answer {
    let body = json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
    let headers = [&[JSON], headers].concat();
    // As people write it: over several lines.
    api.request(
        "POST",
        "/v1/chat/completions",
        &headers,
        serde_json::to_string_pretty(&body).unwrap().as_bytes(),
    )
}

#[test]
fn a_request_waits_for_its_answer() {
    let daemon = Daemon::start();
    let answer = chat(&daemon.api, "auto", &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["object"], "chat.completion");
    let job = answer.header("x-overnight-job-id").unwrap();
    assert_eq!(daemon.overnight.job_id(), job);
    assert!(answer.header("x-overnight-cost-usd").unwrap().parse::<f64>().unwrap() > 0.0);
    let responses = daemon
        .api
        .post("/v1/responses", &json!({ "model": "sim/small", "input": "hi", "max_output_tokens": 20 }));
    assert_eq!(responses.json()["object"], "response", "{responses:?}");
    let vectors = daemon.api.post("/v1/embeddings", &json!({ "model": "sim/small", "input": "hi" }));
    assert_eq!(vectors.json()["object"], "list", "{vectors:?}");
    let with_time = chat(&daemon.api, "sim/large", &["x-overnight-deadline: 8h"]);
    assert_eq!(with_time.json()["model"], "sim/large", "{with_time:?}");
}

#[test]
fn what_cannot_be_answered_is_said() {
    let daemon = Daemon::start();
    let unknown = chat(&daemon.api, "gpt-none", &[]);
    refused(&unknown, 400, "no_route");
    let error = &unknown.json()["error"];
    assert_eq!(error["param"], "model");
    assert!(error["message"].as_str().unwrap().contains("there are auto, sim/"), "{error}");
    for deadline in ["soon", "2020-01-01T00:00:00Z"] {
        let answer = chat(&daemon.api, "auto", &[&format!("x-overnight-deadline: {deadline}")]);
        assert_eq!(answer.json()["error"]["param"], "x-overnight-deadline", "{answer:?}");
    }
    for (path, field, value) in [
        ("/v1/chat/completions", "overnight", json!({ "max_cost": "$1" })),
        ("/v1/embeddings", "stream", json!(true)),
    ] {
        let mut body =
            json!({ "model": "auto", "input": "hi", "messages": [{ "role": "user", "content": "hi" }] });
        body[field] = value;
        let answer = daemon.api.post(path, &body);
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &field.into()), "{answer:?}");
    }
    let smuggled = br#"{"model":"auto","messages":[]},"overnight":{"max_cost":"$0"}"#;
    refused(&daemon.api.request("POST", "/v1/chat/completions", &[JSON], smuggled), 400, "invalid_json");
    assert!(daemon.overnight.jobs().is_empty());
}

#[test]
fn a_deadline_that_passes_is_a_time_out() {
    let daemon = Daemon::with(provider(Duration::from_secs(60)), "");
    let answer = chat(&daemon.api, "auto", &["x-overnight-deadline: 1s"]);
    refused(&answer, 504, "deadline");
    while daemon.overnight.job()["state"] == "in_progress" {}
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    let daemon = Daemon::with(provider(Duration::from_secs(60)), "");
    let body = json!({ "model": "auto", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let mut stream = TcpStream::connect(daemon.api.address).unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    while daemon.overnight.jobs().is_empty() {}
    drop(stream);
    while !["cancelling", "cancelled"].contains(&daemon.overnight.job()["state"].as_str().unwrap()) {}
}

/// A request whose answer is to come as events.
fn streamed() -> serde_json::Value {
    json!({ "model": "auto", "stream": true, "messages": [{ "role": "user", "content": "hi" }] })
}

#[test]
fn a_stream_is_the_whole_answer_and_ends() {
    let daemon = Daemon::start();
    let answer = daemon.api.post("/v1/chat/completions", &streamed());
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/event-stream")),
        "{answer:?}"
    );
    assert!(answer.header("x-overnight-cost-usd").is_some(), "{answer:?}");
    let events: Vec<&str> = answer.text().split_terminator("\n\n").collect();
    assert_eq!((events.len(), events.last()), (3, Some(&"data: [DONE]")), "{answer:?}");
    assert!(
        events[0].contains(r#""object":"chat.completion.chunk""#)
            && events[0].contains(r#""role":"assistant""#)
    );
}

#[test]
fn a_stream_that_fails_before_it_begins_is_refused_like_any_request() {
    let daemon = Daemon::with(provider(Duration::from_secs(60)), "");
    let body = streamed().to_string();
    let headers = [JSON, "x-overnight-deadline: 1s"];
    let answer = daemon.api.request("POST", "/v1/chat/completions", &headers, body.as_bytes());
    refused(&answer, 504, "deadline");
}
