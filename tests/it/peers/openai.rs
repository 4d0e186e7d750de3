//! What we send and what our simulated provider answers, judged by the types of OpenAI's own SDK.

use std::io::Write;
use std::process::{Command, Stdio};

use overnight::attempt::Outcome;
use overnight::job::Wire;
use overnight::provider::simulated::FaultChange;
use serde_json::{Value, json};

use super::process::{installed, ours};
use super::{KEY, Peer, fault, only, upstream};
use crate::families::{question, with};
use crate::support::profile;
use crate::support::script::{Say, Script};

/// Bodies, and what each should be.
#[derive(Default)]
struct Docket(Vec<(&'static str, Value)>);

impl Docket {
    fn add(&mut self, kind: &'static str, body: &[u8]) {
        let body = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{kind}: {error}"));
        self.0.push((kind, body));
    }

    /// What the SDK's types say against each of them.
    fn complaints(&self) -> Vec<Vec<String>> {
        let mut command = Command::new(installed("peers/bin/python"));
        command.arg(ours("openai_types.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut judge = command.spawn().unwrap();
        let mut lines = judge.stdin.take().unwrap();
        let docket: String =
            self.0.iter().map(|(kind, body)| format!("{}\n", json!({"kind": kind, "body": body}))).collect();
        let writer = std::thread::spawn(move || lines.write_all(docket.as_bytes()));
        let output = judge.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let why = |line: &str| {
            let said: Value = serde_json::from_str(line).unwrap();
            said["why"].as_array().unwrap().iter().map(|why| why.as_str().unwrap().to_owned()).collect()
        };
        let said: Vec<Vec<String>> = String::from_utf8(output.stdout).unwrap().lines().map(why).collect();
        assert_eq!(said.len(), self.0.len(), "the judge gave up");
        said
    }

    fn is_as_published(&self) {
        for ((kind, body), why) in self.0.iter().zip(self.complaints()) {
            assert!(why.is_empty(), "{kind}: {why:#?} in {body}");
        }
    }
}

fn tools() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": parameters}}])
}

fn schema() -> Value {
    let schema =
        json!({"type": "object", "properties": {"mood": {"enum": ["pos", "neg"]}}, "required": ["mood"]});
    json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
}

/// Requests of every format, each with as much in it as can be translated.
fn requests() -> Vec<(Wire, Value)> {
    let image = "data:image/png;base64,AAAA";
    let chat = with(json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": image}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "user", "content": "so?"}
        ],
        "tools": tools(), "tool_choice": "required", "response_format": schema(), "stop": ["END"],
        "temperature": 0.2, "top_p": 0.9, "seed": 7
    }));
    let messages = json!({
        "max_tokens": 60, "system": "Be brief.", "temperature": 0.2, "top_p": 0.9, "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]}
        ],
        "tools": [{"name": "weather", "description": "of a city", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "any"}
    });
    let contents = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}],
        "generationConfig": {
            "maxOutputTokens": 60, "temperature": 0.2, "topP": 0.9, "stopSequences": ["END"], "seed": 7,
            "responseMimeType": "application/json", "responseJsonSchema": schema()["json_schema"]["schema"]
        }
    });
    let response = json!({
        "instructions": "Be brief.", "input": [{"role": "user", "content": "What is it?"}], "max_output_tokens": 60,
        "temperature": 0.2
    });
    vec![
        (Wire::Chat, question()),
        (Wire::Chat, chat),
        (Wire::Messages, messages),
        (Wire::GenerateContent, contents),
        (Wire::Responses, response),
        (Wire::Embeddings, json!({"input": ["a", "b"], "dimensions": 3, "encoding_format": "float"})),
        (Wire::Embeddings, json!({"input": [[1, 2], [3]]})),
    ]
}

#[test]
fn what_we_send_is_what_openai_publishes() {
    // One provider that takes responses as they are, and one that they are translated for.
    for (name, model) in [("openai", "gpt-5-mini"), ("groq", "m")] {
        let script = Script::always(Say::answer("yes"));
        let endpoint = profile::endpoint(name, &script.base_url(), KEY);
        let peer = Peer::new(endpoint, model);
        let mut docket = Docket::default();
        for (wire, body) in requests() {
            let ending = peer.ask(wire, &body);
            if let Outcome::Refused(refusal) = &ending.outcome {
                assert!(wire == Wire::Embeddings && refusal.http_status == 0, "{refusal:?}");
                continue;
            }
            let heard = script.heard().pop().unwrap();
            let kind = match heard.head.split(' ').nth(1) {
                Some("/v1/chat/completions") => "chat request",
                Some("/v1/responses") => "responses request",
                Some("/v1/embeddings") => "embeddings request",
                other => panic!("{other:?}"),
            };
            docket.add(kind, &heard.body);
        }
        assert!(docket.0.len() >= 5);
        docket.is_as_published();
    }
}

#[test]
fn what_the_simulator_answers_is_what_openai_publishes() {
    let provider = upstream();
    let endpoint = profile::endpoint("openai", &provider.base_url(), KEY);
    let peer = Peer::new(endpoint, "m");
    let mut docket = Docket::default();
    for changes in [
        json!({}),
        json!({"n": 2}),
        json!({"response_format": schema()}),
        json!({"tools": tools(), "tool_choice": "required"}),
    ] {
        docket.add("chat", &peer.answer(&with(changes)).body);
    }
    let tool = json!([{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": false}]);
    for changes in [json!({}), json!({"tools": tool, "tool_choice": "required"})] {
        let mut own = json!({"input": "What is it?", "max_output_tokens": 60});
        own.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        docket.add("response", &peer.answer_to(Wire::Responses, &own).body);
    }
    let own = json!({"input": ["a", "b"], "dimensions": 3, "encoding_format": "float"});
    docket.add("embeddings", &peer.answer_to(Wire::Embeddings, &own).body);
    for name in ["length", "refusal", "content-filter"] {
        only(&provider, fault(name));
        docket.add("chat", &peer.answer(&question()).body);
        let own = json!({"input": "What is it?", "max_output_tokens": 60});
        docket.add("response", &peer.answer_to(Wire::Responses, &own).body);
    }
    for change in refusals() {
        only(&provider, change);
        let body: Value = serde_json::from_slice(&peer.refusal().body).unwrap();
        docket.add("error", body["error"].to_string().as_bytes());
    }
    docket.is_as_published();
}

fn refusals() -> Vec<FaultChange> {
    let retired = FaultChange { retire: vec!["m".to_owned()], ..FaultChange::default() };
    let revoked = FaultChange { revoke: vec![KEY.to_owned()], ..FaultChange::default() };
    vec![fault("429"), fault("500"), fault("503"), retired, revoked]
}

#[test]
fn the_judge_knows_what_is_wrong() {
    let docket = Docket(vec![
        ("chat request", json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})),
        ("chat request", json!({"model": "m", "messages": [{"role": "user"}]})),
        ("chat request", json!({"model": "m", "messages": [], "max_completion_tokenz": 5})),
        ("chat request", json!({"model": "m", "messages": [], "seed": "seven"})),
        ("model", json!({"id": "m", "created": 1, "object": "model", "owned_by": "me", "colour": "red"})),
    ]);
    let wrong: Vec<bool> = docket.complaints().iter().map(|why| !why.is_empty()).collect();
    assert_eq!(wrong, [false, true, true, true, true]);
}
