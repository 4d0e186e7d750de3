//! The threads around the engine: started together, stopped in order.
//!
//! Shell.

use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::inbox::Inbox;
use super::parts::{self, PartsOrder};
use super::writer::{self, Order};
use super::{LiveError, reader};
use crate::ledger::Ledger;
use crate::results::parts::Parts;
use crate::store::files::FileStore;
use crate::store::{Store, StoreError};

/// Groups of rows that may wait for the results' thread before the journal waits for it.
const PARTS_QUEUE: usize = 8;
/// Rows in a group, when they are fed again after a restart.
const GROUP: usize = 256;

/// The threads around the engine.
pub(super) struct Threads {
    /// To the journal's.
    pub(super) orders: Sender<Order>,
    /// To the prompts'.
    pub(super) reads: Sender<reader::Wanted>,
    /// To the results'.
    pub(super) parts: SyncSender<PartsOrder>,
    journal: JoinHandle<FileStore>,
    results: JoinHandle<()>,
}

impl Threads {
    /// Starts them; the results' thread is first given what the journal holds and no part does.
    pub(super) fn start(
        mut store: FileStore,
        ledger: &Ledger,
        parts: Parts,
        inbox: Inbox,
    ) -> Result<Threads, LiveError> {
        let (to_parts, parts_orders) = sync_channel(PARTS_QUEUE);
        let results = parts::spawn(parts, parts_orders, inbox.clone());
        feed_again(&mut store, ledger, &to_parts)?;
        let (reads, wanted) = channel();
        reader::spawn(store.reader(), wanted, inbox.clone());
        let (orders, receiver) = writer::queue();
        let journal = writer::spawn(store, ledger.globals.seq, receiver, to_parts.clone(), inbox);
        Ok(Threads { orders, reads, parts: to_parts, journal, results })
    }

    /// Lets everything written so far reach the disk. Rows that are in no part stay in the journal.
    pub(super) fn stop(self) {
        let Threads { orders, reads, parts, journal, results } = self;
        let _ = orders.send(Order::Stop);
        drop((orders, reads, parts));
        if let Ok(store) = journal.join() {
            // A store that does not close is found dirty and recovered: nothing is lost by it.
            let _ = store.close();
        }
        let _ = results.join();
    }
}

/// Gives the results' thread what the journal holds and no part does.
fn feed_again(
    store: &mut FileStore,
    ledger: &Ledger,
    parts: &SyncSender<PartsOrder>,
) -> Result<(), StoreError> {
    let mut from = None;
    for (job, state) in ledger.jobs().filter(|(_, state)| state.finished_at.is_none()) {
        let _ = parts.send(PartsOrder::Add(job.clone(), state.parts, state.committed_to));
        from = Some(from.unwrap_or(state.committed_to).min(state.committed_to));
    }
    let Some(from) = from else { return Ok(()) };
    let mut rows = Vec::with_capacity(GROUP);
    store.replay(from, &mut |seq, record| {
        rows.push((seq, record));
        if rows.len() == GROUP {
            let _ = parts.send(PartsOrder::Rows(std::mem::take(&mut rows)));
        }
    })?;
    let _ = parts.send(PartsOrder::Rows(rows));
    Ok(())
}
