//! Two books of the same night: our Parquet files and the provider's request log, held against each
//! other attempt by attempt.
//!
//! The files are read with the arrow reader here, not with our own: what is judged is what users get.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int16Type, Int64Type, TimestampMicrosecondType};
use overnight::money::Usd;
use overnight::provider::simulated::{ClientId, Line};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A row of `attempts/1`, as far as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) item: i64,
    /// Which of its item, from 1.
    pub(crate) number: i16,
    pub(crate) status: String,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) model: String,
    pub(crate) cost_nano: i64,
    pub(crate) basis: String,
    /// Microseconds.
    pub(crate) queued_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) retry_after_ms: Option<i64>,
    /// What it may have cost at most, where that is not known.
    pub(crate) at_risk_nano: Option<i64>,
}

impl Attempt {
    /// Whether its cost is no guess.
    pub(crate) fn is_known(&self) -> bool {
        self.basis != "estimated"
    }

    /// Whether it was in flight when the process was killed.
    pub(crate) fn is_orphan(&self) -> bool {
        let died = |message: &str| message.starts_with("overnight stopped while the request was in flight");
        self.status == "unknown" && self.error_message.as_deref().is_some_and(died)
    }
}

/// A row of `results/1`, as far as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) item: i64,
    pub(crate) custom_id: String,
    pub(crate) status: String,
    pub(crate) error_code: Option<String>,
    pub(crate) attempts: i16,
    pub(crate) cost_nano: i64,
}

/// Everything in a results folder.
pub(crate) struct Ours {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) results: Vec<Outcome>,
}

impl Ours {
    pub(crate) fn read(folder: &Path) -> Ours {
        let mut attempts = Vec::new();
        each_batch(&folder.join("attempts"), |batch| {
            let (id, status, code) =
                (texts(batch, "attempt_id"), texts(batch, "status"), texts(batch, "error_code"));
            let (message, model) = (texts(batch, "error_message"), texts(batch, "request_model"));
            let (basis, extra) = (texts(batch, "cost_basis"), texts(batch, "extra_json"));
            let (item, cost) = (wholes(batch, "item_index"), wholes(batch, "cost_nano_usd"));
            let (number, wait) = (smalls(batch, "attempt"), wholes(batch, "retry_after_ms"));
            let (queued_at, ended_at) = (moments(batch, "queued_at"), moments(batch, "ended_at"));
            for row in 0..batch.num_rows() {
                attempts.push(Attempt {
                    id: id[row].clone().unwrap(),
                    item: item[row].unwrap(),
                    number: number[row],
                    status: status[row].clone().unwrap(),
                    error_code: code[row].clone(),
                    error_message: message[row].clone(),
                    model: model[row].clone().unwrap(),
                    cost_nano: cost[row].unwrap(),
                    basis: basis[row].clone().unwrap(),
                    queued_at: queued_at[row],
                    ended_at: ended_at[row],
                    retry_after_ms: wait[row],
                    at_risk_nano: extra[row].as_deref().and_then(at_risk),
                });
            }
        });
        let mut results = Vec::new();
        each_batch(&folder.join("results"), |batch| {
            let (custom_id, status) = (texts(batch, "custom_id"), texts(batch, "status"));
            let (code, cost) = (texts(batch, "error_code"), wholes(batch, "cost_nano_usd"));
            let (item, n_attempts) = (wholes(batch, "item_index"), smalls(batch, "attempts"));
            for row in 0..batch.num_rows() {
                results.push(Outcome {
                    item: item[row].unwrap(),
                    custom_id: custom_id[row].clone().unwrap(),
                    status: status[row].clone().unwrap(),
                    error_code: code[row].clone(),
                    attempts: n_attempts[row],
                    cost_nano: cost[row].unwrap(),
                });
            }
        });
        Ours { attempts, results }
    }

    /// Each of the items `0..n` has exactly one row, under the name `name` gives it.
    pub(crate) fn has_each_item_once(&self, n: i64, name: impl Fn(i64) -> String) {
        let mut rows: BTreeMap<i64, usize> = BTreeMap::new();
        for result in &self.results {
            *rows.entry(result.item).or_default() += 1;
            assert_eq!(result.custom_id, name(result.item), "a row of another item");
        }
        let twice: Vec<_> = rows.iter().filter(|&(_, &copies)| copies > 1).collect();
        let lost: Vec<i64> = (0..n).filter(|item| !rows.contains_key(item)).collect();
        assert!(twice.is_empty() && lost.is_empty(), "items twice: {twice:?}; items lost: {lost:?}");
        assert_eq!(rows.len() as i64, n, "items nobody asked for");
    }

    /// The attempts of each item, in the order in which they were made.
    pub(crate) fn by_item(&self) -> BTreeMap<i64, Vec<&Attempt>> {
        let mut items: BTreeMap<i64, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &self.attempts {
            items.entry(attempt.item).or_default().push(attempt);
        }
        items.values_mut().for_each(|attempts| attempts.sort_by_key(|attempt| attempt.number));
        items
    }
}

/// What came of holding the books against each other.
pub(crate) struct Matched<'a> {
    /// Each of our attempts that the provider saw, with what it saw.
    pub(crate) seen: Vec<(&'a Attempt, &'a Line)>,
    /// Attempts that the provider never saw.
    pub(crate) unsent: Vec<&'a Attempt>,
}

impl<'a> Matched<'a> {
    /// Pairs attempts with lines by name: every line of ours has its one row, and no row more than one
    /// line. Lines of other clients are left out.
    pub(crate) fn new(ours: &'a Ours, log: &'a [Line]) -> Matched<'a> {
        let mut lines: HashMap<String, &Line> = HashMap::new();
        for line in log {
            if let Some(ClientId::Attempt(id)) = &line.client_id
                && lines.insert(id.to_string(), line).is_some()
            {
                panic!("the provider saw {id} twice: a request was sent again under the same name");
            }
        }
        let mut matched = Matched { seen: Vec::new(), unsent: Vec::new() };
        for attempt in &ours.attempts {
            match lines.remove(&attempt.id) {
                Some(line) => matched.seen.push((attempt, line)),
                None => matched.unsent.push(attempt),
            }
        }
        assert!(lines.is_empty(), "sent, and in no row: {:?}", lines.keys().collect::<Vec<_>>());
        matched
    }

    /// Our cost of every known attempt is what the provider billed for it, and every unknown one is
    /// listed with a worst case that covers the bill. Gives what was billed for the known ones.
    pub(crate) fn settle(&self) -> Usd {
        let mut known = Usd::ZERO;
        for (attempt, line) in &self.seen {
            let billed = half_even_nano(line.billed.pico());
            if attempt.is_known() {
                assert_eq!(attempt.cost_nano, billed, "{attempt:?}\n{line:?}");
                known += line.billed;
            } else {
                let listed =
                    attempt.status == "unknown" || attempt.error_code.as_deref() == Some("bad_response");
                assert!(listed, "estimated for no reason: {attempt:?}");
                let at_risk = attempt.at_risk_nano.unwrap_or_else(|| panic!("no worst case: {attempt:?}"));
                assert!(billed <= at_risk && attempt.cost_nano <= at_risk, "{attempt:?}\n{line:?}");
            }
        }
        known
    }

    /// The cost of every item is the sum of the bills of its attempts, rounded once. Items with an
    /// attempt whose bill is not known are left out.
    pub(crate) fn settle_items(&self, ours: &Ours) {
        let mut billed: HashMap<i64, Option<i128>> = HashMap::new();
        for (attempt, line) in &self.seen {
            let sum = billed.entry(attempt.item).or_insert(Some(0));
            *sum = sum.filter(|_| attempt.is_known()).map(|sum| sum + line.billed.pico());
        }
        for result in &ours.results {
            if let Some(Some(sum)) = billed.get(&result.item) {
                assert_eq!(result.cost_nano, half_even_nano(*sum), "{result:?}");
            }
        }
    }
}

/// Written again here, so that ours is not judged by itself.
fn half_even_nano(pico: i128) -> i64 {
    let (whole, rest) = (pico.div_euclid(1_000), pico.rem_euclid(1_000));
    let up = rest > 500 || (rest == 500 && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap()
}

fn at_risk(extra: &str) -> Option<i64> {
    let extra: serde_json::Value = serde_json::from_str(extra).unwrap();
    extra["at_risk_nano_usd"].as_i64()
}

fn each_batch(table: &Path, mut take: impl FnMut(&RecordBatch)) {
    for day in std::fs::read_dir(table).unwrap() {
        for part in std::fs::read_dir(day.unwrap().path()).unwrap() {
            let file = File::open(part.unwrap().path()).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                take(&batch.unwrap());
            }
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    column(batch, name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn wholes(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    column(batch, name).as_primitive::<Int64Type>().iter().collect()
}

fn smalls(batch: &RecordBatch, name: &str) -> Vec<i16> {
    column(batch, name).as_primitive::<Int16Type>().values().to_vec()
}

fn moments(batch: &RecordBatch, name: &str) -> Vec<i64> {
    column(batch, name).as_primitive::<TimestampMicrosecondType>().values().to_vec()
}
