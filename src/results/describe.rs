//! What every file says of itself: its schema, its job, its prices.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{Hedge, Job, OnUnknown, When};
use crate::results::schema::{Table, key};

/// Id and hash of the prices that were in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PriceCatalog {
    /// Such as `2026-11-20`.
    pub id: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

/// The key-value metadata of a file of this job, but for when it was completed.
pub(super) fn about(table: Table, job: &Job, catalog: &PriceCatalog) -> Vec<KeyValue> {
    let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        entry(key::SCHEMA, table.version().to_owned()),
        entry(key::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        entry(key::JOB, json(&JobFacts::of(job))),
        entry(key::PRICE_CATALOG, json(catalog)),
    ]
}

/// When a file was completed.
pub(super) fn written_at(now: Timestamp) -> KeyValue {
    KeyValue::new(key::WRITTEN_AT.to_owned(), now.to_string())
}

/// A job as files tell it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobFacts {
    id: String,
    name: String,
    items: u32,
    submitted_at: String,
    retry_of: Option<String>,
    source: SourceFacts,
    options: OptionFacts,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SourceFacts {
    name: String,
    sha256: String,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct OptionFacts {
    models: Vec<String>,
    deadline: Option<String>,
    check: Option<Check>,
    max_cost_usd: Option<f64>,
    max_attempts: u8,
    tags: BTreeMap<String, String>,
    when: When,
    on_unknown: OnUnknown,
    unknown_resends: u8,
    hold_above_usd: f64,
    accept_truncated: bool,
    keep_input: bool,
    allow_unpriced: bool,
    give_up_above: Option<String>,
    hedge: Hedge,
}

impl JobFacts {
    /// Of this job.
    pub fn of(job: &Job) -> JobFacts {
        JobFacts {
            id: job.id.to_string(),
            name: job.title().to_owned(),
            items: job.n_items,
            submitted_at: job.submitted_at.to_string(),
            retry_of: job.retry_of.as_ref().map(ToString::to_string),
            source: SourceFacts {
                name: job.source.name.clone(),
                sha256: job.source.sha256.clone(),
                bytes: job.source.bytes,
            },
            options: OptionFacts::of(job),
        }
    }
}

impl OptionFacts {
    fn of(job: &Job) -> OptionFacts {
        let ladders: BTreeSet<String> = job.classes.iter().map(|class| class.ladder.to_string()).collect();
        let deadline = job.classes.iter().filter_map(|class| class.deadline).min();
        let options = &job.options;
        OptionFacts {
            models: ladders.into_iter().collect(),
            deadline: deadline.map(|deadline| deadline.to_string()),
            check: options.check.clone(),
            max_cost_usd: options.max_cost.map(|cap| cap.as_f64()),
            max_attempts: options.max_attempts,
            tags: options.tags.clone(),
            when: options.when,
            on_unknown: options.on_unknown,
            unknown_resends: options.unknown_resends,
            hold_above_usd: options.hold_above.as_f64(),
            accept_truncated: options.accept_truncated,
            keep_input: options.keep_input,
            allow_unpriced: options.allow_unpriced,
            give_up_above: options.give_up_above.map(|worth| worth.to_string()),
            hedge: options.hedge,
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain values are always JSON")
}
