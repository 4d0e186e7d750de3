//! `overnight store check|rebuild|repair`: looks after the files of the queue, while nobody works on it.

use serde::Serialize;

use super::args::{StoreArgs, StoreVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::counted;
use super::rows::Rows;
use super::session::{Hold, Session, final_states};
use super::style::{Line, Paint};
use crate::job::ItemIndex;
use crate::store::{Store, repair};

/// Prompts read at once.
const PAGE: ItemIndex = 1_000;

/// `overnight store check --json`.
#[derive(Debug, Serialize)]
struct Checked {
    jobs: u64,
    items: u64,
    records: u64,
    /// Jobs whose rows are not all in the results folder, and how many are missing.
    rows_missing: Vec<(String, u64)>,
}

/// Does it.
pub fn run(args: &StoreArgs, context: &Context) -> Result<Exit, CliError> {
    let dir = context.state_dir()?;
    if !dir.join("journal").is_dir() {
        return Err(CliError::usage(format!("there is no store in {}", dir.display()))
            .hint("name another one with --state-dir"));
    }
    match args.verb {
        StoreVerb::Check => check(context),
        StoreVerb::Rebuild => rebuild(context),
        StoreVerb::Repair => mend(context),
    }
}

/// Reads everything; what is damaged is an error that names the file.
fn check(context: &Context) -> Result<Exit, CliError> {
    let mut rows = Rows::held(context, Some(Hold::Ours(Box::new(Session::open(context)?))))?;
    let Some(Hold::Ours(session)) = &mut rows.hold else { unreachable!("it was made ours above") };
    let mut records = 0;
    session.store.replay(0, &mut |_, _| records += 1)?;
    let mut reader = session.store.reader();
    let (mut jobs, mut items) = (0, 0);
    for (job, _) in session.ledger.jobs() {
        for first in (0..job.n_items).step_by(PAGE as usize) {
            let page: Vec<ItemIndex> = (first..job.n_items.min(first + PAGE)).collect();
            items += reader.read(&job.id, &page)?.len() as u64;
        }
        jobs += 1;
    }
    let rows_missing = missing(&mut rows, context)?;
    rows.close()?;
    let checked = Checked { jobs, items, records, rows_missing };
    let is_whole = checked.rows_missing.is_empty();
    context.document("store", "checked", &checked, || said(&checked))?;
    Ok(if is_whole { Exit::Done } else { Exit::Unexpected })
}

/// Rows that were in the results folder once.
fn missing(rows: &mut Rows, context: &Context) -> Result<Vec<(String, u64)>, CliError> {
    let ids: Vec<_> = rows.views.iter().map(|view| view.job_id.clone()).collect();
    let mut missing = Vec::new();
    for id in ids {
        let chain = rows.chain(context, &id)?;
        if chain.missing > 0 {
            missing.push((id.to_string(), chain.missing));
        }
    }
    Ok(missing)
}

fn said(checked: &Checked) -> Vec<Line> {
    let Checked { jobs, items, records, rows_missing } = checked;
    let read = format!(
        "{}, {} and {} that make rows were read: all is whole",
        counted(*jobs, "job"),
        counted(*items, "prompt"),
        counted(*records, "record")
    );
    let mut lines = vec![Line::new().add(Paint::Good, "ok").text(format!("  {read}"))];
    lines.extend(rows_missing.iter().map(|(job, n)| {
        let words = format!("  {job}: {} not in the results folder", counted(*n, "row"));
        Line::new().add(Paint::Warn, "results").text(words)
    }));
    lines
}

fn rebuild(context: &Context) -> Result<Exit, CliError> {
    let config = context.config()?;
    let jobs = repair::rebuild(&config.state_dir, &config.results.dir, Box::new(final_states))?;
    context.document("store", "unfinished_jobs", &jobs, || {
        let words = format!("made the index anew: {} not over", counted(jobs as u64, "job"));
        vec![Line::new().text(words)]
    })?;
    Ok(Exit::Done)
}

/// What the journal can no longer say is asked of the providers again, so a person decides.
fn mend(context: &Context) -> Result<Exit, CliError> {
    let config = context.config()?;
    let question = "cut the journal where it is damaged; what it said from there on is asked for again";
    if !context.confirm(question)? {
        return Err(CliError::new("not_confirmed", Exit::Usage, "nothing was changed"));
    }
    let repaired = repair::repair(&config.state_dir, &config.results.dir, Box::new(final_states))?;
    let aside: Option<Vec<String>> =
        repaired.map(|done| done.set_aside.iter().map(|path| path.display().to_string()).collect());
    context.document("store", "set_aside", &aside, || match &aside {
        None => vec![Line::new().text("nothing is damaged, nothing was changed")],
        Some(files) => {
            let kept = files.iter().map(|file| Line::new().text("kept ").add(Paint::Name, file));
            kept.chain([Line::new().text("the journal was cut; overnight daemon goes on")]).collect()
        }
    })?;
    Ok(Exit::Done)
}
