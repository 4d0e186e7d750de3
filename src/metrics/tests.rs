//! The text as a whole, and what its numbers mean.

use super::*;
use crate::attempt::ErrorCode;
use crate::catalog::calendar::Calendar;
use crate::catalog::hours::Hours;
use crate::catalog::{PriceTable, PriceWindow};
use crate::cli::samples;
use crate::job::{Class, JobOptions, Source};
use crate::ledger::{JobLedger, RouteStats};
use crate::money::Usage;
use crate::plan::testing::route;
use crate::view::Waiting;

fn job(id: &str) -> Arc<crate::job::Job> {
    Arc::new(crate::job::Job {
        id: crate::job::JobId::new(id),
        name: Some("secret \"name\"".to_owned()),
        submitted_at: samples::now(),
        n_items: 1,
        classes: vec![Class::default()],
        class_of: Vec::new(),
        copies: Vec::new(),
        options: JobOptions::default(),
        source: Source::default(),
        retry_of: None,
    })
}

fn stats(succeeded: u64, latency: &[(usize, u32)]) -> RouteStats {
    let mut buckets = vec![0; 88];
    latency.iter().for_each(|&(bucket, n)| buckets[bucket] = n);
    RouteStats {
        succeeded,
        rejected: [(ErrorCode::NotJson, 2)].into(),
        errors: [(ErrorCode::RateLimited, 1)].into(),
        cost: Usd::from_pico(1_500_000_000_001),
        usage: Usage { input: 100, output: 10, ..Usage::default() },
        latency: buckets,
        windows: [
            ("flat".into(), Usd::from_pico(500_000_000_000)),
            ("off-peak".into(), Usd::from_pico(1_000_000_000_001)),
        ]
        .into(),
    }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    for (id, route) in [
        ("job_aaaaaaaaaa", "box/s\"mall"),
        ("job_bbbbbbbbbb", "box/s\"mall"),
        ("job_cccccccccc", "box/large batch"),
    ] {
        let job = job(id);
        let mut state = JobLedger::new(&job);
        state.routes.insert(route.into(), stats(5, &[(0, 1), (41, 4)]));
        state.list_cost = Usd::from_pico(2_000_000_000_000);
        ledger.add(job, state);
    }
    ledger
}

fn text(views: &[JobView], routes: &[Arc<Route>], now: Timestamp) -> String {
    let ledger = ledger();
    let budgets = BudgetView::all(&ledger.globals.budgets, crate::ledger::Day::of(now, chrono_tz::Tz::UTC));
    render(&Seen { ledger: &ledger, views, budgets: &budgets, routes, now })
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
    }
}

#[test]
fn routes_add_up_over_jobs_and_money_to_the_last_pico_dollar() {
    let text = text(&[], &[], samples::now());
    let small = "provider=\"box\",model=\"s\\\"mall\",lane=\"realtime\"";
    let large = "provider=\"box\",model=\"large\",lane=\"batch\"";
    has(
        &text,
        &[
            &format!("overnight_attempts_total{{{small},status=\"succeeded\",error_code=\"\"}} 10"),
            &format!("overnight_attempts_total{{{small},status=\"rejected\",error_code=\"not_json\"}} 4"),
            &format!("overnight_attempts_total{{{large},status=\"error\",error_code=\"rate_limited\"}} 1"),
            &format!("overnight_cost_usd_total{{{small},price_window=\"flat\"}} 1.000000000000"),
            &format!("overnight_cost_usd_total{{{small},price_window=\"off-peak\"}} 2.000000000002"),
            &format!("overnight_input_tokens_total{{{small}}} 200"),
            "overnight_list_cost_usd_total 6.000000000000",
            // Four quarters of 2^10 ms and one of a millisecond, twice.
            &format!("overnight_attempt_duration_seconds_bucket{{{small},le=\"0.064\"}} 2"),
            &format!("overnight_attempt_duration_seconds_bucket{{{small},le=\"1.024\"}} 2"),
            &format!("overnight_attempt_duration_seconds_bucket{{{small},le=\"2.048\"}} 10"),
            &format!("overnight_attempt_duration_seconds_count{{{small}}} 10"),
            &format!("overnight_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        ],
    );
    assert!(!text.contains("job_") && !text.contains("secret"), "jobs are no labels:\n{text}");
}

#[test]
fn items_are_counted_by_state_and_late_jobs_are_seen() {
    let deadline = samples::at("2026-11-20T18:00:00Z");
    let view = |eta: &str| JobView {
        deadline_at: Some(deadline),
        eta: Some(samples::at(eta)),
        waiting: [(Waiting::Window, 3)].into(),
        counts: crate::ledger::Counts { pending: 3, running: 1, succeeded: 7, ..Default::default() },
        ..samples::running()
    };
    let (early, late) = (view("2026-11-20T17:00:00Z"), view("2026-11-20T19:00:00Z"));
    let done = JobView { finished_at: Some(samples::now()), counts: Default::default(), ..late.clone() };
    has(
        &text(&[early.clone(), late, done], &[], samples::now()),
        &[
            "overnight_items{state=\"pending\"} 6",
            "overnight_items{state=\"running\"} 2",
            "overnight_items_finished_total{status=\"succeeded\"} 14",
            "overnight_deadline_at_risk_items 4",
        ],
    );
    has(&text(&[early], &[], deadline), &["overnight_deadline_at_risk_items 4"]);
}

#[test]
fn a_window_is_open_while_the_route_is_to_be_had_at_its_lowest_price() {
    let night: Calendar = Hours::parse("22:00-06:00 UTC").unwrap().calendar().unwrap();
    let prices = PriceTable::flat("p", Price { input: 4, output: 4, ..Price::default() });
    let cheap = PriceWindow {
        name: "off-peak".into(),
        hours: night.clone(),
        price: Price { input: 1, output: 1, ..Price::default() },
        tiers: Vec::new(),
    };
    let flat = route("box/flat", 1);
    let by_hours = Route { hours: night, ..route("box/hours", 1) };
    let by_price =
        Route { prices: Some(PriceTable { windows: vec![cheap], ..prices }), ..route("box/price", 1) };
    let without_key = Route { unusable: Some("set KEY".to_owned()), name: "x/y".into(), ..by_hours.clone() };
    let routes = [flat, by_hours, by_price, without_key].map(Arc::new);
    let at = |time: &str| {
        let text = text(&[], &routes, samples::at(time));
        let lines = text.lines().filter(|line| line.starts_with("overnight_window_open{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(at("2026-11-20T23:00:00Z"), ["1", "1"]);
    assert_eq!(at("2026-11-20T12:00:00Z"), ["0", "0"]);
}
