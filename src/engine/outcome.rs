//! From the end of a call to what is written down of it: judging, billing, deciding, settling.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::decide::{Decision, Situation, Then, decide};
use super::flight::{Flight, Stage};
use super::{Call, Effect, Engine};
use crate::attempt::{AttemptStatus, CostBasis, Ending, ErrorCode, Finish, ItemStatus, Outcome, RateHints};
use crate::catalog::Route;
use crate::check::Verdict;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, Job, JobId};
use crate::ledger::{Amount, ItemState, Phase};
use crate::money::Usd;
use crate::plan::estimate::{Known, class_of};
use crate::plan::limit::larger;
use crate::plan::price::{self, Bill};
use crate::provider::translate;
use crate::record::{Ended, ItemTotals, Next, Record, RouteFacts, Settled};

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl Engine {
    /// A call ended: learn from it, judge its answer, and conclude unless a command has to judge too.
    pub(super) fn ended(&mut self, attempt: AttemptId, ending: Ending) {
        // Only what is out can come back: a second end, while a command judges the first, changes nothing.
        let is_out = |flight: &Flight| matches!(flight.stage, Stage::Sent);
        if !self.flights.get(&attempt).is_some_and(is_out) {
            return;
        }
        let flight = self.flights.remove(&attempt).expect("found above");
        if let Some(lane) = flight.lane
            && let Some(notice) = self.lanes.ended(lane, &ending, self.now)
        {
            self.effects.push(Effect::Tell(notice));
        }
        self.filled(&flight, matches!(ending.outcome, Outcome::Answer(_)));
        self.judge_or_conclude(flight, ending);
    }

    /// Concludes unless a command has to judge first.
    pub(super) fn judge_or_conclude(&mut self, mut flight: Flight, ending: Ending) {
        let attempt = flight.call.attempt;
        let verdict = self.judge(&flight, &ending);
        match (verdict, &ending.outcome) {
            (Some(Verdict::Run(commands)), Outcome::Answer(answer)) => {
                self.effects.push(Effect::Judge(attempt, commands, answer.text.clone()));
                flight.stage = Stage::Judging(Box::new(ending));
                self.flights.insert(attempt, flight);
            }
            (verdict, _) => self.conclude(flight, ending, verdict),
        }
    }

    /// A check command gave its verdict.
    pub(super) fn judged(&mut self, attempt: AttemptId, verdict: Verdict) {
        let Some(mut flight) = self.flights.remove(&attempt) else { return };
        match std::mem::replace(&mut flight.stage, Stage::Sent) {
            Stage::Judging(ending) => self.conclude(flight, *ending, Some(verdict)),
            stage => {
                flight.stage = stage;
                self.flights.insert(attempt, flight);
            }
        }
    }

    /// What the check says; `None` where there is none or nothing to judge.
    fn judge(&self, flight: &Flight, ending: &Ending) -> Option<Verdict> {
        let Outcome::Answer(answer) = &ending.outcome else { return None };
        let whole = match answer.finish {
            Finish::Complete => true,
            Finish::Truncated => flight.job.options.accept_truncated,
            Finish::Refusal | Finish::ContentFilter | Finish::Empty => false,
        };
        if !whole {
            return None;
        }
        let job_rule = self.queues.get(&flight.job.id).and_then(|queue| queue.rule.as_ref());
        match flight.rule(job_rule)? {
            Ok(rule) => Some(rule.judge(&answer.text)),
            Err(message) => Some(Verdict::Fail(ErrorCode::CheckFailed, message)),
        }
    }

    /// An attempt of a former process that never wrote down its end.
    pub(super) fn settle_orphan(&mut self, job: &JobId, attempt: AttemptId, item: Arc<Item>) {
        let was_for_batch = self
            .ledger
            .get(job)
            .is_some_and(|(_, state)| state.open.get(&attempt).is_some_and(|open| open.batch.is_some()));
        let Some(flight) = self.open_flight(job, attempt, item) else { return };
        if was_for_batch {
            // Its batch was never intended.
            self.conclude_withdrawn(flight);
            return;
        }
        let outcome = Outcome::Unknown {
            message: "overnight stopped while the request was in flight".to_owned(),
            code: ErrorCode::Network,
            http_status: None,
        };
        let ending = Ending { outcome, hints: RateHints::default(), sent_at: flight.started_at };
        self.conclude(flight, ending, None);
    }

    /// An open attempt that is known to the ledger alone, as a flight: that of a former process, or one in a
    /// provider batch.
    pub(super) fn open_flight(&self, job: &JobId, attempt: AttemptId, item: Arc<Item>) -> Option<Flight> {
        let (job, state) = self.ledger.get(job)?;
        let open = state.open.get(&attempt)?;
        let lane = self.lanes.find(&open.route);
        let route = match lane {
            Some(lane) => self.lanes.get(lane).route.clone(),
            None => Arc::new(Route::gone(&open.route)),
        };
        let sent = self.as_sent(job, &item, open.step, &route);
        Some(Flight {
            call: Call { attempt, job: job.id.clone(), route, item: sent, beside: None },
            item,
            job: job.clone(),
            lane: None,
            step: open.step,
            worst_case: open.worst_case,
            started_at: open.at,
            sent_at: open.at,
            stage: Stage::Sent,
        })
    }

    /// A start that was never sent.
    pub(super) fn conclude_withdrawn(&mut self, flight: Flight) {
        self.filled(&flight, false);
        let why = "not sent: the job was stopped or its route closed".to_owned();
        let decision = Decision {
            status: AttemptStatus::Cancelled,
            error: Some((ErrorCode::Cancelled, why.clone())),
            then: Then::Failover,
        };
        let ending = Ending {
            outcome: Outcome::NotSent { message: why },
            hints: RateHints::default(),
            sent_at: flight.started_at,
        };
        self.write_end(flight, ending, decision, None);
    }

    fn conclude(&mut self, flight: Flight, ending: Ending, verdict: Option<Verdict>) {
        let state = self.item_state(&flight.job.id, &flight.item);
        let own = flight.item.options.as_ref().and_then(|options| options.max_attempts);
        let is_taken = matches!(&ending.outcome, Outcome::Answer(answer) if answer.finish == Finish::Complete)
            && !matches!(verdict, Some(Verdict::Fail(..)));
        let above = if is_taken { None } else { self.above(&flight) };
        let given = Situation {
            options: &flight.job.options,
            max_attempts: own.unwrap_or(flight.job.options.max_attempts).min(ItemState::MAX_ATTEMPTS),
            attempts: state.attempts(),
            unknowns: state.unknowns(),
            above,
            has_more_room: !state.was_cut_off() && larger(&flight.call.route, &flight.item).is_some(),
            worst_case: flight.worst_case,
        };
        let mut decision = decide(&ending.outcome, verdict.as_ref().unwrap_or(&Verdict::Pass), &given);
        if let Then::Escalate(step) = decision.then {
            self.weigh(&flight, step, &mut decision);
        }
        if decision.then == Then::Accept {
            self.cancel_rival(&flight);
        }
        self.write_end(flight, ending, decision, verdict);
    }

    fn item_state(&self, job: &JobId, item: &Item) -> ItemState {
        self.ledger.get(job).map(|(_, state)| state.items.get(item.index)).unwrap_or_default()
    }

    /// Writes the end down and puts the item where the decision says.
    pub(super) fn write_end(
        &mut self,
        flight: Flight,
        ending: Ending,
        decision: Decision,
        verdict: Option<Verdict>,
    ) {
        let now = self.now;
        let priced = self.priced_by(&flight, &ending);
        let known = self.known(&flight.job.id);
        let list_cost = bill(&self.lanes.realtime(&priced), &flight, &ending, &known).list_cost;
        let bill = Bill { list_cost, ..bill(&priced, &flight, &ending, &known) };
        let (bill, drawn) = self.after_allowance(&flight, &ending, bill);
        let has_check = has_check(&flight.job, &flight.item);
        let spends_model = decision.spends_model();
        let Decision { status, error, then } = decision;
        let then = match then {
            Then::Accept | Then::GiveUp => then,
            _ if self.is_cancelled(&flight.job.id) => Then::GiveUp,
            _ => then,
        };
        let (before, hedge, has_rival) = self.beside(&flight);
        let then = if has_rival { Then::AwaitRival } else { then };
        let item = flight.item.clone();
        let job = flight.job.clone();
        let totals = add_up(before, &bill, &ending);
        let next = match then {
            Then::Accept | Then::GiveUp => {
                let valid = verdict.as_ref().map(|verdict| !matches!(verdict, Verdict::Fail(..)));
                let settled = self.settled(&flight, then, error.clone(), valid, totals);
                Next::Settled(Box::new(settled))
            }
            Then::Failover | Then::Retry | Then::Longer => Next::Pending(flight.step),
            Then::Escalate(step) => Next::Pending(step),
            Then::Hold => Next::Held(flight.step),
            Then::AwaitRival => Next::Running,
        };
        let stays = then == Then::Escalate(flight.step);
        let escalates = matches!(then, Then::Escalate(_));
        let escalation = if escalates { error.as_ref().map(|(code, _)| *code) } else { None };
        let rest = self.rest_after_refusal(&flight, &ending);
        let lane = flight.lane;
        let attempt = flight.call.attempt;
        let step = match next {
            Next::Pending(step) => Some(step),
            Next::Held(_) | Next::Settled(_) | Next::Running => None,
        };
        let class =
            self.queues.get(&job.id).map_or_else(|| class_of(&job).into(), |queue| queue.class.clone());
        let ended =
            ended_record(flight, &priced, ending, status, error, escalation, bill, totals, next, class, now);
        let upstream_batch = self.upstream_batch(&job.id, attempt);
        let ended = Ended { has_check, spends_model, drawn, hedge, upstream_batch, ..ended };
        if step.is_none() {
            self.answer_copies(&ended);
        }
        let reservation = self.ledger.globals.budgets.reservation(attempt).cloned();
        self.record(Record::Ended(Box::new(ended)));
        self.settled_money(&job, reservation);
        let delay = match then {
            Then::Retry => Some(backoff(attempt, totals.attempts)),
            _ => rest,
        };
        let delay = match (delay, lane) {
            (Some(delay), Some(lane)) if then == Then::Retry => {
                Some(delay + self.lanes.take_retry(lane, now))
            }
            (delay, _) => delay,
        };
        let Some(queue) = self.queues.get_mut(&job.id) else { return };
        match step {
            Some(step) => {
                queue.step(item.class, step).pending += 1;
                let state = self.ledger.get_mut(&job.id).expect("a queue has a ledger");
                let (class, index) = (item.class, item.index);
                queue.again(item, step, delay.map(|delay| now + delay), &mut state.items);
                if stays && !queue.taught.is_short() {
                    queue.put_first(class, step, index);
                }
            }
            None if has_rival => {}
            None => queue.pace.ended(now),
        }
    }

    fn is_cancelled(&self, job: &JobId) -> bool {
        self.ledger.get(job).is_some_and(|(_, state)| state.cancelled)
    }

    /// The route whose price the attempt is billed at: an answer may be of another model than was asked.
    fn priced_by(&self, flight: &Flight, ending: &Ending) -> Arc<Route> {
        match &ending.outcome {
            Outcome::Answer(answer) => {
                let served = self.lanes.served(&flight.call.route, answer.service_tier.as_deref());
                self.lanes.answering(&served, answer.response_model.as_deref())
            }
            _ => flight.call.route.clone(),
        }
    }

    fn settled(
        &self,
        flight: &Flight,
        then: Then,
        error: Option<(ErrorCode, String)>,
        valid: Option<bool>,
        totals: ItemTotals,
    ) -> Settled {
        let status = match then {
            Then::Accept => ItemStatus::Succeeded,
            _ if self.is_cancelled(&flight.job.id) => ItemStatus::Cancelled,
            _ => ItemStatus::Failed,
        };
        let error = if status == ItemStatus::Succeeded { None } else { error };
        let settled = describe(&flight.job, &flight.item, status, error, self.now);
        Settled { valid, step: Some(flight.step), totals, ..settled }
    }

    /// Asks for the held items whose deadline has passed: who was to decide did not.
    pub(super) fn read_expired_held(&mut self) {
        for (id, queue) in &mut self.queues {
            let (job, state) = self.ledger.get(id).expect("a queue has a ledger");
            let is_past = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= self.now);
            if state.counts().held == 0 || !job.classes.iter().any(|class| is_past(class.deadline)) {
                continue;
            }
            let mut items = state.held();
            items.retain(|&item| is_past(job.class(item).deadline) && queue.expiring.insert(item));
            if !items.is_empty() {
                self.effects.push(Effect::Read(id.clone(), items));
            }
        }
    }

    /// Ends a held item whose deadline has passed, unless it was let go meanwhile.
    pub(super) fn expire_held(&mut self, id: &JobId, item: &Item) {
        let (job, state) = self.ledger.get(id).expect("a queue has a ledger");
        if state.items.get(item.index).phase() == Phase::Held {
            let why = "its deadline passed while it waited for a decision".to_owned();
            self.settle_unsent(&job.clone(), item, ItemStatus::Expired, (ErrorCode::Deadline, why));
        }
    }

    /// Ends an item without a further attempt.
    pub(super) fn settle_unsent(
        &mut self,
        job: &Job,
        item: &Item,
        status: ItemStatus,
        error: (ErrorCode, String),
    ) {
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        let partial = state.partial.get(&item.index);
        let totals = partial.map(|partial| partial.totals).unwrap_or_default();
        let step = partial.map(|partial| ItemState::from_stored(partial.state).step());
        let settled = describe(job, item, status, Some(error), self.now);
        self.record(Record::Settled(Box::new(Settled { step, totals, ..settled })));
        self.send_next_copy(&job.id, item.index);
        if let Some(queue) = self.queues.get_mut(&job.id) {
            queue.pace.ended(self.now);
        }
    }
}

/// What an attempt cost, at the price of the route that `priced_by` names.
fn bill(priced: &Route, flight: &Flight, ending: &Ending, known: &Known<'_>) -> Bill {
    let item = &flight.call.item;
    let bill = match &ending.outcome {
        Outcome::Answer(answer) => price::of_answer(priced, item, answer, ending.sent_at, known),
        Outcome::Unknown { .. } | Outcome::Garbage { .. } => {
            price::of_unknown(priced, item, ending.sent_at, known)
        }
        Outcome::NotSent { .. } | Outcome::Refused(_) => Bill::NOTHING,
    };
    // What was reserved for it stays reserved: never less than the estimate that is shown.
    let at_risk =
        if bill.basis == CostBasis::Estimated { flight.worst_case.max(bill.cost) } else { Usd::ZERO };
    Bill { at_risk, ..bill }
}

fn add_up(before: ItemTotals, bill: &Bill, ending: &Ending) -> ItemTotals {
    let mut totals = before;
    totals.attempts = totals.attempts.saturating_add(1);
    if let Outcome::Answer(answer) = &ending.outcome {
        totals.usage += answer.usage.unwrap_or_default();
    }
    totals.cost += bill.cost;
    totals.list_cost += bill.list_cost;
    totals.basis = totals.basis.max(Some(bill.basis));
    if !matches!(ending.outcome, Outcome::NotSent { .. }) {
        totals.first_sent.get_or_insert(ending.sent_at);
    }
    totals
}

#[expect(clippy::too_many_arguments, reason = "one record, filled from everything that is known at the end")]
fn ended_record(
    flight: Flight,
    priced: &Route,
    ending: Ending,
    status: AttemptStatus,
    error: Option<(ErrorCode, String)>,
    escalation: Option<ErrorCode>,
    bill: Bill,
    totals: ItemTotals,
    next: Next,
    class: Arc<str>,
    now: Timestamp,
) -> Ended {
    let open_tags = match next {
        Next::Settled(_) => Vec::new(),
        Next::Pending(_) | Next::Held(_) | Next::Running => tags(&flight.job, &flight.call.item),
    };
    let Flight { call: Call { attempt, job, route, item, .. }, step, started_at, .. } = flight;
    let ended = Ended {
        attempt,
        job,
        item: item.index,
        custom_id: item.custom_id.clone(),
        wire: item.wire,
        number: totals.attempts,
        step,
        status,
        error,
        escalation,
        http_status: None,
        route: facts(&route, priced, &item, &ending),
        response_model: None,
        request_id: None,
        finish_reason: None,
        usage: None,
        cost: bill.cost,
        list_cost: bill.list_cost,
        cost_basis: bill.basis,
        queued_at: started_at,
        started_at: ending.sent_at,
        ended_at: now,
        retry_after_ms: None,
        text: None,
        body: Bytes::new(),
        at_risk: bill.at_risk,
        totals,
        next,
        open_tags,
        input_estimate: item.input_tokens,
        class,
        drawn: Amount::NOTHING,
        has_check: false,
        spends_model: false,
        hedge: false,
        upstream_batch: None,
    };
    match ending.outcome {
        Outcome::Answer(answer) => Ended {
            http_status: Some(answer.http_status),
            response_model: answer.response_model,
            request_id: answer.request_id,
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            text: Some(answer.text),
            body: answer.body,
            ..ended
        },
        Outcome::Refused(refusal) => Ended {
            http_status: Some(refusal.http_status),
            request_id: refusal.request_id,
            retry_after_ms: refusal.retry_after.map(|wait| wait.as_millis() as u64),
            body: refusal.body,
            ..ended
        },
        Outcome::Garbage { http_status, body, .. } => Ended { http_status: Some(http_status), body, ..ended },
        Outcome::Unknown { http_status, .. } => Ended { http_status, ..ended },
        Outcome::NotSent { .. } => ended,
    }
}

/// A result with nothing yet of its attempts.
pub(super) fn describe(
    job: &Job,
    item: &Item,
    status: ItemStatus,
    error: Option<(ErrorCode, String)>,
    at: Timestamp,
) -> Settled {
    let class = job.class(item.index);
    Settled {
        job: job.id.clone(),
        item: item.index,
        custom_id: item.custom_id.clone(),
        status,
        error,
        valid: None,
        step: None,
        priority: class.priority,
        totals: ItemTotals::default(),
        at,
        deadline: class.deadline,
        tags: tags(job, item),
        input: job.options.keep_input.then(|| item.body.json.clone()),
        copied: None,
    }
}

/// Whether a check judges the answers of an item: its own or its job's.
pub(super) fn has_check(job: &Job, item: &Item) -> bool {
    let own = item.options.as_ref().and_then(|options| options.check.as_ref());
    own.or(job.options.check.as_ref()).is_some()
}

/// The job's tags and the item's own, which are stronger.
fn tags(job: &Job, item: &Item) -> Vec<(String, String)> {
    let mut tags = job.options.tags.clone();
    if let Some(options) = &item.options {
        tags.extend(options.tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    tags.into_iter().collect()
}

fn facts(route: &Route, priced: &Route, item: &Item, ending: &Ending) -> RouteFacts {
    let usage = match &ending.outcome {
        Outcome::Answer(answer) => answer.usage,
        _ => None,
    };
    let prompt = usage.map_or(item.input_tokens.into(), |usage| usage.input);
    let priced = priced.prices.as_ref().map(|table| (table.rate_at(ending.sent_at), &table.id));
    RouteFacts {
        provider: route.provider.clone(),
        model: route.model.clone(),
        endpoint: translate::target(item.wire, &route.wires).unwrap_or(item.wire).endpoint().into(),
        lane: route.lane.clone(),
        window: priced.map_or_else(|| "flat".into(), |(rate, _)| rate.window.clone()),
        price_id: priced.map_or_else(|| "unpriced".into(), |(_, id)| id.clone()),
        input_price: priced.map(|(rate, _)| rate.for_prompt(prompt).input),
        output_price: priced.map(|(rate, _)| rate.for_prompt(prompt).output),
    }
}

/// Doubling pauses with jitter; the attempt's own number stands in for a random one, so that a replay
/// waits as long as the night itself did.
fn backoff(attempt: AttemptId, attempts: u16) -> Duration {
    let full = (FIRST_BACKOFF * 2u32.pow(u32::from(attempts.clamp(1, 8)) - 1)).min(LONGEST_BACKOFF);
    let mut hash = attempt.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let share = (hash >> 32) as f64 / f64::from(u32::MAX);
    full.mul_f64(0.5 + share / 2.0)
}
