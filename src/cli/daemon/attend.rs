//! The [`Attendant`]: looks at the clock and into folders while the engine works, and does what is due.
//!
//! It is a client of the daemon like any other command: what it submits goes over the control socket,
//! through the same door as `overnight submit`. So a firing that reads a large file holds nothing up, and
//! the engine knows nothing of schedules.
//!
//! ```text
//! every second   schedules · folders · the report ─► what is due ─► done, noted in the diary
//! ```
//!
//! Shell: a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use chrono_tz::Tz;
use tokio::time::Instant;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::rows::Rows;
use super::super::session::{Hold, Session};
use super::super::zone;
use super::diary::{Clockwork, Diary, Trouble};
use super::folders::{self, Finished, Folder};
use super::morning::{self, Of};
use super::schedules::fire;
use crate::clock::{self, Timestamp};
use crate::config::{Morning, Schedule};
use crate::control::Client;
use crate::job::JobId;
use crate::schedule::{Missed, look};

/// How often it looks. The clock is read anew each time: timers stop while a machine is suspended.
const PACE: Duration = Duration::from_secs(1);
/// How long it leaves alone what could not be done just now, at first and at most.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(300);
/// How long the end of the daemon waits for what it is doing; a submission that is cut off never happened.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a webhook may take, its pauses included, while the daemon works, and when it is about to end.
const POST: Duration = Duration::from_secs(300);
const LAST_POST: Duration = Duration::from_secs(15);

/// The thread, as the daemon sees it.
pub(super) struct Attendant {
    orders: Sender<Order>,
    ended: Receiver<()>,
}

/// What the attendant is told.
pub(super) enum Order {
    /// Another config is in force.
    Config(Box<Context>),
    /// A job is over.
    Finished(JobId),
}

impl Attendant {
    /// Starts to look.
    pub(super) fn start(mut clerk: Clerk) -> Attendant {
        let (orders, receiver) = channel();
        let (ends, ended) = channel();
        std::thread::Builder::new()
            .name("attendant".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, however it does.
                let _ends: Sender<()> = ends;
                clerk.attend(&receiver);
            })
            .expect("the system can start a thread");
        Attendant { orders, ended }
    }

    /// Where it is told things.
    pub(super) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// Lets it end what it is doing, if that takes no longer than a moment.
    pub(super) fn stop(self) {
        drop(self.orders);
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

/// What is due now.
enum Task {
    Submit(Submission),
    Report(Of),
}

/// What becomes jobs: a firing of a schedule, a file of a folder, each by its place in the config.
enum Submission {
    Fire(usize, Timestamp),
    Take(usize, Finished),
}

/// Knows what is due, and does it.
pub(super) struct Clerk {
    context: Context,
    schedules: Vec<Schedule>,
    folders: Vec<Folder>,
    morning: Morning,
    diary: Diary,
    /// Jobs that ended and are to be reported.
    over: Vec<JobId>,
    resting_until: Timestamp,
    rest: Duration,
    /// When it last looked, on a clock that stops while the machine sleeps.
    looked: Option<Instant>,
}

impl Clerk {
    /// With the config of this context.
    pub(super) fn new(context: Context) -> Result<Clerk, CliError> {
        let config = context.config()?;
        std::fs::create_dir_all(&config.state_dir)?;
        let (schedules, morning) = (config.schedules.clone(), config.morning.clone());
        let folders = config.watches.iter().cloned().map(Folder::new).collect();
        let mut diary = Diary::open(&config.state_dir)?;
        diary.keep(&names(&schedules))?;
        Ok(Clerk {
            context,
            schedules,
            folders,
            morning,
            diary,
            over: Vec::new(),
            resting_until: Timestamp::default(),
            rest: REST,
            looked: None,
        })
    }

    /// Does what is due with a store of our own, before anyone works on it; files that come in just now
    /// are waited for.
    pub(super) fn catch_up(&mut self, session: Session) -> Result<Session, CliError> {
        let mut hold = Hold::Ours(Box::new(session));
        let settle = self.folders.iter().map(|folder| folder.watch.settle).max().unwrap_or_default();
        let mut left = 3 * (settle + PACE);
        loop {
            for task in self.submissions(clock::now())? {
                // What cannot be done now does not keep what is queued from being worked on.
                if let Err(error) = self.carry_out(&task, &mut hold) {
                    tracing::warn!("not now: {}", error.human(false).trim());
                }
            }
            if left.is_zero() || !self.folders.iter().any(Folder::is_waiting) {
                break;
            }
            let pause = PACE.min(left);
            std::thread::sleep(pause);
            left -= pause;
        }
        match hold {
            Hold::Ours(session) => Ok(*session),
            Hold::Theirs(_) => unreachable!("it was made ours above"),
        }
    }

    /// Writes the report of a night that ends with the daemon, where reports are wanted at all.
    pub(super) fn last_report(context: &Context) -> Result<(), CliError> {
        let mut clerk = Clerk::new(context.clone())?;
        if !clerk.morning.is_wanted() {
            return Ok(());
        }
        let of = Of::Night(clerk.diary.reported());
        let mut rows = Rows::open(context)?;
        let written = clerk.write(&of, &mut rows)?;
        rows.close()?;
        if let Some(webhook) = &clerk.morning.webhook {
            morning::deliver(webhook, &written.message, LAST_POST);
        }
        clerk.reported(&of)
    }

    fn attend(&mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(PACE) {
                Ok(Order::Config(context)) => self.change(*context),
                Ok(Order::Finished(job)) if self.morning.each_job => self.over.push(job),
                Ok(Order::Finished(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::now();
            // A clock that was set back does not make the rest longer.
            if now < self.resting_until && self.resting_until.since(now) <= LONGEST_REST {
                continue;
            }
            match self.round(now) {
                Ok(()) => self.rest = REST,
                Err(error) => {
                    tracing::warn!("not now: {}; it is tried again", error.human(false).trim());
                    self.resting_until = now + self.rest;
                    self.rest = (self.rest * 2).min(LONGEST_REST);
                }
            }
        }
    }

    /// Does all that is due; what cannot be done does not keep the rest from being done.
    fn round(&mut self, now: Timestamp) -> Result<(), CliError> {
        let mut done = Ok(());
        for task in self.due(now)? {
            // Nobody is there yet, or not any more; what is due stays due.
            let Some(client) = Client::connect(self.context.state_dir()?)? else { return Ok(()) };
            done = match task {
                Task::Report(of) => self.report(&of, client),
                Task::Submit(task) => self.carry_out(&task, &mut Hold::Theirs(client)),
            }
            .and(done);
        }
        done
    }

    fn change(&mut self, context: Context) {
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

    /// Looks at everything.
    fn due(&mut self, now: Timestamp) -> Result<Vec<Task>, CliError> {
        let mut tasks: Vec<Task> = self.submissions(now)?.into_iter().map(Task::Submit).collect();
        tasks.extend(self.over.iter().cloned().map(|job| Task::Report(Of::Job(job))));
        if self.is_morning(now)? {
            tasks.push(Task::Report(Of::Night(self.diary.reported())));
        }
        Ok(tasks)
    }

    /// Looks at schedules and folders. A firing is noted here, before anything comes of it.
    fn submissions(&mut self, now: Timestamp) -> Result<Vec<Submission>, CliError> {
        let awake = self.looked.replace(Instant::now()).map_or(Duration::ZERO, |looked| looked.elapsed());
        let mut tasks = Vec::new();
        for (at, schedule) in self.schedules.iter().enumerate() {
            let zone = schedule.tz.unwrap_or_else(zone::named);
            let (of, rule) = (Clockwork::Schedule(&schedule.name), format!("{} {zone}", schedule.cron));
            let (seen, interrupted) = self.diary.last(of, &rule, now)?;
            if let Some(firing) = interrupted {
                tasks.push(Submission::Fire(at, firing));
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
            tasks.extend(look.fires.map(|firing| Submission::Fire(at, firing)));
        }
        for (at, folder) in self.folders.iter_mut().enumerate() {
            tasks.extend(folder.look(now).into_iter().map(|file| Submission::Take(at, file)));
        }
        Ok(tasks)
    }

    fn is_morning(&mut self, now: Timestamp) -> Result<bool, CliError> {
        let Some(cron) = &self.morning.at else { return Ok(false) };
        let zone = self.zone();
        let rule = format!("{cron} {zone}");
        let (seen, interrupted) = self.diary.last(Clockwork::Report, &rule, now)?;
        if interrupted.is_some() {
            return Ok(true);
        }
        let look = look(cron, zone, Missed::Run, seen, Duration::ZERO, now);
        self.diary.begin(Clockwork::Report, &rule, look.seen, look.fires)?;
        Ok(look.fires.is_some())
    }

    fn zone(&self) -> Tz {
        self.morning.tz.unwrap_or_else(zone::named)
    }

    /// An error may pass: the task is due until it was carried out.
    fn carry_out(&mut self, task: &Submission, hold: &mut Hold) -> Result<(), CliError> {
        match task {
            Submission::Fire(at, firing) => {
                let schedule = &self.schedules[*at];
                let troubles = fire(schedule, *firing, &self.context, hold)?;
                let name = schedule.name.clone();
                for trouble in troubles {
                    tracing::error!(schedule = name, "{}", trouble.words);
                    self.diary.trouble(trouble)?;
                }
                Ok(self.diary.end(Clockwork::Schedule(&name))?)
            }
            Submission::Take(at, file) => {
                let trouble = folders::take(&self.folders[*at].watch, file, &self.context, hold)?;
                trouble.map_or(Ok(()), |trouble| Ok(self.diary.trouble(trouble)?))
            }
        }
    }

    fn report(&mut self, of: &Of, client: Client) -> Result<(), CliError> {
        let mut rows = Rows::held(&self.context, Some(Hold::Theirs(client)))?;
        let written = self.write(of, &mut rows)?;
        if let Some(webhook) = self.morning.webhook.clone() {
            std::thread::spawn(move || morning::deliver(&webhook, &written.message, POST));
        }
        self.reported(of)
    }

    fn write(&self, of: &Of, rows: &mut Rows) -> Result<morning::Written, CliError> {
        let troubles: &[Trouble] = if matches!(of, Of::Night(_)) { self.diary.troubles() } else { &[] };
        let written = morning::write(of, troubles, rows, &self.context, self.zone(), clock::now())?;
        tracing::info!(file = %written.path.display(), "wrote the report");
        Ok(written)
    }

    fn reported(&mut self, of: &Of) -> Result<(), CliError> {
        match of {
            Of::Night(_) => {
                self.diary.report(clock::now())?;
                Ok(self.diary.end(Clockwork::Report)?)
            }
            Of::Job(job) => {
                self.over.retain(|over| over != job);
                Ok(())
            }
        }
    }
}

fn names(schedules: &[Schedule]) -> Vec<&str> {
    schedules.iter().map(|schedule| schedule.name.as_str()).collect()
}
