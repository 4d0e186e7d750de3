//! The [`Attendant`]: has the [`Clerk`] look at the clock and into folders while the engine works.
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

use tokio::time::Instant;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::rows::Rows;
use super::super::session::{Hold, Session};
use super::clerk::{Clerk, Of, Task};
use super::folders::Folder;
use super::morning;
use crate::clock::{self, Timestamp};
use crate::control::Client;
use crate::job::JobId;

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
    pub(super) fn start(clerk: Clerk) -> Attendant {
        let (orders, receiver) = channel();
        let (ends, ended) = channel();
        std::thread::Builder::new()
            .name("attendant".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, however it does.
                let _ends: Sender<()> = ends;
                Rounds::new(clerk).attend(&receiver);
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

/// A clerk that looks again and again.
struct Rounds {
    clerk: Clerk,
    resting_until: Timestamp,
    rest: Duration,
    /// When it last looked, on a clock that stops while the machine sleeps.
    looked: Option<Instant>,
}

impl Clerk {
    /// Does what is due with a store of our own, before anyone works on it; files that come in just now
    /// are waited for.
    pub(super) fn catch_up(&mut self, session: Session) -> Result<Session, CliError> {
        let mut hold = Hold::Ours(Box::new(session));
        let settle = self.folders().iter().map(|folder| folder.watch.settle).max().unwrap_or_default();
        let mut left = 3 * (settle + PACE);
        let mut awake = Duration::ZERO;
        loop {
            let now = clock::now();
            for task in self.submissions(now, awake)? {
                // What cannot be done now does not keep what is queued from being worked on.
                if let Err(error) = self.submit(&task, now, &mut hold) {
                    tracing::warn!("not now: {}", error.human(false).trim());
                }
            }
            if left.is_zero() || !self.folders().iter().any(Folder::is_waiting) {
                break;
            }
            let pause = PACE.min(left);
            std::thread::sleep(pause);
            left -= pause;
            awake = pause;
        }
        match hold {
            Hold::Ours(session) => Ok(*session),
            Hold::Theirs(_) => unreachable!("it was made ours above"),
        }
    }

    /// Writes the report of a night that ends with the daemon, and posts it.
    pub(super) fn close_the_night(context: &Context) -> Result<(), CliError> {
        let mut clerk = Clerk::new(context.clone())?;
        let message = clerk.last_report(clock::now())?;
        if let Some((webhook, message)) = clerk.webhook().zip(message) {
            morning::deliver(webhook, &message, LAST_POST);
        }
        Ok(())
    }
}

impl Rounds {
    fn new(clerk: Clerk) -> Rounds {
        Rounds { clerk, resting_until: Timestamp::default(), rest: REST, looked: None }
    }

    fn attend(&mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(PACE) {
                Ok(Order::Config(context)) => self.clerk.change(*context),
                Ok(Order::Finished(job)) => self.clerk.finished(job),
                Err(RecvTimeoutError::Timeout) => {}
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
        let awake = self.looked.replace(Instant::now()).map_or(Duration::ZERO, |looked| looked.elapsed());
        let mut done = Ok(());
        for task in self.clerk.due(now, awake)? {
            // Nobody is there yet, or not any more; what is due stays due.
            let Some(client) = Client::connect(self.clerk.context().state_dir()?)? else { return Ok(()) };
            done = match task {
                Task::Report(of) => self.report(&of, client),
                Task::Submit(task) => self.clerk.submit(&task, clock::now(), &mut Hold::Theirs(client)),
            }
            .and(done);
        }
        done
    }

    fn report(&mut self, of: &Of, client: Client) -> Result<(), CliError> {
        let mut rows = Rows::held(self.clerk.context(), Some(Hold::Theirs(client)))?;
        let message = self.clerk.report(of, clock::now(), &mut rows)?;
        if let Some(webhook) = self.clerk.webhook().cloned() {
            std::thread::spawn(move || morning::deliver(&webhook, &message, POST));
        }
        Ok(())
    }
}
