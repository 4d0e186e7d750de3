//! `/api/v1`: the documents of the commands, events, and who sees what.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Answer, Api};
use super::{Daemon, provider, refused};

/// Items as a request has them.
pub(crate) fn items(n: usize) -> Vec<Value> {
    (0..n).map(|n| json!({ "custom_id": format!("r-{n}"), "prompt": format!("question {n}") })).collect()
}

fn submitted(api: &Api, body: &Value) -> Value {
    let answer = api.post("/api/v1/jobs", body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["job"].clone()
}

fn over(api: &Api, job: &Value) -> Value {
    loop {
        let job = api.get(&path(job, "")).json()["job"].clone();
        if !job["finished_at"].is_null() {
            return job;
        }
        std::thread::yield_now();
    }
}

fn path(job: &Value, rest: &str) -> String {
    format!("/api/v1/jobs/{}{rest}", job["job_id"].as_str().unwrap())
}

fn found(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn a_job_goes_in_and_its_rows_come_out_as_the_commands_print_them() {
    let daemon = Daemon::start();
    let api = &daemon.api;
    let job = submitted(api, &json!({ "items": items(20), "name": "reviews", "max_cost": "$1" }));
    assert_eq!(job["name"], "reviews");
    let job = over(api, &job);
    assert_eq!((&job["state"], &job["counts"]["succeeded"]), (&json!("completed"), &json!(20)));
    let id = job["job_id"].as_str().unwrap();
    for (rest, command) in [
        ("", format!("status {id}")),
        ("/items?limit=100", format!("items {id}")),
        ("/items/r-7", format!("show {id} r-7")),
    ] {
        let ran = daemon.overnight.run(&format!("{command} --json"));
        let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(found(api.get(&path(&job, rest))), printed, "{command}");
    }
    let ran = daemon.overnight.run("windows --json");
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found(api.get("/api/v1/windows"))["schema"], printed["schema"]);
    let attempts = found(api.get(&path(&job, "/attempts?limit=5&skip=10")));
    assert_eq!((attempts["attempts"].as_array().unwrap().len(), &attempts["more"]), (5, &json!(5)));
    let file = api.get(&path(&job, "/results.parquet"));
    assert_eq!((file.status, &file.body[..4]), (200, &b"PAR1"[..]), "{:?}", file.headers);
    let points = found(api.get(&path(&job, "/timeline")))["points"].clone();
    assert_eq!(points.as_array().unwrap().last().unwrap()["ended"], 20, "{points}");
    let report = found(api.get(&format!("/api/v1/report?job={id}&by=model")));
    assert_eq!(report["total"]["succeeded"], 20);
    let spend = found(api.get("/api/v1/spend"));
    assert_eq!(spend["cost_usd"], job["cost_usd"]);
}

#[test]
fn pages_of_items_follow_each_other() {
    let daemon = Daemon::start();
    let job = over(&daemon.api, &submitted(&daemon.api, &json!({ "items": items(25) })));
    let mut seen = Vec::new();
    for skip in [0, 10, 20] {
        let page = found(daemon.api.get(&path(&job, &format!("/items?limit=10&skip={skip}"))));
        let ids: Vec<String> =
            page["items"].as_array().unwrap().iter().map(|item| item["custom_id"].to_string()).collect();
        assert_eq!(page["more"].as_u64().unwrap() as usize, 25 - skip - ids.len());
        seen.extend(ids);
    }
    let wanted: Vec<String> = (0..25).map(|n| format!("\"r-{n}\"")).collect();
    assert_eq!(seen, wanted);
    refused(&daemon.api.get(&path(&job, "/items/none")), 404, "no_such_item");
}

#[test]
fn a_request_sent_again_under_its_key_makes_no_second_job() {
    let daemon = Daemon::start();
    let body = json!({ "items": items(3) });
    let send = |api: &Api, body: &Value, key: &str| {
        let headers = ["content-type: application/json", &format!("idempotency-key: {key}")];
        api.request("POST", "/api/v1/jobs", &headers, body.to_string().as_bytes())
    };
    let first = send(&daemon.api, &body, "k-1");
    assert_eq!(first.status, 201, "{first:?}");
    let again = send(&daemon.api, &body, "k-1");
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["job"]["job_id"], first.json()["job"]["job_id"]);
    refused(&send(&daemon.api, &json!({ "items": items(4) }), "k-1"), 422, "idempotency_key_reused");
    assert_eq!(send(&daemon.api, &body, "k-2").status, 201);
    let daemon = daemon.again();
    assert_eq!(send(&daemon.api, &body, "k-1").status, 200, "a daemon started anew knows it too");
    assert_eq!(found(daemon.api.get("/api/v1/jobs"))["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_job_can_be_paused_resumed_cancelled_and_asked_again() {
    let daemon = Daemon::with(provider(Duration::from_secs(600)), "");
    let api = &daemon.api;
    let job = submitted(api, &json!({ "items": items(5) }));
    let change = |verb: &str| api.request("POST", &path(&job, verb), &[], b"");
    assert_eq!(found(change("/pause"))["job"]["paused"], true);
    let resumed = api.post(&path(&job, "/resume"), &json!({ "max_cost": "$3" }));
    assert_eq!(found(resumed)["job"]["max_cost_usd"], 3.0);
    let cancelled = found(change("/cancel"));
    assert_eq!(cancelled["schema"], "overnight.cancel/1");
    refused(&api.post(&path(&job, "/resume"), &json!({ "max_cots": "$3" })), 400, "invalid_json");
    refused(&api.get("/api/v1/jobs/job_0000000000"), 404, "not_found");
    refused(&api.get("/api/v1/jobs/..%2f..%2fetc"), 404, "not_found");
    refused(&api.post("/api/v1/jobs", &json!({ "items": [{ "nothing": 1 }] })), 400, "invalid_request");
}

#[test]
fn what_lines_would_come_to_is_said_and_nothing_is_queued() {
    let daemon = Daemon::start();
    let plan = found(daemon.api.post("/api/v1/plan", &json!({ "items": items(50), "deadline": "8h" })));
    assert_eq!((&plan["schema"], &plan["plans"][0]["items"]), (&json!("overnight.plan/1"), &json!(50)));
    assert!(plan["plans"][0]["expected_usd"].as_f64().unwrap() > 0.0, "{plan}");
    assert_eq!(found(daemon.api.get("/api/v1/jobs"))["jobs"], json!([]));
    let left = std::fs::read_dir(daemon.overnight.path().join("files")).unwrap().count();
    assert_eq!(left, 0, "the draft is removed");
}

#[test]
fn a_tenant_sees_its_own_jobs_rows_and_money_only() {
    let daemon = Daemon::start();
    let (acme, other) = (daemon.token("acme"), daemon.token("other"));
    let operator = daemon.token("--operator");
    let job = over(&acme, &submitted(&acme, &json!({ "items": items(3), "name": "secret" })));
    for rest in ["", "/items", "/items/r-1", "/attempts", "/timeline", "/results.parquet"] {
        assert_eq!(acme.get(&path(&job, rest)).status, 200, "{rest}");
        assert_eq!(operator.get(&path(&job, rest)).status, 200, "{rest}");
        refused(&other.get(&path(&job, rest)), 404, "not_found");
    }
    for verb in ["/pause", "/resume", "/cancel", "/retry"] {
        refused(&other.request("POST", &path(&job, verb), &[], b""), 404, "not_found");
    }
    assert_eq!(found(other.get("/api/v1/jobs"))["jobs"], json!([]));
    assert_eq!(found(other.get("/api/v1/spend"))["cost_usd"], 0.0);
    assert_eq!(found(other.get("/api/v1/report?since=2d"))["total"]["attempts"], 0);
    assert_eq!(found(acme.get("/api/v1/report?since=2d"))["total"]["succeeded"], 3);
    let id = job["job_id"].as_str().unwrap();
    refused(&other.get(&format!("/api/v1/report?job={id}")), 404, "not_found");
    assert!(!events(&other, None, 1)[0].1.contains("secret"));
    assert!(events(&acme, None, 1)[0].1.contains("secret"));
}

/// The next events: their ids and everything.
fn events(api: &Api, last: Option<&str>, n: usize) -> Vec<(String, String)> {
    let mut stream = TcpStream::connect(api.address).unwrap();
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{last}\r\n",
        api.address, api.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream)
        .lines()
        .map(|line| String::from_utf8_lossy(line.unwrap().as_bytes()).into_owned());
    let mut found = Vec::new();
    let mut id = String::new();
    let mut text = String::new();
    while found.len() < n {
        let line = lines.next().expect("the stream goes on");
        match line.strip_prefix("id: ") {
            Some(now) => (id, text) = (now.to_owned(), String::new()),
            None if line.is_empty() && !text.is_empty() && !id.is_empty() => {
                found.push((std::mem::take(&mut id), std::mem::take(&mut text)));
            }
            None => text += &line,
        }
    }
    found
}

#[test]
fn events_go_on_where_they_were_cut_off() {
    let daemon = Daemon::with(provider(Duration::from_secs(600)), "");
    let api = &daemon.api;
    let job = submitted(api, &json!({ "items": items(2), "name": "reviews" }));
    let (_, first) = &events(api, None, 1)[0];
    assert!(first.starts_with("event: jobs"), "{first}");
    // The board may be a look behind; what follows brings it up to date.
    let mut last = events(api, None, 1)[0].0.clone();
    found(api.request("POST", &path(&job, "/pause"), &[], b""));
    let mut heard = BTreeMap::new();
    while heard.get("paused") != Some(&true) {
        let (id, text) = events(api, Some(&last), 1).remove(0);
        assert!(!text.starts_with("event: jobs"), "everything anew, although nothing was missed: {text}");
        heard.insert("paused", text.contains("\"paused\":true"));
        last = id;
    }
    let (_, anew) = &events(api, Some("another-7"), 1)[0];
    assert!(anew.starts_with("event: jobs"), "{anew}");
}

#[test]
fn every_operation_of_the_description_is_there() {
    let daemon = Daemon::start();
    let api = &daemon.api;
    let job = over(api, &submitted(api, &json!({ "items": items(2) })));
    let openapi = found(api.get("/api/v1/openapi.json"));
    let mut n = 0;
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        let real = path.replace("{job_id}", job["job_id"].as_str().unwrap()).replace("{custom_id}", "r-1");
        for method in ["get", "post"].into_iter().filter(|method| operations.get(method).is_some()) {
            n += 1;
            if path == "/api/v1/events" {
                continue;
            }
            let answer = match method {
                "get" => api.get(&real),
                _ => api.post(&real, &json!({})),
            };
            // Bad requests and jobs that are over are told of; the path and the method are known.
            assert!([200, 400, 404, 409].contains(&answer.status), "{method} {real}: {answer:?}");
            assert!(answer.status != 404 || answer.json()["error"]["code"] == "no_such_item", "{answer:?}");
        }
    }
    assert_eq!(n, 21);
}

#[test]
fn the_description_is_openapi() {
    let python = std::env::var_os("OVERNIGHT_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/serve/native/openapi.json");
    let output = Command::new(python).args(["-m", "openapi_spec_validator", file]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("OK"), "{said}{trouble}; run tests/run");
}
