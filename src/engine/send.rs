//! Sending what is recorded, and taking back what is not to be sent after all.
//!
//! This is the second gate: with its `Started` record durable, an attempt takes room on its lane and
//! leaves. Where a lane is short of parallel calls only, a few items wait recorded between the gates,
//! so that a freed place is filled without waiting for the disk.
//!
//! Pure.

use super::flight::{Flight, Stage};
use super::{Effect, Engine};
use crate::job::{AttemptId, JobId};

impl Engine {
    /// The second gate: what is durable may leave.
    pub(super) fn recorded(&mut self, seq: u64) {
        while let Some(&(at, attempt)) = self.recording.front() {
            if at > seq {
                break;
            }
            self.recording.pop_front();
            let Some(flight) = self.flights.get_mut(&attempt) else { continue };
            if matches!(flight.stage, Stage::Recording(true)) {
                self.send(attempt);
            } else {
                flight.stage = Stage::Ready;
                let lane = flight.lane.expect("a started attempt has a lane");
                self.lanes.get_mut(lane).ready.push_back(attempt);
            }
        }
        self.create_batches(seq);
        self.clear_batches(seq);
    }

    /// Fills free places with attempts that wait recorded.
    pub(super) fn send_ready(&mut self) {
        for lane in 0..self.lanes.len() {
            while let Some(&attempt) = self.lanes.get_mut(lane).ready.front() {
                let Some(flight) = self.flights.get(&attempt) else {
                    self.lanes.get_mut(lane).ready.pop_front();
                    continue;
                };
                let item = flight.call.item.clone();
                let usage = self.known(&flight.job.id).usage(&flight.call.route, &item);
                let shut = self.lanes.account(lane).shut().is_some();
                if shut || self.lanes.get_mut(lane).dead.is_some() || !self.may_send(flight) {
                    self.lanes.get_mut(lane).ready.pop_front();
                    self.withdraw(attempt);
                } else if self.lanes.take(lane, &item, usage, self.now).is_ok() {
                    let lane = self.lanes.get_mut(lane);
                    lane.ready.pop_front();
                    lane.ahead -= 1;
                    self.flights.get_mut(&attempt).expect("found above").stage = Stage::Recording(true);
                    self.send(attempt);
                } else {
                    break;
                }
            }
            let lane = self.lanes.get(lane);
            self.is_awaited |= lane.ahead > 0 && lane.ready.is_empty();
        }
    }

    /// Takes back what waits between the gates: of one job, or of all.
    pub(super) fn withdraw_ready(&mut self, job: Option<&JobId>) {
        let of_job = |flight: &Flight| {
            matches!(flight.stage, Stage::Ready) && job.is_none_or(|job| flight.job.id == *job)
        };
        let mut ready: Vec<AttemptId> =
            self.flights.iter().filter(|(_, flight)| of_job(flight)).map(|(&attempt, _)| attempt).collect();
        ready.sort();
        for attempt in ready {
            self.withdraw(attempt);
        }
    }

    fn may_send(&self, flight: &Flight) -> bool {
        let state = self.ledger.get(&flight.job.id).expect("a flight has a ledger").1;
        let is_open = flight.call.route.hours.is_open(self.now);
        is_open && !self.on_hold && !state.paused && !state.cancelled
    }

    fn send(&mut self, attempt: AttemptId) {
        let flight = &self.flights[&attempt];
        if !self.may_send(flight) {
            self.withdraw(attempt);
            return;
        }
        let flight = self.flights.get_mut(&attempt).expect("found above");
        flight.stage = Stage::Sent;
        flight.sent_at = self.now;
        if let Some(lane) = flight.lane {
            self.lanes.get_mut(lane).count_send(self.now);
        }
        self.effects.push(Effect::Send(flight.call.clone()));
        self.look_after(attempt);
    }

    /// Takes back a start that was never sent: nothing was billed, the item goes back to its step.
    pub(super) fn withdraw(&mut self, attempt: AttemptId) {
        let Some(flight) = self.flights.remove(&attempt) else { return };
        if let Some(lane) = flight.lane {
            match flight.stage {
                Stage::Recording(true) => self.lanes.release(lane),
                _ => self.lanes.get_mut(lane).ahead -= 1,
            }
            self.lanes.account(lane).probe_lost();
        }
        self.conclude_withdrawn(flight);
    }
}
