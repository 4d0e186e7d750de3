//! `overnight run FILE…`: submit, work here and watch; `--resume JOB` works on what is queued already.
//!
//! Where another process owns the store, it does the work and this one watches.

use std::path::Path;

use super::args::RunArgs;
use super::ask::ask;
use super::change::Wish;
use super::context::{self, Context};
use super::error::CliError;
use super::exit::Exit;
use super::jobs::Jobs;
use super::live::Screen;
use super::notice;
use super::queue::queue;
use super::session::Hold;
use super::style::{Line, Paint};
use super::submit::{Queued, said};
use super::work::{Worked, work};
use crate::clock;
use crate::control::{Client, ControlError};
use crate::engine::Notice;
use crate::job::JobId;
use crate::live::{Ended, Show, Until};
use crate::record::JobChange;
use crate::report::{JobReport, Tally, render};
use crate::results::read;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::view::{JobView, Waiting};

/// Attempts that are read for the summary at the end.
const MOST_READ: u64 = 20_000;

/// Does the jobs and says how they ended.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit, CliError> {
    let mut hold = Hold::take(context)?;
    let jobs = match &args.resume {
        Some(asked) => vec![resumed(asked, args, &mut hold)?],
        None => submitted(args, context, &mut hold)?,
    };
    let (exit, views) = finish(&jobs, context, hold)?;
    for view in views.iter().filter(|view| view.finished_at.is_some()) {
        let command = format!("overnight results {} -o {}.parquet", view.job_id, file_name(&view.name));
        hint(context, "take the answers home:", &command);
    }
    Ok(exit)
}

/// Works on these jobs until they are over, here or by watching who does; gives them as they ended.
pub fn finish(jobs: &[JobId], context: &Context, hold: Hold) -> Result<(Exit, Vec<JobView>), CliError> {
    let (worked, views) = through(jobs, context, hold)?;
    sum_up(&views, context)?;
    Ok((over(&worked, &views, context)?, views))
}

/// The same for who says himself what came of it.
pub fn finish_untold(
    jobs: &[JobId],
    context: &Context,
    hold: Hold,
) -> Result<(Exit, Vec<JobView>), CliError> {
    let (worked, views) = through(jobs, context, hold)?;
    Ok((over(&worked, &views, context)?, views))
}

fn through(jobs: &[JobId], context: &Context, hold: Hold) -> Result<(Worked, Vec<JobView>), CliError> {
    let mut picture = Picture::new(jobs, context);
    let worked = match hold {
        Hold::Theirs(client) => {
            watch(client, &mut picture)?;
            Worked::Ended(Ended::Done)
        }
        Hold::Ours(mut session) => {
            picture.views = Jobs::views(&mut session)?;
            work(*session, context, Until::Jobs(jobs.to_vec()), None, |shown, stopping| {
                picture.show(shown, stopping);
            })?
        }
    };
    picture.finish();
    Ok((worked, picture.views))
}

fn submitted(args: &RunArgs, context: &Context, hold: &mut Hold) -> Result<Vec<JobId>, CliError> {
    let ask = ask(&args.job, &args.queue, context.config()?, clock::now())?;
    let mut jobs: Vec<JobId> = Vec::new();
    for file in &args.files {
        let queued = queue(file, &ask, args.queue.again, context, hold)?;
        tell(file, &queued, context);
        if !jobs.contains(&queued.job_id) {
            jobs.push(queued.job_id);
        }
    }
    Ok(jobs)
}

fn tell(file: &Path, queued: &Queued, context: &Context) {
    let named = Line::new().add(Paint::Name, queued.job_id.as_str()).text(format!("  {}", file.display()));
    context.note(&named);
    said(queued, true, &context.setting()).iter().for_each(|line| context.note(line));
}

/// A queued job, made to go on where a person had stopped it.
fn resumed(asked: &str, args: &RunArgs, hold: &mut Hold) -> Result<JobId, CliError> {
    let jobs: &mut dyn Jobs = match hold {
        Hold::Ours(session) => session,
        Hold::Theirs(client) => client,
    };
    let view = jobs.find(asked)?;
    if view.finished_at.is_none() {
        if let Some(cap) = args.job.max_cost {
            jobs.change(&view.job_id, &JobChange::MaxCost(Some(cap)))?;
        }
        if view.paused || view.counts.held > 0 {
            for change in Wish::Resume(None).changes() {
                jobs.change(&view.job_id, &change)?;
            }
        }
    }
    Ok(view.job_id)
}

/// Follows jobs that another process works on.
fn watch(client: Client, picture: &mut Picture<'_>) -> Result<(), CliError> {
    for views in client.watch(None)? {
        let views = views.map_err(|error| match error {
            ControlError::Gone { .. } => {
                CliError::new("owner_gone", Exit::Owner, "the process that worked on it stopped")
                    .hint("what is left is queued; run the same command again")
            }
            error => error.into(),
        })?;
        picture.show(Show::Views(&views), false);
        if picture.views.iter().all(|view| view.finished_at.is_some()) {
            return Ok(());
        }
    }
    Ok(())
}

/// What is drawn while jobs are done: these jobs, and what happens to any.
pub struct Picture<'a> {
    jobs: &'a [JobId],
    context: &'a Context,
    screen: Screen<std::io::Stderr>,
    /// The jobs as they were last seen.
    pub views: Vec<JobView>,
    told_stopping: bool,
}

impl<'a> Picture<'a> {
    /// Of these jobs.
    pub fn new(jobs: &'a [JobId], context: &'a Context) -> Picture<'a> {
        let screen = Screen::stderr(context.stderr);
        Picture { jobs, context, screen, views: Vec::new(), told_stopping: false }
    }

    /// Takes in what the driver tells. A terminal that went away does not end the work.
    pub fn show(&mut self, shown: Show<'_>, stopping: bool) {
        if stopping && !self.told_stopping {
            self.told_stopping = true;
            self.say(&Line::new().add(
                Paint::Warn,
                "stopping: answers on their way are still taken; Ctrl-C again stops at once",
            ));
        }
        match shown {
            Show::Views(views) => {
                self.views = views.iter().filter(|view| self.jobs.contains(&view.job_id)).cloned().collect();
                self.draw();
            }
            // Its last picture says so.
            Show::Notice(Notice::Finished(job)) if self.jobs.contains(job) => {}
            Show::Notice(told) => self.say(&notice::line(told)),
            Show::DiskFull(Some(why)) => {
                self.say(&Line::new().add(Paint::Bad, "disk full").text(format!(": {why}; nothing is sent")));
            }
            Show::DiskFull(None) => self.say(&Line::new().add(Paint::Good, "there is room again")),
            Show::ResultsBlocked(Some(why)) => self.say(
                &Line::new()
                    .add(Paint::Warn, "results wait")
                    .text(format!(": {why}; work goes on, no row is lost")),
            ),
            Show::ResultsBlocked(None) => {
                self.say(&Line::new().add(Paint::Good, "results are written again"));
            }
        }
    }

    fn draw(&mut self) {
        let _ = match self.context.globals.json {
            true => Ok(()),
            false => self.screen.show(&self.views, &self.context.setting()),
        };
    }

    fn finish(&mut self) {
        if !self.context.globals.json {
            let _ = self.screen.finish(&self.views, &self.context.setting());
        }
    }

    fn say(&mut self, line: &Line) {
        if !self.context.globals.quiet {
            let _ = self.screen.say(line);
        }
    }
}

/// Says how the jobs ended.
fn sum_up(views: &[JobView], context: &Context) -> Result<(), CliError> {
    if context.globals.json {
        return context.print(&context::document("run", "jobs", views)?);
    }
    for view in views {
        let tally = tally(view, context);
        context.print(&render::render_job(&JobReport::new(view, tally, clock::now())))?;
    }
    Ok(())
}

/// What that means, and what to do next.
fn over(worked: &Worked, views: &[JobView], context: &Context) -> Result<Exit, CliError> {
    let unfinished = views.iter().find(|view| view.finished_at.is_none());
    match (worked, unfinished) {
        (Worked::Interrupted | Worked::Abandoned, _) => {
            let next = unfinished.map(|view| format!("overnight run --resume {}", view.job_id));
            hint(
                context,
                "stopped, everything is saved; go on with",
                next.as_deref().unwrap_or("overnight run"),
            );
            Ok(Exit::Interrupted)
        }
        (Worked::Ended(Ended::Blocked(job, waiting, words)), _) => {
            let view = views.iter().find(|view| view.job_id == *job);
            let renews = view.and_then(|view| view.waiting_until);
            Err(blocked(job, *waiting, words, renews.map(|at| context.setting().moment(at))))
        }
        (Worked::Ended(Ended::Stopped), Some(view)) => {
            hint(context, "told to stop; go on with", &format!("overnight run --resume {}", view.job_id));
            Ok(Exit::Interrupted)
        }
        _ => Ok(views.iter().map(Exit::of_finished).max().unwrap_or_default()),
    }
}

/// The attempts of a job that is over, which alone tell what was escalated; `None` where there are too many
/// to read for a summary, or where they cannot be read.
fn tally(view: &JobView, context: &Context) -> Option<Tally> {
    if view.finished_at.is_none() || view.attempts > MOST_READ {
        return None;
    }
    let folder = super::session::results(context.config().ok()?);
    let chain = [Link::all(view.job_id.clone())];
    let attempts = Selection::attempts(&folder, &chain, &Filter::default()).ok()?;
    let mut tally = Tally::default();
    for attempt in read::attempts(&attempts, Texts::Without) {
        tally.add(&attempt.ok()?);
    }
    Some(tally)
}

fn hint(context: &Context, what: &str, command: &str) {
    context.note(&Line::new().add(Paint::Faint, what).text("  ").add(Paint::Strong, command));
}

/// A job's name as the name of a file.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    name.chars().take(64).map(plain).collect()
}

fn blocked(job: &JobId, waiting: Waiting, words: &str, renews: Option<String>) -> CliError {
    let (code, exit, hint) = match waiting {
        Waiting::Budget => {
            let next = match renews {
                Some(at) => format!(
                    "what is done is kept; the budget renews at {at}: then, or with a larger [budget], \
                     overnight run --resume {job} goes on (overnight daemon does by itself)"
                ),
                None if words.ends_with(job.as_str()) => {
                    format!("raise its cap to go on: overnight run --resume {job} --max-cost '$…'")
                }
                None => format!("raise it in [budget.tags] to go on: overnight run --resume {job}"),
            };
            ("max_cost", Exit::MaxCost, next)
        }
        Waiting::NoRoute => (
            "no_route",
            Exit::NoRoute,
            format!("nothing is lost; once that is mended: overnight run --resume {job}"),
        ),
        _ => ("held", Exit::SomeFailed, format!("nothing is lost; to go on: overnight run --resume {job}")),
    };
    CliError::new(code, exit, format!("{job} cannot go on without you: {words}")).hint(hint)
}
