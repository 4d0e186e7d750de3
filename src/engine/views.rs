//! What a person is shown: the ledger's numbers, and why pending items wait.
//!
//! Pure.

use std::time::Duration;

use super::Engine;
use super::queue::{JobQueue, Parked};
use super::schedule::duration;
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::view::{JobView, Waiting};

impl Engine {
    /// All jobs, oldest name first.
    pub fn views(&mut self, now: Timestamp) -> Vec<JobView> {
        // A clock that was set back a little is behind the one that decides.
        let now = now.max(self.now);
        let mut views: Vec<JobView> =
            self.ledger.jobs().map(|(job, state)| JobView::of(job, state)).collect();
        views.iter_mut().for_each(|view| self.complete(view, now));
        views
    }

    /// One job.
    pub fn view(&mut self, job: &JobId, now: Timestamp) -> Option<JobView> {
        let (job, state) = self.ledger.get(job)?;
        let mut view = JobView::of(job, state);
        self.complete(&mut view, now);
        Some(view)
    }

    /// Adds what the ledger does not know.
    fn complete(&mut self, view: &mut JobView, now: Timestamp) {
        for route in &mut view.routes {
            let lane = self.lanes.find(&route.route).map(|lane| self.lanes.get(lane));
            if let Some(table) = lane.and_then(|lane| lane.route.prices.as_ref()) {
                route.price_window = Some(table.at(now).0.to_string());
                route.price_until = table.next_change(now);
            }
        }
        if let Some(queue) = self.queues.get_mut(&view.job_id) {
            explain(view, queue, now);
        }
    }
}

/// `waits for deepseek off-peak, 1 h 48 m`.
fn words(parked: &Parked, now: Timestamp) -> Option<String> {
    let words = parked.words.clone()?;
    match parked.until.filter(|&until| parked.waiting == Waiting::Window && until > now) {
        Some(until) => Some(format!("{words}, {}", duration(until.since(now)))),
        None => Some(words),
    }
}

fn explain(view: &mut JobView, queue: &mut JobQueue, now: Timestamp) {
    let mut most = 0;
    // Copies are counted on the steps they would be sent on: first where nothing else waits.
    let mut copies = queue.copies.waiting().min(view.counts.pending);
    if copies > 0 {
        view.waiting.insert(Waiting::Duplicate, copies);
    }
    let (parked, others): (Vec<_>, Vec<_>) = queue.steps.values().partition(|step| step.parked.is_some());
    for step in others.into_iter().chain(parked) {
        let backing_off = step.backing_off(now).min(step.pending);
        if backing_off > 0 {
            *view.waiting.entry(Waiting::Backoff).or_default() += backing_off;
        }
        let rest = step.pending - backing_off;
        let skipped = copies.min(rest);
        copies -= skipped;
        let rest = rest - skipped;
        if rest == 0 {
            continue;
        }
        let waiting = match &step.parked {
            Some(parked) => parked.waiting,
            // Nothing was tried yet, so nothing is waited for.
            None if view.attempts == 0 => continue,
            // A queue that waits for nothing in particular waits for its turn, which is a matter of rate.
            None => Waiting::RateLimit,
        };
        *view.waiting.entry(waiting).or_default() += rest;
        if rest > most {
            most = rest;
            view.waiting_for = step.parked.as_ref().and_then(|parked| words(parked, now));
            view.waiting_until = step.parked.as_ref().and_then(|parked| parked.until);
        }
    }
    view.per_minute = queue.pace.per_minute(now);
    let left = f64::from(view.counts.pending + view.counts.running);
    view.eta = view.per_minute.map(|pace| {
        let start = view.waiting_until.filter(|_| view.counts.running == 0).unwrap_or(now).max(now);
        start + Duration::from_secs_f64(left / pace * 60.0)
    });
}
