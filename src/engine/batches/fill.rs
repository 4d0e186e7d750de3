//! Filling batches: which items of a queue go into one, and when it takes no more.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gate::Line;
use super::{Batch, BatchAsk, BatchWork, Batches, LineEnd, MOST_LINES, Out, Stage, Then};
use crate::catalog::Route;
use crate::catalog::batch::BatchLimits;
use crate::clock::Timestamp;
use crate::engine::odds::Taught;
use crate::engine::problem::Key;
use crate::engine::schedule::Submission;
use crate::engine::{Call, Effect, Engine};
use crate::job::{AttemptId, Item, ItemIndex, Job, JobId, Wire};
use crate::ledger::Tags;
use crate::money::Usd;
use crate::plan::route::Door;
use crate::provider::translate;
use crate::record::{BatchIntended, Record, Started};

/// Share of a provider's limits that is used: sizes and tokens are counted before requests are put in its
/// words.
const USED_SHARE: (u64, u64) = (9, 10);
/// Bytes that a line takes beside its body, at most.
const AROUND: u64 = 512;

/// A batch that takes lines.
pub(super) struct Filling {
    pub(super) number: u64,
    route: Arc<Route>,
    wire: Wire,
    /// Lines it takes.
    part: u64,
    bytes: u64,
    tokens: u64,
    since: Timestamp,
    attempts: BTreeMap<AttemptId, ItemIndex>,
}

impl Filling {
    pub(super) fn lines(&self) -> u64 {
        self.attempts.len() as u64
    }

    pub(super) fn out(&self) -> Out<'_> {
        Out { route: &self.route.name, lines: self.lines(), sent_at: self.since, done: 0.0 }
    }

    /// Takes an attempt out again; its item.
    pub(super) fn without(&mut self, attempt: AttemptId) -> Option<ItemIndex> {
        self.attempts.remove(&attempt)
    }

    /// Whether one more line of this size fits.
    fn has_room(&self, limits: &BatchLimits, item: &Item, wire: Wire, waiting_tokens: u64) -> bool {
        let tokens = waiting_tokens + self.tokens + u64::from(item.input_tokens);
        self.wire == wire
            && self.lines() < self.part
            && self.bytes + size(item) <= used(limits.bytes)
            && limits.tokens.is_none_or(|most| tokens <= used(most))
    }
}

fn used(limit: u64) -> u64 {
    limit / USED_SHARE.1 * USED_SHARE.0
}

fn size(item: &Item) -> u64 {
    item.body.json.len() as u64 + AROUND
}

impl Batches {
    /// Input tokens that wait in batches of a route.
    fn waiting_tokens(&self, route: &str) -> u64 {
        self.open.values().filter(|batch| *batch.route.name == *route).map(|batch| batch.tokens).sum()
    }

    /// Batches of an account that are out or are being filled.
    fn of_account(&self, account: &str) -> usize {
        let open = self.open.values().filter(|batch| *batch.route.account == *account).count();
        open + self.filling.values().filter(|part| *part.route.account == *account).count()
    }

    /// Lines in one batch of a submission. While lines of the queue are out, its parts stay as large as the
    /// first were: what is left to submit shrinks with every part, and they would shrink with it.
    fn part(&self, job: &JobId, key: Key, submission: &Submission, limits: &BatchLimits) -> u64 {
        let out = self.open.values().filter(|batch| batch.job == *job && batch.key == key);
        let largest = out.map(|batch| batch.len).max().unwrap_or(0);
        let most = self.lanes.get(&submission.route.name).and_then(|lane| lane.most_lines);
        submission.part.max(largest).min(limits.requests).min(most.unwrap_or(u64::MAX)).max(1)
    }
}

impl Engine {
    /// Puts what the plan says of a queue's loaded items into batches.
    pub(in crate::engine) fn fill_batches(&mut self, id: &JobId, job: &Arc<Job>, key: Key, taught: &Taught) {
        let mut at = 0;
        while let Some(submission) = self.schedule.submission(id, key).cloned() {
            let Some(item) = self.queues[id].steps.get(&key).and_then(|step| step.ready.get(at).cloned())
            else {
                return;
            };
            if !self.takes_lines(&submission.route) {
                return;
            }
            let tags = self.queues.get_mut(id).expect("listed by order").tags.of(&item);
            let taught = self.lessons_of(id, taught, &submission.route);
            match self.line(job, &item, key.1, (&submission.route, &taught), &tags) {
                Line::Takes(worst_case) => {
                    if self.open_part(id, key, &submission, &item).is_none() {
                        return;
                    }
                    self.take_out(id, key, at);
                    self.add_line(job, item, key, worst_case, tags);
                }
                Line::PassesBy(_) => at += 1,
                Line::Stops(_) => return,
            }
        }
    }

    /// Whether lines may go to a route now.
    fn takes_lines(&self, route: &Route) -> bool {
        let rests = self.batches.rests_until(&route.name).is_some_and(|until| until > self.now);
        let lane = self.lanes.find(&route.name);
        let works = lane.is_some_and(|lane| self.lanes.door_for_batch(lane, self.now) == Door::Open);
        works && route.hours.is_open(self.now) && !rests && self.batches.lines() < MOST_LINES
    }

    /// The part that takes an item: the one being filled, or a new one where the account may have one more.
    fn open_part(&mut self, id: &JobId, key: Key, submission: &Submission, item: &Item) -> Option<()> {
        let route = &submission.route;
        let limits = route.batch?;
        let wire = translate::target(item.wire, &route.wires).unwrap_or(item.wire);
        let waiting = self.batches.waiting_tokens(&route.name);
        let queue = (id.clone(), key);
        if let Some(part) = self.batches.filling.get(&queue) {
            if part.route.name == route.name && part.has_room(&limits, item, wire, waiting) {
                return Some(());
            }
            self.intend(&queue);
        }
        let is_full =
            limits.open.is_some_and(|most| self.batches.of_account(&route.account) >= most as usize);
        let part = self.batches.part(id, key, submission, &limits);
        let part = Filling {
            number: self.ledger.globals.batches.next(),
            route: route.clone(),
            wire,
            part,
            bytes: 0,
            tokens: 0,
            since: self.now,
            attempts: BTreeMap::new(),
        };
        let waiting = self.batches.waiting_tokens(&route.name);
        if is_full || !part.has_room(&limits, item, wire, waiting) {
            return None;
        }
        self.batches.filling.insert(queue, part);
        Some(())
    }

    /// Writes down that an item's next attempt goes out in the batch that its queue is filling.
    fn add_line(&mut self, job: &Arc<Job>, item: Arc<Item>, key: Key, worst_case: Usd, tags: Tags) {
        let attempt = AttemptId(self.ledger.globals.next_attempt.max(1));
        let queue = (job.id.clone(), key);
        let part = self.batches.filling.get_mut(&queue).expect("just opened");
        part.attempts.insert(attempt, item.index);
        part.bytes += size(&item);
        part.tokens += u64::from(item.input_tokens);
        let (number, route, is_full) = (part.number, part.route.clone(), part.lines() >= part.part);
        self.record(Record::Started(Started {
            attempt,
            job: job.id.clone(),
            item: item.index,
            step: key.1,
            route: route.name.clone(),
            worst_case,
            at: self.now,
            day: self.today.day(),
            tags,
            drawing: None,
            batch: Some(number),
        }));
        self.schedule.submitted(&job.id, key);
        let mark = self.ledger.globals.batches.mark(number, &job.id);
        let item = self.as_sent(job, &item, key.1, &route);
        // Lines of a batch run in no order, and none waits for another to fill a cache.
        let call = Call { attempt, job: job.id.clone(), route: route.clone(), item, beside: None };
        let what = BatchWork::Add(Box::new(call));
        self.effects.push(Effect::Batch(BatchAsk { mark, route, what }));
        if is_full {
            self.intend(&queue);
        }
    }

    /// Closes parts that nothing more is on its way to.
    pub(super) fn close_parts(&mut self) {
        let is_over = |(id, key): &(JobId, Key)| {
            let step = self.queues.get(id).and_then(|queue| queue.steps.get(key));
            self.schedule.submission(id, *key).is_none() || !step.is_some_and(|step| step.is_loading())
        };
        let over: Vec<_> = self.batches.filling.keys().filter(|queue| is_over(queue)).cloned().collect();
        for queue in over {
            self.intend(&queue);
        }
    }

    /// A part takes no more lines: its intent is written down, and it is made when the disk has it.
    fn intend(&mut self, queue: &(JobId, Key)) {
        let Some((number, mut batch)) = self.take_part(queue) else { return };
        self.record(Record::BatchIntended(Box::new(BatchIntended {
            number,
            job: batch.1.job.clone(),
            class: queue.1.0,
            step: queue.1.1,
            route: batch.1.route.name.clone(),
            wire: batch.0,
            len: batch.1.len,
            at: self.now,
        })));
        batch.1.stage = Stage::Recording(self.ledger.globals.seq);
        self.batches.open.insert(number, batch.1);
    }

    /// A part is given up before its intent: nothing of it was sent.
    pub(super) fn abandon_part(&mut self, queue: &(JobId, Key), why: &str) {
        let Some((number, (_, mut batch))) = self.take_part(queue) else { return };
        let end = || LineEnd::NotSent(why.to_owned());
        let out = std::mem::take(&mut batch.out);
        batch.due = out.into_iter().map(|(attempt, item)| (attempt, item, end())).collect();
        batch.stage = Stage::Settling(Then::Close);
        self.batches.open.insert(number, batch);
        self.ask_batch(number, BatchWork::Drop);
    }

    fn take_part(&mut self, queue: &(JobId, Key)) -> Option<(u64, (Wire, Batch))> {
        let Filling { number, route, wire, tokens, attempts, .. } = self.batches.filling.remove(queue)?;
        let mark = self.ledger.globals.batches.mark(number, &queue.0);
        let len = attempts.len() as u64;
        let batch = Batch::new(queue.0.clone(), queue.1, route, mark, len, self.now, attempts);
        Some((number, (wire, Batch { tokens, ..batch })))
    }
}
