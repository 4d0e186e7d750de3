//! What is written down: the records of the journal and the checkpoint of what they add up to.
//!
//! The engine emits a [`Record`] before it acts and applies it to its own [`crate::ledger`] in the
//! same step, so that reading the journal back gives the same state. These types are a stored
//! format: fields are only ever added at the end, behind a new [`FORMAT`].
//!
//! Pure.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptStatus, CostBasis, ErrorCode, ItemStatus};
use crate::batch::{BatchRef, Cursor};
use crate::clock::Timestamp;
use crate::job::{AttemptId, ItemIndex, JobId, Wire};
use crate::ledger::{Alert, Amount, Day, Drawing, Globals, JobLedger, Limits, Tags};
use crate::money::{Usage, Usd};
use crate::plan::tally::Tally;

/// The number of this format; a store with a higher one is not opened.
pub const FORMAT: u32 = 1;

/// A record's place in the journal, counted from 1; 0 is before the first.
pub type Seq = u64;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Written before the first byte of a request leaves.
    Started(Started),
    /// How an attempt ended and, if that ends its item, the item's result.
    Ended(Box<Ended>),
    /// An item ended without a further attempt.
    Settled(Box<Settled>),
    /// A command of the user.
    Changed(JobId, JobChange),
    /// Rows up to a position are in Parquet.
    PartCommitted(PartCommitted),
    /// All items of the job ended and all its rows are in Parquet.
    Finished {
        /// Which.
        job: JobId,
        /// When.
        at: Timestamp,
        /// What its checks taught of its models, for later jobs of its class.
        taught: Option<Box<Taught>>,
    },
    /// First record of every segment but the first: all that came before, added up.
    Snapshot(Box<Snapshot>),
    /// Other budgets are in force from here on.
    Limits(Box<Limits>),
    /// A person was told how far a budget is used up.
    Alerted(Box<Alert>),
    /// What checks taught of the models is forgotten: of one class, or of all.
    OddsReset(Option<Arc<str>>),
    /// A provider batch is about to be made of attempts that were started for it.
    BatchIntended(Box<BatchIntended>),
    /// It exists.
    BatchMade(BatchRef),
    /// Its results up to here are written down.
    BatchRead {
        /// Which, by our number.
        number: u64,
        /// Behind the last line that is.
        cursor: Cursor,
    },
    /// Nothing more comes of it: every attempt in it has ended.
    BatchClosed {
        /// Which, by our number.
        number: u64,
    },
}

/// A provider batch that may exist from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchIntended {
    /// Our number for it.
    pub number: u64,
    /// Of which job; all its lines are of one class and step.
    pub job: JobId,
    /// Of which class of it.
    pub class: u16,
    /// On which step of the ladder, from 0.
    pub step: u8,
    /// On which route, by name.
    pub route: Arc<str>,
    /// The format of its requests.
    pub wire: Wire,
    /// How many lines it has.
    pub len: u64,
    /// When it was decided; its lines are billed at the price of this hour.
    pub at: Timestamp,
}

/// What a job taught of its models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taught {
    /// Whose answers are alike: [`crate::plan::estimate::class_of`].
    pub class: Arc<str>,
    /// The counts it ends with.
    pub tally: Tally,
}

/// An attempt is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its name.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Of which item.
    pub item: ItemIndex,
    /// On which step of the ladder, from 0.
    pub step: u8,
    /// On which route, by name.
    pub route: Arc<str>,
    /// Reserved in every budget until the attempt ends.
    pub worst_case: Usd,
    /// When it was decided.
    pub at: Timestamp,
    /// The day in whose budgets it counts, whenever it is sent and ends.
    pub day: Day,
    /// The tags in whose budgets it counts, the item's and its job's.
    pub tags: Tags,
    /// What it draws from the allowance of its account, where it draws anything.
    pub drawing: Option<Box<Drawing>>,
    /// The provider batch it goes out in, by our number; `None` where it is a call of its own.
    pub batch: Option<u64>,
}

/// Everything an attempt's row says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Its name.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Of which item.
    pub item: ItemIndex,
    /// The item's name.
    pub custom_id: Arc<str>,
    /// The format its request was written in.
    pub wire: Wire,
    /// Which attempt of the item, from 1.
    pub number: u16,
    /// On which step of the ladder, from 0.
    pub step: u8,
    /// How it ended.
    pub status: AttemptStatus,
    /// Why it did not succeed.
    pub error: Option<(ErrorCode, String)>,
    /// Why the next step was chosen, where one was.
    pub escalation: Option<ErrorCode>,
    /// The status line.
    pub http_status: Option<u16>,
    /// Where it went and at which price.
    pub route: RouteFacts,
    /// The model that answered.
    pub response_model: Option<String>,
    /// The provider's name for the request.
    pub request_id: Option<String>,
    /// The provider's word for how the answer ended.
    pub finish_reason: Option<String>,
    /// Tokens as reported; `None` where none were.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost: Usd,
    /// The same tokens in the dearest window of the realtime lane.
    pub list_cost: Usd,
    /// Where the cost comes from.
    pub cost_basis: CostBasis,
    /// When the item last became ready.
    pub queued_at: Timestamp,
    /// When it was sent.
    pub started_at: Timestamp,
    /// When its end was known.
    pub ended_at: Timestamp,
    /// How long the provider asked us to wait.
    pub retry_after_ms: Option<u64>,
    /// Text of the answer.
    pub text: Option<String>,
    /// The response as it came.
    pub body: Bytes,
    /// Kept in every budget although the attempt is over, because its bill is not known; zero where it is.
    pub at_risk: Usd,
    /// Sums over the item's attempts, this one included.
    pub totals: ItemTotals,
    /// What becomes of the item.
    pub next: Next,
    /// Its item's tags, where the item goes on; one that ended has them in `next`.
    pub open_tags: Vec<(String, String)>,
    /// Input tokens by the estimate at submit: against what is reported, it teaches of the model.
    pub input_estimate: u32,
    /// Whose answers are alike, so that they teach of each other: [`crate::plan::estimate::class_of`].
    pub class: Arc<str>,
    /// What it drew from the allowance of its account; whether that paid for it, its basis says.
    pub drawn: Amount,
    /// Whether the item has a check, so that an answer taken or refused teaches of its model.
    pub has_check: bool,
    /// Whether the model is not asked for this item again.
    pub spends_model: bool,
    /// Whether it was sent to race an attempt that was late.
    pub hedge: bool,
    /// The provider's name of the batch it was in, where it was in one that existed.
    pub upstream_batch: Option<Arc<str>>,
}

impl Ended {
    /// The tags of its item, the job's included.
    pub fn tags(&self) -> &[(String, String)] {
        match &self.next {
            Next::Settled(settled) => &settled.tags,
            Next::Pending(_) | Next::Held(_) | Next::Running => &self.open_tags,
        }
    }

    /// Whether it counts against the item's `max_attempts`.
    ///
    /// An attempt that the provider would not take (rate, room, credit, key, retired model, no
    /// connection, time up in a batch) says nothing of the item: an outage must not use up anybody's attempts. Unknown
    /// outcomes have a limit of their own.
    pub fn counts(&self) -> bool {
        use ErrorCode::{Auth, BatchExpired, Cancelled, Network, NoRoute, Overloaded, Quota, RateLimited};
        let code = self.error.as_ref().map(|(code, _)| *code);
        let not_taken = matches!(
            code,
            Some(Auth | BatchExpired | Cancelled | Network | NoRoute | Overloaded | Quota | RateLimited)
        );
        !not_taken && self.status != AttemptStatus::Unknown
    }

    /// What it teaches of its model: whether the check passed. Calls that failed in transport teach nothing.
    pub fn lesson(&self) -> Option<bool> {
        match self.status {
            AttemptStatus::Succeeded if self.has_check => Some(true),
            AttemptStatus::Rejected if self.has_check && self.spends_model => Some(false),
            _ => None,
        }
    }

    /// Whether its answer was cut off and is asked for once more on this step, with a larger limit.
    pub fn asks_for_more(&self) -> bool {
        let cut_off = matches!(self.error, Some((ErrorCode::Truncated, _)));
        cut_off && !self.spends_model && self.next == Next::Pending(self.step)
    }
}

/// What becomes of an item when an attempt of it has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Next {
    /// It waits for another attempt, on this step.
    Pending(u8),
    /// It waits for the user, on this step.
    Held(u8),
    /// It ended.
    Settled(Box<Settled>),
    /// Another attempt of it is in flight, and decides.
    Running,
}

/// Where an attempt went and at which price; the same for many attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// The model as asked for.
    pub model: Arc<str>,
    /// The path of the endpoint.
    pub endpoint: Arc<str>,
    /// `realtime`, `flex` or `batch`.
    pub lane: Arc<str>,
    /// Name of the price window, `flat` where prices do not vary.
    pub window: Arc<str>,
    /// The catalog row that was used.
    pub price_id: Arc<str>,
    /// Fresh input, micro-dollars per million tokens; `None` where unpriced.
    pub input_price: Option<u64>,
    /// Output, micro-dollars per million tokens.
    pub output_price: Option<u64>,
}

/// Everything an item's row says beyond its last attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// Of which job.
    pub job: JobId,
    /// Which item.
    pub item: ItemIndex,
    /// The user's name for it.
    pub custom_id: Arc<str>,
    /// How it ended.
    pub status: ItemStatus,
    /// Why it did not succeed.
    pub error: Option<(ErrorCode, String)>,
    /// What its check said; `None` where it has none.
    pub valid: Option<bool>,
    /// Its step of the ladder, from 0; `None` where nothing was ever sent.
    pub step: Option<u8>,
    /// Its priority.
    pub priority: i8,
    /// Sums over all its attempts, the last one included.
    pub totals: ItemTotals,
    /// When it ended.
    pub at: Timestamp,
    /// Its deadline.
    pub deadline: Option<Timestamp>,
    /// Its tags, the job's included.
    pub tags: Vec<(String, String)>,
    /// Its request, where the job keeps inputs.
    pub input: Option<Bytes>,
    /// The attempt of another item whose answer it gets, where both asked the same.
    pub copied: Option<Box<Ended>>,
}

/// Sums over the attempts of one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemTotals {
    /// How many attempts.
    pub attempts: u16,
    /// Their tokens.
    pub usage: Usage,
    /// What they cost.
    pub cost: Usd,
    /// What they would have cost in the dearest window of the realtime lane.
    pub list_cost: Usd,
    /// The least certain basis among them.
    pub basis: Option<CostBasis>,
    /// When the first was sent.
    pub first_sent: Option<Timestamp>,
}

/// What a command changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobChange {
    /// No new sends until resumed.
    Paused,
    /// Sends again; held items go back to pending.
    Resumed,
    /// No new sends; what is in flight is still taken.
    Cancelled,
    /// A new cap, or none.
    MaxCost(Option<Usd>),
}

impl JobChange {
    /// Whether items that wait for the user wait no longer: to be sent again, or to be cancelled.
    pub fn releases_held(&self) -> bool {
        matches!(self, JobChange::Resumed | JobChange::Cancelled)
    }
}

/// Rows of a job up to a place in the journal are in Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCommitted {
    /// Which job.
    pub job: JobId,
    /// Its number, from 1.
    pub part: u32,
    /// Records of the job up to here are in it or in earlier ones.
    pub to: Seq,
    /// Day folder of the part, `YYYY-MM-DD`.
    pub date: String,
    /// Rows of its results file.
    pub result_rows: u64,
    /// Rows of its attempts file.
    pub attempt_rows: u64,
    /// SHA-256 of the results file, empty where there is none.
    pub results_sha256: String,
    /// SHA-256 of the attempts file, empty where there is none.
    pub attempts_sha256: String,
}

/// All that came before, added up, but for the state bytes of the items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What is not of one job.
    pub globals: Globals,
    /// Every job that is not finished.
    pub jobs: Vec<(JobId, JobLedger)>,
}

/// What the index is brought up to; its order in the writer's queue is its place in the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// What is not of one item.
    pub snapshot: Snapshot,
    /// Jobs that finished since the last checkpoint.
    pub finished: Vec<(JobId, JobLedger)>,
    /// Changed chunks of item states: job, chunk number, states of up to [`CHUNK`] items.
    pub chunks: Vec<(JobId, u32, Vec<u16>)>,
}

/// Items in one chunk of the index.
pub const CHUNK: usize = 4_096;
