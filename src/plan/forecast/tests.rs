use std::collections::BTreeMap;

use super::replay::{Moment, Terms, Tried, replay};
use super::*;
use crate::catalog::Limits;
use crate::job::Worth;
use crate::money::{Usage, Usd};
use crate::plan::testing::{at, route, with_windows};
use crate::plan::tokens::Basis;

fn rung(route: Route, pass: f64) -> Rung {
    let mut belief = Belief::assumed(1_000.0, Basis::Counted, 500.0);
    belief.pass = Estimate::measured(pass, (pass * (1.0 - pass)).sqrt(), 200);
    Rung { route: Arc::new(route), belief, held_output: 500.0 }
}

fn lot(items: u64, steps: Vec<Vec<Rung>>) -> Lot {
    let deadline = Some(at("20:00"));
    Lot { items, copies: 0, deadline, when: When::Cheapest, priority: 0, steps }
}

#[test]
fn the_second_step_pays_for_what_the_first_one_fails() {
    let steps =
        vec![vec![rung(route("a/small", 1_000_000), 0.9)], vec![rung(route("b/large", 10_000_000), 0.5)]];
    let night = forecast(&[lot(1_000, steps)], at("08:00"));
    // 1,500 tokens an attempt: $0.0015 and $0.015.
    assert!((night.cost.expected - (1.5 + 100.0 * 0.015)).abs() < 0.01, "{:?}", night.cost);
    assert!((night.succeeded - 950.0).abs() < 0.5);
    assert!(night.cost.low < night.cost.expected && night.cost.expected < night.cost.high);
    assert!(night.rows[1].starts > night.rows[0].starts && night.rows[1].ends > night.rows[0].ends);
    assert!(night.chance.unwrap() > 0.99);
}

#[test]
fn a_step_may_be_asked_in_batches_alone_or_on_flex() {
    let on_lane = |name: &str, lane: &str, per_token| {
        let name = format!("{name} {lane}");
        Route { lane: lane.into(), ..route(&name, per_token) }
    };
    let steps = vec![
        vec![rung(route("a/small", 1_000_000), 0.6)],
        vec![rung(on_lane("b/medium", "batch", 2_000_000), 0.5)],
        vec![rung(route("c/large", 8_000_000), 0.5), rung(on_lane("c/large", "flex", 4_000_000), 0.5)],
    ];
    let night = forecast(&[lot(1_000, steps)], at("08:00"));
    // 1,500 tokens an attempt: 1,000 at $0.0015, 400 at $0.003, 200 at $0.006.
    assert!((night.cost.expected - (1.5 + 1.2 + 1.2)).abs() < 0.01, "{:?}", night.rows);
    let attempts: Vec<(usize, usize, f64)> =
        night.rows.iter().map(|row| (row.step, row.rung, row.attempts.round())).collect();
    assert_eq!(attempts, [(0, 0, 1_000.0), (1, 0, 400.0), (2, 1, 200.0)]);
    assert!(night.impossible.is_none());
}

#[test]
fn what_is_sent_at_once_goes_into_no_batches() {
    let batch = Route { lane: "batch".into(), ..route("a/m batch", 1_000_000) };
    let steps = vec![vec![rung(route("a/m", 2_000_000), 0.9), rung(batch, 0.9)]];
    let night = forecast(&[lot(1_000, steps)], at("08:00"));
    assert!((night.at_once.cost - 3.0).abs() < 1e-6, "{:?}", night.at_once);
    assert!(night.cost.expected < 1.6, "{:?}", night.cost);
    let in_batches = night.rows.iter().find(|row| row.rung == 1).unwrap();
    assert_eq!(in_batches.starts, at("08:00"), "however long it may wait there, it goes now");
}

#[test]
fn cheaper_hours_are_waited_for_and_said_to_save() {
    let dear_now = with_windows(route("a/m", 1_000_000), &[("06:00-12:00", 2_000_000)]);
    let lots = [lot(1_000, vec![vec![rung(dear_now, 0.9)]])];
    let night = forecast(&lots, at("08:00"));
    assert_eq!(night.rows[0].starts, at("12:00"));
    assert!((night.cost.expected - 1.5).abs() < 1e-6 && (night.at_once.cost - 3.0).abs() < 1e-6);
    let levers = levers::levers(&lots, &lots, &night, at("08:00"));
    assert_eq!(levers.levers.len(), 1);
    assert!((levers.levers[0].factor - 0.5).abs() < 1e-6, "{levers:?}");
}

#[test]
fn levers_multiply_to_the_whole_saving() {
    let steps =
        vec![vec![rung(route("a/small", 1_000_000), 0.9)], vec![rung(route("b/large", 10_000_000), 0.9)]];
    let lots = [Lot { copies: 250, ..lot(750, steps) }];
    let night = forecast(&lots, at("08:00"));
    let Levers { strongest_alone_usd, levers, .. } = levers::levers(&lots, &lots, &night, at("08:00"));
    let left: f64 = levers.iter().map(|lever| lever.factor).product();
    assert!((strongest_alone_usd - 15.0).abs() < 1e-6);
    assert!((strongest_alone_usd * left - night.cost.expected).abs() < 0.01, "{levers:?}");
    assert_eq!(levers.len(), 2);
}

#[test]
fn steps_at_the_end_that_cost_more_than_a_success_is_worth_are_not_asked() {
    let cents = |cents: i128| Some(Worth::UpTo(Usd::from_pico(cents * 10_000_000_000)));
    let steps = || {
        let large = rung(route("b/large", 10_000_000), 0.5);
        vec![vec![rung(route("a/small", 1_000_000), 0.9)], vec![large]]
    };
    // A success costs a sixth of a cent at the first, and three cents at the second.
    for (worth, expected) in
        [(None, 2), (Some(Worth::Unlimited), 2), (cents(4), 2), (cents(2), 1), (cents(0), 0)]
    {
        let whole = [lot(1_000, steps())];
        let lots = worth_it(&whole, worth, at("08:00"));
        assert_eq!(lots[0].steps.len(), expected, "{worth:?}");
        let night = forecast(&lots, at("08:00"));
        let levers = levers::levers(&whole, &lots, &night, at("08:00")).levers;
        let saved = levers.iter().find(|lever| lever.name == "give_up_above").map(|lever| lever.factor);
        match expected {
            2 => assert_eq!(saved, None),
            1 => assert!((saved.unwrap() - 0.5).abs() < 1e-6 && (night.cost.expected - 1.5).abs() < 1e-6),
            _ => assert_eq!((night.cost.expected, night.succeeded), (0.0, 0.0)),
        }
    }
}

#[test]
fn a_deadline_that_cannot_be_met_says_how_many_fit_and_when_all_would_be_done() {
    let slow = Route { limits: Limits { rpm: Some(100), ..Limits::default() }, ..route("a/m", 1_000_000) };
    let night = forecast(&[lot(1_000_000, vec![vec![rung(slow, 0.9)]])], at("18:00"));
    let impossible = night.impossible.expect("100 a minute are not 1,000,000 in two hours");
    // Nine tenths of the limit are used.
    assert!((10_000..11_000).contains(&impossible.fits), "{impossible:?}");
    assert!(impossible.earliest.unwrap() > at("20:00"));
    assert!(night.chance.unwrap() < 0.01);
}

#[test]
fn a_deadline_in_seconds_is_planned_for_at_once() {
    let lots =
        [Lot { deadline: Some(at("08:01")), ..lot(10, vec![vec![rung(route("a/m", 1_000_000), 0.9)]]) }];
    let night = forecast(&lots, at("08:00"));
    assert!((night.cost.expected - 0.015).abs() < 1e-6 && night.impossible.is_none());
}

#[test]
fn what_is_measured_on_long_prompts_is_read_at_the_usual_one() {
    let mut measured = Measured::default();
    for n in 0..100 {
        let input = f64::from(1_000 + 10 * n);
        let seen = Observed {
            expected_input: input / 2.0,
            input,
            output: input / 10.0,
            seconds: 1.0,
            passed: n % 4 > 0,
        };
        measured.add("a/m", &seen);
    }
    let prior = Belief::assumed(500.0, Basis::Assumed, 300.0);
    let belief = measured.belief("a/m", 500.0, &prior);
    assert!((belief.input.mean - 1_000.0).abs() < 1e-6, "{belief:?}");
    assert!((belief.output.mean - 100.0).abs() < 0.5, "{belief:?}");
    assert!((belief.pass.mean - 0.75).abs() < 0.02 && belief.pass.basis == Basis::Measured);
    assert_eq!(measured.belief("other/m", 500.0, &prior), prior);
}

#[test]
fn a_range_narrows_with_what_was_seen() {
    let range = |n: u64| {
        let mut one = rung(route("a/small", 1_000_000), 0.9);
        one.belief.pass = Estimate::measured(0.9, 0.3, n);
        one.belief.output = Estimate::measured(500.0, 100.0, n);
        let steps = vec![vec![one], vec![rung(route("b/large", 10_000_000), 0.9)]];
        forecast(&[lot(100_000, steps)], at("08:00")).cost
    };
    assert!(range(1_000).half() < range(200).half());
    let wanted = range(200).items_for(0.05, 200);
    assert!(wanted > 200, "{wanted}");
}

#[test]
fn a_replay_keeps_what_is_known_and_guesses_the_rest() {
    let usage = Usage { input: 1_000, output: 500, ..Usage::default() };
    let tried =
        |model: &str, passed| Tried { model: model.to_owned(), usage, passed: Some(passed), at: None };
    let mut items = BTreeMap::new();
    for n in 0..100_u32 {
        let first = tried("a/small", n >= 20);
        let all = if n < 20 { vec![first, tried("b/large", n >= 5)] } else { vec![first] };
        items.insert(n, all);
    }
    let price = |model: &str, moment: &Moment<'_>| {
        let each = match model {
            "a/small" => 1e-6,
            "b/large" => 10e-6,
            _ => return None,
        };
        Some(each * (moment.usage.input + moment.usage.output) as f64)
    };
    let play = |ladder: &[&str], max_cost, give_up_above| {
        let ladder: Vec<Vec<String>> = ladder.iter().map(|model| vec![(*model).to_owned()]).collect();
        replay(&items, &Terms { ladder: &ladder, price: &price, max_cost, give_up_above })
    };
    let same = play(&["a/small", "b/large"], None, None);
    assert_eq!((same.items, same.guessed, same.succeeded), (100, 0, 95.0));
    assert!((same.cost - 0.45).abs() < 1e-9);
    let small = play(&["a/small"], None, None);
    assert_eq!((small.succeeded, small.guessed), (80.0, 0));
    assert!((small.cost - 0.15).abs() < 1e-9);
    let large = play(&["b/large"], None, None);
    assert_eq!(large.guessed, 80);
    assert!((large.cost - 1.5).abs() < 1e-9 && (60.0..90.0).contains(&large.succeeded), "{large:?}");
    let capped = play(&["a/small", "b/large"], Some(0.2), None);
    assert!(capped.cost <= 0.2 && capped.unsent > 0, "{capped:?}");
    assert_eq!(play(&["a/small", "b/large"], None, Some(0.01)), small);
    assert_eq!(play(&["c/other"], None, None).unpriced, ["c/other"]);
}
