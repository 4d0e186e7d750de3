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
use serde::Serialize;
use serde_json::Value;

use super::chance::Chance;
use super::ledger::ClientId;
use super::{Answer, Asked, Prompt, Refusal, Simulated, Wanted};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::money::{Usage, Usd};

mod fault;
mod in_process;
mod settle;

pub use fault::{BatchFault, BatchFaultRates, UnknownBatchFault, batch_fault_list};

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

/// A batch as it is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOrder {
    /// In whose words it is described.
    pub dialect: BatchDialect,
    /// The format of its requests.
    pub wire: Wire,
    /// The model, where the batch names it rather than its requests.
    pub model: Option<String>,
    /// The same as the client calls it, where that is another name.
    pub called: Option<String>,
    /// Where its requests would go one by one.
    pub endpoint: String,
    /// The file they are from, by the name it was given.
    pub input_file: Option<String>,
    /// What the client calls it: metadata or a name.
    pub label: Value,
    /// Its requests.
    pub lines: Vec<BatchLine>,
}

/// A request in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// The client's name for it.
    pub id: String,
    /// What is asked.
    pub asks: Asks,
}

/// What is asked in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// What a body says, in this format.
    Body(Wire, Bytes),
    /// `pass` or `fail`, whatever the body says.
    Plain {
        /// What the model knows of the prompt.
        prompt: Prompt,
        /// Output tokens allowed for each choice.
        max_output: Option<u64>,
        /// Answers asked for.
        choices: u16,
    },
}

impl Asks {
    /// The same as a request has it; `model` is the batch's own, where it names one.
    fn read<'a>(&'a self, model: Option<&'a str>) -> Result<Asked<'a>, String> {
        match self {
            Asks::Body(wire, body) => super::body::read_for(*wire, body, model),
            Asks::Plain { prompt, max_output, choices } => Ok(Asked {
                model: model.unwrap_or_default().into(),
                prompt: *prompt,
                max_output: *max_output,
                choices: *choices,
                wanted: Wanted::Plain,
                base64: false,
                tool: None,
                stream: false,
                flex: false,
            }),
        }
    }
}

/// A batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Counts from 1.
    pub number: u64,
    /// What was ordered; the bodies of its requests are gone once it has ended.
    pub order: BatchOrder,
    /// How many requests it has.
    pub len: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it will have expired at the latest.
    pub expires_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// How it stands.
    pub stage: BatchStage,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What became of its lines, once it has ended: in no order of theirs.
    pub results: Vec<BatchResult>,
    /// What was billed for it.
    pub billed: Usd,
    /// Tokens billed for it.
    pub usage: Usage,
    /// What goes wrong with it.
    pub faults: Vec<BatchFault>,
    key: String,
    tokens: u64,
    /// Downloads that were cut, by part.
    cut: Vec<u8>,
    asked_for: bool,
    looked_at: bool,
}

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStage {
    /// Not begun.
    Queued,
    /// Begun.
    Running,
    /// Cancelled, and not yet over.
    Ending,
    /// Over, all run.
    Completed,
    /// Over, time was up.
    Expired,
    /// Over, it was cancelled.
    Cancelled,
    /// Over, nothing run: it is no valid batch.
    Invalid,
    /// Over, nothing run: too many tokens wait.
    OverTokens,
}

impl BatchStage {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, BatchStage::Queued | BatchStage::Running | BatchStage::Ending)
    }
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchResult {
    /// The client's name for it.
    pub id: String,
    /// What became of it.
    pub end: LineEnd,
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq)]
pub enum LineEnd {
    /// It was answered.
    Answered {
        /// The number of the request in the log.
        number: u64,
        /// The answer.
        answer: Answer,
        /// Embeddings as base64.
        base64: bool,
        /// The tool that is called.
        tool: Option<String>,
    },
    /// It was refused, or failed.
    Refused(Refusal),
    /// It had not run when time was up.
    Expired,
    /// It had not run when the batch was cancelled.
    Cancelled,
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
    files: Vec<(String, BatchFile)>,
    batches: Vec<Batch>,
    /// How far its clock is ahead.
    ahead: Duration,
}

/// A batch in the books.
#[derive(Debug, Serialize)]
pub struct BatchOut<'a> {
    /// Its number.
    pub number: u64,
    /// In whose words it is described.
    pub dialect: &'static str,
    /// What the client calls it.
    pub label: &'a Value,
    /// How it stands.
    pub stage: BatchStage,
    /// When it was made.
    pub made_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How many requests it has.
    pub len: u64,
    /// Tokens billed.
    pub usage: Usage,
    /// Pico-dollars billed, as text because JSON numbers are doubles to many readers.
    pub billed_pico_usd: String,
    /// What goes wrong with it.
    pub faults: Vec<&'static str>,
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
        self.shop.files.push((key.to_owned(), file));
        self.shop.files.len() as u64
    }

    /// A file of this key.
    pub fn file(&self, key: &str, number: u64) -> Option<&BatchFile> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.shop.files.get(index).filter(|(owner, _)| owner == key).map(|(_, file)| file)
    }

    /// Whether a key may ask at all.
    pub fn let_in(&self, now: Timestamp, key: &str) -> Result<(), Refusal> {
        let faults = &self.config.faults;
        if faults.is_down(now) {
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
        self.shop.batches.get(index).filter(|batch| batch.key == key)
    }

    /// The batches of this key in these dialects that a list shows, the newest first.
    pub fn list_batches(&mut self, now: Timestamp, key: &str, dialects: &[BatchDialect]) -> Vec<&Batch> {
        self.advance(now);
        let clock = now + self.shop.ahead;
        let listed = |batch: &&Batch| {
            let hidden = batch.faults.contains(&BatchFault::Unlisted) && clock < batch.made_at + LIST_LAG;
            batch.key == key && dialects.contains(&batch.order.dialect) && !hidden
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

impl Batch {
    /// Whether its results are there to be asked for.
    pub fn has_results(&self) -> bool {
        self.stage.is_over() && !self.results.is_empty()
    }

    /// As it stands in the books.
    pub fn out(&self) -> BatchOut<'_> {
        BatchOut {
            number: self.number,
            dialect: self.order.dialect.as_str(),
            label: &self.order.label,
            stage: self.stage,
            made_at: self.made_at.to_string(),
            ended_at: self.ended_at.map(|at| at.to_string()),
            len: self.len,
            usage: self.usage,
            billed_pico_usd: self.billed.pico().to_string(),
            faults: self.faults.iter().map(|fault| fault.as_str()).collect(),
        }
    }

    /// How many results are like this.
    pub fn count(&self, like: impl Fn(&LineEnd) -> bool) -> u64 {
        self.results.iter().filter(|result| like(&result.end)).count() as u64
    }

    fn end(&mut self, stage: BatchStage, at: Timestamp) {
        self.stage = stage;
        self.ended_at = Some(at);
        self.order.lines = Vec::new();
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
