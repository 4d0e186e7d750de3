//! Provider batches: many requests handed over at once, answered within a day, for half the price.
//!
//! [`Batches`] speaks with one account. It makes no decision: what goes into a batch, when to look again,
//! what becomes of a line is for whoever drives it, and so is writing down what is done. Requests are
//! made and answers are read by the same mappings as those of realtime calls; a dialect (`openai`,
//! `anthropic`, `gemini`, `mistral`, `openrouter`) only says what goes around them, as pure functions over
//! one client.
//!
//! # The life of a batch, and what must be durable before each step
//!
//! ```text
//!             intent ──────► create ──────► poll ──────► collect ─────► settled
//!               │              │ Unknown      ▲ │ not ended  │ cut: again from the cursor
//!               │              ▼              │ └──────┐     │
//!               └─ crash ──► find ── This ────┘ ◄──────┘     ▼
//!                              │ Nothing, twice        lines, one by one; what Roll::missing
//!                              └───────► create        names at the end never ran
//! ```
//!
//! | step | before it, durable | after it, to be written down |
//! |---|---|---|
//! | fill a [`Draft`] | – | – (the draft itself may be lost; it is made anew from the items) |
//! | [`Batches::create`] | the intent: [`Mark`], route, every attempt with its worst case reserved | [`BatchRef`] |
//! | … ends as [`CreateError::NotCreated`] | | the attempts are not sent, whatever the reason |
//! | … ends as [`CreateError::Unknown`], or we crashed | | nothing: go on with `find` |
//! | [`Batches::find`] | the intent | [`BatchRef`] of the one that is adopted |
//! | [`Batches::poll`] | [`BatchRef`] | nothing, until it has ended |
//! | [`Batches::collect`] | [`BatchRef`] | each line's outcome, with the [`Cursor`] behind it |
//! | [`Batches::cancel`] | [`BatchRef`], and that it is unwanted | nothing: go on with `poll` |
//!
//! # Rules
//!
//! - *Look before creating again.* A batch that may exist is searched for first. [`Found::Nothing`]
//!   counts only when two searches a minute apart agree, because lists lag behind. [`Found::Perhaps`] with
//!   one candidate may be adopted: the ids of its lines will show whose it is. With several, wait for a
//!   person or until they have ended.
//! - *An ended batch is always collected*, however it ended: expired and cancelled ones hold answers that
//!   were billed. A batch that failed as a whole ([`Ended::Failed`]) ran nothing.
//! - *Counts are not trusted*, and neither is "completed". What has no line has not run
//!   ([`Roll::missing`]); it is free to be asked again. What has two lines counts once.
//! - *Nothing is sent twice here.* There are no retries in this module; asking again is harmless for all
//!   but `create`.
//! - *Results that are not there yet* ([`AskError::Gone`] soon after the end) come later at some
//!   providers; long after the end they were deleted.
//!
//! Shell: [`Batches`], [`Draft`], [`Collecting`]; the rest is pure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{Outcome, Refusal, RefusalKind};
use crate::clock::Timestamp;
use crate::job::{AttemptId, Wire};

mod anthropic;
mod client;
mod collect;
mod dialect;
mod draft;
mod gemini;
mod mark;
mod mistral;
mod openai;
mod openrouter;
mod roll;
mod split;
mod upload;
mod why;

pub use client::{Batches, Search};
pub use collect::{Collecting, Cursor};
pub use draft::{Added, Draft, Order};
pub use mark::Mark;
pub use roll::{Place, Roll};

/// A batch that exists, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRef {
    /// The provider's name for it.
    pub id: String,
    /// Ours.
    pub mark: Mark,
    /// The format of its requests, in which its answers are read.
    pub wire: Wire,
}

/// Why no batch came of an attempt to create one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CreateError {
    /// There is none, for certain.
    #[error("{message}")]
    NotCreated {
        /// Why not.
        why: Why,
        /// The provider's words, or ours.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// It was asked for, and the answer was lost: there may be one, to be found before another is made.
    #[error("{0}")]
    Unknown(String),
}

/// Why a batch was not taken or failed as a whole; none of its requests ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The provider was not reached, or the input did not arrive.
    NotSent,
    /// As many tokens or batches wait already as may: the same batch will do later, a smaller one sooner.
    QueueFull,
    /// Too many requests or bytes: fewer will do.
    TooLarge,
    /// The model or the account takes no batches: this lane is of no use.
    NoBatches,
    /// Anything else, as for single requests; [`RefusalKind::Invalid`] is about the batch, not its items.
    Refused(RefusalKind),
}

/// Why a question about a batch has no answer. Asking again is harmless.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The provider was not reached, or its answer broke off.
    #[error("{0}")]
    Broken(String),
    /// It answered with a refusal.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// What was asked for is not there: not any more, or not yet.
    #[error("{0}")]
    Gone(String),
}

/// How a batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Accepted, not begun; it may still fail as a whole.
    Queued,
    /// Being worked on.
    Running,
    /// No new work is begun; results are being put together.
    Ending,
    /// Over.
    Ended(Ended),
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All was tried.
    Completed,
    /// The provider ran out of time; part of it may have run.
    Expired,
    /// We or the provider gave it up; part of it may have run.
    Cancelled,
    /// It failed as a whole.
    Failed {
        /// What that means.
        why: Why,
        /// The provider's words.
        message: String,
    },
}

impl BatchState {
    /// Whether nothing more will happen.
    pub fn has_ended(&self) -> bool {
        matches!(self, BatchState::Ended(_))
    }
}

/// What a provider says of how many lines are in which state; shown, never relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the batch.
    pub total: u64,
    /// Answered.
    pub succeeded: u64,
    /// Refused or failed.
    pub failed: u64,
    /// Not run before time was up.
    pub expired: u64,
    /// Not run before it was cancelled.
    pub cancelled: u64,
}

/// A batch as a provider describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Which.
    pub batch: BatchRef,
    /// How it stands.
    pub state: BatchState,
    /// Lines by state.
    pub counts: Counts,
    /// When the provider made it.
    pub made_at: Option<Timestamp>,
    /// When it will have expired.
    pub expires_at: Option<Timestamp>,
    /// How long to wait before looking again; zero once it has ended.
    pub look_again: Duration,
    /// Where its results are, one after the other.
    results: Vec<dialect::Source>,
}

/// What a search for a batch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that could be it.
    Nothing,
    /// It, for certain.
    This(BatchRef),
    /// More than one that bears its mark: it was made twice.
    Several(Vec<BatchRef>),
    /// Batches that could be it: made at the right time with as many lines, of which none has ended so
    /// that it could be told.
    Perhaps(Vec<BatchRef>),
}

/// A line of a batch's results.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Whose it is.
    pub id: LineId,
    /// What became of it.
    pub fate: Fate,
}

impl Line {
    /// The attempt it is of, where it is one of this batch's mark.
    pub fn attempt(&self) -> Option<AttemptId> {
        match self.id {
            LineId::Ours(attempt) => Some(attempt),
            LineId::Foreign(_) => None,
        }
    }
}

/// Whose a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineId {
    /// An attempt's, with the mark of this batch.
    Ours(AttemptId),
    /// Nobody's of this batch: the id as it stands there.
    Foreign(String),
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineId::Ours(attempt) => attempt.fmt(f),
            LineId::Foreign(id) => f.pad(id),
        }
    }
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It ran: an answer, a refusal, or garbage.
    Ran(Outcome),
    /// It did not run, and costs nothing.
    NotRun(NotRun),
}

/// Why a line did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// Time was up.
    Expired,
    /// The batch was cancelled.
    Cancelled,
}

/// The longest a batch is left alone; most are done within the hour, and prices change by it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Small batches are done within a minute or two.
const SHORTEST_PAUSE: Duration = Duration::from_secs(15);

/// When to look at a batch again that is this old: an eighth of its age later, so that its end is known
/// an eighth late at most, with few questions.
fn pause(age: Duration) -> Duration {
    (age / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
