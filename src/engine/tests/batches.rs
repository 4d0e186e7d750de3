//! Provider batches: when they are made, what their lines mean, what a restart finds.

use std::time::Duration;

use super::bench::{Bench, Order, order};
use crate::attempt::{Answer, AttemptStatus, ErrorCode, Outcome};
use crate::batch::{
    AskError, BatchRef, BatchState, Counts, CreateError, Cursor, Ended, Fate, Found, Line, LineId, Mark,
    NotRun, ResultsAt, Status, Why,
};
use crate::catalog::batch::{BatchApi, BatchDialect};
use crate::catalog::{PriceTable, Route};
use crate::engine::{BatchNews, BatchWork, Event, Notice};
use crate::job::{AttemptId, JobId, Wire};
use crate::money::Usage;
use crate::plan::testing::{at, price, route};
use crate::record::{JobChange, Record};

/// A model that is sent to at once, and in batches for half of it.
fn routes() -> [Route; 2] {
    [route("a/m", 4), batch_lane("a/m", 2)]
}

fn batch_lane(name: &str, per_token: u64) -> Route {
    let limits = BatchApi::new(BatchDialect::OpenAi).limits;
    Route {
        name: format!("{name} batch").into(),
        lane: "batch".into(),
        prices: Some(PriceTable::flat("half", price(per_token))),
        batch: Some(limits),
        ..route(name, per_token)
    }
}

/// Due at 20:00, eight hours from the beginning.
fn due(order: Order) -> Order {
    order.with(|order| order.job.classes[0].deadline = Some(at("20:00")))
}

fn status(batch: &BatchRef, state: BatchState) -> Status {
    Status {
        batch: batch.clone(),
        results: if state.has_ended() { vec![ResultsAt::Inline] } else { Vec::new() },
        state,
        counts: Counts::default(),
        made_at: None,
        expires_at: None,
        look_again: Duration::from_secs(60),
    }
}

fn line(attempt: AttemptId, fate: Fate) -> Line {
    Line { id: LineId::Ours(attempt), fate }
}

fn good(attempt: AttemptId) -> Line {
    let usage = Some(Usage { input: 10, output: 100, ..Usage::default() });
    let answer = Answer { text: "good".to_owned(), usage, ..Answer::default() };
    line(attempt, Fate::Ran(Outcome::Answer(answer)))
}

fn of(mark: Mark) -> BatchRef {
    BatchRef { id: format!("batch_{}", mark.number), mark, wire: Wire::Chat }
}

fn expired(attempt: AttemptId) -> Line {
    line(attempt, Fate::NotRun(NotRun::Expired))
}

impl Bench {
    /// An evening with forty items, all of them in batches that exist.
    fn with_batches(order: Order) -> (Bench, JobId, Vec<BatchRef>) {
        let mut bench = Bench::new(routes());
        let id = bench.submit(due(order));
        let made = bench.make_all();
        (bench, id, made)
    }

    /// Every batch that is to be made is made.
    fn make_all(&mut self) -> Vec<BatchRef> {
        let marks = self.creations();
        for &mark in &marks {
            self.answer_batch(mark, BatchNews::Created(Ok(of(mark))));
        }
        marks.into_iter().map(of).collect()
    }

    fn creations(&self) -> Vec<Mark> {
        let asks = self.asks.iter().filter(|ask| matches!(ask.what, BatchWork::Create));
        asks.map(|ask| ask.mark).collect()
    }

    fn attempts_of(&self, mark: Mark) -> Vec<AttemptId> {
        let lines = self.drafted.iter().filter(|(of, _)| *of == mark);
        lines.map(|(_, call)| call.attempt).collect()
    }

    /// Lets time pass until this is asked about a batch.
    fn wait_for(&mut self, mark: Mark, is_it: impl Fn(&BatchWork) -> bool) {
        for _ in 0..1_000 {
            if self.asks.iter().any(|ask| ask.mark == mark && is_it(&ask.what)) {
                return;
            }
            self.sleep();
        }
        panic!("it was never asked: {:?}", self.asks);
    }

    /// It is looked at, and over.
    fn see_the_end(&mut self, batch: &BatchRef, ended: Ended) {
        self.wait_for(batch.mark, |what| matches!(what, BatchWork::Look(_)));
        let status = status(batch, BatchState::Ended(ended));
        self.answer_batch(batch.mark, BatchNews::Looked(Ok(status)));
    }

    /// It is looked at and over, and these are its results.
    fn finish(&mut self, batch: &BatchRef, ended: Ended, lines: Vec<Line>) {
        self.see_the_end(batch, ended);
        let cursor = Cursor { lines: lines.len() as u64, ..Cursor::default() };
        self.answer_batch(batch.mark, BatchNews::Collected { lines, cursor, end: Ok(true) });
    }

    fn finish_well(&mut self, batch: &BatchRef) {
        let lines = self.attempts_of(batch.mark).into_iter().map(good).collect();
        self.finish(batch, Ended::Completed, lines);
    }

    fn statuses(&self, mark: Mark) -> Vec<AttemptStatus> {
        let attempts = self.attempts_of(mark);
        self.ends().filter(|ended| attempts.contains(&ended.attempt)).map(|ended| ended.status).collect()
    }

    fn batches_out(&self) -> usize {
        self.engine.ledger().globals.batches.iter().count()
    }
}

#[test]
fn what_has_time_goes_out_in_batches_and_comes_back_line_by_line() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 40, "a/m"));
    assert_eq!(bench.out.len(), 0, "nothing is sent at once");
    assert!(made.len() >= 8, "one stuck batch is not all: {}", made.len());
    assert_eq!((bench.drafted.len(), bench.counts(&id).running), (40, 40));
    for batch in &made {
        bench.finish_well(batch);
    }
    let state = bench.state(&id);
    assert_eq!(state.final_counts.map(|counts| counts.succeeded), Some(40));
    assert_eq!(state.spent.pico(), 40 * 2 * 110, "at the price of batches");
    assert_eq!(state.list_cost.pico(), 40 * 4 * 110, "which is half the list price");
    assert!(bench.ends().all(|ended| ended.upstream_batch.is_some() && &*ended.route.lane == "batch"));
    assert_eq!(bench.batches_out(), 0);
}

#[test]
fn what_has_no_time_goes_at_once() {
    let mut bench = Bench::new(routes());
    bench.submit(order("job_1", 40, "a/m").with(|order| order.job.classes[0].deadline = Some(at("12:20"))));
    assert!(bench.drafted.is_empty() && !bench.out.is_empty());
}

#[test]
fn a_line_fails_and_moves_up_like_any_answer() {
    let mut bench = Bench::new(routes().into_iter().chain([route("b/strong", 40)]));
    let id = bench.submit(due(order("job_1", 8, "a/m > b/strong").checked()));
    let batch = bench.make_all().remove(0);
    let attempts = bench.attempts_of(batch.mark);
    let bad = |attempt| match good(attempt) {
        Line { id, fate: Fate::Ran(Outcome::Answer(answer)) } => {
            Line { id, fate: Fate::Ran(Outcome::Answer(Answer { text: "bad".to_owned(), ..answer })) }
        }
        line => line,
    };
    bench.finish(&batch, Ended::Completed, attempts.iter().copied().map(bad).collect());
    assert_eq!(bench.statuses(batch.mark), vec![AttemptStatus::Rejected; attempts.len()]);
    let item = bench.drafted[0].1.item.index;
    assert_eq!(bench.state(&id).items.get(item).step(), 1);
}

#[test]
fn a_lost_creation_is_looked_for_and_never_repeated() {
    let mut bench = Bench::new(routes());
    bench.submit(due(order("job_1", 40, "a/m")));
    let marks = bench.creations();
    let lost = || BatchNews::Created(Err(CreateError::Unknown("reset".to_owned())));
    marks.iter().for_each(|&mark| drop(bench.answer_batch(mark, lost())));
    let (first, second) = (marks[0], marks[1]);

    bench.wait_for(first, |what| matches!(what, BatchWork::Find(_)));
    bench.answer_batch(first, BatchNews::Found(Ok(Found::Nothing)));
    let searched_at = bench.now;
    bench.wait_for(first, |what| matches!(what, BatchWork::Find(_)));
    assert!(bench.now >= searched_at + Duration::from_secs(60), "lists lag behind");
    bench.answer_batch(first, BatchNews::Found(Ok(Found::This(of(first)))));
    bench.finish_well(&of(first));

    bench.wait_for(second, |what| matches!(what, BatchWork::Find(_)));
    for _ in 0..5 {
        assert!(bench.statuses(second).is_empty(), "fewer searches are not enough");
        bench.wait_for(second, |what| matches!(what, BatchWork::Find(_)));
        bench.answer_batch(second, BatchNews::Found(Ok(Found::Nothing)));
    }
    assert!(bench.statuses(second).iter().all(|status| *status == AttemptStatus::Cancelled));
    assert!(!bench.statuses(second).is_empty());
    let created = bench.asks.iter().filter(|ask| matches!(ask.what, BatchWork::Create));
    assert!(created.clone().all(|ask| !marks.contains(&ask.mark)), "a name is used once");
}

#[test]
fn a_restart_looks_for_what_was_intended_and_at_what_exists() {
    let mut bench = Bench::new(routes());
    let id = bench.submit(due(order("job_1", 40, "a/m")));
    let marks = bench.creations();
    bench.answer_batch(marks[0], BatchNews::Created(Ok(of(marks[0]))));
    bench.crash();
    assert!(bench.creations().is_empty());
    let out: u64 = bench.engine.problem().0.works[0].batches.iter().map(|batch| batch.lines).sum();
    assert_eq!(out, 40, "the planner knows what it could take back");
    bench.wait_for(marks[0], |what| matches!(what, BatchWork::Look(_)));
    for &mark in &marks[1..] {
        bench.wait_for(mark, |what| matches!(what, BatchWork::Find(_)));
        bench.answer_batch(mark, BatchNews::Found(Ok(Found::This(of(mark)))));
    }
    for &mark in &marks {
        bench.finish_well(&of(mark));
    }
    assert_eq!(bench.state(&id).final_counts.map(|counts| counts.succeeded), Some(40));
}

#[test]
fn what_was_started_for_a_batch_that_was_never_intended_was_not_sent() {
    let mut bench = Bench::new(routes());
    let id = bench.submit(due(order("job_1", 40, "a/m")));
    let is_intent = |record: &Record| matches!(record, Record::BatchIntended(_));
    let first = bench.records.iter().position(is_intent).expect("one was intended");
    let was_made_of = bench.attempts_of(bench.creations()[0]);
    bench.crash_with(first);
    let ends: Vec<_> = bench.ends().filter(|ended| was_made_of.contains(&ended.attempt)).collect();
    assert_eq!(ends.len(), was_made_of.len());
    assert!(ends.iter().all(|ended| ended.status == AttemptStatus::Cancelled && ended.cost.pico() == 0));
    assert!(bench.creations().iter().all(|mark| mark.number > 1), "its number is not used again");
    assert_eq!(bench.state(&id).unknown, 0);
}

#[test]
fn a_restart_in_the_middle_of_results_goes_on_behind_what_is_written_down() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 40, "a/m"));
    let batch = &made[0];
    let attempts = bench.attempts_of(batch.mark);
    bench.see_the_end(batch, Ended::Completed);
    let cursor = Cursor { lines: 2, ..Cursor::default() };
    let lines = attempts[..2].iter().copied().map(good).collect();
    bench.answer_batch(batch.mark, BatchNews::Collected { lines, cursor, end: Ok(false) });
    assert_eq!(bench.counts(&id).succeeded, 2);
    bench.crash();
    bench.see_the_end(batch, Ended::Completed);
    let asked = bench.asks.iter().find_map(|ask| match &ask.what {
        BatchWork::Collect(_, from) if ask.mark == batch.mark => Some(*from),
        _ => None,
    });
    assert_eq!(asked, Some(cursor));
}

#[test]
fn what_has_no_line_or_did_not_run_costs_nothing_and_fails_nobody() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 40, "a/m"));
    let batch = &made[0];
    let attempts = bench.attempts_of(batch.mark);
    let foreign = Line { id: LineId::Foreign("x".to_owned()), ..good(attempts[0]) };
    let lines = vec![good(attempts[0]), expired(attempts[1]), good(attempts[0]), foreign];
    bench.finish(batch, Ended::Expired, lines);
    let counts = bench.counts(&id);
    assert_eq!((counts.succeeded, counts.failed), (1, 0));
    let expired = bench
        .ends()
        .filter(|ended| ended.error.as_ref().is_some_and(|(code, _)| *code == ErrorCode::BatchExpired));
    let expired: Vec<_> = expired.collect();
    assert_eq!(expired.len(), attempts.len() - 1);
    assert!(
        expired.iter().all(|ended| ended.cost.pico() == 0 && !ended.counts() && ended.lesson().is_none())
    );
    let told =
        bench.notices.iter().any(|notice| matches!(notice, Notice::OddLines { foreign: 1, double: 1, .. }));
    assert!(told, "{:?}", bench.notices);
}

#[test]
fn a_queue_that_is_full_rests_its_lane_and_one_too_large_is_halved() {
    let mut bench = Bench::new(routes());
    bench.submit(due(order("job_1", 40, "a/m")));
    let full = |why, retry_after| {
        let message = "full".to_owned();
        BatchNews::Created(Err(CreateError::NotCreated { why, message, retry_after }))
    };
    let marks = bench.creations();
    for &mark in &marks {
        bench.answer_batch(mark, full(Why::QueueFull, Some(Duration::from_secs(1_800))));
    }
    let refused_at = bench.now;
    while bench.creations().is_empty() && bench.now < at("19:00") {
        bench.sleep();
    }
    assert!(bench.now >= refused_at + Duration::from_secs(1_800), "asked again at {}", bench.now);
}

#[test]
fn a_cancelled_job_takes_its_batches_back_and_keeps_what_ran() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 40, "a/m"));
    bench.command(&id, JobChange::Cancelled);
    for batch in &made {
        bench.wait_for(batch.mark, |what| matches!(what, BatchWork::Cancel(_)));
        bench.asks.retain(|ask| ask.mark != batch.mark || !matches!(ask.what, BatchWork::Cancel(_)));
    }
    let first = bench.attempts_of(made[0].mark);
    let lines = vec![good(first[0])];
    bench.finish(&made[0], Ended::Cancelled, lines);
    for batch in &made[1..] {
        bench.finish(batch, Ended::Cancelled, Vec::new());
    }
    let counts = bench.state(&id).final_counts.expect("the job is over");
    assert_eq!((counts.succeeded, counts.cancelled), (1, 39));
}

#[test]
fn at_the_deadline_nothing_is_left_in_a_batch() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 8, "a/m"));
    bench.now = at("20:00");
    bench.settle();
    for batch in &made {
        assert!(
            bench.asks.iter().any(|ask| ask.mark == batch.mark && matches!(ask.what, BatchWork::Cancel(_)))
        );
        bench.asks.retain(|ask| ask.mark != batch.mark || !matches!(ask.what, BatchWork::Cancel(_)));
        bench.finish(batch, Ended::Cancelled, Vec::new());
    }
    assert_eq!(bench.state(&id).final_counts.map(|counts| counts.expired), Some(8));
}

#[test]
fn results_that_are_gone_for_good_leave_unknown_bills() {
    let (mut bench, id, made) = Bench::with_batches(order("job_1", 40, "a/m"));
    let batch = &made[0];
    let since = bench.now;
    while bench.statuses(batch.mark).is_empty() {
        bench.see_the_end(batch, Ended::Completed);
        let gone = Err(AskError::Gone("deleted".to_owned()));
        let news = BatchNews::Collected { lines: Vec::new(), cursor: Cursor::default(), end: gone };
        bench.answer_batch(batch.mark, news);
        assert!(bench.now < since + Duration::from_secs(4 * 3_600), "it is given up some day");
    }
    assert!(bench.now >= since + Duration::from_secs(3_600), "they may come later");
    assert!(bench.statuses(batch.mark).iter().all(|status| *status == AttemptStatus::Unknown));
    assert!(bench.state(&id).at_risk.pico() > 0);
}

#[test]
fn what_does_not_fit_into_a_batch_goes_by_itself() {
    let mut bench = Bench::new(routes());
    bench.disk_hangs = true;
    let id = bench.submit(due(order("job_1", 8, "a/m")));
    let (mark, call) = bench.drafted[0].clone();
    bench.event(Event::Batch(mark, BatchNews::NotAdded(call.attempt, "too large".to_owned())));
    bench.disk_hangs = false;
    bench.settle();
    let state = bench.state(&id).items.get(call.item.index);
    assert!(!bench.state(&id).open.contains_key(&call.attempt));
    assert!(!state.is_final());
}

#[test]
fn a_step_that_has_nothing_but_batches_is_not_passed_over() {
    let left_out = Route { unusable: Some("left out".into()), ..route("b/m", 5) };
    let mut bench = Bench::new([route("a/m", 1), left_out, batch_lane("b/m", 2), route("c/m", 9)]);
    bench.submit(due(order("job_1", 12, "a/m > b/m > c/m").checked()));
    while let Some(call) = bench.out.front() {
        assert_eq!(&*call.route.name, "a/m");
        bench.answer("bad");
    }
    while bench.creations().is_empty() {
        bench.sleep();
    }
    assert!(bench.drafted.iter().all(|(_, call)| &*call.route.name == "b/m batch"));
    assert!(bench.out.is_empty(), "nobody moved past it: {:?}", bench.models());
}
