//! The results' thread: turns durable records into Parquet parts while the job runs.
//!
//! It lags behind the journal and may: rows it has not written are still in the journal, and are fed
//! to it again after a restart. A full disk or a missing folder therefore only makes it wait.
//!
//! Shell.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::inbox::{Inbox, News};
use crate::clock;
use crate::job::{Job, JobId};
use crate::ledger::JobLedger;
use crate::record::{Record, Seq};
use crate::results::ResultsError;
use crate::results::parts::Parts;

/// How often parts are looked at for their age.
const LOOK: Duration = Duration::from_secs(1);

/// What the results' thread is asked to do, in order.
pub(super) enum PartsOrder {
    /// A job whose rows will come.
    Add(Arc<Job>, u32, Seq),
    /// Rows, in the order of the journal.
    Rows(Vec<(Seq, Record)>),
    /// Make a job's rows readable now.
    Flush(JobId, tokio::sync::oneshot::Sender<()>),
    /// Write the rest of a job and its manifest.
    Close(JobId, Box<JobLedger>),
}

/// Runs until the sending end is gone.
pub(super) fn spawn(parts: Parts, orders: Receiver<PartsOrder>, inbox: Inbox) -> JoinHandle<()> {
    let mut desk = Desk { parts, inbox, blocked: false };
    std::thread::Builder::new()
        .name("results".to_owned())
        .spawn(move || desk.run(&orders))
        .expect("the system can start a thread")
}

struct Desk {
    parts: Parts,
    inbox: Inbox,
    blocked: bool,
}

impl Desk {
    fn run(&mut self, orders: &Receiver<PartsOrder>) {
        let mut looked = clock::now();
        loop {
            match orders.recv_timeout(LOOK) {
                Ok(order) => self.carry_out(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Not after every order: rows fed again after a restart are old, and would each be due.
            let now = clock::now();
            if now.since(looked) >= LOOK || now < looked {
                looked = now;
                for job in self.parts.due(now) {
                    self.close(&job);
                }
            }
        }
    }

    fn carry_out(&mut self, order: PartsOrder) {
        match order {
            PartsOrder::Add(job, parts, committed_to) => {
                self.until_done(|desk| desk.parts.add(job.clone(), parts, committed_to));
            }
            PartsOrder::Rows(rows) => {
                for (seq, record) in &rows {
                    self.until_done(|desk| desk.parts.push(*seq, record));
                }
            }
            PartsOrder::Flush(job, done) => {
                self.close(&job);
                let _ = done.send(());
            }
            PartsOrder::Close(job, state) => {
                self.close(&job);
                self.until_done(|desk| desk.parts.finish(&job, &state, clock::now()).map(drop));
                self.inbox.send(News::PartsClosed(job));
            }
        }
    }

    /// Closes what a job has open; after a full disk that may be more than one part.
    fn close(&mut self, job: &JobId) {
        while let Some(Some(part)) = self.until_done(|desk| desk.parts.close(job, clock::now())) {
            self.inbox.send(News::PartCommitted(part));
        }
    }

    /// Tries until it works, as long as trying again can help.
    fn until_done<T>(&mut self, mut action: impl FnMut(&mut Desk) -> Result<T, ResultsError>) -> Option<T> {
        loop {
            match action(self) {
                Ok(done) => {
                    if std::mem::take(&mut self.blocked) {
                        self.inbox.send(News::ResultsBlocked(None));
                    }
                    return Some(done);
                }
                Err(error) if error.is_retryable() => {
                    if !std::mem::replace(&mut self.blocked, true) {
                        self.inbox.send(News::ResultsBlocked(Some(error.to_string())));
                    }
                    std::thread::sleep(LOOK);
                }
                Err(error) => {
                    self.inbox.send(News::Fatal(error.to_string()));
                    return None;
                }
            }
        }
    }
}
