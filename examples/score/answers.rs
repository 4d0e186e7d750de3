//! Reads what several models answered on the same items, and what their tokens cost.
//!
//! Columns are found by name, in any order; a file may be compressed or not. An item that lacks a row for
//! a model cannot be sent to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use flate2::bufread::MultiGzDecoder;

/// One answer: whether the check passed it, and what it cost in dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) passed: bool,
    pub(super) cost: f64,
}

/// Items by models.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers {
    /// In alphabetical order.
    pub(super) models: Vec<String>,
    /// By item, in the order of the file, then by model.
    pub(super) items: Vec<Vec<Option<Answer>>>,
    /// What a reader of the score should know of the file.
    pub(super) notes: Vec<String>,
}

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    input: f64,
    output: f64,
}

/// By model.
pub(super) type Prices = BTreeMap<String, Price>;

impl Answers {
    /// Reads answers; every model in them needs a price.
    pub(super) fn read(path: &Path, prices: &Prices) -> anyhow::Result<Answers> {
        Self::parse(open(path)?, prices).with_context(|| format!("cannot use {}", path.display()))
    }

    fn parse(file: impl Read, prices: &Prices) -> anyhow::Result<Answers> {
        let mut table = Table::new(file)?;
        let columns = ["item_id", "model", "correct", "prompt_tokens", "completion_tokens"];
        let at = table.columns(&columns)?;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut rows: Vec<BTreeMap<String, Answer>> = Vec::new();
        let (mut repeated, mut unpriced) = (0, BTreeSet::new());
        while let Some(row) = table.next()? {
            let model = row.text(at[1]);
            let Some(price) = prices.get(model) else {
                unpriced.insert(model.to_owned());
                continue;
            };
            let passed = match row.text(at[2]) {
                "1" | "true" | "True" => true,
                "0" | "false" | "False" => false,
                other => bail!("line {}: `correct` is {other:?}, not 0 or 1", row.line),
            };
            let tokens = (row.number(at[3], columns[3])?, row.number(at[4], columns[4])?);
            let cost = (tokens.0 * price.input + tokens.1 * price.output) / 1e6;
            let next = places.len();
            let place = *places.entry(row.text(at[0]).to_owned()).or_insert(next);
            rows.resize(places.len(), BTreeMap::new());
            repeated += usize::from(rows[place].contains_key(model));
            rows[place].entry(model.to_owned()).or_insert(Answer { passed, cost });
        }
        if !unpriced.is_empty() {
            let names: Vec<_> = unpriced.into_iter().collect();
            bail!("no price for {}; add a line for each to the price file", names.join(", "));
        }
        ensure!(!rows.is_empty(), "the file has no rows");
        Ok(Answers::of(rows, repeated))
    }

    fn of(rows: Vec<BTreeMap<String, Answer>>, repeated: usize) -> Answers {
        let models: BTreeSet<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
        let models: Vec<String> = models.into_iter().cloned().collect();
        let row =
            |row: &BTreeMap<String, Answer>| models.iter().map(|model| row.get(model).copied()).collect();
        let items: Vec<Vec<Option<Answer>>> = rows.iter().map(row).collect();
        let missing = items.iter().flatten().filter(|answer| answer.is_none()).count();
        let mut notes = Vec::new();
        if repeated > 0 {
            notes.push(format!("{repeated} rows repeat an item and model; the first of each counts"));
        }
        if missing > 0 {
            notes.push(format!("{missing} answers are missing; their items cannot be sent to these models"));
        }
        Answers { models, items, notes }
    }
}

/// Reads prices: `model, usd_per_mtok_in, usd_per_mtok_out`.
pub(super) fn read_prices(path: &Path) -> anyhow::Result<Prices> {
    let read = || -> anyhow::Result<Prices> {
        let mut table = Table::new(open(path)?)?;
        let columns = ["model", "usd_per_mtok_in", "usd_per_mtok_out"];
        let at = table.columns(&columns)?;
        let mut prices = Prices::new();
        while let Some(row) = table.next()? {
            let price =
                Price { input: row.number(at[1], columns[1])?, output: row.number(at[2], columns[2])? };
            prices.insert(row.text(at[0]).to_owned(), price);
        }
        Ok(prices)
    };
    read().with_context(|| format!("cannot use {}", path.display()))
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut file = BufReader::new(file);
    let is_gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// A CSV file with named columns.
struct Table<R> {
    reader: csv::Reader<R>,
    names: Vec<String>,
    record: csv::StringRecord,
}

/// One of its rows.
struct Row<'a> {
    record: &'a csv::StringRecord,
    line: u64,
}

impl<R: Read> Table<R> {
    fn new(file: R) -> anyhow::Result<Table<R>> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let names = reader.headers()?.iter();
        let names = names.map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(Table { reader, names, record: csv::StringRecord::new() })
    }

    fn columns(&self, wanted: &[&str]) -> anyhow::Result<Vec<usize>> {
        let missing: Vec<_> =
            wanted.iter().copied().filter(|&name| !self.names.iter().any(|n| n == name)).collect();
        ensure!(missing.is_empty(), "no column {}; there are {}", missing.join(", "), self.names.join(", "));
        let place = |wanted: &&str| self.names.iter().position(|name| name == wanted);
        Ok(wanted.iter().filter_map(place).collect())
    }

    fn next(&mut self) -> anyhow::Result<Option<Row<'_>>> {
        if !self.reader.read_record(&mut self.record)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(Row { record: &self.record, line }))
    }
}

impl Row<'_> {
    fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default()
    }

    fn number(&self, column: usize, name: &str) -> anyhow::Result<f64> {
        let text = self.text(column);
        let number: f64 = text
            .parse()
            .with_context(|| format!("line {}: `{name}` is {text:?}, not a number", self.line))?;
        ensure!(number.is_finite() && number >= 0.0, "line {}: `{name}` is {number}", self.line);
        Ok(number)
    }
}
