//! The journal's thread: takes whatever waits, writes it in one go, syncs once, releases all.
//!
//! It is the only thread that writes to the store. Everything reaches it through one queue, so a
//! checkpoint stands exactly behind the records it sums up, and a job's closing behind its rows.
//!
//! Shell.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::inbox::{Inbox, News};
use super::parts::PartsOrder;
use crate::job::{Job, JobId};
use crate::ledger::JobLedger;
use crate::record::{Checkpoint, Record, Seq};
use crate::store::{Store, StoreError};

/// Records written with one sync at most.
const GROUP: usize = 2_000;
/// Rows that are passed on together, so that the results' thread is not woken for each sync.
const ROWS: usize = 256;
/// How long a full disk is left alone before the write is tried again.
const DISK_FULL_PAUSE: Duration = Duration::from_secs(2);

/// What the writer is asked to do, in order.
pub(super) enum Order {
    /// Append these.
    Append(Vec<Record>),
    /// Bring the index up to here.
    Checkpoint(Box<Checkpoint>),
    /// Make a staged job's prompts permanent.
    Accept(Arc<Job>),
    /// Pass on that a job's last part is due.
    CloseParts(JobId, Box<JobLedger>),
    /// Remove a job that is over.
    Remove(JobId),
    /// Say whether all that was to be removed is gone.
    Removed(tokio::sync::oneshot::Sender<Result<(), String>>),
    /// Pass on that a job's rows should be readable now.
    Flush(JobId, tokio::sync::oneshot::Sender<()>),
    /// Stop when all before it is done.
    Stop,
}

/// Runs the writer until told to stop; gives the store back.
pub(super) fn spawn<S: Store + Send + 'static>(
    store: S,
    first: Seq,
    orders: Receiver<Order>,
    parts: SyncSender<PartsOrder>,
    inbox: Inbox,
) -> JoinHandle<S> {
    let mut writer =
        Writer { store, seq: first, parts, inbox, group: Vec::new(), rows: Vec::new(), removed: Ok(()) };
    std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || {
            writer.run(&orders);
            writer.store
        })
        .expect("the system can start a thread")
}

struct Writer<S> {
    store: S,
    seq: Seq,
    parts: SyncSender<PartsOrder>,
    inbox: Inbox,
    /// Records of the present group, on their way to the disk.
    group: Vec<(Seq, Record)>,
    /// Those that are durable and make rows, to be passed on.
    rows: Vec<(Seq, Record)>,
    /// What could not be removed since somebody asked.
    removed: Result<(), String>,
}

impl<S: Store> Writer<S> {
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let mut next = Some(order);
            // Appends that already wait share one sync; anything else ends the group.
            while let Some(Order::Append(records)) = next {
                if !self.append(records) {
                    return;
                }
                next = if self.group.len() < GROUP { orders.try_recv().ok() } else { None };
            }
            // Behind the last records there is always a checkpoint, so no row waits here for long.
            if !self.release() || !self.pass_rows(next.is_some()) {
                return;
            }
            let carried_on = match next {
                None | Some(Order::Append(_)) => true,
                Some(Order::Checkpoint(checkpoint)) => self.retry(|store| store.checkpoint(&checkpoint)),
                Some(Order::Accept(job)) => self.accept(job),
                Some(Order::CloseParts(job, state)) => self.pass(PartsOrder::Close(job, state)),
                Some(Order::Remove(job)) => {
                    self.remove(&job);
                    true
                }
                Some(Order::Removed(done)) => {
                    // Who asked may have left.
                    let _ = done.send(std::mem::replace(&mut self.removed, Ok(())));
                    true
                }
                Some(Order::Flush(job, done)) => self.pass(PartsOrder::Flush(job, done)),
                Some(Order::Stop) => return,
            };
            if !carried_on {
                return;
            }
        }
    }

    /// What cannot be removed stays until the next time; nothing else depends on it.
    fn remove(&mut self, job: &JobId) {
        if let Err(error) = self.store.remove_job(job) {
            self.removed = Err(format!("{job} is not removed: {error}"));
        }
    }

    fn append(&mut self, records: Vec<Record>) -> bool {
        if !self.retry(|store| store.append(&records)) {
            return false;
        }
        for record in records {
            self.seq += 1;
            self.group.push((self.seq, record));
        }
        true
    }

    /// What another process staged may be gone or damaged: that is no trouble of ours, and where it is,
    /// the journal refuses the next record.
    fn accept(&mut self, job: Arc<Job>) -> bool {
        let mut refused = None;
        let tried = self.retry(|store| match store.accept(&job) {
            Err(error @ StoreError::DiskFull(_)) => Err(error),
            Err(error) => {
                refused = Some(error.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        });
        self.inbox.send(match refused {
            Some(why) => News::NotAccepted(job.id.clone(), why),
            None => News::Accepted(job),
        });
        tried
    }

    /// Syncs the group and says so.
    fn release(&mut self) -> bool {
        if self.group.is_empty() {
            return true;
        }
        if !self.retry(|store| store.sync().map(drop)) {
            return false;
        }
        self.inbox.send(News::Durable(self.seq));
        self.rows.extend(self.group.drain(..).filter(|(_, record)| makes_rows(record)));
        true
    }

    /// Passes on the rows that are durable: enough of them, or all.
    fn pass_rows(&mut self, all: bool) -> bool {
        let enough = if all { 1 } else { ROWS };
        self.rows.len() < enough || {
            let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS));
            self.pass(PartsOrder::Rows(rows))
        }
    }

    fn pass(&self, order: PartsOrder) -> bool {
        self.parts.send(order).is_ok()
    }

    /// Tries until it works, as long as a full disk is the only trouble; anything else ends the process
    /// through the driver, because after a failed sync nothing may be believed.
    fn retry(&mut self, mut action: impl FnMut(&mut S) -> Result<(), StoreError>) -> bool {
        let mut told = false;
        loop {
            match action(&mut self.store) {
                Ok(()) => {
                    if told {
                        self.inbox.send(News::DiskFull(None));
                    }
                    return true;
                }
                Err(StoreError::DiskFull(message)) => {
                    if !told {
                        self.inbox.send(News::DiskFull(Some(message)));
                    }
                    told = true;
                    std::thread::sleep(DISK_FULL_PAUSE);
                }
                Err(error) => {
                    self.inbox.send(News::Fatal(error.to_string()));
                    return false;
                }
            }
        }
    }
}

fn makes_rows(record: &Record) -> bool {
    matches!(record, Record::Ended(_) | Record::Settled(_))
}

/// A queue of orders and its end.
pub(super) fn queue() -> (Sender<Order>, Receiver<Order>) {
    std::sync::mpsc::channel()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testing::{job, succeeded};
    use crate::store::memory::MemoryStore;

    #[test]
    fn rows_are_passed_in_large_groups_and_ahead_of_what_is_ordered_behind_them() {
        let (orders, receiver) = queue();
        let (parts, passed) = std::sync::mpsc::sync_channel(8);
        let (inbox, _news) = Inbox::new();
        let job = job("job_writer0001", 301);
        let row = |item| Order::Append(vec![Record::Ended(Box::new(succeeded(&job, item)))]);
        let writer = spawn(MemoryStore::default(), 0, receiver, parts, inbox);
        for item in 0..300 {
            orders.send(row(item)).unwrap();
        }
        orders.send(Order::CloseParts(job.id.clone(), Box::default())).unwrap();
        orders.send(row(300)).unwrap();
        orders.send(Order::Stop).unwrap();
        writer.join().unwrap();

        let rows = |order| if let PartsOrder::Rows(rows) = order { rows.len() } else { 0 };
        let passed: Vec<usize> = passed.try_iter().map(rows).collect();
        let closed = passed.iter().position(|&rows| rows == 0).unwrap();
        assert!(closed <= 2 && passed[0] >= ROWS, "{passed:?}");
        assert_eq!((passed[..closed].iter().sum::<usize>(), &passed[closed + 1..]), (300, &[1][..]));
    }
}
