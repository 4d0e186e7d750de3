//! Items that ask the same: asked once, answered all.

use super::bench::{Bench, Order, answer, order};
use crate::attempt::{Ending, ErrorCode, ItemStatus, RateHints, RefusalKind};
use crate::engine::Event;
use crate::job::ItemIndex;
use crate::plan::testing::route;
use crate::record::{JobChange, Record, Settled};

/// Four items, of which the last two ask what the first asks.
fn repeating(ladder: &str) -> Order {
    order("job_1", 4, ladder).checked().with(|order| order.job.copies = vec![(2, 0), (3, 0)])
}

fn copied(bench: &Bench) -> Vec<(ItemIndex, &Settled)> {
    let copies = bench.records.iter().filter_map(|record| match record {
        Record::Settled(settled) if settled.copied.is_some() => Some((settled.item, &**settled)),
        _ => None,
    });
    copies.collect()
}

#[test]
fn an_answer_goes_to_all_who_asked_and_costs_once() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(repeating("a/m"));
    assert_eq!(bench.items(), [0, 1], "the others wait for the first");
    bench.answer("good");
    let copies = copied(&bench);
    assert_eq!(copies.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [2, 3]);
    for (_, copy) in copies {
        assert_eq!(copy.copied.as_ref().unwrap().text.as_deref(), Some("good"));
        assert_eq!(
            (copy.status, copy.valid, copy.totals.cost.pico()),
            (ItemStatus::Succeeded, Some(true), 0)
        );
        assert!(copy.totals.list_cost.pico() > 0, "what it would have cost is shown");
    }
    bench.answer("good");
    let state = bench.state(&job);
    assert_eq!((state.attempts, state.copied, state.counts().succeeded), (2, 2, 4));
    assert!(state.finished_at.is_some());
}

#[test]
fn a_verdict_on_the_last_step_is_the_verdict_on_all() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    bench.submit(repeating("a/m > b/m"));
    bench.answer("bad");
    assert!(copied(&bench).is_empty(), "the item goes on, so the others wait on");
    bench.answer("good");
    bench.answer("bad");
    let failed = |item| (item, ItemStatus::Failed, Some(ErrorCode::CheckFailed));
    assert_eq!(bench.results(), [(1, ItemStatus::Succeeded, None), failed(0), failed(2), failed(3)]);
}

#[test]
fn an_end_that_says_nothing_of_the_request_sends_the_next() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(repeating("a/m").with(|order| order.job.options.max_attempts = 1));
    bench.refuse(RefusalKind::Server);
    assert_eq!(bench.items(), [1, 2], "the second who asks is sent in the place of the first");
    bench.answer("good");
    bench.answer("good");
    assert_eq!(bench.counts(&job).succeeded, 3);
    assert_eq!(bench.state(&job).copied, 1);
}

#[test]
fn a_cancelled_job_waits_for_nobody() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(repeating("a/m"));
    bench.command(&job, JobChange::Cancelled);
    assert_eq!(bench.counts(&job).cancelled, 2);
    bench.answer("good");
    bench.answer("good");
    assert_eq!(bench.counts(&job).succeeded, 2);
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn after_a_restart_those_who_asked_still_wait_for_one() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(repeating("a/m"));
    bench.crash();
    for _ in 0..2 {
        if bench.out.is_empty() {
            bench.sleep();
        }
        assert!(bench.answer("good").item.index < 2, "an item was sent that waits for another");
    }
    assert_eq!((bench.counts(&job).succeeded, bench.state(&job).copied), (4, 2));
}

#[test]
fn an_answer_that_was_written_just_before_the_end_is_asked_for_once_more() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(repeating("a/m").with(|order| order.job.copies = vec![(1, 0), (2, 0), (3, 0)]));
    // The power goes after the answer is written down and before its copies are.
    let call = bench.out.pop_front().unwrap();
    let ending = Ending { outcome: answer("good"), hints: RateHints::default(), sent_at: bench.now };
    bench.event(Event::Ended(call.attempt, ending));
    bench.event(Event::Recorded(bench.records.len() as u64));
    bench.crash();
    assert_eq!(bench.items(), [1], "one of the three, not all of them");
    bench.answer("good");
    assert_eq!((bench.counts(&job).succeeded, bench.state(&job).copied), (4, 2));
}
