//! Budgets of the process and of tags: what waits, until when, and who is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bench::{Bench, Order, order};
use crate::attempt::ItemStatus;
use crate::clock::Timestamp;
use crate::engine::{Event, Notice};
use crate::job::ItemOptions;
use crate::ledger::{Caps, Limits, Period, Scope};
use crate::money::Usd;
use crate::plan::price;
use crate::plan::testing::{item, route};
use crate::view::Waiting;

/// The worst case of one request to `a/m`.
fn one() -> i128 {
    price::worst_case(&route("a/m", 1), &item(0)).expect("it is priced").pico()
}

fn day(pico: i128) -> Caps {
    Caps { day: Some(Usd::from_pico(pico)), ..Caps::default() }
}

fn limits(process: Caps, tags: &[(&str, Caps)]) -> Limits {
    let tags = tags.iter().map(|&(tag, caps)| (Arc::from(tag), caps)).collect();
    Limits { process, tags, ..Limits::default() }
}

fn bench(limits: Limits) -> Bench {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.event(Event::Budgets(Box::new(limits)));
    bench
}

fn of(team: &str) -> BTreeMap<String, String> {
    [("team".to_owned(), team.to_owned())].into()
}

fn tagged(order: Order, team: &str) -> Order {
    order.with(|order| order.job.options.tags = of(team))
}

fn told(bench: &Bench) -> Vec<String> {
    let alert = |notice: &Notice| match notice {
        Notice::Budget(alert) => Some(format!("{} {}%", alert.scope, alert.percent)),
        _ => None,
    };
    bench.notices.iter().filter_map(alert).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn two_jobs_share_what_is_left_of_the_day() {
    let mut bench = bench(limits(day(3 * one()), &[]));
    let (first, second) = (bench.submit(order("job_1", 2, "a/m")), bench.submit(order("job_2", 2, "a/m")));
    assert_eq!(bench.out.len(), 3);
    assert!(bench.waits(&first).is_empty());
    let view = bench.view(&second);
    assert_eq!(view.waiting.keys().collect::<Vec<_>>(), [&Waiting::Budget]);
    let midnight = bench.engine.ledger().globals.budgets.limits().zone;
    let today = crate::ledger::Day::of(bench.now, midnight.0);
    assert_eq!(view.waiting_until, Some(today.ends(midnight.0)));
}

#[test]
fn what_is_left_for_an_item_is_the_least_of_its_budgets() {
    let usd = |pico| Some(Usd::from_pico(pico));
    for (of_day, of_tag, cap, own, least) in [
        (5, 9, 9, 9, 4),
        (9, 5, 9, 9, 4),
        (9, 9, 5, 9, 4),
        // Its own cap knows nothing of what others have reserved.
        (9, 9, 9, 3, 3),
    ] {
        let mut bench = bench(limits(day(of_day * one()), &[("team=search", day(of_tag * one()))]));
        let order = tagged(order("job_1", 1, "a/m").capped(cap * one()), "search");
        let job = order.job.clone();
        bench.submit(order);
        let options = ItemOptions { max_cost: usd(own * one()), ..ItemOptions::default() };
        let another = crate::job::Item { options: Some(Box::new(options)), ..item(7) };
        let ledger = bench.engine.ledger();
        let today = crate::ledger::Day::of(bench.now, ledger.globals.budgets.limits().zone.0);
        let left = ledger.left(&job, &another, today, &["team=search".into()]);
        assert_eq!(left, usd(least * one()), "{of_day} {of_tag} {cap} {own}");
    }
    let free = Bench::new([route("a/m", 1)]);
    let job = order("job_1", 1, "a/m").job;
    assert_eq!(free.engine.ledger().left(&job, &item(0), Default::default(), &[]), None);
}

#[test]
fn what_is_settled_below_its_worst_case_lets_others_go() {
    let mut bench = bench(limits(day(2 * one() + 10), &[]));
    let job = bench.submit(order("job_1", 3, "a/m"));
    assert_eq!(bench.out.len(), 2);
    bench.answer("good");
    assert_eq!((bench.out.len(), bench.waits(&job)), (2, vec![]));
}

#[test]
fn the_next_day_lets_the_rest_go_by_itself() {
    let mut bench = bench(limits(day(one()), &[]));
    let job = bench.submit(order("job_1", 2, "a/m"));
    bench.answer("good");
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Budget]));
    let before = bench.now;
    bench.sleep();
    assert_eq!(bench.out.len(), 1);
    assert!(bench.now > before && bench.now.since(before).as_secs() <= 86_400);
    bench.answer("good");
    assert_eq!(bench.results().len(), 2);
}

#[test]
fn a_full_tag_stops_what_carries_it_and_nothing_else() {
    let mut bench = bench(limits(Caps::default(), &[("team=search", day(one()))]));
    let order = tagged(order("job_1", 5, "a/m"), "search").with(|order| {
        for index in [1, 3] {
            let own = ItemOptions { tags: of("ads"), ..ItemOptions::default() };
            order.items[index].options = Some(Box::new(own));
        }
    });
    let job = bench.submit(order);
    assert_eq!((bench.items(), bench.waits(&job)), (vec![0, 1, 3], vec![Waiting::Budget]));
}

#[test]
fn an_attempt_counts_for_all_its_tags_and_for_the_process() {
    let mut bench = bench(limits(day(10 * one()), &[("team=search", day(10 * one()))]));
    bench.submit(tagged(order("job_1", 1, "a/m"), "search"));
    let budgets = &bench.engine.ledger().globals.budgets;
    for scope in [Scope::Process, Scope::Tag("team=search".into()), Scope::Tag("team=ads".into())] {
        let reserved = budgets.sums(&scope, Period::Total).reserved.pico();
        assert_eq!(reserved, if scope.to_string() == "team=ads" { 0 } else { one() }, "{scope}");
    }
}

#[test]
fn what_ends_after_midnight_counts_in_the_day_it_was_started_in() {
    let mut bench = bench(limits(day(one()), &[]));
    bench.now = at("2026-11-30T23:59:59Z");
    let job = bench.submit(order("job_1", 2, "a/m"));
    assert_eq!(bench.out.len(), 1);
    bench.pass(5);
    // The new day has its own money while the old one's is still in flight.
    assert_eq!((bench.out.len(), bench.waits(&job)), (2, vec![]));
    bench.lose();
    bench.answer("good");
    let zone = bench.engine.ledger().globals.budgets.limits().zone;
    for (moment, at_risk) in [("2026-11-30T12:00:00Z", one()), ("2026-12-01T12:00:00Z", 0)] {
        let day = crate::ledger::Day::of(at(moment), zone.0);
        for period in [Period::Day(day), Period::Month(day.month())] {
            let sums = bench.engine.ledger().globals.budgets.sums(&Scope::Process, period);
            assert_eq!((sums.at_risk.pico(), sums.reserved), (at_risk, Usd::ZERO), "{period}");
        }
    }
}

#[test]
fn a_restart_keeps_what_is_spent_what_is_owed_and_the_budgets() {
    let mut bench = bench(limits(day(2 * one()), &[("team=search", day(2 * one()))]));
    let job = bench.submit(tagged(order("job_1", 3, "a/m"), "search"));
    assert_eq!(bench.out.len(), 2);
    bench.crash();
    // Both may have been billed, so nothing is left for today.
    bench.pass(120);
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Budget]));
    let budgets = &bench.engine.ledger().globals.budgets;
    assert_eq!(budgets.sums(&Scope::Tag("team=search".into()), Period::Total).at_risk.pico(), 2 * one());
    assert_eq!(budgets.open().count(), 0);
}

#[test]
fn a_budget_that_is_raised_lets_the_rest_go_at_once() {
    let mut bench = bench(limits(day(one()), &[]));
    let job = bench.submit(order("job_1", 2, "a/m"));
    bench.lose();
    assert_eq!(bench.out.len(), 0);
    bench.event(Event::Budgets(Box::new(limits(day(3 * one()), &[]))));
    bench.settle();
    assert_eq!((bench.out.len(), bench.waits(&job)), (1, vec![Waiting::Backoff]));
}

#[test]
fn thresholds_are_told_once_and_not_again_after_a_restart() {
    let mut bench = bench(limits(day(3 * one() - 1), &[("team=search", day(3 * one()))]));
    let job = bench.submit(tagged(order("job_1", 3, "a/m"), "search").with(|order| {
        order.job.options.unknown_resends = 0;
    }));
    assert_eq!(bench.out.len(), 2);
    bench.lose();
    assert_eq!(told(&bench), Vec::<String>::new());
    bench.lose();
    // The rest does not cover the third request: that is all of it.
    assert_eq!(told(&bench), ["process 50%", "team=search 50%", "process 100%"]);
    assert_eq!(bench.waits(&job), [Waiting::Budget]);
    bench.crash();
    assert_eq!(told(&bench).len(), 3);
}

#[test]
fn the_cap_of_a_job_is_told_like_any_budget() {
    let mut bench = bench(Limits::default());
    bench.submit(order("job_1", 2, "a/m").capped(2 * one() - 1));
    bench.lose();
    assert_eq!(told(&bench), ["job_1 50%", "job_1 100%"]);
}

#[test]
fn a_budget_full_of_what_is_in_flight_is_nobodys_business() {
    let mut bench = bench(limits(day(2 * one()), &[]));
    bench.submit(order("job_1", 5, "a/m"));
    for _ in 0..5 {
        bench.answer("good");
    }
    assert!(bench.results().iter().all(|(_, status, _)| *status == ItemStatus::Succeeded));
    assert_eq!(told(&bench), Vec::<String>::new());
}
