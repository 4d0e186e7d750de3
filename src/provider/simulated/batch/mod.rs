//! Batches of the simulated provider: files that are uploaded, batches that are made, and what becomes
//! of them in time.
//!
//! A batch is worked off in one moment, its end: then every line that ran is answered by the same model
//! as a realtime request, billed at the price of batches and put into the ledger. Before that it only
//! waits. Its clock can be put forward ([`Simulated::pass`]), so that nobody waits for it.
//!
//! ```text
//!   ordered ─► queued ─(a tenth)─► running ─(duration)──────────► completed
//!                │                    ├── expires: (window) ───► expired, half of it run
//!                └─ invalid ─► failed └── cancelled ─► ending ─► cancelled, as much run as had time
//! ```
//!
//! Pure.

use std::time::Duration;

use bytes::Bytes;

use super::chance::Chance;
use super::ledger::ClientId;
use super::{Refusal, Simulated};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::money::{Usage, Usd};

mod fault;
mod in_process;
mod left;
mod made;
mod order;
mod settle;

pub use fault::{BatchFault, BatchFaultRates, UnknownBatchFault};
pub use left::{ANSWERS, ERRORS, Left, Lies};
pub use made::{Batch, BatchOut, BatchResult, BatchStage, LineEnd};
pub use order::{Asks, BatchLine, BatchOrder};

/// How batches are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchConfig {
    /// From making one to its end.
    pub duration: Duration,
    /// After this one that expires does.
    pub window: Duration,
    /// Input tokens that may wait in all batches of one model and key.
    pub tokens: Option<u64>,
    /// Requests one may hold.
    pub requests: Option<u64>,
    /// What goes wrong.
    pub faults: BatchFaultRates,
}

impl Default for BatchConfig {
    fn default() -> BatchConfig {
        BatchConfig {
            duration: Duration::from_secs(10 * 60),
            window: Duration::from_secs(24 * 3_600),
            tokens: None,
            requests: None,
            faults: BatchFaultRates::default(),
        }
    }
}

/// A file somebody uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFile {
    /// As it was named.
    pub name: String,
    /// What for.
    pub purpose: String,
    /// What is in it.
    pub bytes: Bytes,
    /// When.
    pub made_at: Timestamp,
}

/// How the results of a batch are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As they are.
    Whole,
    /// To the middle.
    Cut,
    /// Not yet.
    NotYet,
}

/// Files and batches.
#[derive(Debug, Default)]
pub(super) struct Shop {
    /// With their owners; `None` where one was deleted.
    files: Vec<Option<(String, BatchFile)>>,
    batches: Vec<Batch>,
    /// How far its clock is ahead.
    ahead: Duration,
}

/// How long a list may lag behind.
const LIST_LAG: Duration = Duration::from_secs(60);

impl Simulated {
    /// Puts the clock of batches forward.
    pub fn pass(&mut self, time: Duration) {
        self.shop.ahead += time;
    }

    /// Keeps a file; gives its number, which counts from 1.
    pub fn keep_file(&mut self, now: Timestamp, key: &str, name: &str, purpose: &str, bytes: Bytes) -> u64 {
        let made_at = now + self.shop.ahead;
        let file = BatchFile { name: name.to_owned(), purpose: purpose.to_owned(), bytes, made_at };
        self.shop.files.push(Some((key.to_owned(), file)));
        self.shop.files.len() as u64
    }

    /// A file of this key.
    pub fn file(&self, key: &str, number: u64) -> Option<&BatchFile> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let file = self.shop.files.get(index)?.as_ref();
        file.filter(|(owner, _)| owner == key).map(|(_, file)| file)
    }

    /// The files of this key, with their numbers.
    pub fn files(&self, key: &str) -> impl Iterator<Item = (u64, &BatchFile)> {
        let all = (1..).zip(&self.shop.files);
        all.filter_map(move |(number, file)| {
            let (owner, file) = file.as_ref()?;
            (owner == key).then_some((number, file))
        })
    }

    /// Whether a key may ask at all.
    pub fn let_in(&self, now: Timestamp, key: &str) -> Result<(), Refusal> {
        let faults = &self.config.faults;
        if faults.is_down(now, key) {
            return Err(Refusal::down());
        }
        if faults.revoked_keys.contains(key) || !super::lets_in(&self.config.keys, key) {
            return Err(Refusal::bad_key());
        }
        Ok(())
    }

    /// Makes a batch; `LostCreate` among its faults means that the client must not hear of it.
    pub fn order_batch(&mut self, now: Timestamp, key: &str, order: BatchOrder) -> Result<&Batch, Refusal> {
        self.advance(now);
        let config = self.config.batches.clone();
        if order.lines.is_empty() {
            return Err(Refusal::invalid("a batch needs at least one request".to_owned()));
        }
        if config.requests.is_some_and(|most| order.lines.len() as u64 > most) {
            return Err(Refusal::batch_too_large(config.requests.unwrap_or_default()));
        }
        let number = self.shop.batches.len() as u64 + 1;
        let tokens = self.tokens_of(&order);
        let waiting = self.waiting_tokens(key, &order);
        let is_full = config.tokens.is_some_and(|most| waiting + tokens > most);
        // OpenAI takes such a batch and fails it; the others refuse it.
        if is_full && order.dialect != BatchDialect::OpenAi {
            return Err(Refusal::batch_queue_full(config.tokens.unwrap_or_default()));
        }
        let faults = config.faults.draw(&mut Chance::new(&[self.config.seed, BATCHES, number]));
        let made_at = now + self.shop.ahead;
        let mut batch = Batch {
            number,
            len: order.lines.len() as u64,
            made_at,
            expires_at: made_at + config.window,
            cancelled_at: None,
            stage: BatchStage::Queued,
            ended_at: None,
            results: Vec::new(),
            billed: Usd::ZERO,
            usage: Usage::default(),
            faults,
            key: key.to_owned(),
            tokens,
            order,
            deleted: Vec::new(),
            is_deleted: false,
            cut: Vec::new(),
            asked_for: false,
            looked_at: false,
        };
        if is_full {
            batch.end(BatchStage::OverTokens, made_at);
        }
        self.shop.batches.push(batch);
        Ok(self.shop.batches.last().expect("it was just put there"))
    }

    /// A batch of this key, as it stands now.
    pub fn batch(&mut self, now: Timestamp, key: &str, number: u64) -> Option<&Batch> {
        self.advance(now);
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.shop.batches.get(index).filter(|batch| batch.key == key && !batch.is_deleted)
    }

    /// The batches of this key in these dialects that a list shows, the newest first.
    pub fn list_batches(&mut self, now: Timestamp, key: &str, dialects: &[BatchDialect]) -> Vec<&Batch> {
        self.advance(now);
        let clock = now + self.shop.ahead;
        let listed = |batch: &&Batch| {
            let hidden = batch.faults.contains(&BatchFault::Unlisted) && clock < batch.made_at + LIST_LAG;
            let is_theirs = batch.key == key && dialects.contains(&batch.order.dialect);
            is_theirs && !hidden && !batch.is_deleted
        };
        self.shop.batches.iter().rev().filter(listed).collect()
    }

    /// Every batch, in the order in which they were made.
    pub fn all_batches(&mut self, now: Timestamp) -> &[Batch] {
        self.advance(now);
        &self.shop.batches
    }

    /// Every batch as it stood when it was last looked at, in the order in which they were made.
    pub fn made_batches(&self) -> &[Batch] {
        &self.shop.batches
    }

    /// Cancels a batch of this key, unless it is over.
    pub fn cancel_batch(&mut self, now: Timestamp, key: &str, number: u64) -> Option<&Batch> {
        self.batch(now, key, number)?;
        let clock = now + self.shop.ahead;
        let index = usize::try_from(number - 1).ok()?;
        let batch = &mut self.shop.batches[index];
        if !batch.stage.is_over() {
            batch.cancelled_at = batch.cancelled_at.or(Some(clock));
            batch.stage = BatchStage::Ending;
        }
        Some(batch)
    }

    /// How a part of a batch's results is handed over this time.
    pub fn deliver(&mut self, number: u64, part: u8) -> Delivery {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(batch) = self.shop.batches.get_mut(index) else { return Delivery::Whole };
        if batch.faults.contains(&BatchFault::Late) && !std::mem::replace(&mut batch.asked_for, true) {
            return Delivery::NotYet;
        }
        if batch.faults.contains(&BatchFault::Cut) && !batch.cut.contains(&part) {
            batch.cut.push(part);
            return Delivery::Cut;
        }
        Delivery::Whole
    }

    /// The same for results that are part of the batch's description: whoever looks at it first sees how
    /// it stands, and only then comes for the results.
    pub fn deliver_inline(&mut self, number: u64) -> Delivery {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let batch = self.shop.batches.get_mut(index);
        let was_looked_at = batch.is_none_or(|batch| std::mem::replace(&mut batch.looked_at, true));
        if was_looked_at { self.deliver(number, 0) } else { Delivery::Whole }
    }

    fn waiting_tokens(&self, key: &str, order: &BatchOrder) -> u64 {
        let same =
            |batch: &&Batch| batch.key == key && !batch.stage.is_over() && batch.order.model == order.model;
        self.shop.batches.iter().filter(same).map(|batch| batch.tokens).sum()
    }

    fn tokens_of(&self, order: &BatchOrder) -> u64 {
        let read =
            |line: &BatchLine| line.asks.read(order.model.as_deref()).map(|asked| asked.prompt.input_tokens);
        order.lines.iter().filter_map(|line| read(line).ok()).sum()
    }
}

/// The client's name of a line as the log knows it: our attempts by their number.
fn client_id(line: &str) -> ClientId {
    let last = line.rsplit('-').next().unwrap_or_default();
    match ClientId::parse(last) {
        ClientId::Other(_) => ClientId::Other(line.into()),
        attempt => attempt,
    }
}

/// Keeps the chances of batches apart from those of requests.
const BATCHES: u64 = 0xBA7C;

#[cfg(test)]
mod tests;
