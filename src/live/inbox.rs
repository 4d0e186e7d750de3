//! What the threads and calls around the engine have to tell it.
//!
//! Shell.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::attempt::Ending;
use crate::batch::Mark;
use crate::check::Verdict;
use crate::engine::BatchNews;
use crate::job::{AttemptId, Item, Job, JobId};
use crate::record::{PartCommitted, Seq};

/// News for the engine or the driver.
pub(super) enum News {
    /// Records up to here are durable.
    Durable(Seq),
    /// Items that were asked for.
    Prompts(JobId, Vec<Arc<Item>>),
    /// A call ended.
    Ended(AttemptId, Box<Ending>),
    /// A check command ended.
    Judged(AttemptId, Verdict),
    /// What was asked about a provider batch has an answer.
    Batch(Mark, Box<BatchNews>),
    /// A part is in place.
    PartCommitted(PartCommitted),
    /// A job's last part and its manifest are in place.
    PartsClosed(JobId),
    /// A job's prompts are permanent.
    Accepted(Arc<Job>),
    /// A job was not accepted, and why.
    NotAccepted(JobId, String),
    /// The disk is full, and what to do; `None` when it no longer is.
    DiskFull(Option<String>),
    /// Results cannot be written for now, and why; work goes on, rows stay in the journal.
    ResultsBlocked(Option<String>),
    /// Nothing can be relied on any more.
    Fatal(String),
}

/// The sending end; cheap to clone. Unbounded, because what is sent is bounded by what is in flight.
#[derive(Clone)]
pub(super) struct Inbox(mpsc::UnboundedSender<News>);

impl Inbox {
    /// Both ends.
    pub(super) fn new() -> (Inbox, mpsc::UnboundedReceiver<News>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Inbox(sender), receiver)
    }

    /// Sends; when the driver is gone there is nobody to tell.
    pub(super) fn send(&self, news: News) {
        let _ = self.0.send(news);
    }
}
