//! Starting work: which queue goes first, which items are admitted, and sending what is recorded.
//!
//! An item passes two gates. At the first it gets a route, its worst case is reserved and its
//! `Started` record is written; at the second, with that record durable, it takes room on its lane
//! and leaves. Where a lane is short of parallel calls only, a few items wait recorded between the
//! gates, so that a freed place is filled without waiting for the disk.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flight, Stage};
use super::queue::Parked;
use super::{Call, Effect, Engine};
use crate::attempt::{ErrorCode, ItemStatus};
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, Job, JobId};
use crate::ledger::JobLedger;
use crate::money::Usd;
use crate::plan::price;
use crate::plan::route::{Choice, Circumstances, choose};
use crate::record::{Record, Started};
use crate::view::Waiting;

/// Time kept free before a deadline, whatever the pace.
const DEADLINE_GUARD: Duration = Duration::from_secs(600);
/// Share of the needed time that is added to it.
const DEADLINE_MARGIN: f64 = 1.15;
/// Items a minute assumed before any has ended.
const ASSUMED_PACE: f64 = 300.0;

/// What the first gate says to an item.
enum Admission {
    Start(Arc<Route>, Usd),
    Park(Parked),
    Up,
    End(ErrorCode, String),
}

impl Engine {
    /// Passes as many items as possible through the first gate, in order of priority and deadline.
    pub(super) fn start(&mut self) {
        if self.on_hold {
            return;
        }
        for (job, class, step) in self.order() {
            self.start_queue(&job, (class, step));
        }
    }

    /// Queues in the order they are served: priority, deadline, age, and the stronger step first, so
    /// that what was begun is finished.
    fn order(&self) -> Vec<(JobId, u16, u8)> {
        let mut keys = Vec::new();
        for (id, queue) in &self.queues {
            for (&(class, step), items) in &queue.steps {
                if items.pending > 0 {
                    let of = &queue.job.classes[usize::from(class)];
                    let deadline = of.deadline.unwrap_or(Timestamp::MAX);
                    let rank = (-i16::from(of.priority), deadline, queue.job.submitted_at);
                    keys.push((rank, id.clone(), class, std::cmp::Reverse(step)));
                }
            }
        }
        if keys.len() > 1 {
            keys.sort();
        }
        keys.into_iter().map(|(_, id, class, step)| (id, class, step.0)).collect()
    }

    fn start_queue(&mut self, id: &JobId, key: (u16, u8)) {
        let now = self.now;
        self.refill(id, key);
        let (job, state) = self.ledger.get(id).expect("a queue has a ledger");
        let job = job.clone();
        let class = &job.classes[usize::from(key.0)];
        let sweep = if state.cancelled {
            Some((ItemStatus::Cancelled, ErrorCode::Cancelled, "cancelled by the user"))
        } else if class.deadline.is_some_and(|deadline| deadline <= now) {
            Some((ItemStatus::Expired, ErrorCode::Deadline, "its deadline passed"))
        } else {
            None
        };
        if let Some((status, code, why)) = sweep {
            while let Some(item) = self.pop(id, key) {
                self.settle_unsent(&job, &item, status, (code, why.to_owned()));
            }
            self.refill(id, key);
            return;
        }
        let closed = match class.not_before.filter(|&start| start > now) {
            _ if state.paused => Some(Parked { waiting: Waiting::Paused, until: None, words: None }),
            Some(start) => Some(Parked { waiting: Waiting::NotBefore, until: Some(start), words: None }),
            None => None,
        };
        if closed.is_some() {
            self.park(id, key, closed);
            return;
        }
        let names = class.ladder.0.get(usize::from(key.1)).map_or(&[][..], Vec::as_slice);
        let routes = self.lanes.of_step(names);
        let deadline = self.deadline(id, &job, class.deadline);
        while let Some(item) = self.queues[id].steps[&key].ready.front().cloned() {
            match self.admit(&job, &item, key.1, &routes, deadline) {
                Admission::Start(route, worst_case) => {
                    self.pop(id, key);
                    self.launch(&job, item, key.1, route, worst_case);
                }
                Admission::Park(parked) => {
                    self.park(id, key, Some(parked));
                    return;
                }
                Admission::Up => {
                    // The step it moves to is known in memory only, so it must have a place there.
                    if !self.queues[id].has_place(key.0, key.1 + 1) {
                        break;
                    }
                    self.pop(id, key);
                    let (queue, state) = self.queue_and_state(id);
                    queue.step(key.0, key.1 + 1).pending += 1;
                    queue.again(item, key.1 + 1, None, &mut state.items);
                }
                Admission::End(code, why) => {
                    self.pop(id, key);
                    self.settle_unsent(&job, &item, ItemStatus::Failed, (code, why));
                }
            }
        }
        self.park(id, key, None);
        self.refill(id, key);
    }

    fn refill(&mut self, id: &JobId, key: (u16, u8)) {
        let now = self.now;
        let (queue, state) = self.queue_and_state(id);
        let wanted = queue.refill(key, now, &mut state.items);
        if !wanted.is_empty() {
            self.effects.push(Effect::Read(id.clone(), wanted));
        }
    }

    fn pop(&mut self, id: &JobId, key: (u16, u8)) -> Option<Arc<Item>> {
        let (queue, state) = self.queue_and_state(id);
        let step = queue.step(key.0, key.1);
        let item = step.ready.pop_front()?;
        step.pending -= 1;
        state.items.set_queued(item.index, false);
        Some(item)
    }

    fn park(&mut self, id: &JobId, key: (u16, u8), parked: Option<Parked>) {
        self.queues.get_mut(id).expect("listed by order").step(key.0, key.1).parked = parked;
    }

    /// Whether waiting would miss the deadline, and until when there is time to wait.
    fn deadline(&mut self, id: &JobId, job: &Job, deadline: Option<Timestamp>) -> (bool, Timestamp) {
        let now = self.now;
        let Some(deadline) = deadline else { return (false, now + Duration::from_secs(24 * 3_600)) };
        let counts = self.ledger.get(id).expect("a queue has a ledger").1.counts();
        let left = f64::from(counts.pending + counts.running).min(f64::from(job.n_items));
        let pace = self.queues.get_mut(id).and_then(|queue| queue.pace.last_known(now));
        let pace = pace.unwrap_or(ASSUMED_PACE);
        let needed = Duration::from_secs_f64(left / pace * 60.0 * DEADLINE_MARGIN) + DEADLINE_GUARD;
        let latest_start = deadline - needed;
        (latest_start <= now, latest_start)
    }

    fn admit(
        &self,
        job: &Job,
        item: &Item,
        step: u8,
        routes: &[Arc<Route>],
        (urgent, wait_until): (bool, Timestamp),
    ) -> Admission {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let cap = state.cap(job);
        let item_cap = item.options.as_ref().and_then(|options| options.max_cost);
        let given = Circumstances {
            now: self.now,
            when: job.options.when,
            urgent,
            wait_until,
            allow_unpriced: job.options.allow_unpriced,
            capped: cap.is_some() || item_cap.is_some(),
            door: &|route| self.lanes.door(route, self.now),
        };
        let last = usize::from(step) + 1 >= job.class(item.index).ladder.0.len();
        match choose(routes, item, &given) {
            Choice::Send(route) => self.afford(job, state, item, route, cap, item_cap),
            // With the deadline near, an item does not wait for a step that takes nothing.
            Choice::Wait(Waiting::NoRoute | Waiting::Capacity, _) if urgent && !last => Admission::Up,
            Choice::Wait(waiting, until) => {
                let trouble = || routes.iter().find_map(|route| self.lanes.trouble(route));
                let words = if waiting == Waiting::RateLimit { None } else { trouble() };
                Admission::Park(Parked { waiting, until, words })
            }
            Choice::TooLong | Choice::Never { .. } if !last => Admission::Up,
            Choice::TooLong => Admission::End(
                ErrorCode::ContextLength,
                format!("about {} input tokens fit no model of its ladder", item.input_tokens),
            ),
            Choice::Never { why, can_be_mended: true } => {
                Admission::Park(Parked { waiting: Waiting::NoRoute, until: None, words: Some(why) })
            }
            Choice::Never { why, .. } => Admission::End(ErrorCode::NoRoute, why),
        }
    }

    /// A request starts only if what is spent, reserved and its own worst case fit every cap.
    fn afford(
        &self,
        job: &Job,
        state: &JobLedger,
        item: &Item,
        route: Arc<Route>,
        cap: Option<Usd>,
        item_cap: Option<Usd>,
    ) -> Admission {
        let worst_case = price::worst_case(&route, item).unwrap_or(Usd::ZERO);
        if let Some(item_cap) = item_cap {
            let spent = state.partial.get(&item.index).map_or(Usd::ZERO, |partial| partial.totals.cost);
            if spent + worst_case > item_cap {
                let why =
                    format!("the next attempt may cost {worst_case}, over the item's cap of {item_cap}");
                return Admission::End(ErrorCode::MaxCost, why);
            }
        }
        match cap {
            Some(cap) if state.committed() + worst_case > cap => {
                let left = cap.saturating_sub(state.committed());
                let words =
                    format!("{left} left of {cap}, the next request may cost {worst_case}; job {}", job.id);
                Admission::Park(Parked { waiting: Waiting::Budget, until: None, words: Some(words) })
            }
            _ => Admission::Start(route, worst_case),
        }
    }

    /// Writes the intent down. The request leaves when the disk has it.
    fn launch(&mut self, job: &Arc<Job>, item: Arc<Item>, step: u8, route: Arc<Route>, worst_case: Usd) {
        let now = self.now;
        let attempt = AttemptId(self.ledger.globals.next_attempt.max(1));
        let lane = self.lanes.find(&route.name).expect("chosen among the lanes");
        let has_room = self.lanes.take(lane, &item, now).is_ok();
        self.lanes.get_mut(lane).ahead += u32::from(!has_room);
        self.lanes.account(lane).sent(now);
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let before = state.partial.get(&item.index).map(|partial| partial.totals).unwrap_or_default();
        self.record(Record::Started(Started {
            attempt,
            job: job.id.clone(),
            item: item.index,
            step,
            route: route.name.clone(),
            worst_case,
            at: now,
        }));
        self.recording.push_back((self.ledger.globals.seq, attempt));
        let call = Call { attempt, job: job.id.clone(), route, item };
        let stage = Stage::Recording(has_room);
        let job = job.clone();
        self.flights.insert(
            attempt,
            Flight { call, job, lane: Some(lane), step, before, worst_case, started_at: now, stage },
        );
    }

    /// The second gate: what is durable may leave.
    pub(super) fn recorded(&mut self, seq: u64) {
        while let Some(&(at, attempt)) = self.recording.front() {
            if at > seq {
                break;
            }
            self.recording.pop_front();
            let Some(flight) = self.flights.get_mut(&attempt) else { continue };
            if matches!(flight.stage, Stage::Recording(true)) {
                self.send(attempt);
            } else {
                flight.stage = Stage::Ready;
                let lane = flight.lane.expect("a started attempt has a lane");
                self.lanes.get_mut(lane).ready.push_back(attempt);
            }
        }
    }

    /// Fills free places with attempts that wait recorded.
    pub(super) fn send_ready(&mut self) {
        for lane in 0..self.lanes.len() {
            while let Some(&attempt) = self.lanes.get_mut(lane).ready.front() {
                let Some(flight) = self.flights.get(&attempt) else {
                    self.lanes.get_mut(lane).ready.pop_front();
                    continue;
                };
                let item = flight.call.item.clone();
                let shut = self.lanes.account(lane).shut().is_some();
                if shut || self.lanes.get_mut(lane).dead.is_some() || !self.may_send(flight) {
                    self.lanes.get_mut(lane).ready.pop_front();
                    self.withdraw(attempt);
                } else if self.lanes.take(lane, &item, self.now).is_ok() {
                    let lane = self.lanes.get_mut(lane);
                    lane.ready.pop_front();
                    lane.ahead -= 1;
                    self.flights.get_mut(&attempt).expect("found above").stage = Stage::Recording(true);
                    self.send(attempt);
                } else {
                    break;
                }
            }
        }
    }

    /// Takes back what waits between the gates: of one job, or of all.
    pub(super) fn withdraw_ready(&mut self, job: Option<&JobId>) {
        let of_job = |flight: &Flight| {
            matches!(flight.stage, Stage::Ready) && job.is_none_or(|job| flight.job.id == *job)
        };
        let mut ready: Vec<AttemptId> =
            self.flights.iter().filter(|(_, flight)| of_job(flight)).map(|(&attempt, _)| attempt).collect();
        ready.sort();
        for attempt in ready {
            self.withdraw(attempt);
        }
    }

    fn may_send(&self, flight: &Flight) -> bool {
        let state = self.ledger.get(&flight.job.id).expect("a flight has a ledger").1;
        !self.on_hold && !state.paused && !state.cancelled
    }

    fn send(&mut self, attempt: AttemptId) {
        let flight = &self.flights[&attempt];
        if !self.may_send(flight) {
            self.withdraw(attempt);
            return;
        }
        let flight = self.flights.get_mut(&attempt).expect("found above");
        flight.stage = Stage::Sent;
        if let Some(lane) = flight.lane {
            self.lanes.get_mut(lane).count_send(self.now);
        }
        self.effects.push(Effect::Send(flight.call.clone()));
    }

    /// Takes back a start that was never sent: nothing was billed, the item goes back to its step.
    fn withdraw(&mut self, attempt: AttemptId) {
        let Some(flight) = self.flights.remove(&attempt) else { return };
        if let Some(lane) = flight.lane {
            match flight.stage {
                Stage::Recording(true) => self.lanes.release(lane),
                _ => self.lanes.get_mut(lane).ahead -= 1,
            }
            self.lanes.account(lane).probe_lost();
        }
        self.conclude_withdrawn(flight);
    }
}
