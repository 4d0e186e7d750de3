//! Nobody sees another's files, jobs or spend, whatever route they take.

use serde_json::{Value, json};

use super::batches::{content, create, lines, until};
use super::files::uploaded;
use super::{Daemon, refused};

#[test]
fn what_is_anothers_is_not_there_on_any_route() {
    let daemon = Daemon::start();
    let (acme, other) = (daemon.token("acme"), daemon.token("other"));
    let operator = daemon.token("--operator");
    let file = uploaded(&acme, &lines(2));
    let done = until(&acme, &create(&acme, &file, &json!({})), &["completed"]);
    let (batch, output) = (done["id"].as_str().unwrap(), done["output_file_id"].as_str().unwrap());
    for id in [&file, output] {
        for (method, path) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
            let answer = other.request(method, &format!("/v1/files/{id}{path}"), &[], b"");
            refused(&answer, 404, "not_found");
        }
    }
    refused(&other.get(&format!("/v1/batches/{batch}")), 404, "not_found");
    refused(&other.post(&format!("/v1/batches/{batch}/cancel"), &json!({})), 404, "not_found");
    let theirs =
        json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    refused(&other.post("/v1/batches", &theirs), 400, "file_not_found");
    for list in ["/v1/files", "/v1/batches"] {
        assert_eq!(other.get(list).json()["data"], json!([]), "{list}");
        assert!(other.get(&format!("{list}?after={batch}")).json()["data"].as_array().unwrap().is_empty());
        assert!(!acme.get(list).json()["data"].as_array().unwrap().is_empty(), "{list}");
        assert!(!operator.get(list).json()["data"].as_array().unwrap().is_empty(), "{list}");
    }
    // What is the operator's is not a tenant's either.
    let own = uploaded(&operator, &lines(1));
    refused(&acme.get(&format!("/v1/files/{own}")), 404, "not_found");
    // A foreign id is told from one that does not exist by nothing but the id.
    let mut missing = file.clone();
    missing.replace_range(missing.len() - 4.., "0000");
    let shape = |id: &str| other.get(&format!("/v1/files/{id}")).text().replace(id, "ID");
    assert_eq!(shape(&file), shape(&missing));
    assert_eq!(acme.get(&format!("/v1/files/{file}")).status, 200, "nothing of it was harmed");
}

#[test]
fn jobs_carry_the_tags_of_their_tenant_and_lines_cannot_change_them() {
    let daemon = Daemon::start();
    let acme = daemon.token("acme --tag team=search");
    let done = until(
        &acme,
        &create(&acme, &uploaded(&acme, &lines(1)), &json!({ "overnight": { "tags": { "run": "7" } } })),
        &["completed"],
    );
    assert_eq!(content(&acme, &done["output_file_id"]).len(), 1);
    assert_eq!(daemon.overnight.job()["tags"], json!({ "run": "7", "team": "search", "tenant": "acme" }));
    for tag in ["tenant", "team"] {
        let mut line: Value = serde_json::from_slice(&lines(1)).unwrap();
        line["overnight"] = json!({ "tags": { tag: "other" } });
        let file = uploaded(&acme, line.to_string().as_bytes());
        let failed = until(&acme, &create(&acme, &file, &json!({})), &["failed"]);
        let message = failed["errors"]["data"][0]["message"].as_str().unwrap();
        assert!(message.contains("set by your token"), "{line}{failed}");
        let body = json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
                           "metadata": { "overnight_tags": format!("{tag}=other") } });
        assert_eq!(acme.post("/v1/batches", &body).status, 400);
    }
}

#[test]
fn a_tenant_uses_its_models_and_no_others() {
    let daemon = Daemon::start();
    let acme = daemon.token("acme --model sim/large");
    let text = String::from_utf8(lines(1)).unwrap();
    let file = uploaded(&acme, text.as_bytes());
    let failed = until(&acme, &create(&acme, &file, &json!({})), &["failed"]);
    assert_eq!(failed["errors"]["data"][0]["code"], "model_not_allowed", "{failed}");
    for more in
        [json!({ "overnight": { "models": "sim/small" } }), json!({ "overnight": { "models": "sim/*" } })]
    {
        let failed = until(&acme, &create(&acme, &file, &more), &["failed"]);
        assert_eq!(failed["errors"]["data"][0]["code"], "model_not_allowed", "{failed}");
    }
    let chat = |model: &str| {
        acme.post(
            "/v1/chat/completions",
            &json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }),
        )
    };
    refused(&chat("sim/small"), 400, "model_not_allowed");
    refused(&chat("auto"), 400, "model_not_allowed");
    assert_eq!(chat("sim/large").status, 200);
    assert!(acme.get("/v1/models/sim/small").status == 404 && acme.get("/v1/models/sim/large").status == 200);
}

#[test]
fn budgets_hold_for_a_tenant() {
    let daemon = Daemon::with(
        super::provider(std::time::Duration::ZERO),
        "[budget.tags.\"tenant=acme\"]\ntotal = \"$0.000001\"\n",
    );
    let (acme, other) = (daemon.token("acme"), daemon.token("other"));
    let held = create(&acme, &uploaded(&acme, &lines(2)), &json!({}));
    until(&other, &create(&other, &uploaded(&other, &lines(2)), &json!({})), &["completed"]);
    let path = format!("/v1/batches/{}", held["id"].as_str().unwrap());
    let held = loop {
        let held = acme.get(&path).json();
        assert_ne!(held["status"], "completed", "{held}");
        if held["overnight"]["waiting_for"].is_string() {
            break held;
        }
    };
    assert!(held["overnight"]["waiting_for"].as_str().unwrap().starts_with("budget"), "{held}");
    assert_eq!(held["request_counts"]["completed"], 0);
}
