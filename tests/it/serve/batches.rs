//! `/v1/batches`: from a file to answers, and everything that can come between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use super::files::uploaded;
use super::http::Api;
use super::{Daemon, provider, refused};

/// Chat lines as OpenAI writes them.
pub(crate) fn lines(n: usize) -> Vec<u8> {
    let line = |n: usize| {
        json!({ "custom_id": format!("r-{n}"), "method": "POST", "url": "/v1/chat/completions",
                "body": { "model": "sim/small", "max_tokens": 100, "messages": [{ "role": "user", "content": format!("question {n}") }] } })
    };
    (0..n).map(|n| format!("{}\n", line(n))).collect::<String>().into_bytes()
}

pub(crate) fn create(api: &Api, file: &str, more: &Value) -> Value {
    let mut body =
        json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = api.post("/v1/batches", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Asks until the batch is in one of these states.
#[track_caller]
pub(crate) fn until(api: &Api, batch: &Value, states: &[&str]) -> Value {
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    loop {
        let answer = api.get(&path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let batch = answer.json();
        let state = batch["status"].as_str().unwrap();
        if states.contains(&state) {
            return batch;
        }
        assert!(!["failed", "completed", "expired", "cancelled"].contains(&state), "{batch}");
        std::thread::yield_now();
    }
}

pub(crate) fn content(api: &Api, file: &Value) -> Vec<Value> {
    let answer = api.get(&format!("/v1/files/{}/content", file.as_str().unwrap()));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every field that OpenAI's clients know.
const FIELDS: [&str; 23] = [
    "id",
    "object",
    "endpoint",
    "model",
    "errors",
    "input_file_id",
    "completion_window",
    "status",
    "output_file_id",
    "error_file_id",
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
    "request_counts",
    "usage",
    "metadata",
    "overnight",
];

fn complete(batch: &Value) {
    let batch = batch.as_object().unwrap();
    for field in FIELDS {
        assert!(batch.contains_key(field), "{field}");
        assert_ne!(batch[field], "", "{field}");
    }
}

#[test]
fn a_batch_is_answered_from_end_to_end() {
    let daemon = Daemon::start();
    let file = uploaded(&daemon.api, &lines(30));
    let batch =
        create(&daemon.api, &file, &json!({ "metadata": { "project": "x", "overnight_max_cost": "$1" } }));
    complete(&batch);
    assert_eq!((&batch["object"], &batch["status"]), (&"batch".into(), &"validating".into()));
    assert_eq!(batch["expires_at"].as_i64().unwrap() - batch["created_at"].as_i64().unwrap(), 86_400);
    let done = until(&daemon.api, &batch, &["completed"]);
    complete(&done);
    assert_eq!(done["request_counts"], json!({ "total": 30, "completed": 30, "failed": 0 }));
    assert!(done["error_file_id"].is_null() && done["errors"].is_null(), "{done}");
    assert_eq!(done["metadata"], json!({ "project": "x", "overnight_max_cost": "$1" }));
    for time in ["in_progress_at", "finalizing_at", "completed_at"] {
        assert!(done[time].as_i64().is_some(), "{time}: {done}");
    }
    let spent = done["overnight"]["cost_usd"].as_f64().unwrap();
    assert!(spent > 0.0 && done["usage"]["total_tokens"].as_u64().unwrap() > 0, "{done}");
    let answers = content(&daemon.api, &done["output_file_id"]);
    assert_eq!(answers.len(), 30);
    for (n, line) in answers.iter().enumerate() {
        assert_eq!(line["custom_id"], format!("r-{n}"));
        assert!(line["error"].is_null(), "{line}");
        assert_eq!(line["response"]["status_code"], 200);
        assert_eq!(line["response"]["body"]["object"], "chat.completion");
    }
    let output = daemon.api.get(&format!("/v1/files/{}", done["output_file_id"].as_str().unwrap())).json();
    assert_eq!(output["purpose"], "batch_output");
    let view = daemon.overnight.job();
    assert_eq!(view["job_id"].as_str().unwrap(), done["id"].as_str().unwrap().replace("batch_", "job_"));
    assert_eq!(view["max_cost_usd"], 1.0);
    let daemon = daemon.again();
    let again = daemon.api.get(&format!("/v1/batches/{}", done["id"].as_str().unwrap())).json();
    assert_eq!(again, done, "the same after a restart");
}

#[test]
fn a_create_sent_again_is_the_same_batch() {
    let daemon = Daemon::start();
    let file = uploaded(&daemon.api, &lines(2));
    let first = create(&daemon.api, &file, &json!({ "metadata": { "a": "1" } }));
    assert_eq!(create(&daemon.api, &file, &json!({ "metadata": { "a": "1" } }))["id"], first["id"]);
    assert_ne!(create(&daemon.api, &file, &json!({ "metadata": { "a": "2" } }))["id"], first["id"]);
    let other = uploaded(&daemon.api, &lines(2));
    assert_ne!(create(&daemon.api, &other, &json!({ "metadata": { "a": "1" } }))["id"], first["id"]);
}

#[test]
fn bad_lines_fail_the_batch_with_their_numbers() {
    let daemon = Daemon::start();
    let bad = b"{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}\nnot json\n{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}\n{\"custom_id\":\"e\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{\"model\":\"sim/small\",\"input\":\"x\"}}\n";
    let file = uploaded(&daemon.api, bad);
    let batch = create(&daemon.api, &file, &json!({}));
    assert_eq!(batch["status"], "validating");
    let failed = until(&daemon.api, &batch, &["failed"]);
    complete(&failed);
    assert!(failed["failed_at"].as_i64().is_some());
    assert_eq!(failed["errors"]["object"], "list");
    let errors = failed["errors"]["data"].as_array().unwrap();
    let told: Vec<(u64, &str)> = errors
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["message"].as_str().unwrap()))
        .collect();
    assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4], "{told:?}");
    assert!(told[1].1.contains("line 1") && told[2].1.contains("/v1/embeddings"), "{told:?}");
    assert!(errors.iter().all(|error| error.get("param").is_some() && error["code"].is_string()));
    assert!(daemon.overnight.jobs().is_empty(), "nothing was queued");
}

#[test]
fn what_no_model_can_do_fails_with_its_line() {
    let daemon = Daemon::with(
        provider(Duration::ZERO),
        "[models.\"sim/chats\"]\nprice = { input = 1, output = 1 }\nmax_output = 100\nwires = [\"chat\"]\n",
    );
    let line = |id: &str, body: Value| json!({ "custom_id": id, "method": "POST", "url": "/v1/responses", "body": body });
    let file = [
        line("a", json!({ "model": "sim/chats", "input": "hi" })),
        line("b", json!({ "model": "sim/chats", "input": "hi", "previous_response_id": "resp_1" })),
        line("c", json!({ "model": "sim/small", "input": "hi", "previous_response_id": "resp_1" })),
    ];
    let file = file.iter().map(|line| format!("{line}\n")).collect::<String>();
    let responses = json!({ "endpoint": "/v1/responses" });
    let failed = until(
        &daemon.api,
        &create(&daemon.api, &uploaded(&daemon.api, file.as_bytes()), &responses),
        &["failed"],
    );
    let errors = failed["errors"]["data"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{failed}");
    assert_eq!(errors[0]["line"], 2);
    assert!(errors[0]["message"].as_str().unwrap().contains("previous_response_id"), "{failed}");
}

#[test]
fn models_nobody_serves_are_named_with_their_lines() {
    let daemon = Daemon::start();
    let text = String::from_utf8(lines(3)).unwrap().replacen("sim/small", "gpt-none", 1);
    let text = format!(
        "{}{}",
        text,
        text.lines().last().unwrap().replace("sim/small", "gpt-other").replace("r-2", "r-3")
    );
    let failed = until(
        &daemon.api,
        &create(&daemon.api, &uploaded(&daemon.api, text.as_bytes()), &json!({})),
        &["failed"],
    );
    let lines: Vec<u64> = failed["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 4], "{failed}");
}

#[test]
fn what_cannot_be_a_batch_is_refused_at_once() {
    let daemon = Daemon::start();
    let file = uploaded(&daemon.api, &lines(1));
    let good =
        json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let cases = [
        ("input_file_id", json!("file-none"), "input_file_id"),
        ("endpoint", json!("/v1/moderations"), "endpoint"),
        ("completion_window", json!("soon"), "completion_window"),
        ("metadata", json!({ "overnight_max_cost": "lots" }), "overnight"),
        ("metadata", json!({ "a": "x".repeat(513) }), "metadata"),
        ("overnight", json!({ "priorty": 1 }), "overnight"),
        ("overnight", json!({ "check": { "command": "true" } }), "overnight"),
    ];
    for (field, value, param) in cases {
        let mut body = good.clone();
        body[field] = value;
        let answer = daemon.api.post("/v1/batches", &body);
        assert_eq!(answer.status, 400, "{field}: {answer:?}");
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let text = good.to_string();
    refused(&daemon.api.request("POST", "/v1/batches", &[], text.as_bytes()), 415, "not_json");
    refused(
        &daemon.api.request("POST", "/v1/batches", &["content-type: application/json"], b"{"),
        400,
        "invalid_json",
    );
}

#[test]
fn models_are_names_sets_or_auto() {
    let daemon = Daemon::start();
    let line = |id: &str, model: &str| {
        json!({ "custom_id": id, "method": "POST", "url": "/v1/chat/completions",
                "body": { "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": id }] } })
    };
    let file = format!("{}\n{}\n", line("a", "auto"), line("b", "sim/large"));
    let batch = create(&daemon.api, &uploaded(&daemon.api, file.as_bytes()), &json!({}));
    let done = until(&daemon.api, &batch, &["completed"]);
    let answers = content(&daemon.api, &done["output_file_id"]);
    let models: Vec<&str> =
        answers.iter().map(|line| line["response"]["body"]["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["sim/small", "sim/large"]);
    let file = format!("{}\n", line("a", "gpt-none"));
    let batch = create(&daemon.api, &uploaded(&daemon.api, file.as_bytes()), &json!({}));
    let failed = until(&daemon.api, &batch, &["failed"]);
    assert!(failed["errors"]["data"][0]["message"].as_str().unwrap().contains("gpt-none"), "{failed}");
    let over = json!({ "overnight": { "models": "sim/large" } });
    let file = format!("{}\n", line("a", "whatever-the-client-writes"));
    let done = until(
        &daemon.api,
        &create(&daemon.api, &uploaded(&daemon.api, file.as_bytes()), &over),
        &["completed"],
    );
    assert_eq!(content(&daemon.api, &done["output_file_id"])[0]["response"]["body"]["model"], "sim/large");
}

#[test]
fn a_cancelled_batch_keeps_what_it_has() {
    let slow = overnight::provider::simulated::Config {
        account_limits: overnight::provider::simulated::Limits { concurrency: Some(2), ..Default::default() },
        ..provider(Duration::from_millis(20))
    };
    let daemon = Daemon::with(slow, "");
    let batch = create(&daemon.api, &uploaded(&daemon.api, &lines(2_000)), &json!({}));
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    while daemon.api.get(&path).json()["request_counts"]["completed"].as_u64().unwrap() == 0 {}
    let cancelling = daemon.api.post(&format!("{path}/cancel"), &json!({}));
    assert_eq!(cancelling.status, 200, "{cancelling:?}");
    assert!(cancelling.json()["cancelling_at"].as_i64().is_some());
    let over = until(&daemon.api, &batch, &["cancelled"]);
    complete(&over);
    let counts = &over["request_counts"];
    let (done, failed) = (counts["completed"].as_u64().unwrap(), counts["failed"].as_u64().unwrap());
    assert!(done > 0 && failed > 0 && done + failed == 2_000, "{over}");
    assert_eq!(content(&daemon.api, &over["output_file_id"]).len() as u64, done);
    let errors = content(&daemon.api, &over["error_file_id"]);
    assert_eq!(errors.len() as u64, failed);
    assert!(
        errors.iter().all(|line| line["response"].is_null() && line["error"]["code"] == "batch_cancelled")
    );
    refused(&daemon.api.post(&format!("{path}/cancel"), &json!({})), 409, "not_cancellable");
}

#[test]
fn what_the_provider_refuses_goes_to_the_error_file() {
    use crate::support::script::{Say, Script};
    let script = Script::start(|_, heard| match heard.text().contains("question 1") {
        true => Say::json(
            400,
            r#"{"error":{"message":"no such parameter","type":"invalid_request_error","param":"x","code":null}}"#,
        ),
        false => Say::answer("fine"),
    });
    let overnight = crate::support::Overnight::asking(&script.base_url());
    let (_running, api) = super::serving(&overnight, "");
    let text = String::from_utf8(lines(2)).unwrap().replace("sim/small", "box/small");
    let done = until(&api, &create(&api, &uploaded(&api, text.as_bytes()), &json!({})), &["completed"]);
    assert_eq!(done["request_counts"], json!({ "total": 2, "completed": 1, "failed": 1 }));
    assert_eq!(content(&api, &done["output_file_id"])[0]["custom_id"], "r-0");
    let errors = content(&api, &done["error_file_id"]);
    assert_eq!(errors[0]["custom_id"], "r-1");
    assert_eq!(errors[0]["response"]["status_code"], 400, "{errors:?}");
    assert!(errors[0]["error"].is_null(), "{errors:?}");
}

#[test]
fn a_batch_that_was_being_read_when_the_daemon_stopped_is_read_by_the_next() {
    let daemon = Daemon::start();
    let file = uploaded(&daemon.api, &lines(3));
    let batch = create(&daemon.api, &file, &json!({}));
    until(&daemon.api, &batch, &["completed"]);
    // As a daemon leaves it that stops right after it has answered.
    let path = daemon.overnight.path().join(format!("batches/{}.json", batch["id"].as_str().unwrap()));
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let id = batch["id"].as_str().unwrap();
    let other = format!("{}0", &id[..id.len() - 1]);
    record["id"] = other.clone().into();
    record["stage"] = "validating".into();
    record["reserved"] = Value::Null;
    std::fs::write(path.with_file_name(format!("{other}.json")), record.to_string()).unwrap();
    let daemon = daemon.again();
    let done = until(&daemon.api, &json!({ "id": other }), &["completed"]);
    assert_eq!(content(&daemon.api, &done["output_file_id"]).len(), 3);
}

#[test]
fn batches_are_listed_newest_first() {
    let daemon = Daemon::start();
    let ids: Vec<String> = (0..3)
        .map(|n| {
            create(&daemon.api, &uploaded(&daemon.api, &lines(n + 1)), &json!({}))["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let page = daemon.api.get("/v1/batches?limit=2").json();
    assert_eq!(page["has_more"], true);
    assert_eq!(
        (page["data"][0]["id"].as_str(), page["data"][1]["id"].as_str()),
        (Some(ids[2].as_str()), Some(ids[1].as_str()))
    );
    let rest = daemon.api.get(&format!("/v1/batches?limit=2&after={}", ids[1])).json();
    assert_eq!((rest["data"][0]["id"].as_str(), &rest["has_more"]), (Some(ids[0].as_str()), &false.into()));
    complete(&rest["data"][0]);
    assert_eq!(daemon.api.get("/v1/batches?limit=101").status, 400);
}

/// What one connection sends, as JSON; it is answered with 204.
fn told(receiver: &TcpListener) -> Value {
    let mut stream = BufReader::new(receiver.accept().unwrap().0);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if let Some(told) = line.strip_prefix("content-length: ") {
            length = told.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_receiver_that_was_down_hears_of_it_from_the_next_daemon() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    drop(receiver);
    let config = format!("[daemon]\nwebhook = \"http://{address}/hook\"\n");
    let daemon = Daemon::with(provider(Duration::ZERO), &config);
    let batch = create(&daemon.api, &uploaded(&daemon.api, &lines(1)), &json!({}));
    until(&daemon.api, &batch, &["completed"]);
    let receiver = TcpListener::bind(address).unwrap();
    let _daemon = daemon.again();
    let event = told(&receiver);
    assert_eq!(event["type"], "batch.completed", "{event}");
    assert_eq!(event["data"], json!({ "id": batch["id"] }));
}
