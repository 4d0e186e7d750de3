//! The end of a batch: which of its lines ran, what they were answered and what that cost.
//!
//! Pure.

use std::time::Duration;

use super::super::chance::Chance;
use super::super::{Admission, Fault, Line, Refusal, Request, Simulated, answering};
use super::{BATCHES, Batch, BatchFault, BatchLine, BatchResult, BatchStage, LineEnd, client_id};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::money::{Usage, Usd};

/// One of so many lines is missing where some are.
const ONE_IN_MISSING: usize = 10;

impl Simulated {
    /// Brings every batch to where it stands now.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let clock = now + self.shop.ahead;
        for index in 0..self.shop.batches.len() {
            let batch = &self.shop.batches[index];
            if batch.stage.is_over() {
                continue;
            }
            match due(batch, self.config.batches.duration, clock) {
                Due::Now(stage) => self.shop.batches[index].stage = stage,
                Due::Over(stage, at) => self.settle(index, stage, at),
            }
        }
    }

    fn settle(&mut self, index: usize, stage: BatchStage, at: Timestamp) {
        let mut batch = self.shop.batches.swap_remove(index);
        let lines = std::mem::take(&mut batch.order.lines);
        let share = share(&batch, stage, self.config.batches.duration);
        let not_run = if stage == BatchStage::Cancelled { LineEnd::Cancelled } else { LineEnd::Expired };
        for (place, line) in lines.into_iter().enumerate() {
            let mut chance = Chance::new(&[self.config.seed, BATCHES, batch.number, place as u64]);
            // Anthropic has no word for a batch that failed: each of its lines did.
            if stage == BatchStage::Invalid && batch.order.dialect == BatchDialect::Anthropic {
                let end = LineEnd::Refused(Refusal::invalid("The request is not valid.".to_owned()));
                batch.results.push(BatchResult { id: line.id, end });
                continue;
            }
            if stage == BatchStage::Invalid
                || batch.faults.contains(&BatchFault::Missing) && place % ONE_IN_MISSING == 0
            {
                continue;
            }
            let end = match chance.unit() < share {
                true => self.run_line(&mut batch, &line, at, &mut chance),
                false => not_run.clone(),
            };
            batch.results.push(BatchResult { id: line.id, end });
        }
        batch.end(stage, at);
        spoil(&mut batch);
        // Its old place: a batch is known by its number.
        self.shop.batches.push(batch);
        let last = self.shop.batches.len() - 1;
        self.shop.batches.swap(index, last);
    }

    /// Answers a line, bills it and writes it down.
    fn run_line(
        &mut self,
        batch: &mut Batch,
        line: &BatchLine,
        at: Timestamp,
        chance: &mut Chance,
    ) -> LineEnd {
        let number = self.n_requests;
        self.n_requests += 1;
        let mut entry = Line::new(batch.made_at, Some(client_id(&line.id)), None);
        entry.batch = Some(batch.number);
        entry.ended_at = Some(at);
        let served = self.serve_line(batch, line, number, &mut entry, chance);
        let served = served.map_err(|refusal| refusal.worded(batch.order.wire));
        (entry.status, entry.error) = match &served {
            Ok(_) => (Some(200), None),
            Err(refusal) => (Some(refusal.status), Some(refusal.word())),
        };
        batch.billed += entry.billed;
        batch.usage += entry.usage.unwrap_or_default();
        self.ledger.add(entry);
        served.unwrap_or_else(LineEnd::Refused)
    }

    fn serve_line(
        &mut self,
        batch: &Batch,
        line: &BatchLine,
        number: u64,
        entry: &mut Line,
        chance: &mut Chance,
    ) -> Result<LineEnd, Refusal> {
        let asked = line.asks.read(batch.order.model.as_deref()).map_err(Refusal::invalid)?;
        let name = &*asked.model;
        let model = self.by_name.get(name).copied();
        entry.model = model;
        let model = model.filter(|&model| !self.models[usize::from(model)].retired);
        let model = model.ok_or_else(|| Refusal::no_model(name))?;
        let account = self.account(&batch.key) as usize;
        let limit = self.config.faults.no_credit_after;
        if limit.is_some_and(|limit| self.accounts[account].billed >= limit) {
            return Err(Refusal::no_credit());
        }
        let tokens = asked.prompt.input_tokens + asked.max_output.unwrap_or(0);
        let context = self.config.models[usize::from(model)].context;
        if let Some(context) = context.filter(|&context| tokens > context) {
            return Err(Refusal::too_long(context, tokens));
        }
        let request = Request {
            client_id: None,
            key: &batch.key,
            model: name,
            wire: batch.order.wire,
            prompt: asked.prompt,
            max_output: asked.max_output,
            choices: asked.choices,
            wanted: asked.wanted,
            flex: false,
        };
        let (mut answer, mut usage) = self.answer(&request, model);
        entry.fault = self.config.faults.rates.draw(chance).filter(|fault| meets_lines(*fault));
        match entry.fault {
            Some(Fault::RateLimited) => return Err(Refusal::rate_limited(None)),
            Some(Fault::ServerError) => return Err(Refusal::server_error()),
            Some(Fault::Overloaded) => return Err(Refusal::overloaded()),
            Some(fault) => answering::spoil(fault, &request, &mut answer, &mut usage, chance),
            None => {}
        }
        self.bill(entry, model, account, usage, batch.made_at);
        Ok(LineEnd::Answered { number, answer, base64: asked.base64, tool: asked.tool })
    }

    fn bill(&mut self, entry: &mut Line, model: u16, account: usize, usage: Usage, at: Timestamp) {
        let cost: Usd = self.config.models[usize::from(model)].batch_price_at(at).cost(&usage);
        self.accounts[account].billed += cost;
        (entry.usage, entry.billed, entry.admission) = (Some(usage), cost, Admission::NotAsked);
    }
}

/// Faults of connections pass lines by: there are none.
fn meets_lines(fault: Fault) -> bool {
    use Fault::*;
    matches!(
        fault,
        RateLimited
            | ServerError
            | Overloaded
            | Empty
            | NoUsage
            | WrongUsage
            | WrongModel
            | Length
            | Refusal
            | ContentFilter
    )
}

/// Where a batch stands.
enum Due {
    Now(BatchStage),
    Over(BatchStage, Timestamp),
}

fn due(batch: &Batch, duration: Duration, clock: Timestamp) -> Due {
    let begins_at = batch.made_at + duration / 10;
    if let Some(cancelled_at) = batch.cancelled_at {
        let over_at = cancelled_at + duration / 10;
        return if clock >= over_at {
            Due::Over(BatchStage::Cancelled, over_at)
        } else {
            Due::Now(BatchStage::Ending)
        };
    }
    if clock < begins_at {
        return Due::Now(BatchStage::Queued);
    }
    let (stage, over_at) = if batch.faults.contains(&BatchFault::Invalid) {
        (BatchStage::Invalid, begins_at)
    } else if batch.faults.contains(&BatchFault::Stuck) {
        return Due::Now(BatchStage::Running);
    } else if batch.faults.contains(&BatchFault::Expires) {
        (BatchStage::Expired, batch.expires_at)
    } else {
        (BatchStage::Completed, batch.made_at + duration)
    };
    if clock >= over_at { Due::Over(stage, over_at) } else { Due::Now(BatchStage::Running) }
}

/// The share of lines that ran.
fn share(batch: &Batch, stage: BatchStage, duration: Duration) -> f64 {
    match (stage, batch.cancelled_at) {
        (BatchStage::Completed, _) => 1.0,
        (BatchStage::Expired, _) => 0.5,
        (BatchStage::Cancelled, Some(at)) => {
            let worked = at.since(batch.made_at).as_secs_f64();
            (worked / duration.as_secs_f64().max(1e-9)).min(1.0) * 0.9
        }
        _ => 0.0,
    }
}

/// What is wrong with the results of a batch that are right.
fn spoil(batch: &mut Batch) {
    // No provider keeps the order of the requests.
    batch.results.reverse();
    if batch.faults.contains(&BatchFault::Double)
        && let Some(first) = batch.results.first().cloned()
    {
        batch.results.push(first);
    }
    if batch.faults.contains(&BatchFault::Foreign)
        && let Some(first) = batch.results.first().cloned()
    {
        let other = |id: &str| BatchResult { id: id.to_owned(), ..first.clone() };
        batch.results.insert(0, other("review-17"));
        batch.results.push(other("ovn-ffffffff-000000000001-att_000000000001"));
    }
}
