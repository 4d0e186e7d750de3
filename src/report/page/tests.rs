//! What a page must be, on made-up reports.

use super::poster::poster;
use super::*;
use crate::job::JobId;
use crate::report::JobReport;
use crate::report::attribution::{FailureRow, HourRow};
use crate::report::chart::picture;
use crate::report::forecast::{Basis, Month};
use crate::report::groups::GroupRow;
use crate::report::places::PlaceRow;
use crate::report::savings::Savings;

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}\u{ffff}";

fn job(name: &str) -> JobReport {
    JobReport {
        job_id: JobId::new("job_01kb3v6m8d"),
        name: name.into(),
        state: "completed".into(),
        items: 20_000,
        succeeded: 19_981,
        failed: 19,
        expired: 0,
        cancelled: 0,
        left: 0,
        failures: Default::default(),
        took_seconds: Some(3_120),
        cost_usd: 4.17,
        list_cost_usd: 8.34,
        saved_usd: 4.17,
        cost_per_success_usd: Some(0.000_209),
        unknown_attempts: 0,
        reserved_usd: 0.0,
        deadline: None,
        routes: Vec::new(),
        retry_of: None,
    }
}

fn attribution(name: &str) -> Attribution {
    let row = |key: &str, cost: i64, succeeded| GroupRow {
        key: vec![(name.to_owned(), Some(key.to_owned()))],
        items: succeeded,
        succeeded,
        attempts: succeeded + 500,
        failed_json: 401,
        escalations: 540,
        input_tokens: 12_000_000,
        output_tokens: 3_000_000,
        cost_nano_usd: cost,
        cost_usd: cost as f64 / 1e9,
        cost_per_success_usd: Some(cost as f64 / 1e9 / succeeded as f64),
        escalated_nano_usd: cost / 30,
        p50_ms: Some(2_100),
        p95_ms: Some(6_400),
        p99_ms: Some(11_900),
        month: Some(Month {
            attempts: 600_000,
            items: 590_000,
            tokens: 450_000_000,
            cost_usd: cost as f64 * 30e-9,
        }),
        ..GroupRow::default()
    };
    let hour = |hour: &str, window: &str, cost| HourRow {
        hour: hour.into(),
        window: window.into(),
        attempts: 4_000,
        cost_nano_usd: cost,
    };
    let mut savings = Savings {
        paid_nano_usd: 4_170_000_000,
        list_nano_usd: 8_340_000_000,
        run_now_nano_usd: 8_340_000_000,
        strongest_nano_usd: 29_800_000_000,
        ..Savings::default()
    };
    savings.levers.windows_nano_usd = 4_170_000_000;
    Attribution {
        total: GroupRow { key: Vec::new(), items: 20_000, ..row("", 4_170_000_000, 19_981) },
        by: vec![name.to_owned()],
        groups: vec![row(name, 2_730_000_000, 12_533), row("ads", 1_440_000_000, 7_448)],
        models: vec![row("deepseek/deepseek-flash", 3_600_000_000, 19_400), row(name, 570_000_000, 581)],
        hours: vec![
            hour("2026-11-20 22:00", "off-peak", 1_900_000_000),
            hour("2026-11-20 23:00", "off-peak", 1_600_000_000),
            hour("2026-11-21 01:00", "peak", 670_000_000),
        ],
        places: vec![PlaceRow {
            step: 1,
            route: name.to_owned(),
            window: "off-peak".to_owned(),
            attempts: 12_533,
            succeeded: 12_533,
            cost_nano_usd: 2_730_000_000,
            because: format!("moved up: {name}"),
        }],
        failures: vec![
            FailureRow { error_code: "schema_mismatch".into(), model: Some(name.into()), items: 14 },
            FailureRow { error_code: "content_filter".into(), model: Some(name.into()), items: 5 },
        ],
        savings: savings.close(vec![name.to_owned()]),
        forecast: Some(Basis::new(at("2026-11-20T22:00:00Z"), at("2026-11-21T01:30:00Z"))),
        tags: vec![name.to_owned()],
        rows_missing: 0,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn page(report: &Report, all: &Attribution) -> String {
    html(report, all, &[], at("2026-11-21T06:00:00Z"))
}

#[test]
fn whatever_a_name_holds_is_shown_and_not_obeyed() {
    let report = Report::new(vec![job(EVIL)]);
    let all = attribution(EVIL);
    let sample = Sample { custom_id: EVIL.into(), prompt: Some(EVIL.into()), ..Sample::default() };
    let page = html(&report, &all, &[sample], at("2026-11-21T06:00:00Z"));
    assert!(!page.contains("<script") && !page.contains("<img"), "markup of a name");
    assert!(!page.contains(['\u{1b}', '\u{202e}', '\u{ffff}']), "marks of a name");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let drawn = poster(&report, &all, at("2026-11-21T06:00:00Z"), Ink::Text).document();
    assert!(!drawn.contains("<script") && !drawn.contains("<img"));
    let drawn = poster(&report, &all, at("2026-11-21T06:00:00Z"), Ink::Outlines);
    assert!(!drawn.document().contains("alert"), "outlines hold no text at all");
    assert!(picture::png(&drawn).is_ok());
}

#[test]
fn a_page_asks_for_nothing_and_runs_nothing() {
    let page = page(&Report::new(vec![job("reviews")]), &attribution("tag.team"));
    for wrong in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "@import",
        "url(",
        "src=",
        "href=",
        "http:",
        "https:",
        "javascript:",
    ] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme:dark"));
    let (tables, captions) = (page.matches("<table>").count(), page.matches("<caption>").count());
    assert!(tables >= 6 && tables == captions, "{tables} tables, {captions} captions");
    assert_eq!(page.matches("<svg ").count(), page.matches("role=\"img\" aria-label=\"").count());
    assert_eq!(page.matches("<svg ").count(), 8, "four, each for wide windows and for phones");
}

#[test]
fn a_report_of_nothing_of_one_item_and_of_failures_alone_is_still_a_page() {
    let nothing = Report::new(Vec::new());
    assert!(page(&nothing, &Attribution::default()).contains("No jobs"));
    let mut one = attribution("model");
    one.total = GroupRow { items: 1, succeeded: 1, attempts: 1, cost_nano_usd: 7_000, ..GroupRow::default() };
    one.groups = vec![GroupRow { key: vec![("model".into(), None)], ..one.total.clone() }];
    one.models = one.groups.clone();
    one.hours.truncate(1);
    let failed = Attribution {
        total: GroupRow { items: 3, attempts: 12, cost_nano_usd: 900, ..GroupRow::default() },
        failures: attribution("model").failures,
        ..Attribution::default()
    };
    for all in [&one, &failed, &Attribution::default()] {
        let report = Report::new(vec![job("reviews")]);
        let page = page(&report, all);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        let drawn = poster(&report, all, at("2026-11-21T06:00:00Z"), Ink::Outlines);
        let png = picture::png(&drawn).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_picture_is_as_large_as_it_says() {
    let drawn = poster(
        &Report::new(vec![job("reviews")]),
        &attribution("model"),
        at("2026-11-21T06:00:00Z"),
        Ink::Outlines,
    );
    let png = picture::png(&drawn).unwrap();
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (2_400, (drawn.height * 2.0) as u32));
}
