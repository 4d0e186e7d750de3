use overnight::attempt::RefusalKind;
use overnight::job::Wire;
use overnight::simulate::Handle;
use serde_json::json;

use super::process::{self, Process};
use super::{
    KEY, Peer, answers_arrive, refusals_keep_their_meaning, upstream, what_breaks_may_have_been_billed,
};
use crate::books::Ours;
use crate::families::question;
use crate::reviews;
use crate::support::{Overnight, Ran, profile};

/// What the proxy lets in.
const MASTER: &str = "sk-master";

/// A proxy before our simulated provider, with mocks of its own beside.
fn start(folder: &std::path::Path, provider: &Handle) -> Process {
    let base = provider.base_url();
    let behind = |name: &str, model: &str, more: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/{model}, api_base: \"{base}\", api_key: {KEY}}}\n    \
             model_info: {{input_cost_per_token: 1.0e-7, output_cost_per_token: 4.0e-7, cache_read_input_token_cost: 1.0e-8{more}}}\n"
        )
    };
    let mock = |name: &str, says: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/gpt-4o-mini, api_key: x, mock_response: \"{says}\"}}\n"
        )
    };
    let models = [
        behind("m", "m", ""),
        behind("short", "short", ""),
        behind("vectors", "m", ", mode: embedding"),
        mock("mock", "a mocked answer"),
        mock("limited", "litellm.RateLimitError"),
        mock("long", "litellm.ContextWindowExceededError"),
        mock("broken", "litellm.InternalServerError"),
    ];
    let config = format!(
        "model_list:\n{}litellm_settings: {{num_retries: 0, telemetry: false}}\n\
         router_settings: {{num_retries: 0, disable_cooldowns: true}}\n\
         general_settings: {{master_key: {MASTER}}}\n",
        models.concat()
    );
    process::litellm(folder, &config)
}

fn peer(gateway: &Process, model: &str) -> Peer {
    Peer::new(profile::endpoint("litellm", &format!("{}/v1", gateway.address), MASTER), model)
}

#[test]
fn litellm_passes_on_what_is_said_behind_it() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), upstream());
    let gateway = start(folder.path(), &provider);
    let m = peer(&gateway, "m");
    answers_arrive(&m, &provider);
    // It keeps to itself how long to wait.
    refusals_keep_their_meaning(&m, &provider, false);
    what_breaks_may_have_been_billed(&m, &provider);
    assert_eq!(peer(&gateway, "short").refusal().kind, RefusalKind::TooLong);

    // The cost is the header's, exactly as it stands there.
    let answer = m.answer(&question());
    assert_eq!(answer.reported_cost, Some(provider.log().pop().unwrap().billed));
    assert_eq!(answer.response_model.as_deref(), Some("m"));

    let answer = m.answer_to(Wire::Responses, &json!({"input": "What is it?", "max_output_tokens": 60}));
    assert_eq!(answer.usage, provider.log().pop().unwrap().usage);
    assert!(answer.reported_cost.is_some() && answer.text.len() > 20);
    let vectors = peer(&gateway, "vectors").answer_to(Wire::Embeddings, &json!({"input": ["a", "b"]}));
    let numbers: Vec<Vec<f64>> = serde_json::from_str(&vectors.text).unwrap();
    assert_eq!(numbers.len(), 2);
    let billed = provider.log().pop().unwrap().usage.unwrap();
    assert_eq!(vectors.usage.unwrap().input, billed.input, "vectors are not read from a cache");
}

#[test]
fn litellms_own_words_are_understood() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), upstream());
    let gateway = start(folder.path(), &provider);
    let answer = peer(&gateway, "mock").answer(&question());
    assert_eq!(answer.text, "a mocked answer");
    assert!(answer.reported_cost.is_some(), "from the prices it comes with");
    for (model, kind) in [
        ("limited", RefusalKind::Rate),
        ("long", RefusalKind::TooLong),
        ("broken", RefusalKind::Server),
        ("nothere", RefusalKind::ModelGone),
    ] {
        let refusal = peer(&gateway, model).refusal();
        assert_eq!(refusal.kind, kind, "its code is the status as text: {refusal:?}");
    }
    let stranger = profile::endpoint("litellm", &format!("{}/v1", gateway.address), "sk-wrong");
    assert_eq!(Peer::new(stranger, "m").refusal().kind, RefusalKind::Auth);
    assert!(provider.log().is_empty(), "none of it went further");
}

#[test]
fn a_job_through_litellm_costs_what_its_headers_say() {
    const ITEMS: i64 = 60;
    let provider = upstream();
    let overnight = Overnight::new();
    let gateway = start(overnight.path(), &provider);
    reviews::write(overnight.path(), ITEMS);
    overnight.write(
        "overnight.toml",
        format!(
            "[defaults]\nmodels = [\"litellm/m\"]\nwhen = \"asap\"\n\
             [providers.litellm]\nbase_url = \"{}/v1\"\nmax_concurrency = 8\n\
             [models.\"litellm/m\"]\nprice = {{ input = 0.1, output = 0.4, cache_read = 0.01 }}\nmax_output = 1_000\n",
            gateway.address
        ),
    );
    let mut command = overnight.command("run reviews.jsonl --check schema:review.schema.json -q --json");
    let ran = Ran::of(&command.env("LITELLM_API_KEY", MASTER).output().unwrap());
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let ours = Ours::read(&overnight.path().join("overnight-results"));
    ours.has_each_item_once(ITEMS, reviews::name);
    assert!(ours.attempts.iter().all(|attempt| attempt.basis == "reported"), "{:?}", ours.attempts);
    let paid: i64 = ours.attempts.iter().map(|attempt| attempt.cost_nano).sum();
    let billed: i64 = provider.log().iter().map(|line| line.billed.nano()).sum();
    assert_eq!(paid, billed);
}

#[test]
fn what_litellm_can_do_is_told() {
    let provider = upstream();
    let overnight = Overnight::new();
    let gateway = start(overnight.path(), &provider);
    overnight
        .write("overnight.toml", format!("[providers.litellm]\nbase_url = \"{}/v1\"\n", gateway.address));
    let mut command = overnight.command("providers check litellm --smoke --model m -y --json");
    let ran = Ran::of(&command.env("LITELLM_API_KEY", MASTER).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let document = ran.json();
    assert_eq!(document["providers"][0]["found"]["models"], 7, "{document}");
    let smoke = &document["smoke"][0];
    let trial =
        |name: &str| smoke["trials"].as_array().unwrap().iter().find(|trial| trial["trial"] == name).unwrap();
    for name in ["chat", "json", "tools", "error"] {
        assert_eq!(trial(name)["verdict"], "works", "{smoke:#}");
    }
    assert!(trial("chat")["headers"].to_string().contains("x-litellm-response-cost"), "{smoke:#}");
    let billed = provider.log()[0].billed.as_f64();
    assert_eq!(trial("chat")["cost_usd"], billed, "the cost is the header's");
    assert!(trial("stream")["cost_usd"].is_null(), "before the end of a stream it does not know");
}
