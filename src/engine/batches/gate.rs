//! The gate to batches: which items may go into one, and what is said to those for which nothing else is left.
//!
//! An order of the planner may leave a queue nothing but a batch lane, or its step may have nothing else. What
//! such a lane never takes does not wait for it: where there are other routes it goes by the plain rules, and
//! else up the ladder.
//!
//! Pure.

use std::sync::Arc;

use crate::catalog::Route;
use crate::engine::Engine;
use crate::engine::budgets::{Short, item_cap};
use crate::engine::dispatch::{Admission, turned_away};
use crate::engine::odds::Taught;
use crate::engine::problem::Key;
use crate::engine::queue::Parked;
use crate::job::{Item, Job, JobId, When};
use crate::ledger::{Full, Tags};
use crate::money::Usd;
use crate::plan::price;
use crate::plan::route::{Choice, Circumstances, Cover, Door, choose};
use crate::view::Waiting;

/// What the gate says to an item that would go into a batch.
pub(super) enum Line {
    /// Its worst case is this.
    Takes(Usd),
    /// It is not for this lane: what becomes of it where there is no other.
    PassesBy(Admission),
    /// A budget has no room.
    Stops(Box<Full>),
}

/// The batch lanes that a queue has instead of single calls, worked out once for all of its items.
pub(in crate::engine) struct BatchGate {
    lanes: Vec<(Arc<Route>, Taught)>,
    /// Whether the step has no other routes; else the plan has none for it.
    is_all: bool,
    /// What who may go in is told while it has not.
    parked: Parked,
}

impl Engine {
    /// The batch lanes of a queue, where it has nothing else for now.
    pub(in crate::engine) fn batch_gate(
        &self,
        id: &JobId,
        key: Key,
        (names, routes): (&[String], &[Arc<Route>]),
        taught: &Taught,
    ) -> Option<BatchGate> {
        let is_all = !routes.iter().any(|route| route.unusable.is_none());
        let lanes = match is_all {
            true => self.lanes.batches_of_step(names),
            false => self.schedule.only_batch(id, key).cloned().into_iter().collect(),
        };
        let first = lanes.first()?;
        let door = |route: &Arc<Route>| {
            self.lanes.find(&route.name).map(|lane| self.lanes.door_for_batch(lane, self.now))
        };
        let parked = match door(first) {
            Some(Door::Closed(waiting, until)) => Parked { waiting, until, words: self.lanes.trouble(first) },
            _ => Parked {
                waiting: Waiting::UpstreamBatch,
                until: self.schedule.order(id, key).map(|order| order.until()),
                words: Some(format!("waits for a place in a batch of {}/{}", first.provider, first.model)),
            },
        };
        let lanes = lanes.into_iter().map(|route| {
            let taught = self.lessons_of(id, taught, &route);
            (route, taught)
        });
        Some(BatchGate { lanes: lanes.collect(), is_all, parked })
    }

    /// What an item is told that has nothing but batches; `None` where it goes by the plain rules.
    pub(in crate::engine) fn admit_to_batches(
        &self,
        gate: &BatchGate,
        job: &Job,
        item: &Arc<Item>,
        step: u8,
        tags: &Tags,
    ) -> Option<Admission> {
        let mut turned_away = None;
        for (route, taught) in &gate.lanes {
            match self.line(job, item, step, (route, taught), tags) {
                Line::Takes(_) => return Some(Admission::Park(gate.parked.clone())),
                Line::Stops(full) => return Some(Admission::OutOfMoney(full)),
                Line::PassesBy(admission) => turned_away = Some(admission),
            }
        }
        turned_away.filter(|_| gate.is_all)
    }

    /// Whether an item may go into a batch of this lane.
    pub(super) fn line(
        &self,
        job: &Job,
        item: &Arc<Item>,
        step: u8,
        (route, taught): (&Arc<Route>, &Taught),
        tags: &Tags,
    ) -> Line {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let is_last = usize::from(step) + 1 >= job.class(item.index).ladder.0.len();
        let limited = self.ledger.globals.budgets.is_limited(tags);
        let given = Circumstances {
            taught: taught.of(self.spent(&job.id, item), !is_last),
            stop: self.stop_at_first(job, state, item),
            now: self.now,
            when: When::Asap,
            urgent: true,
            wait_until: self.now,
            plan: None,
            allow_unpriced: job.options.allow_unpriced,
            capped: state.cap(job).is_some() || item_cap(item).is_some() || limited,
            known: self.known(&job.id),
            // What is given for nothing is given for single calls.
            cover: &|_, _| Cover::None,
            door: &|_| Door::Open,
        };
        let choice = match self.is_barred(&job.id, item) {
            false => choose(std::slice::from_ref(route), item, &given),
            true => Choice::Never {
                why: format!("{}: the request does not go into a batch", route.name),
                can_be_mended: false,
            },
        };
        if !matches!(choice, Choice::Send(_) | Choice::Wait(..)) {
            return Line::PassesBy(turned_away(choice, item, is_last, given.stop));
        }
        let sent = self.as_sent(job, item, step, route);
        let worst_case = price::worst_case(route, &sent).unwrap_or(Usd::ZERO);
        match self.afford(job, state, &sent, tags, worst_case) {
            Ok(()) => Line::Takes(worst_case),
            Err(Short::Item(why)) => Line::PassesBy(Admission::too_dear(why)),
            Err(Short::Budget(full)) => Line::Stops(full),
        }
    }
}
