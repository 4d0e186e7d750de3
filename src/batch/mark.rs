//! [`Mark`]: what we call a batch, so that it is known again; and the ids of its lines.
//!
//! A mark goes into whatever the provider lets us name a batch by, and into the id of every line. So a
//! batch whose creation was never answered can be found by its name or, where it has none, by its
//! results; and a line of another batch, or of another program with the same key, is told at a glance.
//! What users call their items never leaves the house.
//!
//! Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::AttemptId;

/// Names a batch of ours: `ovn-1a2b3c4d-00000000002a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The store it belongs to, so that two of them can share an account.
    pub store: u32,
    /// Counts up within the store, never used again once durable.
    pub number: u64,
}

/// The key it has where a provider keeps pairs.
pub const KEY: &str = "overnight";

/// What every mark begins with.
const PREFIX: &str = "ovn-";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:08x}-{:012x}", self.store, self.number)
    }
}

impl Mark {
    /// Reads one; only what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Mark> {
        let (store, number) = text.strip_prefix(PREFIX)?.split_once('-')?;
        let mark = Mark { store: hex(store)?.try_into().ok()?, number: hex(number)? };
        (mark.to_string() == text).then_some(mark)
    }

    /// The id of an attempt's line: letters, digits and `-`, fewer than 64.
    pub fn line_id(&self, attempt: AttemptId) -> String {
        format!("{self}-{attempt}")
    }

    /// The batch and the attempt a line's id names; `None` where it is none of ours.
    pub fn of_line(id: &str) -> Option<(Mark, AttemptId)> {
        let (mark, attempt) = id.rsplit_once('-')?;
        let found = (Mark::parse(mark)?, AttemptId(hex(attempt.strip_prefix("att_")?)?));
        (found.0.line_id(found.1) == id).then_some(found)
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { store: 0x1a2b_3c4d, number: 42 };

    #[test]
    fn an_id_says_whose_it_is_and_every_provider_takes_it() {
        let id = MARK.line_id(AttemptId(31));
        assert_eq!(id, "ovn-1a2b3c4d-00000000002a-att_00000000001f");
        assert_eq!(Mark::of_line(&id), Some((MARK, AttemptId(31))));
        assert_eq!(Mark::parse(&MARK.to_string()), Some(MARK));
        let longest = Mark { store: u32::MAX, number: u64::MAX }.line_id(AttemptId(u64::MAX));
        assert!(longest.len() <= 64, "{longest}");
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        assert!(longest.bytes().all(plain), "{longest}");
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        for id in ["", "review-17", "ovn-1a2b3c4d-2a-att_1f", "ovn-1A2B3C4D-00000000002a-att_00000000001f"] {
            assert_eq!(Mark::of_line(id), None, "{id}");
        }
        for mark in ["ovn-", "ovn-1-2", "ovn-+a2b3c4d-00000000002a", "x-1a2b3c4d-00000000002a"] {
            assert_eq!(Mark::parse(mark), None, "{mark}");
        }
    }
}
