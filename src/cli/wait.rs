//! `overnight wait JOB`: blocks until a job is over; the exit code says how it ended.

use std::time::Duration;

use super::args::WaitArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::jobs::Jobs;
use super::live;
use crate::clock;
use crate::control::{Client, ControlError};
use crate::view::JobView;

/// Waits at the process that owns the store.
pub fn run(args: &WaitArgs, context: &Context, mut owner: Client) -> Result<Exit, CliError> {
    let job = Jobs::find(&mut owner, &args.job)?;
    if job.finished_at.is_some() {
        return over(&job, context);
    }
    let end = args.timeout.map(|timeout| clock::now() + timeout);
    for views in owner.watch(Some(job.job_id))? {
        let views = views.map_err(|error| match error {
            ControlError::Gone { .. } => nobody_works(&args.job),
            error => error.into(),
        })?;
        if let Some(view) = views.iter().find(|view| view.finished_at.is_some()) {
            return over(view, context);
        }
        if let Some(end) = end.filter(|&end| clock::now() >= end) {
            return Err(ran_out(args, views.first(), clock::now().since(end)));
        }
    }
    Err(nobody_works(&args.job))
}

/// Without a process that works on it a job would never be over.
pub fn without_owner(args: &WaitArgs, context: &Context, jobs: &mut dyn Jobs) -> Result<Exit, CliError> {
    let view = jobs.find(&args.job)?;
    if view.finished_at.is_some() { over(&view, context) } else { Err(nobody_works(&args.job)) }
}

fn over(view: &JobView, context: &Context) -> Result<Exit, CliError> {
    let setting = context.setting();
    context.document("wait", "job", view, || vec![live::log_line(view, &setting)])?;
    Ok(Exit::of_finished(view))
}

fn nobody_works(job: &str) -> CliError {
    CliError::new("no_daemon", Exit::Owner, format!("no process works on {job}, so it will not end"))
        .hint(format!("start one: overnight daemon, or overnight run --resume {job}"))
}

fn ran_out(args: &WaitArgs, view: Option<&JobView>, _late: Duration) -> CliError {
    let done =
        view.map_or(String::new(), |view| format!(" ({} of {} done)", view.counts.ended(), view.items));
    CliError::new("timeout", Exit::Timeout, format!("{} was not over in time{done}", args.job))
        .hint("it goes on; wait again, or watch it: overnight watch")
}
