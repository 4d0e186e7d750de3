//! Batches of every kind by one set of tests: our adapters on one end of a real socket, the simulated
//! provider on the other.
//!
//! [`Lab::drive`] does what a careful driver does and no more: it creates once, looks before it would
//! create again, polls, collects, and goes on where a download broke off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use overnight::attempt::{Outcome, RefusalKind};
use overnight::batch::{
    AskError, BatchRef, BatchState, Counts, CreateError, Cursor, Ended, Fate, Found, Line, LineId, Mark,
    NotRun, Order, Place, ResultsAt, Search, Status, Why,
};
use overnight::catalog::batch::{BatchApi, BatchDialect, BatchLimits, FoundBy};
use overnight::catalog::endpoint::{Endpoint, Quirks, Secret};
use overnight::catalog::provider::Family;
use overnight::catalog::{Catalog, Route};
use overnight::clock::{self, Timestamp};
use overnight::job::{AttemptId, Body, Item, Needs, Wire};
use overnight::money::Price;
use overnight::provider::batch::{Added, Draft};
use overnight::provider::client::client;
use overnight::provider::http::HttpProvider;
use overnight::provider::simulated::batch::BatchStage;
use overnight::provider::simulated::{
    BatchConfig, BatchFault, BatchFaultRates, ClientId, Config, Fault, FaultRates, Faults, Model,
};
use overnight::simulate::{self, Handle};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::judges;
use crate::support::script::{Say, Script};

/// A kind of batches as it is reached.
#[derive(Clone, Debug)]
struct Kind {
    name: &'static str,
    family: Family,
    wire: Wire,
    prefix: &'static str,
    api: BatchApi,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, dialect, family, wire, prefix| Kind {
        name,
        family,
        wire,
        prefix,
        api: BatchApi::new(dialect),
    };
    use BatchDialect::{Anthropic, Gemini, Mistral, OpenAi, OpenRouter, Xai};
    let mut kinds = vec![
        kind("openai", OpenAi, Family::OpenAi, Wire::Chat, "/v1"),
        kind("responses", OpenAi, Family::OpenAi, Wire::Responses, "/v1"),
        kind("file name", OpenAi, Family::OpenAi, Wire::Chat, "/v1"),
        kind("anthropic", Anthropic, Family::Anthropic, Wire::Messages, "/v1"),
        kind("gemini inline", Gemini, Family::Gemini, Wire::GenerateContent, "/v1beta"),
        kind("gemini file", Gemini, Family::Gemini, Wire::GenerateContent, "/v1beta"),
        kind("mistral", Mistral, Family::OpenAi, Wire::Chat, "/v1"),
        kind("openrouter", OpenRouter, Family::OpenAi, Wire::Chat, "/v1"),
        kind("xai", Xai, Family::OpenAi, Wire::Chat, "/xai/v1"),
    ];
    kinds[2].api.found_by = FoundBy::FileName;
    kinds[5].api.limits.inline_bytes = 0;
    kinds
}

/// Runs a test on every kind.
fn each(faults: &[BatchFault], test: impl Fn(&Lab)) {
    for kind in kinds() {
        let rates: Vec<_> = faults.iter().map(|fault| (*fault, 1.0)).collect();
        let batches = BatchConfig { faults: BatchFaultRates::new(&rates), ..config() };
        test(&Lab::new(kind, batches, Faults::default()));
    }
}

const KEY: &str = "the-key";
const DURATION: Duration = Duration::from_secs(600);

fn config() -> BatchConfig {
    BatchConfig { duration: DURATION, ..BatchConfig::default() }
}

struct Lab {
    kind: Kind,
    provider: Handle,
    adapter: HttpProvider,
    route: Arc<Route>,
    folder: TempDir,
    runtime: Runtime,
    began: Timestamp,
}

/// What a batch came to.
#[derive(Debug, Default)]
struct Night {
    batch: Option<BatchRef>,
    ran: BTreeMap<AttemptId, Outcome>,
    expired: BTreeSet<AttemptId>,
    cancelled: BTreeSet<AttemptId>,
    again: usize,
    foreign: Vec<String>,
    missing: BTreeSet<AttemptId>,
    broken: usize,
    gone: usize,
    last: Option<Status>,
}

impl Lab {
    fn new(kind: Kind, batches: BatchConfig, faults: Faults) -> Lab {
        let price = Price { input: 100_500, output: 400_500, cache_read: Some(10_050), ..Price::default() };
        let model = Model { cached_share: 0.3, reasoning_share: 0.2, ..Model::new("m", price) };
        let provider = simulate::spawn(Config {
            seed: 11,
            models: vec![model],
            keys: [KEY.to_owned()].into(),
            batches,
            faults,
            ..Config::default()
        })
        .unwrap();
        let adapter = adapter(&kind, &format!("http://{}{}", provider.address(), kind.prefix), KEY);
        let unknown = Catalog::bundled().route("vllm/m", clock::now()).unwrap();
        let route =
            Arc::new(Route { wires: vec![kind.wire], max_output: Some(500), ..Route::clone(&unknown) });
        Lab {
            provider,
            adapter,
            route,
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            began: clock::now(),
            kind,
        }
    }

    fn order(&self, number: u64) -> Order {
        Order { mark: Mark { store: 0xfeed, number }, model: "m".into(), wire: self.kind.wire }
    }

    /// A batch of these attempts.
    fn draft(&self, number: u64, attempts: impl IntoIterator<Item = u64>) -> Draft {
        self.draft_for(&self.adapter, number, attempts)
    }

    fn draft_for(
        &self,
        adapter: &HttpProvider,
        number: u64,
        attempts: impl IntoIterator<Item = u64>,
    ) -> Draft {
        let batches = adapter.batches().unwrap();
        let limits = BatchLimits { requests: 1_000_000, ..batches.api().limits };
        let mut draft = Draft::new(self.folder.path(), self.order(number), limits).unwrap();
        for attempt in attempts {
            let (_, body) = batches.request(&question(self.kind.wire, attempt), &self.route).unwrap();
            assert_eq!(draft.add(AttemptId(attempt), &body, 20).unwrap(), Added::Yes);
        }
        draft
    }

    fn create(&self, draft: &mut Draft) -> Result<BatchRef, CreateError> {
        self.runtime.block_on(self.adapter.batches().unwrap().create(draft))
    }

    fn find(&self, draft: &Draft, known: &[&str]) -> Found {
        let search = Search {
            order: draft.order().clone(),
            len: draft.len() as u64,
            since: self.began,
            known: known.iter().map(|id| (*id).to_owned()).collect(),
        };
        self.runtime.block_on(self.adapter.batches().unwrap().find(&search)).unwrap()
    }

    /// The one that is found, at the latest once it has ended.
    #[track_caller]
    fn adopt(&self, draft: &Draft, known: &[&str]) -> BatchRef {
        for _ in 0..3 {
            match self.find(draft, known) {
                Found::This(batch) => return batch,
                // The only one of its kind is taken at its word, until its lines tell.
                Found::Perhaps(mut one) if one.len() == 1 => return one.remove(0),
                Found::Nothing | Found::Perhaps(_) => self.provider.pass(DURATION),
                Found::Several(batches) => panic!("made twice: {batches:?}"),
            }
        }
        panic!("{}: not found", self.kind.name);
    }

    fn poll(&self, batch: &BatchRef) -> Result<Status, AskError> {
        self.runtime.block_on(self.adapter.batches().unwrap().poll(batch))
    }

    /// Polls until it has ended; its clock goes forward meanwhile.
    fn wait(&self, batch: &BatchRef) -> Status {
        for _ in 0..10_000 {
            let status = self.poll(batch).unwrap();
            if status.state.has_ended() {
                return status;
            }
            assert!(status.look_again >= Duration::from_secs(15), "{status:?}");
            self.provider.pass(Duration::from_secs(120));
        }
        panic!("{}: never ends", self.kind.name);
    }

    /// Reads all results; after each break begins anew from the cursor, as after a restart.
    fn collect(&self, status: &Status, night: &mut Night, on_line: impl FnMut(Line, &mut Night)) {
        let batches = self.adapter.batches().unwrap();
        let (mut cursor, mut on_line) = (Cursor::default(), on_line);
        self.runtime.block_on(async {
            loop {
                let stored = postcard::to_allocvec(&cursor).unwrap();
                let mut results = batches.collect(status, postcard::from_bytes(&stored).unwrap());
                loop {
                    match results.next().await {
                        Ok(Some(line)) => on_line(line, night),
                        Ok(None) => return,
                        Err(AskError::Gone(_)) => {
                            night.gone += 1;
                            break;
                        }
                        Err(AskError::Broken(_)) => {
                            night.broken += 1;
                            break;
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                assert!(night.gone + night.broken < 10, "{}", self.kind.name);
                cursor = results.cursor();
            }
        });
    }

    fn drive(&self, draft: &mut Draft, known: &[&str]) -> Night {
        let batch = match self.create(draft) {
            Ok(batch) => batch,
            Err(CreateError::Unknown(_)) => self.adopt(draft, known),
            Err(error) => panic!("{}: {error:?}", self.kind.name),
        };
        let status = self.wait(&batch);
        let (mut night, mut roll) = (Night { batch: Some(batch), ..Night::default() }, draft.roll());
        self.collect(&status, &mut night, |line, night| match (roll.tick(&line), line.fate) {
            (Place::First(attempt), Fate::Ran(outcome)) => {
                night.ran.insert(attempt, outcome);
            }
            (Place::First(attempt), Fate::NotRun(NotRun::Expired)) => {
                night.expired.insert(attempt);
            }
            (Place::First(attempt), Fate::NotRun(NotRun::Cancelled)) => {
                night.cancelled.insert(attempt);
            }
            (Place::Again(_), _) => night.again += 1,
            (Place::Foreign(id), _) => night.foreign.push(id),
        });
        night.missing = roll.missing().collect();
        night.last = Some(status);
        night
    }

    /// What we read of every answer costs what the provider billed, and it billed nothing else.
    #[track_caller]
    fn settles(&self, nights: &[Night]) {
        let mut billed = BTreeMap::new();
        for line in self.provider.log() {
            let Some(ClientId::Attempt(attempt)) = line.client_id else { panic!("{line:?}") };
            assert_eq!(billed.insert(attempt, line.billed.pico()), None, "run twice: {attempt}");
        }
        let ran = nights.iter().flat_map(|night| &night.ran);
        let mut count = 0;
        for (attempt, outcome) in ran {
            let cost = match outcome {
                Outcome::Answer(answer) => {
                    let usage = answer.usage.unwrap();
                    assert!(usage.cache_read > 0 && usage.reasoning > 0, "{usage:?}");
                    let fresh = usage.input - usage.cache_read;
                    fresh * 50_250 + usage.cache_read * 5_025 + usage.output * 200_250
                }
                _ => 0,
            };
            assert_eq!(billed.get(attempt), Some(&i128::from(cost)), "{}: {attempt}", self.kind.name);
            count += 1;
        }
        assert_eq!(billed.len(), count, "{}: lines that ran and were not read", self.kind.name);
        let batches: i128 = self.provider.batches().iter().map(|batch| batch.billed.pico()).sum();
        assert_eq!(batches, billed.values().sum::<i128>());
    }
}

fn adapter(kind: &Kind, base_url: &str, key: &str) -> HttpProvider {
    let endpoint = Endpoint {
        provider: "lab".into(),
        base_url: base_url.to_owned(),
        auth: kind.family.auth(),
        key: Some(Secret::new(key)),
        key_name: None,
        headers: Vec::new(),
        quirks: Quirks { batch: Some(kind.api.clone()), ..Quirks::default() },
        timeout: Duration::from_secs(30),
    };
    HttpProvider::new(endpoint, client().unwrap()).unwrap()
}

/// A question in the format the kind takes, or in one that is translated to it. On several lines, with
/// a number that no float holds.
fn question(wire: Wire, n: u64) -> Item {
    let text = format!("What is {n}?");
    let body = match wire {
        Wire::Responses => json!({"input": text, "max_output_tokens": 60}),
        _ => json!({"messages": [{"role": "user", "content": text}], "max_completion_tokens": 60}),
    };
    Item {
        index: 0,
        custom_id: "../r 1".into(),
        class: 0,
        wire: if wire == Wire::Responses { wire } else { Wire::Chat },
        body: Body { json: serde_json::to_string_pretty(&body).unwrap().into(), model_at: None },
        input_tokens: 20,
        max_output: None,
        choices: 1,
        needs: Needs::default(),
        options: None,
    }
}

fn answered(night: &Night) -> usize {
    night.ran.values().filter(|outcome| matches!(outcome, Outcome::Answer(_))).count()
}

#[test]
fn a_batch_is_made_watched_and_read_and_costs_what_the_provider_says() {
    each(&[], |lab| {
        let mut draft = lab.draft(1, 0..60);
        let batch = lab.create(&mut draft).unwrap();
        let status = lab.poll(&batch).unwrap();
        assert!(!status.state.has_ended() && status.results.is_empty(), "{status:?}");
        // Of xAI only the day is known.
        assert_eq!(status.made_at.is_some(), lab.kind.api.dialect != BatchDialect::Xai);
        let made = lab.provider.batches();
        assert_eq!((made.len(), made[0].len), (1, 60), "{}", lab.kind.name);

        let status = lab.wait(&batch);
        assert_eq!(status.state, BatchState::Ended(Ended::Completed));
        assert_eq!((status.counts.total, status.counts.succeeded), (60, 60), "{}", lab.kind.name);
        let mut night = Night::default();
        lab.collect(&status, &mut night, |line, night| {
            let Fate::Ran(outcome) = line.fate.clone() else { panic!("{line:?}") };
            night.ran.insert(line.attempt().unwrap(), outcome);
        });
        assert_eq!(answered(&night), 60, "{}", lab.kind.name);
        lab.settles(&[night]);
    });
}

#[test]
fn an_answer_is_read_as_a_realtime_one() {
    each(&[], |lab| {
        let night = lab.drive(&mut lab.draft(1, 0..1), &[]);
        let Some(Outcome::Answer(answer)) = night.ran.get(&AttemptId(0)) else { panic!("{night:?}") };
        assert!(answer.text.len() > 20, "{}: {answer:?}", lab.kind.name);
        assert_eq!(answer.response_model.as_deref(), Some("m"));
        assert_eq!(answer.http_status, 200);
        assert!(answer.request_id.is_some(), "{}", lab.kind.name);
    });
}

#[test]
fn a_batch_whose_answer_was_lost_is_found_and_not_made_again() {
    each(&[BatchFault::LostCreate], |lab| {
        let mut draft = lab.draft(7, 0..20);
        assert!(matches!(lab.create(&mut draft), Err(CreateError::Unknown(_))), "{}", lab.kind.name);
        match (lab.find(&draft, &[]), lab.kind.api.found_by) {
            (Found::This(_), FoundBy::Mark | FoundBy::FileName) => {}
            (Found::Perhaps(batches), FoundBy::Lines) => assert_eq!(batches.len(), 1),
            (found, by) => panic!("{}: {found:?} by {by:?}", lab.kind.name),
        }
        let batch = lab.adopt(&draft, &[]);
        let status = lab.wait(&batch);
        let mut night = Night::default();
        lab.collect(&status, &mut night, |line, night| {
            let Fate::Ran(outcome) = line.fate.clone() else { panic!("{line:?}") };
            night.ran.insert(line.attempt().unwrap(), outcome);
        });
        assert_eq!(answered(&night), 20);
        assert_eq!(lab.provider.batches().len(), 1);
        lab.settles(&[night]);
    });
}

#[test]
fn batches_of_others_are_not_taken_for_ours() {
    each(&[BatchFault::LostCreate], |lab| {
        let (mut first, mut second) = (lab.draft(1, 0..5), lab.draft(2, 5..10));
        let _ = (lab.create(&mut first), lab.create(&mut second));
        let never = lab.draft(3, 20..25);
        let other_size = lab.draft(4, 20..27);
        if lab.kind.api.found_by == FoundBy::Lines {
            assert!(matches!(lab.find(&first, &[]), Found::Perhaps(both) if both.len() == 2));
        } else {
            assert_eq!(lab.find(&never, &[]), Found::Nothing, "{}", lab.kind.name);
        }
        assert_eq!(lab.find(&other_size, &[]), Found::Nothing, "{}", lab.kind.name);
        let (one, two) = (lab.adopt(&first, &[]), lab.adopt(&second, &[]));
        assert_ne!(one.id, two.id);
        assert_eq!(lab.find(&first, &[&one.id]), Found::Nothing, "what is accounted for is not found");
        assert_eq!(lab.find(&never, &[]), Found::Nothing, "{}: told by its lines", lab.kind.name);
    });
}

#[test]
fn a_batch_far_down_the_list_is_found() {
    each(&[], |lab| {
        let mut first = lab.draft(1, 0..2);
        let made = lab.create(&mut first).unwrap();
        for number in 2..=105 {
            lab.create(&mut lab.draft(number, [number])).unwrap();
        }
        lab.provider.pass(DURATION);
        assert_eq!(lab.find(&first, &[]), Found::This(made), "{}", lab.kind.name);
    });
}

#[test]
fn a_key_that_is_echoed_is_taken_out_of_results() {
    // A model that answers with what it was told: the schema has one value, which is the key.
    let lab = Lab::new(kinds().remove(0), config(), Faults::default());
    let batches = lab.adapter.batches().unwrap();
    let schema = json!({"type": "object", "properties": {"said": {"enum": [KEY]}}, "required": ["said"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let body = json!({"messages": [{"role": "user", "content": "hi"}], "response_format": format});
    let body = Body { json: body.to_string().into(), model_at: None };
    let (_, body) = batches.request(&Item { body, ..question(Wire::Chat, 0) }, &lab.route).unwrap();
    let mut draft = lab.draft(1, []);
    draft.add(AttemptId(0), &body, 10).unwrap();
    let night = lab.drive(&mut draft, &[]);
    let Some(Outcome::Answer(answer)) = night.ran.get(&AttemptId(0)) else { panic!("{night:?}") };
    assert_eq!(answer.text, r#"{"said":"[key]"}"#);
    assert!(!answer.body.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));
}

#[test]
fn a_list_that_lags_behind_finds_it_later() {
    each(&[BatchFault::LostCreate, BatchFault::Unlisted], |lab| {
        let mut draft = lab.draft(1, 0..3);
        assert!(lab.create(&mut draft).is_err());
        assert_eq!(lab.find(&draft, &[]), Found::Nothing, "{}: not yet", lab.kind.name);
        lab.provider.pass(Duration::from_secs(61));
        assert_ne!(lab.find(&draft, &[]), Found::Nothing, "{}", lab.kind.name);
    });
}

#[test]
fn what_had_run_when_time_was_up_is_kept_and_the_rest_is_free() {
    each(&[BatchFault::Expires], |lab| {
        let night = lab.drive(&mut lab.draft(1, 0..80), &[]);
        let state = night.last.as_ref().unwrap().state.clone();
        assert_eq!(state, BatchState::Ended(Ended::Expired), "{}", lab.kind.name);
        assert!((20..60).contains(&answered(&night)), "{}", answered(&night));
        assert_eq!(answered(&night) + night.expired.len(), 80, "{}", lab.kind.name);
        lab.settles(&[night]);
    });
}

#[test]
fn a_stuck_batch_can_be_given_up() {
    each(&[BatchFault::Stuck], |lab| {
        let mut draft = lab.draft(1, 0..40);
        let batch = lab.create(&mut draft).unwrap();
        lab.provider.pass(DURATION * 100);
        assert_eq!(lab.poll(&batch).unwrap().state, BatchState::Running, "{}", lab.kind.name);
        lab.runtime.block_on(lab.adapter.batches().unwrap().cancel(&batch)).unwrap();
        let status = lab.wait(&batch);
        assert_eq!(status.state, BatchState::Ended(Ended::Cancelled), "{}", lab.kind.name);
        let (mut night, mut roll) = (Night::default(), draft.roll());
        lab.collect(&status, &mut night, |line, night| match (roll.tick(&line), line.fate) {
            (Place::First(attempt), Fate::Ran(outcome)) => drop(night.ran.insert(attempt, outcome)),
            (Place::First(attempt), Fate::NotRun(NotRun::Cancelled)) => drop(night.cancelled.insert(attempt)),
            other => panic!("{other:?}"),
        });
        assert_eq!(night.ran.len() + night.cancelled.len(), 40);
        assert!(!night.cancelled.is_empty() && !night.ran.is_empty());
        lab.settles(&[night]);
    });
}

#[test]
fn a_batch_that_is_not_valid_costs_nothing() {
    each(&[BatchFault::Invalid], |lab| {
        let night = lab.drive(&mut lab.draft(1, 0..4), &[]);
        let status = night.last.as_ref().unwrap();
        if lab.kind.api.dialect == BatchDialect::Anthropic {
            // It has no such word: each line failed.
            assert_eq!(night.ran.len(), 4);
            let invalid = |outcome: &Outcome| matches!(outcome, Outcome::Refused(refusal) if refusal.kind == RefusalKind::Invalid);
            assert!(night.ran.values().all(invalid), "{night:?}");
        } else {
            assert!(status.has_failed(), "{}: {status:?}", lab.kind.name);
            assert_eq!(night.missing.len(), 4);
        }
        assert_eq!(lab.provider.summary().totals.billed.pico(), 0);
    });
}

#[test]
fn missing_foreign_and_double_lines_are_told_apart_whatever_the_counts_say() {
    let faults = [BatchFault::Missing, BatchFault::Foreign, BatchFault::Double, BatchFault::WrongCounts];
    each(&faults, |lab| {
        let night = lab.drive(&mut lab.draft(1, 0..30), &[]);
        let counts = night.last.as_ref().unwrap().counts;
        assert_eq!((counts.total, counts.succeeded, counts.failed), (30, 30, 0), "{}", lab.kind.name);
        assert_eq!(night.missing, [0, 10, 20].map(AttemptId).into(), "{}", lab.kind.name);
        assert_eq!(answered(&night), 27);
        assert_eq!(night.again, 1);
        let foreign = ["ovn-ffffffff-000000000001-att_000000000001", "review-17"];
        let mut seen = night.foreign.clone();
        seen.sort();
        assert_eq!(seen, foreign, "{}", lab.kind.name);
        lab.settles(&[night]);
    });
}

#[test]
fn a_download_that_breaks_off_goes_on_behind_its_last_line() {
    each(&[BatchFault::Cut, BatchFault::Late], |lab| {
        // Every other line fails, so that there are two files where there can be.
        let rates = FaultRates::new(&[(Fault::ServerError, 0.5)]).unwrap();
        lab.provider.shared().lock().set_faults(Faults { rates, ..Faults::default() });
        let night = lab.drive(&mut lab.draft(1, 0..300), &[]);
        assert_eq!(night.ran.len(), 300, "{}: every line once", lab.kind.name);
        assert_eq!((night.again, night.foreign.len(), night.missing.len()), (0, 0, 0), "{}", lab.kind.name);
        assert!(night.broken >= 1 && night.gone >= 1, "{}: {} {}", lab.kind.name, night.broken, night.gone);
        let two_files = matches!(lab.kind.api.dialect, BatchDialect::OpenAi | BatchDialect::Mistral);
        assert_eq!(night.broken, if two_files { 2 } else { 1 }, "{}", lab.kind.name);
        lab.settles(&[night]);
    });
}

#[test]
fn lines_fail_as_requests_do() {
    for (fault, kind) in [
        (Fault::ServerError, RefusalKind::Server),
        (Fault::Overloaded, RefusalKind::Capacity),
        (Fault::RateLimited, RefusalKind::Rate),
    ] {
        each(&[], |lab| {
            let rates = FaultRates::new(&[(fault, 1.0)]).unwrap();
            lab.provider.shared().lock().set_faults(Faults { rates, ..Faults::default() });
            let night = lab.drive(&mut lab.draft(1, 0..2), &[]);
            for outcome in night.ran.values() {
                let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
                assert_eq!(refusal.kind, kind, "{}: {refusal:?}", lab.kind.name);
            }
            assert_eq!(night.ran.len(), 2);
        });
    }
    each(&[], |lab| {
        let retired = ["m".to_owned()].into();
        lab.provider.shared().lock().set_faults(Faults { retired, ..Faults::default() });
        let night = lab.drive(&mut lab.draft(1, 0..1), &[]);
        let Some(Outcome::Refused(refusal)) = night.ran.get(&AttemptId(0)) else { panic!("{night:?}") };
        assert_eq!(refusal.kind, RefusalKind::ModelGone, "{}", lab.kind.name);
    });
}

#[test]
fn a_full_queue_is_no_fault_of_the_batch() {
    for kind in kinds() {
        let batches = BatchConfig { tokens: Some(40), ..config() };
        let lab = Lab::new(kind, batches, Faults::default());
        let why = match lab.create(&mut lab.draft(1, 0..10)) {
            Err(CreateError::NotCreated { why, .. }) => why,
            Ok(batch) => match lab.poll(&batch).unwrap().state {
                BatchState::Ended(Ended::Failed { why, .. }) => why,
                state => panic!("{state:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(why, Why::QueueFull, "{}", lab.kind.name);
    }
}

#[test]
fn what_was_not_created_says_why() {
    for kind in kinds() {
        let batches = BatchConfig { requests: Some(3), ..config() };
        let lab = Lab::new(kind, batches, Faults::default());
        let why = |adapter: &HttpProvider, count| {
            let mut draft = lab.draft_for(adapter, 1, 0..count);
            match lab.runtime.block_on(adapter.batches().unwrap().create(&mut draft)) {
                Err(CreateError::NotCreated { why, .. }) => why,
                other => panic!("{}: {other:?}", lab.kind.name),
            }
        };
        assert_eq!(why(&lab.adapter, 4), Why::TooLarge, "{}", lab.kind.name);
        let address = format!("http://{}{}", lab.provider.address(), lab.kind.prefix);
        let stranger = adapter(&lab.kind, &address, "another-key");
        assert_eq!(why(&stranger, 1), Why::Refused(RefusalKind::Auth), "{}", lab.kind.name);
        let nobody = adapter(&lab.kind, "http://127.0.0.1:1/v1", KEY);
        assert_eq!(why(&nobody, 1), Why::NotSent, "{}", lab.kind.name);
        assert_eq!(lab.provider.batches().len(), 0);
    }
}

#[test]
fn what_is_not_there_is_gone() {
    each(&[], |lab| {
        let id = match lab.kind.api.dialect {
            BatchDialect::Gemini => "batches/sim-99",
            _ => "batch_sim_99",
        };
        let batch = BatchRef { id: id.into(), mark: lab.order(1).mark, wire: lab.kind.wire };
        assert!(matches!(lab.poll(&batch), Err(AskError::Gone(_))), "{}", lab.kind.name);
    });
}

#[test]
fn three_batches_with_every_fault_run_each_line_once() {
    const EACH: u64 = 1_500;
    for kind in kinds().into_iter().filter(|kind| !["responses", "file name"].contains(&kind.name)) {
        let rates = [
            (BatchFault::LostCreate, 0.6),
            (BatchFault::Unlisted, 0.6),
            (BatchFault::Expires, 0.5),
            (BatchFault::WrongCounts, 0.6),
            (BatchFault::Missing, 0.6),
            (BatchFault::Foreign, 0.6),
            (BatchFault::Double, 0.6),
            (BatchFault::Cut, 0.8),
            (BatchFault::Late, 0.6),
        ];
        let batches = BatchConfig { faults: BatchFaultRates::new(&rates), ..config() };
        let line_faults = FaultRates::new(&[(Fault::ServerError, 0.02), (Fault::Length, 0.02)]).unwrap();
        let lab = Lab::new(kind, batches, Faults { rates: line_faults, ..Faults::default() });
        let mut nights: Vec<Night> = Vec::new();
        let mut todo: BTreeSet<u64> = (0..3 * EACH).collect();
        // What did not run goes into the next batch, under the same attempt only because this is a test.
        for number in 1..=20 {
            let attempts: Vec<u64> = todo.iter().copied().take(EACH as usize).collect();
            if attempts.is_empty() {
                break;
            }
            let known: Vec<String> = nights.iter().map(|night| night.batch.clone().unwrap().id).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let night = lab.drive(&mut lab.draft(number, attempts), &known);
            for attempt in night.ran.keys() {
                assert!(todo.remove(&attempt.0), "{}: answered twice: {attempt}", lab.kind.name);
            }
            nights.push(night);
        }
        assert!(todo.is_empty(), "{}: {} left", lab.kind.name, todo.len());
        assert_eq!(lab.provider.batches().len(), nights.len(), "{}: none was made twice", lab.kind.name);
        assert!(lab.provider.batches().iter().all(|batch| batch.stage != BatchStage::Invalid));
        lab.settles(&nights);
    }
}

#[test]
fn embeddings_go_in_batches_too() {
    let kind = Kind { wire: Wire::Embeddings, ..kinds().remove(0) };
    let lab = Lab::new(kind, config(), Faults::default());
    let batches = lab.adapter.batches().unwrap();
    let mut draft = Draft::new(lab.folder.path(), lab.order(1), batches.api().limits).unwrap();
    let body = Body { json: r#"{"input": ["a", "b"], "dimensions": 4}"#.into(), model_at: None };
    let item = Item { wire: Wire::Embeddings, body, ..question(Wire::Chat, 0) };
    let (wire, body) = batches.request(&item, &lab.route).unwrap();
    assert_eq!(wire, Wire::Embeddings);
    draft.add(AttemptId(0), &body, 2).unwrap();
    let night = lab.drive(&mut draft, &[]);
    let Some(Outcome::Answer(answer)) = night.ran.get(&AttemptId(0)) else { panic!("{night:?}") };
    let vectors: Vec<Vec<f32>> = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((vectors.len(), vectors[0].len()), (2, 4));
}

#[test]
fn what_a_kind_does_not_take_is_said_before_anything_is_sent() {
    let lab = Lab::new(kinds().remove(3), config(), Faults::default());
    let item = Item { wire: Wire::Embeddings, ..question(Wire::Chat, 0) };
    let route = Route { wires: vec![Wire::Embeddings], ..Route::clone(&lab.route) };
    let refused = lab.adapter.batches().unwrap().request(&item, &route).unwrap_err();
    assert!(refused.contains("batches"), "{refused}");
    let line = Line { id: LineId::Foreign("x".into()), fate: Fate::NotRun(NotRun::Expired) };
    assert_eq!(line.attempt(), None);
}

/// Of these nobody can delete the results: they are part of a batch that stays.
const KEPT_THERE: [BatchDialect; 2] = [BatchDialect::OpenRouter, BatchDialect::Xai];

#[test]
fn what_a_batch_left_is_deleted_once_it_is_over() {
    each(&[], |lab| {
        // Every other line fails, so that there are two files where there can be.
        let rates = FaultRates::new(&[(Fault::ServerError, 0.5)]).unwrap();
        lab.provider.shared().lock().set_faults(Faults { rates, ..Faults::default() });
        let batches = lab.adapter.batches().unwrap();
        let clear = |batch: &BatchRef| lab.runtime.block_on(batches.clear(batch)).unwrap();
        let left_of = |number| -> Vec<&str> {
            let all = lab.provider.left().into_iter();
            all.filter(|left| left.number == number).map(|left| left.kind).collect()
        };
        let (mut draft, mut other) = (lab.draft(1, 0..40), lab.draft(2, 40..50));
        let (batch, other) = (lab.create(&mut draft).unwrap(), lab.create(&mut other).unwrap());
        assert_eq!(clear(&batch), Vec::<String>::new(), "{}: it goes on", lab.kind.name);
        let _ = (lab.wait(&batch), lab.wait(&other));
        let (of_one, of_other) = (left_of(1), left_of(2));
        assert!(!of_one.is_empty() && !of_other.is_empty(), "{}", lab.kind.name);

        let stranger = BatchRef { mark: lab.order(3).mark, ..batch.clone() };
        assert_eq!(clear(&stranger), Vec::<String>::new(), "{}: not ours", lab.kind.name);
        assert_eq!(left_of(1), of_one, "{}", lab.kind.name);

        let stays = KEPT_THERE.contains(&lab.kind.api.dialect);
        clear(&batch);
        clear(&batch);
        let rest: &[&str] = if stays { &["results"] } else { &[] };
        assert_eq!((left_of(1), left_of(2)), (rest.to_vec(), of_other), "{}", lab.kind.name);
        // Nor is what was cleared taken for one whose creation was lost.
        assert_eq!(lab.find(&lab.draft(4, 90..95), &[]), Found::Nothing, "{}", lab.kind.name);
    });
}

#[test]
fn what_an_account_keeps_stays_there() {
    for mut kind in kinds() {
        kind.api.keep_files = true;
        let lab = Lab::new(kind, config(), Faults::default());
        let batch = lab.create(&mut lab.draft(1, 0..3)).unwrap();
        lab.wait(&batch);
        let left = lab.provider.left();
        assert_eq!(lab.runtime.block_on(lab.adapter.batches().unwrap().clear(&batch)), Ok(Vec::new()));
        assert!(!left.is_empty() && lab.provider.left() == left, "{}", lab.kind.name);
    }
}

#[test]
fn a_file_of_which_no_batch_was_made_is_deleted() {
    for kind in kinds() {
        let lab = Lab::new(kind, BatchConfig { requests: Some(3), ..config() }, Faults::default());
        assert!(matches!(lab.create(&mut lab.draft(1, 0..4)), Err(CreateError::NotCreated { .. })));
        assert_eq!(lab.provider.left(), [], "{}", lab.kind.name);
    }
}

#[test]
fn a_file_whose_batch_was_never_made_is_found_by_its_name() {
    each(&[], |lab| {
        let batches = lab.adapter.batches().unwrap();
        let (mut ours, mut other) = (lab.draft(1, 0..4), lab.draft(2, 4..8));
        let _ = (lab.create(&mut ours).unwrap(), lab.create(&mut other).unwrap());
        let inputs = || lab.provider.left().len();
        let is_uploaded = inputs() > 0;
        assert_eq!(inputs(), if is_uploaded { 2 } else { 0 }, "{}", lab.kind.name);
        let gone = lab.runtime.block_on(batches.clear_unmade(ours.order().mark, lab.kind.wire)).unwrap();
        assert_eq!(gone.len(), usize::from(is_uploaded), "{}", lab.kind.name);
        let named = format!("{}.jsonl", other.order().mark);
        let left = lab.provider.left();
        assert!(left.iter().all(|left| named.starts_with(&left.named)), "{}: {left:?}", lab.kind.name);
        assert_eq!(left.len(), usize::from(is_uploaded), "{}", lab.kind.name);
    });
}

/// The batches of a provider that says what a test wrote.
fn scripted(kind: &Kind, says: Vec<Say>) -> (Script, HttpProvider) {
    let mut says = says.into_iter();
    let script = Script::start(move |_, _| says.next().unwrap_or(Say::HangUp));
    let adapter = adapter(kind, &script.base_url(), KEY);
    (script, adapter)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn search(kind: &Kind) -> Search {
    let order = Order { mark: Mark { store: 0xfeed, number: 1 }, model: "m".into(), wire: kind.wire };
    Search { order, len: 5, since: clock::now(), known: Vec::new() }
}

fn kind_of(name: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.name == name).unwrap()
}

#[test]
fn a_batch_that_is_on_two_pages_was_made_once() {
    let kind = kind_of("openai");
    let mark = search(&kind).order.mark.to_string();
    let page = |more: bool| {
        let batch = json!({"id": "b", "status": "in_progress", "metadata": {"overnight": mark}});
        Say::json(200, json!({"data": [batch], "has_more": more}).to_string())
    };
    let (_script, adapter) = scripted(&kind, vec![page(true), page(false)]);
    let found = run(adapter.batches().unwrap().find(&search(&kind))).unwrap();
    assert!(matches!(found, Found::This(batch) if batch.id == "b"));
}

#[test]
fn an_answer_that_is_no_list_does_not_say_that_there_is_none() {
    for kind in kinds() {
        let error = Say::json(200, r#"{"error":{"message":"try later"}}"#);
        let (_script, adapter) = scripted(&kind, vec![error]);
        let found = run(adapter.batches().unwrap().find(&search(&kind)));
        assert!(matches!(found, Err(AskError::Broken(_))), "{}: {found:?}", kind.name);
    }
}

#[test]
fn a_batch_is_not_too_old_because_our_clock_is_ahead() {
    let kind = kind_of("anthropic");
    let theirs = clock::now() - Duration::from_secs(3 * 3_600);
    let batch = json!({"id": "b", "processing_status": "in_progress", "created_at": theirs.to_string(),
        "request_counts": {"processing": 5}});
    let list = json!({"data": [batch], "has_more": false}).to_string();
    let date = theirs.utc().format("date: %a, %d %b %Y %H:%M:%S GMT").to_string();
    let (_script, adapter) = scripted(&kind, vec![Say::with(200, &date, list.clone()), Say::json(200, list)]);
    let found = run(adapter.batches().unwrap().find(&search(&kind))).unwrap();
    assert!(matches!(found, Found::Perhaps(one) if one.len() == 1));
    let found = run(adapter.batches().unwrap().find(&search(&kind))).unwrap();
    assert_eq!(found, Found::Nothing, "one that is older by the same clock is another");
}

#[test]
fn a_file_that_a_batch_does_not_name_is_found_by_its_own_name() {
    let kind = kind_of("xai");
    let mark = search(&kind).order.mark;
    let batch = json!({"batch_id": "b", "name": mark.to_string(), "state": {"num_requests": 1}});
    let files = json!({"data": [{"id": "other", "filename": "x.jsonl"}, {"id": "i", "filename": format!("{mark}.jsonl")}]});
    let says = [batch.to_string(), files.to_string(), "{}".to_owned()].map(|body| Say::json(200, body));
    let (script, adapter) = scripted(&kind, says.into());
    let batch = BatchRef { id: "b".into(), mark, wire: kind.wire };
    assert_eq!(run(adapter.batches().unwrap().clear(&batch)), Ok(vec!["/files/i".to_owned()]));
    assert!(script.heard()[2].head.starts_with("DELETE /v1/files/i "));
}

#[test]
fn what_cannot_be_deleted_keeps_nothing_else_from_being_so() {
    let kind = kind_of("openai");
    let mark = search(&kind).order.mark;
    let batch = json!({"id": "b", "status": "completed", "input_file_id": "i", "output_file_id": "o",
        "metadata": {"overnight": mark.to_string()}});
    let says = vec![Say::json(200, batch.to_string()), Say::json(403, "{}"), Say::json(200, "{}")];
    let (script, adapter) = scripted(&kind, says);
    let batch = BatchRef { id: "b".into(), mark, wire: kind.wire };
    let cleared = run(adapter.batches().unwrap().clear(&batch));
    assert!(matches!(cleared, Err(AskError::Refused(_))), "{cleared:?}");
    let heard: Vec<String> = script.heard().iter().map(|heard| heard.head.clone()).collect();
    let asked = ["GET /v1/batches/b ", "DELETE /v1/files/o ", "DELETE /v1/files/i "];
    assert!(heard.iter().zip(asked).all(|(head, asked)| head.starts_with(asked)), "{heard:?}");
    assert_eq!(heard.len(), asked.len());
}

#[test]
fn results_that_are_cut_short_politely_are_not_all_there_are() {
    let kind = kind_of("openrouter");
    let status = Status {
        batch: BatchRef { id: "b".into(), mark: Mark { store: 1, number: 1 }, wire: kind.wire },
        state: BatchState::Ended(Ended::Completed),
        counts: Counts::default(),
        made_at: None,
        expires_at: None,
        look_again: Duration::ZERO,
        results: vec![ResultsAt::Inline],
    };
    let cut =
        r#"{"id":"b","results":[{"custom_id":"a","error":{"code":"batch_expired"}},{"custom_id":"b","err"#;
    let (_script, adapter) = scripted(&kind, vec![Say::json(200, cut)]);
    run(async {
        let batches = adapter.batches().unwrap();
        let mut results = batches.collect(&status, Cursor::default());
        assert!(matches!(results.next().await, Ok(Some(_))));
        assert!(matches!(results.next().await, Err(AskError::Broken(_))));
    });
}

/// What OpenAI, Anthropic and Google hand their own users takes our objects for theirs.
#[test]
fn the_official_sdks_read_what_the_simulator_says() {
    let lab = Lab::new(kinds().remove(0), config(), Faults::default());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/batch_sdks.py");
    let address = format!("http://{}", lab.provider.address());
    let ran = std::process::Command::new(judges::python()).args([script, &address, KEY]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}
