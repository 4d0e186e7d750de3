//! A state folder with jobs in it, written through the library as an owner of the store would.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use overnight::attempt::{AttemptStatus, CostBasis, ErrorCode, ItemStatus};
use overnight::clock::Timestamp;
use overnight::job::{
    AttemptId, Body, Class, Item, ItemIndex, Job, JobId, JobOptions, Ladder, Needs, Source, Wire,
};
use overnight::ledger::{Amount, Day};
use overnight::money::{Usage, Usd};
use overnight::record::{Ended, ItemTotals, Next, Record, RouteFacts, Settled, Started};
use overnight::results::folder::Folder;
use overnight::results::read;
use overnight::store::Store;
use overnight::store::files::FileStore;

use crate::support::{Overnight, Ran};

/// A job of a test: its items are called `r-0`, `r-1`, …
pub(crate) struct World {
    pub(crate) overnight: Overnight,
    attempts: u64,
}

/// How an item is to have ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Succeeds,
    Fails(ErrorCode),
}

impl World {
    pub(crate) fn new() -> World {
        World { overnight: Overnight::new(), attempts: 1 }
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        let keys = [("DEEPSEEK_API_KEY", "sk-deepseek"), ("OPENAI_API_KEY", "sk-openai")];
        Ran::of(&self.overnight.command(line).envs(keys).output().unwrap())
    }

    /// The store, owned by the test until it is dropped or closed.
    pub(crate) fn store(&self) -> FileStore {
        let state = self.overnight.path();
        let open = |results: &Path, job: &JobId, parts: u32| {
            Ok(read::final_states(&Folder::new(results), job, parts).unwrap())
        };
        FileStore::open(state, &state.join("overnight-results"), open).unwrap()
    }

    /// Queues a job of these items.
    pub(crate) fn submit(&self, job: &Job, names: &[&str]) {
        let mut store = self.store();
        let mut writer = store.stage(&job.id).unwrap();
        for (index, name) in names.iter().enumerate() {
            writer.push(&item(index as ItemIndex, name)).unwrap();
        }
        writer.finish(job).unwrap();
        store.accept(job).unwrap();
        store.close().unwrap();
    }

    /// Writes what became of items to the journal, and to the journal only.
    pub(crate) fn record(&mut self, job: &Job, ends: &[(ItemIndex, &str, End)]) {
        let records: Vec<Record> =
            ends.iter().flat_map(|(index, name, end)| self.ended(job, *index, name, *end)).collect();
        self.append(&records);
    }

    pub(crate) fn append(&self, records: &[Record]) {
        let mut store = self.store();
        store.recover().unwrap();
        store.append(records).unwrap();
        store.sync().unwrap();
        store.close().unwrap();
    }

    /// Says that a job is over, as the engine does when its rows are written.
    pub(crate) fn finish(&self, job: &Job) {
        self.append(&[Record::Finished { job: job.id.clone(), at: at(60), taught: None }]);
    }

    /// One attempt, and the end of its item.
    fn ended(&mut self, job: &Job, item: ItemIndex, name: &str, end: End) -> [Record; 2] {
        let attempt = AttemptId(self.attempts);
        self.attempts += 1;
        let usage = Usage { input: 600, output: 150, ..Usage::default() };
        let cost = Usd::from_pico(180_000_000);
        let totals = ItemTotals {
            attempts: 1,
            usage,
            cost,
            list_cost: cost + cost,
            basis: Some(CostBasis::Computed),
            first_sent: Some(at(1)),
        };
        let error = match end {
            End::Succeeds => None,
            End::Fails(code) => Some((code, "/sentiment: \"meh\" is not one of pos, neg".to_owned())),
        };
        let status = if error.is_some() { ItemStatus::Failed } else { ItemStatus::Succeeded };
        let settled = Settled {
            job: job.id.clone(),
            item,
            custom_id: name.into(),
            status,
            error: error.clone(),
            valid: Some(error.is_none()),
            step: Some(0),
            priority: 0,
            totals,
            at: at(3),
            deadline: None,
            tags: vec![("team".into(), "search".into())],
            input: None,
            copied: None,
        };
        let ended = Ended {
            attempt,
            job: job.id.clone(),
            item,
            custom_id: name.into(),
            wire: Wire::Chat,
            number: 1,
            step: 0,
            status: if error.is_some() { AttemptStatus::Rejected } else { AttemptStatus::Succeeded },
            error,
            escalation: None,
            http_status: Some(200),
            route: route(),
            response_model: Some("flash-2026".into()),
            request_id: Some(format!("req_{name}")),
            finish_reason: Some("stop".into()),
            usage: Some(usage),
            cost,
            list_cost: cost + cost,
            cost_basis: CostBasis::Computed,
            queued_at: at(0),
            started_at: at(1),
            ended_at: at(3),
            retry_after_ms: None,
            text: Some(format!("{{\"sentiment\":\"of {name}\"}}")),
            body: Bytes::from_static(b"{\"choices\":[]}"),
            at_risk: Usd::ZERO,
            totals,
            next: Next::Settled(Box::new(settled)),
            open_tags: Vec::new(),
            input_estimate: 100,
            class: "reviews".into(),
            drawn: Amount::NOTHING,
            has_check: true,
            spends_model: false,
            hedge: false,
            upstream_batch: None,
        };
        [Record::Started(started(job, attempt, item)), Record::Ended(Box::new(ended))]
    }
}

/// An attempt on its way.
pub(crate) fn started(job: &Job, attempt: AttemptId, item: ItemIndex) -> Started {
    Started {
        attempt,
        job: job.id.clone(),
        item,
        step: 0,
        route: "deepseek/deepseek-flash".into(),
        worst_case: Usd::from_pico(1_000_000_000),
        at: at(1),
        day: Day::default(),
        tags: [].into(),
        drawing: None,
        batch: None,
    }
}

/// 2026-11-20, 10:00 UTC, and this many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    Timestamp::from_micros(start.micros() + seconds * 1_000_000)
}

pub(crate) fn job(id: &str, n_items: ItemIndex) -> Job {
    let ladder = Ladder(vec![vec!["deepseek/deepseek-flash".into()]]);
    Job {
        id: JobId::new(id),
        name: None,
        submitted_at: at(0),
        n_items,
        classes: vec![Class { ladder, deadline: Some(at(3_600)), ..Class::default() }],
        class_of: Vec::new(),
        copies: Vec::new(),
        options: JobOptions { tags: [("team".into(), "search".into())].into(), ..JobOptions::default() },
        source: Source { name: "reviews.jsonl".into(), ..Source::default() },
        retry_of: None,
    }
}

fn item(index: ItemIndex, name: &str) -> Item {
    let json = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"prompt of {name}\"}}]}}");
    Item {
        index,
        custom_id: Arc::from(name),
        class: 0,
        wire: Wire::Chat,
        body: Body { json: json.into(), model_at: None },
        input_tokens: 20,
        max_output: Some(100),
        choices: 1,
        needs: Needs::default(),
        options: None,
    }
}

fn route() -> RouteFacts {
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
