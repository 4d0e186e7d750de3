//! Provider batches: what goes into one, when it is made, looked after and taken back, and what its lines mean.
//!
//! The planner says how many lines of a queue wait in batches; the rest happens here.
//!
//! ```text
//!  order ─► fill ──► Record(BatchIntended) ──durable──► Create ──► Record(BatchMade) ──► Look ◄─┐
//!   each line: Record(Started), Add      │                 │ lost        ▲                 │ └─ not over
//!                                        └── restart ──────┴──► Find ────┘ This            ▼ over
//!                                                                 │ Nothing, 5 times Collect a page ◄─┐
//!                                                                 ▼                        ▼          │
//!                                              nothing has run, close        its lines end as calls do│
//!                                                                            Record(BatchRead) ───────┘
//!                                                                            last: Record(BatchClosed)
//! ```
//!
//! An attempt in a batch is an open attempt of the ledger and nothing else: its item's body is not kept. When
//! its end is known, the item is read again, a page at a time, and judged, billed and decided on like any other.
//!
//! Rules:
//! - *No batch is made twice, and none under a name that was used.* One that may exist is looked for; when
//!   five searches, a minute apart, find nothing, its attempts end as never sent and their items are free for
//!   another. So no draft has to outlive the process.
//! - *A page of results is written down before the next is asked for*, its cursor behind its lines.
//! - *What is left at a provider is deleted when nothing of it can be needed again*: the end of every line is
//!   durable by then. Whoever dies between the two leaves files there until they expire.
//! - *What has no line has not run*; a line of somebody else, and a second one of ours, settle nothing.
//! - A batch holds lines of one queue, so that the planner can take it back. What is out is limited to
//!   [`MOST_LINES`], because every checkpoint holds every open attempt.
//!
//! What is learned of a lane (how long its batches take, what it refuses) is kept in memory only.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::problem::Key;
use super::{Call, Effect, Engine};
use crate::attempt::Outcome;
use crate::batch::{AskError, BatchRef, CreateError, Cursor, Found, Line, Mark, Search, Status};
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, ItemIndex, JobId, Wire};
use crate::ledger::OpenBatch;
use crate::plan::schedule::DoneBy;
use crate::record::Seq;

mod care;
mod fill;
mod gate;
mod lines;

use fill::Filling;
pub(super) use gate::BatchGate;

/// Lines that may be out in batches together.
pub const MOST_LINES: u64 = 50_000;

/// The first pause of a lane that did not take a batch, and the longest.
const REST: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// Something to be done about one batch.
#[derive(Debug)]
pub struct BatchAsk {
    /// Which.
    pub mark: Mark,
    /// Its route.
    pub route: Arc<Route>,
    /// What.
    pub what: BatchWork,
}

/// What is to be done about a batch. `Create`, `Find`, `Look` and `Collect` are answered by
/// [`super::Event::Batch`]; of `Add` there is news where it fails.
#[derive(Debug)]
pub enum BatchWork {
    /// Put this request into its draft; only where that fails is there news.
    Add(Box<Call>),
    /// Forget its draft.
    Drop,
    /// Make it. Emitted only after its intent is durable.
    Create,
    /// Look for it, because whether it was made is not known.
    Find(Box<Search>),
    /// See how it stands.
    Look(BatchRef),
    /// Give it up; how it ends shows when it is looked at.
    Cancel(BatchRef),
    /// Read the next page of its results, behind the cursor.
    Collect(Box<Status>, Cursor),
    /// Delete what it left at its provider. Emitted only when the end of every line is durable.
    Clear(BatchRef),
    /// Delete what it left there although it was never made.
    ClearUnmade(Wire),
}

/// What came of it.
#[derive(Debug)]
pub enum BatchNews {
    /// A request did not go into the draft, and why.
    NotAdded(AttemptId, String),
    /// It was to be made.
    Created(Result<BatchRef, CreateError>),
    /// It was looked for.
    Found(Result<Found, AskError>),
    /// It was looked at.
    Looked(Result<Status, AskError>),
    /// A page of its results.
    Collected {
        /// Its lines.
        lines: Vec<Line>,
        /// Behind the last of them.
        cursor: Cursor,
        /// Whether these were the last, or what broke off there.
        end: Result<bool, AskError>,
    },
}

/// All batches, from the first line on.
#[derive(Default)]
pub(super) struct Batches {
    /// Those that take lines, by queue.
    filling: BTreeMap<(JobId, Key), Filling>,
    /// Those that take no more, by number.
    open: BTreeMap<u64, Batch>,
    /// What is known of lanes, by route.
    lanes: BTreeMap<Arc<str>, BatchLane>,
    /// Attempts whose end is known and whose items are being read.
    reading: BTreeMap<(JobId, ItemIndex), (AttemptId, LineEnd)>,
    /// Items that are read to learn what those of their class are like, because all of them are out.
    samples: BTreeSet<(JobId, ItemIndex)>,
    /// Items that could not be put into a batch: they go one by one.
    barred: BTreeSet<(JobId, ItemIndex)>,
    /// What is over is cleared away when the records up to here are durable.
    leaving: VecDeque<(Seq, BatchAsk)>,
}

/// A batch that takes no more lines.
struct Batch {
    job: JobId,
    key: Key,
    route: Arc<Route>,
    mark: Mark,
    len: u64,
    tokens: u64,
    intended_at: Timestamp,
    made: Option<BatchRef>,
    cursor: Cursor,
    /// As it stood when its results could be read.
    results: Option<Box<Status>>,
    stage: Stage,
    /// Asked about; the news are on their way.
    is_asked: bool,
    /// When to ask again.
    look_at: Timestamp,
    /// Questions in a row that had no answer.
    failures: u32,
    /// Searches in a row that found nothing.
    searches: u32,
    /// When results were first gone.
    first_gone: Option<Timestamp>,
    /// When it was first seen to be over.
    ended_at: Option<Timestamp>,
    /// Whether its lines are wanted back.
    is_recalled: bool,
    was_cancelled: bool,
    /// The share of its lines that is done, as the provider says.
    done: f64,
    /// Attempts of which no line was seen.
    out: BTreeMap<AttemptId, ItemIndex>,
    /// Those whose end is known, to be written down.
    due: VecDeque<(AttemptId, ItemIndex, LineEnd)>,
    /// Those that are being read, or judged by a command.
    page: BTreeSet<AttemptId>,
    /// Lines that did not run.
    not_run: u64,
    /// Lines that were nobody's, and lines that came twice.
    odd: (u64, u64),
}

/// Where a batch is.
enum Stage {
    /// Its intent is on the way to the disk.
    Recording(u64),
    /// Whether it exists is not known.
    Lost,
    /// It exists.
    Made,
    /// The end of its lines is being written down; what comes then.
    Settling(Then),
}

/// What follows when all known ends of a batch are written down.
enum Then {
    /// The next page.
    Collect,
    /// It is looked at again.
    Look,
    /// It is over.
    Close,
}

/// How an attempt in a batch ended.
enum LineEnd {
    /// As a call does.
    Ran(Box<Outcome>),
    /// It was in a batch and did not run.
    NotRun(String),
    /// The batch never was.
    NotSent(String),
}

/// What is known of a route that takes batches.
#[derive(Default)]
struct BatchLane {
    rests_until: Option<Timestamp>,
    rests: u32,
    /// Lines in a batch, where one was too large.
    most_lines: Option<u64>,
    done_by: DoneBy,
}

/// What of a batch concerns the planner.
pub(super) struct Out<'a> {
    pub route: &'a str,
    pub lines: u64,
    pub sent_at: Timestamp,
    pub done: f64,
}

impl Batches {
    /// Those of a queue.
    pub(super) fn of_queue<'a>(
        &'a self,
        job: &'a JobId,
        key: Key,
    ) -> impl Iterator<Item = (u64, Out<'a>)> + 'a {
        let filling = self.filling.get(&(job.clone(), key)).map(|part| (part.number, part.out()));
        let open = self.open.iter().filter(move |(_, batch)| batch.job == *job && batch.key == key);
        open.map(|(&number, batch)| (number, batch.out())).chain(filling)
    }

    /// Whether lines of a class are out.
    pub(super) fn is_out(&self, job: &JobId, class: u16) -> bool {
        let is_it = |of: &JobId, key: Key| of == job && key.0 == class;
        self.filling.keys().any(|(of, key)| is_it(of, *key))
            || self.open.values().any(|batch| is_it(&batch.job, batch.key))
    }

    /// Whether any is of a job.
    pub(super) fn has_any(&self, job: &JobId) -> bool {
        self.filling.keys().any(|(of, _)| of == job) || self.open.values().any(|batch| batch.job == *job)
    }

    /// When a lane takes batches again.
    pub(super) fn rests_until(&self, route: &str) -> Option<Timestamp> {
        self.lanes.get(route)?.rests_until
    }

    /// When batches of a route are done.
    pub(super) fn done_by(&self, route: &str) -> DoneBy {
        self.lanes.get(route).map(|lane| lane.done_by).unwrap_or_default()
    }

    /// Lets a lane rest: as long as the provider asks, or a little longer every time.
    fn rest(&mut self, route: &Arc<str>, now: Timestamp, wait: Option<Duration>) {
        let lane = self.lanes.entry(route.clone()).or_default();
        let (first, longest) = REST;
        let pause = wait.unwrap_or_else(|| (first * 2u32.pow(lane.rests.min(6))).min(longest));
        lane.rests += 1;
        lane.rests_until = Some(now + pause);
    }

    fn lines(&self) -> u64 {
        let open: u64 = self.open.values().map(Batch::lines).sum();
        open + self.filling.values().map(|part| part.lines()).sum::<u64>()
    }

    /// When something is to be asked.
    pub(super) fn next_look(&self) -> Timestamp {
        let waits = |batch: &&Batch| !batch.is_asked && matches!(batch.stage, Stage::Lost | Stage::Made);
        self.open.values().filter(waits).map(|batch| batch.look_at).min().unwrap_or(Timestamp::MAX)
    }

    /// The clock was set back: what is to be asked is asked now.
    pub(super) fn clock_set_back(&mut self, now: Timestamp) {
        for batch in self.open.values_mut() {
            batch.look_at = now;
            batch.searches = 0;
            for at in [&mut batch.first_gone, &mut batch.ended_at] {
                *at = at.map(|at| at.min(now));
            }
        }
        for lane in self.lanes.values_mut() {
            lane.rests_until = None;
        }
    }
}

impl Batch {
    fn lines(&self) -> u64 {
        (self.out.len() + self.due.len() + self.page.len()) as u64
    }

    fn out(&self) -> Out<'_> {
        // What is over or on its way back is not to be taken back again.
        let is_coming = self.is_recalled || self.ended_at.is_some();
        let done = if is_coming { 1.0 } else { self.done };
        Out { route: &self.route.name, lines: self.lines(), sent_at: self.intended_at, done }
    }
}

impl Engine {
    /// Takes up what an earlier process left: what is known to exist is looked at, the rest is looked for.
    pub(super) fn take_up_batches(&mut self) {
        let open: Vec<(u64, OpenBatch)> =
            self.ledger.globals.batches.iter().map(|(number, batch)| (number, batch.clone())).collect();
        for (number, left) in open {
            let OpenBatch { job, class, step, route, len, at, made, cursor, .. } = left;
            let state = self.ledger.get(&job).map(|(_, state)| state);
            let attempts = state.into_iter().flat_map(|state| &state.open);
            let out: BTreeMap<AttemptId, ItemIndex> = attempts
                .filter(|(_, open)| open.batch == Some(number))
                .map(|(&attempt, open)| (attempt, open.item))
                .collect();
            self.sample(&job, (class, step), out.values().next().copied());
            let lane = self.lanes.find(&route);
            let route = match lane {
                Some(lane) => self.lanes.get(lane).route.clone(),
                None => Arc::new(Route::gone(&route)),
            };
            let mark = self.ledger.globals.batches.mark(number, &job);
            let stage = match &made {
                // Every end is written down; only that it is over is not.
                _ if out.is_empty() => Stage::Settling(Then::Close),
                Some(_) => Stage::Made,
                None => Stage::Lost,
            };
            let batch =
                Batch { made, cursor, stage, ..Batch::new(job, (class, step), route, mark, len, at, out) };
            self.batches.open.insert(number, batch);
        }
    }

    /// Reads one item of a queue that may have nothing else to do, so that it is planned.
    fn sample(&mut self, job: &JobId, (class, step): Key, item: Option<ItemIndex>) {
        let (Some(queue), Some(item)) = (self.queues.get_mut(job), item) else { return };
        queue.step(class, step);
        if self.batches.samples.insert((job.clone(), item)) {
            self.effects.push(Effect::Read(job.clone(), vec![item]));
        }
    }

    /// Batches are looked after: what is due is asked, and what is known is written down.
    pub(super) fn tend_batches(&mut self) {
        self.close_parts();
        let numbers: Vec<u64> = self.batches.open.keys().copied().collect();
        for number in numbers {
            self.take_back_unwanted(number);
            self.settle_page(number);
            self.go_on(number);
            self.look(number);
        }
    }

    /// The planner wants the lines of these back.
    pub(super) fn recall(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(batch) = self.batches.open.get_mut(number) {
                batch.is_recalled = true;
            }
        }
        let is_recalled = |part: &Filling| numbers.contains(&part.number);
        let parts = self.batches.filling.iter().filter(|(_, part)| is_recalled(part));
        let parts: Vec<_> = parts.map(|(queue, _)| queue.clone()).collect();
        for queue in parts {
            self.abandon_part(&queue, "its lines were wanted back");
        }
    }

    /// Takes back what is not made yet: of one job, or of all.
    pub(super) fn withdraw_batches(&mut self, job: Option<&JobId>) {
        let is_it = |of: &JobId| job.is_none_or(|job| of == job);
        let why = "the job was stopped";
        let parts: Vec<_> = self.batches.filling.keys().filter(|(of, _)| is_it(of)).cloned().collect();
        for queue in parts {
            self.abandon_part(&queue, why);
        }
        let is_not_made = |batch: &Batch| {
            matches!(batch.stage, Stage::Recording(_)) && !batch.is_asked && is_it(&batch.job)
        };
        let open = self.batches.open.iter().filter(|(_, batch)| is_not_made(batch));
        let numbers: Vec<u64> = open.map(|(&number, _)| number).collect();
        for number in numbers {
            self.ask_batch(number, BatchWork::Drop);
            self.never_was(number, why);
        }
    }

    fn ask_batch(&mut self, number: u64, what: BatchWork) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        batch.is_asked = matches!(
            what,
            BatchWork::Create | BatchWork::Find(_) | BatchWork::Look(_) | BatchWork::Collect(..)
        );
        let ask = BatchAsk { mark: batch.mark, route: batch.route.clone(), what };
        self.effects.push(Effect::Batch(ask));
    }

    /// Whether an item could not be put into a batch before.
    fn is_barred(&self, job: &JobId, item: &Item) -> bool {
        !self.batches.barred.is_empty() && self.batches.barred.contains(&(job.clone(), item.index))
    }
}

impl Batch {
    fn new(
        job: JobId,
        key: Key,
        route: Arc<Route>,
        mark: Mark,
        len: u64,
        intended_at: Timestamp,
        out: BTreeMap<AttemptId, ItemIndex>,
    ) -> Batch {
        Batch {
            job,
            key,
            route,
            mark,
            len,
            tokens: 0,
            intended_at,
            made: None,
            cursor: Cursor::default(),
            results: None,
            stage: Stage::Lost,
            is_asked: false,
            look_at: Timestamp::default(),
            failures: 0,
            searches: 0,
            first_gone: None,
            ended_at: None,
            is_recalled: false,
            was_cancelled: false,
            done: 0.0,
            out,
            due: VecDeque::new(),
            page: BTreeSet::new(),
            not_run: 0,
            odd: (0, 0),
        }
    }
}
