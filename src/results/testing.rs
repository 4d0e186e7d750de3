//! Records made by hand, for the tests of this room.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::attempt::{AttemptStatus, CostBasis, ErrorCode, ItemStatus};
use crate::clock::Timestamp;
use crate::job::{AttemptId, Class, ItemIndex, Job, JobId, JobOptions, Source, Wire};
use crate::ledger::Amount;
use crate::money::{Usage, Usd};
use crate::record::{Ended, ItemTotals, Next, RouteFacts, Settled};
use crate::results::folder::Folder;
use crate::results::parts::{Parts, Settings};
use crate::results::{PriceCatalog, ResultsError};

/// 2026-11-21, 22:00 UTC, and this many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_795_298_400 + seconds) * 1_000_000)
}

pub(crate) fn job(id: &str, n_items: ItemIndex) -> Arc<Job> {
    Arc::new(Job {
        id: JobId::new(id),
        name: None,
        submitted_at: at(-60),
        n_items,
        classes: vec![Class::default()],
        class_of: Vec::new(),
        copies: Vec::new(),
        options: JobOptions {
            tags: BTreeMap::from([("team".into(), "search".into())]),
            ..JobOptions::default()
        },
        source: Source { name: "jobs/reviews.jsonl".into(), ..Source::default() },
        retry_of: None,
    })
}

pub(crate) fn settings() -> Settings {
    let price_catalog = PriceCatalog { id: "2026-11-20".into(), sha256: "ab".repeat(32) };
    Settings { responses: true, price_catalog }
}

pub(crate) fn parts(folder: &Folder) -> Result<Parts, ResultsError> {
    Parts::open(folder.clone(), settings())
}

/// An attempt that was answered well and ends its item.
pub(crate) fn succeeded(job: &Job, item: ItemIndex) -> Ended {
    let mut ended = rejected(job, item, 1);
    ended.status = AttemptStatus::Succeeded;
    ended.error = None;
    ended.spends_model = false;
    ended.escalation = None;
    ended.text = Some(format!("{{\"sentiment\":\"pos\",\"n\":{item}}}"));
    ended.next = Next::Settled(Box::new(settled(job, item, ItemStatus::Succeeded, ended.totals)));
    ended
}

/// An attempt whose answer was not accepted; its item waits for the next step.
pub(crate) fn rejected(job: &Job, item: ItemIndex, number: u16) -> Ended {
    let usage = Usage { input: 600 + u64::from(item), output: 150, ..Usage::default() };
    let cost = Usd::from_pico(i128::from(usage.input) * 150_000 + 150 * 600_000);
    let ended_at = at(i64::from(item) + i64::from(number) * 2);
    Ended {
        attempt: AttemptId(u64::from(item) * 16 + u64::from(number)),
        job: job.id.clone(),
        item,
        custom_id: name(item),
        wire: Wire::Chat,
        number,
        step: 0,
        status: AttemptStatus::Rejected,
        error: Some((ErrorCode::SchemaMismatch, "/sentiment: \"meh\" is not one of pos, neg".into())),
        escalation: Some(ErrorCode::SchemaMismatch),
        http_status: Some(200),
        route: route(),
        response_model: Some("flash-2026".into()),
        request_id: Some(format!("req_{item}_{number}")),
        finish_reason: Some("stop".into()),
        usage: Some(usage),
        cost,
        list_cost: Usd::from_pico(cost.pico() * 2),
        cost_basis: CostBasis::Computed,
        queued_at: ended_at,
        started_at: at(i64::from(item)),
        ended_at,
        retry_after_ms: None,
        text: Some("{\"sentiment\":\"meh\"}".into()),
        body: Bytes::from(format!("{{\"id\":\"r{item}\",\n \"choices\":[]}}")),
        at_risk: Usd::ZERO,
        totals: totals(usage, cost, number),
        next: Next::Pending(1),
        open_tags: tags(item),
        input_estimate: 600,
        class: "reviews".into(),
        drawn: Amount::NOTHING,
        has_check: true,
        spends_model: true,
        hedge: false,
        upstream_batch: None,
    }
}

/// An item that ended without a further attempt.
pub(crate) fn settled(job: &Job, item: ItemIndex, status: ItemStatus, totals: ItemTotals) -> Settled {
    let error =
        (status != ItemStatus::Succeeded).then(|| (ErrorCode::Deadline, "its deadline passed".into()));
    Settled {
        job: job.id.clone(),
        item,
        custom_id: name(item),
        status,
        error,
        valid: Some(status == ItemStatus::Succeeded),
        step: Some(0),
        priority: 0,
        totals,
        at: at(i64::from(item) + 2),
        deadline: Some(at(3_600)),
        tags: tags(item),
        input: None,
        copied: None,
    }
}

fn tags(item: ItemIndex) -> Vec<(String, String)> {
    vec![("team".into(), if item.is_multiple_of(2) { "search" } else { "ads" }.into())]
}

fn name(item: ItemIndex) -> Arc<str> {
    format!("r-{item}").into()
}

fn totals(usage: Usage, cost: Usd, attempts: u16) -> ItemTotals {
    ItemTotals {
        attempts,
        usage,
        cost,
        list_cost: Usd::from_pico(cost.pico() * 2),
        basis: Some(CostBasis::Computed),
        first_sent: Some(at(0)),
    }
}

pub(crate) fn route() -> RouteFacts {
    RouteFacts {
        provider: "deepseek".into(),
        model: "deepseek-flash".into(),
        endpoint: "/v1/chat/completions".into(),
        lane: "realtime".into(),
        window: "off-peak".into(),
        price_id: "deepseek/deepseek-flash@2026-11-20".into(),
        input_price: Some(150_000),
        output_price: Some(600_000),
    }
}
