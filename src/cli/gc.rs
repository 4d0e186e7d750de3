//! `overnight gc`: gives back the space of jobs that ended long ago.
//!
//! Prompts and totals go; rows in the results folder are the user's and stay. Afterwards such a job is
//! no longer listed, but `results`, `items` and `show` still know it by its id.

use serde::Serialize;

use super::args::GcArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{bytes, counted};
use super::rows::Rows;
use super::session::{Hold, Session};
use super::style::{Line, Paint};
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::record::Checkpoint;
use crate::store::Store;

/// `overnight gc --json`.
#[derive(Debug, Serialize)]
struct Collected {
    jobs: Vec<Removed>,
    freed_bytes: u64,
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Removed {
    job_id: JobId,
    name: String,
    finished_at: Timestamp,
    bytes: u64,
}

/// Removes what is old enough.
pub fn run(args: &GcArgs, context: &Context) -> Result<Exit, CliError> {
    let mut rows = Rows::open(context)?;
    let jobs = old(&rows, args, context.setting().now)?;
    let freed_bytes = jobs.iter().map(|job| job.bytes).sum();
    let collected = Collected { jobs, freed_bytes, dry_run: args.dry_run };
    if !args.dry_run && !collected.jobs.is_empty() {
        let n = counted(collected.jobs.len() as u64, "job");
        if !context.confirm(&format!("remove the prompts and totals of {n} ({})", bytes(freed_bytes)))? {
            return Err(CliError::new("not_confirmed", Exit::Usage, "nothing was removed"));
        }
        match &mut rows.hold {
            Some(Hold::Ours(session)) => remove(session, &collected.jobs)?,
            Some(Hold::Theirs(client)) => {
                client.remove(collected.jobs.iter().map(|job| job.job_id.clone()).collect())?;
            }
            None => {}
        }
    }
    rows.close()?;
    context.document("gc", "removed", &collected, || said(&collected))?;
    Ok(Exit::Done)
}

/// A job may have ended without its totals having been written where the store looks for them; a
/// checkpoint does that, and takes the job out of the index.
fn remove(session: &mut Session, jobs: &[Removed]) -> Result<(), CliError> {
    let mut checkpoint = Checkpoint { snapshot: session.ledger.snapshot(), ..Checkpoint::default() };
    for removed in jobs {
        let (_, state) = session.ledger.get(&removed.job_id).expect("it was listed");
        checkpoint.finished.push((removed.job_id.clone(), state.without_items()));
    }
    for (id, _) in &checkpoint.snapshot.jobs {
        let state = session.ledger.get_mut(id).expect("listed by the ledger itself");
        let chunks = state.items.take_dirty().into_iter();
        checkpoint.chunks.extend(chunks.map(|(number, states)| (id.clone(), number, states)));
    }
    session.store.checkpoint(&checkpoint)?;
    for removed in jobs {
        session.store.remove_job(&removed.job_id)?;
        session.ledger.remove(&removed.job_id);
    }
    Ok(())
}

fn old(rows: &Rows, args: &GcArgs, now: Timestamp) -> Result<Vec<Removed>, CliError> {
    let before = now - args.older_than;
    let mut jobs = Vec::new();
    for view in &rows.views {
        let Some(finished_at) = view.finished_at.filter(|finished| *finished <= before) else { continue };
        let bytes = rows.prompts.size(&view.job_id)?;
        jobs.push(Removed { job_id: view.job_id.clone(), name: view.name.clone(), finished_at, bytes });
    }
    Ok(jobs)
}

fn said(collected: &Collected) -> Vec<Line> {
    let mut lines: Vec<Line> = collected
        .jobs
        .iter()
        .map(|job| {
            Line::new().add(Paint::Name, job.job_id.as_str()).text(format!(
                "  {}  ended {}  {}",
                job.name,
                job.finished_at.utc().format("%Y-%m-%d"),
                bytes(job.bytes)
            ))
        })
        .collect();
    let n = counted(collected.jobs.len() as u64, "job");
    lines.push(Line::new().text(match (collected.jobs.is_empty(), collected.dry_run) {
        (true, _) => "nothing is old enough; --older-than 7d takes more".to_owned(),
        (_, true) => format!("{n} would be removed, {} freed; results stay", bytes(collected.freed_bytes)),
        (_, false) => format!("{n} removed, {} freed; results stay", bytes(collected.freed_bytes)),
    }));
    lines
}
