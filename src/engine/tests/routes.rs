//! Which route: failover within a step, shut doors and their probes, limits.

use std::time::Duration;

use super::bench::{Bench, answer, order, refusal};
use crate::attempt::{Answer, Outcome, RefusalKind};
use crate::catalog::{Limits, Route};
use crate::engine::{Engine, Notice};
use crate::job::When;
use crate::ledger::Ledger;
use crate::money::Usage;
use crate::plan::testing::{at, route, shared};
use crate::view::Waiting;

fn limited(name: &str, limits: Limits) -> Route {
    Route { limits, ..route(name, 1) }
}

#[test]
fn a_route_without_room_fails_over_within_its_step() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5), route("c/strong", 9)]);
    let job = bench.submit(order("job_1", 1, "a/m|b/m > c/strong"));
    assert_eq!(bench.models(), ["a/m"]);
    bench.refuse(RefusalKind::NoCredit);
    assert_eq!(bench.models(), ["b/m"]);
    bench.refuse(RefusalKind::Auth);
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::NoRoute]));
}

#[test]
fn a_stopped_account_waits_says_so_and_is_probed_by_one() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 5, "a/m"));
    for _ in 0..5 {
        bench.refuse(RefusalKind::NoCredit);
    }
    assert_eq!(bench.notices, [Notice::AccountStopped("a".into(), "refused".to_owned())]);
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("a/m: refused"));
    assert_eq!(bench.wakes_at(), at("12:10"));
    bench.sleep();
    assert_eq!(bench.out.len(), 1);
    bench.answer("good");
    assert_eq!((bench.out.len(), bench.counts(&job).succeeded), (4, 1));
    assert_eq!(bench.notices.last(), Some(&Notice::CircuitClosed("a".into())));
}

#[test]
fn a_circuit_opens_at_ten_failures_and_lets_one_probe_through_at_a_time() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(order("job_1", 20, "a/m").with(|order| order.job.options.max_attempts = 30));
    for _ in 0..20 {
        bench.refuse(RefusalKind::Server);
    }
    assert_eq!(bench.notices, [Notice::CircuitOpen("a".into(), "refused".to_owned())]);
    for _ in 0..5 {
        while bench.out.is_empty() {
            bench.sleep();
        }
        assert_eq!(bench.out.len(), 1);
        bench.refuse(RefusalKind::Server);
    }
    bench.pass(600);
    bench.answer("good");
    assert!(bench.out.len() > 1);
}

#[test]
fn a_retired_model_is_not_asked_again() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    bench.submit(order("job_1", 2, "a/m|b/m"));
    bench.refuse(RefusalKind::ModelGone);
    assert_eq!(bench.models(), ["a/m", "b/m"]);
    bench.answer("good");
    bench.pass(86_400);
    assert_eq!(bench.models(), ["b/m"]);
    assert_eq!(bench.notices, [Notice::RouteDead("a/m".into(), "refused".to_owned())]);
}

#[test]
fn what_a_former_process_sent_on_a_route_now_gone_goes_elsewhere() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let job = bench.submit(order("job_1", 1, "a/m|b/m"));
    let ledger = bench.engine.ledger().clone();
    bench.out.clear();
    bench.engine = Engine::new(crate::plan::testing::shared([route("b/m", 5)]), ledger, bench.now);
    bench.settle();
    bench.pass(120);
    assert_eq!((bench.models(), bench.state(&job).unknown), (vec!["b/m"], 1));
}

#[test]
fn a_wait_the_provider_names_is_kept_to_the_letter() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(order("job_1", 1, "a/m"));
    bench.end(refusal(RefusalKind::Rate, Some(Duration::from_secs(90))));
    assert_eq!(bench.wakes_at(), at("12:01") + Duration::from_secs(30));
    bench.pass(87);
    assert_eq!(bench.out.len(), 0);
    bench.pass(1);
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn a_third_wait_of_no_time_is_a_pause_all_the_same() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(order("job_1", 1, "a/m"));
    for _ in 0..3 {
        bench.end(refusal(RefusalKind::Rate, Some(Duration::ZERO)));
    }
    assert_eq!(bench.out.len(), 0);
    bench.sleep();
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn what_a_limit_does_not_let_out_is_not_started_either() {
    for limits in
        [Limits { rpm: Some(60), ..Limits::default() }, Limits { tpm: Some(2_200), ..Limits::default() }]
    {
        let mut bench = Bench::new([limited("a/m", limits)]);
        let job = bench.submit(order("job_1", 200, "a/m"));
        let waiting = bench.engine.in_flight() - bench.out.len();
        assert!(waiting <= 1, "{waiting} are recorded and wait: a crash would count them all as unknown");
        let sent = bench.out.len();
        assert!((1..=3).contains(&sent), "{sent}");
        assert_eq!(bench.waits(&job), [Waiting::RateLimit]);
        bench.sleep();
        assert!(bench.out.len() > sent);
    }
}

#[test]
fn an_accounts_limit_holds_over_all_its_routes_and_wastes_none_of_theirs() {
    let account_limits = Limits { rpm: Some(60), ..Limits::default() };
    let limits = Limits { rpm: Some(66), ..Limits::default() };
    let routes = ["a/m", "a/n"].map(|name| Route { account_limits, limits, ..route(name, 1) });
    let mut bench = Bench::new(routes);
    bench.submit(order("job_1", 400, "a/m"));
    bench.submit(order("job_2", 400, "a/n"));
    let start = bench.now;
    let mut sent = 0;
    while bench.now < start + Duration::from_secs(600) {
        if bench.out.is_empty() {
            bench.sleep();
        } else {
            bench.answer("good");
            sent += 1;
        }
    }
    assert!((500..=600).contains(&sent), "{sent} in ten minutes of 60");
}

#[test]
fn a_probe_without_room_is_not_tried_over_and_over() {
    let limits = Limits { rpm: Some(1), ..Limits::default() };
    let mut bench = Bench::new([limited("a/m", limits)]);
    bench.submit(order("job_1", 1, "a/m"));
    bench.refuse(RefusalKind::NoCredit);
    bench.command(&crate::job::JobId::new("job_1"), crate::record::JobChange::Resumed);
    bench.pass(10);
    assert_eq!(bench.out.len(), 0);
    assert!(bench.records.len() < 12, "{} records while nothing happens", bench.records.len());
    bench.pass(60);
    assert_eq!(bench.out.len(), 1);
}

/// What a token cost, of the attempts that ended.
fn token_prices(bench: &Bench) -> Vec<(i128, u64)> {
    bench.ends().map(|end| (end.cost.pico() / 2, end.route.input_price.unwrap())).collect()
}

#[test]
fn an_answer_is_priced_by_the_model_that_gave_it() {
    let routes = [route("a/m", 1), route("a/m-2026-01-01", 3), route("a/other", 5), route("b/elsewhere", 7)];
    let mut bench = Bench::new(routes);
    bench.submit(order("job_1", 6, "a/m"));
    let names = ["m", "m-2026-01-01", "m-2026-02-02", "other", "Other-2026-02-02", "elsewhere"];
    for name in names {
        let Outcome::Answer(answer) = answer("good") else { unreachable!() };
        bench.end(Outcome::Answer(Answer { response_model: Some(name.to_owned()), ..answer }));
    }
    let expected = [1, 3, 1, 5, 5, 1];
    assert_eq!(token_prices(&bench), expected.map(|price| (i128::from(price), price)));
}

#[test]
fn no_more_calls_than_files_allow_are_in_flight_and_it_is_said_once() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 1)]);
    bench.engine = Engine::new(shared([route("a/m", 1), route("b/m", 1)]), Ledger::default(), bench.now)
        .with_most_calls(3);
    let first = bench.submit(order("job_1", 4, "a/m"));
    let second = bench.submit(order("job_2", 4, "b/m"));
    assert_eq!((bench.out.len(), bench.waits(&second)), (3, vec![Waiting::RateLimit]));
    for _ in 0..8 {
        bench.answer("good");
        assert!(bench.out.len() <= 3);
    }
    assert!([first, second].iter().all(|job| bench.state(job).finished_at.is_some()));
    assert_eq!(bench.notices.iter().filter(|notice| **notice == Notice::FewFiles(3)).count(), 1);
}

#[test]
fn answers_teach_what_the_next_one_costs_also_after_a_restart_and_in_the_next_job() {
    let one_at_a_time = |name, price| {
        let limits = Limits { concurrency: Some(1), ..Limits::default() };
        Route { limits, ..route(name, price) }
    };
    let unlimited = |id, n| {
        order(id, n, "a/wordy|b/brief")
            .with(|order| order.items.iter_mut().for_each(|item| item.max_output = None))
    };
    let mut bench = Bench::new([one_at_a_time("a/wordy", 2), one_at_a_time("b/brief", 3)]);
    bench.submit(unlimited("job_1", 3));
    for _ in 0..2 {
        assert_eq!(bench.models(), ["a/wordy"]); // 300 tokens are assumed of both
        let usage = Usage { input: 10, output: 1_000, ..Usage::default() };
        bench.end(Outcome::Answer(Answer { usage: Some(usage), text: "long".into(), ..Answer::default() }));
    }
    assert_eq!(bench.models(), ["b/brief"]);
    bench.crash();
    bench.sleep(); // the outcome is unknown, so it is sent again after a pause
    assert_eq!(bench.models(), ["b/brief"]);
    bench.answer("short");
    bench.submit(unlimited("job_2", 1));
    assert_eq!(bench.models(), ["b/brief"]);
}

#[test]
fn another_config_has_other_prices_and_limits() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 5)]);
    let asap = |id, n| order(id, n, "a/m|b/m").with(|order| order.job.options.when = When::Asap);
    bench.submit(asap("job_1", 2));
    assert_eq!(bench.models(), ["a/m"; 2]);
    let two = Limits { concurrency: Some(2), ..Limits::default() };
    bench.reload([route("a/m", 9), Route { limits: two, ..route("b/m", 5) }]);
    bench.answer("good");
    bench.answer("good");
    assert_eq!(bench.engine.in_flight(), 0, "what was on its way ends as it began");
    let job = bench.submit(asap("job_2", 6));
    assert_eq!(bench.models(), ["b/m", "b/m", "a/m", "a/m", "a/m", "a/m"]);
    while !bench.out.is_empty() {
        bench.answer("good");
    }
    assert_eq!(bench.counts(&job).succeeded, 6);
}

#[test]
fn a_route_that_is_in_the_config_no_more_takes_nothing() {
    let mut bench = Bench::new([route("a/m", 1), route("b/m", 1)]);
    let job = bench.submit(order("job_1", 1, "a/m"));
    bench.refuse(RefusalKind::Auth);
    assert_eq!(bench.waits(&job), [Waiting::NoRoute]);
    // Another key, perhaps: an account that stopped is tried again.
    bench.reload([route("a/m", 1)]);
    assert_eq!(bench.models(), ["a/m"]);
    bench.answer("good");
    let gone = bench.submit(order("job_2", 1, "b/m"));
    assert_eq!((bench.out.len(), bench.waits(&gone)), (0, vec![Waiting::NoRoute]));
    bench.reload([route("b/m", 1), route("c/m", 1)]);
    assert_eq!(bench.models(), ["b/m"]);
    bench.submit(order("job_3", 1, "c/m"));
    assert_eq!(bench.models(), ["b/m", "c/m"], "a new route is there for jobs to come");
}
