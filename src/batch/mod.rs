//! Provider batches as the rules speak of them: what we call one, how it stands, how it is found again
//! and what its lines say.
//!
//! What a call is to [`crate::attempt`], a batch is here. Who speaks with providers is
//! [`crate::provider::batch`], where the life of a batch is told; who plays one is
//! [`crate::provider::simulated`].
//!
//! Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{Outcome, Refusal, RefusalKind};
use crate::clock::Timestamp;
use crate::job::{AttemptId, Wire};

mod mark;
mod roll;

pub use mark::{KEY, Mark};
pub use roll::{Place, Roll};

/// What a batch is, apart from its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Our name for it.
    pub mark: Mark,
    /// The model it asks, as the provider names it.
    pub model: Arc<str>,
    /// The format of its requests.
    pub wire: Wire,
}

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
    pub results: Vec<ResultsAt>,
}

/// Where results are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultsAt {
    /// A file of lines at this address, below the provider's.
    Address(String),
    /// Inside the batch's own description.
    Inline,
    /// A list at this address that is shown page by page.
    Pages(String),
}

impl Status {
    /// Whether it failed as a whole, so that nothing of it ran.
    pub fn has_failed(&self) -> bool {
        matches!(self.state, BatchState::Ended(Ended::Failed { .. }))
    }
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
#[expect(clippy::large_enum_variant, reason = "nearly every line ran, and none is kept for long")]
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

/// A batch that is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// What it is.
    pub order: Order,
    /// How many requests are in it.
    pub len: u64,
    /// When it was going to be made.
    pub since: Timestamp,
    /// Batches that are accounted for, by the provider's names.
    pub known: Vec<String>,
}

/// Behind which line of a batch's results to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Files, or other places of results, that are done with.
    pub sources: u32,
    /// Lines of the next one that are done with.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The longest a batch is left alone; most are done within the hour, and prices change by it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Small batches are done within a minute or two.
const SHORTEST_PAUSE: Duration = Duration::from_secs(15);

/// When to look at a batch again that is this old: an eighth of its age later, so that its end is known
/// an eighth late at most, with few questions.
pub fn pause(age: Duration) -> Duration {
    (age / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
