//! Items that get another's answer: they wait while it is asked for, and end as it ends.
//!
//! The first item that asks something is sent like any other. Those that ask the same are kept out of
//! the queues until it has ended; then they are read, and end with its answer and no cost. Where the
//! end says nothing of the request (no route took it, its deadline passed), the next of them is sent in
//! its place.
//!
//! Kept in memory only: after a restart the items that have not ended are grouped anew.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::outcome::{describe, has_check};
use super::{Effect, Engine};
use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus};
use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::{ItemStates, Phase};
use crate::record::{Ended, ItemTotals, Next, Record, Settled};

/// Copies that are read at once.
const PAGE: usize = 256;

/// The items of a job that wait for another's answer.
#[derive(Default)]
pub(super) struct Copies {
    /// Those that wait, by the item they wait for.
    of: BTreeMap<ItemIndex, Vec<ItemIndex>>,
    waiting: BTreeSet<ItemIndex>,
    /// Answers that are there, and who gets them.
    due: VecDeque<(Arc<Ended>, Vec<ItemIndex>)>,
    /// Asked for, not yet here.
    reading: BTreeMap<ItemIndex, Arc<Ended>>,
}

impl Copies {
    /// Groups the items that have not ended.
    pub(super) fn new(pairs: &[(ItemIndex, ItemIndex)], states: &ItemStates) -> Copies {
        let mut groups: BTreeMap<ItemIndex, Vec<ItemIndex>> = BTreeMap::new();
        for &(copy, first) in pairs {
            groups.entry(first).or_insert_with(|| vec![first]).push(copy);
        }
        let mut copies = Copies::default();
        for (_, mut group) in groups {
            group.retain(|&item| !states.get(item).is_final());
            // One that was begun is what the others wait for, else the first of them.
            let begun = group.iter().position(|&item| states.get(item).phase() != Phase::Pending);
            if !group.is_empty() {
                let sent = group.remove(begun.unwrap_or(0));
                // Others that were begun too, while nobody waited, go their own way.
                group.retain(|&item| states.get(item).phase() == Phase::Pending);
                copies.wait_for(sent, group);
            }
        }
        copies
    }

    fn wait_for(&mut self, sent: ItemIndex, group: Vec<ItemIndex>) {
        if !group.is_empty() {
            self.waiting.extend(&group);
            self.of.insert(sent, group);
        }
    }

    /// Whether an item waits for another's answer.
    pub(super) fn is_waiting(&self, item: ItemIndex) -> bool {
        !self.waiting.is_empty() && self.waiting.contains(&item)
    }

    /// How many items wait for another's answer.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// Whether any item waits for this one.
    pub(super) fn is_awaited(&self, item: ItemIndex) -> bool {
        !self.of.is_empty() && self.of.contains_key(&item)
    }

    /// An awaited item ended with an answer, or with a verdict on the request itself.
    pub(super) fn ended(&mut self, ended: &Ended) {
        let Some(group) = self.of.remove(&ended.item) else { return };
        // The record of a copy holds the attempt whose answer it gets, but no item's end within it.
        let answer = Ended { next: Next::Pending(0), ..ended.clone() };
        self.due.push_back((Arc::new(answer), group));
    }

    /// An awaited item ended without saying anything of the request: who is sent in its place.
    pub(super) fn lost(&mut self, item: ItemIndex) -> Option<ItemIndex> {
        let mut group = self.of.remove(&item)?;
        let next = group.remove(0);
        self.waiting.remove(&next);
        self.wait_for(next, group);
        Some(next)
    }

    /// Nobody waits any longer, but for answers that are there: who is free now.
    pub(super) fn release(&mut self) -> Vec<ItemIndex> {
        let free: Vec<ItemIndex> = std::mem::take(&mut self.of).into_values().flatten().collect();
        for item in &free {
            self.waiting.remove(item);
        }
        free
    }

    /// The next items to read, once those before are here.
    pub(super) fn next_page(&mut self) -> Vec<ItemIndex> {
        let mut page = Vec::new();
        while self.reading.is_empty() && page.len() < PAGE {
            let Some((answer, group)) = self.due.front_mut() else { break };
            let taken = group.len().min(PAGE - page.len());
            page.extend(group.drain(..taken).map(|item| (item, answer.clone())));
            if group.is_empty() {
                self.due.pop_front();
            }
        }
        let items = page.iter().map(|(item, _)| *item).collect();
        self.reading.extend(page);
        items
    }

    /// The answer that an item gets, now that it is here.
    pub(super) fn take(&mut self, item: &Item) -> Option<Arc<Ended>> {
        let answer = self.reading.remove(&item.index)?;
        self.waiting.remove(&item.index);
        Some(answer)
    }
}

/// Whether an end would be the same for the same request: an answer, whatever was thought of it, or a
/// request that cannot be.
pub(super) fn speaks_for_copies(ended: &Ended) -> bool {
    let code = ended.error.as_ref().map(|(code, _)| *code);
    matches!(ended.status, AttemptStatus::Succeeded | AttemptStatus::Rejected)
        || matches!(code, Some(ErrorCode::BadRequest | ErrorCode::ContextLength | ErrorCode::ContentFilter))
}

impl Engine {
    /// An item is about to end: those that asked the same get its answer, or the next of them is sent.
    pub(super) fn answer_copies(&mut self, ended: &Ended) {
        let Some(queue) = self.queues.get_mut(&ended.job) else { return };
        let Next::Settled(settled) = &ended.next else { return };
        if !queue.copies.is_awaited(ended.item) {
            return;
        }
        if settled.status != ItemStatus::Cancelled && speaks_for_copies(ended) {
            queue.copies.ended(ended);
        } else {
            self.send_next_copy(&ended.job, ended.item);
        }
    }

    /// An item ended without an answer: the next that asks the same is sent.
    pub(super) fn send_next_copy(&mut self, job: &JobId, item: ItemIndex) {
        let Some(queue) = self.queues.get_mut(job) else { return };
        if let Some(next) = queue.copies.lost(item) {
            self.look_for(job, next);
        }
    }

    /// The job was cancelled or its time is up: no item waits for another any more.
    pub(super) fn release_copies(&mut self, job: &JobId) {
        let Some(queue) = self.queues.get_mut(job) else { return };
        for item in queue.copies.release() {
            self.look_for(job, item);
        }
    }

    /// Asks for the next items that have an answer waiting.
    pub(super) fn read_copies(&mut self) {
        for (job, queue) in &mut self.queues {
            let page = queue.copies.next_page();
            if !page.is_empty() {
                self.effects.push(Effect::Read(job.clone(), page));
            }
        }
    }

    /// Ends an item with the answer that another got, at no cost.
    pub(super) fn settle_copy(&mut self, job: &JobId, item: &Item, answer: &Ended) {
        let (job, state) = self.ledger.get(job).expect("a queue has a ledger");
        let job = job.clone();
        // It may have been sent itself before it began to wait for the other.
        let before = state.partial.get(&item.index).map(|partial| partial.totals).unwrap_or_default();
        let state = state.items.get(item.index);
        if state.is_final() {
            return;
        }
        let (status, error) = match answer.status {
            AttemptStatus::Succeeded => (ItemStatus::Succeeded, None),
            _ => (ItemStatus::Failed, answer.error.clone()),
        };
        // What it would have cost beside what it did: that is what was saved.
        let totals = ItemTotals { list_cost: before.list_cost + answer.list_cost, ..before };
        let settled = Settled {
            valid: answer_is_valid(&job, item, answer),
            step: Some(answer.step),
            totals,
            copied: Some(Box::new(answer.clone())),
            ..describe(&job, item, status, error, self.now)
        };
        self.record(Record::Settled(Box::new(settled)));
        let queue = self.queues.get_mut(&job.id).expect("its items were read for it");
        queue.step(item.class, state.step()).pending -= 1;
        queue.pace.ended(self.now);
    }

    fn look_for(&mut self, job: &JobId, item: ItemIndex) {
        let (queue, state) = self.queue_and_state(job);
        let step = state.items.get(item).step();
        queue.look_for(item, step);
    }
}

/// What the check said of the answer; `None` where there is no check.
fn answer_is_valid(job: &Job, item: &Item, answer: &Ended) -> Option<bool> {
    has_check(job, item).then_some(answer.status == AttemptStatus::Succeeded)
}
