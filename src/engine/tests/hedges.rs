//! Races: when a second attempt of an item starts, and what becomes of the two.

use super::bench::{Bench, Order, order};
use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus, RefusalKind};
use crate::catalog::{Limits, Route};
use crate::engine::Event;
use crate::job::{Hedge, JobId, When};
use crate::ledger::Phase;
use crate::money::Usd;
use crate::plan::testing::{at, route};
use crate::record::{JobChange, Next};
use crate::view::Waiting;

/// What is missing, and how an order lacks it.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Order));

/// Two equals and a stronger one.
fn routes() -> [Route; 3] {
    [route("a/m", 1), route("b/m", 5), route("c/strong", 9)]
}

/// One item so near its deadline that no time is left to wait.
fn hurried(ladder: &str) -> Order {
    order("job_1", 1, ladder).checked().with(|order| order.job.classes[0].deadline = Some(at("12:09")))
}

/// With its attempt out for longer than anyone waits.
fn late(order: Order) -> (Bench, JobId) {
    let mut bench = Bench::new(routes());
    let job = bench.submit(order);
    bench.pass(19);
    assert_eq!(bench.models(), ["a/m"], "not late yet");
    bench.pass(1);
    (bench, job)
}

/// With a second attempt on `b/m`.
fn race() -> (Bench, JobId) {
    let (bench, job) = late(hurried("a/m|b/m > c/strong"));
    assert_eq!(bench.models(), ["a/m", "b/m"]);
    (bench, job)
}

fn statuses(bench: &Bench) -> Vec<AttemptStatus> {
    bench.ends().map(|ended| ended.status).collect()
}

#[test]
fn the_first_good_answer_settles_the_item_and_the_other_call_is_given_up() {
    let (mut bench, job) = race();
    assert_eq!((bench.counts(&job).running, bench.state(&job).open.len()), (1, 2));
    bench.out.rotate_left(1);
    bench.answer("good");
    assert_eq!(bench.models(), [""; 0], "the call to a/m was cancelled");
    assert_eq!(statuses(&bench), [AttemptStatus::Cancelled, AttemptStatus::Succeeded]);
    let [lost, won] = bench.ends().collect::<Vec<_>>()[..] else { panic!("two attempts") };
    assert!(lost.at_risk > Usd::ZERO && lost.cost > Usd::ZERO, "it may be billed: {lost:?}");
    assert_eq!((lost.hedge, won.hedge), (false, true));
    assert_eq!((lost.number, won.number, won.totals.attempts), (1, 2, 2));
    assert_eq!(won.totals.cost, lost.cost + won.cost);
    assert_eq!(bench.results(), [(0, ItemStatus::Succeeded, None)]);
    let state = bench.state(&job);
    assert_eq!((state.at_risk, state.reserved, state.hedges), (lost.at_risk, Usd::ZERO, 1));
    assert!(state.races.is_empty());
}

#[test]
fn an_answer_slower_than_the_rest_of_its_route_is_raced_long_before_any_deadline() {
    for (hedge, expected) in [(Hedge::Auto, vec!["a/m", "b/m"]), (Hedge::Off, vec!["a/m"])] {
        let mut bench = Bench::new(routes());
        bench.submit(order("job_1", 60, "a/m|b/m > c/strong").with(|order| {
            order.job.options.when = When::Asap;
            order.job.options.hedge = hedge;
        }));
        bench.pass(2);
        while bench.out.len() > 1 {
            bench.answer("good");
        }
        bench.pass(5);
        assert_eq!(bench.models(), expected);
    }
}

#[test]
fn a_failure_decides_nothing_while_the_other_is_in_flight() {
    let (mut bench, job) = race();
    bench.answer("bad");
    assert_eq!(bench.models(), ["b/m"], "nothing is sent a third time");
    assert_eq!(bench.ends().last().unwrap().next, Next::Running);
    assert_eq!(bench.state(&job).items.get(0).phase(), Phase::Running);
    bench.answer("bad");
    assert_eq!(bench.models(), ["c/strong"], "both models of the step have failed it");
    bench.pass(60);
    assert_eq!(bench.models(), ["c/strong"], "an item races once");
    bench.answer("good");
    assert_eq!(bench.results(), [(0, ItemStatus::Succeeded, None)]);
}

#[test]
fn with_the_deadline_near_the_next_step_may_race_and_its_failure_is_not_asked_for_again() {
    let (mut bench, _) = late(hurried("a/m > c/strong"));
    assert_eq!(bench.models(), ["a/m", "c/strong"]);
    bench.out.rotate_left(1);
    bench.answer("bad");
    bench.answer("bad");
    assert_eq!(bench.models(), [""; 0]);
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::CheckFailed))]);
}

#[test]
fn after_a_restart_both_are_unknown_and_the_item_is_sent_once() {
    let (mut bench, job) = race();
    bench.crash();
    assert_eq!(statuses(&bench), [AttemptStatus::Unknown; 2]);
    bench.pass(1);
    assert_eq!((bench.out.len(), bench.state(&job).items.get(0).unknowns()), (1, 2));
    assert_eq!(bench.ends().map(|ended| ended.hedge).collect::<Vec<_>>(), [false, true]);
    bench.answer("good");
    assert_eq!(bench.counts(&job).succeeded, 1);
}

#[test]
fn a_cancelled_job_takes_what_either_attempt_brings() {
    let (mut bench, job) = race();
    bench.command(&job, JobChange::Cancelled);
    bench.refuse(RefusalKind::Server);
    assert_eq!(bench.counts(&job).running, 1);
    bench.answer("good");
    assert_eq!(bench.counts(&job).succeeded, 1);
}

#[test]
fn no_race_without_room_money_or_tries_to_spare() {
    let worst_case = |order: &mut Order| order.job.options.max_cost = Some(Usd::from_pico(200));
    let changes: [Change<'_>; 5] = [
        ("no money", &worst_case),
        ("no try left", &|order| order.job.options.max_attempts = 2),
        ("no resend left", &|order| order.job.options.unknown_resends = 1),
        ("unknown bills are held", &|order| order.job.options.hold_above = Usd::ZERO),
        ("no deadline", &|order| order.job.classes[0].deadline = None),
    ];
    for (why, change) in changes {
        let (bench, _) = late(hurried("a/m|b/m").with(change));
        assert_eq!(bench.models(), ["a/m"], "{why}");
    }
}

#[test]
fn a_first_attempt_goes_before_a_second() {
    let one = Limits { concurrency: Some(1), ..Limits::default() };
    let routes = routes().map(|route| Route { limits: one, ..route });
    let mut bench = Bench::new(routes);
    bench.submit(hurried("a/m|b/m"));
    let other = bench
        .submit(order("job_2", 2, "b/m").with(|order| order.job.classes[0].deadline = Some(at("12:09"))));
    bench.pass(30);
    assert_eq!(bench.waits(&other), [Waiting::RateLimit]);
    assert_eq!(bench.models(), ["a/m", "b/m"]);
    bench.out.rotate_left(1);
    bench.answer("good");
    assert_eq!(bench.items(), [0, 1], "the place goes to who waits for it");
    bench.out.rotate_left(1);
    bench.answer("good");
    bench.pass(5);
    assert_eq!(bench.models(), ["a/m", "b/m"], "nobody waits any more");
}

#[test]
fn while_nothing_may_be_sent_no_race_starts_and_nobody_is_woken_for_one() {
    let mut bench = Bench::new(routes());
    bench.submit(hurried("a/m|b/m"));
    bench.event(Event::Hold(true));
    bench.pass(60);
    assert_eq!(bench.models(), ["a/m"]);
    assert!(bench.wake > bench.now, "{:?}", bench.wake);
    bench.event(Event::Hold(false));
    bench.settle();
    assert_eq!(bench.models(), ["a/m", "b/m"]);
}
