//! How many calls the files that may be open leave room for.
//!
//! Every connection is a file. A process that runs out of them cannot connect, and worse, cannot open
//! the files of its own store, so calls get only what is left beside those.
//!
//! Shell: asks and changes the limit of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as any night needs; more is not asked for, because commands that judge answers inherit it.
const ENOUGH: u64 = 16_384;
/// Kept for the store, the results, the control socket and what the system's libraries open.
const OWN: u64 = 40;
/// Connections a call may hold: its own, and one that stays open to the account asked before.
const EACH: u64 = 2;

/// Raises the limit as far as it is allowed and needed, and says how many calls fit under it.
pub(super) fn most_calls() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |hard| hard.min(ENOUGH));
    let allowed = match limit.current {
        Some(soft) if soft < wanted => {
            let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
            // A system may refuse what its limits promise; then it stays as it was.
            setrlimit(Resource::Nofile, raised).map_or(soft, |()| wanted)
        }
        current => current.unwrap_or(u64::MAX),
    };
    calls_within(allowed)
}

fn calls_within(files: u64) -> u32 {
    u32::try_from(files.saturating_sub(OWN) / EACH).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_get_what_the_store_leaves() {
        assert_eq!([64, 1_024, u64::MAX].map(calls_within), [12, 492, u32::MAX]);
        assert_eq!(calls_within(20), 1, "one call at a time is tried with whatever there is");
    }
}
