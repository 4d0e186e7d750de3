//! Every wire family by one set of tests: our adapter on one end of a real socket, the simulated
//! provider of that family on the other.
//!
//! What the families call things differs; what comes out at our end must not.

use std::sync::Arc;
use std::time::Duration;

use overnight::attempt::{Answer, Ending, ErrorCode, Finish, Outcome, RefusalKind};
use overnight::catalog::endpoint::{Auth, Endpoint, Quirks, Secret};
use overnight::catalog::provider::Family;
use overnight::catalog::{Catalog, Route};
use overnight::clock;
use overnight::engine::Call;
use overnight::job::{AttemptId, Body, Item, JobId, Needs, Wire};
use overnight::money::Price;
use overnight::provider::client::client;
use overnight::provider::http::HttpProvider;
use overnight::provider::simulated::{Admission, Config, Fault, FaultRates, Faults, Limits, Line, Model};
use overnight::provider::translate;
use overnight::simulate::{self, Handle};
use serde_json::{Value, json};

use crate::books::{Matched, Ours};
use crate::reviews;
use crate::support::script::{Heard, Say, Script};
use crate::support::{Overnight, profile};

/// A family as it is reached: what its routes take, and the path prefix of its addresses.
#[derive(Clone, Copy, Debug)]
struct Speaker {
    wire: Wire,
    family: Family,
    prefix: &'static str,
}

const FAMILIES: [Speaker; 4] = [
    Speaker { wire: Wire::Chat, family: Family::OpenAi, prefix: "/v1" },
    Speaker { wire: Wire::Responses, family: Family::OpenAi, prefix: "/v1" },
    Speaker { wire: Wire::Messages, family: Family::Anthropic, prefix: "/v1" },
    Speaker { wire: Wire::GenerateContent, family: Family::Gemini, prefix: "/v1beta" },
];

/// A family's adapter and its counterpart.
struct Pair {
    speaker: Speaker,
    provider: Handle,
    adapter: HttpProvider,
    route: Arc<Route>,
}

const KEY: &str = "the-key";

impl Pair {
    fn new(speaker: Speaker, faults: Faults) -> Pair {
        Pair::with(speaker, Model { cached_share: 0.3, reasoning_share: 0.2, ..model() }, faults)
    }

    fn with(speaker: Speaker, model: Model, faults: Faults) -> Pair {
        let config = Config {
            seed: 7,
            models: vec![model],
            keys: [KEY.to_owned()].into(),
            faults,
            ..Config::default()
        };
        let provider = simulate::spawn(config).unwrap();
        let endpoint = Endpoint {
            provider: "lab".into(),
            base_url: format!("http://{}{}", provider.address(), speaker.prefix),
            auth: speaker.family.auth(),
            key: Some(Secret::new(KEY)),
            key_name: None,
            headers: Vec::new(),
            quirks: Quirks::default(),
            timeout: Duration::from_secs(30),
        };
        let adapter = HttpProvider::new(endpoint, client().unwrap()).unwrap();
        let unknown = Catalog::bundled().route("vllm/m", clock::now()).unwrap();
        let wires = vec![speaker.wire];
        let route = Arc::new(Route { wires, max_output: Some(500), ..Route::clone(&unknown) });
        Pair { speaker, provider, adapter, route }
    }

    /// Sends what a chat asks, in the family's own format.
    fn ask(&self, chat: &Value) -> Ending {
        let own = match self.speaker.wire {
            Wire::Responses => as_response(chat),
            _ => chat.clone(),
        };
        let wire = if self.speaker.wire == Wire::Responses { Wire::Responses } else { Wire::Chat };
        self.send(wire, &own)
    }

    fn send(&self, wire: Wire, body: &Value) -> Ending {
        let call = Call {
            attempt: AttemptId(1),
            job: JobId::new("job_families"),
            item: Arc::new(item(wire, body)),
            route: self.route.clone(),
            beside: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.adapter.call(&call))
    }

    #[track_caller]
    fn answer(&self, chat: &Value) -> Answer {
        match self.ask(chat).outcome {
            Outcome::Answer(answer) => answer,
            other => panic!("{:?}: {other:?}", self.speaker),
        }
    }

    #[track_caller]
    fn embed(&self, body: &Value) -> Answer {
        match self.send(Wire::Embeddings, body).outcome {
            Outcome::Answer(answer) => answer,
            other => panic!("{:?}: {other:?}", self.speaker),
        }
    }

    #[track_caller]
    fn refusal(&self) -> (RefusalKind, Option<Duration>) {
        match self.ask(&question()).outcome {
            Outcome::Refused(refusal) => (refusal.kind, refusal.retry_after),
            other => panic!("{:?}: {other:?}", self.speaker),
        }
    }

    fn line(&self) -> Line {
        self.provider.log().pop().unwrap()
    }
}

fn model() -> Model {
    Model::new("m", Price { input: 100_500, output: 400_500, cache_read: Some(10_050), ..Price::default() })
}

pub(crate) fn item(wire: Wire, body: &Value) -> Item {
    Item {
        index: 0,
        custom_id: "r-1".into(),
        class: 0,
        wire,
        body: Body { json: body.to_string().into(), model_at: None },
        input_tokens: 20,
        max_output: None,
        choices: 1,
        needs: Needs::default(),
        options: None,
    }
}

pub(crate) fn question() -> Value {
    json!({"messages": [{"role": "user", "content": "What is it?"}], "max_completion_tokens": 60})
}

pub(crate) fn with(changes: Value) -> Value {
    let mut chat = question();
    chat.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    chat
}

/// The few fields of a chat that these tests use, in the words of responses.
fn as_response(chat: &Value) -> Value {
    let mut body = json!({"input": chat["messages"], "max_output_tokens": chat["max_completion_tokens"]});
    if let Some(format) = chat.get("response_format") {
        body["text"] = json!({"format": {"type": "json_schema", "name": "x", "schema": format["json_schema"]["schema"]}});
    }
    if let Some(tool) = chat.get("tools") {
        let function = &tool[0]["function"];
        body["tools"] =
            json!([{"type": "function", "name": function["name"], "parameters": function["parameters"]}]);
        body["tool_choice"] = json!({"type": "function", "name": function["name"]});
    }
    body
}

fn faulty(fault: Fault) -> Faults {
    Faults {
        rates: FaultRates::new(&[(fault, 1.0)]).unwrap(),
        retry_after: Duration::from_secs(3),
        ..Faults::default()
    }
}

/// Runs a test on every family.
fn each(faults: &Faults, test: impl Fn(&Pair)) {
    for speaker in FAMILIES {
        test(&Pair::new(speaker, faults.clone()));
    }
}

#[test]
fn a_plain_question_is_answered_and_counted_alike() {
    each(&Faults::default(), |pair| {
        let answer = pair.answer(&question());
        assert_eq!(answer.finish, Finish::Complete, "{:?}", pair.speaker);
        assert!(answer.text.len() > 20 && answer.request_id.is_some());
        assert_eq!(answer.response_model.as_deref(), Some("m"));
        let billed = pair.line().usage.unwrap();
        assert_eq!(answer.usage, Some(billed), "{:?}: each by its own convention", pair.speaker);
        assert!(billed.cache_read > 0 && billed.reasoning > 0);
    });
}

#[test]
fn instructions_turns_sampling_and_stop_words_arrive() {
    let chat = with(json!({
        "temperature": 0.30000000000000004, "top_p": 0.9,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "one of: red, green"}
        ]
    }));
    each(&Faults::default(), |pair| {
        let short = pair.answer(&question());
        let answer = pair.answer(&chat);
        assert!(["red", "green"].contains(&&*answer.text), "{:?}: {}", pair.speaker, answer.text);
        let tokens = |answer: &Answer| answer.usage.unwrap().input;
        assert!(tokens(&answer) > tokens(&short) + 15, "{:?}: every turn is counted", pair.speaker);
    });
    for speaker in FAMILIES.iter().filter(|speaker| speaker.wire != Wire::Responses) {
        let stop = with(json!({"stop": ["END"]}));
        assert_eq!(Pair::new(*speaker, Faults::default()).answer(&stop).finish, Finish::Complete);
    }
}

#[test]
fn a_schema_is_kept_to() {
    let schema =
        json!({"type": "object", "properties": {"mood": {"enum": ["pos", "neg"]}}, "required": ["mood"]});
    let chat = with(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
    );
    each(&Faults::default(), |pair| {
        let answer: Value = serde_json::from_str(&pair.answer(&chat).text).unwrap();
        assert!(jsonschema::is_valid(&schema, &answer), "{:?}: {answer}", pair.speaker);
    });
}

#[test]
fn a_tool_is_called_in_one_shape() {
    let parameters =
        json!({"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]});
    let chat = with(json!({
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
        "tool_choice": "required"
    }));
    each(&Faults::default(), |pair| {
        let answer = pair.answer(&chat);
        let calls: Value = serde_json::from_str(&answer.text).unwrap();
        let call = match pair.speaker.wire {
            // Responses keep their own items.
            Wire::Responses => &calls[0],
            _ => &calls[0]["function"],
        };
        assert_eq!(call["name"], "weather", "{:?}: {calls}", pair.speaker);
        assert_eq!(call["arguments"], r#"{"city":"Rome"}"#, "{:?}: {calls}", pair.speaker);
    });
}

#[test]
fn images_go_where_they_can_be_taken() {
    let image = |url: &str| {
        let content =
            json!([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]);
        with(json!({"messages": [{"role": "user", "content": content}]}))
    };
    for speaker in FAMILIES.iter().filter(|speaker| speaker.wire != Wire::Responses) {
        let pair = Pair::new(*speaker, Faults::default());
        assert_eq!(pair.answer(&image("data:image/png;base64,AAAA")).finish, Finish::Complete);
        let obstacle = translate::obstacle(&item(Wire::Chat, &image("https://x/y.png")), &pair.route);
        match speaker.family {
            Family::Gemini => {
                assert!(obstacle.is_some_and(|why| why.contains("image")), "shown before it is sent");
                let Outcome::Refused(refusal) = pair.ask(&image("https://x/y.png")).outcome else { panic!() };
                assert_eq!((refusal.kind, refusal.http_status), (RefusalKind::Invalid, 0), "and never sent");
            }
            _ => assert_eq!(obstacle, None),
        }
    }
}

#[test]
fn answers_that_are_not_whole_are_told_alike() {
    for (fault, finish) in [(Fault::Length, Finish::Truncated), (Fault::Empty, Finish::Empty)] {
        each(&faulty(fault), |pair| {
            assert_eq!(pair.answer(&question()).finish, finish, "{:?}", pair.speaker);
        });
    }
    // Not every family tells a model that declines from a filter.
    for fault in [Fault::Refusal, Fault::ContentFilter] {
        each(&faulty(fault), |pair| {
            let answer = pair.answer(&question());
            let declined = [Finish::Refusal, Finish::ContentFilter].contains(&answer.finish);
            assert!(declined, "{:?}: {answer:?}", pair.speaker);
            assert_eq!(answer.usage, pair.line().usage, "and it is billed");
        });
    }
    each(&faulty(Fault::NoUsage), |pair| assert_eq!(pair.answer(&question()).usage, None));
    each(&faulty(Fault::WrongModel), |pair| {
        assert_eq!(pair.answer(&question()).response_model.as_deref(), Some("sim/someone-else"));
    });
}

#[test]
fn refusals_mean_the_same_in_every_family() {
    each(&faulty(Fault::ServerError), |pair| assert_eq!(pair.refusal(), (RefusalKind::Server, None)));
    each(&faulty(Fault::Overloaded), |pair| {
        assert_eq!(pair.refusal().0, RefusalKind::Capacity);
        let status = if pair.speaker.wire == Wire::Messages { 529 } else { 503 };
        assert_eq!(pair.line().status, Some(status), "the log says what was sent");
    });
    each(&faulty(Fault::RateLimited), |pair| {
        let refusals: Vec<_> = (0..20).map(|_| pair.refusal()).collect();
        assert!(refusals.iter().all(|(kind, _)| *kind == RefusalKind::Rate), "{:?}", pair.speaker);
        let waits: Vec<_> = refusals.iter().filter_map(|(_, wait)| *wait).collect();
        assert!(!waits.is_empty() && waits.len() < 20, "every other one says how long");
        assert!(waits.iter().all(|wait| *wait == Duration::from_secs(3)), "{:?}", pair.speaker);
    });
    let retired = Faults { retired: ["m".to_owned()].into(), ..Faults::default() };
    each(&retired, |pair| assert_eq!(pair.refusal().0, RefusalKind::ModelGone));
    let revoked = Faults { revoked_keys: [KEY.to_owned()].into(), ..Faults::default() };
    each(&revoked, |pair| assert_eq!(pair.refusal().0, RefusalKind::Auth));
    let poor = Faults { no_credit_after: Some("$0".parse().unwrap()), ..Faults::default() };
    each(&poor, |pair| {
        let (kind, wait) = pair.refusal();
        assert_eq!(kind, RefusalKind::NoCredit, "{:?}", pair.speaker);
        assert_eq!(wait.is_some(), pair.speaker.wire == Wire::Messages, "it opens with the month");
    });
    for speaker in FAMILIES {
        let pair = Pair::with(speaker, Model { context: Some(10), ..model() }, Faults::default());
        assert_eq!(pair.refusal().0, RefusalKind::TooLong, "{speaker:?}");
    }
}

#[test]
fn what_breaks_on_the_way_may_have_been_billed() {
    for fault in [Fault::Reset, Fault::ResetBilled, Fault::CutBody] {
        each(&faulty(fault), |pair| {
            let outcome = pair.ask(&question()).outcome;
            let lost = matches!(outcome, Outcome::Unknown { code: ErrorCode::Network, .. });
            assert!(lost, "{fault} {:?}: {outcome:?}", pair.speaker);
        });
    }
    for fault in [Fault::Garbage, Fault::Html] {
        each(&faulty(fault), |pair| {
            let outcome = pair.ask(&question()).outcome;
            assert!(matches!(outcome, Outcome::Garbage { http_status: 200, .. }), "{fault}: {outcome:?}");
        });
    }
}

#[test]
fn limits_are_stated_by_those_who_state_them() {
    for speaker in FAMILIES {
        let limits = Limits { rpm: Some(60), tpm: Some(10_000), ..Limits::default() };
        let pair = Pair::with(speaker, Model { limits, ..model() }, Faults::default());
        let hints = pair.ask(&question()).hints;
        let told = (hints.limit_requests, hints.limit_tokens);
        match speaker.family {
            Family::Gemini => assert_eq!(told, (None, None)),
            _ => {
                assert_eq!(told, (Some(60), Some(10_000)), "{speaker:?}");
                let reset = hints.reset_tokens.unwrap();
                assert!(reset <= Duration::from_secs(61), "{speaker:?}: {reset:?}");
            }
        }
    }
}

#[test]
fn a_night_on_every_family_costs_what_the_provider_says() {
    for speaker in FAMILIES.iter().filter(|speaker| speaker.wire != Wire::Responses) {
        a_night(*speaker);
    }
}

fn a_night(speaker: Speaker) {
    const ITEMS: i64 = 500;
    let rates = [
        (Fault::RateLimited, 0.02),
        (Fault::ServerError, 0.01),
        (Fault::Overloaded, 0.01),
        (Fault::ResetBilled, 0.01),
        (Fault::Garbage, 0.01),
    ];
    let latency = Duration::from_millis(20);
    let model = Model { pass_rate: 0.95, cached_share: 0.3, reasoning_share: 0.2, latency, ..model() };
    let rates = FaultRates::new(&rates).unwrap();
    let faults = Faults { rates, retry_after: Duration::from_millis(50), ..Faults::default() };
    let provider = simulate::spawn(Config {
        seed: 20_261_121,
        models: vec![model],
        keys: [KEY.to_owned()].into(),
        faults,
        ..Config::default()
    })
    .unwrap();
    let overnight = Overnight::new();
    reviews::write(overnight.path(), ITEMS);
    let (kind, prefix) = (speaker.family.as_str(), speaker.prefix);
    let address = provider.address();
    overnight.write(
        "overnight.toml",
        format!(
            r#"
[defaults]
models = ["lab/m"]
when = "asap"

[providers.lab]
kind = "{kind}"
base_url = "http://{address}{prefix}"
api_key = "env:LAB_KEY"
max_concurrency = 32

[models."lab/m"]
price = {{ input = 0.1005, output = 0.4005, cache_read = 0.01005 }}
context = 128_000
max_output = 16_384
"#
        ),
    );
    let ran = overnight.run_with_key("run reviews.jsonl --check schema:review.schema.json -q --json", KEY);
    assert!([0, 3].contains(&ran.code), "{kind}: {ran:?}");
    let (log, results) = (provider.log(), overnight.path().join("overnight-results"));
    let ours = Ours::read(&results);
    ours.has_each_item_once(ITEMS, reviews::name);
    let succeeded = ours.results.iter().filter(|result| result.status == "succeeded").count();
    assert!(succeeded > 440, "{kind}: {succeeded} of {ITEMS}");
    let matched = Matched::new(&ours, &log);
    assert!(matched.settle().pico() > 0, "{kind}");
    matched.settle_items(&ours);
    assert!(log.iter().all(|line| line.admission != Admission::OverLimit));

    // Asked as chats, answered in the family's format, exported as chats.
    let job = ran.json()["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let out = overnight.run(&format!("results {job} --format openai-batch -o out.jsonl"));
    assert_eq!(out.code, 0, "{out:?}");
    let lines = std::fs::read_to_string(overnight.path().join("out.jsonl")).unwrap();
    let bodies: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(bodies.len(), succeeded);
    for line in bodies {
        let body = &line["response"]["body"];
        assert_eq!(body["object"], "chat.completion", "{kind}: {line}");
        assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("sentiment"), "{line}");
        assert!(body["usage"]["prompt_tokens"].as_u64().is_none_or(|tokens| tokens > 0));
    }
}

#[test]
fn what_two_requests_share_is_marked_to_be_kept_where_that_must_be_said() {
    let rules = "Judge the mood of each review. ".repeat(100);
    let ask = |review: &str| {
        let messages = json!([{"role": "system", "content": rules}, {"role": "user", "content": review}]);
        item(Wire::Chat, &with(json!({"messages": messages})))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, marks) in [("anthropic", 1), ("openai", 0)] {
        let script = Script::always(Say::HangUp);
        let endpoint = profile::endpoint(name, &script.base_url(), KEY);
        let adapter = HttpProvider::new(endpoint, client().unwrap()).unwrap();
        let route = Catalog::bundled().route(&format!("{name}/m"), clock::now()).unwrap();
        let route = Arc::new(Route { max_output: Some(500), ..Route::clone(&route) });
        for beside in [None, Some(ask("Bad.")), Some(item(Wire::Chat, &question()))] {
            runtime.block_on(adapter.call(&Call {
                attempt: AttemptId(1),
                job: JobId::new("job_families"),
                route: route.clone(),
                item: Arc::new(ask("Good.")),
                beside: beside.map(Arc::new),
            }));
        }
        let marked = |heard: &Heard| heard.text().matches("cache_control").count();
        let counts: Vec<usize> = script.heard().iter().map(marked).collect();
        assert_eq!(counts, [0, marks, 0], "{name}");
    }
}

#[test]
fn vectors_come_alike_from_every_family_that_has_them() {
    let own = json!({"input": ["one text", "another"], "dimensions": 3});
    for speaker in [FAMILIES[0], FAMILIES[3]] {
        let mut pair = Pair::new(speaker, Faults::default());
        let gemini = speaker.family == Family::Gemini;
        let base = format!("http://{}{}", pair.provider.address(), speaker.prefix);
        let name = if gemini { "gemini" } else { "openai" };
        pair.adapter = HttpProvider::new(profile::endpoint(name, &base, KEY), client().unwrap()).unwrap();
        pair.route = Arc::new(Route { wires: vec![Wire::Embeddings], ..Route::clone(&pair.route) });
        let answer = pair.embed(&own);
        let vectors: Vec<Vec<f64>> = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((vectors.len(), vectors[0].len()), (2, 3), "{speaker:?}");
        let billed = pair.line().usage.unwrap();
        assert_eq!(answer.usage.unwrap().input, billed.input, "{speaker:?}");
        let body = std::str::from_utf8(&answer.body).unwrap();
        let exported = translate::reply::reply(body, Wire::Embeddings);
        assert_eq!(exported.is_some(), gemini, "what is in its format already stays");
        let exported: Value = serde_json::from_str(exported.as_deref().unwrap_or(body)).unwrap();
        assert_eq!(exported["data"][1]["embedding"], json!(vectors[1]), "{speaker:?}: {exported}");
    }
}

#[test]
fn keys_go_where_the_family_wants_them() {
    assert_eq!(Family::OpenAi.auth(), Auth::Bearer);
    for speaker in FAMILIES {
        let pair = Pair::new(speaker, Faults::default());
        assert_eq!(pair.answer(&question()).http_status, 200, "{speaker:?}");
    }
}
