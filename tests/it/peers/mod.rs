//! Real peers on loopback: gateways of others in front of our simulated provider, and a real inference
//! server. Each is reached by its own profile of the bundled table, and all by one set of tests.
//!
//! What is installed for them, and how, is in `tests/run`.

use std::sync::Arc;
use std::time::Duration;

use overnight::attempt::{Answer, Ending, Finish, Outcome, Refusal, RefusalKind};
use overnight::catalog::endpoint::Endpoint;
use overnight::catalog::{Catalog, Route};
use overnight::clock;
use overnight::engine::Call;
use overnight::job::{AttemptId, JobId, Wire};
use overnight::money::Price;
use overnight::provider::client::client;
use overnight::provider::http::HttpProvider;
use overnight::provider::simulated::{Config, FaultChange, Model};
use overnight::simulate::{self, Handle};
use serde_json::{Value, json};

use crate::families::{item, question, with};

/// LiteLLM's proxy.
mod litellm;
/// llama.cpp's server.
mod llama;
/// OpenAI's published types.
mod openai;
/// Portkey's gateway.
mod portkey;
/// Their processes.
mod process;

/// What our simulated provider takes.
const KEY: &str = "the-key";

/// Somebody else's server, at the other end of our adapter.
struct Peer {
    adapter: HttpProvider,
    route: Arc<Route>,
}

impl Peer {
    fn new(endpoint: Endpoint, model: &str) -> Peer {
        let name = format!("{}/{model}", endpoint.provider);
        let route = Catalog::bundled().route(&name, clock::now()).unwrap();
        Peer { adapter: HttpProvider::new(endpoint, client().unwrap()).unwrap(), route }
    }

    fn ask(&self, wire: Wire, body: &Value) -> Ending {
        let call = Call {
            attempt: AttemptId(1),
            job: JobId::new("job_peers"),
            item: Arc::new(item(wire, body)),
            route: self.route.clone(),
            beside: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.adapter.call(&call))
    }

    #[track_caller]
    fn answer_to(&self, wire: Wire, body: &Value) -> Answer {
        match self.ask(wire, body).outcome {
            Outcome::Answer(answer) => answer,
            other => panic!("{}: {other:?}", self.route.name),
        }
    }

    #[track_caller]
    fn answer(&self, chat: &Value) -> Answer {
        self.answer_to(Wire::Chat, chat)
    }

    #[track_caller]
    fn refusal_of(&self, chat: &Value) -> Refusal {
        match self.ask(Wire::Chat, chat).outcome {
            Outcome::Refused(refusal) => refusal,
            other => panic!("{}: {other:?}", self.route.name),
        }
    }

    #[track_caller]
    fn refusal(&self) -> Refusal {
        self.refusal_of(&question())
    }
}

/// What stands behind a gateway.
fn upstream() -> Handle {
    let price = Price { input: 100_000, output: 400_000, cache_read: Some(10_000), ..Price::default() };
    let model = Model { cached_share: 0.3, reasoning_share: 0.2, ..Model::new("m", price) };
    let short = Model { context: Some(10), ..Model::new("short", price) };
    let config =
        Config { seed: 7, models: vec![model, short], keys: [KEY.to_owned()].into(), ..Config::default() };
    simulate::spawn(config).unwrap()
}

/// From now on this goes wrong there, and nothing else.
fn only(provider: &Handle, change: FaultChange) {
    provider.change(FaultChange { reset: true, ..change }).unwrap();
}

fn fault(name: &str) -> FaultChange {
    FaultChange { rates: [(name.to_owned(), 1.0)].into(), ..FaultChange::default() }
}

/// Every kind of answer arrives through a gateway as it was given behind it.
fn answers_arrive(gateway: &Peer, provider: &Handle) {
    let plain = gateway.answer(&question());
    assert_eq!(plain.finish, Finish::Complete);
    assert!(plain.text.len() > 20 && plain.request_id.is_some(), "{plain:?}");
    let billed = provider.log().pop().unwrap().usage.unwrap();
    assert_eq!(plain.usage, Some(billed), "what is passed on is what was billed");
    assert!(billed.cache_read > 0 && billed.reasoning > 0);

    let chat = with(json!({
        "temperature": 0.30000000000000004, "top_p": 0.9, "stop": ["END"],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "one of: red, green"}
        ]
    }));
    let short = gateway.answer(&chat);
    assert!(["red", "green"].contains(&&*short.text), "{}", short.text);

    let schema =
        json!({"type": "object", "properties": {"mood": {"enum": ["pos", "neg"]}}, "required": ["mood"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let answer = gateway.answer(&with(json!({"response_format": format})));
    assert!(jsonschema::is_valid(&schema, &serde_json::from_str(&answer.text).unwrap()), "{}", answer.text);

    let parameters =
        json!({"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]});
    let function = json!({"name": "weather", "parameters": parameters});
    let tools = json!([{"type": "function", "function": function}]);
    let answer = gateway.answer(&with(json!({"tools": tools, "tool_choice": "required"})));
    let calls: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(calls[0]["function"]["arguments"], r#"{"city":"Rome"}"#, "{calls}");

    only(provider, fault("length"));
    assert_eq!(gateway.answer(&question()).finish, Finish::Truncated);
    only(provider, FaultChange::default());
}

/// Refusals keep their meaning on the way through a gateway, and their waits where it passes them on.
fn refusals_keep_their_meaning(gateway: &Peer, provider: &Handle, waits_too: bool) {
    for (name, kind) in [("500", RefusalKind::Server), ("503", RefusalKind::Capacity)] {
        only(provider, fault(name));
        let refusal = gateway.refusal();
        assert_eq!(refusal.kind, kind, "{name}: {refusal:?}");
    }
    only(provider, fault("429"));
    let refusals: Vec<Refusal> = (0..12).map(|_| gateway.refusal()).collect();
    assert!(refusals.iter().all(|refusal| refusal.kind == RefusalKind::Rate), "{refusals:?}");
    let waits: Vec<Duration> = refusals.iter().filter_map(|refusal| refusal.retry_after).collect();
    assert!(waits.iter().all(|wait| *wait == Duration::from_secs(1)), "{waits:?}");
    let some = !waits.is_empty() && waits.len() < refusals.len();
    assert_eq!(some, waits_too, "every other one says how long: {waits:?}");

    only(provider, FaultChange { retire: vec!["m".to_owned()], ..FaultChange::default() });
    assert_eq!(gateway.refusal().kind, RefusalKind::ModelGone);
    only(provider, FaultChange { revoke: vec![KEY.to_owned()], ..FaultChange::default() });
    let refusal = gateway.refusal();
    assert_eq!(refusal.kind, RefusalKind::Auth);
    assert!(!format!("{refusal:?}").contains(KEY));
    only(provider, FaultChange { no_credit_after: Some("$0".to_owned()), ..FaultChange::default() });
    assert_eq!(gateway.refusal().kind, RefusalKind::NoCredit);
    only(provider, FaultChange::default());
}

/// What breaks behind a gateway was billed there, and is never taken for an answer or for nothing.
fn what_breaks_may_have_been_billed(gateway: &Peer, provider: &Handle) {
    for name in ["reset-billed", "cut-body", "garbage", "html"] {
        only(provider, fault(name));
        let outcome = gateway.ask(Wire::Chat, &question()).outcome;
        assert!(matches!(outcome, Outcome::Unknown { .. } | Outcome::Garbage { .. }), "{name}: {outcome:?}");
        assert!(provider.log().pop().unwrap().billed.pico() > 0);
    }
    only(provider, FaultChange::default());
}
