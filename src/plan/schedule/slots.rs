//! Time cut into slots inside which nothing changes: no price, no opening hour.
//!
//! Slots end on quarters of the hour, wherever a span begins or ends, and at deadlines and their margins. Far ahead they grow with their
//! distance, by an eighth of it, so a week costs little more than a night. All times are hours from now.
//!
//! Pure.

use super::problem::{Problem, Span};
use crate::clock::Timestamp;

/// A slot, in hours.
pub(super) const SLOT: f64 = 0.25;
/// A slot is no longer than this share of its distance.
const GROWTH: f64 = 0.125;
/// How far a plan without a deadline looks at least.
pub(super) const NO_DEADLINE: f64 = 24.0;
/// Edges of spans beyond are not cut at: prices repeat by the week.
const LAST_EDGE: f64 = 8.0 * 24.0;
/// Edges closer than this are one.
const CLOSE: f64 = 1.0 / 3_600.0;

/// Consecutive slots from now on.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    now: Timestamp,
    /// Where slots begin, and where the last one ends.
    edges: Vec<f64>,
}

impl Slots {
    /// Slots up to `until` hours from now.
    pub(super) fn new(problem: &Problem, until: f64, end_margin: f64) -> Slots {
        let now = problem.now;
        let until = until.max(SLOT);
        let mut cuts = vec![0.0, until];
        let mut last = 0.0_f64;
        let mut tick = hours_to_next_quarter(now);
        while tick < until {
            if last == 0.0 || tick - last >= SLOT.max(tick * GROWTH) - CLOSE {
                cuts.push(tick);
                last = tick;
            }
            tick += SLOT;
        }
        let ways = problem.works.iter().flat_map(|work| &work.ways);
        let spans = ways.flat_map(|way| &way.spans);
        let edges = spans.flat_map(|span| [span.from, span.until]).map(|edge| hours_between(now, edge));
        cuts.extend(edges.filter(|&edge| edge > 0.0 && edge < until.min(LAST_EDGE)));
        let deadlines = problem.works.iter().filter_map(|work| work.deadline);
        let ends = deadlines.map(|at| hours_between(now, at)).flat_map(|at| [at - end_margin, at]);
        cuts.extend(ends.filter(|&end| end > 0.0 && end < until));
        cuts.sort_by(f64::total_cmp);
        cuts.dedup_by(|next, kept| *next - *kept < CLOSE);
        if cuts.len() == 1 {
            cuts.push(until);
        }
        Slots { now, edges: cuts }
    }

    pub(super) fn len(&self) -> usize {
        self.edges.len() - 1
    }

    pub(super) fn start(&self, slot: usize) -> f64 {
        self.edges[slot]
    }

    pub(super) fn end(&self, slot: usize) -> f64 {
        self.edges[slot + 1]
    }

    pub(super) fn hours(&self, slot: usize) -> f64 {
        self.end(slot) - self.start(slot)
    }

    /// The share of a slot that lies before a time.
    pub(super) fn share_before(&self, slot: usize, until: f64) -> f64 {
        ((until - self.start(slot)) / self.hours(slot)).clamp(0.0, 1.0)
    }

    /// The price in each slot; `None` where it is closed.
    pub(super) fn prices(&self, spans: &[Span]) -> Vec<Option<f64>> {
        let price = |slot| {
            let middle = self.moment((self.start(slot) + self.end(slot)) / 2.0);
            spans.iter().find(|span| span.from <= middle && middle < span.until).map(|span| span.cost)
        };
        (0..self.len()).map(price).collect()
    }

    /// As a moment.
    pub(super) fn moment(&self, hours: f64) -> Timestamp {
        moment(self.now, hours)
    }
}

/// Hours from now as a moment.
pub(super) fn moment(now: Timestamp, hours: f64) -> Timestamp {
    let micros = (hours * 3.6e9).min(Timestamp::MAX.micros() as f64) as i64;
    Timestamp::from_micros(now.micros().saturating_add(micros).min(Timestamp::MAX.micros()))
}

/// Hours from one moment to another, negative where it came before.
pub(super) fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.micros().saturating_sub(from.micros())) as f64 / 3.6e9
}

fn hours_to_next_quarter(now: Timestamp) -> f64 {
    let quarter = 900_000_000;
    (quarter - now.micros().rem_euclid(quarter)) as f64 / 3.6e9
}
