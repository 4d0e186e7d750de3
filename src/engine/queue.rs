//! Which item of a job is next: queues by class and step, filled from the store a page at a time.
//!
//! Items that only wait exist as two bytes in the ledger. A [`StepQueue`] walks over them with a
//! cursor and holds a bounded page of loaded ones; what does not fit is forgotten and found again by
//! a later walk. So memory follows what is in flight, not what is queued.
//!
//! Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::budgets::TagLists;
use super::copies::Copies;
use super::groups::Alike;
use super::odds::{Lessons, Models};
use crate::catalog::Route;
use crate::check::Rule;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Body, Item, ItemIndex, Job};
use crate::ledger::{ItemStates, Phase};
use crate::plan::estimate::class_of;
use crate::view::Waiting;

/// Most items a queue holds loaded.
const READ_AHEAD_ITEMS: usize = 512;
/// Most bytes of them, by the job's average line.
const READ_AHEAD_BYTES: u64 = 16 << 20;
/// Items a queue takes in beyond its page, when attempts fail faster than others are started.
const OVERFLOW: usize = 4 * READ_AHEAD_ITEMS;
/// Classes whose typical item keeps its body.
const MOST_BODIES: usize = 32;
/// Items that wait out a pause in one queue; more are found again by the cursor.
const MOST_LATER: usize = 65_536;

/// The queues of one job.
pub(super) struct JobQueue {
    /// The job.
    pub job: Arc<Job>,
    /// Its own check, compiled; an item may bring another.
    pub rule: Option<Arc<Rule>>,
    /// Tags of its items, whose money counts in the budgets of these tags.
    pub tags: TagLists,
    /// One queue for each class and step that has seen an item.
    pub steps: BTreeMap<(u16, u8), StepQueue>,
    /// Attempts a former process left open: their outcome is unknown.
    pub orphans: BTreeMap<ItemIndex, Vec<AttemptId>>,
    /// Items that get the answer of another.
    pub copies: Copies,
    /// Held items that are being read because their deadline passed.
    pub expiring: BTreeSet<ItemIndex>,
    /// Whether its last part was asked for.
    pub closing: bool,
    /// What items of each class are like, as far as any were loaded.
    pub typical: BTreeMap<u16, Typical>,
    /// How fast its items end.
    pub pace: Pace,
    /// Whose answers teach of its own.
    pub class: Arc<str>,
    /// What checks have taught of its models.
    pub taught: Lessons,
    /// Items of each class in line order; empty where there is one class.
    members: Vec<Vec<ItemIndex>>,
    page: usize,
}

/// What items of a class are like.
#[derive(Clone)]
pub(super) struct Typical {
    /// The first that was loaded. Its body says whether a route of another format takes such items; of the
    /// classes beyond [`MOST_BODIES`], which are planned last if at all, it is not kept.
    pub item: Item,
    items: u64,
    input: u64,
}

impl Typical {
    fn of(item: &Item, keeps_body: bool) -> Typical {
        // A copy: the original is a piece of a whole page.
        let json = if keeps_body { Bytes::copy_from_slice(&item.body.json) } else { Bytes::new() };
        let body = Body { json, model_at: item.body.model_at.filter(|_| keeps_body) };
        Typical { item: Item { body, ..item.clone() }, items: 0, input: 0 }
    }

    fn add(&mut self, item: &Item) {
        self.items += 1;
        self.input += u64::from(item.input_tokens);
    }

    /// Input tokens of those that were loaded, by our own count.
    pub(super) fn mean_input(&self) -> f64 {
        self.input as f64 / self.items.max(1) as f64
    }
}

/// Items of one class on one step.
#[derive(Default)]
pub(super) struct StepQueue {
    /// Loaded, in the order they will be started.
    pub ready: VecDeque<Arc<Item>>,
    /// Why the first of them waits, until when, and in words.
    pub parked: Option<Parked>,
    /// Pending items of this class and step.
    pub pending: u32,
    /// Beginnings that several of those ready share; `None` until they are looked at.
    pub alike: Option<HashMap<u32, Alike>>,
    /// The routes of its step, with the places of their models in the job's tally.
    pub models: Option<(Arc<[Arc<Route>]>, Models)>,
    /// Waiting out a pause.
    later: BinaryHeap<Reverse<(Timestamp, ItemIndex)>>,
    /// Asked for, not yet here.
    loading: usize,
    /// Where the walk stands; `None` when there is nothing to find.
    cursor: Option<usize>,
    /// Something behind the cursor was forgotten.
    forgotten: bool,
    /// What items wait for that were forgotten on purpose, until something else is forgotten or the user
    /// acts: what they lack does not come by itself.
    aside: Option<Parked>,
}

/// Why a queue waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    pub waiting: Waiting,
    pub until: Option<Timestamp>,
    pub words: Option<String>,
}

impl JobQueue {
    /// Over all pending items of a job, whatever became of it before.
    pub(super) fn new(job: Arc<Job>, rule: Option<Arc<Rule>>, states: &ItemStates) -> JobQueue {
        let mut members = Vec::new();
        if !job.class_of.is_empty() {
            members.resize(job.classes.len(), Vec::new());
            for (item, &class) in job.class_of.iter().enumerate() {
                members[usize::from(class)].push(item as ItemIndex);
            }
        }
        let average = (job.source.bytes / u64::from(job.n_items.max(1))).max(1);
        let page = (READ_AHEAD_BYTES / average).clamp(4, READ_AHEAD_ITEMS as u64) as usize;
        let class = class_of(&job).into();
        let mut queue = JobQueue {
            copies: Copies::new(&job.copies, states),
            tags: TagLists::new(&job.options.tags),
            job,
            rule,
            steps: BTreeMap::new(),
            orphans: BTreeMap::new(),
            expiring: BTreeSet::new(),
            closing: false,
            typical: BTreeMap::new(),
            pace: Pace::default(),
            class,
            taught: Lessons::default(),
            members,
            page,
        };
        for (item, state) in states.iter().enumerate() {
            if state.phase() == Phase::Pending {
                let class = queue.job.class_index(item as ItemIndex);
                let step = queue.step(class, state.step());
                step.pending += 1;
                step.cursor = Some(0);
            }
        }
        queue
    }

    /// The queue of a class and step.
    pub(super) fn step(&mut self, class: u16, step: u8) -> &mut StepQueue {
        self.steps.entry((class, step)).or_default()
    }

    /// What to load next for one queue, marked as queued.
    pub(super) fn refill(
        &mut self,
        key: (u16, u8),
        now: Timestamp,
        states: &mut ItemStates,
    ) -> Vec<ItemIndex> {
        let queue = self.steps.get_mut(&key).expect("the caller took the key from the map");
        let held = queue.ready.len() + queue.loading;
        // Half a page at a time keeps reads large; an empty queue does not wait for that.
        if held > self.page / 2 {
            return Vec::new();
        }
        let mut items = Vec::new();
        while items.len() + held < self.page {
            match queue.later.peek() {
                Some(&Reverse((due, item))) if due <= now => {
                    queue.later.pop();
                    items.push(item);
                }
                _ => break,
            }
        }
        let members = self.members.get(usize::from(key.0));
        let len = members.map_or(self.job.n_items as usize, Vec::len);
        while items.len() + held < self.page {
            let Some(at) = queue.cursor else { break };
            if at >= len {
                if queue.aside.is_some() {
                    break;
                }
                queue.cursor = std::mem::take(&mut queue.forgotten).then_some(0);
                break;
            }
            queue.cursor = Some(at + 1);
            let item = members.map_or(at as ItemIndex, |members| members[at]);
            let state = states.get(item);
            let is_free = !state.is_queued() && !self.copies.is_waiting(item);
            if state.phase() == Phase::Pending && state.step() == key.1 && is_free {
                states.set_queued(item, true);
                items.push(item);
            }
        }
        queue.loading += items.len();
        items
    }

    /// Forgets loaded items where they keep others from being loaded.
    pub(super) fn set_aside(
        &mut self,
        key: (u16, u8),
        is_hopeless: impl Fn(&Item) -> bool,
        reason: Parked,
        states: &mut ItemStates,
    ) {
        let len = self.members.get(usize::from(key.0)).map_or(self.job.n_items as usize, Vec::len);
        let page = self.page;
        let queue = self.step(key.0, key.1);
        let hides_others = queue.cursor.is_some_and(|at| at < len) && queue.ready.len() > page / 2;
        if !hides_others {
            return;
        }
        queue.ready.retain(|item| {
            let stays = !is_hopeless(item);
            if !stays {
                states.set_queued(item.index, false);
            }
            stays
        });
        queue.forgotten = true;
        queue.aside.get_or_insert(reason);
    }

    /// Puts a loaded item where its state says.
    pub(super) fn loaded(&mut self, item: Arc<Item>, step: u8) {
        self.see(&item);
        let queue = self.step(item.class, step);
        queue.loading = queue.loading.saturating_sub(1);
        queue.alike = None;
        queue.ready.push_back(item);
    }

    /// Learns from an item what those of its class are like.
    pub(super) fn see(&mut self, item: &Item) {
        let keeps_body = self.typical.len() < MOST_BODIES;
        self.typical.entry(item.class).or_insert_with(|| Typical::of(item, keeps_body)).add(item);
    }

    /// An item that was loaded turned out to be over.
    pub(super) fn not_wanted(&mut self, item: &Item, step: u8) {
        let queue = self.step(item.class, step);
        queue.loading = queue.loading.saturating_sub(1);
    }

    /// Takes an item back for another attempt on `step`, at once or `later`.
    pub(super) fn again(
        &mut self,
        item: Arc<Item>,
        step: u8,
        later: Option<Timestamp>,
        states: &mut ItemStates,
    ) {
        let index = item.index;
        let queue = self.step(item.class, step);
        states.set_queued(index, true);
        match later {
            Some(due) if queue.later.len() < MOST_LATER => queue.later.push(Reverse((due, index))),
            None if queue.ready.len() < OVERFLOW => {
                queue.alike = None;
                queue.ready.push_back(item);
            }
            _ => {
                states.set_queued(index, false);
                queue.forget();
            }
        }
    }

    /// The loaded item that was last taken back goes first: what was begun is finished.
    pub(super) fn put_first(&mut self, class: u16, step: u8, item: ItemIndex) {
        let ready = &mut self.step(class, step).ready;
        if ready.back().is_some_and(|last| last.index == item) {
            ready.rotate_right(1);
        }
    }

    /// An item became pending that no queue holds: a held one that was released.
    pub(super) fn released(&mut self, item: ItemIndex, step: u8) {
        let class = self.job.class_index(item);
        self.step(class, step).pending += 1;
        self.look_for(item, step);
    }

    /// A pending item that no queue holds is to be found by the next walk.
    pub(super) fn look_for(&mut self, item: ItemIndex, step: u8) {
        let class = self.job.class_index(item);
        self.step(class, step).forget();
    }

    /// Whether the queue of a class and step takes in one more loaded item.
    pub(super) fn has_place(&self, class: u16, step: u8) -> bool {
        self.steps.get(&(class, step)).is_none_or(|queue| queue.ready.len() < OVERFLOW)
    }

    /// Whether nothing of it waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.orphans.is_empty() && self.steps.values().all(|queue| queue.pending == 0)
    }

    /// The clock was set back: pauses that now lie far ahead end at `latest`.
    pub(super) fn clock_set_back(&mut self, latest: Timestamp) {
        for queue in self.steps.values_mut() {
            let later = std::mem::take(&mut queue.later);
            queue.later =
                later.into_iter().map(|Reverse((due, item))| Reverse((due.min(latest), item))).collect();
        }
    }
}

impl StepQueue {
    /// Pending items that wait out a pause; one whose pause is over waits for what the others wait for.
    pub(super) fn backing_off(&self, now: Timestamp) -> u32 {
        self.later.iter().filter(|Reverse((due, _))| *due > now).count() as u32
    }

    /// When the next pause ends. One that is over already waits for place on the page.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        match self.later.peek() {
            Some(Reverse((due, _))) if *due <= now => {
                self.later.iter().map(|Reverse((due, _))| *due).filter(|due| *due > now).min()
            }
            first => first.map(|Reverse((due, _))| *due),
        }
    }

    /// What its items wait for: those that are loaded, or those that were set aside.
    pub(super) fn waits_for(&self, reason: Option<Parked>) -> Option<Parked> {
        reason.or_else(|| self.aside.clone())
    }

    /// What was set aside is looked at at once.
    pub(super) fn look_again(&mut self) {
        self.aside = None;
    }

    /// What waits out a pause is due at once.
    pub(super) fn end_pauses(&mut self, now: Timestamp) {
        if self.next_due(now).is_some() {
            let later = std::mem::take(&mut self.later);
            self.later =
                later.into_iter().map(|Reverse((due, item))| Reverse((due.min(now), item))).collect();
        }
    }

    /// Whether more of it is on its way.
    pub(super) fn is_loading(&self) -> bool {
        self.loading > 0
    }

    fn forget(&mut self) {
        self.aside = None;
        self.forgotten = true;
        self.cursor.get_or_insert(0);
    }
}

/// How many items of a job ended lately: counts of five seconds each, over a minute.
#[derive(Default)]
pub(super) struct Pace {
    counts: [u32; 12],
    slot: i64,
    since: Option<Timestamp>,
    known: Option<f64>,
}

impl Pace {
    const SLOT_MICROS: i64 = 5_000_000;

    /// One item ended.
    pub(super) fn ended(&mut self, now: Timestamp) {
        self.turn(now);
        self.since.get_or_insert(now);
        self.counts[self.slot.rem_euclid(12) as usize] += 1;
    }

    /// Items a minute; `None` before anything ended.
    pub(super) fn per_minute(&mut self, now: Timestamp) -> Option<f64> {
        self.turn(now);
        let count: u32 = self.counts.iter().sum();
        let seconds = now.since(self.since?).as_secs_f64().clamp(1.0, 60.0);
        let pace = (count > 0).then_some(f64::from(count) * 60.0 / seconds);
        self.known = pace.or(self.known);
        pace
    }

    /// Items a minute when last anything ended: what a night that waits for its hour can expect.
    pub(super) fn last_known(&mut self, now: Timestamp) -> Option<f64> {
        self.per_minute(now).or(self.known)
    }

    fn turn(&mut self, now: Timestamp) {
        let slot = now.micros() / Self::SLOT_MICROS;
        let passed = (slot - self.slot).clamp(0, 12);
        for step in 1..=passed {
            self.counts[(self.slot + step).rem_euclid(12) as usize] = 0;
        }
        if slot < self.slot {
            self.counts = [0; 12];
        }
        if passed == 12 {
            self.since = None;
        }
        self.slot = slot;
    }
}
