//! Records on their way to the journal, gathered so that one sync serves many.
//!
//! A sync costs the same for one record as for a hundred, and waking the journal's thread costs as much for
//! one as for all of a round. So records that nothing waits for stay here for [`COMPANY`]; where a call, a
//! place on a lane or a person waits for one, [`Outbox::flush`] sends them all at once. Whatever else is
//! ordered goes behind the records that were made before it.
//!
//! Shell.

use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::time::Instant;

use super::writer::Order;
use crate::record::Record;

/// How long a record waits for others. What a killed process has not handed over is bought again, so it is
/// short beside any call.
const COMPANY: Duration = Duration::from_millis(3);

/// Orders for the journal's thread.
pub(super) struct Outbox {
    orders: Sender<Order>,
    records: Vec<Record>,
    due: Option<Instant>,
}

impl Outbox {
    /// To this thread.
    pub(super) fn new(orders: Sender<Order>) -> Outbox {
        Outbox { orders, records: Vec::new(), due: None }
    }

    /// Takes records that are to be appended.
    pub(super) fn add(&mut self, records: Vec<Record>) {
        self.records.extend(records);
    }

    /// When what waits goes at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what has waited long enough; what is seen here for the first time begins to wait.
    pub(super) fn flush_due(&mut self, now: Instant) {
        if !self.records.is_empty() && *self.due.get_or_insert(now + COMPANY) <= now {
            self.flush();
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        self.due = None;
        if !self.records.is_empty() {
            // The next round brings about as many.
            let next = Vec::with_capacity(self.records.len());
            let records = std::mem::replace(&mut self.records, next);
            self.send(Order::Append(records));
        }
    }

    /// Sends something else, behind the records that wait.
    pub(super) fn order(&mut self, order: Order) {
        self.flush();
        self.send(order);
    }

    /// The thread's end is gone only after it has sent word that nothing can be relied on.
    fn send(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;
    use crate::record::JobChange;

    fn record() -> Record {
        Record::Changed(JobId::new("job_outbox"), JobChange::Paused)
    }

    /// What was sent, as the number of records in each order; 0 for other orders.
    fn sent(orders: &std::sync::mpsc::Receiver<Order>) -> Vec<usize> {
        let len = |order| if let Order::Append(records) = order { records.len() } else { 0 };
        orders.try_iter().map(len).collect()
    }

    #[test]
    fn records_wait_for_company_but_not_for_long() {
        let (orders, sent_orders) = super::super::writer::queue();
        let (mut outbox, now) = (Outbox::new(orders), Instant::now());
        outbox.flush_due(now);
        outbox.add(vec![record()]);
        outbox.flush_due(now);
        outbox.add(vec![record(), record()]);
        outbox.flush_due(now + COMPANY / 2);
        assert_eq!((sent(&sent_orders), outbox.due()), (vec![], Some(now + COMPANY)));
        outbox.flush_due(now + COMPANY);
        assert_eq!((sent(&sent_orders), outbox.due()), (vec![3], None));
        outbox.flush_due(now + 2 * COMPANY);
        assert!(sent(&sent_orders).is_empty());
    }

    #[test]
    fn other_orders_stay_behind_the_records_made_before_them() {
        let (orders, sent_orders) = super::super::writer::queue();
        let mut outbox = Outbox::new(orders);
        outbox.add(vec![record()]);
        outbox.order(Order::Stop);
        outbox.add(vec![record(), record()]);
        outbox.flush();
        assert_eq!(sent(&sent_orders), [1, 0, 2]);
    }
}
