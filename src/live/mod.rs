//! The live driver: the machine's clock, HTTP, files.
//!
//! One current-thread runtime runs the engine and the calls; three threads do what blocks. Nothing
//! here decides anything: news come in, the engine says what is to be done, this carries it out.
//!
//! ```text
//!   calls (tokio tasks) ─┐                        ┌─► reader thread   prompts
//!   control socket ──────┼─► inbox ─► engine ─────┼─► journal thread  append, sync ─► results thread
//!   threads ─────────────┘                        └─► calls
//! ```
//!
//! Shell.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::catalog::Route;
use crate::check;
use crate::clock::{self, Timestamp};
use crate::control::{Asked, Response};
use crate::engine::{Effect, Engine, Event, Notice};
use crate::job::{AttemptId, Job, JobId};
use crate::ledger::{Ledger, Limits};
use crate::provider::http::Providers;
use crate::record::{Record, Seq};
use crate::results::parts::Parts;
use crate::store::StoreError;
use crate::store::files::FileStore;
use crate::store::prompts::PromptReader;
use crate::traces::Traces;
use crate::view::{JobView, Waiting};
use crate::webhook::Webhook;

mod batches;
mod files;
mod inbox;
mod outbox;
mod parts;
mod posts;
mod reader;
mod requests;
mod threads;
mod writer;

use batches::Desk;
use inbox::{Inbox, News};
use outbox::Outbox;
use parts::PartsOrder;
use posts::Posts;
use threads::Threads;
use writer::Order;

/// Events handled between two rounds of scheduling.
const BATCH: usize = 256;
/// Questions answered between two rounds of scheduling.
const ASKED: usize = 64;
/// The clock is read at least this often: timers stop while a machine is suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long calls in flight may go on after a request to stop.
const DRAIN: Duration = Duration::from_secs(25);
/// How long a check command may run.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How often whoever watches is shown the present state.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Gives the routes that the ladders of a job name.
pub type RoutesFor = Box<dyn Fn(&Job) -> Vec<Arc<Route>>>;

/// Everything the driver needs.
pub struct Setup {
    /// Owns the state folder.
    pub store: FileStore,
    /// What it recovered.
    pub ledger: Ledger,
    /// All routes there is reason to know now.
    pub routes: Vec<Arc<Route>>,
    /// The routes a job that comes later may need beside them.
    pub routes_for: RoutesFor,
    /// How to call them.
    pub providers: Arc<Providers>,
    /// Where rows go.
    pub parts: Parts,
    /// The budgets of the config.
    pub limits: Limits,
    /// Who is told of budgets that run low, beside whoever watches.
    pub webhook: Option<Webhook>,
    /// Reads the config again, where that may be asked for.
    pub reload: Option<Reload>,
    /// Where spans of attempts go, where anyone wants them.
    pub traces: Option<Traces>,
}

/// Reads the config again: all of it, checked, or why the old one stays in force.
pub type Reload = Box<dyn FnMut() -> Result<Reloaded, String>>;

/// What of a config can change while there is work.
pub struct Reloaded {
    /// All routes there are now; others take nothing more.
    pub routes: Vec<Arc<Route>>,
    /// As in [`Setup`].
    pub routes_for: RoutesFor,
    /// As in [`Setup`]; calls on their way are ended by the old ones.
    pub providers: Arc<Providers>,
    /// As in [`Setup`].
    pub limits: Limits,
    /// As in [`Setup`].
    pub webhook: Option<Webhook>,
}

/// When to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// When these jobs are over or cannot go on without a person.
    Jobs(Vec<JobId>),
    /// When no job can go on.
    Idle,
    /// When told to stop.
    Stopped,
}

/// Why the driver returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was waited for has happened.
    Done,
    /// A job cannot go on without a person: which, what it waits for, in words.
    Blocked(JobId, Waiting, String),
    /// Told to stop.
    Stopped,
}

/// Why the driver cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread found that nothing can be relied on any more.
    #[error("stopped, because what is written down can no longer be relied on: {0}")]
    Fatal(String),
}

/// What is told to whoever watches.
pub enum Show<'a> {
    /// The present state, a few times a second.
    Views(&'a [JobView]),
    /// Something happened.
    Notice(&'a Notice),
    /// The disk is full (in words), or no longer is.
    DiskFull(Option<&'a str>),
    /// Results cannot be written for now (in words), or can again.
    ResultsBlocked(Option<&'a str>),
}

/// Runs until `until` or `stop`, then leaves the store in order. Whoever asks over `requests` is answered
/// when what was asked for is durable.
pub async fn run(
    setup: Setup,
    until: Until,
    mut requests: mpsc::Receiver<Asked>,
    stop: impl Future<Output = ()>,
    mut show: impl FnMut(Show<'_>),
) -> Result<Ended, LiveError> {
    let now = clock::now();
    let (inbox, mut news) = Inbox::new();
    let staged = setup.store.reader();
    let drafts = setup.store.folder().to_owned();
    let threads = Threads::start(setup.store, &setup.ledger, setup.parts, inbox.clone())?;
    let mut driver = Driver {
        engine: Engine::new(setup.routes, setup.ledger, now).with_most_calls(files::most_calls()),
        batches: Desk::new(setup.providers.clone(), inbox.clone(), drafts),
        providers: setup.providers,
        posts: Posts::new(setup.webhook),
        calls: JoinSet::new(),
        sent: HashMap::new(),
        inbox,
        outbox: Outbox::new(threads.orders.clone()),
        reads: threads.reads.clone(),
        parts: threads.parts.clone(),
        staged,
        routes_for: setup.routes_for,
        reload: setup.reload,
        traces: setup.traces,
        adopting: BTreeMap::new(),
        changing: VecDeque::new(),
        stop_asked: false,
        wake: now,
        notices: Vec::new(),
        full: None,
    };
    driver.event(Event::Budgets(Box::new(setup.limits)));
    let ended = driver.drive(until, &mut requests, &mut news, stop, &mut show).await;
    driver.outbox.flush();
    driver.calls.abort_all();
    driver.posts.finish().await;
    drop(driver);
    threads.stop();
    ended
}

/// Where an answer goes. Whoever asked may have gone away; that is no trouble of ours.
type Reply = oneshot::Sender<Response>;

struct Driver {
    engine: Engine,
    providers: Arc<Providers>,
    calls: JoinSet<()>,
    /// Those that wait for an answer, so that one can be given up.
    sent: HashMap<AttemptId, AbortHandle>,
    batches: Desk,
    posts: Posts,
    inbox: Inbox,
    outbox: Outbox,
    reads: Sender<reader::Wanted>,
    parts: std::sync::mpsc::SyncSender<PartsOrder>,
    /// Reads the headers of staged jobs.
    staged: PromptReader,
    routes_for: RoutesFor,
    reload: Option<Reload>,
    traces: Option<Traces>,
    /// Who waits for a job to be accepted.
    adopting: BTreeMap<JobId, Vec<Reply>>,
    /// Who waits for a change to be durable, in the order of the records.
    changing: VecDeque<(Seq, Reply)>,
    stop_asked: bool,
    wake: Timestamp,
    notices: Vec<Notice>,
    /// Why nothing can be written down.
    full: Option<String>,
}

impl Driver {
    async fn drive(
        &mut self,
        until: Until,
        requests: &mut mpsc::Receiver<Asked>,
        news: &mut mpsc::UnboundedReceiver<News>,
        stop: impl Future<Output = ()>,
        show: &mut impl FnMut(Show<'_>),
    ) -> Result<Ended, LiveError> {
        let mut stop = std::pin::pin!(stop);
        let mut stopping: Option<tokio::time::Instant> = None;
        let mut shown = Timestamp::default();
        // One timer for all rounds: a new one in every round has the runtime wake itself.
        let mut alarm = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        self.tick();
        self.hand_over();
        loop {
            let sleep = self.wake.since(clock::now()).min(LONGEST_SLEEP).min(SHOW_EVERY);
            let due = tokio::time::Instant::now() + sleep;
            let due = self.outbox.due().map_or(due, |records| due.min(records));
            if alarm.is_elapsed() || due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut stop, if !self.stop_asked => self.stop_asked = true,
                Some(first) = requests.recv() => {
                    let mut next = Some(first);
                    for _ in 0..ASKED {
                        let Some(Asked { request, reply }) = next else { break };
                        self.request(request, reply);
                        next = requests.try_recv().ok();
                    }
                    if let Some(Asked { request, reply }) = next {
                        self.request(request, reply);
                    }
                    // However many ask, what happens gets its turn.
                    for _ in 0..BATCH {
                        let Ok(item) = news.try_recv() else { break };
                        self.news(item, show)?;
                    }
                }
                Some(first) = news.recv() => {
                    // What else is ready gets its turn first, so that one round and one sync serve it all.
                    tokio::task::yield_now().await;
                    let mut next = Some(first);
                    for _ in 0..BATCH {
                        let Some(item) = next else { break };
                        self.news(item, show)?;
                        next = news.try_recv().ok();
                    }
                    if let Some(item) = next {
                        self.news(item, show)?;
                    }
                }
                () = &mut alarm => {}
            }
            while self.calls.try_join_next().is_some() {}
            if self.stop_asked && stopping.is_none() {
                stopping = Some(tokio::time::Instant::now() + DRAIN);
                self.event(Event::Hold(true));
            }
            self.tick();
            self.hand_over();
            for notice in std::mem::take(&mut self.notices) {
                show(Show::Notice(&notice));
            }
            let now = clock::now();
            if now.since(shown) >= SHOW_EVERY || shown > now {
                shown = now;
                show(Show::Views(&self.views(now)));
            }
            if let Some(deadline) = stopping {
                if self.engine.in_flight() == 0 || tokio::time::Instant::now() >= deadline {
                    return Ok(Ended::Stopped);
                }
            } else if let Some(ended) = self.has_ended(&until, now) {
                show(Show::Views(&self.views(now)));
                return Ok(ended);
            }
        }
    }

    fn news(&mut self, news: News, show: &mut impl FnMut(Show<'_>)) -> Result<(), LiveError> {
        match news {
            News::Durable(seq) => self.durable(seq),
            News::Prompts(job, items) => self.event(Event::Prompts(job, items)),
            News::Ended(attempt, ending) => {
                self.sent.remove(&attempt);
                self.event(Event::Ended(attempt, *ending));
            }
            News::Judged(attempt, verdict) => self.event(Event::Judged(attempt, verdict)),
            News::Batch(mark, news) => self.event(Event::Batch(mark, *news)),
            News::PartCommitted(part) => self.event(Event::PartCommitted(part)),
            News::PartsClosed(job) => self.event(Event::PartsClosed(job)),
            News::Accepted(job) => self.accepted(job),
            News::NotAccepted(job, why) => self.not_accepted(&job, &why),
            News::DiskFull(trouble) => {
                show(Show::DiskFull(trouble.as_deref()));
                self.event(Event::Hold(trouble.is_some()));
                self.full = trouble;
            }
            News::ResultsBlocked(trouble) => show(Show::ResultsBlocked(trouble.as_deref())),
            News::Fatal(why) => return Err(LiveError::Fatal(why)),
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.event(Event::Tick);
    }

    fn event(&mut self, event: Event) {
        for effect in self.engine.handle(clock::now(), event) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Record(records) => {
                self.trace(&records);
                self.outbox.add(records);
            }
            Effect::Checkpoint(checkpoint) => self.outbox.order(Order::Checkpoint(checkpoint)),
            Effect::CloseParts(job, state) => self.outbox.order(Order::CloseParts(job, state)),
            Effect::Remove(job) => self.outbox.order(Order::Remove(job)),
            Effect::Read(job, items) => drop(self.reads.send((job, items))),
            Effect::Send(call) => {
                let (providers, inbox) = (self.providers.clone(), self.inbox.clone());
                let attempt = call.attempt;
                let handle = self.calls.spawn(async move {
                    let ending = providers.call(&call).await;
                    inbox.send(News::Ended(call.attempt, Box::new(ending)));
                });
                self.sent.insert(attempt, handle);
            }
            Effect::Cancel(attempt) => {
                if let Some(handle) = self.sent.remove(&attempt) {
                    handle.abort();
                }
            }
            Effect::Batch(ask) => self.batches.carry_out(ask, &mut self.calls),
            Effect::Judge(attempt, commands, text) => {
                let inbox = self.inbox.clone();
                self.calls.spawn(async move {
                    let verdict = check::command::judge(&commands, &text, COMMAND_TIMEOUT).await;
                    inbox.send(News::Judged(attempt, verdict));
                });
            }
            Effect::Wake(at) => self.wake = at,
            Effect::Tell(notice) => {
                self.posts.tell(&notice);
                self.notices.push(notice);
            }
        }
    }

    fn trace(&mut self, records: &[Record]) {
        let Some(traces) = &mut self.traces else { return };
        for record in records {
            if let Record::Ended(ended) = record {
                traces.tell(ended);
            }
        }
    }

    /// Hands records over to the journal: at once where something waits for them.
    fn hand_over(&mut self) {
        match self.engine.awaits_records() {
            true => self.outbox.flush(),
            false => self.outbox.flush_due(tokio::time::Instant::now()),
        }
    }

    fn has_ended(&mut self, until: &Until, now: Timestamp) -> Option<Ended> {
        let is_over =
            |job: &JobId| self.engine.ledger().get(job).is_none_or(|(_, state)| state.finished_at.is_some());
        match until {
            Until::Stopped => return None,
            Until::Jobs(jobs) if jobs.iter().all(is_over) => return Some(Ended::Done),
            Until::Idle if self.engine.ledger().jobs().all(|(job, _)| is_over(&job.id)) => {
                return Some(Ended::Done);
            }
            Until::Jobs(_) | Until::Idle => {}
        }
        if self.engine.in_flight() > 0 {
            return None;
        }
        let views = self.engine.views(now);
        let watched = views.into_iter().filter(|view| match until {
            Until::Jobs(jobs) => jobs.contains(&view.job_id),
            _ => true,
        });
        let mut first_blocked = None;
        for view in watched.filter(|view| view.finished_at.is_none()) {
            match blocked(&view) {
                Some(reason) => drop(first_blocked.get_or_insert((view.job_id.clone(), reason, view))),
                None => return None,
            }
        }
        first_blocked.map(|(job, waiting, view)| {
            Ended::Blocked(job, waiting, view.waiting_for.unwrap_or_else(|| waiting.as_str().to_owned()))
        })
    }
}

/// What a job waits for that no passing of time brings.
fn blocked(view: &JobView) -> Option<Waiting> {
    let of_a_person =
        |waiting: &Waiting| matches!(waiting, Waiting::Budget | Waiting::NoRoute | Waiting::Paused);
    let counts = view.counts;
    let explained = view.waiting.values().sum::<u32>() == counts.pending;
    let left = counts.pending + counts.held > 0 && counts.running == 0;
    // A copy waits as the item does whose answer it gets.
    let reasons: Vec<Waiting> =
        view.waiting.keys().copied().filter(|waiting| *waiting != Waiting::Duplicate).collect();
    let only_copies = reasons.is_empty() && counts.pending > 0 && counts.held == 0;
    if !left || !explained || only_copies || !reasons.iter().all(of_a_person) {
        return None;
    }
    Some(reasons.first().copied().unwrap_or(Waiting::Paused))
}
