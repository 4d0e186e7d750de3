//! The rules of the game: `handle(now, event) -> effects`.

use std::sync::Arc;

use crate::attempt::Ending;
use crate::catalog::Route;
use crate::check::Verdict;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, ItemIndex, Job, JobId};
use crate::record::{Checkpoint, JobChange, PartCommitted, Record, Seq};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A job's prompts are durable.
    Accepted(Arc<Job>),
    /// Items that were asked for with [`Effect::Read`].
    Prompts(JobId, Vec<Arc<Item>>),
    /// Every record up to here is durable.
    Recorded(Seq),
    /// An upstream call ended.
    Ended(AttemptId, Ending),
    /// A check command ended.
    Judged(AttemptId, Verdict),
    /// Rows are in Parquet.
    PartCommitted(PartCommitted),
    /// The user wants something of a job.
    Command(JobId, JobChange),
    /// The disk is too full to start anything (`true`), or no longer is.
    DiskFull(bool),
    /// Time has passed.
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug)]
pub enum Effect {
    /// Append these records, in order; [`Event::Recorded`] says when they are durable.
    Record(Vec<Record>),
    /// Send this request. Emitted only after its `Started` record is durable.
    Send(Call),
    /// Read these items; [`Event::Prompts`] brings them.
    Read(JobId, Vec<ItemIndex>),
    /// Run these commands on this answer; [`Event::Judged`] brings the verdict.
    Judge(AttemptId, Vec<Vec<String>>, String),
    /// All items of the job ended: write its remaining rows to a last part.
    CloseParts(JobId),
    /// Bring the index up to here.
    Checkpoint(Box<Checkpoint>),
    /// Nothing will happen before this moment unless an event comes.
    Wake(Timestamp),
    /// Something a person may want to know.
    Tell(Notice),
}

/// One upstream call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, sent along as `x-client-request-id`.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Where it goes.
    pub route: Arc<Route>,
    /// What is sent.
    pub item: Arc<Item>,
}

/// Something a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A job is over and all its rows are in Parquet.
    Finished(JobId),
    /// An account stopped until a person acts: account, why.
    AccountStopped(Arc<str>, String),
    /// A route is dead: route, why.
    RouteDead(Arc<str>, String),
    /// An account failed too often in a row and is probed from now on: account, why.
    CircuitOpen(Arc<str>, String),
    /// It answers again.
    CircuitClosed(Arc<str>),
}
