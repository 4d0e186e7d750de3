//! Starting work: which queue goes first, and which items are admitted.
//!
//! This is the first gate: an item gets a route, its worst case is reserved and its `Started` record
//! is written. The second is [`super::send`].
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::batches::BatchGate;
use super::budgets::{Short, item_cap};
use super::flight::{Flight, Stage};
use super::odds::{Taught, too_dear};
use super::queue::Parked;
use super::schedule::{Ordered, Standing, window_words};
use super::{Call, Effect, Engine};
use crate::attempt::{ErrorCode, ItemStatus};
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::input::limit::with_output_limit;
use crate::job::{AttemptId, Item, Job, JobId, When};
use crate::ledger::{Full, JobLedger, Scope, Tags};
use crate::money::Usd;
use crate::plan::limit::larger;
use crate::plan::price;
use crate::plan::route::{Choice, Circumstances, Kind, Orders, choose};
use crate::plan::stop::StopPrice;
use crate::plan::tally::Spent;
use crate::record::{Record, Started};
use crate::view::Waiting;

/// Time kept free before a deadline, whatever the pace.
const DEADLINE_GUARD: Duration = Duration::from_secs(600);
/// Share of the needed time that is added to it.
const DEADLINE_MARGIN: f64 = 1.15;
/// Items a minute assumed before any has ended.
const ASSUMED_PACE: f64 = 300.0;

/// Items the budget has no room for that are passed over for smaller ones behind them.
const MOST_PASSED_OVER: u32 = 32;

/// What the first gate says to an item.
pub(super) enum Admission {
    Start(Arc<Route>, Usd),
    Park(Parked),
    /// Until another has filled a cache for it; those behind it may go.
    Follow(Parked),
    OutOfMoney(Box<Full>),
    /// Until a person acts, for what the item itself asks for.
    SetAside(Parked),
    Up,
    End(ErrorCode, String),
}

/// What is worked out once for all items of a queue.
struct Gate {
    routes: Arc<[Arc<Route>]>,
    /// Whether waiting would miss the deadline, and until when there is time to wait.
    deadline: (bool, Timestamp),
    taught: Taught,
    /// The batch lanes that it has instead of single calls.
    batches: Option<BatchGate>,
}

/// What keeps items of a queue waiting: those behind an item that waits are looked at only where a route
/// could say something else to them, so that one that needs a missing key does not stop all others. A few
/// that the budget has no room for are passed over, because smaller ones may still fit.
#[derive(Default)]
struct Waits {
    reason: Option<Parked>,
    /// Kinds of items that wait, and whether a budget limits them.
    kinds: Vec<(Kind, bool)>,
    /// Of these, the ones that only a person can help.
    hopeless: Vec<Kind>,
    /// Tags whose budget is full.
    tags: Vec<Arc<str>>,
    /// How many the budget of the job or of the process had no room for.
    too_dear: u32,
}

impl Waits {
    fn holds(
        &self,
        item: &Item,
        routes: &[Arc<Route>],
        spent: Spent,
        (tags, limited): (&Tags, bool),
    ) -> bool {
        let has_kind = || self.kinds.contains(&(Kind::of(item, routes, spent), limited));
        let has_tag = || tags.iter().any(|tag| self.tags.contains(tag));
        (!self.kinds.is_empty() && has_kind()) || (!self.tags.is_empty() && has_tag())
    }

    /// Adds a reason to wait. Returns whether items behind it may still start.
    fn add(&mut self, parked: Parked, kind: Kind, limited: bool) -> bool {
        // What a model has failed waits for others than the rest does.
        let is_in_turn = matches!(parked.waiting, Waiting::RateLimit | Waiting::UpstreamBatch);
        let only_its_kind = !is_in_turn || kind.has_spent();
        self.because(parked);
        if only_its_kind {
            self.kinds.push((kind, limited));
        }
        only_its_kind
    }

    /// A budget is full. Returns whether items that do not touch it, or are less dear, may still start.
    fn add_budget(&mut self, parked: Parked, scope: &Scope) -> bool {
        self.because(parked);
        match scope {
            Scope::Tag(tag) => {
                self.tags.push(tag.clone());
                true
            }
            Scope::Process | Scope::Job(_) => {
                self.too_dear += 1;
                self.too_dear < MOST_PASSED_OVER
            }
        }
    }

    fn because(&mut self, parked: Parked) {
        match &mut self.reason {
            None => self.reason = Some(parked),
            Some(first) => first.until = [first.until, parked.until].into_iter().flatten().min(),
        }
    }
}

impl Engine {
    /// Passes as many items as possible through the first gate, in order of priority and deadline.
    pub(super) fn start(&mut self) {
        if self.on_hold {
            return;
        }
        loop {
            let mut moved_up = false;
            for (job, class, step) in self.order() {
                moved_up |= self.start_queue(&job, (class, step));
            }
            // The stronger step had its turn before the items that moved to it: they have theirs now.
            if !moved_up {
                return;
            }
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
                    // What was begun is finished, but while money is short what is cheap goes first.
                    let turn = if queue.taught.is_short() { i16::from(step) } else { -i16::from(step) };
                    keys.push((rank, id.clone(), class, turn, step));
                }
            }
        }
        if keys.len() > 1 {
            keys.sort();
        }
        keys.into_iter().map(|(_, id, class, _, step)| (id, class, step)).collect()
    }

    /// Returns whether anything moved up a step.
    fn start_queue(&mut self, id: &JobId, key: (u16, u8)) -> bool {
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
            self.release_copies(id);
            while let Some(item) = self.take_out(id, key, 0) {
                self.settle_unsent(&job, &item, status, (code, why.to_owned()));
            }
            // What waits out a pause, or is set aside, does not wait for its end to be swept.
            let queue = self.queue_and_state(id).0.step(key.0, key.1);
            queue.end_pauses(now);
            queue.look_again();
            self.refill(id, key);
            return false;
        }
        let closed = match class.not_before.filter(|&start| start > now) {
            _ if state.paused => Some(Parked { waiting: Waiting::Paused, until: None, words: None }),
            Some(start) => Some(Parked { waiting: Waiting::NotBefore, until: Some(start), words: None }),
            None => None,
        };
        if closed.is_some() {
            self.park(id, key, closed);
            return false;
        }
        self.admit_queue(id, &job, key)
    }

    /// Admits what can be admitted of a queue that is open. Returns whether anything moved up a step.
    fn admit_queue(&mut self, id: &JobId, job: &Arc<Job>, key: (u16, u8)) -> bool {
        let class = &job.classes[usize::from(key.0)];
        let names = class.ladder.0.get(usize::from(key.1)).map_or(&[][..], Vec::as_slice);
        let routes = self.lanes.of_step(names);
        let deadline = self.deadline(id, job, class.deadline);
        self.side_by_side(id, key, &routes);
        self.dearest_first(id, key, &routes);
        let taught = self.lessons(id, job, key, &routes);
        self.fill_batches(id, job, key, &taught);
        let batches = self.batch_gate(id, key, (names, &routes), &taught);
        let gate = Gate { routes, deadline, taught, batches };
        let routes = &gate.routes;
        let (mut at, mut moved_up) = (0, false);
        let mut waiting = Waits::default();
        while let Some(item) = self.queues[id].steps[&key].ready.get(at).cloned() {
            let tags = self.queues.get_mut(id).expect("listed by order").tags.of(&item);
            let limited = self.ledger.globals.budgets.is_limited(&tags);
            let spent = self.spent(id, &item);
            if waiting.holds(&item, routes, spent, (&tags, limited)) {
                at += 1;
                continue;
            }
            match self.admit(job, &item, key.1, &gate, (&tags, limited), spent) {
                Admission::Start(route, worst_case) => {
                    self.take_out(id, key, at);
                    self.launch(job, item, key.1, route, worst_case, tags);
                }
                Admission::SetAside(parked) => {
                    let kind = Kind::of(&item, routes, spent);
                    waiting.hopeless.push(kind.clone());
                    waiting.add(parked, kind, limited);
                    at += 1;
                }
                Admission::Park(parked) => {
                    if !waiting.add(parked, Kind::of(&item, routes, spent), limited) {
                        break;
                    }
                    at += 1;
                }
                Admission::Follow(parked) => {
                    waiting.because(parked);
                    at += 1;
                }
                Admission::OutOfMoney(full) => {
                    let parked = self.out_of_money(&full);
                    if !waiting.add_budget(parked, &full.scope) {
                        break;
                    }
                    at += 1;
                }
                Admission::Up => {
                    // The step it moves to is known in memory only, so it must have a place there.
                    if !self.queues[id].has_place(key.0, key.1 + 1) {
                        break;
                    }
                    self.take_out(id, key, at);
                    let (queue, state) = self.queue_and_state(id);
                    queue.step(key.0, key.1 + 1).pending += 1;
                    queue.again(item, key.1 + 1, None, &mut state.items);
                    moved_up = true;
                }
                Admission::End(code, why) => {
                    self.take_out(id, key, at);
                    self.settle_unsent(job, &item, ItemStatus::Failed, (code, why));
                }
            }
        }
        self.set_aside(id, key, &waiting, routes);
        let (queue, _) = self.queue_and_state(id);
        let reason = queue.step(key.0, key.1).waits_for(waiting.reason);
        self.park(id, key, reason);
        self.refill(id, key);
        moved_up
    }

    /// Where only a person can help all that is loaded, makes place for items behind it.
    fn set_aside(&mut self, id: &JobId, key: (u16, u8), waiting: &Waits, routes: &[Arc<Route>]) {
        let Some(reason) = waiting.reason.clone().filter(|_| !waiting.hopeless.is_empty()) else { return };
        let (queue, state) = self.queue_and_state(id);
        let JobLedger { items, partial, .. } = state;
        let spent = |item: &Item| partial.get(&item.index).map_or(Spent::NONE, |partial| partial.spent);
        let is_hopeless = |item: &Item| waiting.hopeless.contains(&Kind::of(item, routes, spent(item)));
        queue.set_aside(key, is_hopeless, reason, items);
    }

    fn refill(&mut self, id: &JobId, key: (u16, u8)) {
        let now = self.now;
        let (queue, state) = self.queue_and_state(id);
        let wanted = queue.refill(key, now, &mut state.items);
        if !wanted.is_empty() {
            self.effects.push(Effect::Read(id.clone(), wanted));
        }
    }

    pub(super) fn take_out(&mut self, id: &JobId, key: (u16, u8), at: usize) -> Option<Arc<Item>> {
        let (queue, state) = self.queue_and_state(id);
        let step = queue.step(key.0, key.1);
        let item = step.ready.remove(at)?;
        step.pending -= 1;
        state.items.set_queued(item.index, false);
        Some(item)
    }

    fn park(&mut self, id: &JobId, key: (u16, u8), parked: Option<Parked>) {
        self.queues.get_mut(id).expect("listed by order").step(key.0, key.1).parked = parked;
    }

    /// Whether waiting would miss the deadline, and until when there is time to wait.
    pub(super) fn deadline(
        &mut self,
        id: &JobId,
        job: &Job,
        deadline: Option<Timestamp>,
    ) -> (bool, Timestamp) {
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
        item: &Arc<Item>,
        step: u8,
        gate: &Gate,
        (tags, limited): (&Tags, bool),
        spent: Spent,
    ) -> Admission {
        let of_batches =
            gate.batches.as_ref().and_then(|gate| self.admit_to_batches(gate, job, item, step, tags));
        let Gate { routes, deadline: (urgent, wait_until), taught, batches } = gate;
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let last = usize::from(step) + 1 >= job.class(item.index).ladder.0.len();
        match of_batches {
            Some(Admission::Park(parked)) if parked.waiting == Waiting::NoRoute && *urgent && !last => {
                return Admission::Up;
            }
            Some(admission) => return admission,
            None => {}
        }
        // An order for nothing but batches does not bind what goes into none.
        let order = self.order_for(job, item, step, routes).filter(|_| batches.is_none());
        let urgent = *urgent || order.is_some_and(|order| order.guard);
        let plan = order.map(|order| Ordered {
            order,
            pays_more: self.schedule.pays_for_realtime(&job.id, item.index, order.guard),
        });
        let given = Circumstances {
            taught: taught.of(spent, !last),
            stop: self.stop_at_first(job, state, item),
            now: self.now,
            when: job.options.when,
            urgent,
            wait_until: *wait_until,
            plan: plan.as_ref().map(|plan| plan as &dyn Orders),
            allow_unpriced: job.options.allow_unpriced,
            capped: state.cap(job).is_some() || item_cap(item).is_some() || limited,
            known: self.known(&job.id),
            cover: &|route, item| self.cover(route, item, &self.known(&job.id)),
            door: &|route| self.lanes.door(route, self.now),
        };
        match choose(routes, item, &given) {
            Choice::Send(route) => {
                let may_wait = !urgent && job.options.when != When::Asap;
                if let Some(until) = self.fills_until(&route, item).filter(|_| may_wait) {
                    let words = Some(format!("{} reads a prompt that others share", route.name));
                    return Admission::Follow(Parked {
                        waiting: Waiting::RateLimit,
                        until: Some(until),
                        words,
                    });
                }
                let item = self.as_sent(job, item, step, &route);
                let worst_case = self.to_reserve(job, &route, &item);
                match self.afford(job, state, &item, tags, worst_case) {
                    Ok(()) => Admission::Start(route, worst_case),
                    Err(Short::Item(why)) => Admission::too_dear(why),
                    Err(Short::Budget(full)) => Admission::OutOfMoney(full),
                }
            }
            // With the deadline near, an item does not wait for a step that takes nothing.
            Choice::Wait(Waiting::NoRoute | Waiting::Capacity, _) if urgent && !last => Admission::Up,
            Choice::Wait(waiting, until) => {
                let trouble = || routes.iter().find_map(|route| self.lanes.trouble(route));
                let words = match waiting {
                    Waiting::RateLimit => None,
                    Waiting::Window => order.map_or_else(
                        || until.and_then(|until| window_words(routes, self.now, until)),
                        Standing::words,
                    ),
                    _ => trouble(),
                };
                Admission::Park(Parked { waiting, until, words })
            }
            choice => turned_away(choice, item, last, given.stop),
        }
    }

    /// The plan's order that holds for an item; none where nothing is planned that is like it.
    pub(super) fn order_for(
        &self,
        job: &Job,
        item: &Item,
        step: u8,
        routes: &[Arc<Route>],
    ) -> Option<&Standing> {
        let order = self.schedule.order(&job.id, (item.class, step))?;
        order.is_for(&self.takes(job, item, routes)).then_some(order)
    }

    /// What has to fit into every budget until an attempt ends: nothing where an allowance is sure to pay.
    pub(super) fn to_reserve(&self, job: &Job, route: &Route, item: &Item) -> Usd {
        match self.drawing(route, item, &self.known(&job.id)) {
            Some(drawing) if drawing.is_sure => Usd::ZERO,
            _ => price::worst_case(route, item).unwrap_or(Usd::ZERO),
        }
    }

    /// What is sent for an item: itself, unless its answer was cut off on this step and the route allows
    /// a longer one.
    pub(super) fn as_sent(&self, job: &Job, item: &Arc<Item>, step: u8, route: &Route) -> Arc<Item> {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1.items.get(item.index);
        if !state.was_cut_off() || state.step() != step {
            return item.clone();
        }
        let longer = larger(route, item).and_then(|limit| with_output_limit(item, limit));
        longer.map_or_else(|| item.clone(), Arc::new)
    }

    /// Writes the intent down. The request leaves when the disk has it.
    pub(super) fn launch(
        &mut self,
        job: &Arc<Job>,
        item: Arc<Item>,
        step: u8,
        route: Arc<Route>,
        worst_case: Usd,
        tags: Tags,
    ) {
        let now = self.now;
        let attempt = AttemptId(self.ledger.globals.next_attempt.max(1));
        let lane = self.lanes.find(&route.name).expect("chosen among the lanes");
        let sent = self.as_sent(job, &item, step, &route);
        let usage = self.known(&job.id).usage(&route, &sent);
        let has_room = self.lanes.take(lane, &sent, usage, now).is_ok();
        self.lanes.get_mut(lane).ahead += u32::from(!has_room);
        self.is_awaited |= has_room;
        self.lanes.account(lane).sent(now);
        self.schedule.sent(&job.id, (item.class, step), &route.name);
        let drawing = self.drawing(&route, &sent, &self.known(&job.id)).map(Box::new);
        self.record(Record::Started(Started {
            attempt,
            job: job.id.clone(),
            item: item.index,
            step,
            route: route.name.clone(),
            worst_case,
            at: now,
            day: self.today.day(),
            tags,
            drawing,
            batch: None,
        }));
        self.recording.push_back((self.ledger.globals.seq, attempt));
        self.fill(lane, (&job.id, step), &sent, attempt);
        let beside = self.shares_with(lane, (&job.id, step), &sent, attempt);
        let call = Call { attempt, job: job.id.clone(), route, item: sent, beside };
        let stage = Stage::Recording(has_room);
        let job = job.clone();
        self.flights.insert(
            attempt,
            Flight {
                call,
                item,
                job,
                lane: Some(lane),
                step,
                worst_case,
                started_at: now,
                sent_at: now,
                stage,
            },
        );
    }
}

impl Admission {
    /// The item's own cap has no room for it.
    pub(super) fn too_dear(why: String) -> Admission {
        Admission::End(ErrorCode::MaxCost, why)
    }
}

/// What becomes of an item that none of the routes takes.
pub(super) fn turned_away(choice: Choice, item: &Item, is_last: bool, stop: StopPrice) -> Admission {
    match choice {
        Choice::TooLong | Choice::Never { .. } | Choice::Spent | Choice::NotWorthIt { .. } if !is_last => {
            Admission::Up
        }
        Choice::NotWorthIt { route, index } => {
            Admission::too_dear(format!("not sent: {}", too_dear(&route, index, stop)))
        }
        Choice::TooLong => Admission::End(
            ErrorCode::ContextLength,
            format!("about {} input tokens fit no model of its ladder", item.input_tokens),
        ),
        Choice::Never { why, can_be_mended: true } => {
            Admission::SetAside(Parked { waiting: Waiting::NoRoute, until: None, words: Some(why) })
        }
        Choice::Never { why, .. } => Admission::End(ErrorCode::NoRoute, why),
        Choice::Spent | Choice::Send(_) | Choice::Wait(..) => {
            Admission::End(ErrorCode::NoRoute, "no model of its ladder is left".to_owned())
        }
    }
}
