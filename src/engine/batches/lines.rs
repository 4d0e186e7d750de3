//! The lines of a batch's results: whose they are, and how their attempts end.
//!
//! Pure.

use std::sync::Arc;

use super::{LineEnd, Stage, Then};
use crate::attempt::{AttemptStatus, Ending, ErrorCode, Outcome, RateHints, Refusal, RefusalKind};
use crate::batch::{AskError, Cursor, Fate, Line, LineId, NotRun};
use crate::engine::decide::{Decision, Then as Next};
use crate::engine::flight::Flight;
use crate::engine::{Effect, Engine};
use crate::job::{AttemptId, Item, JobId};

/// Items that are read at once for their ends to be written down.
const PAGE: usize = 256;

impl Engine {
    /// A page of results has come.
    pub(super) fn collected(
        &mut self,
        number: u64,
        lines: Vec<Line>,
        cursor: Cursor,
        end: Result<bool, AskError>,
    ) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        batch.stage = Stage::Settling(if end == Ok(false) { Then::Collect } else { Then::Look });
        batch.cursor = cursor;
        if !lines.is_empty() {
            (batch.failures, batch.first_gone) = (0, None);
        }
        for line in lines {
            match line.id {
                LineId::Foreign(_) => batch.odd.0 += 1,
                LineId::Ours(attempt) => match batch.out.remove(&attempt) {
                    Some(item) => {
                        batch.not_run += u64::from(matches!(line.fate, Fate::NotRun(_)));
                        batch.due.push_back((attempt, item, of_fate(line.fate)));
                    }
                    None => batch.odd.1 += 1,
                },
            }
        }
        match end {
            Ok(true) => self.rest_did_not_run(number),
            Ok(false) => {}
            Err(why) => self.no_answer(number, &why),
        }
    }

    /// Reads the items of the next ends that are known.
    pub(super) fn settle_page(&mut self, number: u64) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        let state = self.ledger.get(&batch.job).map(|(_, state)| state);
        batch.page.retain(|attempt| state.is_some_and(|state| state.open.contains_key(attempt)));
        if !batch.page.is_empty() || batch.due.is_empty() {
            return;
        }
        let ends: Vec<_> = batch.due.drain(..batch.due.len().min(PAGE)).collect();
        let items = ends.iter().map(|&(_, item, _)| item).collect();
        let job = batch.job.clone();
        for (attempt, item, end) in ends {
            batch.page.insert(attempt);
            self.batches.reading.insert((job.clone(), item), (attempt, end));
        }
        self.effects.push(Effect::Read(job, items));
    }

    /// An item that is out in a batch is here, because its attempt has ended or as a sample; `false` where it
    /// is none.
    pub(in crate::engine) fn settle_line(&mut self, job: &JobId, item: &Arc<Item>) -> bool {
        if self.batches.reading.is_empty() && self.batches.samples.is_empty() {
            return false;
        }
        let name = (job.clone(), item.index);
        let Some((attempt, end)) = self.batches.reading.remove(&name) else {
            let is_sample = self.batches.samples.remove(&name);
            if let Some(queue) = self.queues.get_mut(job).filter(|_| is_sample) {
                queue.see(item);
            }
            return is_sample;
        };
        if let Some(queue) = self.queues.get_mut(job) {
            queue.see(item);
        }
        let Some(flight) = self.open_flight(job, attempt, item.clone()) else { return true };
        match end {
            LineEnd::Ran(outcome) => {
                self.learn_of_line(&flight, &outcome);
                let ending =
                    Ending { outcome: *outcome, hints: RateHints::default(), sent_at: flight.started_at };
                self.judge_or_conclude(flight, ending);
            }
            LineEnd::NotRun(why) => {
                self.conclude_unsent(flight, AttemptStatus::Error, ErrorCode::BatchExpired, why);
            }
            LineEnd::NotSent(why) => {
                self.conclude_unsent(
                    flight,
                    AttemptStatus::Cancelled,
                    ErrorCode::Cancelled,
                    format!("not sent: {why}"),
                );
            }
        }
        true
    }

    /// An attempt that did not run ends: nothing was billed, its item goes back to its step.
    fn conclude_unsent(&mut self, flight: Flight, status: AttemptStatus, code: ErrorCode, why: String) {
        let decision = Decision { status, error: Some((code, why.clone())), then: Next::Failover };
        let outcome = Outcome::NotSent { message: why };
        let ending = Ending { outcome, hints: RateHints::default(), sent_at: flight.started_at };
        self.write_end(flight, ending, decision, None);
    }

    /// A line that was refused for what is no fault of its item: the lane rests, or is of no use.
    fn learn_of_line(&mut self, flight: &Flight, outcome: &Outcome) {
        let Outcome::Refused(Refusal { kind, message, retry_after, .. }) = outcome else { return };
        let route = flight.call.route.clone();
        match kind {
            RefusalKind::Rate | RefusalKind::Capacity => {
                let rests = self.batches.rests_until(&route.name).is_some_and(|until| until > self.now);
                if !rests {
                    self.batches.rest(&route.name, self.now, *retry_after);
                }
            }
            kind => {
                let lane = self.lanes.find(&route.name);
                let news = lane.and_then(|lane| self.lanes.refused_batch(lane, *kind, message, self.now));
                self.effects.extend(news.map(Effect::Tell));
            }
        }
    }

    /// A request did not go into a draft: its item goes one by one.
    pub(super) fn not_added(&mut self, number: u64, attempt: AttemptId, why: String) {
        let filling = self.batches.filling.iter_mut().find(|(_, part)| part.number == number);
        let taken = match (filling, self.batches.open.get_mut(&number)) {
            (Some(((job, _), part)), _) => part.without(attempt).map(|item| (job.clone(), item)),
            (None, Some(batch)) => batch.out.remove(&attempt).map(|item| (batch.job.clone(), item)),
            (None, None) => None,
        };
        let Some((job, item)) = taken else { return };
        self.batches.barred.insert((job.clone(), item));
        let why = format!("it does not go into a batch: {why}");
        self.batches.reading.insert((job.clone(), item), (attempt, LineEnd::NotSent(why)));
        self.effects.push(Effect::Read(job, vec![item]));
    }
}

fn of_fate(fate: Fate) -> LineEnd {
    match fate {
        Fate::Ran(outcome) => LineEnd::Ran(Box::new(outcome)),
        Fate::NotRun(NotRun::Expired) => LineEnd::NotRun("time was up before it ran".to_owned()),
        Fate::NotRun(NotRun::Cancelled) => {
            LineEnd::NotRun("its batch was cancelled before it ran".to_owned())
        }
    }
}
