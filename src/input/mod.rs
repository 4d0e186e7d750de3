//! A file in, items out: reads job files of every accepted format, and says all that is wrong with
//! one at once.
//!
//! Takes a [`Source`] and [`ReadOptions`]; gives each [`Item`] to the caller in the order of the file
//! and a [`Summary`] at the end, or every bad line with its number. What the user wrote as a request
//! is kept as bytes; [`request`] lists the only edits that are ever made. Memory is bounded by one
//! line and 16 bytes for each name, whatever the size of the file.
//!
//! ```text
//! source ─ unpack, hash ─┬─ lines ──────────────────┐
//!                        └─ rows (CSV, Parquet) ────┤
//!                                     text of a line│
//!   syntax, scan ─ is it JSON, where are its parts? ◄┤
//!   format ─ what is it? ── build ─ chat body       │
//!   request ─ what does the body say? ── edit       ├─ reader ─► Item
//!   options ─ what does it ask for itself? ── when  │
//!   ids, classes ─ what is it called, what is alike?┘
//! ```
//!
//! Pure, but for [`source`], which opens files.

pub mod build;
pub mod classes;
mod duplicates;
pub mod edit;
pub mod format;
pub mod ids;
pub mod limit;
pub mod lines;
mod notes;
pub mod options;
pub mod problem;
mod reader;
pub mod request;
pub mod rows;
pub mod scan;
pub mod settings;
pub mod source;
pub mod syntax;
pub mod template;
pub mod tokens;
pub mod when;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

pub use classes::ClassUse;
pub use problem::{BadLine, BadLines, ReadError};
pub use settings::Setting;
pub use source::{FileKind, Source};
pub use template::Template;
pub use when::Zone;

use crate::clock::Timestamp;
use crate::job::{Class, Duplicates, Item, ItemIndex, Wire};
use lines::{Record, Stop};
use problem::Problem;
use reader::Reader;

/// The most a line may have, unless the options say otherwise.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// How a file is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The moment that times such as `06:00` and `8h` are counted from.
    pub now: Timestamp,
    /// Whose clock times of day are meant on.
    pub zone: Zone,
    /// How lines are scheduled that say nothing themselves.
    pub class: Class,
    /// The ladder of `class` was asked for, so it replaces models that bodies name (not those under
    /// `overnight.models`).
    pub ladder_is_fixed: bool,
    /// Instructions for requests without any.
    pub system: Option<String>,
    /// Keys set in every body.
    pub set: Vec<Setting>,
    /// Makes requests from rows.
    pub prompt: Option<Template>,
    /// The field that names a line, instead of `custom_id`, `key` or `id`.
    pub id_field: Option<String>,
    /// Names lines by their numbers where their own name is missing or used before.
    pub auto_id: bool,
    /// Reads only so many lines.
    pub limit: Option<u64>,
    /// Lines may name a command that checks their answer. Off: a job file is data, and often someone else's.
    pub line_commands: bool,
    /// What becomes of lines that repeat a request.
    pub duplicates: Duplicates,
    /// The most bytes a line may have.
    pub max_line: usize,
    /// What else a line must hold to be used, or why it cannot be.
    pub judge: Judge,
}

impl ReadOptions {
    /// Reads everything, times counted from `now`.
    pub fn new(now: Timestamp) -> ReadOptions {
        ReadOptions {
            now,
            zone: Zone::default(),
            class: Class::default(),
            ladder_is_fixed: false,
            system: None,
            set: Vec::new(),
            prompt: None,
            id_field: None,
            auto_id: false,
            limit: None,
            line_commands: false,
            duplicates: Duplicates::default(),
            max_line: MAX_LINE,
            judge: Judge::default(),
        }
    }
}

/// Says why a line cannot be used that is a request as far as reading goes.
#[derive(Clone, Default)]
pub struct Judge(Option<Arc<Verdict>>);

type Verdict = dyn Fn(&Item) -> Result<(), String> + Send + Sync;

impl Judge {
    /// Judges so.
    pub fn new(verdict: impl Fn(&Item) -> Result<(), String> + Send + Sync + 'static) -> Judge {
        Judge(Some(Arc::new(verdict)))
    }

    pub(crate) fn judge(&self, item: &Item) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |verdict| verdict(item))
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Judge" } else { "no judge" })
    }
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Name, hash and size of the file; the fingerprint is left to the caller, who knows all options.
    pub source: crate::job::Source,
    /// How its items are scheduled, by class number; class 0 may have no items.
    pub classes: Vec<ClassUse>,
    /// How many items it has.
    pub n_items: u64,
    /// Input tokens of all items, estimated.
    pub input_tokens: u64,
    /// Output tokens that the bodies allow, over the items that limit them.
    pub max_output: u64,
    /// Items whose body sets no limit on the answer.
    pub n_unlimited: u64,
    /// Answers asked for beyond one an item.
    pub n_extra_choices: u64,
    /// The wire formats among them, in order.
    pub wires: Vec<Wire>,
    /// Items that repeat an earlier request, with that item.
    pub copies: Vec<(ItemIndex, ItemIndex)>,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
    /// The lines that were left out, where that was asked for.
    pub rejected: BadLines,
}

/// Reads a file to its end and gives its items to `sink` in order.
///
/// Without `rejects`, one bad line spoils the file: items are given out until then, the rest is only
/// looked through, and all bad lines come back as the error. The caller throws away what it kept. With
/// `rejects`, bad lines are written there as they are and the others make the job.
pub fn read(
    source: Source,
    options: &ReadOptions,
    sink: &mut dyn FnMut(Item) -> io::Result<()>,
    mut rejects: Option<&mut dyn Write>,
) -> Result<Summary, ReadError> {
    let name = source.name().to_owned();
    let kind = source.kind();
    if kind == FileKind::Text && options.id_field.is_some() {
        return Err(ReadError::Options(format!(
            "{name}: lines of text have no fields; leave --id-field out"
        )));
    }
    let stopped = |stop: Stop| match stop {
        Stop::Unreadable(reason) => ReadError::Unreadable { name: name.clone(), reason },
        Stop::Io(error) => ReadError::Io { name: name.clone(), error },
    };
    let mut records = source.records(options.max_line).map_err(stopped)?;
    let is_table = matches!(kind, FileKind::Csv | FileKind::Tsv | FileKind::Parquet);
    let mut reader = Reader::new(options, kind == FileKind::Text, is_table);
    let mut bad = BadLines { name: name.clone(), ..BadLines::default() };
    let mut totals = Totals::default();
    let mut record = Record::default();

    while options.limit.is_none_or(|limit| bad.n_bad + bad.n_good < limit) {
        if !records.next(&mut record).map_err(stopped)? {
            break;
        }
        match item_of(&mut reader, &mut record) {
            Ok(item) => {
                bad.n_good += 1;
                if bad.n_bad == 0 || rejects.is_some() {
                    totals.add(&item);
                    sink(item).map_err(ReadError::Sink)?;
                }
            }
            Err(problem) => {
                if let Some(rejects) = &mut rejects {
                    write_line(rejects, &record.raw).map_err(ReadError::Sink)?;
                }
                bad.hint = bad.hint.or_else(|| hint(&record, bad.n_bad + bad.n_good));
                bad.push(BadLine::new(record.line, record.text(), problem));
            }
        }
    }

    if bad.n_bad > 0 && (rejects.is_none() || bad.n_good == 0) {
        return Err(ReadError::BadLines(Box::new(bad)));
    }
    if bad.n_good == 0 {
        return Err(ReadError::NoRequests(name));
    }
    reader.tally.n_blank = records.n_blank();
    reader.tally.n_rejected = bad.n_bad;
    let (sha256, bytes) = records.finish().map_err(|error| stopped(Stop::Io(error)))?;
    let notes = reader.tally.notes();
    let (classes, copies) = reader.into_parts();
    Ok(Summary {
        source: crate::job::Source { name, fingerprint: String::new(), sha256, bytes },
        classes,
        n_items: bad.n_good,
        input_tokens: totals.input_tokens,
        max_output: totals.max_output,
        n_unlimited: totals.n_unlimited,
        n_extra_choices: totals.n_extra_choices,
        wires: totals.wires,
        copies,
        notes,
        rejected: bad,
    })
}

fn item_of(reader: &mut Reader<'_>, record: &mut Record) -> Result<Item, Problem> {
    match record.problem.take() {
        Some(problem) => Err(problem),
        None => reader.item(record.line, record.text()),
    }
}

fn write_line(out: &mut dyn Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

/// A way out for a first line that is no line of JSONL.
fn hint(record: &Record, n_before: u64) -> Option<String> {
    let text = record.text().trim_ascii();
    let first = n_before == 0;
    match text {
        [b'[', ..] if first => {
            Some("the file looks like one JSON array; `jq -c '.[]' FILE` writes one object a line".to_owned())
        }
        b"{" if first => Some(
            "the file looks like JSON over several lines; `jq -c . FILE` writes one object a line".to_owned(),
        ),
        [byte, ..] if first && byte.is_ascii_alphabetic() => {
            Some("for one prompt a line, name the file .txt; for a table, .csv".to_owned())
        }
        _ => None,
    }
}

/// Sums over the items.
#[derive(Default)]
struct Totals {
    input_tokens: u64,
    max_output: u64,
    n_unlimited: u64,
    n_extra_choices: u64,
    wires: Vec<Wire>,
}

impl Totals {
    fn add(&mut self, item: &Item) {
        self.input_tokens += u64::from(item.input_tokens);
        match item.max_output {
            Some(tokens) => self.max_output += u64::from(tokens),
            None => self.n_unlimited += 1,
        }
        self.n_extra_choices += u64::from(item.choices) - 1;
        if let Err(at) = self.wires.binary_search(&item.wire) {
            self.wires.insert(at, item.wire);
        }
    }
}

#[cfg(test)]
mod tests;
