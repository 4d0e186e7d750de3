//! What accounts give for nothing: used first, at no cost, and not twice.

use std::sync::Arc;

use super::bench::{Bench, Order, answer, order};
use crate::attempt::{Answer, CostBasis, Outcome, RefusalKind};
use crate::catalog::{Allowance, Per, PriceTable, Route};
use crate::engine::Event;
use crate::job::When;
use crate::ledger::{Caps, Limits};
use crate::money::{Usage, Usd};
use crate::plan::price;
use crate::plan::testing::{at, item, price as at_price, route};
use crate::view::Waiting;

const NOTHING: Allowance = Allowance {
    requests: None,
    tokens: None,
    money: None,
    per: Per::Day,
    zone: chrono_tz::Tz::UTC,
    expires: None,
    models: Vec::new(),
};

fn requests(most: u64) -> Allowance {
    Allowance { requests: Some(most), ..NOTHING }
}

fn giving(allowance: Allowance, name: &str, per_token: u64) -> Route {
    Route { allowance: Some(Arc::new(allowance)), ..route(name, per_token) }
}

/// Of a job that waits for no other day.
fn at_once(id: &str, n: u32, ladder: &str) -> Order {
    order(id, n, ladder).with(|order| order.job.options.when = When::Asap)
}

/// Basis and cost of every attempt that ended, in pico-dollars.
fn bills(bench: &Bench) -> Vec<(CostBasis, i128)> {
    bench.ends().map(|ended| (ended.cost_basis, ended.cost.pico())).collect()
}

#[test]
fn a_dear_route_goes_first_while_it_costs_nothing() {
    let mut bench = Bench::new([giving(requests(2), "a/dear", 9), route("b/cheap", 1)]);
    let job = bench.submit(at_once("job_1", 3, "a/dear|b/cheap"));
    assert_eq!(bench.models(), ["a/dear", "a/dear", "b/cheap"]);
    for _ in 0..3 {
        bench.answer("good");
    }
    assert_eq!(bills(&bench), [(CostBasis::Free, 0), (CostBasis::Free, 0), (CostBasis::Computed, 2)]);
    let list: Vec<i128> = bench.ends().map(|ended| ended.list_cost.pico()).collect();
    assert_eq!(list, [18, 18, 2]);
    assert_eq!(bench.state(&job).spent, Usd::from_pico(2));
}

#[test]
fn what_was_refused_or_never_sent_is_not_used_up() {
    let mut bench = Bench::new([giving(requests(1), "a/dear", 9)]);
    bench.submit(order("job_1", 1, "a/dear"));
    bench.refuse(RefusalKind::Server);
    assert_eq!(bench.engine.allowances()[0].requests_left, Some(1));
    bench.sleep();
    bench.answer("good");
    assert_eq!(bench.engine.allowances()[0].requests_left, Some(0));
    assert_eq!(bills(&bench)[1], (CostBasis::Free, 0));
}

#[test]
fn a_lost_request_counts_as_served_and_owes_nothing() {
    let mut bench = Bench::new([giving(requests(2), "a/dear", 9), route("b/cheap", 1)]);
    let job = bench.submit(order("job_1", 1, "a/dear|b/cheap"));
    bench.lose();
    assert_eq!(bench.state(&job).at_risk, Usd::ZERO);
    assert_eq!(bench.engine.allowances()[0].requests_left, Some(1));
}

#[test]
fn a_restart_knows_what_is_left() {
    let mut bench = Bench::new([giving(requests(2), "a/dear", 9), route("b/cheap", 1)]);
    bench.submit(at_once("job_1", 3, "a/dear|b/cheap"));
    bench.answer("good");
    bench.settle();
    bench.crash();
    // The one in flight may have been served, so it is used up: nothing is left.
    assert_eq!(bench.engine.allowances()[0].requests_left, Some(0));
    while bench.out.len() < 2 {
        bench.sleep();
    }
    assert_eq!(bench.models(), ["b/cheap", "b/cheap"]);
}

#[test]
fn no_budget_holds_anything_for_what_is_surely_paid() {
    let mut bench = Bench::new([giving(requests(2), "a/dear", 9)]);
    let one = price::worst_case(&route("a/dear", 9), &item(0)).unwrap();
    let process = Caps { day: Some(one), ..Caps::default() };
    bench.event(Event::Budgets(Box::new(Limits { process, ..Limits::default() })));
    bench.submit(at_once("job_1", 4, "a/dear"));
    // Two for nothing, one at its price, and the day is full.
    assert_eq!(bench.out.len(), 3);
}

#[test]
fn a_budget_holds_the_worst_case_where_the_allowance_may_not_do() {
    // The worst case is 179 tokens, what is expected 110.
    let mut bench = Bench::new([giving(Allowance { tokens: Some(150), ..NOTHING }, "a/m", 1)]);
    let job = bench.submit(order("job_1", 1, "a/m"));
    assert_eq!(bench.state(&job).reserved, price::worst_case(&route("a/m", 1), &item(0)).unwrap());
    let usage = Some(Usage { input: 100, output: 60, ..Usage::default() });
    bench.end(Outcome::Answer(Answer { text: "good".to_owned(), usage, ..Answer::default() }));
    // It did not do: 160 tokens are more than it gives.
    assert_eq!(bills(&bench), [(CostBasis::Computed, 160)]);
    assert_eq!(bench.engine.allowances()[0].tokens_left, Some(0));
}

#[test]
fn a_credit_pays_until_it_is_spent() {
    let credit = Allowance { money: Some(Usd::from_pico(400)), per: Per::Once, ..NOTHING };
    let mut bench = Bench::new([giving(credit, "a/m", 1)]);
    bench.submit(at_once("job_1", 3, "a/m"));
    assert_eq!(bench.out.len(), 3);
    for _ in 0..3 {
        bench.end(answer("good"));
    }
    // Two worst cases fit at the start, and the expected 110 of the third do not.
    let free = (CostBasis::Free, 0);
    assert_eq!(bills(&bench), [free, free, (CostBasis::Computed, 2)]);
    assert_eq!(bench.engine.allowances()[0].left_usd, Some(396e-12));
}

#[test]
fn the_next_period_is_waited_for_by_as_many_as_it_pays_for() {
    let mut bench = Bench::new([giving(requests(2), "a/m", 1)]);
    let job = bench.submit(order("job_1", 5, "a/m"));
    // Two for nothing today and one at its price; two are left, and tomorrow pays for two.
    assert_eq!(bench.out.len(), 3);
    assert_eq!(bench.waits(&job), [Waiting::Window]);
    let midnight = "2026-11-24T00:00:00Z".parse().unwrap();
    assert_eq!(bench.view(&job).waiting_until, Some(midnight));
    for _ in 0..3 {
        bench.answer("good");
    }
    bench.sleep();
    assert_eq!((bench.now, bench.out.len()), (midnight, 2));
    for _ in 0..2 {
        bench.answer("good");
    }
    assert_eq!(bills(&bench).iter().filter(|bill| bill.0 == CostBasis::Free).count(), 4);
}

#[test]
fn nothing_waits_for_tomorrow_that_is_due_today() {
    let mut bench = Bench::new([giving(requests(1), "a/m", 1)]);
    let due = |order: &mut Order| order.job.classes[0].deadline = Some(at("22:00"));
    bench.submit(order("job_1", 2, "a/m").with(due));
    assert_eq!(bench.out.len(), 2);
}

#[test]
fn without_a_price_it_takes_no_more_than_it_gives() {
    let free = Route {
        prices: Some(PriceTable::flat("a/m:free", at_price(0))),
        ..giving(requests(1), "a/m:free", 0)
    };
    let mut bench = Bench::new([free, route("b/m", 5)]);
    bench.submit(order("job_1", 9, "a/m:free|b/m"));
    assert_eq!(bench.models().iter().filter(|&&name| name == "a/m:free").count(), 1);
    assert_eq!(bench.out.len(), 8, "the last waits for tomorrow");
}

#[test]
fn what_is_scarce_goes_to_the_items_that_would_cost_most() {
    let mut bench = Bench::new([giving(requests(2), "a/m", 9), route("b/m", 1)]);
    bench.submit(order("job_1", 5, "a/m|b/m").with(|order| {
        for (item, tokens) in order.items.iter_mut().zip([10, 500, 20, 900, 30]) {
            item.input_tokens = tokens;
            item.body.json = format!("{{\"x\":\"{}\"}}", "y".repeat(1_000)).into();
        }
    }));
    let first: Vec<(&str, u32)> =
        bench.out.iter().map(|call| (&*call.route.name, call.item.index)).take(2).collect();
    assert_eq!(first, [("a/m", 3), ("a/m", 1)]);
}

#[test]
fn an_allowance_ends_on_its_last_day() {
    let over = Allowance { expires: "2026-11-22".parse().ok(), ..requests(5) };
    let mut bench = Bench::new([giving(over, "a/dear", 9), route("b/cheap", 1)]);
    bench.submit(order("job_1", 1, "a/dear|b/cheap"));
    assert_eq!(bench.models(), ["b/cheap"]);
    assert!(bench.engine.allowances().is_empty());
}
