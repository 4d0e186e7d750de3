//! `model` may be the name of a ladder, wherever a model may be named.

use std::time::Duration;

use serde_json::{Value, json};

use super::batches::{create, lines, until};
use super::files::uploaded;
use super::http::Api;
use super::{Daemon, provider, refused};

const LADDERS: &str = "[ladders]\ncareful = [\"sim/small\", \"sim/large\"]\nlarge = \"sim/large\"\n";

fn daemon() -> Daemon {
    Daemon::with(provider(Duration::ZERO), LADDERS)
}

fn ids(api: &Api) -> Vec<String> {
    let models = api.get("/v1/models").json();
    models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// A line of a batch that asks for this model.
fn asking_for(model: &str) -> Vec<u8> {
    let mut line: Value = serde_json::from_slice(&lines(1)).unwrap();
    line["body"]["model"] = json!(model);
    line.to_string().into_bytes()
}

fn chat(api: &Api, model: &str) -> super::Answer {
    api.post(
        "/v1/chat/completions",
        &json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }),
    )
}

/// The models that the newest job may use, and its answer came from.
fn used(daemon: &Daemon, job: &str) -> Value {
    daemon.api.get(&format!("/api/v1/jobs/{job}")).json()["job"]["routes"][0]["route"].clone()
}

#[test]
fn a_ladder_is_a_model_by_its_name() {
    let daemon = daemon();
    assert_eq!(ids(&daemon.api)[..3], ["auto", "careful", "large"]);
    assert_eq!(daemon.api.get("/v1/models/careful").json()["owned_by"], "overnight");

    let answer = chat(&daemon.api, "large");
    assert_eq!(answer.json()["model"], "sim/large", "{answer:?}");
    let vectors = daemon.api.post("/v1/embeddings", &json!({ "model": "large", "input": "hi" }));
    assert_eq!(vectors.status, 200, "{vectors:?}");
    let responses = daemon.api.post("/v1/responses", &json!({ "model": "large", "input": "hi" }));
    assert_eq!(responses.status, 200, "{responses:?}");

    let file = uploaded(&daemon.api, &asking_for("large"));
    let batch = create(&daemon.api, &file, &json!({}));
    until(&daemon.api, &batch, &["completed"]);
    let job = batch["id"].as_str().unwrap().replace("batch_", "job_");
    assert_eq!(used(&daemon, &job), "sim/large");
    for asked in [json!({ "models": "large" }), json!({ "models": ["large"] })] {
        let batch = create(&daemon.api, &file, &json!({ "overnight": asked }));
        until(&daemon.api, &batch, &["completed"]);
    }

    let items = json!({ "items": [{ "prompt": "hi" }], "models": "auto" });
    assert_eq!(daemon.api.post("/api/v1/jobs", &items).status, 201);
    let unknown = json!({ "items": [{ "prompt": "hi" }], "models": "carefull" });
    let unknown = daemon.api.post("/api/v1/jobs", &unknown);
    refused(&unknown, 400, "no_route");
    assert!(unknown.text().contains("there are auto, careful, large, "), "{unknown:?}");
}

#[test]
fn a_tenant_climbs_no_ladder_with_a_model_it_may_not_use() {
    let daemon = daemon();
    let acme = daemon.token("acme --model sim/small");
    assert_eq!(ids(&acme), ["auto", "sim/small"]);
    refused(&acme.get("/v1/models/careful"), 404, "not_found");

    let refusal = chat(&acme, "careful");
    refused(&refusal, 400, "model_not_allowed");
    assert!(refusal.text().contains("sim/large") && refusal.text().contains("there are auto, sim/small"));
    let file = uploaded(&acme, &asking_for("careful"));
    for more in [json!({}), json!({ "overnight": { "models": "careful" } })] {
        let failed = until(&acme, &create(&acme, &file, &more), &["failed"]);
        assert_eq!(failed["errors"]["data"][0]["code"], "model_not_allowed", "{failed}");
    }
    let line = json!({ "items": [{ "prompt": "hi", "overnight": { "models": ["careful"] } }] });
    refused(&acme.post("/api/v1/jobs", &line), 400, "model_not_allowed");

    // Its own share of the usual ladder is open to it.
    let answer = chat(&acme, "auto");
    assert_eq!(answer.json()["model"], "sim/small", "{answer:?}");
    let job = answer.header("x-overnight-job-id").unwrap();
    for models in ["careful", "large", "sim/*", "s?m/large"] {
        let retried = acme.post(&format!("/api/v1/jobs/{job}/retry"), &json!({ "models": [models] }));
        refused(&retried, 400, "model_not_allowed");
    }
}
