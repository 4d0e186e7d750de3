use serde_json::Value;

use super::*;
use crate::batch::{AskError, BatchRef, Cursor, Mark};
use crate::job::Wire;
use crate::money::Price;
use crate::provider::simulated::{Config, Model};

const KEY: &str = "k";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn simulated(faults: &[(BatchFault, f64)]) -> Simulated {
    let price = Price { input: 1_001, output: 3_000, ..Price::default() };
    let batches = BatchConfig {
        duration: Duration::from_secs(100),
        window: Duration::from_secs(1_000),
        faults: BatchFaultRates::new(faults),
        ..BatchConfig::default()
    };
    Simulated::new(Config { models: vec![Model::new("m", price)], batches, ..Config::default() })
}

fn order(dialect: BatchDialect, count: u64) -> BatchOrder {
    let line = |n: u64| BatchLine {
        id: format!("ovn-00000001-000000000001-att_{n:012x}"),
        asks: Asks::Body(
            Wire::Chat,
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"question {n}"}}]}}"#).into(),
        ),
    };
    BatchOrder {
        dialect,
        wire: Wire::Chat,
        model: None,
        called: None,
        endpoint: "/v1/chat/completions".into(),
        input_file: None,
        label: Value::Null,
        lines: (0..count).map(line).collect(),
    }
}

fn run(simulated: &mut Simulated, count: u64) -> u64 {
    simulated.order_batch(at(0), KEY, order(BatchDialect::OpenAi, count)).unwrap().number
}

#[test]
fn a_batch_waits_runs_and_is_billed_at_its_end_for_half() {
    let mut simulated = simulated(&[]);
    let number = run(&mut simulated, 20);
    let mut stage = |seconds| simulated.batch(at(seconds), KEY, number).unwrap().stage;
    assert_eq!(
        [stage(9), stage(10), stage(99)],
        [BatchStage::Queued, BatchStage::Running, BatchStage::Running]
    );
    assert_eq!(simulated.totals().billed, Usd::ZERO);
    let batch = simulated.batch(at(100), KEY, number).unwrap().clone();
    assert_eq!((batch.stage, batch.results.len()), (BatchStage::Completed, 20));
    assert!(batch.billed > Usd::ZERO);
    let totals = simulated.totals().clone();
    assert_eq!((totals.billed, totals.usage, totals.requests), (batch.billed, batch.usage, 20));
    let half: u64 = batch.usage.input * 501 + batch.usage.output * 1_500;
    assert_eq!(batch.billed.pico(), i128::from(half), "rounded up for each token");
    assert!(simulated.log().iter().all(|line| line.batch == Some(number)));
    assert_eq!(simulated.log()[7].client_id, Some(ClientId::parse("att_000000000007")));
}

#[test]
fn time_that_is_up_leaves_what_has_run() {
    let mut simulated = simulated(&[(BatchFault::Expires, 1.0)]);
    let number = run(&mut simulated, 400);
    assert_eq!(simulated.batch(at(999), KEY, number).unwrap().stage, BatchStage::Running);
    simulated.pass(Duration::from_secs(1));
    let batch = simulated.batch(at(999), KEY, number).unwrap();
    let expired = batch.count(|end| *end == LineEnd::Expired);
    assert!((150..250).contains(&expired), "{expired}");
    assert_eq!(simulated.totals().billed_requests, 400 - expired);
}

#[test]
fn a_stuck_batch_ends_only_when_it_is_cancelled() {
    let mut simulated = simulated(&[(BatchFault::Stuck, 1.0)]);
    let number = run(&mut simulated, 100);
    assert_eq!(simulated.batch(at(1_000_000), KEY, number).unwrap().stage, BatchStage::Running);
    assert_eq!(simulated.cancel_batch(at(1_000_000), KEY, number).unwrap().stage, BatchStage::Ending);
    let batch = simulated.batch(at(1_000_010), KEY, number).unwrap();
    assert_eq!((batch.stage, batch.results.len()), (BatchStage::Cancelled, 100));
    assert!(batch.count(|end| *end == LineEnd::Cancelled) < 30, "most of it had time to run");
}

#[test]
fn an_invalid_batch_costs_nothing() {
    let mut simulated = simulated(&[(BatchFault::Invalid, 1.0)]);
    let number = run(&mut simulated, 5);
    let batch = simulated.batch(at(10), KEY, number).unwrap();
    assert_eq!((batch.stage, batch.results.len()), (BatchStage::Invalid, 0));
    assert_eq!(simulated.totals().requests, 0);
}

#[test]
fn tokens_that_wait_are_counted_by_model_until_their_batch_is_over() {
    let mut simulated = simulated(&[]);
    let first = run(&mut simulated, 10);
    let waiting = simulated.shop.batches[0].tokens;
    simulated.config.batches.tokens = Some(waiting + 5);
    let full = run(&mut simulated, 10);
    assert_eq!(simulated.batch(at(0), KEY, full).unwrap().stage, BatchStage::OverTokens);
    let refused = simulated.order_batch(at(0), KEY, order(BatchDialect::Anthropic, 10)).unwrap_err();
    assert!(refused.message.contains("enqueued"), "{refused:?}");
    assert_eq!(simulated.batch(at(100), KEY, first).unwrap().stage, BatchStage::Completed);
    let later = simulated.order_batch(at(100), KEY, order(BatchDialect::OpenAi, 10)).unwrap();
    assert_eq!(later.stage, BatchStage::Queued);
}

#[test]
fn each_key_has_its_own_batches_and_new_ones_may_be_unlisted() {
    let mut simulated = simulated(&[(BatchFault::Unlisted, 1.0)]);
    let number = run(&mut simulated, 1);
    assert!(simulated.batch(at(0), "other", number).is_none());
    let listed = |simulated: &mut Simulated, seconds| {
        simulated.list_batches(at(seconds), KEY, &[BatchDialect::OpenAi]).len()
    };
    assert_eq!([listed(&mut simulated, 59), listed(&mut simulated, 60)], [0, 1]);
    assert_eq!(simulated.list_batches(at(60), KEY, &[BatchDialect::Gemini]).len(), 0);
}

#[test]
fn results_may_come_late_cut_twice_or_be_somebody_elses() {
    let all =
        [BatchFault::Late, BatchFault::Cut, BatchFault::Double, BatchFault::Foreign, BatchFault::Missing];
    let mut simulated = simulated(&all.map(|fault| (fault, 1.0)));
    let number = run(&mut simulated, 20);
    let ids: Vec<String> = {
        let batch = simulated.batch(at(100), KEY, number).unwrap();
        batch.results.iter().map(|result| result.id.clone()).collect()
    };
    // Two of twenty are missing, one is there twice, two are foreign.
    assert_eq!(ids.len(), 21, "{ids:?}");
    assert_eq!(simulated.totals().requests, 18);
    let delivered: Vec<Delivery> = [0, 0, 0, 1, 1].map(|part| simulated.deliver(number, part)).into();
    use Delivery::{Cut, NotYet, Whole};
    assert_eq!(delivered, [NotYet, Cut, Whole, Cut, Whole]);
}

#[test]
fn what_goes_wrong_with_single_requests_goes_wrong_with_lines() {
    use crate::provider::simulated::{Fault, FaultRates, Faults};
    let mut simulated = simulated(&[]);
    let rates = FaultRates::new(&[(Fault::ServerError, 0.5), (Fault::Hang, 0.5)]).unwrap();
    simulated.set_faults(Faults { rates, ..Faults::default() });
    let number = run(&mut simulated, 200);
    let batch = simulated.batch(at(100), KEY, number).unwrap();
    let failed = batch.count(|end| matches!(end, LineEnd::Refused(refusal) if refusal.status == 500));
    assert!((60..140).contains(&failed), "{failed}");
    assert_eq!(simulated.totals().billed_requests, 200 - failed);
}

#[test]
fn a_driver_on_virtual_time_sees_what_the_real_one_sees() {
    use std::sync::Arc;

    use crate::batch::{CreateError, Cursor, Found, Mark, Order, Place, Roll, Search};
    use crate::catalog::{Catalog, Route};
    use crate::engine::Call;
    use crate::job::{AttemptId, Body, Item, JobId, Needs};

    let mut simulated = simulated(&[
        (BatchFault::LostCreate, 1.0),
        (BatchFault::Cut, 1.0),
        (BatchFault::Late, 1.0),
        (BatchFault::Foreign, 1.0),
        (BatchFault::Expires, 1.0),
    ]);
    let route = Catalog::bundled().route("sim/m", at(0)).unwrap();
    let route = Arc::new(Route { account: KEY.into(), model: "m".into(), ..Route::clone(&route) });
    let item = Arc::new(Item {
        index: 0,
        custom_id: "r".into(),
        class: 0,
        wire: Wire::Chat,
        body: Body { json: r#"{"messages":[{"role":"user","content":"hi"}]}"#.into(), model_at: None },
        input_tokens: 9,
        max_output: Some(40),
        choices: 1,
        needs: Needs::default(),
        options: None,
    });
    let call = |n| Call {
        attempt: AttemptId(n),
        job: JobId::new("job_virtual"),
        route: route.clone(),
        item: item.clone(),
        beside: None,
    };
    let calls: Vec<Call> = (0..40).map(call).collect();
    let order = Order { mark: Mark { store: 1, number: 1 }, model: "m".into(), wire: Wire::Chat };
    let lost = simulated.create_batch(at(0), &order, &calls);
    assert!(matches!(lost, Err(CreateError::Unknown(_))), "{lost:?}");
    let search = Search { order, len: 40, since: at(0), known: Vec::new() };
    let Found::This(batch) = simulated.find_batch(at(1), KEY, &search).unwrap() else { panic!() };
    let status = simulated.poll_batch(at(999), KEY, &batch).unwrap();
    assert!(!status.state.has_ended() && status.look_again > Duration::ZERO);
    assert!(simulated.poll_batch(at(1_000), KEY, &batch).unwrap().state.has_ended());

    let (mut roll, mut cursor, mut places) =
        (Roll::new((0..40).map(AttemptId)), Cursor::default(), Vec::new());
    let mut ends = Vec::new();
    loop {
        let (lines, next, end) = simulated.collect_batch(at(1_000), KEY, &batch, cursor);
        places.extend(lines.iter().map(|line| roll.tick(line)));
        cursor = next;
        ends.push(end.is_ok());
        if end.is_ok() {
            break;
        }
    }
    assert_eq!(ends, [false, false, true], "late, cut, whole");
    assert_eq!(places.iter().filter(|place| matches!(place, Place::First(_))).count(), 40);
    assert_eq!(places.iter().filter(|place| matches!(place, Place::Foreign(_))).count(), 2);
    assert_eq!(roll.missing().count(), 0);
    let billed = simulated.totals().billed_requests;
    assert!((10..30).contains(&billed), "half of it ran: {billed}");
}

#[test]
fn what_is_left_is_shown_until_its_owner_deletes_it() {
    let mut simulated = simulated(&[]);
    let number = run(&mut simulated, 5);
    let id = format!("batch_sim_{number}");
    let batch = BatchRef { id, mark: Mark { store: 1, number: 1 }, wire: Wire::Chat };
    let kinds = |simulated: &mut Simulated, seconds| -> Vec<&str> {
        simulated.left(at(seconds)).into_iter().map(|left| left.kind).collect()
    };
    simulated.clear_batch(at(50), KEY, &batch).unwrap();
    assert_eq!(kinds(&mut simulated, 50), [""; 0], "it goes on");
    simulated.clear_batch(at(100), "another", &batch).unwrap();
    assert_eq!(kinds(&mut simulated, 100), ["answers"], "it is somebody else's");
    simulated.clear_batch(at(100), KEY, &batch).unwrap();
    assert_eq!(kinds(&mut simulated, 100), [""; 0]);
    let (lines, _, end) = simulated.collect_batch(at(100), KEY, &batch, Cursor::default());
    assert!(lines.is_empty() && matches!(end, Err(AskError::Gone(_))), "{end:?}");
}
