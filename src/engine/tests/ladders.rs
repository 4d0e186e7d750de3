//! What an outcome means for the item: again, on, up, or over.

use super::bench::{Bench, Order, answer, order};
use crate::attempt::{Answer, Ending, ErrorCode, Finish, ItemStatus, Outcome, RateHints, RefusalKind};
use crate::catalog::Route;
use crate::check::{Check, Verdict};
use crate::clock::Timestamp;
use crate::engine::{Call, Event};
use crate::job::{Body, ItemOptions, Needs};
use crate::plan::testing::route;
use crate::record::{JobChange, Next};
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
fn many_items_that_need_a_missing_key_do_not_stop_those_behind_them() {
    let sees = Needs { vision: true, ..Needs::default() };
    let keyless = Route { unusable: Some("set KEY".into()), features: Some(sees), ..route("b/sees", 5) };
    let mut bench = Bench::new([route("a/m", 1), keyless]);
    let job = bench.submit(order("job_1", 2_003, "a/m|b/sees").with(|order| {
        order.items[..2_000].iter_mut().for_each(|item| item.needs = sees);
    }));
    assert_eq!(bench.items(), [2_000, 2_001, 2_002]);
    (0..3).for_each(|_| drop(bench.answer("good")));
    let view = bench.view(&job);
    assert_eq!((view.counts.pending, view.waiting.get(&Waiting::NoRoute)), (2_000, Some(&2_000)));
    assert!(view.waiting_for.unwrap().contains("set KEY"));
    // Looking at all of them again and again would find nothing; the user may know better.
    assert_eq!(bench.wakes_at(), Timestamp::MAX);
    bench.command(&job, JobChange::Resumed);
    assert_eq!((bench.out.len(), bench.counts(&job).pending), (0, 2_000));
    bench.command(&job, JobChange::Cancelled);
    assert_eq!(bench.counts(&job).cancelled, 2_000);
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

/// `n` questions that allow 100 tokens of answer, as they are sent.
fn limited(n: u32, ladder: &str) -> Order {
    let body = r#"{"max_tokens":100,"messages":[{"role":"user","content":"hi"}],"model":"m"}"#;
    order("job_1", n, ladder).with(|order| {
        for item in &mut order.items {
            item.body = Body { json: body.into(), model_at: Some((70, 73)) };
        }
    })
}

fn cut_off() -> Outcome {
    let Outcome::Answer(answer) = answer("half an answ") else { unreachable!() };
    Outcome::Answer(Answer { finish: Finish::Truncated, ..answer })
}

/// The limits of the requests that are out: what the engine counts with and what the provider reads.
#[track_caller]
fn limits(bench: &Bench) -> Vec<(&str, u32)> {
    let limit = |call: &Call| {
        let json: serde_json::Value = serde_json::from_slice(&call.item.body.for_model("x")).unwrap();
        assert_eq!(
            (&json["model"], json["max_tokens"].as_u64()),
            (&"x".into(), call.item.max_output.map(u64::from))
        );
        call.item.max_output.unwrap()
    };
    bench.out.iter().map(|call| (&*call.route.model, limit(call))).collect()
}

#[test]
fn a_cut_off_answer_is_asked_for_once_more_with_a_larger_limit_on_each_step() {
    let mut bench = Bench::new([route("a/small", 1), route("b/large", 5)]);
    let job = bench.submit(limited(1, "a/small > b/large"));
    let reserved = |bench: &Bench| bench.state(&job).reserved.pico();
    assert_eq!(limits(&bench), [("small", 100)]);
    let before = reserved(&bench);
    bench.end(cut_off());
    assert_eq!(limits(&bench), [("small", 400)]);
    assert!(reserved(&bench) >= before + 300, "the worst case is that of the larger limit");
    bench.end(cut_off());
    assert_eq!(limits(&bench), [("large", 100)]);
    bench.end(cut_off());
    assert_eq!(limits(&bench), [("large", 400)]);
    bench.end(cut_off());
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::Truncated))]);
    let escalations: Vec<_> = bench.ends().map(|end| end.escalation).collect();
    assert_eq!(escalations, [None, Some(ErrorCode::Truncated), None, None]);
}

#[test]
fn a_longer_answer_that_is_whole_ends_the_item_as_it_was_submitted() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(limited(1, "a/m").with(|order| order.job.options.keep_input = true));
    bench.end(cut_off());
    bench.answer("whole");
    assert_eq!(bench.results(), [(0, ItemStatus::Succeeded, None)]);
    let Next::Settled(settled) = &bench.ends().last().unwrap().next else { panic!("it ended") };
    assert!(settled.input.as_ref().unwrap().starts_with(br#"{"max_tokens":100,"#));
    assert_eq!(settled.totals.attempts, 2);
}

#[test]
fn an_answer_cut_off_where_no_larger_one_is_possible_moves_up_at_once() {
    let short = |name| Route { max_output: Some(100), ..route(name, 1) };
    let unknown = |name| Route { max_output: None, ..route(name, 1) };
    let routes = [short("a/short"), unknown("a/unknown"), route("b/m", 5)];
    for first in ["a/short", "a/unknown"] {
        let mut bench = Bench::new(routes.clone());
        bench.submit(limited(1, &format!("{first} > b/m")));
        bench.end(cut_off());
        assert_eq!(limits(&bench), [("m", 100)]);
    }
    // The maximum of the model was the limit.
    let mut bench = Bench::new(routes);
    bench.submit(limited(1, "b/m > a/short").with(|order| order.items[0].max_output = None));
    bench.end(cut_off());
    assert_eq!(bench.models(), ["a/short"]);
}

#[test]
fn the_larger_limit_is_kept_through_refusals_and_a_restart() {
    let mut bench = Bench::new([route("a/small", 1), route("b/large", 5)]);
    let job = bench.submit(limited(1, "a/small > b/large"));
    bench.end(cut_off());
    bench.crash();
    bench.pass(120);
    assert_eq!(limits(&bench), [("small", 400)]);
    bench.refuse(RefusalKind::Server);
    bench.pass(120);
    assert_eq!(limits(&bench), [("small", 400)]);
    // It has had its larger limit.
    bench.end(cut_off());
    assert_eq!(limits(&bench), [("large", 100)]);
    assert_eq!(bench.state(&job).items.get(0).attempts(), 3);
}

#[test]
fn a_larger_limit_is_an_attempt_and_needs_one_left() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(limited(1, "a/m").with(|order| order.job.options.max_attempts = 1));
    bench.end(cut_off());
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::Truncated))]);
}

#[test]
fn a_larger_limit_waits_for_a_budget_that_holds_it() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(limited(1, "a/m").capped(400));
    bench.end(cut_off());
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Budget]));
    bench.command(&job, JobChange::MaxCost(None));
    assert_eq!(limits(&bench), [("m", 400)]);
}
