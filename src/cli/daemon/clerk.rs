//! The [`Clerk`]: knows what is due at a moment, and does it.
//!
//! Takes the moment from its caller and never waits, so that a week of it can be played on a clock that
//! jumps. A firing is noted in the diary before anything comes of it; what cannot be done stays due.
//!
//! Shell: writes the diary, reads folders and files.

use std::time::Duration;

use chrono_tz::Tz;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::rows::Rows;
use super::super::session::Hold;
use super::super::zone;
use super::diary::{Clockwork, Diary, Trouble};
use super::folders::{self, Finished, Folder};
use super::morning;
use super::schedules::fire;
use crate::clock::Timestamp;
use crate::config::{Morning, Schedule, Webhook};
use crate::job::JobId;
use crate::schedule::{Missed, look};
use crate::view::JobView;
use crate::webhook::Message;

/// A daemon that ends right behind its report writes no second one, unless a job ended in between.
const JUST_NOW: Duration = Duration::from_secs(60);

/// What is due.
#[derive(Clone, Debug)]
pub enum Task {
    /// Something becomes jobs.
    Submit(Submission),
    /// A report is to be written.
    Report(Of),
}

/// What becomes jobs.
#[derive(Clone, Debug)]
pub struct Submission(Kind);

/// A firing of a schedule, a file of a folder, each by its place in the config.
#[derive(Clone, Debug)]
enum Kind {
    Fire(usize, Timestamp),
    Take(usize, Finished),
}

/// What a report is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// All that happened since the last one.
    Night(Option<Timestamp>),
    /// One job and its retries.
    Job(JobId),
}

/// Knows what is due, and does it.
pub struct Clerk {
    context: Context,
    schedules: Vec<Schedule>,
    folders: Vec<Folder>,
    morning: Morning,
    diary: Diary,
    /// Jobs that ended and are to be reported.
    over: Vec<JobId>,
}

impl Clerk {
    /// With the config of this context.
    pub fn new(context: Context) -> Result<Clerk, CliError> {
        let config = context.config()?;
        std::fs::create_dir_all(&config.state_dir)?;
        let (schedules, morning) = (config.schedules.clone(), config.morning.clone());
        let folders = config.watches.iter().cloned().map(Folder::new).collect();
        let mut diary = Diary::open(&config.state_dir)?;
        diary.keep(&names(&schedules))?;
        Ok(Clerk { context, schedules, folders, morning, diary, over: Vec::new() })
    }

    /// Looks at everything. `awake` is how long someone was there before `now` without a break.
    pub fn due(&mut self, now: Timestamp, awake: Duration) -> Result<Vec<Task>, CliError> {
        let mut tasks: Vec<Task> = self.submissions(now, awake)?.into_iter().map(Task::Submit).collect();
        tasks.extend(self.over.iter().cloned().map(|job| Task::Report(Of::Job(job))));
        if self.is_morning(now)? {
            tasks.push(Task::Report(Of::Night(self.diary.reported())));
        }
        Ok(tasks)
    }

    /// Looks at schedules and folders. A firing is noted here, before anything comes of it.
    pub(super) fn submissions(
        &mut self,
        now: Timestamp,
        awake: Duration,
    ) -> Result<Vec<Submission>, CliError> {
        let mut tasks = Vec::new();
        for (at, schedule) in self.schedules.iter().enumerate() {
            let zone = schedule.tz.unwrap_or_else(zone::named);
            let (of, rule) = (Clockwork::Schedule(&schedule.name), format!("{} {zone}", schedule.cron));
            let (seen, interrupted) = self.diary.last(of, &rule, now)?;
            if let Some(firing) = interrupted {
                tasks.push(Submission(Kind::Fire(at, firing)));
                continue;
            }
            let look = look(&schedule.cron, zone, schedule.missed, seen, awake, now);
            self.diary.begin(of, &rule, look.seen, look.fires)?;
            if look.passed_over > 0 {
                tracing::warn!(
                    schedule = schedule.name,
                    firings = look.passed_over,
                    "missed, and not made up for"
                );
            }
            tasks.extend(look.fires.map(|firing| Submission(Kind::Fire(at, firing))));
        }
        for (at, folder) in self.folders.iter_mut().enumerate() {
            tasks.extend(folder.look(now).into_iter().map(|file| Submission(Kind::Take(at, file))));
        }
        Ok(tasks)
    }

    /// Makes jobs of what is due. An error may pass: it is due until it was carried out.
    pub fn submit(&mut self, task: &Submission, now: Timestamp, hold: &mut Hold) -> Result<(), CliError> {
        match &task.0 {
            Kind::Fire(at, firing) => {
                let schedule = &self.schedules[*at];
                let troubles = fire(schedule, *firing, now, &self.context, hold)?;
                let name = schedule.name.clone();
                for trouble in troubles {
                    tracing::error!(schedule = name, "{}", trouble.words);
                    self.diary.trouble(trouble)?;
                }
                Ok(self.diary.end(Clockwork::Schedule(&name))?)
            }
            Kind::Take(at, file) => {
                let trouble = folders::take(&self.folders[*at].watch, file, now, &self.context, hold)?;
                trouble.map_or(Ok(()), |trouble| Ok(self.diary.trouble(trouble)?))
            }
        }
    }

    /// Writes a report and gives what is to be posted of it.
    pub fn report(&mut self, of: &Of, now: Timestamp, rows: &mut Rows) -> Result<Message, CliError> {
        let troubles: &[Trouble] = if matches!(of, Of::Night(_)) { self.diary.troubles() } else { &[] };
        let written = morning::write(of, troubles, rows, &self.context, self.zone(), now)?;
        tracing::info!(file = %written.path.display(), "wrote the report");
        match of {
            Of::Night(_) => {
                self.diary.report(now)?;
                self.diary.end(Clockwork::Report)?;
            }
            Of::Job(job) => self.over.retain(|over| over != job),
        }
        Ok(written.message)
    }

    /// Writes the report of a night that ends with the daemon, where reports are wanted at all.
    pub fn last_report(&mut self, now: Timestamp) -> Result<Option<Message>, CliError> {
        if !self.morning.is_wanted() {
            return Ok(None);
        }
        let reported = self.diary.reported();
        let mut rows = Rows::open(&self.context)?;
        let message = match is_told(reported, &rows.views, now) {
            true => None,
            false => Some(self.report(&Of::Night(reported), now, &mut rows)?),
        };
        rows.close()?;
        Ok(message)
    }

    /// Where reports are posted.
    pub(super) fn webhook(&self) -> Option<&Webhook> {
        self.morning.webhook.as_ref()
    }

    /// What it works by.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The folders it looks into.
    pub(super) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// A job is over.
    pub(super) fn finished(&mut self, job: JobId) {
        if self.morning.each_job {
            self.over.push(job);
        }
    }

    /// Another config is in force.
    pub(super) fn change(&mut self, context: Context) {
        let Ok(config) = context.config() else { return };
        self.schedules = config.schedules.clone();
        self.morning = config.morning.clone();
        if let Err(error) = self.diary.keep(&names(&self.schedules)) {
            tracing::warn!(%error, "the diary cannot be written");
        }
        let mut known = std::mem::take(&mut self.folders);
        for watch in config.watches.iter().cloned() {
            let at = known.iter().position(|folder| folder.watch.dir == watch.dir);
            self.folders.push(match at {
                Some(at) => known.swap_remove(at).under(watch),
                None => Folder::new(watch),
            });
        }
        self.context = context;
    }

    fn is_morning(&mut self, now: Timestamp) -> Result<bool, CliError> {
        let Some(cron) = &self.morning.at else { return Ok(false) };
        let zone = self.zone();
        let rule = format!("{cron} {zone}");
        let (seen, interrupted) = self.diary.last(Clockwork::Report, &rule, now)?;
        if interrupted.is_some() {
            return Ok(true);
        }
        // What a report that came at another time tells, as that at the end of the daemon, is not told again.
        let reported = self.diary.reported().filter(|reported| *reported <= now);
        let seen = seen.max(reported.unwrap_or_default());
        let look = look(cron, zone, Missed::Run, seen, Duration::ZERO, now);
        self.diary.begin(Clockwork::Report, &rule, look.seen, look.fires)?;
        Ok(look.fires.is_some())
    }

    fn zone(&self) -> Tz {
        self.morning.tz.unwrap_or_else(zone::named)
    }
}

/// Whether a report of a moment ago has all there is to tell.
fn is_told(reported: Option<Timestamp>, views: &[JobView], now: Timestamp) -> bool {
    let just_now = reported.filter(|&reported| reported <= now && now.since(reported) < JUST_NOW);
    just_now.is_some_and(|told| views.iter().all(|view| view.finished_at.is_none_or(|at| at <= told)))
}

fn names(schedules: &[Schedule]) -> Vec<&str> {
    schedules.iter().map(|schedule| schedule.name.as_str()).collect()
}
