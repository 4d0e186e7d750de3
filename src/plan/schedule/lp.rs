//! All steps of a chain at once, as a linear program.
//!
//! Variables are attempts per offer and items that wait at the end of a slot; a step's items come from
//! those pending and from the failures of the step before, in the same slot at the earliest. What finds
//! no room waits for ever at a price above any other, so there is always a solution.
//!
//! `None` where the program is too large or the solver fails: the caller has another way to plan.
//!
//! Pure, but for a limit of time that no program of allowed size comes near.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, Variable};

use super::Planned;
use super::night::{Meters, Night, feed};
use super::offers::{Offer, offers};

/// A program that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(2);
/// What an item that finds no room costs, in units of the dearest offer.
const NO_ROOM: f64 = 50.0;
/// What an hour's wait costs, in units of the dearest offer: of equals, the earlier slot.
const HOUR_LATER: f64 = 1e-6;

/// Plans one chain into what its meters have left, with at most `budget` offers; those used are taken
/// from it.
pub(super) fn plan(
    night: &Night<'_>,
    works: &[usize],
    meters: &mut Meters,
    budget: &mut usize,
) -> Option<Vec<Planned>> {
    let all: Vec<Vec<Offer>> =
        works.iter().map(|&work| offers(night, work, night.steps[work].until)).collect();
    let n_offers: usize = all.iter().map(Vec::len).sum();
    if n_offers == 0 || n_offers > *budget {
        return None;
    }
    *budget -= n_offers;
    let planned = Program::new(night, works, all, meters).solve()?;
    for one in &planned {
        let way = &night.steps[one.offer.work].ways[one.offer.way];
        meters.take(way, one.offer.slot, one.count, one.offer.weight);
    }
    Some(planned)
}

/// The program, with what is needed to read its answer. Counts are shares of `unit`.
struct Program {
    problem: Problem,
    attempts: Vec<(Offer, Variable)>,
    unit: f64,
}

impl Program {
    fn new(night: &Night<'_>, works: &[usize], offers: Vec<Vec<Offer>>, meters: &Meters) -> Program {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let unit = works.iter().map(|&work| night.steps[work].total).fold(0.0, f64::max).max(1.0) / 100.0;
        let dearest = offers.iter().flatten().map(|offer| offer.cost).fold(0.0, f64::max).max(1e-12);
        let shared = shared_meters(night, &offers);
        let mut attempts = Vec::new();
        for offer in offers.into_iter().flatten() {
            let later = night.slots.start(offer.slot) * HOUR_LATER;
            // What a failure costs further up is in the flow, unless nothing comes after.
            let cost = if feed(night.problem, offer.work).is_some() { offer.price } else { offer.cost };
            let way = &night.steps[offer.work].ways[offer.way];
            let share = night.slots.share_before(offer.slot, night.steps[offer.work].until);
            let hours = night.slots.hours(offer.slot);
            let most = meters.room(way, offer.slot, share, hours, offer.weight) / unit;
            attempts.push((offer, problem.add_var(cost / dearest + later, (0.0, most))));
        }
        let mut program = Program { problem, attempts, unit };
        program.keep_flow(night, works, dearest);
        program.keep_capacity(night, meters, &shared);
        program
    }

    /// What waits after a slot = what waited before + what came − what was sent.
    fn keep_flow(&mut self, night: &Night<'_>, works: &[usize], dearest: f64) {
        let n_slots = night.slots.len();
        let mut rows: Vec<Vec<LinearExpr>> = vec![vec![LinearExpr::empty(); n_slots]; works.len()];
        let place = |work: usize| works.iter().position(|&other| other == work);
        for (offer, variable) in &self.attempts {
            let at = place(offer.work).expect("offers are to the chain's works");
            rows[at][offer.slot].add(*variable, 1.0);
            let Some((next, share)) = feed(night.problem, offer.work) else { continue };
            let fails = (1.0 - night.steps[offer.work].ways[offer.way].pass) * share;
            if let (Some(next), true) = (place(next), fails > 1e-4) {
                rows[next][offer.slot].add(*variable, -fails);
            }
        }
        for (row, &work) in rows.into_iter().zip(works) {
            let step = &night.steps[work];
            let at_first = step.work.pending as f64 + step.out + step.coming;
            let failure = if feed(night.problem, work).is_none() { step.failure / dearest } else { 0.0 };
            let mut waiting: Option<Variable> = None;
            for (slot, mut row) in row.into_iter().enumerate() {
                let last = slot + 1 == n_slots;
                let cost = if last { NO_ROOM + failure } else { 0.0 };
                let after = self.problem.add_var(cost, (0.0, f64::INFINITY));
                row.add(after, 1.0);
                if let Some(before) = waiting {
                    row.add(before, -1.0);
                }
                let came = if slot == 0 { at_first / self.unit } else { 0.0 };
                self.problem.add_constraint(row, ComparisonOp::Eq, came);
                waiting = Some(after);
            }
        }
    }

    /// No meter gives more hours than it has left. For one that a single offer takes from, the variable's
    /// bound says so already.
    fn keep_capacity(&mut self, night: &Night<'_>, meters: &Meters, shared: &Shared) {
        let mut rows: BTreeMap<(usize, usize), LinearExpr> = BTreeMap::new();
        for (offer, variable) in &self.attempts {
            let way = &night.steps[offer.work].ways[offer.way];
            for &(meter, per_hour) in
                way.meters.iter().filter(|meter| shared.contains(&(meter.0, offer.slot)))
            {
                let row = rows.entry((meter, offer.slot)).or_insert_with(LinearExpr::empty);
                row.add(*variable, offer.weight * self.unit / per_hour / night.slots.hours(offer.slot));
            }
        }
        for ((meter, slot), row) in rows {
            let left = meters.left(meter, slot) / night.slots.hours(slot);
            self.problem.add_constraint(row, ComparisonOp::Le, left);
        }
    }

    fn solve(mut self) -> Option<Vec<Planned>> {
        self.problem.set_time_limit(LONGEST);
        let solution = self.problem.solve().ok()?.into_solution().ok()?;
        let mut planned = Vec::new();
        for (offer, variable) in self.attempts {
            let count = solution.var_value(variable) * self.unit;
            if !count.is_finite() {
                return None;
            }
            if count > 1e-6 {
                planned.push(Planned { offer, count });
            }
        }
        Some(planned)
    }
}

/// Meters that several offers take from in a slot.
type Shared = BTreeSet<(usize, usize)>;

fn shared_meters(night: &Night<'_>, offers: &[Vec<Offer>]) -> Shared {
    let (mut seen, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for offer in offers.iter().flatten() {
        let way = &night.steps[offer.work].ways[offer.way];
        for &(meter, _) in way.meters.iter().filter(|meter| meter.1.is_finite()) {
            if !seen.insert((meter, offer.slot)) {
                shared.insert((meter, offer.slot));
            }
        }
    }
    shared
}
