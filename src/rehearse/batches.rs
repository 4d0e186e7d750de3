//! Provider batches on virtual time: what the live driver does over HTTP, done by the simulated provider.
//!
//! Takes what the engine asks, gives what comes of it and how long that takes.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::batch::{Cursor, Mark, Order, Status};
use crate::clock::Timestamp;
use crate::engine::{BatchAsk, BatchNews, BatchWork, Call};
use crate::job::Wire;
use crate::provider::simulated::Simulated;
use crate::provider::translate;

/// How long a provider takes to answer a question about a batch.
const ANSWERS_IN: Duration = Duration::from_millis(300);
/// Lines of results that are handed over at a time.
const PAGE: usize = 100;

/// Batches that are being filled; gone when the machine goes down.
#[derive(Default)]
pub(super) struct Drafts(BTreeMap<Mark, Vec<Call>>);

impl Drafts {
    /// Does what is asked; what is answered to it, and when.
    pub(super) fn carry_out(
        &mut self,
        provider: &mut Simulated,
        now: Timestamp,
        ask: BatchAsk,
    ) -> Option<(Duration, BatchNews)> {
        let BatchAsk { mark, route, what } = ask;
        let account = &*route.account;
        let news = match what {
            BatchWork::Add(call) => {
                self.0.entry(mark).or_default().push(*call);
                return None;
            }
            BatchWork::Drop => {
                self.0.remove(&mark);
                return None;
            }
            BatchWork::Cancel(batch) => {
                // A request that is lost: how the batch stands shows when it is looked at.
                let _ = provider.give_up_batch(now, account, &batch);
                return None;
            }
            BatchWork::Clear(batch) => {
                // What is not deleted there expires.
                let _ = provider.clear_batch(now, account, &batch);
                return None;
            }
            // What was never made left nothing: requests are handed over with the creation.
            BatchWork::ClearUnmade(_) => return None,
            BatchWork::Create => {
                let calls = self.0.remove(&mark).unwrap_or_default();
                let wire = calls.first().map(|call| call.item.wire);
                let wire = wire.map(|wire| translate::target(wire, &route.wires).unwrap_or(wire));
                let order = Order { mark, model: route.model.clone(), wire: wire.unwrap_or(Wire::Chat) };
                BatchNews::Created(provider.create_batch(now, &order, &calls))
            }
            BatchWork::Find(search) => BatchNews::Found(provider.find_batch(now, account, &search)),
            BatchWork::Look(batch) => BatchNews::Looked(provider.poll_batch(now, account, &batch)),
            BatchWork::Collect(status, from) => page(provider, now, account, &status, from),
        };
        Some((ANSWERS_IN, news))
    }

    /// The machine went down.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn page(provider: &mut Simulated, now: Timestamp, account: &str, status: &Status, from: Cursor) -> BatchNews {
    let (mut lines, mut cursor, end) = provider.collect_batch(now, account, &status.batch, from);
    let is_last = lines.len() <= PAGE;
    if !is_last {
        lines.truncate(PAGE);
        cursor = Cursor { lines: from.lines + PAGE as u64, ..from };
    }
    let end = if is_last { end.map(|()| true) } else { Ok(false) };
    BatchNews::Collected { lines, cursor, end }
}
