//! Every provider of the bundled table by its own profile: path, key, error codes, headers.
//!
//! A scripted server stands where the provider would; what is not of the profile, the host, is all that
//! is replaced.

use std::sync::Arc;
use std::time::Duration;

use overnight::attempt::{Outcome, RefusalKind};
use overnight::batch::{Mark, Order};
use overnight::catalog::{Catalog, Route};
use overnight::clock;
use overnight::engine::Call;
use overnight::job::{AttemptId, JobId, Wire};
use overnight::provider::batch::Draft;
use overnight::provider::client::client;
use overnight::provider::http::HttpProvider;
use serde_json::json;

use crate::families::{item, question};
use crate::support::profile;
use crate::support::script::{Heard, Say, Script};

const KEY: &str = "the-key";

/// Asks a provider at a script, below the path its own address has; what came of it, and what it heard.
fn ask(name: &str, says: Say) -> (Outcome, Option<Duration>, Heard) {
    let script = Script::always(says);
    let base = below_its_path(name, &script.base_url());
    let adapter = HttpProvider::new(profile::endpoint(name, &base, KEY), client().unwrap()).unwrap();
    let route = Catalog::bundled().route(&format!("{name}/some-model"), clock::now()).unwrap();
    let route = Arc::new(Route { max_output: Some(500), ..Route::clone(&route) });
    let item = Arc::new(item(Wire::Chat, &question()));
    let call = Call { attempt: AttemptId(1), job: JobId::new("job_profiles"), route, item, beside: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ending = runtime.block_on(adapter.call(&call));
    (ending.outcome, ending.hints.reset_requests, script.heard().pop().unwrap())
}

/// The script's address with the path of the provider's.
fn below_its_path(name: &str, script: &str) -> String {
    let catalog = Catalog::bundled();
    let own = catalog.provider(name).unwrap().base_url.clone().unwrap();
    let path = own.splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
    format!("{}{path}", script.trim_end_matches("/v1"))
}

#[test]
fn requests_go_where_each_provider_takes_them_with_the_key_it_wants() {
    let bearer = "authorization: Bearer the-key";
    let chat = |path: &str| format!("{path}/chat/completions");
    for (name, path, key) in [
        ("openai", chat("/v1"), bearer),
        ("deepseek", chat(""), bearer),
        ("qwen", chat("/compatible-mode/v1"), bearer),
        ("qwen-cn", chat("/compatible-mode/v1"), bearer),
        ("qwen-batch", chat("/compatible-mode/v1"), bearer),
        ("zai", chat("/api/paas/v4"), bearer),
        ("zhipu", chat("/api/paas/v4"), bearer),
        ("mistral", chat("/v1"), bearer),
        ("openrouter", chat("/api/v1"), bearer),
        ("groq", chat("/openai/v1"), bearer),
        ("together", chat("/v1"), bearer),
        ("fireworks", chat("/inference/v1"), bearer),
        ("xai", chat("/v1"), bearer),
        ("azure", chat("/openai/v1"), "api-key: the-key"),
        ("litellm", chat("/v1"), bearer),
        ("portkey", chat("/v1"), bearer),
        ("tokenmix", chat("/v1"), bearer),
        ("openllmapi", chat("/v1"), bearer),
        ("vllm", chat("/v1"), bearer),
        ("llamacpp", chat("/v1"), bearer),
        ("ollama", chat("/v1"), ""),
        ("anthropic", "/v1/messages".to_owned(), "x-api-key: the-key"),
        ("gemini", "/v1beta/models/some-model:generateContent".to_owned(), "x-goog-api-key: the-key"),
    ] {
        let (_, _, heard) = ask(name, Say::answer("yes"));
        let head = heard.head.to_ascii_lowercase();
        assert!(
            head.starts_with(&format!("post {} http", path.to_ascii_lowercase())),
            "{name}: {}",
            heard.head
        );
        assert!(head.contains(&key.to_ascii_lowercase()), "{name}: {}", heard.head);
        assert_eq!(head.contains(KEY), !key.is_empty(), "{name}: {}", heard.head);
    }
}

/// Makes a batch of one request at a provider; what it heard.
fn make_batch(name: &str, address: impl FnOnce(&str) -> String, wire: Wire) -> Vec<Heard> {
    let made = json!({"id": "f", "file": {"name": "files/f"}, "name": "batches/b", "batch_id": "b",
        "status": "validating", "processing_status": "in_progress"});
    let script = Script::always(Say::json(200, made.to_string()));
    let endpoint = profile::endpoint(name, &address(&script.base_url()), KEY);
    let adapter = HttpProvider::new(endpoint, client().unwrap()).unwrap();
    let route = Catalog::bundled().route(&format!("{name}/some-model"), clock::now()).unwrap();
    let route = Route { wires: vec![wire], max_output: Some(500), ..Route::clone(&route) };
    let batches = adapter.batches().unwrap();
    let asks = match wire {
        Wire::Responses => item(wire, &json!({"input": "hi"})),
        _ => item(Wire::Chat, &question()),
    };
    let (wire, body) = batches.request(&asks, &route).unwrap();
    let order = Order { mark: Mark { store: 1, number: 1 }, model: route.model.clone(), wire };
    let folder = tempfile::tempdir().unwrap();
    let mut draft = Draft::new(folder.path(), order, batches.api().limits).unwrap();
    draft.add(AttemptId(1), &body, 10).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(batches.create(&mut draft)).unwrap();
    script.heard()
}

#[test]
fn batches_go_where_each_provider_takes_them_with_the_key_it_wants() {
    let bearer = "authorization: Bearer the-key";
    let over_file = |path: &str| vec![format!("{path}/files"), format!("{path}/batches")];
    for (name, wire, paths, key, says) in [
        ("openai", Wire::Chat, over_file("/v1"), bearer, r#""url":"/v1/chat/completions""#),
        ("openai", Wire::Responses, over_file("/v1"), bearer, r#""url":"/v1/responses""#),
        ("qwen", Wire::Chat, over_file("/compatible-mode/v1"), bearer, r#""url":"/v1/chat/completions""#),
        ("qwen-cn", Wire::Chat, over_file("/compatible-mode/v1"), bearer, r#""url":"/v1/chat/completions""#),
        ("zhipu", Wire::Chat, over_file("/api/paas/v4"), bearer, r#""url":"/v4/chat/completions""#),
        ("groq", Wire::Chat, over_file("/openai/v1"), bearer, r#""url":"/v1/chat/completions""#),
        ("together", Wire::Chat, over_file("/v1"), bearer, "\r\n\r\nbatch-api\r\n"),
        ("azure", Wire::Chat, over_file("/openai/v1"), "api-key: the-key", r#""model":"some-model""#),
        ("litellm", Wire::Chat, over_file("/v1"), bearer, "target_model_names"),
        ("xai", Wire::Chat, over_file("/v1"), bearer, r#""url":"/v1/chat/completions""#),
        (
            "mistral",
            Wire::Chat,
            vec!["/v1/files".to_owned(), "/v1/batch/jobs".to_owned()],
            bearer,
            r#""custom_id""#,
        ),
        ("openrouter", Wire::Chat, vec!["/api/v1/batches".to_owned()], bearer, r#""model":"some-model""#),
        (
            "anthropic",
            Wire::Messages,
            vec!["/v1/messages/batches".to_owned()],
            "x-api-key: the-key",
            r#""params""#,
        ),
        (
            "gemini",
            Wire::GenerateContent,
            vec!["/v1beta/models/some-model:batchGenerateContent".to_owned()],
            "x-goog-api-key: the-key",
            r#""displayName""#,
        ),
    ] {
        let heard = make_batch(name, |script| below_its_path(name, script), wire);
        let lines: Vec<&str> = heard.iter().filter_map(|heard| heard.head.lines().next()).collect();
        let expected: Vec<String> = paths.iter().map(|path| format!("POST {path} HTTP/1.1")).collect();
        assert_eq!(lines, expected, "{name}");
        for heard in &heard {
            let head = heard.head.to_ascii_lowercase();
            assert!(head.contains(&key.to_ascii_lowercase()), "{name}: {}", heard.head);
        }
        assert!(heard[0].text().contains(says), "{name}: {}", heard[0].text());
    }
}

/// Azure's older addresses want a version behind each; the batch is made of the deployment's name.
#[test]
fn the_version_of_an_azure_api_stays_behind_every_address_of_its_batches() {
    let version = "?api-version=2025-04-01-preview";
    let heard = make_batch("azure", |script| script.replace("/v1", &format!("/openai{version}")), Wire::Chat);
    let lines: Vec<&str> = heard.iter().filter_map(|heard| heard.head.lines().next()).collect();
    let post = |path: &str| format!("POST /openai{path}{version} HTTP/1.1");
    assert_eq!(lines, [post("/files"), post("/batches")]);
}

#[test]
fn the_limit_of_an_answer_has_the_name_each_provider_knows() {
    let newer = ["openai", "groq", "xai", "azure", "litellm", "portkey", "vllm"];
    let older =
        ["mistral", "together", "qwen", "zhipu", "openrouter", "deepseek", "fireworks", "ollama", "llamacpp"];
    for (names, field) in [(&newer[..], "max_completion_tokens"), (&older[..], "max_tokens")] {
        for name in names {
            let script = Script::always(Say::answer("yes"));
            let base = below_its_path(name, &script.base_url());
            let adapter = HttpProvider::new(profile::endpoint(name, &base, KEY), client().unwrap()).unwrap();
            let route = Catalog::bundled().route(&format!("{name}/some-model"), clock::now()).unwrap();
            // A request that is translated gets the name; one of the provider's own format keeps its bytes.
            let body = json!({"max_tokens": 60, "messages": [{"role": "user", "content": "hi"}]});
            let item = Arc::new(item(Wire::Messages, &body));
            let call =
                Call { attempt: AttemptId(1), job: JobId::new("job_profiles"), route, item, beside: None };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(adapter.call(&call));
            let sent: serde_json::Value = serde_json::from_slice(&script.heard()[0].body).unwrap();
            assert_eq!(sent[field], 60, "{name}: {sent}");
        }
    }
}

#[test]
fn each_providers_own_errors_mean_what_it_says_they_do() {
    use RefusalKind::{Auth, Blocked, Capacity, Invalid, ModelGone, NoCredit, Rate, Server, TooLong};
    let code = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
    let own = |code: &str| format!(r#"{{"code":"{code}","message":"m","request_id":"r"}}"#);
    for (name, status, body, kind) in [
        ("openai", 429, code("credit_balance_exhausted"), NoCredit),
        ("openai", 429, code("slow_down"), Rate),
        ("openai", 503, code("server_is_overloaded"), Capacity),
        ("deepseek", 402, code("invalid_request_error"), NoCredit),
        ("deepseek", 503, String::new(), Capacity),
        ("qwen", 429, code("insufficient_quota"), Rate),
        ("qwen", 403, own("Arrearage"), NoCredit),
        ("qwen-cn", 400, code("data_inspection_failed"), Blocked),
        ("zai", 429, code("1113"), NoCredit),
        ("zai", 429, code("1302"), Rate),
        // A day's or a plan's quota: the account waits for a person.
        ("zhipu", 429, code("1308"), NoCredit),
        ("zhipu", 429, code("1305"), Capacity),
        ("zhipu", 400, code("1261"), TooLong),
        ("mistral", 402, "{}".to_owned(), NoCredit),
        ("openrouter", 402, r#"{"error":{"code":402,"message":"m"}}"#.to_owned(), NoCredit),
        ("openrouter", 503, r#"{"error":{"code":503,"message":"m"}}"#.to_owned(), Capacity),
        ("groq", 498, code("capacity_exceeded"), Capacity),
        ("groq", 413, code("rate_limit_exceeded"), TooLong),
        ("together", 402, "{}".to_owned(), NoCredit),
        ("fireworks", 402, "{}".to_owned(), NoCredit),
        ("xai", 429, r#"{"error":"too many"}"#.to_owned(), Rate),
        ("azure", 404, code("DeploymentNotFound"), ModelGone),
        ("azure", 400, code("content_filter"), Blocked),
        ("tokenmix", 402, "{}".to_owned(), NoCredit),
        ("openllmapi", 401, "{}".to_owned(), Auth),
        (
            "vllm",
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens","code":400}"#
                .to_owned(),
            TooLong,
        ),
        (
            "ollama",
            404,
            r#"{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error"}}"#
                .to_owned(),
            ModelGone,
        ),
        (
            "anthropic",
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#.to_owned(),
            Capacity,
        ),
        (
            "gemini",
            400,
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#.to_owned(),
            Invalid,
        ),
        ("gemini", 500, r#"{"error":{"code":500,"message":"m","status":"INTERNAL"}}"#.to_owned(), Server),
    ] {
        let (outcome, ..) = ask(name, Say::json(status, body.clone()));
        let Outcome::Refused(refusal) = outcome else { panic!("{name} {status} {body}: {outcome:?}") };
        assert_eq!(refusal.kind, kind, "{name} {status} {body}");
    }
}

#[test]
fn each_providers_headers_are_read_in_its_own_way() {
    let chat = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}"#;
    let message = r#"{"type":"message","content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":5}}"#;
    for (name, header, body, seconds) in [
        ("openai", "x-ratelimit-reset-requests: 6m0s", chat, 360),
        ("groq", "x-ratelimit-reset-requests: 2m59.56s", chat, 179),
        ("mistral", "x-ratelimit-reset-requests: 30", chat, 30),
        ("litellm", "llm_provider-x-ratelimit-reset-requests: 12s", chat, 12),
        ("anthropic", "anthropic-ratelimit-requests-reset: 2020-01-01T00:00:00Z", message, 0),
    ] {
        let (outcome, reset, _) = ask(name, Say::with(200, header, body));
        assert!(matches!(outcome, Outcome::Answer(_)), "{name}: {outcome:?}");
        assert_eq!(reset.map(|reset| reset.as_secs()), Some(seconds), "{name}");
    }
    let cost = |name: &str, header: &str, body: &str| match ask(name, Say::with(200, header, body)).0 {
        Outcome::Answer(answer) => answer.reported_cost,
        other => panic!("{name}: {other:?}"),
    };
    let header = "x-litellm-response-cost: 1.32e-05";
    assert_eq!(cost("litellm", header, chat), Some("0.0000132".parse().unwrap()));
    assert_eq!(cost("openai", header, chat), None, "only where the profile says so");
    let own = chat.replace(r#""completion_tokens":5"#, r#""completion_tokens":5,"cost":0.00025"#);
    assert_eq!(cost("openrouter", "x-generation-id: gen-1", &own), Some("0.00025".parse().unwrap()));
}
