//! Money: what is reserved, what stays at risk, what a cap stops.

use super::bench::{Bench, answer, order};
use crate::attempt::{ErrorCode, ItemStatus};
use crate::job::{ItemOptions, OnUnknown};
use crate::money::Usd;
use crate::plan::price::worst_case;
use crate::plan::testing::{at, item, route};
use crate::record::JobChange;
use crate::view::Waiting;

/// Of a plain item on a route at a pico-dollar a token.
fn one() -> i128 {
    worst_case(&route("a/m", 1), &item(0)).unwrap().pico()
}

#[test]
fn a_cap_stops_the_request_that_might_pass_it() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 5, "a/m").capped(3 * one() - 1));
    assert_eq!(bench.out.len(), 2);
    assert_eq!(bench.waits(&job), [Waiting::Budget]);
    bench.answer("good");
    // Two tokens were billed: a request fits again while one is still out.
    assert_eq!(bench.out.len(), 2);
    bench.answer("good");
    bench.answer("good");
    bench.answer("good");
    bench.answer("good");
    assert_eq!(bench.state(&job).spent, Usd::from_pico(10));
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn a_raised_cap_lets_the_rest_go() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 2, "a/m").capped(one() - 1));
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Budget]));
    bench.command(&job, JobChange::MaxCost(None));
    assert_eq!(bench.out.len(), 2);
}

#[test]
fn an_unknown_bill_stays_in_the_budget_at_its_worst() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 1, "a/m").capped(2 * one() - 1));
    bench.lose();
    bench.pass(120);
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Budget]));
    assert_eq!(bench.state(&job).at_risk.pico(), one());
    assert_eq!(bench.state(&job).reserved, Usd::ZERO);
}

#[test]
fn an_items_own_cap_ends_it_before_it_is_passed() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let own = ItemOptions { max_cost: Some(Usd::from_pico(4 * one())), ..ItemOptions::default() };
    let order = order("job_1", 1, "a/m > b/m").checked();
    bench.submit(order.with(|order| order.items[0].options = Some(Box::new(own))));
    bench.answer("bad");
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::MaxCost))]);
}

#[test]
fn an_items_own_cap_counts_unknown_bills_at_their_worst() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let own = ItemOptions { max_cost: Some(Usd::from_pico(2 * one() - 1)), ..ItemOptions::default() };
    bench.submit(order("job_1", 1, "a/m").with(|order| order.items[0].options = Some(Box::new(own))));
    bench.lose();
    bench.pass(120);
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::MaxCost))]);
}

#[test]
fn a_held_item_goes_on_when_the_user_says_so() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let order = order("job_1", 2, "a/m").with(|order| order.job.options.on_unknown = OnUnknown::Hold);
    let job = bench.submit(order);
    bench.lose();
    bench.pass(600);
    assert_eq!((bench.counts(&job).held, bench.items()), (1, vec![1]));
    bench.command(&job, JobChange::Resumed);
    assert_eq!((bench.counts(&job).held, bench.items()), (0, vec![1, 0]));
}

#[test]
fn a_cancelled_job_does_not_keep_held_items() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let order = order("job_1", 1, "a/m").with(|order| order.job.options.on_unknown = OnUnknown::Hold);
    let job = bench.submit(order);
    bench.lose();
    bench.command(&job, JobChange::Cancelled);
    assert_eq!(bench.results(), [(0, ItemStatus::Cancelled, Some(ErrorCode::Cancelled))]);
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn a_dear_request_is_held_instead_of_sent_again() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let dear =
        order("job_1", 1, "a/m").with(|order| order.job.options.hold_above = Usd::from_pico(one() - 1));
    let job = bench.submit(dear);
    bench.lose();
    assert_eq!(bench.counts(&job).held, 1);
}

#[test]
fn unknown_outcomes_are_sent_again_as_often_as_allowed() {
    for (allowed, sent) in [(0, 1), (2, 3), (3, 4), (9, 4)] {
        let mut bench = Bench::new([route("a/m", 1)]);
        let order = order("job_1", 1, "a/m").with(|order| order.job.options.unknown_resends = allowed);
        bench.submit(order);
        for _ in 0..sent {
            bench.lose();
            bench.pass(120);
        }
        assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::OutcomeUnknown))], "{allowed}");
    }
}

#[test]
fn what_was_in_flight_at_a_crash_is_unknown_and_settled_once() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 2, "a/m"));
    let lost = bench.out[0].attempt;
    bench.crash();
    assert_eq!((bench.state(&job).unknown, bench.state(&job).at_risk.pico()), (2, 2 * one()));
    bench.pass(120);
    assert_eq!(bench.out.len(), 2);
    assert!(bench.out.iter().all(|call| call.attempt > lost), "a name is never used twice");
    // An answer to the lost request comes too late to count.
    let seq = bench.engine.ledger().globals.seq;
    bench.event(crate::engine::Event::Ended(
        lost,
        crate::attempt::Ending { outcome: answer("good"), hints: Default::default(), sent_at: bench.now },
    ));
    assert_eq!(bench.engine.ledger().globals.seq, seq);
}

#[test]
fn a_held_item_expires_at_its_deadline() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let order = order("job_1", 2, "a/m").with(|order| {
        order.job.options.on_unknown = OnUnknown::Hold;
        order.job.classes[0].deadline = Some(at("18:00"));
    });
    let job = bench.submit(order);
    bench.lose();
    bench.answer("good");
    assert_eq!(bench.counts(&job).held, 1);
    assert_eq!(bench.wakes_at(), at("18:00"));
    bench.sleep();
    assert_eq!(bench.results()[1], (0, ItemStatus::Expired, Some(ErrorCode::Deadline)));
    assert!(bench.state(&job).finished_at.is_some());
    assert_eq!(bench.state(&job).at_risk.pico(), one(), "what it may have cost is not forgotten");
}

#[test]
fn an_item_too_dear_for_what_is_left_lets_smaller_ones_pass() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 4, "a/m").capped(3 * one()).with(|order| {
        order.items[1].max_output = Some(900);
    }));
    assert_eq!((bench.items(), bench.waits(&job)), (vec![0, 2, 3], vec![Waiting::Budget]));
    bench.command(&job, JobChange::MaxCost(None));
    assert_eq!(bench.items(), [0, 2, 3, 1]);
}
