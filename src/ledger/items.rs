//! An item in two bytes, and all items of a job in a row.
//!
//! Pure.

use serde::{Deserialize, Serialize};

use crate::attempt::ItemStatus;
use crate::job::ItemIndex;
use crate::record::CHUNK;

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Accepted, nothing in flight; leaves by an attempt, a cancel or its deadline.
    Pending,
    /// An attempt was written down and has not ended.
    Running,
    /// Waits for the user, because an outcome is unknown and may have cost money.
    Held,
    /// Ended; nothing takes it out.
    Final(ItemStatus),
}

/// One item in two bytes: phase, step, attempts and unknown outcomes so far, and whether its answer was
/// cut off on this step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemState(u16);

impl ItemState {
    const STEP: u16 = 3;
    const ATTEMPTS: u16 = 7;
    const UNKNOWNS: u16 = 12;
    const QUEUED: u16 = 1 << 14;
    const CUT_OFF: u16 = 1 << 15;
    /// More attempts than this cannot be counted, so `max_attempts` is capped here.
    pub const MAX_ATTEMPTS: u8 = 31;
    /// More unknown outcomes than this cannot be counted, so `unknown_resends` is capped below.
    pub const MAX_UNKNOWNS: u8 = 3;

    /// As stored in the index, without what only the running program knows.
    pub fn stored(self) -> u16 {
        self.0 & !Self::QUEUED
    }

    /// From the index; an impossible phase reads as pending, which costs an attempt and loses nothing.
    pub fn from_stored(bits: u16) -> ItemState {
        let state = ItemState(bits & !Self::QUEUED);
        if bits & 7 == 7 { state.with_phase(Phase::Pending) } else { state }
    }

    /// Where it is.
    pub fn phase(self) -> Phase {
        match self.0 & 7 {
            1 => Phase::Running,
            2 => Phase::Held,
            3 => Phase::Final(ItemStatus::Succeeded),
            4 => Phase::Final(ItemStatus::Failed),
            5 => Phase::Final(ItemStatus::Expired),
            6 => Phase::Final(ItemStatus::Cancelled),
            _ => Phase::Pending,
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self.phase(), Phase::Final(_))
    }

    /// The step it is on, from 0.
    pub fn step(self) -> u8 {
        (self.0 >> Self::STEP) as u8 & 15
    }

    /// Attempts so far that count against `max_attempts`.
    pub fn attempts(self) -> u8 {
        (self.0 >> Self::ATTEMPTS) as u8 & 31
    }

    /// Attempts so far whose outcome is unknown.
    pub fn unknowns(self) -> u8 {
        (self.0 >> Self::UNKNOWNS) as u8 & 3
    }

    /// Whether an answer was cut off on this step and is asked for again there, with a larger limit.
    pub fn was_cut_off(self) -> bool {
        self.0 & Self::CUT_OFF != 0
    }

    /// Whether a queue of the running program holds it.
    pub fn is_queued(self) -> bool {
        self.0 & Self::QUEUED != 0
    }

    pub(super) fn with_phase(self, phase: Phase) -> ItemState {
        let bits = match phase {
            Phase::Pending => 0,
            Phase::Running => 1,
            Phase::Held => 2,
            Phase::Final(ItemStatus::Succeeded) => 3,
            Phase::Final(ItemStatus::Failed) => 4,
            Phase::Final(ItemStatus::Expired) => 5,
            Phase::Final(ItemStatus::Cancelled) => 6,
        };
        ItemState(self.0 & !7 | bits)
    }

    /// On another step nothing was cut off yet.
    pub(super) fn with_step(self, step: u8) -> ItemState {
        let kept = if step == self.step() { self.0 } else { self.0 & !Self::CUT_OFF };
        ItemState(kept & !(15 << Self::STEP) | u16::from(step.min(15)) << Self::STEP)
    }

    pub(super) fn with_cut_off(self) -> ItemState {
        ItemState(self.0 | Self::CUT_OFF)
    }

    pub(super) fn with_attempts(self, attempts: u8) -> ItemState {
        ItemState(self.0 & !(31 << Self::ATTEMPTS) | u16::from(attempts.min(31)) << Self::ATTEMPTS)
    }

    pub(super) fn with_unknowns(self, unknowns: u8) -> ItemState {
        ItemState(self.0 & !(3 << Self::UNKNOWNS) | u16::from(unknowns.min(3)) << Self::UNKNOWNS)
    }
}

/// Items of a job by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Waiting for an attempt.
    pub pending: u32,
    /// With an attempt in flight.
    pub running: u32,
    /// Waiting for the user.
    pub held: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended without an accepted answer.
    pub failed: u32,
    /// Ended by their deadline.
    pub expired: u32,
    /// Ended by the user.
    pub cancelled: u32,
}

impl Counts {
    fn of(&mut self, phase: Phase) -> &mut u32 {
        match phase {
            Phase::Pending => &mut self.pending,
            Phase::Running => &mut self.running,
            Phase::Held => &mut self.held,
            Phase::Final(ItemStatus::Succeeded) => &mut self.succeeded,
            Phase::Final(ItemStatus::Failed) => &mut self.failed,
            Phase::Final(ItemStatus::Expired) => &mut self.expired,
            Phase::Final(ItemStatus::Cancelled) => &mut self.cancelled,
        }
    }

    /// Items that have ended.
    pub fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.expired + self.cancelled
    }

    /// All items.
    pub fn total(&self) -> u32 {
        self.ended() + self.pending + self.running + self.held
    }
}

/// The states of all items of one job, their counts, and which chunks changed since last asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemStates {
    states: Vec<ItemState>,
    counts: Counts,
    dirty: Vec<bool>,
}

impl ItemStates {
    /// All pending.
    pub fn new(n_items: ItemIndex) -> ItemStates {
        ItemStates {
            states: vec![ItemState::default(); n_items as usize],
            counts: Counts { pending: n_items, ..Counts::default() },
            dirty: vec![false; (n_items as usize).div_ceil(CHUNK)],
        }
    }

    /// One item.
    pub fn get(&self, item: ItemIndex) -> ItemState {
        self.states[item as usize]
    }

    /// How many are in each phase.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Every item's state in order.
    pub fn iter(&self) -> impl Iterator<Item = ItemState> + '_ {
        self.states.iter().copied()
    }

    /// Overwrites one chunk, as read from the index.
    pub fn load_chunk(&mut self, chunk: u32, stored: &[u16]) {
        let start = chunk as usize * CHUNK;
        for (offset, &bits) in stored.iter().enumerate() {
            if start + offset < self.states.len() {
                self.set((start + offset) as ItemIndex, ItemState::from_stored(bits));
            }
        }
    }

    /// Marks an item as held in a queue of the running program, or not.
    pub fn set_queued(&mut self, item: ItemIndex, queued: bool) {
        let state = &mut self.states[item as usize].0;
        *state = if queued { *state | ItemState::QUEUED } else { *state & !ItemState::QUEUED };
    }

    /// Every change of a state comes through here, so that counts and dirty marks hold.
    pub(super) fn set(&mut self, item: ItemIndex, state: ItemState) {
        let old = self.states[item as usize];
        *self.counts.of(old.phase()) -= 1;
        *self.counts.of(state.phase()) += 1;
        self.states[item as usize] = state;
        self.dirty[item as usize / CHUNK] = true;
    }

    /// Forgets which chunks changed: all of them are stored as they are.
    pub fn mark_stored(&mut self) {
        self.dirty.fill(false);
    }

    /// The chunks changed since the last call, with their numbers.
    pub fn take_dirty(&mut self) -> Vec<(u32, Vec<u16>)> {
        let mut chunks = Vec::new();
        for number in 0..self.dirty.len() {
            if std::mem::take(&mut self.dirty[number]) {
                let end = ((number + 1) * CHUNK).min(self.states.len());
                let states = self.states[number * CHUNK..end].iter().map(|state| state.stored()).collect();
                chunks.push((number as u32, states));
            }
        }
        chunks
    }
}
