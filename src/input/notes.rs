//! What a user should know about a file that was accepted all the same.
//!
//! Pure.

use std::collections::BTreeSet;

/// Names of unused keys that are kept; a file of wild rows has no end of them.
const MAX_KEYS: usize = 8;

/// Counts of what was passed over or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub n_blank: u64,
    pub n_stream_removed: u64,
    pub n_answers_dropped: u64,
    pub n_kept_system: u64,
    pub n_system_unused: u64,
    pub n_renamed: u64,
    pub n_rejected: u64,
    pub unused_keys: BTreeSet<String>,
}

impl Tally {
    /// Remembers a key of a line that is no part of the request.
    pub(super) fn unused_key(&mut self, key: &str) {
        if self.unused_keys.len() < MAX_KEYS && !self.unused_keys.contains(key) {
            self.unused_keys.insert(key.to_owned());
        }
    }

    /// One sentence each, for what happened at all.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |n: u64, one: &str, many: &str| match n {
            0 => {}
            1 => notes.push(one.to_owned()),
            n => notes.push(format!("{n} {many}")),
        };
        note(self.n_blank, "1 blank line skipped", "blank lines skipped");
        note(
            self.n_stream_removed,
            "1 line asked for streaming; `stream` was taken out of it",
            "lines asked for streaming; `stream` was taken out of them",
        );
        note(
            self.n_answers_dropped,
            "1 line ended with an assistant turn, which was dropped: it is what is asked for",
            "lines ended with an assistant turn, which was dropped: it is what is asked for",
        );
        note(
            self.n_kept_system,
            "1 line has instructions of its own; --system was not used there",
            "lines have instructions of their own; --system was not used there",
        );
        note(
            self.n_system_unused,
            "1 line is an embedding; --system was not used there",
            "lines are embeddings; --system was not used there",
        );
        note(
            self.n_renamed,
            "1 line used an id of an earlier line and is named by its number (--auto-id)",
            "lines used an id of an earlier line and are named by their numbers (--auto-id)",
        );
        note(
            self.n_rejected,
            "1 line cannot be used and was left out (--skip-bad)",
            "lines cannot be used and were left out (--skip-bad)",
        );
        if !self.unused_keys.is_empty() {
            let keys: Vec<String> =
                self.unused_keys.iter().map(|key| format!("`{}`", key.escape_debug())).collect();
            notes.push(format!("keys that are no part of a request were left out: {}", keys.join(", ")));
        }
        notes
    }
}
