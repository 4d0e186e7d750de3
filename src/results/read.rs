//! Rows back as values: what `items`, `show` and `report` work on, and what recovery asks of parts.
//!
//! Shell.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};

use crate::attempt::ItemStatus;
use crate::clock::Timestamp;
use crate::job::{ItemIndex, JobId};
use crate::money::Usage;
use crate::report::row::{AttemptRow, ResultRow};
use crate::results::ResultsError;
use crate::results::folder::Folder;
use crate::results::gather::PartFile;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link, Selection, Texts};

/// How each item in a job's committed parts ended, from two columns of them.
pub fn final_states(
    folder: &Folder,
    job: &JobId,
    parts: u32,
) -> Result<Vec<(ItemIndex, ItemStatus)>, ResultsError> {
    let mut states = Vec::new();
    for path in folder.parts(Table::Results, job, Some(parts))?.into_values() {
        let part = PartFile::open(Table::Results, path)?;
        for batch in part.scan(&["item_index", "status"])? {
            let batch = batch?;
            let items = batch["item_index"].as_primitive::<Int64Type>();
            let statuses = batch["status"].as_string::<i32>();
            for row in 0..batch.num_rows() {
                let item = ItemIndex::try_from(items.value(row));
                let status =
                    ItemStatus::ALL.into_iter().find(|status| status.as_str() == statuses.value(row));
                match (item, status) {
                    (Ok(item), Some(status)) => states.push((item, status)),
                    _ => {
                        return Err(ResultsError::damaged(
                            part.path(),
                            format!("row {row} is no ended item"),
                        ));
                    }
                }
            }
        }
    }
    Ok(states)
}

/// When each item in a job's committed parts ended, whether well, and what it cost in nano-dollars; in no
/// order.
pub fn ends(folder: &Folder, job: &JobId) -> Result<Vec<(Timestamp, bool, i64)>, ResultsError> {
    let mut ends = Vec::new();
    for path in folder.parts(Table::Results, job, None)?.into_values() {
        let part = PartFile::open(Table::Results, path)?;
        for batch in part.scan(&["ended_at", "status", "cost_nano_usd"])? {
            let batch = batch?;
            let at = batch["ended_at"].as_primitive::<TimestampMicrosecondType>();
            let status = batch["status"].as_string::<i32>();
            let cost = batch["cost_nano_usd"].as_primitive::<Int64Type>();
            let succeeded = ItemStatus::Succeeded.as_str();
            let row = |row| {
                (Timestamp::from_micros(at.value(row)), status.value(row) == succeeded, cost.value(row))
            };
            ends.extend((0..batch.num_rows()).map(row));
        }
    }
    Ok(ends)
}

/// Result rows in order, without holding more than a window of them.
pub fn results(
    selection: &Selection,
    texts: Texts,
) -> impl Iterator<Item = Result<ResultRow, ResultsError>> + '_ {
    selection.batches(texts).flat_map(|batch| rows(batch, result_row))
}

/// Attempt rows in order, without holding more than a window of them.
pub fn attempts(
    selection: &Selection,
    texts: Texts,
) -> impl Iterator<Item = Result<AttemptRow, ResultsError>> + '_ {
    selection.batches(texts).flat_map(|batch| rows(batch, attempt_row))
}

/// One item by its name: its row, where it has ended, and all its attempts, oldest first.
pub fn item(
    folder: &Folder,
    chain: &[Link],
    custom_id: &str,
) -> Result<(Option<ResultRow>, Vec<AttemptRow>), ResultsError> {
    let filter = Filter { custom_id: Some(custom_id.to_owned()), ..Filter::default() };
    let result = results(&Selection::results(folder, chain, &filter)?, Texts::With).next().transpose()?;
    let attempts =
        attempts(&Selection::attempts(folder, chain, &filter)?, Texts::With).collect::<Result<_, _>>()?;
    Ok((result, attempts))
}

fn rows<T>(
    batch: Result<RecordBatch, ResultsError>,
    row: impl Fn(&Columns, usize) -> T,
) -> Vec<Result<T, ResultsError>> {
    match batch {
        Ok(batch) => {
            let columns = Columns::of(&batch);
            (0..batch.num_rows()).map(|index| Ok(row(&columns, index))).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

fn result_row(columns: &Columns, row: usize) -> ResultRow {
    ResultRow {
        job_id: columns.text("job_id", row),
        custom_id: columns.text("custom_id", row),
        status: columns.text("status", row),
        job_name: columns.maybe_text("job_name", row),
        item_index: columns.count("item_index", row),
        error_code: columns.maybe_text("error_code", row),
        error_message: columns.maybe_text("error_message", row),
        finish_reason: columns.maybe_text("finish_reason", row),
        output_text: columns.maybe_text("output_text", row),
        response_json: columns.maybe_text("response_json", row),
        input_json: columns.maybe_text("input_json", row),
        valid: columns.maybe_bool("valid", row),
        provider: columns.maybe_text("provider", row),
        request_model: columns.maybe_text("request_model", row),
        response_model: columns.maybe_text("response_model", row),
        lane: columns.maybe_text("lane", row),
        price_window: columns.maybe_text("price_window", row),
        step: columns.short("step", row),
        attempts: columns.short("attempts", row).unwrap_or(0),
        priority: columns.short("priority", row).unwrap_or(0),
        usage: columns.usage(row).unwrap_or_default(),
        cost_nano_usd: columns.long("cost_nano_usd", row).unwrap_or(0),
        list_cost_nano_usd: columns.long("list_cost_nano_usd", row).unwrap_or(0),
        cost_basis: columns.text("cost_basis", row),
        submitted_at: columns.time("submitted_at", row).unwrap_or_default(),
        ended_at: columns.time("ended_at", row).unwrap_or_default(),
        started_at: columns.time("started_at", row),
        deadline_at: columns.time("deadline_at", row),
        deadline_met: columns.maybe_bool("deadline_met", row),
        latency_ms: columns.long("latency_ms", row),
        tags: columns.tags("tags", row),
        extra_json: columns.maybe_text("extra_json", row),
    }
}

fn attempt_row(columns: &Columns, row: usize) -> AttemptRow {
    AttemptRow {
        attempt_id: columns.text("attempt_id", row),
        job_id: columns.text("job_id", row),
        custom_id: columns.text("custom_id", row),
        status: columns.text("status", row),
        error_code: columns.maybe_text("error_code", row),
        error_message: columns.maybe_text("error_message", row),
        item_index: columns.count("item_index", row),
        attempt: columns.short("attempt", row).unwrap_or(0),
        step: columns.short("step", row).unwrap_or(0),
        http_status: columns.short("http_status", row),
        provider: columns.text("provider", row),
        request_model: columns.text("request_model", row),
        response_model: columns.maybe_text("response_model", row),
        endpoint: columns.text("endpoint", row),
        lane: columns.text("lane", row),
        price_window: columns.text("price_window", row),
        price_id: columns.text("price_id", row),
        upstream_request_id: columns.maybe_text("upstream_request_id", row),
        finish_reason: columns.maybe_text("finish_reason", row),
        check_message: columns.maybe_text("check_message", row),
        escalation_reason: columns.maybe_text("escalation_reason", row),
        usage: columns.usage(row),
        input_price_usd_per_mtok: columns.float("input_price_usd_per_mtok", row),
        output_price_usd_per_mtok: columns.float("output_price_usd_per_mtok", row),
        cost_nano_usd: columns.long("cost_nano_usd", row).unwrap_or(0),
        list_cost_nano_usd: columns.long("list_cost_nano_usd", row).unwrap_or(0),
        cost_basis: columns.text("cost_basis", row),
        queued_at: columns.time("queued_at", row).unwrap_or_default(),
        started_at: columns.time("started_at", row).unwrap_or_default(),
        ended_at: columns.time("ended_at", row).unwrap_or_default(),
        duration_ms: columns.long("duration_ms", row).unwrap_or(0),
        retry_after_ms: columns.long("retry_after_ms", row),
        response_json: columns.maybe_text("response_json", row),
        extra_json: columns.maybe_text("extra_json", row),
    }
}

/// A batch whose columns are asked for by name, for every row of it; one that was not read is null.
struct Columns<'a>(HashMap<&'a str, &'a ArrayRef>);

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Columns<'a> {
        let names = batch.schema_ref().fields().iter().map(|field| field.name().as_str());
        Columns(names.zip(batch.columns()).collect())
    }

    fn maybe_text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.0.get(name)?.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    fn text(&self, name: &str, row: usize) -> String {
        self.maybe_text(name, row).unwrap_or_default()
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str, row: usize) -> Option<T::Native> {
        let column = self.0.get(name)?.as_primitive::<T>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn long(&self, name: &str, row: usize) -> Option<i64> {
        self.number::<Int64Type>(name, row)
    }

    fn short(&self, name: &str, row: usize) -> Option<i16> {
        self.number::<Int16Type>(name, row)
    }

    fn float(&self, name: &str, row: usize) -> f64 {
        self.number::<Float64Type>(name, row).unwrap_or(0.0)
    }

    fn time(&self, name: &str, row: usize) -> Option<Timestamp> {
        self.number::<TimestampMicrosecondType>(name, row).map(Timestamp::from_micros)
    }

    fn count(&self, name: &str, row: usize) -> ItemIndex {
        self.long(name, row).and_then(|number| ItemIndex::try_from(number).ok()).unwrap_or_default()
    }

    fn maybe_bool(&self, name: &str, row: usize) -> Option<bool> {
        let column = self.0.get(name)?.as_boolean();
        column.is_valid(row).then(|| column.value(row))
    }

    fn usage(&self, row: usize) -> Option<Usage> {
        let tokens = |name| self.long(name, row).map(|number| number.max(0).unsigned_abs());
        Some(Usage {
            input: tokens("input_tokens")?,
            cache_read: tokens("cache_read_input_tokens")?,
            cache_write: tokens("cache_write_input_tokens")?,
            output: tokens("output_tokens")?,
            reasoning: tokens("reasoning_output_tokens")?,
            // Not a column: it made a difference to the cost alone.
            cache_write_1h: 0,
        })
    }

    fn tags(&self, name: &str, row: usize) -> Vec<(String, String)> {
        let Some(column) = self.0.get(name) else { return Vec::new() };
        let entries = column.as_map().value(row);
        let keys = entries.column(0).as_string::<i32>();
        let values = entries.column(1).as_string::<i32>();
        (0..entries.len())
            .map(|entry| (keys.value(entry).to_owned(), values.value(entry).to_owned()))
            .collect()
    }
}
