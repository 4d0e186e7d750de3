//! `overnight results`: the rows of one or more jobs as one plain file, or as a stream.
//!
//! Rows come in the order of the input, retries in the place of what they repeat (see
//! [`crate::results::select`]). A file is written beside its place, synced and renamed, so that a path
//! never holds half an export; what stood there before stays until then.
//!
//! CSV is RFC 4180, with a `'` before texts that a spreadsheet would run. `openai-batch` writes what
//! did not succeed to a second file, `NAME.errors.jsonl`; on a stream both kinds follow the input.
//!
//! Shell.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use crate::clock::Timestamp;
use crate::report::text;
use crate::results::folder::Folder;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::results::{ResultsError, describe};

mod cell;
mod openai;

use cell::Cell;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One Parquet file with the schema of the parts.
    Parquet,
    /// One JSON object a row.
    Jsonl,
    /// RFC 4180 with a header.
    Csv,
    /// Lines of an OpenAI batch's output and error files.
    OpenAiBatch,
}

impl Format {
    /// Every name, in the order of the documentation.
    pub const NAMES: [&str; 4] = ["parquet", "jsonl", "csv", "openai-batch"];

    /// By the name users give it.
    pub fn from_name(name: &str) -> Option<Format> {
        match name {
            "parquet" => Some(Format::Parquet),
            "jsonl" => Some(Format::Jsonl),
            "csv" => Some(Format::Csv),
            "openai-batch" => Some(Format::OpenAiBatch),
            _ => None,
        }
    }

    /// By the ending of a file's name.
    pub fn from_path(path: &Path) -> Option<Format> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Format::from_name(&ending).filter(|format| *format != Format::OpenAiBatch)
    }
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Export {
    /// Jobs one after the other, each with its retries, oldest first.
    pub chains: Vec<Vec<Link>>,
    /// Which rows.
    pub filter: Filter,
    /// Items or attempts.
    pub table: Table,
    /// How; `openai-batch` is of items only.
    pub format: Format,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The files, with their sizes; none for a stream.
    pub files: Vec<(PathBuf, u64)>,
    /// All rows.
    pub rows: u64,
    /// Rows by status.
    pub by_status: BTreeMap<String, u64>,
}

/// Writes a file, or two.
pub fn to_file(
    folder: &Folder,
    export: &Export,
    path: &Path,
    now: Timestamp,
) -> Result<Exported, ResultsError> {
    let mut out = Draft::create(path)?;
    if export.format == Format::OpenAiBatch {
        let mut errors = Draft::create(&errors_path(path))?;
        let mut exported = openai_lines(folder, export, path, &mut out.file, Some(&mut errors.file))?;
        exported.files.push(out.finish()?);
        if errors.has_bytes()? {
            exported.files.push(errors.finish()?);
        }
        return Ok(exported);
    }
    let mut exported = rows(folder, export, path, &mut out.file, now)?;
    exported.files.push(out.finish()?);
    Ok(exported)
}

/// Writes to standard output or any other stream.
pub fn to_stream(
    folder: &Folder,
    export: &Export,
    out: &mut (dyn Write + Send),
    now: Timestamp,
) -> Result<Exported, ResultsError> {
    let name = Path::new("standard output");
    let exported = match export.format {
        Format::OpenAiBatch => openai_lines(folder, export, name, out, None)?,
        _ => rows(folder, export, name, out, now)?,
    };
    out.flush().map_err(|error| ResultsError::io("write", name, error))?;
    Ok(exported)
}

fn openai_lines<'a>(
    folder: &Folder,
    export: &Export,
    path: &Path,
    output: &'a mut dyn Write,
    errors: Option<&'a mut dyn Write>,
) -> Result<Exported, ResultsError> {
    let mut lines = openai::Lines { output, errors, exported: Exported::default() };
    for chain in &export.chains {
        let results = Selection::results(folder, chain, &export.filter)?;
        let attempts = Selection::attempts(folder, chain, &Filter::default())?;
        openai::write(&results, &attempts, &mut lines).map_err(|error| match error {
            openai::WriteError::Read(error) => error,
            openai::WriteError::Write(error) => ResultsError::io("write", path, error),
        })?;
    }
    Ok(lines.exported)
}

fn rows(
    folder: &Folder,
    export: &Export,
    path: &Path,
    out: &mut (dyn Write + Send),
    now: Timestamp,
) -> Result<Exported, ResultsError> {
    let selections: Vec<Selection> = export
        .chains
        .iter()
        .map(|chain| match export.table {
            Table::Results => Selection::results(folder, chain, &export.filter),
            Table::Attempts => Selection::attempts(folder, chain, &export.filter),
        })
        .collect::<Result<_, _>>()?;
    let mut exported = Exported::default();
    let mut writer = RowWriter::start(export, &selections, out, now).map_err(|error| explain(path, error))?;
    for selection in &selections {
        for batch in selection.batches(Texts::With) {
            let batch = batch?;
            exported.count(&batch);
            writer.write(&batch).map_err(|error| explain(path, error))?;
        }
    }
    writer.finish().map_err(|error| explain(path, error))?;
    Ok(exported)
}

impl Exported {
    /// As a terminal shows it: what was written, and a first query.
    pub fn render(&self, export: &Export) -> String {
        let states = self.by_status.iter().map(|(status, n)| format!("{} {status}", text::count(*n)));
        let states = states.collect::<Vec<_>>().join(", ");
        let rows = format!("{} rows ({states})", text::count(self.rows));
        let sizes = self.files.iter().enumerate().map(|(index, (path, bytes))| {
            let (path, size) = (text::line(&path.display().to_string()), text::size(*bytes));
            match (index, export.format) {
                (0, Format::OpenAiBatch) => format!("{path}  {rows} · {size}\n"),
                (0, _) => format!("{path}  {rows} · {size} · schema {}\n", export.table.version()),
                _ => format!("{path}  those that did not succeed · {size}\n"),
            }
        });
        let mut shown: String = sizes.collect();
        if let (Format::Parquet, Some((path, _))) = (export.format, self.files.first()) {
            let path = text::line(&path.display().to_string());
            let query = format!("select request_model, count(*), sum(cost_usd) from '{path}' group by 1");
            shown += &format!("  duckdb -c \"{query}\"\n");
        }
        shown
    }

    fn count(&mut self, batch: &RecordBatch) {
        for status in batch["status"].as_string::<i32>().iter().flatten() {
            self.count_row(status);
        }
    }

    fn count_row(&mut self, status: &str) {
        self.rows += 1;
        match self.by_status.get_mut(status) {
            Some(count) => *count += 1,
            None => drop(self.by_status.insert(status.to_owned(), 1)),
        }
    }
}

/// One writer for each format of whole rows.
enum RowWriter<'a> {
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
    Jsonl(&'a mut (dyn Write + Send), String),
    Csv(Box<csv::Writer<&'a mut (dyn Write + Send)>>, String),
}

impl<'a> RowWriter<'a> {
    fn start(
        export: &Export,
        selections: &[Selection],
        out: &'a mut (dyn Write + Send),
        now: Timestamp,
    ) -> Result<RowWriter<'a>, ParquetError> {
        let table = export.table;
        Ok(match export.format {
            Format::Parquet => {
                let properties = table.properties(about(selections, now));
                RowWriter::Parquet(Box::new(ArrowWriter::try_new(out, table.schema(), Some(properties))?))
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
                let schema = table.schema();
                let header = schema.fields().iter().map(|field| field.name());
                writer.write_record(header).map_err(from_csv)?;
                RowWriter::Csv(Box::new(writer), String::new())
            }
            Format::Jsonl | Format::OpenAiBatch => RowWriter::Jsonl(out, String::new()),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        match self {
            RowWriter::Parquet(writer) => writer.write(batch),
            RowWriter::Jsonl(out, line) => (0..batch.num_rows()).try_for_each(|row| {
                line.clear();
                json_line(batch, row, line);
                Ok(out.write_all(line.as_bytes())?)
            }),
            RowWriter::Csv(writer, cell) => (0..batch.num_rows()).try_for_each(|row| {
                for column in batch.columns() {
                    cell.clear();
                    Cell::of(column, row).write_csv(cell);
                    writer.write_field(cell.as_bytes()).map_err(from_csv)?;
                }
                writer.write_record(None::<&[u8]>).map_err(from_csv)
            }),
        }
    }

    fn finish(self) -> Result<(), ParquetError> {
        match self {
            RowWriter::Parquet(writer) => drop(writer.close()?),
            RowWriter::Jsonl(out, _) => out.flush()?,
            RowWriter::Csv(mut writer, _) => writer.flush()?,
        }
        Ok(())
    }
}

fn json_line(batch: &RecordBatch, row: usize, line: &mut String) {
    let schema = batch.schema();
    for (index, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        line.push('"');
        line.push_str(field.name());
        line.push_str("\":");
        Cell::of(column, row).write_json(line);
    }
    line.push_str("}\n");
}

/// What the parts say of themselves, all jobs' words together.
fn about(selections: &[Selection], now: Timestamp) -> Vec<KeyValue> {
    let mut about: Vec<KeyValue> = Vec::new();
    let parts = selections.iter().flat_map(|selection| selection.files.iter());
    for entry in parts.flat_map(|part| part.about()) {
        if about.iter().all(|known| known.key != entry.key) {
            about.push(entry.clone());
        }
    }
    about.retain(|entry| {
        entry.key.starts_with("overnight.") && entry.key != crate::results::schema::key::WRITTEN_AT
    });
    about.push(describe::written_at(now));
    about
}

fn explain(path: &Path, error: ParquetError) -> ResultsError {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => ResultsError::io("write", path, *source),
            Err(source) => ResultsError::Encode(ParquetError::External(source)),
        },
        other => ResultsError::Encode(other),
    }
}

fn from_csv(error: csv::Error) -> ParquetError {
    let source = match error.into_kind() {
        // As it was, so that a full disk and a closed pipe are still told from other trouble.
        csv::ErrorKind::Io(source) => source,
        other => io::Error::other(format!("{other:?}")),
    };
    ParquetError::External(Box::new(source))
}

fn errors_path(path: &Path) -> PathBuf {
    path.with_extension("errors.jsonl")
}

/// A file that has its name only when it is whole.
struct Draft {
    file: BufWriter<File>,
    building: PathBuf,
    path: PathBuf,
    done: bool,
}

impl Draft {
    fn create(path: &Path) -> Result<Draft, ResultsError> {
        let name = path.file_name().filter(|_| !path.is_dir());
        let Some(name) = name.map(|name| name.to_string_lossy()) else {
            return Err(ResultsError::io("write", path, io::ErrorKind::IsADirectory.into()));
        };
        let building = path.with_file_name(format!(".{name}.{}.building", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&building);
        let file = file.map_err(|error| ResultsError::io("write", path, error))?;
        Ok(Draft { file: BufWriter::new(file), building, path: path.to_owned(), done: false })
    }

    fn has_bytes(&mut self) -> Result<bool, ResultsError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().metadata());
        Ok(written.map_err(|error| ResultsError::io("write", &self.path, error))?.len() > 0)
    }

    fn finish(mut self) -> Result<(PathBuf, u64), ResultsError> {
        let explain = |error| ResultsError::io("write", &self.path, error);
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(explain)?;
        let bytes = self.file.get_ref().metadata().map_err(explain)?.len();
        fs::rename(&self.building, &self.path).map_err(explain)?;
        self.done = true;
        Ok((self.path.clone(), bytes))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            drop(fs::remove_file(&self.building));
        }
    }
}
