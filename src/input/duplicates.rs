//! Which lines ask what an earlier line has asked already: the same request, answered once.
//!
//! Two lines are duplicates where nothing that could change the answer differs: the format and bytes
//! of the request, the class (so the models), the check. By default only requests whose answer should
//! not differ count, temperature 0 and embeddings; [`Duplicates`] says otherwise.
//!
//! Memory is bounded: of a file with more different requests than [`Seen::MOST`], the first ones are
//! remembered, and what repeats a later one is sent like any other line.
//!
//! Pure.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::job::{Duplicates, Item, ItemIndex};

/// Sixteen bytes an entry with its index: two different requests share such a name once in 10^17 files.
type Name = [u8; 12];

/// The requests of a file so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rule: Duplicates,
    first: HashMap<Name, ItemIndex>,
    copies: Vec<(ItemIndex, ItemIndex)>,
}

impl Seen {
    /// Different requests that are remembered: 16 MiB of table.
    const MOST: usize = 900_000;

    pub(super) fn new(rule: Duplicates) -> Seen {
        Seen { rule, ..Seen::default() }
    }

    /// Notes an item; `is_repeatable` says that the same request should bring the same answer.
    pub(super) fn note(&mut self, item: &Item, is_repeatable: bool) {
        let wanted = match self.rule {
            Duplicates::Auto => is_repeatable && item.choices == 1,
            Duplicates::Copy => true,
            Duplicates::Send => false,
        };
        if !wanted {
            return;
        }
        let name = name(item);
        match self.first.get(&name) {
            Some(&first) => self.copies.push((item.index, first)),
            None if self.first.len() < Seen::MOST => {
                self.first.insert(name, item.index);
            }
            None => {}
        }
    }

    /// Copies with the item they repeat, in order of the copies.
    pub(super) fn into_copies(self) -> Vec<(ItemIndex, ItemIndex)> {
        self.copies
    }
}

fn name(item: &Item) -> Name {
    let mut hash = Sha256::new();
    hash.update(item.class.to_le_bytes());
    hash.update([item.wire as u8]);
    if let Some(options) = &item.options {
        // A line with a check or limits of its own is only repeated by one with the same.
        let limits = (options.max_cost, options.max_attempts, options.give_up_above);
        hash.update(format!("{:?}{limits:?}", options.check));
    }
    hash.update([0]);
    hash.update(&item.body.json);
    hash.finalize()[..12].try_into().expect("twelve of thirty-two bytes")
}
