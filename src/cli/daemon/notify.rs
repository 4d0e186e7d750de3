//! What the service manager is told: ready, reloading, stopping, alive.
//!
//! The sign of life comes from the engine's loop and from nowhere else: a loop that hangs is restarted,
//! however well the other threads are. Without a manager that listens nothing is sent.
//!
//! Shell.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::{self, Timestamp};

/// How long answers on their way may hold up a stop: what the driver waits, and the results after it.
const STOPPING: Duration = Duration::from_secs(60);

/// Signs of life, as often as the manager wants them.
pub(super) struct Pulse {
    every: Option<Duration>,
    last: Timestamp,
    is_ready: bool,
}

impl Pulse {
    /// As the manager of this process wants it.
    pub(super) fn new() -> Pulse {
        // Half of it, as systemd asks.
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Pulse { every, last: Timestamp::default(), is_ready: false }
    }

    /// The engine's loop went round.
    pub(super) fn beat(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            ready();
        }
        let now = clock::now();
        // A clock that was set back must not stop the pulse.
        let is_due = |every: Duration| now < self.last || now.since(self.last) >= every;
        if self.every.is_some_and(is_due) {
            self.last = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Work goes on, with whatever config is in force.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The config is read again.
pub(super) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// The daemon is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(STOPPING.as_micros() as u32)]);
}

/// A manager that does not listen is no trouble of ours.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
