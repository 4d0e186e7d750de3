//! The virtual driver: the same engine on a clock that jumps from event to event.
//!
//! Providers are simulated, the store is in memory, a night takes a moment. Rehearsals run it without
//! faults to forecast cost and finish time; tests run it with faults and cut the power at any write, and
//! over a store on disk for nights that follow one another.
//!
//! Pure over a store in memory: everything follows from the jobs, the routes and the simulator's seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::batches::Drafts;
use crate::attempt::Ending;
use crate::batch::Mark;
use crate::catalog::Route;
use crate::check::Verdict;
use crate::clock::Timestamp;
use crate::engine::{BatchNews, Effect, Engine, Event, Notice};
use crate::job::{AttemptId, Item, Job, JobId};
use crate::ledger::{JobLedger, Ledger};
use crate::provider::simulated::Simulated;
use crate::record::{PartCommitted, Record, Seq};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError};

/// More than any way to a moment takes.
const MOST_STEPS: u32 = 200_000;

/// Where durable rows go.
pub trait Rows {
    /// Whether rows are wanted at all.
    const WANTED: bool;

    /// A job whose rows will come; those up to `committed_to` are in its first `parts` already.
    fn add(&mut self, job: &Arc<Job>, parts: u32, committed_to: Seq);
    /// A durable record, in the order of the journal.
    fn push(&mut self, seq: Seq, record: &Record);
    /// Commits what a job has open.
    fn close(&mut self, job: &JobId, now: Timestamp) -> Option<PartCommitted>;
    /// A job is over.
    fn finish(&mut self, job: &JobId, state: &JobLedger);
}

/// Rows that nobody reads.
#[derive(Debug, Default)]
pub struct NoRows;

impl Rows for NoRows {
    const WANTED: bool = false;

    fn add(&mut self, _: &Arc<Job>, _: u32, _: Seq) {}
    fn push(&mut self, _: Seq, _: &Record) {}
    fn close(&mut self, _: &JobId, _: Timestamp) -> Option<PartCommitted> {
        None
    }
    fn finish(&mut self, _: &JobId, _: &JobLedger) {}
}

/// The machine went down; see [`Night::restart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut;

/// One machine, its store, its providers and its clock.
pub struct Night<R: Rows, S: Store = MemoryStore> {
    /// What decides.
    pub engine: Engine,
    /// What is kept.
    pub store: S,
    /// What answers, with its own ledger.
    pub provider: Simulated,
    /// What is read in the morning.
    pub rows: R,
    /// What the engine told.
    pub notices: Vec<Notice>,
    /// How long a sync takes.
    pub sync_time: Duration,
    /// Cut the power before this write, counted from 1 over the whole night.
    pub cut_at: Option<u64>,
    /// Writes so far.
    pub writes: u64,
    /// How far the machine's clock is off the true one, in microseconds: it may jump.
    pub clock_error: i64,
    routes: Vec<Arc<Route>>,
    now: Timestamp,
    timeline: BTreeMap<(Timestamp, u64), Happening>,
    order: u64,
    wake: Timestamp,
    sync_due: bool,
    unsynced: VecDeque<Record>,
    durable: Seq,
    drafts: Drafts,
}

enum Happening {
    Synced,
    Recorded(Seq),
    Prompts(JobId, Vec<Arc<Item>>),
    Ended(AttemptId, Box<Ending>),
    Judged(AttemptId, Verdict),
    Batch(Mark, Box<BatchNews>),
    PartCommitted(PartCommitted),
    PartsClosed(JobId),
}

impl<R: Rows> Night<R> {
    /// An empty store at `now`.
    pub fn new(routes: Vec<Arc<Route>>, provider: Simulated, rows: R, now: Timestamp) -> Night<R> {
        Night::over(MemoryStore::default(), routes, provider, rows, now).expect("an empty store recovers")
    }

    /// Accepts a job: its prompts are durable when this returns.
    pub fn submit(&mut self, job: Arc<Job>, items: Vec<Arc<Item>>) -> Result<(), PowerCut> {
        self.store.stage(job.clone(), items);
        self.write()?;
        self.store.accept(&job).expect("a staged job is accepted");
        self.accepted(job)
    }

    /// Starts again after a power cut: calls in flight are lost, `keep_unsynced` records that were not
    /// synced survive by luck, the index may be gone.
    pub fn restart(&mut self, keep_unsynced: usize, lose_index: bool) {
        self.store.power_cut(keep_unsynced);
        if lose_index {
            self.store.lose_index();
        }
        self.timeline.clear();
        self.unsynced.clear();
        self.drafts.forget();
        self.sync_due = false;
        let ledger = self.take_up().expect("a store that lost its power recovers");
        let seen = self.seen_now();
        self.engine = Engine::new(self.routes.clone(), ledger, seen);
        self.wake = seen;
    }
}

impl<R: Rows, S: Store> Night<R, S> {
    /// Takes up at `now` what a store holds.
    pub fn over(
        store: S,
        routes: Vec<Arc<Route>>,
        provider: Simulated,
        rows: R,
        now: Timestamp,
    ) -> Result<Night<R, S>, StoreError> {
        let mut night = Night {
            engine: Engine::new(Vec::new(), Ledger::default(), now),
            store,
            provider,
            rows,
            notices: Vec::new(),
            sync_time: Duration::ZERO,
            cut_at: None,
            writes: 0,
            clock_error: 0,
            routes,
            now,
            timeline: BTreeMap::new(),
            order: 0,
            wake: now,
            sync_due: false,
            unsynced: VecDeque::new(),
            durable: 0,
            drafts: Drafts::default(),
        };
        let ledger = night.take_up()?;
        night.engine = Engine::new(night.routes.clone(), ledger, now);
        Ok(night)
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Takes up a job whose prompts are durable.
    pub fn accepted(&mut self, job: Arc<Job>) -> Result<(), PowerCut> {
        self.rows.add(&job, 0, 0);
        self.event(Event::Accepted(job))
    }

    /// Brings the engine an event of the user's.
    pub fn event(&mut self, event: Event) -> Result<(), PowerCut> {
        for effect in self.engine.handle(self.seen_now(), event) {
            self.carry_out(effect)?;
        }
        Ok(())
    }

    /// Goes on to the next moment at which something happens; `false` when nothing ever will.
    pub fn step(&mut self) -> Result<bool, PowerCut> {
        let next = self.next();
        if next >= Timestamp::from_micros(Timestamp::MAX.micros() / 2) {
            return Ok(false);
        }
        self.now = self.now.max(next);
        while let Some(entry) = self.timeline.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let happening = entry.remove();
            self.happen(happening)?;
        }
        self.event(Event::Tick)?;
        Ok(true)
    }

    /// Steps until all jobs are over, nothing is left to happen, or `latest` is reached.
    pub fn run_until(&mut self, latest: Timestamp) -> Result<(), PowerCut> {
        while self.now < latest && !self.is_over() && self.step()? {}
        Ok(())
    }

    /// Goes on to a moment, doing all that happens until then.
    pub fn advance(&mut self, to: Timestamp) -> Result<(), PowerCut> {
        let mut steps = 0;
        while self.next() <= to && self.step()? {
            steps += 1;
            assert!(steps < MOST_STEPS, "I19: it is woken for nothing, at {}", self.now);
        }
        self.now = self.now.max(to);
        Ok(())
    }

    /// The machine is asleep until then: what happens meanwhile is noticed when it wakes.
    pub fn sleep(&mut self, until: Timestamp) {
        self.now = self.now.max(until);
    }

    fn next(&self) -> Timestamp {
        // The engine names its times by the machine's clock.
        let wake = Timestamp::from_micros(self.wake.micros() - self.clock_error);
        let next = self.timeline.first_key_value().map(|(&(at, _), _)| at);
        next.unwrap_or(Timestamp::MAX).min(wake)
    }

    /// Whether every job is over.
    pub fn is_over(&self) -> bool {
        self.engine.ledger().jobs().all(|(_, state)| state.finished_at.is_some())
    }

    /// Recovers the store, and brings the rows that are not in any part yet.
    fn take_up(&mut self) -> Result<Ledger, StoreError> {
        let ledger = self.store.recover()?;
        self.durable = ledger.globals.seq;
        let mut from = None;
        for (job, state) in ledger.jobs().filter(|(_, state)| state.finished_at.is_none()) {
            self.rows.add(job, state.parts, state.committed_to);
            from = Some(from.unwrap_or(state.committed_to).min(state.committed_to));
        }
        if let Some(from) = from {
            let rows = &mut self.rows;
            self.store.replay(from, &mut |seq, record| rows.push(seq, &record))?;
        }
        Ok(ledger)
    }

    fn seen_now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.micros() + self.clock_error)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), PowerCut> {
        let event = match happening {
            Happening::Synced => return self.sync(),
            Happening::Recorded(seq) => Event::Recorded(seq),
            Happening::Prompts(job, items) => Event::Prompts(job, items),
            Happening::Ended(attempt, ending) => Event::Ended(attempt, *ending),
            Happening::Judged(attempt, verdict) => Event::Judged(attempt, verdict),
            Happening::Batch(mark, news) => Event::Batch(mark, *news),
            Happening::PartCommitted(part) => Event::PartCommitted(part),
            Happening::PartsClosed(job) => Event::PartsClosed(job),
        };
        self.event(event)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), PowerCut> {
        match effect {
            Effect::Record(records) => {
                self.write()?;
                self.store.append(&records).expect("the store takes what is appended");
                if R::WANTED {
                    self.unsynced.extend(records);
                }
                if !self.sync_due {
                    self.sync_due = true;
                    self.later(self.sync_time, Happening::Synced);
                }
            }
            Effect::Send(call) => {
                let (latency, mut ending) = self.provider.outcome(self.now, &call);
                ending.sent_at = Timestamp::from_micros(self.now.micros() + self.clock_error);
                self.later(latency, Happening::Ended(call.attempt, Box::new(ending)));
            }
            Effect::Cancel(attempt) => self
                .timeline
                .retain(|_, happening| !matches!(happening, Happening::Ended(of, _) if *of == attempt)),
            Effect::Batch(ask) => {
                let mark = ask.mark;
                let answer = self.drafts.carry_out(&mut self.provider, self.now, ask);
                if let Some((delay, news)) = answer {
                    self.later(delay, Happening::Batch(mark, Box::new(news)));
                }
            }
            Effect::Read(job, items) => {
                let items = self.store.read(&job, &items).expect("accepted items can be read");
                self.later(Duration::ZERO, Happening::Prompts(job, items));
            }
            Effect::Judge(attempt, ..) => {
                self.later(Duration::from_millis(50), Happening::Judged(attempt, Verdict::Pass));
            }
            Effect::CloseParts(job, state) => {
                self.sync_first()?;
                self.write()?;
                if let Some(part) = self.rows.close(&job, self.now) {
                    self.later(Duration::ZERO, Happening::PartCommitted(part));
                }
                self.write()?;
                self.rows.finish(&job, &state);
                self.later(Duration::ZERO, Happening::PartsClosed(job));
            }
            Effect::Checkpoint(checkpoint) => {
                self.sync_first()?;
                self.write()?;
                match self.store.checkpoint(&checkpoint) {
                    Ok(()) => {}
                    Err(StoreError::DiskFull(_)) => return Ok(()),
                    Err(error) => {
                        panic!("I17: the index takes a checkpoint of what is written down: {error}")
                    }
                }
            }
            Effect::Remove(job) => {
                self.store.remove_job(&job).expect("a checkpoint behind its end was taken");
            }
            Effect::Wake(at) => self.wake = at,
            Effect::Tell(notice) => self.notices.push(notice),
        }
        Ok(())
    }

    /// Makes everything durable and brings the news at once.
    fn sync(&mut self) -> Result<(), PowerCut> {
        let durable = self.make_durable()?;
        self.event(Event::Recorded(durable))
    }

    /// Makes everything durable in the midst of other effects: the news must wait until these are carried
    /// out, because what the engine writes down on it belongs behind them.
    fn sync_first(&mut self) -> Result<(), PowerCut> {
        let durable = self.make_durable()?;
        self.later(Duration::ZERO, Happening::Recorded(durable));
        Ok(())
    }

    fn make_durable(&mut self) -> Result<Seq, PowerCut> {
        self.sync_due = false;
        self.write()?;
        let durable = self.store.sync().expect("the store syncs");
        for record in std::mem::take(&mut self.unsynced) {
            self.durable += 1;
            self.rows.push(self.durable, &record);
        }
        self.durable = durable;
        Ok(durable)
    }

    fn later(&mut self, delay: Duration, happening: Happening) {
        self.order += 1;
        self.timeline.insert((self.now + delay, self.order), happening);
    }

    /// Counts a write; the power may go before it.
    fn write(&mut self) -> Result<(), PowerCut> {
        self.writes += 1;
        if self.cut_at == Some(self.writes) { Err(PowerCut) } else { Ok(()) }
    }
}
