//! When to plan again: every slot, and when what the plan was made from has changed.
//!
//! Pure.

use std::time::Duration;

use super::{Lane, Problem};
use crate::clock::Timestamp;

/// A pace, a chance or a cost that moved by more than this share is news.
const MOVED: f64 = 0.1;
/// Plans are made at most so often.
pub const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// What an item does after refusals on a flex route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Ask again.
    Again,
    /// Wait for room: the next slot.
    Wait,
    /// Pay for realtime.
    Realtime,
}

/// Flex has room or has not: after three refusals in a row an item waits, unless the guard is on.
pub fn after_refusals(in_a_row: u32, guard: bool) -> AfterRefusal {
    match (in_a_row, guard) {
        (0..3, _) => AfterRefusal::Again,
        (_, true) => AfterRefusal::Realtime,
        (_, false) => AfterRefusal::Wait,
    }
}

/// Whether a plan made at `made_at` for `before`, good until `replan_at`, has to be made again for `now`.
/// That events such as an opened breaker or a price update happened shows in the ways and their spans.
pub fn is_due(before: &Problem, made_at: Timestamp, replan_at: Timestamp, now: &Problem) -> bool {
    if now.now < made_at + AT_MOST_EVERY && now.now >= made_at {
        return false;
    }
    now.now < made_at || now.now >= replan_at || has_news(before, now)
}

fn has_news(before: &Problem, now: &Problem) -> bool {
    if before.works.len() != now.works.len() {
        return true;
    }
    before.works.iter().zip(&now.works).any(|(old, new)| {
        let shape = |work: &super::Work| {
            (work.ways.len(), work.batches.len(), work.deadline, work.when, work.priority)
        };
        let ways = old.ways.iter().zip(&new.ways);
        shape(old) != shape(new)
            || has_grown(old, new)
            || ways.into_iter().any(|(old, new)| has_moved(old, new))
    })
}

/// Items appeared that no earlier step and no batch gave.
fn has_grown(old: &super::Work, new: &super::Work) -> bool {
    let all = |work: &super::Work| {
        work.pending + work.in_flight + work.batches.iter().map(|batch| batch.lines).sum::<u64>()
    };
    all(new) as f64 > all(old) as f64 * (1.0 + MOVED) + 16.0
}

fn has_moved(old: &super::Way, new: &super::Way) -> bool {
    let moved = |old: f64, new: f64| (new - old).abs() > MOVED * old.abs().max(1e-12);
    let price = |way: &super::Way, at: Timestamp| {
        way.spans.iter().find(|span| span.from <= at && at < span.until).map(|span| span.cost)
    };
    let first = new.spans.first().map(|span| span.from);
    let prices = first.map(|at| (price(old, at), price(new, at)));
    let paces = old.paces.iter().zip(&new.paces);
    let curve = match (&old.lane, &new.lane) {
        (Lane::Batch(old), Lane::Batch(new)) => (old.at(1.0) - new.at(1.0)).abs() > MOVED,
        _ => false,
    };
    curve
        || moved(old.pass, new.pass)
        || paces.into_iter().any(|(old, new)| moved(old.per_hour, new.per_hour))
        || match prices {
            Some((Some(old), Some(new))) => moved(old, new),
            Some((old, new)) => old.is_some() != new.is_some(),
            None => !old.spans.is_empty(),
        }
}
