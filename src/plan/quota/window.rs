//! What was taken in the last minute, exactly enough: sums of half seconds.
//!
//! A bucket that is refilled steadily says nothing of one request that takes more than it holds. The sum
//! does: a request has room only where it and all that was taken in the minute before fit the limit.
//!
//! Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
/// Takes that are this near to each other are kept as one, as of the last of them.
const SLOT: Duration = Duration::from_millis(500);

/// What was taken in the last minute.
#[derive(Default)]
pub(super) struct Window {
    /// When the slot began, when it was last added to, and how much it holds.
    taken: VecDeque<(Timestamp, Timestamp, u64)>,
    sum: u64,
}

impl Window {
    /// Whether `n` more stay within `limit`, and if not, when they may. More than the limit has room only
    /// where nothing else was taken: it can only be tried alone.
    pub(super) fn has_room(&mut self, now: Timestamp, n: u64, limit: u64) -> Result<(), Timestamp> {
        while let Some(&(_, last, taken)) = self.taken.front()
            && now.since(last) > MINUTE
        {
            self.sum -= taken;
            self.taken.pop_front();
        }
        let most = limit.saturating_sub(n);
        let mut sum = self.sum;
        let mut until = None;
        for &(_, last, taken) in &self.taken {
            if sum <= most {
                break;
            }
            sum -= taken;
            until = Some(last + MINUTE + Duration::from_micros(1));
        }
        until.map_or(Ok(()), Err)
    }

    /// What was taken in the minute before.
    pub(super) fn sum(&self, now: Timestamp) -> u64 {
        let latest = self.taken.iter().filter(|(_, last, _)| now.since(*last) <= MINUTE);
        latest.map(|(_, _, taken)| taken).sum()
    }

    /// So many were taken.
    pub(super) fn add(&mut self, now: Timestamp, n: u64) {
        self.sum += n;
        match self.taken.back_mut() {
            Some((first, last, taken)) if now.since(*first) < SLOT => {
                *last = now;
                *taken += n;
            }
            _ => self.taken.push_back((now, now, n)),
        }
    }
}
