use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Client;

use serde_json::{Value, json};

use super::*;
use crate::job::AttemptId;
use crate::money::{Price, Usd};
use crate::provider::simulated::{ClientId, Fault, FaultRates, Faults, Limits, Model};

/// What came back over a socket, and how that ended.
struct Seen {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(header, value)| (header == name).then_some(value))
    }
}

fn send(provider: &Handle, method: &str, path: &str, headers: &str, body: &str) -> Client {
    let mut client = Client::connect(provider.address()).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n");
    client.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
    client
}

/// Reads to the end of the connection.
fn receive(mut client: Client) -> io::Result<Seen> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes)?;
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Seen { status, head, body: bytes[split + 4..].to_vec() })
}

fn call(provider: &Handle, method: &str, path: &str, headers: &str, body: &str) -> Seen {
    receive(send(provider, method, path, headers, body)).unwrap()
}

fn post(provider: &Handle, path: &str, body: &Value) -> Seen {
    call(provider, "POST", path, "", &body.to_string())
}

fn get(provider: &Handle, path: &str) -> Seen {
    call(provider, "GET", path, "", "")
}

fn question() -> Value {
    json!({"model": "sim/a", "messages": [{"role": "user", "content": "what is it?"}], "max_tokens": 50})
}

fn model() -> Model {
    Model::new("sim/a", Price { input: 150_000, output: 600_000, ..Price::default() })
}

fn provider(faults: Faults) -> Handle {
    spawn(Config { seed: 5, models: vec![model()], faults, ..Config::default() }).unwrap()
}

fn faulty(fault: Fault) -> Handle {
    provider(Faults { rates: FaultRates::new(&[(fault, 1.0)]).unwrap(), ..Faults::default() })
}

#[test]
fn chat_answers_have_openai_s_shape() {
    let provider = provider(Faults::default());
    let mut body = question();
    body["n"] = json!(2);
    let seen = post(&provider, "/v1/chat/completions", &body);
    let answer = seen.json();
    assert_eq!((seen.status, seen.header("content-type")), (200, Some("application/json")));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("sim/a")));
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][1]["index"], 1);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().len() > 20);
    let usage = &answer["usage"];
    let total = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], total);
    let id = seen.header("x-request-id").unwrap();
    assert_eq!(answer["id"], format!("chatcmpl-{id}"));
}

#[test]
fn responses_and_embeddings_have_openai_s_shape() {
    let provider = provider(Faults::default());
    let schema = json!({"type": "object", "properties": {"x": {"enum": [1, 2]}}, "required": ["x"]});
    let format = json!({"type": "json_schema", "name": "x", "schema": schema});
    let body = json!({"model": "a", "input": "hi", "text": {"format": format}});
    let answer = post(&provider, "/v1/responses", &body).json();
    assert_eq!((&answer["status"], &answer["incomplete_details"]), (&json!("completed"), &Value::Null));
    let text = answer["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(jsonschema::is_valid(&schema, &serde_json::from_str(text).unwrap()), "{text}");
    assert!(answer["usage"]["input_tokens"].as_u64() > Some(0));

    let mut body = json!({"model": "sim/a", "input": ["one", "two"], "dimensions": 3});
    let numbers = post(&provider, "/v1/embeddings", &body).json();
    assert_eq!(numbers["data"][1]["embedding"].as_array().unwrap().len(), 3);
    assert_eq!(numbers["usage"]["prompt_tokens"], numbers["usage"]["total_tokens"]);
    body["encoding_format"] = json!("base64");
    let packed = post(&provider, "/v1/embeddings", &body).json();
    // Three floats are twelve bytes, which are sixteen digits.
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 16);
}

#[test]
fn a_schema_is_met_as_often_as_the_pass_rate_says() {
    let models = vec![Model { pass_rate: 0.5, ..model() }];
    let provider = spawn(Config { models, ..Config::default() }).unwrap();
    let schema = json!({"type": "object", "properties": {"x": {"enum": ["a", "b"]}}, "required": ["x"]});
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut n_valid = 0;
    for number in 0..200 {
        let mut body = question();
        body["messages"][0]["content"] = json!(number.to_string());
        body["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let answer = post(&provider, "/v1/chat/completions", &body).json();
        let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
        n_valid += u32::from(serde_json::from_str(content).is_ok_and(|value| validator.is_valid(&value)));
    }
    // Five standard deviations of 200 draws at a half are 35.
    assert!(n_valid.abs_diff(100) < 35, "{n_valid}");
}

#[test]
fn refusals_say_how_long_to_wait_and_what_the_limits_are() {
    let limits = Limits { rpm: Some(2), tpm: Some(10_000), concurrency: None };
    let config = Config { models: vec![model()], account_limits: limits, ..Config::default() };
    let provider = spawn(config).unwrap();
    let first = post(&provider, "/v1/chat/completions", &question());
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-limit-tokens"), Some("10000"));
    post(&provider, "/v1/chat/completions", &question());
    let refused = post(&provider, "/v1/chat/completions", &question());
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    let millis: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!(millis > 0 && millis <= 60_000, "{millis}");
    assert_eq!(refused.header("retry-after"), Some(&*millis.div_ceil(1_000).to_string()));
    // Another key has limits of its own.
    let body = question().to_string();
    let other = call(&provider, "POST", "/v1/chat/completions", "authorization: Bearer b\r\n", &body);
    assert_eq!(other.status, 200);
    let summary = get(&provider, "/sim/ledger").json();
    assert_eq!(summary["totals"]["over_limit"], 1);
    assert_eq!(summary["peaks"]["admitted"], 3);
}

#[test]
fn faults_that_answer_are_seen_as_what_they_are() {
    for fault in Fault::ALL {
        if matches!(fault, Fault::Reset | Fault::ResetBilled | Fault::Hang | Fault::CutBody) {
            continue;
        }
        let seen = post(&faulty(fault), "/v1/chat/completions", &question());
        let body = seen.text();
        let choice = || seen.json()["choices"][0].clone();
        let ok = match fault {
            Fault::RateLimited => seen.status == 429 && body.contains("rate_limit_exceeded"),
            Fault::ServerError | Fault::ServerErrorBilled => {
                seen.status == 500 && body.contains("server_error")
            }
            Fault::Overloaded => seen.status == 503 && body.contains("server_is_overloaded"),
            Fault::Garbage => seen.status == 200 && serde_json::from_str::<Value>(body).is_err(),
            Fault::Html => seen.header("content-type") == Some("text/html") && body.contains("<html>"),
            Fault::Empty => choice()["message"]["content"] == "" && choice()["finish_reason"] == "stop",
            Fault::NoUsage => seen.json()["usage"].is_null() && seen.status == 200,
            Fault::WrongUsage => seen.json()["usage"]["completion_tokens"] != 50,
            Fault::WrongModel => seen.json()["model"] != "sim/a",
            Fault::Length => choice()["finish_reason"] == "length",
            Fault::Refusal => {
                choice()["message"]["content"].is_null() && choice()["message"]["refusal"] != ""
            }
            Fault::ContentFilter => choice()["finish_reason"] == "content_filter",
            Fault::Slow => choice()["finish_reason"] == "stop" && seen.status == 200,
            Fault::Reset | Fault::ResetBilled | Fault::Hang | Fault::CutBody => false,
        };
        assert!(ok, "{fault}: {} {body}", seen.status);
    }
}

#[test]
fn resets_are_resets() {
    for (fault, billed) in [(Fault::Reset, false), (Fault::ResetBilled, true)] {
        let provider = faulty(fault);
        let client = send(&provider, "POST", "/v1/chat/completions", "", &question().to_string());
        let error = receive(client).err().expect("no response");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{fault}");
        let line = &provider.log()[0];
        assert_eq!((line.status, line.usage.is_some()), (None, billed));
        assert!(line.ended_at.is_some());
    }
}

#[test]
fn a_cut_body_is_shorter_than_it_was_said_to_be() {
    let provider = faulty(Fault::CutBody);
    let seen = post(&provider, "/v1/chat/completions", &question());
    let promised: usize = seen.header("content-length").unwrap().parse().unwrap();
    assert_eq!(seen.status, 200);
    assert_eq!(seen.body.len(), promised / 2);
    assert!(seen.text().starts_with("{\"id\":\"chatcmpl"));
    assert!(provider.log()[0].billed > Usd::ZERO);
}

#[test]
fn a_hanging_request_ends_when_its_client_leaves() {
    let provider = faulty(Fault::Hang);
    let mut client = send(&provider, "POST", "/v1/chat/completions", "", &question().to_string());
    let until = |reached: &dyn Fn(&Line) -> bool| {
        // Each look is a round trip through the server, so that it gets its turn.
        (0..100_000).any(|_| {
            get(&provider, "/v1/models").status == 200 && provider.log().first().is_some_and(reached)
        })
    };
    assert!(until(&|_| true), "the request never arrived");
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(provider.log()[0].ended_at, None);
    drop(client);
    assert!(until(&|line| line.ended_at.is_some()), "the request never ended");
    assert!(provider.log()[0].billed > Usd::ZERO);
}

#[test]
fn what_clients_can_know_they_paid_is_what_was_billed() {
    let rates = Fault::ALL.map(|fault| (fault, if fault == Fault::Hang { 0.0 } else { 0.03 }));
    let provider = provider(Faults { rates: FaultRates::new(&rates).unwrap(), ..Faults::default() });
    let (mut known, mut unknown) = (0i128, 0);
    for number in 0..400 {
        let mut body = question();
        body["messages"][0]["content"] = json!(number.to_string());
        let id = AttemptId(number);
        let header = format!("x-client-request-id: {id}\r\n");
        let client = send(&provider, "POST", "/v1/chat/completions", &header, &body.to_string());
        let answer = receive(client).ok().and_then(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
        let usage = answer.map(|answer| answer["usage"].clone()).filter(|usage| !usage.is_null());
        let line = provider.log().pop().unwrap();
        assert_eq!(line.client_id, Some(ClientId::Attempt(id)));
        match usage.filter(|_| line.fault != Some(Fault::WrongUsage)) {
            Some(usage) => {
                let tokens = |name: &str| i128::from(usage[name].as_u64().unwrap());
                let cost = tokens("prompt_tokens") * 150_000 + tokens("completion_tokens") * 600_000;
                assert_eq!(line.billed.pico(), cost, "{line:?}");
                known += cost;
            }
            None => unknown += line.billed.pico(),
        }
    }
    let summary = provider.summary();
    assert_eq!(summary.totals.billed.pico(), known + unknown);
    assert!(known > 0 && unknown > 0);
    assert_eq!(
        get(&provider, "/sim/ledger").json()["totals"]["billed_pico_usd"],
        (known + unknown).to_string()
    );
    let log = get(&provider, "/sim/log");
    let lines: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_log: i128 =
        lines.iter().map(|line| line["billed_pico_usd"].as_str().unwrap().parse::<i128>().unwrap()).sum();
    assert_eq!((lines.len(), of_log), (400, known + unknown));
}

#[test]
fn faults_change_while_it_runs() {
    let provider = provider(Faults::default());
    let ask = || post(&provider, "/v1/chat/completions", &question()).status;
    let change = |change: Value| post(&provider, "/sim/faults", &change);
    assert_eq!(ask(), 200);
    assert_eq!(change(json!({"rates": {"500": 1.0}})).status, 200);
    assert_eq!(ask(), 500);
    let refused = change(json!({"rates": {"flood": 1.0}}));
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("reset-billed"), "{}", refused.text());
    assert_eq!(change(json!({"reset": true, "down": true})).status, 200);
    assert_eq!(ask(), 503);
    assert_eq!(change(json!({"reset": true})).status, 200);
    assert_eq!(ask(), 200);
}

#[test]
fn keys_and_paths_and_bodies_are_checked() {
    let config = Config { keys: ["good".to_owned()].into(), models: vec![model()], ..Config::default() };
    let provider = spawn(config).unwrap();
    let body = question().to_string();
    let with = |headers: &str| call(&provider, "POST", "/v1/chat/completions", headers, &body).status;
    assert_eq!(with("authorization: Bearer good\r\n"), 200);
    assert_eq!(with("x-api-key: good\r\n"), 200);
    assert_eq!(with("authorization: Bearer bad\r\n"), 401);
    assert_eq!(with(""), 401);
    let models = get(&provider, "/v1/models").json();
    assert_eq!(models["data"][0]["id"], "sim/a");
    assert_eq!(get(&provider, "/v1/chat/completions").status, 404);
    assert_eq!(post(&provider, "/v1/completions", &question()).status, 404);
    let broken = call(&provider, "POST", "/v1/chat/completions", "x-client-request-id: mine\r\n", "{");
    assert_eq!(
        (broken.status, broken.json()["error"]["type"].clone()),
        (400, json!("invalid_request_error"))
    );
    let line = provider.log().pop().unwrap();
    assert_eq!((line.client_id, line.status), (Some(ClientId::Other("mine".into())), Some(400)));
    // No key is in the books.
    assert!(!get(&provider, "/sim/log").text().contains("good"));
}
