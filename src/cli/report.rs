//! `overnight report [JOB…]`: what was done, what failed and what it cost.

use std::time::Duration;

use super::args::ReportArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::json;
use super::rows::{Chain, Rows};
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::report::render::render_report;
use crate::report::{JobReport, Report, Tally};
use crate::results::folder::Folder;
use crate::results::read;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::view::JobView;

/// How far back goes a report that was not told.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Reports on these jobs and their retries, or on all of late.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Exit, CliError> {
    let now = context.setting().now;
    let mut rows = Rows::open(context)?;
    let asked: Vec<JobId> = match args.jobs.is_empty() {
        true => lately(&rows.views, now, args.since.unwrap_or(A_DAY)),
        false => args.jobs.iter().map(|asked| rows.find(asked)).collect::<Result<_, _>>()?,
    };
    let mut jobs: Vec<JobReport> = Vec::new();
    for job in &asked {
        let chain = rows.chain(context, job)?;
        for link in &chain.links {
            let Some(view) = rows.view(&link.job) else { return Err(only_rows(&link.job)) };
            if jobs.iter().all(|job| job.job_id != link.job) {
                jobs.push(JobReport::new(view, tally(&rows.folder, &chain, link)?, now));
            }
        }
    }
    rows.close()?;
    let report = Report::new(jobs);
    match context.globals.json {
        true => context.print(&json(&report)?)?,
        false if report.jobs.is_empty() => {
            context.print("no jobs in that time; --since 7d looks further back\n")?;
        }
        false => context.print(&render_report(&report))?,
    }
    Ok(Exit::Done)
}

/// Jobs that anything can have happened to since.
fn lately(views: &[JobView], now: Timestamp, since: Duration) -> Vec<JobId> {
    let from = now - since;
    let recent = views.iter().filter(|view| view.finished_at.is_none_or(|finished| finished >= from));
    recent.map(|view| view.job_id.clone()).collect()
}

/// What the rows of a job say; nothing where some of them are gone.
fn tally(folder: &Folder, chain: &Chain, link: &Link) -> Result<Option<Tally>, CliError> {
    if chain.missing > 0 {
        return Ok(None);
    }
    let selection = Selection::attempts(folder, std::slice::from_ref(link), &Filter::default())?;
    let mut tally = Tally::default();
    for attempt in read::attempts(&selection, Texts::Without) {
        tally.add(&attempt?);
    }
    Ok(Some(tally))
}

fn only_rows(job: &JobId) -> CliError {
    CliError::new("no_such_job", Exit::NotFound, format!("the prompts and totals of {job} were removed"))
        .hint(format!("its rows are still there: overnight results {job}"))
}
