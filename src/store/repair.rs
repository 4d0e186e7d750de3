//! `overnight store repair`: going on without what a damaged journal can no longer say; and
//! `overnight store rebuild`: an index made anew from the files.
//!
//! The journal is cut at its first damaged record. What it said from there on is lost: those items
//! are as they were before, and are asked for again, which costs their answers a second time but
//! loses none silently. Damaged files are kept beside the journal, with `.damaged` behind their
//! names. Attempts get names far beyond any that may have been lost with the records.
//!
//! Shell.

use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::files::{FileStore, ReadFinalStates, Sizes};
use super::journal;
use super::session::Session;
use super::{Store, StoreError};
use crate::record::{Checkpoint, Seq};

/// More attempts than this are never lost in one journal.
const SKIPPED_NAMES: u64 = 1 << 32;

/// What a repair did.
#[derive(Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The last record that is kept.
    pub kept_to: Seq,
    /// Where the damaged files are now.
    pub set_aside: Vec<PathBuf>,
}

/// Throws the index away and makes it anew from prompts, journal and parts; how many jobs it holds.
pub fn rebuild(
    state: &Path,
    results: &Path,
    final_states: Box<ReadFinalStates>,
) -> Result<usize, StoreError> {
    let (disk, sizes) = (Disk::default(), Sizes::default());
    let session = Session::begin(disk.clone(), state)?;
    let index = state.join("index");
    disk.remove_dir(&index).map_err(StoreError::io("remove", &index))?;
    drop(session);
    let mut store = FileStore::open_on(disk, sizes, state, results, final_states)?;
    let mut ledger = store.recover()?;
    let mut checkpoint = Checkpoint { snapshot: ledger.snapshot(), ..Checkpoint::default() };
    checkpoint.finished = ledger.take_finished();
    for (id, _) in &checkpoint.snapshot.jobs {
        let job = ledger.get_mut(id).expect("listed by the ledger itself");
        let chunks = job.items.take_dirty().into_iter();
        checkpoint.chunks.extend(chunks.map(|(number, states)| (id.clone(), number, states)));
    }
    store.checkpoint(&checkpoint)?;
    store.close()?;
    Ok(checkpoint.snapshot.jobs.len())
}

/// Cuts a damaged journal so that the store opens again; `None` where nothing was damaged.
pub fn repair(
    state: &Path,
    results: &Path,
    final_states: Box<ReadFinalStates>,
) -> Result<Option<Repaired>, StoreError> {
    repair_on(Disk::default(), Sizes::default(), state, results, final_states)
}

pub(super) fn repair_on(
    disk: Disk,
    sizes: Sizes,
    state: &Path,
    results: &Path,
    final_states: Box<ReadFinalStates>,
) -> Result<Option<Repaired>, StoreError> {
    let session = Session::begin(disk.clone(), state)?;
    let cut = journal::cut_damage(&disk, &state.join("journal"))?;
    if cut.is_some() {
        // It may be ahead of what is left.
        let index = state.join("index");
        disk.remove_dir(&index).map_err(StoreError::io("remove", &index))?;
    }
    drop(session);
    let Some((kept_to, set_aside)) = cut else { return Ok(None) };
    let mut store = FileStore::open_on(disk, sizes, state, results, final_states)?;
    store.skip_names(SKIPPED_NAMES)?;
    store.close()?;
    Ok(Some(Repaired { kept_to, set_aside }))
}
