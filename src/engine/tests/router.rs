//! Which model an item goes to by what checks have taught, and when it is given up.

use super::bench::{Bench, Order, answer, order};
use crate::attempt::{Answer, ErrorCode, Finish, ItemStatus, Outcome};
use crate::catalog::{Limits, Route};
use crate::engine::Event;
use crate::job::{ItemIndex, ItemOptions, JobId, Worth};
use crate::money::{Usage, Usd};
use crate::plan::tally::{Cell, Spent};
use crate::plan::testing::route;
use crate::record::{Ended, Next};

/// One call at a time.
fn single(name: &str, per_token: u64) -> Route {
    Route { limits: Limits { concurrency: Some(1), ..Limits::default() }, ..route(name, per_token) }
}

fn worth(pico: i128) -> Option<Worth> {
    Some(Worth::UpTo(Usd::from_pico(pico)))
}

/// Answers everything that is sent, by model and item.
fn play(bench: &mut Bench, passes: impl Fn(&str, ItemIndex) -> bool) {
    while let Some(call) = bench.out.front() {
        let good = passes(&call.route.name, call.item.index);
        bench.answer(if good { "good" } else { "bad" });
    }
}

fn first_routes(bench: &Bench) -> Vec<String> {
    let firsts = bench.ends().filter(|end| end.number == 1);
    firsts.map(|end| format!("{}/{}", end.route.provider, end.route.model)).collect()
}

fn message(ended: &Ended) -> &str {
    let Next::Settled(settled) = &ended.next else { panic!("it ends its item") };
    &settled.error.as_ref().expect("it failed").1
}

fn cell(bench: &Bench, job: &JobId, model: &str, spent: Spent) -> Cell {
    let tally = bench.state(job).tally.as_ref().expect("it has begun");
    tally.cell(tally.index_of(model).expect("of the ladder"), spent)
}

#[test]
fn of_equals_the_one_that_costs_least_for_each_success_goes_first_once_it_is_known() {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    bench.submit(order("job_1", 300, "a/m|b/m").checked());
    play(&mut bench, |route, item| route == "b/m" || item % 20 == 0);
    let firsts = first_routes(&bench);
    assert_eq!(firsts[0], "a/m", "nothing is known yet, so the cheaper one is asked");
    let late = firsts[150..].iter().filter(|route| *route == "b/m").count();
    assert!(late >= 140, "{late} of 150");
}

#[test]
fn without_a_check_equals_are_compared_by_cost_alone() {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    let job = bench.submit(order("job_1", 60, "a/m|b/m"));
    play(&mut bench, |_, _| false);
    assert!(first_routes(&bench).iter().all(|route| route == "a/m"));
    assert!(bench.engine.ledger().globals.tallies.iter().next().is_none(), "{job}");
}

#[test]
fn at_the_last_step_the_equals_that_have_not_failed_are_asked_too() {
    let routes = || [route("a/m", 10), route("b/m", 11), route("c/m", 12)];
    for (most, asked) in [(2, 2), (3, 3), (9, 3)] {
        let mut bench = Bench::new(routes());
        bench.submit(
            order("job_1", 1, "a/m|b/m|c/m").checked().with(|order| order.job.options.max_attempts = most),
        );
        play(&mut bench, |_, _| false);
        let models: Vec<String> = bench.ends().map(|end| end.route.provider.to_string()).collect();
        assert_eq!(models, ["a", "b", "c"][..asked]);
        assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::CheckFailed))]);
    }
}

#[test]
fn a_model_that_declined_is_not_asked_again() {
    let mut bench = Bench::new([route("a/m", 10), route("b/m", 11)]);
    bench.submit(order("job_1", 1, "a/m|b/m"));
    for finish in [Finish::Refusal, Finish::ContentFilter] {
        let Outcome::Answer(said) = answer("no") else { unreachable!() };
        bench.end(Outcome::Answer(Answer { finish, ..said }));
    }
    let models: Vec<&str> = bench.ends().map(|end| &*end.route.provider).collect();
    assert_eq!(models, ["a", "b"]);
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::ContentFilter))]);
}

/// A job whose second step costs a thousand times the first: 0.11 and 110 micro-dollars an attempt.
fn steep(n: u32) -> (Bench, Order) {
    (Bench::new([route("a/m", 1_000), route("b/m", 1_000_000)]), order("job_1", n, "a/m > b/m").checked())
}

#[test]
fn an_item_is_given_up_where_a_success_would_cost_more_than_it_is_worth() {
    let (mut bench, order) = steep(1);
    bench.submit(order.with(|order| order.job.options.give_up_above = worth(50_000_000)));
    bench.answer("bad");
    let end = bench.ends().last().unwrap();
    assert_eq!(end.text.as_deref(), Some("bad"), "its last answer is kept");
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, Some(ErrorCode::CheckFailed))]);
    let said = message(end);
    assert!(said.contains("; not escalated: a success at b/m would cost about $0.000"), "{said}");
    assert!(said.ends_with("more than give_up_above $0.000050"), "{said}");
}

#[test]
fn an_item_may_say_what_it_is_worth_itself() {
    let (mut bench, order) = steep(2);
    bench.submit(order.with(|order| {
        order.job.options.give_up_above = worth(50_000_000);
        let own = ItemOptions { give_up_above: Some(Worth::Unlimited), ..ItemOptions::default() };
        order.items[1].options = Some(Box::new(own));
    }));
    play(&mut bench, |_, _| false);
    assert_eq!(bench.ends().map(|end| (end.item, end.step)).collect::<Vec<_>>(), [(0, 0), (1, 0), (1, 1)]);
}

#[test]
fn what_is_too_dear_from_the_first_is_not_sent() {
    let (mut bench, order) = steep(1);
    bench.submit(order.with(|order| order.job.options.give_up_above = worth(1)));
    assert_eq!(bench.results(), [(0, ItemStatus::Failed, None.or(Some(ErrorCode::MaxCost)))]);
    assert_eq!(bench.ends().count(), 0);
}

#[test]
fn without_a_stated_worth_the_ladder_is_climbed() {
    let (mut bench, order) = steep(1);
    bench.submit(order);
    bench.answer("bad");
    assert_eq!(bench.models(), ["b/m"]);
}

#[test]
fn short_money_goes_to_first_attempts_before_dear_ones() {
    let mut bench = Bench::new([single("a/m", 1_000), single("b/m", 100_000)]);
    // An attempt is reserved at most 180 tokens: room for all the cheap ones and about five dear ones.
    let room = 100 * 180 * 1_000 + 5 * 180 * 100_000;
    let job = bench.submit(order("job_1", 100, "a/m > b/m").checked().capped(room));
    for _ in 0..400 {
        if bench.out.is_empty() {
            break;
        }
        let call = &bench.out[0];
        let good = &*call.route.name == "b/m" || call.item.index.is_multiple_of(4);
        let Outcome::Answer(said) = answer(if good { "good" } else { "bad" }) else { unreachable!() };
        let usage = Some(Usage { input: 70, output: 100, ..Usage::default() });
        bench.end(Outcome::Answer(Answer { usage, ..said }));
        bench.pass(1);
    }
    let firsts = bench.ends().filter(|end| end.step == 0).count();
    assert_eq!(firsts, 100, "every item had its first attempt");
    let counts = bench.counts(&job);
    assert!(counts.succeeded >= 25 && counts.failed > 60, "{counts:?}");
    let given_up = bench.ends().filter(|end| end.step == 0).last().unwrap();
    assert!(message(given_up).contains("not escalated"), "{}", message(given_up));
}

#[test]
fn what_was_learned_outlives_a_crash_and_starts_the_next_job() {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    let job = bench.submit(order("job_1", 40, "a/m > b/m").checked());
    for item in 0..20 {
        bench.answer(if item % 2 == 0 { "bad" } else { "good" });
    }
    let before = bench.state(&job).tally.clone();
    assert!(before.as_ref().is_some_and(|tally| tally.results() == 20));
    bench.crash();
    assert_eq!(bench.state(&job).tally, before);
    bench.pass(3_600);
    play(&mut bench, |_, _| true);
    while bench.state(&job).finished_at.is_none() {
        bench.sleep();
        play(&mut bench, |_, _| true);
    }
    assert_eq!(bench.state(&job).tally, None, "it is the class's now");
    let known = bench
        .engine
        .ledger()
        .globals
        .tallies
        .get("job")
        .or_else(|| bench.engine.ledger().globals.tallies.iter().map(|(_, tally)| tally).next());
    let known = known.expect("it finished").cell(0, Spent::NONE);
    let next = bench.submit(order("job_2", 1, "a/m > b/m").checked());
    assert_eq!(cell(&bench, &next, "a/m", Spent::NONE).tries, (known.tries / 4.0).min(20.0));
}

#[test]
fn answers_that_no_check_judged_and_calls_that_failed_teach_nothing() {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    let job = bench.submit(order("job_1", 3, "a/m > b/m").checked());
    bench.lose();
    bench.refuse(crate::attempt::RefusalKind::Server);
    bench.pass(120);
    assert_eq!(cell(&bench, &job, "a/m", Spent::NONE), Cell::default());
    bench.answer("good");
    assert_eq!(cell(&bench, &job, "a/m", Spent::NONE), Cell { tries: 1.0, passes: 1.0 });
}

#[test]
fn a_reset_forgets_the_counts_of_the_class_and_of_jobs_at_work() {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    bench.submit(order("job_1", 1, "a/m > b/m").checked());
    play(&mut bench, |_, _| true);
    let job = bench.submit(order("job_2", 9, "a/m > b/m").checked());
    bench.answer("bad");
    bench.event(Event::ResetOdds(Some("another".into())));
    assert!(cell(&bench, &job, "a/m", Spent::NONE).tries > 1.0);
    bench.event(Event::ResetOdds(None));
    assert_eq!(cell(&bench, &job, "a/m", Spent::NONE), Cell::default());
    assert!(bench.engine.ledger().globals.tallies.iter().next().is_none());
    // The items keep their own history.
    let a = Spent::NONE.with(0);
    assert!(bench.state(&job).partial.values().all(|partial| partial.spent == a));
}

/// What a success costs on a ladder whose cheap model passes one item in twenty.
fn cost_per_success(ladder: &str) -> f64 {
    let mut bench = Bench::new([single("a/m", 10), single("b/m", 20)]);
    let job = bench.submit(order("job_1", 400, ladder).checked());
    play(&mut bench, |route, item| if route == "a/m" { item % 20 == 3 } else { item % 20 != 7 });
    bench.state(&job).spent.as_f64() / f64::from(bench.counts(&job).succeeded)
}

#[test]
fn a_bad_cheap_model_costs_less_where_the_order_is_learned_than_where_it_is_given() {
    let (learned, given) = (cost_per_success("a/m|b/m"), cost_per_success("a/m > b/m"));
    assert!(learned < 0.85 * given, "{learned} {given}");
}
