//! Which rows of a job a user means, and in which order: a [`Selection`] of results or of attempts.
//!
//! A retry is a job of its own that names the one it repeats, so what a user calls the results of a
//! job are those of a chain, oldest job first: for each `custom_id` the row of the newest job that has
//! one, in the order of the oldest job's input. Attempts are never merged: all of them cost money.
//!
//! Only narrow columns are read to select; a selected row is sixteen bytes until it is fetched.
//!
//! Shell.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int16Type, Int64Type};

use crate::attempt::{ErrorCode, ItemStatus};
use crate::job::{ItemIndex, JobId};
use crate::results::ResultsError;
use crate::results::folder::Folder;
use crate::results::gather::{PartFile, Position, take};
use crate::results::schema::Table;

/// Rows fetched at once, and how many bytes of them.
const WINDOW_ROWS: usize = 8_192;
const WINDOW_BYTES: u64 = 32 << 20;

/// One job of a chain, and how many of its parts count; `None` takes every part there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub job: JobId,
    /// Parts with higher numbers are not written down yet.
    pub parts: Option<u32>,
}

impl Link {
    /// All parts of a job.
    pub fn all(job: JobId) -> Link {
        Link { job, parts: None }
    }
}

/// Which items; every list that is empty lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Ended in one of these states.
    pub states: Vec<ItemStatus>,
    /// Did not succeed for one of these reasons.
    pub reasons: Vec<ErrorCode>,
    /// Carry all of these tags.
    pub tags: Vec<(String, String)>,
    /// Has this name.
    pub custom_id: Option<String>,
}

impl Filter {
    fn needs_result(&self) -> bool {
        !(self.states.is_empty() && self.reasons.is_empty() && self.tags.is_empty())
    }

    fn columns(&self) -> Vec<&'static str> {
        let wanted = [
            (!self.states.is_empty(), "status"),
            (!self.reasons.is_empty(), "error_code"),
            (!self.tags.is_empty(), "tags"),
        ];
        wanted.iter().filter(|(wanted, _)| *wanted).map(|(_, column)| *column).collect()
    }

    fn accepts(&self, batch: &RecordBatch, row: usize) -> bool {
        let status = || text(batch, "status", row);
        let code = || text(batch, "error_code", row);
        (self.states.is_empty() || self.states.iter().any(|state| Some(state.as_str()) == status()))
            && (self.reasons.is_empty() || self.reasons.iter().any(|reason| Some(reason.as_str()) == code()))
            && self.tags.iter().all(|tag| has_tag(batch, row, tag))
            && self.custom_id.as_deref().is_none_or(|id| text(batch, "custom_id", row) == Some(id))
    }
}

/// Rows of one table, in order, not fetched yet.
pub struct Selection {
    table: Table,
    pub(super) files: Vec<PartFile>,
    pub(super) rows: Vec<Selected>,
}

/// One row of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selected {
    /// Its place in the whole.
    order: u64,
    /// Which job of the chain.
    pub(super) link: u16,
    /// Which item of that job.
    pub(super) item: ItemIndex,
    /// Where it is.
    pub(super) position: Position,
}

impl Selection {
    /// Result rows of a chain, oldest job first, in the order of its input.
    pub fn results(folder: &Folder, chain: &[Link], filter: &Filter) -> Result<Selection, ResultsError> {
        let mut selection = Selection { table: Table::Results, files: Vec::new(), rows: Vec::new() };
        // By name: the row of the newest job so far, and whether the filter takes it.
        let mut newer: HashMap<String, (Selected, bool)> = HashMap::new();
        let by_name = chain.len() > 1 || filter.custom_id.is_some();
        let columns =
            [&["item_index"][..], &filter.columns(), if by_name { &["custom_id"] } else { &[] }].concat();
        for (link, source) in chain.iter().enumerate().rev() {
            selection.scan(folder, source, link, &columns, |batch, row, mut found| {
                let accepted = filter.accepts(batch, row);
                let name = || text(batch, "custom_id", row).unwrap_or_default();
                if link > 0 {
                    newer.entry(name().to_owned()).or_insert((found, accepted));
                    return None;
                }
                let newest = if newer.is_empty() { None } else { newer.remove(name()) };
                let (row, accepted) = newest.map_or((found, accepted), |(mut row, accepted)| {
                    row.order = found.order;
                    (row, accepted)
                });
                found = row;
                accepted.then_some(found)
            })?;
        }
        // Items whose first job has no row: after all others.
        let rest = newer.into_values().filter(|(_, accepted)| *accepted);
        selection.rows.extend(rest.map(|(row, _)| Selected { order: row.order | 1 << 63, ..row }));
        selection.rows.sort_unstable();
        Ok(selection)
    }

    /// Attempts of a chain by job, item and number. With a filter, those of items whose row in the
    /// same job it takes.
    pub fn attempts(folder: &Folder, chain: &[Link], filter: &Filter) -> Result<Selection, ResultsError> {
        let mut selection = Selection { table: Table::Attempts, files: Vec::new(), rows: Vec::new() };
        for (link, source) in chain.iter().enumerate() {
            let items = match filter.needs_result() {
                true => Some(matching_items(folder, source, filter)?),
                false => None,
            };
            let mut columns = vec!["item_index", "attempt"];
            columns.extend(filter.custom_id.as_ref().map(|_| "custom_id"));
            selection.scan(folder, source, link, &columns, |batch, row, mut found| {
                let number = batch["attempt"].as_primitive::<Int16Type>().value(row);
                found.order = (link as u64) << 48 | found.order | u64::from(number.unsigned_abs());
                let named =
                    || filter.custom_id.as_deref().is_none_or(|id| text(batch, "custom_id", row) == Some(id));
                let accepted = items.as_ref().is_none_or(|items| items.contains(&found.item)) && named();
                accepted.then_some(found)
            })?;
        }
        selection.rows.sort_unstable();
        Ok(selection)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Without the first `n` rows.
    pub fn skip(&mut self, n: usize) {
        self.rows.drain(..n.min(self.rows.len()));
    }

    /// Of which table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The rows in order, a window at a time; every column, or all but the long texts.
    pub fn batches(&self, texts: Texts) -> impl Iterator<Item = Result<RecordBatch, ResultsError>> + '_ {
        let schema = self.table.schema();
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| field.name())
            .filter(|name| texts.wants(name))
            .cloned()
            .collect();
        self.windows().map(move |window| {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            self.fetch(window, &columns)
        })
    }

    /// The rows in order, cut so that a window of them fits in memory.
    pub(super) fn windows(&self) -> impl Iterator<Item = &[Selected]> {
        let bytes: Vec<u64> = self.files.iter().map(PartFile::row_bytes).collect();
        let mut rest = self.rows.as_slice();
        std::iter::from_fn(move || {
            let mut total = 0;
            let fitting = rest.iter().take(WINDOW_ROWS).take_while(|row| {
                total += bytes[row.position.file as usize];
                total <= WINDOW_BYTES
            });
            let (window, left) = rest.split_at(fitting.count().max(1).min(rest.len()));
            rest = left;
            (!window.is_empty()).then_some(window)
        })
    }

    /// These rows in these columns.
    pub(super) fn fetch(&self, window: &[Selected], columns: &[&str]) -> Result<RecordBatch, ResultsError> {
        let positions: Vec<Position> = window.iter().map(|row| row.position).collect();
        self.fetch_at(&positions, columns)
    }

    /// The rows at these positions in these columns.
    pub(super) fn fetch_at(
        &self,
        positions: &[Position],
        columns: &[&str],
    ) -> Result<RecordBatch, ResultsError> {
        take(&self.files, positions, columns)
    }

    /// Passes over all rows of one job; `select` says which to keep, and where they stand.
    fn scan(
        &mut self,
        folder: &Folder,
        source: &Link,
        link: usize,
        columns: &[&str],
        mut select: impl FnMut(&RecordBatch, usize, Selected) -> Option<Selected>,
    ) -> Result<(), ResultsError> {
        for path in folder.parts(self.table, &source.job, source.parts)?.into_values() {
            let part = PartFile::open(self.table, path)?;
            let file = u32::try_from(self.files.len()).expect("fewer than four billion files");
            let mut n_rows = 0;
            for batch in part.scan(columns)? {
                let batch = batch?;
                let items = batch["item_index"].as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let item = ItemIndex::try_from(items.value(row)).unwrap_or(ItemIndex::MAX);
                    let position = Position { file, row: n_rows };
                    let order = u64::from(item) << 16;
                    let found = Selected { order, link: link as u16, item, position };
                    self.rows.extend(select(&batch, row, found));
                    n_rows += 1;
                }
            }
            self.files.push(part);
        }
        Ok(())
    }
}

/// Whether the long texts are read: prompts, answers, raw responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// All columns.
    With,
    /// A listing does not show them.
    Without,
}

impl Texts {
    fn wants(self, column: &str) -> bool {
        self == Texts::With || !matches!(column, "output_text" | "response_json" | "input_json")
    }
}

fn matching_items(
    folder: &Folder,
    source: &Link,
    filter: &Filter,
) -> Result<HashSet<ItemIndex>, ResultsError> {
    let results = Selection::results(folder, std::slice::from_ref(source), filter)?;
    Ok(results.rows.iter().map(|row| row.item).collect())
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn has_tag(batch: &RecordBatch, row: usize, (key, value): &(String, String)) -> bool {
    let Some(tags) = batch.column_by_name("tags") else { return false };
    let entries = tags.as_map().value(row);
    let keys = entries.column(0).as_string::<i32>();
    let values = entries.column(1).as_string::<i32>();
    (0..entries.len()).any(|entry| keys.value(entry) == key && values.value(entry) == value)
}
