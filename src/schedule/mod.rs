//! When a schedule fires, and what is made of firings that nobody was there for.
//!
//! | file | takes → gives |
//! |---|---|
//! | this one | a cron, a zone, how far it was looked at → the firing that is due now |
//! | [`cron`](mod@cron) | a cron as it is written → its firings after a moment |
//! | [`settle`] | two looks at a watched folder → the files that are finished |
//!
//! A firing is told by what was looked at before, never by a timer: timers stop while a machine sleeps,
//! and a process may not have been there at all. However many firings have passed since, one is made up
//! for, or none: last night's file submitted five times helps nobody.
//!
//! Pure. The hands are in [`crate::cli::daemon`]; how it is written is in [`crate::config`].

use std::time::Duration;

use chrono_tz::Tz;

use crate::clock::Timestamp;

pub mod cron;
pub mod settle;
#[cfg(test)]
mod tests;

pub use cron::Cron;

/// A firing that is seen no later than this was not missed.
const GRACE: Duration = Duration::from_secs(300);
/// What was looked at lies this far ahead only where the clock was wrong then.
const WRONG_CLOCK: Duration = Duration::from_secs(86_400);

/// What is done about firings that passed while nobody was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// The last of them is made up for.
    #[default]
    Run,
    /// They are left out.
    Skip,
}

/// What a look at a schedule shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The firing that is due.
    pub fires: Option<Timestamp>,
    /// Firings that are passed over.
    pub passed_over: u64,
    /// How far it was looked at: where the next look begins.
    pub seen: Timestamp,
}

/// Looks at a schedule that was last looked at up to `seen`. `awake` is how long someone was there before
/// `now` without a break, if only too busy to look: a firing within it was not missed.
pub fn look(cron: &Cron, zone: Tz, missed: Missed, seen: Timestamp, awake: Duration, now: Timestamp) -> Look {
    if seen > now + WRONG_CLOCK {
        return Look { fires: None, passed_over: 0, seen: now };
    }
    let mut passed = 0;
    let mut last = None;
    for firing in cron.firings(seen, zone).take_while(|firing| *firing <= now) {
        passed += 1;
        last = Some(firing);
    }
    let Some(last) = last else { return Look { fires: None, passed_over: 0, seen } };
    match missed {
        Missed::Skip if now.since(last) > awake.saturating_add(GRACE) => {
            Look { fires: None, passed_over: passed, seen: last }
        }
        Missed::Run | Missed::Skip => Look { fires: Some(last), passed_over: passed - 1, seen: last },
    }
}
