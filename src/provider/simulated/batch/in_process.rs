//! Batches without a wire: what a driver on virtual time asks, in the words in which the real one is
//! answered.
//!
//! Its batches bear our marks, so that it finds them by their marks.
//!
//! Pure.

use super::super::in_process::{as_sent, outcome, prompt, read_body};
use super::super::{Act, Refusal, Simulated};
use super::left::{ANSWERS, ERRORS, Lies};
use super::{Asks, Batch, BatchFault, BatchLine, BatchOrder, BatchResult, BatchStage, Delivery, LineEnd};
use crate::attempt::{self, RefusalKind};
use crate::batch::{
    AskError, BatchRef, BatchState, Counts, CreateError, Cursor, Ended, Fate, Found, Line, LineId, Mark,
    NotRun, Order, ResultsAt, Search, Status, Why, pause,
};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::engine::Call;

impl Simulated {
    /// Makes a batch of calls on one route.
    pub fn create_batch(
        &mut self,
        now: Timestamp,
        order: &Order,
        calls: &[Call],
    ) -> Result<BatchRef, CreateError> {
        let Some(first) = calls.first() else {
            return Err(not_created(&Refusal::invalid("a batch needs at least one request".to_owned())));
        };
        let key = &*first.route.account;
        let full_name = first.route.name.split(' ').next().unwrap_or_default();
        let model = if self.by_name.contains_key(full_name) { full_name } else { &order.model };
        let lines = calls
            .iter()
            .map(|call| BatchLine { id: order.mark.line_id(call.attempt), asks: self.asks(call) });
        let ordered = BatchOrder {
            dialect: BatchDialect::OpenAi,
            wire: order.wire,
            model: Some(model.to_owned()),
            called: Some(order.model.to_string()),
            endpoint: order.wire.endpoint().to_owned(),
            input_file: None,
            label: order.mark.to_string().into(),
            lines: lines.collect(),
        };
        self.let_in(now, key).map_err(|refusal| not_created(&refusal))?;
        let batch = self.order_batch(now, key, ordered).map_err(|refusal| not_created(&refusal))?;
        if batch.faults.contains(&BatchFault::LostCreate) {
            return Err(CreateError::Unknown("connection reset by peer".to_owned()));
        }
        Ok(batch_ref(batch.number, order))
    }

    /// Looks for a batch of this account by its mark.
    pub fn find_batch(&mut self, now: Timestamp, account: &str, search: &Search) -> Result<Found, AskError> {
        self.let_in(now, account).map_err(|refusal| refused(&refusal))?;
        let mark = search.order.mark.to_string();
        let batches = self.list_batches(now, account, &[BatchDialect::OpenAi]);
        let of_mark = batches.iter().filter(|batch| batch.order.label == *mark);
        let mut found: Vec<BatchRef> = of_mark.map(|batch| batch_ref(batch.number, &search.order)).collect();
        found.retain(|batch| !search.known.contains(&batch.id));
        Ok(match found.len() {
            0 => Found::Nothing,
            1 => Found::This(found.remove(0)),
            _ => Found::Several(found),
        })
    }

    /// How a batch of this account stands.
    pub fn poll_batch(
        &mut self,
        now: Timestamp,
        account: &str,
        asked: &BatchRef,
    ) -> Result<Status, AskError> {
        self.let_in(now, account).map_err(|refusal| refused(&refusal))?;
        let clock = now + self.shop.ahead;
        let batch = number(asked).and_then(|number| self.batch(now, account, number)).ok_or_else(gone)?;
        let state = state(batch);
        let age = clock.since(batch.made_at);
        Ok(Status {
            batch: asked.clone(),
            look_again: if state.has_ended() { Default::default() } else { pause(age) },
            counts: counts(batch),
            made_at: Some(batch.made_at),
            expires_at: Some(batch.expires_at),
            results: if batch.has_results() { vec![ResultsAt::Inline] } else { Vec::new() },
            state,
        })
    }

    /// Gives a batch of this account up.
    pub fn give_up_batch(&mut self, now: Timestamp, account: &str, batch: &BatchRef) -> Result<(), AskError> {
        self.let_in(now, account).map_err(|refusal| refused(&refusal))?;
        let found = number(batch).and_then(|number| self.cancel_batch(now, account, number));
        found.map(|_| ()).ok_or_else(gone)
    }

    /// The results of a batch from a cursor on, as far as they come, and where that is.
    pub fn collect_batch(
        &mut self,
        now: Timestamp,
        account: &str,
        asked: &BatchRef,
        from: Cursor,
    ) -> (Vec<Line>, Cursor, Result<(), AskError>) {
        let is_there = |batch: &Batch| batch.has_file(ANSWERS);
        let found = number(asked).filter(|number| self.batch(now, account, *number).is_some_and(is_there));
        let Some(number) = found else { return (Vec::new(), from, Err(gone())) };
        let delivery = self.deliver(number, 0);
        if delivery == Delivery::NotYet {
            return (Vec::new(), from, Err(gone()));
        }
        let Some(batch) = self.batch(now, account, number) else { return (Vec::new(), from, Err(gone())) };
        let (results, called) = (&batch.results, batch.order.called.as_deref().unwrap_or_default());
        let start = usize::try_from(from.lines).unwrap_or(usize::MAX).min(results.len());
        let (rest, end) = match delivery {
            Delivery::Cut => (&results[start..start + (results.len() - start) / 2], Err(cut())),
            _ => (&results[start..], Ok(())),
        };
        let lines: Vec<Line> = rest.iter().map(|result| line(result, asked.mark, called)).collect();
        let cursor = Cursor { lines: (start + lines.len()) as u64, ..from };
        (lines, cursor, end)
    }

    /// Deletes what a batch of this account left, once it is over.
    pub fn clear_batch(&mut self, now: Timestamp, account: &str, batch: &BatchRef) -> Result<(), AskError> {
        self.let_in(now, account).map_err(|refusal| refused(&refusal))?;
        let number = number(batch).ok_or_else(gone)?;
        for part in [ANSWERS, ERRORS] {
            self.delete(now, account, Lies::Results(number, part));
        }
        Ok(())
    }

    fn asks(&self, call: &Call) -> Asks {
        let item = &*call.item;
        if !self.config.plain_answers {
            let sent = as_sent(call).filter(|(wire, body)| read_body(*wire, body, call).is_some());
            if let Some((wire, body)) = sent {
                return Asks::Body(wire, body);
            }
        }
        let choices = item.choices.max(1);
        let max_output = item.max_output.map(|over_all| u64::from(over_all.div_ceil(u32::from(choices))));
        Asks::Plain { prompt: prompt(item), max_output, choices }
    }
}

fn batch_ref(number: u64, order: &Order) -> BatchRef {
    BatchRef { id: format!("batch_sim_{number}"), mark: order.mark, wire: order.wire }
}

fn number(batch: &BatchRef) -> Option<u64> {
    batch.id.strip_prefix("batch_sim_")?.parse().ok()
}

/// What a careful client makes of a refusal: a server that failed may have made the batch.
fn not_created(refusal: &Refusal) -> CreateError {
    let why = match refusal.kind {
        RefusalKind::Server => return CreateError::Unknown(refusal.message.clone()),
        _ if refusal.code == Some("token_limit_exceeded") => Why::QueueFull,
        _ if refusal.status == 413 => Why::TooLarge,
        kind => Why::Refused(kind),
    };
    CreateError::NotCreated { why, message: refusal.message.clone(), retry_after: refusal.retry_after }
}

fn refused(refusal: &Refusal) -> AskError {
    AskError::Refused(attempt::Refusal {
        kind: refusal.kind,
        http_status: refusal.status,
        message: refusal.message.clone(),
        retry_after: refusal.retry_after,
        request_id: None,
        body: Default::default(),
    })
}

fn gone() -> AskError {
    AskError::Gone("there is no such thing".to_owned())
}

fn cut() -> AskError {
    AskError::Broken("the connection closed before the body was complete".to_owned())
}

fn state(batch: &Batch) -> BatchState {
    let failed = |why, message: &str| BatchState::Ended(Ended::Failed { why, message: message.to_owned() });
    match batch.stage {
        BatchStage::Queued => BatchState::Queued,
        BatchStage::Running => BatchState::Running,
        BatchStage::Ending => BatchState::Ending,
        BatchStage::Completed => BatchState::Ended(Ended::Completed),
        BatchStage::Expired => BatchState::Ended(Ended::Expired),
        BatchStage::Cancelled => BatchState::Ended(Ended::Cancelled),
        BatchStage::Invalid => failed(Why::Refused(RefusalKind::Invalid), "a line is not valid"),
        BatchStage::OverTokens => failed(Why::QueueFull, "too many enqueued tokens"),
    }
}

fn counts(batch: &Batch) -> Counts {
    if batch.stage.is_over() && batch.faults.contains(&BatchFault::WrongCounts) {
        return Counts { total: batch.len, succeeded: batch.len, ..Counts::default() };
    }
    Counts {
        total: batch.len,
        succeeded: batch.count(|end| matches!(end, LineEnd::Answered { .. })),
        failed: batch.count(|end| matches!(end, LineEnd::Refused(_))),
        expired: batch.count(|end| *end == LineEnd::Expired),
        cancelled: batch.count(|end| *end == LineEnd::Cancelled),
    }
}

fn line(result: &BatchResult, mark: Mark, model: &str) -> Line {
    let id = match Mark::of_line(&result.id) {
        Some((found, attempt)) if found == mark => LineId::Ours(attempt),
        _ => LineId::Foreign(result.id.clone()),
    };
    let fate = match &result.end {
        LineEnd::Expired => Fate::NotRun(NotRun::Expired),
        LineEnd::Cancelled => Fate::NotRun(NotRun::Cancelled),
        LineEnd::Answered { number, answer, .. } => {
            Fate::Ran(outcome(Act::Answer(answer.clone()), *number, model))
        }
        LineEnd::Refused(refusal) => Fate::Ran(outcome(Act::Refuse(refusal.clone()), 0, model)),
    };
    Line { id, fate }
}
