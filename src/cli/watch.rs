//! `overnight watch [JOB]`: the live view of a job, or of all that are not over, until they are.

use std::io::{self, Write};

use super::args::WatchArgs;
use super::context::{self, Context};
use super::error::CliError;
use super::exit::Exit;
use super::jobs::Jobs;
use super::live::Screen;
use crate::control::{Client, ControlError};
use crate::job::JobId;
use crate::view::JobView;

/// Follows jobs at the process that owns the store.
pub fn run(args: &WatchArgs, context: &Context, mut owner: Client) -> Result<Exit, CliError> {
    let job = match &args.job {
        Some(asked) => Some(Jobs::find(&mut owner, asked)?.job_id),
        None => None,
    };
    let mut shown = Shown::new(context);
    let mut last: Option<Vec<JobView>> = None;
    for views in owner.watch(job.clone())? {
        let views = match views {
            Ok(views) => current(views, job.as_ref()),
            Err(ControlError::Gone { .. }) if last.is_some() => {
                shown.finish(last.as_deref().unwrap_or_default())?;
                return Err(gone());
            }
            Err(error) => return Err(error.into()),
        };
        if views.iter().all(|view| view.finished_at.is_some()) {
            // Jobs that ended since the last picture are shown once more, as they ended.
            let ended = if views.is_empty() { last.unwrap_or_default() } else { views };
            shown.finish(&ended)?;
            return Ok(Exit::Done);
        }
        shown.show(&views)?;
        last = Some(views);
    }
    Ok(Exit::Done)
}

/// The job asked for, or all that are not over.
fn current(mut views: Vec<JobView>, job: Option<&JobId>) -> Vec<JobView> {
    if job.is_none() {
        views.retain(|view| view.finished_at.is_none());
    }
    views
}

fn gone() -> CliError {
    CliError::new("owner_gone", Exit::Owner, "the process that worked on it stopped; what is left is queued")
        .hint("start it again: overnight daemon, or overnight run --resume JOB")
}

/// The view as it was asked for: drawn, or a line of JSON for every change.
struct Shown<'a> {
    context: &'a Context,
    screen: Screen<io::Stderr>,
}

impl<'a> Shown<'a> {
    fn new(context: &'a Context) -> Shown<'a> {
        Shown { context, screen: Screen::stderr(context.stderr) }
    }

    fn show(&mut self, views: &[JobView]) -> Result<(), CliError> {
        match self.context.globals.json {
            true => json_lines(views),
            false => Ok(self.screen.show(views, &self.context.setting())?),
        }
    }

    fn finish(&mut self, views: &[JobView]) -> Result<(), CliError> {
        match self.context.globals.json {
            true => json_lines(views),
            false => Ok(self.screen.finish(views, &self.context.setting())?),
        }
    }
}

fn json_lines(views: &[JobView]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for view in views {
        out.write_all(context::document("watch", "job", view)?.as_bytes())?;
    }
    Ok(out.flush()?)
}
