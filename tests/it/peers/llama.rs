use overnight::attempt::{Finish, Outcome, RefusalKind};
use overnight::job::Wire;
use serde_json::{Value, json};

use super::process::{self, Process};
use super::{KEY, Peer};
use crate::families::{question, with};
use crate::support::{Overnight, Ran, profile};

fn peer(server: &Process) -> Peer {
    Peer::new(profile::endpoint("llamacpp", &format!("{}/v1", server.address), KEY), "tiny")
}

/// The model is noise, so that what it says is; how long it is and what form it has is not.
#[test]
fn a_real_server_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let server = process::llama(folder.path());
    let tiny = peer(&server);

    let cut = tiny.answer(&with(json!({"max_completion_tokens": 8, "seed": 1, "temperature": 0})));
    let usage = cut.usage.unwrap();
    assert_eq!((cut.finish, usage.output), (Finish::Truncated, 8));
    assert!(usage.input > 10 && cut.request_id.is_some());
    assert_eq!(cut.response_model.as_deref(), Some("tiny"));

    let schema =
        json!({"type": "object", "properties": {"mood": {"enum": ["pos", "neg"]}}, "required": ["mood"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let answer =
        tiny.answer(&with(json!({"response_format": format, "max_completion_tokens": 300, "seed": 1})));
    assert_eq!(answer.finish, Finish::Complete);
    let said: Value = serde_json::from_str(&answer.text).unwrap();
    assert!(jsonschema::is_valid(&schema, &said), "even noise keeps to a grammar: {said}");

    // The same prompt again is read from its cache, and said so.
    let again = tiny.answer(&with(json!({"max_completion_tokens": 8, "seed": 1, "temperature": 0})));
    assert!(again.usage.unwrap().cache_read > 0, "{:?}", again.usage);
    assert_eq!(again.text, cut.text);

    let vectors = tiny.answer_to(Wire::Embeddings, &json!({"input": ["one", "another"]}));
    let numbers: Vec<Vec<f64>> = serde_json::from_str(&vectors.text).unwrap();
    assert_eq!((numbers.len(), numbers[0].len()), (2, 64));
    assert!(vectors.usage.unwrap().input > 5);
}

#[test]
fn a_real_servers_refusals_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let server = process::llama(folder.path());
    let tiny = peer(&server);
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(400)}]});
    assert_eq!(tiny.refusal_of(&long).kind, RefusalKind::TooLong);
    assert_eq!(tiny.refusal_of(&json!({"messages": "hi"})).kind, RefusalKind::Invalid);
    let stranger = profile::endpoint("llamacpp", &format!("{}/v1", server.address), "wrong");
    assert_eq!(Peer::new(stranger, "tiny").refusal().kind, RefusalKind::Auth);
    drop(server);
    let outcome = tiny.ask(Wire::Chat, &question()).outcome;
    assert!(matches!(outcome, Outcome::NotSent { .. } | Outcome::Unknown { .. }), "{outcome:?}");
}

#[test]
fn a_job_on_ones_own_machine_is_free() {
    let overnight = Overnight::new();
    let server = process::llama(overnight.path());
    let line = |n: u32| {
        let prompt = format!("Write of the number {n}.");
        format!("{}\n", json!({"id": format!("r-{n}"), "prompt": prompt, "max_tokens": 12}))
    };
    overnight.write("prompts.jsonl", (0..20).map(line).collect::<String>());
    overnight.write(
        "overnight.toml",
        format!(
            "[defaults]\nmodels = [\"llamacpp/tiny\"]\nwhen = \"asap\"\n[providers.llamacpp]\nbase_url = \"{}/v1\"\n",
            server.address
        ),
    );
    let mut command = overnight.command("run prompts.jsonl -q --json");
    let ran = Ran::of(&command.env("LLAMA_API_KEY", KEY).output().unwrap());
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let job = &ran.json()["jobs"][0];
    assert_eq!(job["cost_pico_usd"], 0, "{job}");
    assert_eq!(
        job["counts"]["succeeded"].as_u64().unwrap() + job["counts"]["failed"].as_u64().unwrap(),
        20,
        "{job}"
    );
}
