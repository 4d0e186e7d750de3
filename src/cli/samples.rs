//! Jobs as tests show them: the ones of the documentation.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::job::JobId;
use crate::ledger::Counts;
use crate::view::{JobView, RouteView, Waiting};

/// A moment, written as RFC 3339.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment in a test is written right")
}

/// Ten past ten on the day of the sample jobs.
pub(crate) fn now() -> Timestamp {
    at("2026-11-20T10:32:41Z")
}

/// A job in the middle of its work.
pub(crate) fn running() -> JobView {
    JobView {
        job_id: JobId::new("job_01kb3v6m8d"),
        name: "reviews".into(),
        state: "in_progress".into(),
        paused: false,
        submitted_at: at("2026-11-20T08:12:00Z"),
        deadline_at: Some(at("2026-11-20T18:00:00Z")),
        items: 20_000,
        counts: Counts { pending: 6_796, running: 131, succeeded: 13_061, failed: 12, ..Counts::default() },
        waiting: BTreeMap::from([(Waiting::RateLimit, 5_990), (Waiting::Backoff, 806)]),
        waiting_for: None,
        waiting_until: None,
        cost_usd: 2.73,
        cost_pico_usd: 2_730_000_000_000,
        reserved_usd: 0.04,
        max_cost_usd: Some(5.0),
        list_cost_usd: 5.46,
        attempts: 13_744,
        unknown_attempts: 0,
        input_tokens: 7_921_334,
        output_tokens: 1_961_882,
        per_minute: Some(400.2),
        eta: Some(at("2026-11-20T10:50:00Z")),
        first_sent_at: Some(at("2026-11-20T10:00:00Z")),
        finished_at: None,
        failures: BTreeMap::from([("schema_mismatch".into(), 9), ("content_filter".into(), 3)]),
        routes: vec![cheap_route(), strong_route()],
        retry_of: None,
        tags: BTreeMap::new(),
        cached_input_tokens: 0,
        reasoning_tokens: 0,
    }
}

fn cheap_route() -> RouteView {
    RouteView {
        route: "deepseek/deepseek-flash".into(),
        succeeded: 12_533,
        rejected: BTreeMap::from([("schema_mismatch".into(), 401), ("truncated".into(), 139)]),
        errors: BTreeMap::from([("rate_limited".into(), 61)]),
        cost_usd: 2.36,
        cost_per_success_usd: Some(0.000_19),
        p50_ms: Some(2_100),
        p95_ms: Some(6_400),
        price_window: Some("off-peak".into()),
        price_until: Some(at("2026-11-21T01:00:00Z")),
    }
}

fn strong_route() -> RouteView {
    RouteView {
        route: "deepseek/deepseek-v4-pro".into(),
        succeeded: 528,
        rejected: BTreeMap::from([("schema_mismatch".into(), 12)]),
        errors: BTreeMap::new(),
        cost_usd: 0.37,
        cost_per_success_usd: Some(0.000_71),
        p50_ms: Some(4_000),
        p95_ms: Some(11_900),
        price_window: None,
        price_until: None,
    }
}

/// A job that waits for its hour and may be late.
pub(crate) fn waiting() -> JobView {
    JobView {
        job_id: JobId::new("job_01kb3t02ya"),
        name: "embed".into(),
        items: 400_000,
        counts: Counts { pending: 400_000, ..Counts::default() },
        waiting: BTreeMap::from([(Waiting::Window, 400_000)]),
        waiting_for: Some("opens 22:00 UTC".into()),
        waiting_until: Some(at("2026-11-20T22:00:00Z")),
        deadline_at: Some(at("2026-11-21T06:00:00Z")),
        eta: Some(at("2026-11-21T07:00:00Z")),
        cost_usd: 0.0,
        cost_pico_usd: 0,
        reserved_usd: 0.0,
        max_cost_usd: Some(8.0),
        list_cost_usd: 0.0,
        attempts: 0,
        input_tokens: 0,
        output_tokens: 0,
        per_minute: None,
        first_sent_at: None,
        failures: BTreeMap::new(),
        routes: Vec::new(),
        ..running()
    }
}

/// A job that is over, and went well.
pub(crate) fn completed() -> JobView {
    JobView {
        job_id: JobId::new("job_01kb2zqq41"),
        name: "triage".into(),
        state: "completed".into(),
        items: 5_000,
        counts: Counts { succeeded: 5_000, ..Counts::default() },
        waiting: BTreeMap::new(),
        cost_usd: 0.61,
        cost_pico_usd: 610_000_000_000,
        reserved_usd: 0.0,
        max_cost_usd: Some(2.0),
        list_cost_usd: 0.61,
        per_minute: None,
        eta: None,
        first_sent_at: Some(at("2026-11-20T02:08:00Z")),
        finished_at: Some(at("2026-11-20T03:00:00Z")),
        deadline_at: Some(at("2026-11-20T06:00:00Z")),
        failures: BTreeMap::new(),
        routes: Vec::new(),
        ..running()
    }
}
