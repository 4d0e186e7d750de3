//! `overnight results JOB…`: rows as one plain file, or as a stream.
//!
//! Without `-o` the file is called after the job and stands in the working directory, and a file that
//! is already there is left alone: it may well be the one the job was read from.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{ExportFormat, ResultsArgs, StateFilter};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::counted;
use super::rows::{Chain, Rows};
use super::style::{Line, Paint};
use crate::attempt::ItemStatus;
use crate::ledger::Phase;
use crate::results::export::{self, Export, Exported, Format};
use crate::results::schema::Table;
use crate::results::select::Filter;

/// `overnight results --json`.
#[derive(Debug, Serialize)]
struct Written<'a> {
    files: Vec<WrittenFile<'a>>,
    rows: u64,
    by_status: &'a std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct WrittenFile<'a> {
    path: &'a Path,
    bytes: u64,
}

/// Exports the rows of these jobs, retries in the place of what they repeat.
pub fn run(args: &ResultsArgs, context: &Context) -> Result<Exit, CliError> {
    let states = states(args)?;
    let format = format(args)?;
    if args.attempts && format == Format::OpenAiBatch {
        return Err(CliError::usage("openai-batch holds answers, not attempts")
            .hint("leave --attempts out, or take --format jsonl"));
    }
    let streams = args.output.as_deref() == Some(Path::new("-"));
    if streams && format == Format::Parquet && context.stdout.is_live {
        return Err(CliError::usage("Parquet is not for a terminal")
            .hint("add --format jsonl or csv, or send it to a file: -o FILE.parquet"));
    }
    let mut rows = Rows::open(context)?;
    let mut chains: Vec<Chain> = Vec::new();
    for asked in &args.jobs {
        let job = rows.find(asked)?;
        if chains.iter().all(|chain| chain.id != job) {
            chains.push(rows.chain(context, &job)?);
        }
    }
    let folder = rows.folder.clone();
    rows.close()?;
    for chain in &chains {
        chain.require_rows(&folder)?;
        if chain.missing > 0 {
            let missing = counted(chain.missing, "row");
            context.note(&Line::new().add(
                Paint::Warn,
                format!("{missing} of {} not in {}: moved away?", chain.id, folder.root().display()),
            ));
        }
    }
    let table = if args.attempts { Table::Attempts } else { Table::Results };
    let export = Export {
        chains: chains.iter().map(|chain| chain.links.clone()).collect(),
        filter: Filter { states, ..Filter::default() },
        table,
        format,
    };
    let now = context.setting().now;
    if streams {
        let mut out = io::BufWriter::new(io::stdout());
        export::to_stream(&folder, &export, &mut out, now)?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    let path = match &args.output {
        Some(path) => path.clone(),
        None => default_path(&chains, &export, context)?,
    };
    let exported = export::to_file(&folder, &export, &path, now)?;
    tell(&exported, &export, context)?;
    Ok(Exit::Done)
}

fn tell(exported: &Exported, export: &Export, context: &Context) -> Result<(), CliError> {
    if !context.globals.json {
        return context.print(&exported.render(export));
    }
    let files = exported.files.iter().map(|(path, bytes)| WrittenFile { path, bytes: *bytes });
    let written = Written { files: files.collect(), rows: exported.rows, by_status: &exported.by_status };
    context.document("results", "written", &written, Vec::new)
}

/// Only states that have a row.
fn states(args: &ResultsArgs) -> Result<Vec<ItemStatus>, CliError> {
    let ended = |state: &StateFilter| match state.phase() {
        Phase::Final(status) => Ok(status),
        _ => Err(CliError::usage(format!("an item that is {} has no result yet", state.word()))
            .hint("overnight items JOB lists those; results knows succeeded, failed, expired, cancelled")),
    };
    args.states.iter().map(ended).collect()
}

/// What was asked for, else what the name of the file says, else Parquet.
fn format(args: &ResultsArgs) -> Result<Format, CliError> {
    if let Some(format) = args.format {
        return Ok(match format {
            ExportFormat::Parquet => Format::Parquet,
            ExportFormat::Jsonl => Format::Jsonl,
            ExportFormat::Csv => Format::Csv,
            ExportFormat::OpenaiBatch => Format::OpenAiBatch,
        });
    }
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        return Ok(Format::Parquet);
    };
    Format::from_path(path).ok_or_else(|| {
        CliError::usage(format!("the name {} does not say which format is wanted", path.display()))
            .hint("let it end in .parquet, .jsonl or .csv, or add --format")
    })
}

fn default_path(chains: &[Chain], export: &Export, context: &Context) -> Result<PathBuf, CliError> {
    let stem = match chains {
        [one] => file_name(&one.name),
        _ => "results".to_owned(),
    };
    let stem = if export.table == Table::Attempts { format!("{stem}.attempts") } else { stem };
    let ending = match export.format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Jsonl | Format::OpenAiBatch => "jsonl",
    };
    let path = PathBuf::from(format!("{stem}.{ending}"));
    if path.symlink_metadata().is_ok() && !context.globals.yes {
        return Err(CliError::new("exists", Exit::Usage, format!("{} is already there", path.display()))
            .hint("name another file with -o, or replace this one with -y"));
    }
    Ok(path)
}

/// A job's name as a file may be called: it came from outside.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(safe).take(100).collect();
    match name.trim_matches('.') {
        "" => "job".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_job_leads_out_of_the_folder() {
        for (name, file) in [
            ("reviews", "reviews"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "job"),
            ("a\u{1b}b", "a_b"),
        ] {
            assert_eq!(file_name(name), file, "{name}");
        }
    }
}
