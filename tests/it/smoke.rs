//! `providers check` and its trials, against our simulated provider and against nobody.

use std::net::TcpListener;

use overnight::money::Price;
use overnight::provider::simulated::{Config, Fault, FaultRates, Faults, Limits, Model};
use overnight::simulate::{self, Handle};
use serde_json::Value;

use crate::support::{Overnight, Ran};

const KEY: &str = "the-key";

fn provider(faults: Faults) -> Handle {
    let price = Price { input: 100_000, output: 400_000, ..Price::default() };
    let limits = Limits { rpm: Some(60), tpm: Some(10_000), ..Limits::default() };
    let models = vec![Model { limits, ..Model::new("small", price) }, Model::new("large", price)];
    simulate::spawn(Config { seed: 7, models, keys: [KEY.to_owned()].into(), faults, ..Config::default() })
        .unwrap()
}

/// A folder whose config names the provider in every family, and one that is not there.
fn folder(provider: &Handle) -> Overnight {
    let overnight = Overnight::new();
    let address = provider.address();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lab = |name: &str, kind: &str, prefix: &str| {
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"http://{address}{prefix}\"\napi_key = \"env:LAB_KEY\"\n\
             [models.\"{name}/small\"]\nprice = {{ input = 0.1, output = 0.4 }}\nmax_output = 1_000\n\
             [models.\"{name}/retired\"]\nprice = {{ input = 0.01, output = 0.04 }}\nmax_output = 1_000\n"
        )
    };
    let families = [("lab", "openai", "/v1"), ("claude", "anthropic", "/v1"), ("flash", "gemini", "/v1beta")];
    let families: String = families.map(|(name, kind, prefix)| lab(name, kind, prefix)).concat();
    overnight.write(
        "overnight.toml",
        format!("{families}[providers.gone]\nkind = \"openai\"\nbase_url = \"http://{closed}/v1\"\n"),
    );
    overnight
}

fn row<'a>(document: &'a Value, name: &str) -> &'a Value {
    let rows = document["providers"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

#[test]
fn a_check_says_what_is_gone_and_costs_nothing() {
    let provider = provider(Faults::default());
    let overnight = folder(&provider);
    let ran = overnight.run_with_key("providers check lab gone --json", KEY);
    assert_eq!(ran.code, 6, "one that was named is not there: {ran:?}");
    let document = ran.json();
    assert_eq!(document["providers"].as_array().unwrap().len(), 2);
    let lab = row(&document, "lab");
    assert_eq!((&lab["state"], &lab["found"]["models"]), (&"ok".into(), &2.into()));
    assert_eq!(lab["found"]["gone"], serde_json::json!(["retired"]));
    assert_eq!(lab["found"]["clock_ahead_ms"], 0, "it is the same clock");
    assert_eq!(row(&document, "gone")["state"], "down");
    assert!(provider.log().is_empty() && document.get("smoke").is_none());
    let text = overnight.run_with_key("providers check lab", KEY);
    assert_eq!(text.code, 0);
    assert!(text.stdout.contains("lists no more: retired"), "{}", text.stdout);
    let wrong = overnight.run("providers check labb gonne");
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("\"labb\" (did you mean lab?)") && wrong.stderr.contains("gonne"),
        "{wrong:?}"
    );
}

#[test]
fn trials_are_made_in_every_family_once_they_are_agreed_to() {
    let provider = provider(Faults::default());
    let overnight = folder(&provider);
    let asked = overnight.run_with_key("providers check lab claude flash --smoke", KEY);
    assert_eq!(asked.code, 2, "nobody is there to agree: {asked:?}");
    assert!(
        asked.stderr.contains("send 15 tiny requests to claude, flash, lab now, for at most $0.0"),
        "{asked:?}"
    );
    assert!(provider.log().is_empty(), "so nothing is sent");

    let ran = overnight.run_with_key("providers check lab claude flash --smoke -y --json", KEY);
    assert_eq!(ran.code, 0, "{ran:?}");
    let document = ran.json();
    let smoke = document["smoke"].as_array().unwrap();
    assert_eq!(smoke.len(), 3);
    for provider in smoke {
        for trial in provider["trials"].as_array().unwrap() {
            assert_eq!(trial["verdict"], "works", "{}: {trial:#}", provider["provider"]);
        }
    }
    let log = provider.log();
    let billed: f64 = log.iter().map(|line| line.billed.as_f64()).sum();
    let said: f64 = smoke.iter().map(|smoke| smoke["cost_usd"].as_f64().unwrap()).sum();
    assert!((billed - said).abs() < 1e-12, "{billed} {said}");
    assert_eq!(log.len(), 15);
    let lab = &smoke[2];
    assert_eq!(lab["provider"], "lab");
    let last = &lab["trials"][4];
    assert_eq!(
        (&last["trial"], &last["understood_as"], &last["http_status"]),
        (&"error".into(), &"model_gone".into(), &404.into())
    );
    assert_eq!(last["error_fields"][0], "error.code");
    assert!(lab["trials"][0]["usage_fields"].to_string().contains("prompt_tokens"), "{lab}");
    assert!(lab["trials"][0]["headers"].to_string().contains("x-ratelimit-remaining-tokens"), "{lab}");
    assert!(lab["tokens_burned"].as_u64().is_some_and(|tokens| tokens > 0), "{lab}");

    let text = overnight.run_with_key("providers check claude --smoke -y --model large", KEY);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(
        text.stdout.contains("calls the tool") && text.stdout.contains("input_tokens"),
        "{}",
        text.stdout
    );
}

#[test]
fn a_provider_that_does_not_talk_fails_its_trials() {
    let rates = FaultRates::new(&[(Fault::ServerError, 1.0)]).unwrap();
    let provider = provider(Faults { rates, ..Faults::default() });
    let overnight = folder(&provider);
    let ran = overnight.run_with_key("providers check lab --smoke -y", KEY);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.stdout.contains("fails") && ran.stdout.contains("HTTP 500"), "{}", ran.stdout);
    let gone = overnight.run("providers check gone --smoke -y");
    assert_eq!(gone.code, 6);
    assert!(gone.stderr.contains("none of these providers can be tried out"), "{gone:?}");
}

#[test]
fn servers_on_this_machine_are_found_by_listening() {
    let overnight = Overnight::new();
    let listens = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let here = listens.local_addr().unwrap();
    overnight.write(
        "overnight.toml",
        format!("[providers.ollama]\nbase_url = \"http://{here}/v1\"\n[providers.vllm]\nbase_url = \"http://localhost:{}/v1\"\n", closed.port()),
    );
    let ran: Ran = overnight.run("providers --json");
    let document = ran.json();
    assert_eq!(row(&document, "ollama")["state"], "running");
    assert_eq!(row(&document, "vllm")["state"], "not running");
    assert_eq!(row(&document, "litellm")["state"], "ready", "a gateway may be anywhere");
}
