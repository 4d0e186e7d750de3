//! The rules of the game: `handle(now, event) -> effects`.
//!
//! The engine decides everything — what to send where and when, what an outcome means, what to write
//! down first — and does nothing: it never reads a clock, opens a file, draws a random number or
//! awaits. A driver brings it events and carries out its effects; the live driver with HTTP and files,
//! the virtual one with simulated providers and an in-memory store.
//!
//! ```text
//!   Accepted ──► queue ──Read/Prompts──► choose a route, reserve the worst case
//!                  ▲                        │ Record(Started)
//!                  │                        ▼ Recorded
//!                  │                      Send ──► Ended ──► judge ──► decide
//!                  └── failover, retry, escalate ──────────────┘  │ Record(Ended)
//!                                                                 ▼
//!                                         all ended: CloseParts ──► Finished
//! ```
//!
//! Two rules are kept here and nowhere else. *Write before act*: [`Effect::Send`] is emitted only when
//! [`Event::Recorded`] has covered the attempt's `Started` record. *One truth*: the durable state
//! changes only by applying the very record that is written (`Engine::record`).
//!
//! Events change state; only [`Event::Tick`] starts new work, so a driver that handles a batch of
//! events and then ticks once pays for one round of scheduling.
//!
//! Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::Ending;
use crate::batch::Mark;
use crate::catalog::Route;
use crate::check::{Rule, Verdict};
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, ItemIndex, Job, JobId};
use crate::ledger::{Alert, JobLedger, Ledger, Limits, OpenAttempt, Today};
use crate::plan::estimate::Known;
use crate::record::{Checkpoint, JobChange, PartCommitted, Record, Seq};

mod batches;
mod budgets;
mod copies;
mod decide;
mod dispatch;
mod flight;
mod free;
mod groups;
mod hedge;
mod lanes;
mod odds;
mod outcome;
mod outlook;
mod problem;
mod queue;
mod reload;
mod schedule;
mod send;
#[cfg(test)]
mod tests;
mod views;

use batches::Batches;
pub use batches::{BatchAsk, BatchNews, BatchWork, MOST_LINES};
use flight::Flight;
use groups::Groups;
use hedge::Hedges;
use lanes::Lanes;
use queue::{JobQueue, StepQueue};
use schedule::Schedule;

/// How often the index is brought up to date.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// The clock is taken to be set back, not merely uneven, from here on.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Routes that ladders to come may name; those already known stay as they are.
    Routes(Vec<Arc<Route>>),
    /// The routes of another config, all there are: those already known take its prices and limits, those
    /// that are not among them take nothing more.
    Reloaded(Vec<Arc<Route>>),
    /// A job's prompts are durable.
    Accepted(Arc<Job>),
    /// Items that were asked for with [`Effect::Read`].
    Prompts(JobId, Vec<Arc<Item>>),
    /// Every record up to here is durable.
    Recorded(Seq),
    /// An upstream call ended.
    Ended(AttemptId, Ending),
    /// A check command ended.
    Judged(AttemptId, Verdict),
    /// What was asked about a provider batch has an answer.
    Batch(Mark, BatchNews),
    /// Rows are in Parquet.
    PartCommitted(PartCommitted),
    /// The job's last part is committed and its manifest written.
    PartsClosed(JobId),
    /// The user wants something of a job.
    Command(JobId, JobChange),
    /// The user wants what checks taught to be forgotten: of one class, or of all.
    ResetOdds(Option<Arc<str>>),
    /// The user wants nothing kept of these jobs; those that are over are forgotten.
    Forget(Vec<JobId>),
    /// Nothing may be sent (`true`) because the disk is full or the process stops, or it may again.
    Hold(bool),
    /// The budgets of the config; those in force stay until others are given, across restarts.
    Budgets(Box<Limits>),
    /// Time has passed, or a batch of events was handled: start what can be started.
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug)]
pub enum Effect {
    /// Append these records, in order; [`Event::Recorded`] says when they are durable.
    Record(Vec<Record>),
    /// Send this request. Emitted only after its `Started` record is durable.
    Send(Call),
    /// Give this request up: its answer is not wanted any more, and none must come.
    Cancel(AttemptId),
    /// Do this about a provider batch; [`Event::Batch`] brings the answer.
    Batch(BatchAsk),
    /// Read these items; [`Event::Prompts`] brings them.
    Read(JobId, Vec<ItemIndex>),
    /// Run these commands on this answer; [`Event::Judged`] brings the verdict.
    Judge(AttemptId, Vec<Vec<String>>, String),
    /// All items of the job ended: write its remaining rows and its manifest, then say
    /// [`Event::PartsClosed`]. Comes after the records it is about.
    CloseParts(JobId, Box<JobLedger>),
    /// Bring the index up to here.
    Checkpoint(Box<Checkpoint>),
    /// Remove a job from the store. Comes behind a checkpoint that holds its end.
    Remove(JobId),
    /// Nothing will happen before this moment unless an event comes.
    Wake(Timestamp),
    /// Something a person may want to know.
    Tell(Notice),
}

/// One upstream call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, sent along as `x-client-request-id`.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Where it goes.
    pub route: Arc<Route>,
    /// What is sent.
    pub item: Arc<Item>,
    /// Another item that is sent close to it and begins alike, where it pays to have the provider keep what
    /// they share.
    pub beside: Option<Arc<Item>>,
}

/// Something a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A job is over and all its rows are in Parquet.
    Finished(JobId),
    /// An account stopped until a person acts: account, why.
    AccountStopped(Arc<str>, String),
    /// A route is dead: route, why.
    RouteDead(Arc<str>, String),
    /// An account failed too often in a row and is probed from now on: account, why.
    CircuitOpen(Arc<str>, String),
    /// It answers again.
    CircuitClosed(Arc<str>),
    /// More calls would be in flight if more files could be open: how many there are.
    FewFiles(u32),
    /// The clock was set back by this much; windows and pauses were worked out anew.
    ClockSetBack(Duration),
    /// The results of a provider batch held lines that settle nothing.
    OddLines {
        /// Its route.
        route: Arc<str>,
        /// Its name at the provider.
        batch: String,
        /// Lines of somebody else.
        foreign: u64,
        /// Lines that came twice.
        double: u64,
    },
    /// A budget is used up so far.
    Budget(Alert),
    /// A job cannot be done by its deadline, even flat out.
    TooLate {
        /// Which.
        job: JobId,
        /// When it could be done; `None` where the hours known do not suffice.
        earliest: Option<Timestamp>,
        /// Items that can end by the deadline.
        fits: u64,
    },
}

/// Everything that is decided.
pub struct Engine {
    now: Timestamp,
    /// The day in whose budgets money counts now.
    today: Today,
    ledger: Ledger,
    lanes: Lanes,
    schedule: Schedule,
    queues: BTreeMap<JobId, JobQueue>,
    flights: HashMap<AttemptId, Flight>,
    groups: Groups,
    hedges: Hedges,
    batches: Batches,
    /// Started attempts in the order of their records, waiting for these to be durable.
    recording: VecDeque<(Seq, AttemptId)>,
    on_hold: bool,
    checkpoint_at: Timestamp,
    checkpoint_seq: Seq,
    records: Vec<Record>,
    /// Whether something waits for the records made since this was last asked.
    is_awaited: bool,
    effects: Vec<Effect>,
}

impl Engine {
    /// Takes up from what a store recovered. Attempts left open there are settled as unknown as soon
    /// as their items are read.
    pub fn new(routes: Vec<Arc<Route>>, ledger: Ledger, now: Timestamp) -> Engine {
        let checkpoint_seq = ledger.globals.seq;
        let today = Today::at(now, ledger.globals.budgets.limits().zone.0);
        let mut engine = Engine {
            now,
            today,
            ledger,
            lanes: Lanes::new(routes, now),
            schedule: Schedule::default(),
            queues: BTreeMap::new(),
            flights: HashMap::new(),
            groups: Groups::default(),
            hedges: Hedges::default(),
            batches: Batches::default(),
            recording: VecDeque::new(),
            on_hold: false,
            checkpoint_at: now + CHECKPOINT_EVERY,
            checkpoint_seq,
            records: Vec::new(),
            is_awaited: false,
            effects: Vec::new(),
        };
        if engine.ledger.globals.next_attempt > 0 {
            engine.lanes.start_empty(now);
        }
        let unfinished: Vec<JobId> = engine.unfinished().map(|job| job.id.clone()).collect();
        for job in unfinished {
            engine.take_up(&job);
        }
        engine.take_up_batches();
        engine
    }

    /// Keeps no more calls than this in flight, over all routes.
    pub fn with_most_calls(mut self, most: u32) -> Engine {
        self.lanes.most_calls = most;
        self
    }

    /// Handles one event and says what is to be done.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        self.set_clock(now);
        match event {
            Event::Routes(routes) => self.add_routes(routes),
            Event::Reloaded(routes) => self.reloaded(routes),
            Event::Accepted(job) => self.accepted(job),
            Event::Prompts(job, items) => self.prompts(&job, items),
            Event::Recorded(seq) => self.recorded(seq),
            Event::Ended(attempt, ending) => self.ended(attempt, ending),
            Event::Judged(attempt, verdict) => self.judged(attempt, verdict),
            Event::Batch(mark, news) => self.batch_news(mark, news),
            Event::PartCommitted(part) => self.record(Record::PartCommitted(part)),
            Event::PartsClosed(job) => self.parts_closed(job),
            Event::Command(job, change) => self.command(job, change),
            Event::ResetOdds(class) => self.reset_odds(class),
            Event::Forget(jobs) => self.forget(jobs),
            Event::Hold(hold) => self.hold(hold),
            Event::Budgets(limits) => self.set_limits(*limits),
            Event::Tick => self.tick(),
        }
        self.flush_records();
        std::mem::take(&mut self.effects)
    }

    /// The durable state.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether something waits for the records made since this was last asked to be durable: a call that has
    /// its place, a place that has no call, a person. Other records may wait for company on their way to the
    /// disk.
    pub fn awaits_records(&mut self) -> bool {
        std::mem::take(&mut self.is_awaited)
    }

    /// Attempts that were started and have not ended.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn unfinished(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.ledger.jobs().filter(|(_, state)| state.finished_at.is_none()).map(|(job, _)| job)
    }

    /// Time never runs backwards inside; a clock that was set back starts pauses and quotas anew.
    fn set_clock(&mut self, now: Timestamp) {
        if now + CLOCK_TOLERANCE < self.now {
            self.effects.push(Effect::Tell(Notice::ClockSetBack(self.now.since(now))));
            self.now = now;
            self.checkpoint_at = self.checkpoint_at.min(now + CHECKPOINT_EVERY);
            self.lanes.clock_set_back(now);
            self.groups.forget();
            self.hedges.clock_set_back();
            self.batches.clock_set_back(now);
            for queue in self.queues.values_mut() {
                queue.clock_set_back(now + Duration::from_secs(60));
            }
        }
        self.now = self.now.max(now);
        let day = self.today.day();
        self.today.turn(self.now);
        if self.today.day() != day {
            self.count_money_anew();
        }
    }

    fn add_routes(&mut self, routes: Vec<Arc<Route>>) {
        self.lanes.add(routes, self.now);
        self.plan_for_all();
    }

    fn accepted(&mut self, job: Arc<Job>) {
        if self.ledger.get(&job.id).is_some() {
            return;
        }
        let state = JobLedger::new(&job);
        let id = job.id.clone();
        self.ledger.add(job, state);
        self.take_up(&id);
    }

    /// Builds the queues of a job from its durable state.
    fn take_up(&mut self, id: &JobId) {
        let (job, state) = self.ledger.get(id).expect("the caller has just seen it");
        // A check that does not compile was refused at submit; one that no longer does accepts nothing
        // silently: its items are judged by `Rule::compile` again and fail with its message.
        let rule = job.options.check.as_ref().and_then(|check| Rule::compile(check).ok()).map(Arc::new);
        let mut queue = JobQueue::new(job.clone(), rule, &state.items);
        let batches = &self.ledger.globals.batches;
        let is_out = |open: &OpenAttempt| open.batch.is_some_and(|batch| batches.get(batch).is_some());
        for (&attempt, open) in state.open.iter().filter(|(_, open)| !is_out(open)) {
            queue.orphans.entry(open.item).or_default().push(attempt);
        }
        if !queue.orphans.is_empty() {
            self.effects.push(Effect::Read(id.clone(), queue.orphans.keys().copied().collect()));
        }
        let job = queue.job.clone();
        self.queues.insert(id.clone(), queue);
        self.plan_for(&job);
    }

    fn prompts(&mut self, job: &JobId, mut items: Vec<Arc<Item>>) {
        items.retain(|item| !self.settle_line(job, item));
        let Some(queue) = self.queues.get_mut(job) else { return };
        let (mut unknown, mut expired, mut copied) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let state = self.ledger.get(job).expect("a queue has a ledger").1.items.get(item.index);
            if queue.expiring.remove(&item.index) {
                expired.push(item);
                continue;
            }
            if let Some(answer) = queue.copies.take(&item) {
                copied.push((item, answer));
                continue;
            }
            match queue.orphans.remove(&item.index) {
                Some(attempts) => {
                    unknown.extend(attempts.into_iter().map(|attempt| (attempt, item.clone())));
                }
                None if state.is_final() => queue.not_wanted(&item, state.step()),
                None => queue.loaded(item, state.step()),
            }
        }
        for (attempt, item) in unknown {
            self.settle_orphan(job, attempt, item);
        }
        for (item, answer) in copied {
            self.settle_copy(job, &item, &answer);
        }
        for item in expired {
            self.expire_held(job, &item);
        }
    }

    fn command(&mut self, job: JobId, change: JobChange) {
        let Some(state) = self.ledger.get(&job).map(|(_, state)| state) else { return };
        if state.finished_at.is_some() {
            return;
        }
        let resumed = change == JobChange::Resumed;
        let stopped = matches!(change, JobChange::Paused | JobChange::Cancelled);
        let new_cap = matches!(change, JobChange::MaxCost(_));
        let held = if change.releases_held() { state.held() } else { Vec::new() };
        self.record(Record::Changed(job.clone(), change));
        if resumed {
            // The user says that what stopped is mended: shut doors are tried.
            self.lanes.knock(self.now);
            self.queues
                .values_mut()
                .flat_map(|queue| queue.steps.values_mut())
                .for_each(StepQueue::look_again);
        }
        let (queue, state) = self.queue_and_state(&job);
        if new_cap {
            queue.taught.count_money_anew();
        }
        for item in held {
            queue.released(item, state.items.get(item).step());
        }
        if stopped {
            self.withdraw_ready(Some(&job));
            self.withdraw_batches(Some(&job));
        }
    }

    fn hold(&mut self, hold: bool) {
        self.on_hold = hold;
        if hold {
            self.withdraw_ready(None);
            self.withdraw_batches(None);
        }
    }

    fn parts_closed(&mut self, job: JobId) {
        let open = self.ledger.get(&job).is_some_and(|(_, state)| state.finished_at.is_none());
        if open {
            let taught = self.taught(&job).map(Box::new);
            self.record(Record::Finished { job: job.clone(), at: self.now, taught });
            self.queues.remove(&job);
            self.schedule.forget(&job);
            self.effects.push(Effect::Tell(Notice::Finished(job)));
        }
    }

    fn tick(&mut self) {
        self.send_ready();
        self.replan();
        self.start();
        self.hedge();
        self.read_copies();
        self.read_expired_held();
        self.tend_batches();
        if let Some(most) = self.lanes.news_of_full() {
            self.effects.push(Effect::Tell(Notice::FewFiles(most)));
        }
        self.close_ended_jobs();
        self.checkpoint();
        let wake = self.next_wake();
        self.effects.push(Effect::Wake(wake));
    }

    fn close_ended_jobs(&mut self) {
        for (id, queue) in &mut self.queues {
            let (_, state) = self.ledger.get(id).expect("a queue has a ledger");
            let counts = state.counts();
            let is_over = !queue.closing && counts.ended() == counts.total() && state.open.is_empty();
            if is_over && !self.batches.has_any(id) {
                queue.closing = true;
                let state = Box::new(JobLedger { final_counts: Some(counts), ..state.without_items() });
                // Its rows must be ahead of it in the writer's queue.
                let records = std::mem::take(&mut self.records);
                if !records.is_empty() {
                    self.effects.push(Effect::Record(records));
                }
                self.effects.push(Effect::CloseParts(id.clone(), state));
            }
        }
    }

    fn checkpoint(&mut self) {
        if self.now < self.checkpoint_at || self.ledger.globals.seq == self.checkpoint_seq {
            return;
        }
        self.flush_records();
        let mut checkpoint = Checkpoint { snapshot: self.ledger.snapshot(), ..Checkpoint::default() };
        checkpoint.finished = self.ledger.take_finished();
        for (id, _) in &checkpoint.snapshot.jobs {
            let state = self.ledger.get_mut(id).expect("listed by the ledger itself");
            let chunks = state.items.take_dirty().into_iter();
            checkpoint.chunks.extend(chunks.map(|(number, states)| (id.clone(), number, states)));
        }
        self.checkpoint_seq = self.ledger.globals.seq;
        self.checkpoint_at = self.now + CHECKPOINT_EVERY;
        self.effects.push(Effect::Checkpoint(Box::new(checkpoint)));
    }

    /// The store removes only what a checkpoint has summed up.
    fn forget(&mut self, mut jobs: Vec<JobId>) {
        jobs.retain(|id| self.ledger.get(id).is_some_and(|(_, state)| state.finished_at.is_some()));
        self.checkpoint_at = self.checkpoint_at.min(self.now);
        self.checkpoint();
        for id in jobs {
            self.ledger.remove(&id);
            self.effects.push(Effect::Remove(id));
        }
    }

    fn next_wake(&self) -> Timestamp {
        let dirty = self.ledger.globals.seq != self.checkpoint_seq;
        let checkpoint = if dirty { self.checkpoint_at } else { Timestamp::MAX };
        let queues = self.queues.values().flat_map(|queue| queue.steps.values());
        let parked = queues.flat_map(|step| {
            let parked = step.parked.as_ref().and_then(|parked| parked.until);
            [parked, step.next_due(self.now)].into_iter().flatten()
        });
        let waits = |id: &JobId| self.ledger.get(id).is_some_and(|(_, state)| state.counts().held > 0);
        let deadlines = self.queues.iter().filter(|(id, queue)| !queue.is_idle() || waits(id));
        let deadlines =
            deadlines.flat_map(|(_, queue)| queue.job.classes.iter().filter_map(|class| class.deadline));
        let later = parked.chain(deadlines).filter(|&at| at > self.now).min().unwrap_or(Timestamp::MAX);
        let batches = if self.on_hold { Timestamp::MAX } else { self.batches.next_look() };
        let looks = batches.min(self.look_at());
        later.min(checkpoint).min(self.lanes.next_change(self.now)).min(self.replan_at()).min(looks)
    }

    /// Writes a record down and, in the same step, lets it change the state: the only way it changes.
    fn record(&mut self, record: Record) {
        // Attempts come and go; their own rules say when one of them is waited for.
        self.is_awaited |= !matches!(record, Record::Started(_) | Record::Ended(_));
        self.ledger.apply(&record);
        self.records.push(record);
    }

    fn flush_records(&mut self) {
        if !self.records.is_empty() {
            let records = std::mem::take(&mut self.records);
            self.effects.push(Effect::Record(records));
        }
    }

    /// What earlier answers taught of a job's tokens.
    fn known(&self, job: &JobId) -> Known<'_> {
        let class = self.queues.get(job).map_or("", |queue| &*queue.class);
        Known { estimates: &self.ledger.globals.estimates, class }
    }

    fn queue_and_state(&mut self, job: &JobId) -> (&mut JobQueue, &mut JobLedger) {
        let queue = self.queues.get_mut(job).expect("an unfinished job has a queue");
        let state = self.ledger.get_mut(job).expect("a queue has a ledger");
        (queue, state)
    }
}
