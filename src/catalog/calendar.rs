//! Hours of the week in a time zone: when a price applies, when we may send.
//!
//! Pure.

use crate::clock::Timestamp;

/// Hours of the week in a zone; [`Calendar::always`] by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {}

impl Calendar {
    /// Open at every moment.
    pub fn always() -> Calendar {
        Calendar::default()
    }

    /// Whether it is open at `now`.
    pub fn is_open(&self, _now: Timestamp) -> bool {
        true
    }

    /// The next moment after `now` at which it opens or closes; `None` where it never does.
    pub fn next_change(&self, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}
