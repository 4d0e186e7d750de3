//! Looking after batches that take no more lines: making, finding, looking, taking back, closing.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::{Batch, BatchAsk, BatchNews, BatchWork, LineEnd, Stage, Then};
use crate::attempt::{ErrorCode, Outcome, RefusalKind};
use crate::batch::{
    AskError, BatchRef, BatchState, CreateError, Ended, Found, Mark, Order, Search, Status, Why, pause,
};
use crate::engine::{Effect, Engine, Notice};
use crate::job::{AttemptId, JobId};
use crate::record::{Record, Seq};

/// The first pause after a question without an answer, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// A new batch, and one that was taken back, is looked at after this.
const SOON: Duration = Duration::from_secs(15);
/// Lists lag behind, so searches are so far apart.
const LISTS_LAG: Duration = Duration::from_secs(60);
/// So many searches in a row find nothing where there is nothing: a clock that is put forward makes two of them
/// one, but not all.
const SEARCHES: u32 = 5;
/// Providers let no batch live longer than a day: so long one that may be ours is waited for, and then one
/// that is still not over is taken back.
const LIFE: Duration = Duration::from_secs(26 * 3_600);
/// Results that are not there are waited for so long.
const GONE: Duration = Duration::from_secs(3_600);

impl Engine {
    /// What the driver was asked about a batch has an answer.
    pub(in crate::engine) fn batch_news(&mut self, mark: Mark, news: BatchNews) {
        let number = mark.number;
        if let BatchNews::NotAdded(attempt, why) = news {
            self.not_added(number, attempt, why);
            return;
        }
        let Some(batch) = self.batches.open.get_mut(&number).filter(|batch| batch.is_asked) else { return };
        batch.is_asked = false;
        match news {
            BatchNews::Created(Ok(made)) | BatchNews::Found(Ok(Found::This(made))) => {
                self.made(number, made);
            }
            BatchNews::Created(Err(CreateError::Unknown(_))) => {
                batch.stage = Stage::Lost;
                batch.look_at = self.now + SOON;
                if let Some(lane) = self.lanes.find(&batch.route.name) {
                    self.lanes.account(lane).probe_lost();
                }
            }
            BatchNews::Created(Err(CreateError::NotCreated { why, message, retry_after })) => {
                self.not_taken(number, why, &message, retry_after);
            }
            BatchNews::Found(Ok(found)) => self.not_found(number, &found),
            BatchNews::Looked(Ok(status)) => self.looked(number, status),
            BatchNews::Found(Err(why)) | BatchNews::Looked(Err(why)) => self.no_answer(number, &why),
            BatchNews::Collected { lines, cursor, end } => self.collected(number, lines, cursor, end),
            BatchNews::NotAdded(..) => {}
        }
    }

    /// Intents that are durable now: their batches are made.
    pub(in crate::engine) fn create_batches(&mut self, seq: u64) {
        let is_durable =
            |batch: &Batch| matches!(batch.stage, Stage::Recording(at) if at <= seq && !batch.is_asked);
        let due = self.batches.open.iter().filter(|(_, batch)| is_durable(batch));
        let due: Vec<u64> = due.map(|(&number, _)| number).collect();
        for number in due {
            let lane = self.batches.open.get(&number).and_then(|batch| self.lanes.find(&batch.route.name));
            if let Some(lane) = lane {
                self.lanes.account(lane).sent(self.now);
            }
            self.ask_batch(number, BatchWork::Create);
        }
    }

    /// Batches whose end is durable now leave nothing behind.
    pub(in crate::engine) fn clear_batches(&mut self, seq: Seq) {
        while let Some((_, ask)) = self.batches.leaving.pop_front_if(|(at, _)| *at <= seq) {
            self.effects.push(Effect::Batch(ask));
        }
    }

    /// Cancels what is not wanted any longer: by the planner, by the user, or because time is up.
    pub(super) fn take_back_unwanted(&mut self, number: u64) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        let Some((job, state)) = self.ledger.get(&batch.job) else { return };
        let deadline = job.classes[usize::from(batch.key.0)].deadline;
        let is_late = deadline.is_some_and(|deadline| deadline <= self.now);
        let is_stuck = self.now >= batch.intended_at + LIFE;
        batch.is_recalled |= state.cancelled || is_late || is_stuck;
        let can_be = matches!(batch.stage, Stage::Made) && batch.ended_at.is_none();
        let Some(made) = batch.made.clone().filter(|_| can_be && batch.is_recalled && !batch.was_cancelled)
        else {
            return;
        };
        batch.was_cancelled = true;
        batch.look_at = batch.look_at.min(self.now + SOON);
        let is_asked = batch.is_asked;
        self.ask_batch(number, BatchWork::Cancel(made));
        self.batches.open.get_mut(&number).expect("found above").is_asked = is_asked;
    }

    /// Asks what is due.
    pub(super) fn look(&mut self, number: u64) {
        let Some(batch) = self.batches.open.get(&number) else { return };
        if self.on_hold || batch.is_asked || batch.look_at > self.now {
            return;
        }
        match (&batch.stage, &batch.made) {
            (Stage::Made, Some(made)) => self.ask_batch(number, BatchWork::Look(made.clone())),
            (Stage::Lost, _) => {
                let search = self.search(batch);
                self.ask_batch(number, BatchWork::Find(Box::new(search)));
            }
            _ => {}
        }
    }

    fn search(&self, batch: &Batch) -> Search {
        let wire = self.ledger.globals.batches.get(batch.mark.number).map(|open| open.wire);
        let known = self.batches.open.values().filter_map(|batch| Some(batch.made.as_ref()?.id.clone()));
        Search {
            order: Order {
                mark: batch.mark,
                model: batch.route.model.clone(),
                wire: wire.expect("only what was intended is looked for"),
            },
            len: batch.len,
            since: batch.intended_at,
            known: known.collect(),
        }
    }

    fn made(&mut self, number: u64, made: BatchRef) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        batch.made = Some(made.clone());
        batch.stage = Stage::Made;
        (batch.failures, batch.first_gone) = (0, None);
        batch.look_at = self.now + SOON;
        let lane = self.lanes.find(&batch.route.name);
        self.effects.extend(lane.and_then(|lane| self.lanes.took_batch(lane)).map(Effect::Tell));
        self.record(Record::BatchMade(made));
    }

    fn not_found(&mut self, number: u64, found: &Found) {
        let now = self.now;
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        if *found != Found::Nothing {
            // It will show whose it is when it has ended; what is ours for certain is taken at once.
            batch.searches = 0;
            batch.look_at = now + pause(now.since(batch.intended_at));
            if now >= batch.intended_at + LIFE {
                self.lines_are_unknown(number, "whether its batch was made was never learned");
            }
            return;
        }
        batch.searches += 1;
        if batch.searches < SEARCHES {
            batch.look_at = now + LISTS_LAG;
            return;
        }
        self.never_was(number, "its batch was not made: the answer was lost, and no list has it");
    }

    fn looked(&mut self, number: u64, status: Status) {
        let now = self.now;
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        if !status.state.has_ended() {
            (batch.failures, batch.first_gone) = (0, None);
        }
        let done = status.counts.succeeded + status.counts.failed;
        batch.done = (done as f64 / batch.len.max(1) as f64).min(1.0);
        match &status.state {
            BatchState::Ended(Ended::Failed { why, message }) => {
                let (why, message) = (*why, message.clone());
                self.not_taken(number, why, &message, None);
            }
            BatchState::Ended(_) => {
                let is_news = batch.ended_at.is_none();
                batch.ended_at.get_or_insert(now);
                if !status.results.is_empty() {
                    batch.results = Some(Box::new(status));
                    batch.stage = Stage::Settling(Then::Collect);
                } else if is_news {
                    // Some name their results a little later.
                    batch.look_at = now + 2 * SOON;
                } else {
                    self.rest_did_not_run(number);
                }
            }
            _ => {
                // The order to give it up may have been lost.
                batch.was_cancelled &= status.state == BatchState::Ending;
                batch.look_at = now + status.look_again.max(SOON);
            }
        }
    }

    /// A question had no answer: it is asked again later.
    pub(super) fn no_answer(&mut self, number: u64, why: &AskError) {
        let now = self.now;
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        let (first, longest) = AGAIN;
        batch.look_at = now + (first * 2u32.pow(batch.failures.min(6))).min(longest);
        batch.failures += 1;
        if matches!(batch.stage, Stage::Lost) || !matches!(why, AskError::Gone(_)) {
            return;
        }
        let first = *batch.first_gone.get_or_insert(now);
        if now >= first + GONE {
            self.lines_are_unknown(number, "the results of its batch are gone");
        }
    }

    /// A batch was not taken, or failed as a whole: nothing of it ran.
    fn not_taken(&mut self, number: u64, why: Why, message: &str, wait: Option<Duration>) {
        let Some(batch) = self.batches.open.get(&number) else { return };
        let (route, len) = (batch.route.clone(), batch.len);
        let lane = self.lanes.find(&route.name);
        if why == Why::TooLarge {
            let lane = self.batches.lanes.entry(route.name.clone()).or_default();
            lane.most_lines = Some((len / 2).max(1));
        }
        let news = lane.and_then(|lane| match why {
            Why::NotSent | Why::Refused(RefusalKind::Server | RefusalKind::Capacity) => {
                self.lanes.failed_batch(lane, message, self.now)
            }
            Why::NoBatches => self.lanes.refused_batch(lane, RefusalKind::ModelGone, message, self.now),
            Why::Refused(kind @ (RefusalKind::Auth | RefusalKind::NoCredit | RefusalKind::ModelGone)) => {
                self.lanes.refused_batch(lane, kind, message, self.now)
            }
            Why::QueueFull | Why::TooLarge | Why::Refused(_) => self.lanes.took_batch(lane),
        });
        self.effects.extend(news.map(Effect::Tell));
        if why != Why::TooLarge || len <= 1 {
            self.batches.rest(&route.name, self.now, wait);
        }
        self.never_was(number, &format!("its batch was not taken: {message}"));
    }

    /// There is no such batch: none of its attempts was sent.
    pub(super) fn never_was(&mut self, number: u64, why: &str) {
        self.end_rest(number, || LineEnd::NotSent(why.to_owned()));
    }

    /// What has no line has not run.
    pub(super) fn rest_did_not_run(&mut self, number: u64) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        batch.not_run += batch.out.len() as u64;
        self.end_rest(number, || LineEnd::NotRun("its batch ended without it".to_owned()));
    }

    pub(super) fn lines_are_unknown(&mut self, number: u64, why: &str) {
        let end = || {
            let (message, code) = (why.to_owned(), ErrorCode::Network);
            LineEnd::Ran(Box::new(Outcome::Unknown { message, code, http_status: None }))
        };
        self.end_rest(number, end);
    }

    fn end_rest(&mut self, number: u64, end: impl Fn() -> LineEnd) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        let out = std::mem::take(&mut batch.out);
        batch.due.extend(out.into_iter().map(|(attempt, item)| (attempt, item, end())));
        batch.stage = Stage::Settling(Then::Close);
    }

    /// When all that is known of a batch is written down, what comes next.
    pub(super) fn go_on(&mut self, number: u64) {
        let Some(batch) = self.batches.open.get_mut(&number) else { return };
        let is_settled = batch.due.is_empty() && batch.page.is_empty() && !batch.is_asked;
        // What is read has to be written down, so nothing is read while nothing can be.
        if !is_settled || self.on_hold {
            return;
        }
        let then = match std::mem::replace(&mut batch.stage, Stage::Made) {
            Stage::Settling(then) => then,
            stage => {
                batch.stage = stage;
                return;
            }
        };
        let (cursor, results) = (batch.cursor, batch.results.clone());
        let written = self.ledger.globals.batches.get(number).map(|open| open.cursor);
        if written.is_some_and(|written| written != cursor) {
            self.record(Record::BatchRead { number, cursor });
        }
        match then {
            Then::Look => {}
            Then::Collect => {
                if let Some(status) = results {
                    self.ask_batch(number, BatchWork::Collect(status, cursor));
                }
            }
            Then::Close => self.close(number),
        }
    }

    fn close(&mut self, number: u64) {
        let Some(batch) = self.batches.open.remove(&number) else { return };
        let now = self.now;
        if let Some(intended) = self.ledger.globals.batches.get(number) {
            let what = match &batch.made {
                Some(made) => Some(BatchWork::Clear(made.clone())),
                None => (batch.searches >= SEARCHES).then_some(BatchWork::ClearUnmade(intended.wire)),
            };
            self.record(Record::BatchClosed { number });
            let ask = what.map(|what| BatchAsk { mark: batch.mark, route: batch.route.clone(), what });
            let seq = self.ledger.globals.seq;
            self.batches.leaving.extend(ask.map(|ask| (seq, ask)));
        }
        if let Some(ended_at) = batch.ended_at {
            let lane = self.batches.lanes.entry(batch.route.name.clone()).or_default();
            let age = ended_at.since(batch.intended_at);
            // A few lines that are missing say nothing of the lane.
            let has_run = 2 * batch.not_run <= batch.len;
            if has_run {
                lane.done_by.done(age);
                lane.rests = 0;
            } else {
                lane.done_by.never_done(age);
            }
            // What was not taken back by us and did not run would fare no better at once.
            if !has_run && !batch.is_recalled {
                self.batches.rest(&batch.route.name, now, None);
            }
        }
        let (foreign, double) = batch.odd;
        if foreign + double > 0 {
            self.effects.push(Effect::Tell(Notice::OddLines {
                route: batch.route.name.clone(),
                batch: batch.made.map_or_else(|| batch.mark.to_string(), |made| made.id),
                foreign,
                double,
            }));
        }
    }

    /// The provider's name of the batch that an open attempt is in.
    pub(in crate::engine) fn upstream_batch(&self, job: &JobId, attempt: AttemptId) -> Option<Arc<str>> {
        let number = self.ledger.get(job)?.1.open.get(&attempt)?.batch?;
        let made = self.ledger.globals.batches.get(number)?.made.as_ref()?;
        Some(made.id.as_str().into())
    }
}
