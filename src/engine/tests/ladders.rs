//! What an outcome means for the item: again, on, up, or over.

use super::bench::{Bench, answer, order};
use crate::attempt::{Ending, ErrorCode, ItemStatus, RateHints, RefusalKind};
use crate::catalog::Route;
use crate::check::{Check, Verdict};
use crate::engine::Event;
use crate::job::{ItemOptions, Needs};
use crate::plan::testing::route;
use crate::view::Waiting;

#[test]
fn a_bad_answer_moves_up_and_a_good_one_ends_it() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let job = bench.submit(order("job_1", 1, "a/m > b/m").checked());
    assert_eq!(bench.models(), ["a/m"]);
    bench.answer("bad");
    assert_eq!(bench.models(), ["b/m"]);
    bench.answer("good");
    assert_eq!(bench.results(), [(0, ItemStatus::Succeeded, None)]);
    assert_eq!(bench.ends().next().unwrap().escalation, Some(ErrorCode::CheckFailed));
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn at_the_top_of_the_ladder_a_bad_answer_is_the_end() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(order("job_1", 1, "a/m").checked());
    bench.answer("bad");
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::CheckFailed))]);
}

#[test]
fn a_server_error_is_tried_again_on_its_step_after_a_pause() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let job = bench.submit(order("job_1", 1, "a/m > b/m"));
    bench.refuse(RefusalKind::Server);
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Backoff]));
    bench.sleep();
    assert_eq!(bench.models(), ["a/m"]);
}

#[test]
fn attempts_are_counted_and_their_limit_is_kept() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let own = ItemOptions { max_attempts: Some(2), ..ItemOptions::default() };
    bench.submit(order("job_1", 2, "a/m").with(|order| order.items[1].options = Some(Box::new(own))));
    for _ in 0..6 {
        bench.refuse(RefusalKind::Server);
        bench.pass(120);
    }
    let failed = |item| (item, ItemStatus::Failed, Some(ErrorCode::ServerError));
    assert_eq!(bench.results(), [failed(1), failed(0)]);
    assert_eq!(bench.ends().filter(|end| end.item == 0).count(), 4);
}

#[test]
fn an_invalid_request_is_the_items_end_and_nobody_elses() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let job = bench.submit(order("job_1", 2, "a/m > b/m"));
    bench.refuse(RefusalKind::Invalid);
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::BadRequest))]);
    bench.answer("good");
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn an_item_too_long_for_a_step_starts_on_the_next_by_itself() {
    let large = Route { context: Some(100_000), ..route("b/large", 5) };
    let mut bench = Bench::new([route("a/m", 1), large]);
    bench.submit(order("job_1", 1, "a/m > b/large").with(|order| order.items[0].input_tokens = 50_000));
    assert_eq!(bench.models(), ["b/large"]);
}

#[test]
fn an_item_too_long_for_the_whole_ladder_ends_unsent() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 1)]);
    bench.submit(order("job_1", 1, "a/m > b/m").with(|order| order.items[0].input_tokens = 50_000));
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::ContextLength))]);
    assert_eq!(bench.ends().count(), 0);
}

#[test]
fn a_context_the_provider_finds_too_long_moves_up() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    bench.submit(order("job_1", 1, "a/m > b/m"));
    bench.refuse(RefusalKind::TooLong);
    assert_eq!(bench.models(), ["b/m"]);
}

#[test]
fn an_item_that_needs_a_missing_key_does_not_stop_the_others() {
    let sees = Needs { vision: true, ..Needs::default() };
    let keyless = Route { unusable: Some("set KEY".into()), features: Some(sees), ..route("b/sees", 5) };
    let mut bench = Bench::new([route("a/m", 1), keyless]);
    let job = bench.submit(order("job_1", 4, "a/m|b/sees").with(|order| {
        order.items[0].needs = sees;
        order.items[2].needs = sees;
    }));
    assert_eq!(bench.items(), [1, 3]);
    assert_eq!(bench.waits(&job), [Waiting::NoRoute]);
    assert!(bench.view(&job).waiting_for.unwrap().contains("set KEY"));
}

#[test]
fn a_command_judges_once_and_its_verdict_counts() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let command = vec!["judge".to_owned()];
    let order = order("job_1", 1, "a/m > b/m");
    bench.submit(order.with(|order| order.job.options.check = Some(Check::Command(command.clone()))));
    let call = bench.answer("text");
    assert_eq!(bench.judged, [(call.attempt, vec![command], "text".to_owned())]);
    assert!(bench.results().is_empty());
    let again = Ending { outcome: answer("other"), hints: RateHints::default(), sent_at: bench.now };
    bench.event(Event::Ended(call.attempt, again));
    assert_eq!(bench.judged.len(), 1, "a second end of the same attempt is nothing new");
    bench.event(Event::Judged(call.attempt, Verdict::Fail(ErrorCode::CheckFailed, "no".to_owned())));
    bench.settle();
    assert_eq!(bench.models(), ["b/m"]);
    let call = bench.answer("better");
    bench.event(Event::Judged(call.attempt, Verdict::Pass));
    bench.settle();
    assert_eq!(bench.results(), [(0, ItemStatus::Succeeded, None)]);
}

#[test]
fn an_items_own_check_replaces_the_jobs() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let own = ItemOptions { check: Some(Check::Contains("fine".to_owned())), ..ItemOptions::default() };
    let order = order("job_1", 2, "a/m").checked();
    bench.submit(order.with(|order| order.items[0].options = Some(Box::new(own))));
    bench.answer("fine");
    bench.answer("fine");
    let results = bench.results();
    assert_eq!(results[0], (0, ItemStatus::Succeeded, None));
    assert_eq!(results[1], (1, ItemStatus::Failed, Some(ErrorCode::CheckFailed)));
}
