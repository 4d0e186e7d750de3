//! What checks have said of each model so far: the counts that [`super::odds`] are estimated from.
//!
//! One tally belongs to one class of items. It counts by *(models already spent, model)*: how often the
//! model was tried on items on which exactly these others had failed, and how often it passed. These
//! counts are all that a model of exchangeable items can learn from, and there are few of them however
//! many items there are, because items of a class take the same way.
//!
//! Only answers judged by the check count. Throttled, lost and timed-out calls say nothing of the model;
//! they belong to the health of its route. The lanes of one model share its counts: a batch answer is not
//! a worse answer.
//!
//! What a provider serves under a name can change overnight. Fifty outcomes that are more than four
//! standard errors from what was counted, or another `response_model`, halve what is known of the model.
//!
//! A stored format (fields are only added at the end). Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A model's place in its tally.
pub type ModelIndex = u8;

/// Outcomes after which a model is compared with its past.
const DRIFT_BLOCK: f64 = 50.0;
/// Standard errors from which a difference is taken for a change.
const DRIFT_ERRORS: f64 = 4.0;
/// Weight of an earlier job of the class, and the most attempts a count of it stands for.
const CARRY_WEIGHT: f64 = 0.25;
const CARRY_MOST: f64 = 20.0;
/// Counts kept; the rarest go first. A class that takes the same way has a few dozen.
const MOST_CELLS: usize = 512;

/// The models that have failed an item's check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spent(u64);

impl Spent {
    /// None has.
    pub const NONE: Spent = Spent(0);

    /// These and one more; a model beyond the tally's last is never spent.
    #[must_use]
    pub fn with(self, model: ModelIndex) -> Spent {
        Spent(self.0 | 1u64.checked_shl(model.into()).unwrap_or(0))
    }

    /// Whether this one has.
    pub fn has(self, model: ModelIndex) -> bool {
        self.0.checked_shr(model.into()).unwrap_or(0) & 1 == 1
    }

    /// How many have: the depth of the next attempt.
    pub fn depth(self) -> u32 {
        self.0.count_ones()
    }

    /// One by one, in order.
    pub fn iter(self) -> impl Iterator<Item = ModelIndex> {
        (0..Tally::MAX_MODELS as ModelIndex).filter(move |&model| self.has(model))
    }
}

impl FromIterator<ModelIndex> for Spent {
    fn from_iter<T: IntoIterator<Item = ModelIndex>>(models: T) -> Spent {
        models.into_iter().fold(Spent::NONE, Spent::with)
    }
}

/// Attempts judged by the check, and those that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How many were tried.
    pub tries: f64,
    /// How many of them passed.
    pub passes: f64,
}

impl Cell {
    fn add(&mut self, passed: bool) {
        self.tries += 1.0;
        self.passes += f64::from(u8::from(passed));
    }

    fn scale(&mut self, factor: f64) {
        self.tries *= factor;
        self.passes *= factor;
    }
}

/// What is known of one model apart from its counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TalliedModel {
    /// `provider/model`, or whatever names it across jobs.
    pub name: Arc<str>,
    /// Share of items it is expected to pass, where the catalog or the user says so.
    pub prior: Option<f64>,
    /// Repeats of the model on an item it had failed before.
    pub repeats: Cell,
    /// The model that last said it answered.
    response_model: Option<Arc<str>>,
    /// Outcomes since it was last compared with its past.
    recent: Recent,
    /// Items begun when it was last tried.
    tried_at: u64,
}

/// Outcomes against what their cells promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Recent {
    outcomes: f64,
    surplus: f64,
    variance: f64,
}

/// The counts of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    models: Vec<TalliedModel>,
    cells: BTreeMap<(Spent, ModelIndex), Cell>,
    items: u64,
    results: u64,
}

impl Tally {
    /// Models a tally tells apart; a ladder's further ones are never chosen.
    pub const MAX_MODELS: usize = 64;

    /// Nothing counted yet. Models are named in the order of their indices, with the share of items each is
    /// expected to pass where somebody knows it.
    pub fn new<'a>(models: impl IntoIterator<Item = (&'a str, Option<f64>)>) -> Tally {
        let model = |(name, prior): (&str, Option<f64>)| TalliedModel {
            name: name.into(),
            prior,
            repeats: Cell::default(),
            response_model: None,
            recent: Recent::default(),
            tried_at: 0,
        };
        let models = models.into_iter().take(Tally::MAX_MODELS).map(model).collect();
        Tally { models, ..Tally::default() }
    }

    /// The check judged an answer of `model` on an item that the models of `spent` had failed.
    pub fn observe(&mut self, model: ModelIndex, spent: Spent, passed: bool) {
        if usize::from(model) >= self.models.len() || spent.has(model) {
            return;
        }
        self.results += 1;
        self.items += u64::from(spent == Spent::NONE);
        self.models[usize::from(model)].tried_at = self.items;
        self.notice_drift(model, spent, passed);
        self.cells.entry((spent, model)).or_default().add(passed);
        if self.cells.len() > MOST_CELLS {
            self.drop_rarest((spent, model));
        }
    }

    /// The check judged a further answer of `model` on an item that it had failed before.
    pub fn observe_repeat(&mut self, model: ModelIndex, passed: bool) {
        if let Some(model) = self.models.get_mut(usize::from(model)) {
            self.results += 1;
            model.repeats.add(passed);
        }
    }

    /// The provider said which model answered. Returns whether that is another one than before.
    pub fn answered_by(&mut self, model: ModelIndex, response_model: &str) -> bool {
        let Some(known) = self.models.get_mut(usize::from(model)) else { return false };
        if known.response_model.as_deref() == Some(response_model) {
            return false;
        }
        let changed = known.response_model.replace(response_model.into()).is_some();
        if changed {
            self.halve(model);
        }
        changed
    }

    /// What a later job of the class starts with: a quarter of the weight, at most twenty attempts a count.
    /// Models are matched by name; counts that involve a model the new ladder lacks are left behind.
    #[must_use]
    pub fn carry_over<'a>(&self, models: impl IntoIterator<Item = (&'a str, Option<f64>)>) -> Tally {
        let mut next = Tally::new(models);
        let moved: Vec<Option<ModelIndex>> =
            self.models.iter().map(|model| next.index_of(&model.name)).collect();
        let moved = |model: ModelIndex| moved.get(usize::from(model)).copied().flatten();
        for (&(spent, model), &cell) in &self.cells {
            let spent: Option<Spent> = spent.iter().map(moved).collect();
            if let (Some(spent), Some(model)) = (spent, moved(model)) {
                next.cells.insert((spent, model), carried(cell));
            }
        }
        for (index, model) in (0..).zip(&self.models) {
            if let Some(index) = moved(index) {
                let next = &mut next.models[usize::from(index)];
                next.repeats = carried(model.repeats);
                next.response_model.clone_from(&model.response_model);
            }
        }
        next
    }

    /// The models in the order of their indices.
    pub fn models(&self) -> &[TalliedModel] {
        &self.models
    }

    /// A model by name.
    pub fn index_of(&self, name: &str) -> Option<ModelIndex> {
        let index = self.models.iter().position(|model| &*model.name == name)?;
        ModelIndex::try_from(index).ok()
    }

    /// The model of a provider; `provider/model` is its name.
    pub fn find(&self, provider: &str, model: &str) -> Option<ModelIndex> {
        let is_it = |name: &str| {
            let rest = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            rest == Some(model)
        };
        let index = self.models.iter().position(|known| is_it(&known.name))?;
        ModelIndex::try_from(index).ok()
    }

    /// What the class knows after a job that began with [`Tally::carry_over`] of it: the job's counts, and
    /// of models the job did not ask what was known before.
    #[must_use]
    pub fn succeeding(self, before: &Tally) -> Tally {
        let mut next = self;
        let asked = next.models.len();
        let moved: Vec<Option<ModelIndex>> = before
            .models
            .iter()
            .map(|model| {
                next.index_of(&model.name).or_else(|| {
                    let index = (next.models.len() < Tally::MAX_MODELS).then_some(next.models.len())?;
                    next.models.push(TalliedModel { tried_at: 0, ..model.clone() });
                    ModelIndex::try_from(index).ok()
                })
            })
            .collect();
        let moved = |model: ModelIndex| moved.get(usize::from(model)).copied().flatten();
        for (&(spent, model), &cell) in &before.cells {
            let spent: Option<Spent> = spent.iter().map(moved).collect();
            let Some((spent, model)) = spent.zip(moved(model)) else { continue };
            let of_others = spent.with(model).iter().any(|model| usize::from(model) >= asked);
            if of_others && next.cells.len() < MOST_CELLS {
                next.cells.insert((spent, model), cell);
            }
        }
        next
    }

    /// Forgets every count; the models keep their places.
    pub fn forget(&mut self) {
        let fresh = Tally::new(self.models.iter().map(|model| (&*model.name, model.prior)));
        *self = fresh;
    }

    /// Every count, by spent models, then by model.
    pub fn cells(&self) -> impl Iterator<Item = (Spent, ModelIndex, Cell)> + '_ {
        self.cells.iter().map(|(&(spent, model), &cell)| (spent, model, cell))
    }

    /// One count.
    pub fn cell(&self, model: ModelIndex, spent: Spent) -> Cell {
        self.cells.get(&(spent, model)).copied().unwrap_or_default()
    }

    /// Outcomes counted in this job.
    pub fn results(&self) -> u64 {
        self.results
    }

    /// Items begun since `model` was last tried.
    pub fn items_since(&self, model: ModelIndex) -> u64 {
        self.models.get(usize::from(model)).map_or(0, |known| self.items - known.tried_at)
    }

    /// Compares outcomes with the counts they fall on, so that a model that moves to harder items is not
    /// taken for one that has become worse.
    fn notice_drift(&mut self, model: ModelIndex, spent: Spent, passed: bool) {
        let cell = self.cell(model, spent);
        if cell.tries < DRIFT_BLOCK {
            return;
        }
        let expected = (cell.passes + 1.0) / (cell.tries + 2.0);
        let recent = &mut self.models[usize::from(model)].recent;
        recent.outcomes += 1.0;
        recent.surplus += f64::from(u8::from(passed)) - expected;
        // What is expected was itself measured on so many attempts.
        recent.variance += expected * (1.0 - expected) * (1.0 + DRIFT_BLOCK / cell.tries);
        if recent.outcomes < DRIFT_BLOCK {
            return;
        }
        let has_changed = recent.surplus.abs() > DRIFT_ERRORS * recent.variance.sqrt();
        *recent = Recent::default();
        if has_changed {
            self.halve(model);
        }
    }

    fn halve(&mut self, model: ModelIndex) {
        for (_, cell) in self.cells.iter_mut().filter(|((_, of), _)| *of == model) {
            cell.scale(0.5);
        }
        self.models[usize::from(model)].repeats.scale(0.5);
    }

    /// A count as a test wants it.
    #[cfg(test)]
    pub(super) fn set_cell(&mut self, model: ModelIndex, spent: Spent, tries: f64, passes: f64) {
        self.cells.insert((spent, model), Cell { tries, passes });
    }

    fn drop_rarest(&mut self, but: (Spent, ModelIndex)) {
        let others = self.cells.iter().filter(|(key, _)| **key != but);
        let rarest = others.min_by(|a, b| a.1.tries.total_cmp(&b.1.tries)).map(|(&key, _)| key);
        if let Some(key) = rarest {
            self.cells.remove(&key);
        }
    }
}

fn carried(mut cell: Cell) -> Cell {
    let weight = CARRY_WEIGHT.min(CARRY_MOST / cell.tries.max(1.0));
    cell.scale(weight);
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ModelIndex = 0;
    const B: ModelIndex = 1;

    fn tally() -> Tally {
        Tally::new([("a", None), ("b", Some(0.9))])
    }

    fn observe(tally: &mut Tally, model: ModelIndex, spent: Spent, tries: usize, passes: usize) {
        // Spread evenly, as a model that does not change would.
        for n in 0..tries {
            let passed = (n + 1) * passes / tries > n * passes / tries;
            tally.observe(model, spent, passed);
        }
    }

    #[test]
    fn outcomes_count_by_what_had_failed_before() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 10, 4);
        observe(&mut tally, B, Spent::NONE.with(A), 6, 3);
        assert_eq!(tally.cell(A, Spent::NONE), Cell { tries: 10.0, passes: 4.0 });
        assert_eq!(tally.cell(B, Spent::NONE.with(A)), Cell { tries: 6.0, passes: 3.0 });
        assert_eq!(tally.cell(B, Spent::NONE), Cell::default());
        assert_eq!((tally.results(), tally.items_since(B), tally.items_since(A)), (16, 0, 0));
    }

    #[test]
    fn models_nobody_named_and_contradictions_are_not_counted() {
        let mut tally = tally();
        tally.observe(9, Spent::NONE, true);
        tally.observe(A, Spent::NONE.with(A), true);
        tally.observe_repeat(9, true);
        assert_eq!(tally, self::tally());
    }

    #[test]
    fn a_later_job_starts_with_a_quarter_and_at_most_twenty_attempts() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 40, 20);
        observe(&mut tally, B, Spent::NONE.with(A), 1_000, 250);
        let next = tally.carry_over([("b", None), ("c", None), ("a", None)]);
        let (a, b) = (2, 0);
        assert_eq!(next.cell(a, Spent::NONE), Cell { tries: 10.0, passes: 5.0 });
        assert_eq!(next.cell(b, Spent::NONE.with(a)), Cell { tries: 20.0, passes: 5.0 });
        assert_eq!(next.results(), 0);
    }

    #[test]
    fn after_a_job_its_counts_hold_and_those_of_models_it_did_not_ask_stay() {
        let mut before = tally();
        observe(&mut before, A, Spent::NONE, 40, 20);
        observe(&mut before, B, Spent::NONE.with(A), 12, 3);
        let mut job = before.carry_over([("c", None), ("a", None)]);
        let a = job.index_of("a").unwrap();
        observe(&mut job, a, Spent::NONE, 10, 10);
        let after = job.succeeding(&before);
        let b = after.index_of("b").unwrap();
        assert_eq!(after.cell(a, Spent::NONE), Cell { tries: 20.0, passes: 15.0 });
        assert_eq!(after.cell(b, Spent::NONE.with(a)), Cell { tries: 12.0, passes: 3.0 });
    }

    #[test]
    fn models_are_found_by_provider_and_name() {
        let tally = Tally::new([("open/a", None), ("open/b/c", None)]);
        assert_eq!(tally.find("open", "b/c"), Some(1));
        assert_eq!(tally.find("open", "b"), None);
        assert_eq!(tally.find("ope", "n/a"), None);
    }

    #[test]
    fn a_ladder_without_a_model_leaves_its_counts_behind() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 40, 20);
        observe(&mut tally, B, Spent::NONE.with(A), 40, 10);
        assert_eq!(tally.carry_over([("b", None)]).cells().count(), 0);
    }

    #[test]
    fn a_model_that_changed_is_half_forgotten_and_one_that_did_not_is_kept() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 200, 180);
        assert_eq!(tally.cell(A, Spent::NONE).tries, 200.0);
        observe(&mut tally, A, Spent::NONE, 100, 20);
        assert!(tally.cell(A, Spent::NONE).tries < 230.0);
    }

    #[test]
    fn harder_items_are_not_a_change_of_the_model() {
        let mut tally = tally();
        observe(&mut tally, B, Spent::NONE, 200, 180);
        observe(&mut tally, B, Spent::NONE.with(A), 200, 20);
        assert_eq!(tally.cell(B, Spent::NONE).tries, 200.0);
        assert_eq!(tally.cell(B, Spent::NONE.with(A)).tries, 200.0);
    }

    #[test]
    fn another_response_model_halves_the_counts_once() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 40, 20);
        assert!(!tally.answered_by(A, "a-2026-05"));
        assert!(!tally.answered_by(A, "a-2026-05"));
        assert!(tally.answered_by(A, "a-2026-11"));
        assert_eq!(tally.cell(A, Spent::NONE), Cell { tries: 20.0, passes: 10.0 });
    }

    #[test]
    fn the_number_of_counts_is_bounded_and_the_rarest_go() {
        let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        let mut tally = Tally::new(names.iter().map(|name| (name.as_str(), None)));
        observe(&mut tally, A, Spent::NONE, 30, 3);
        for bits in 1..2_000u64 {
            let spent: Spent = (0..19).filter(|model| bits >> model & 1 == 1).collect();
            tally.observe(19, spent, false);
        }
        assert_eq!(tally.cells().count(), MOST_CELLS);
        assert_eq!(tally.cell(A, Spent::NONE).tries, 30.0);
    }

    #[test]
    fn it_is_stored_and_read_back_as_it_was() {
        let mut tally = tally();
        observe(&mut tally, A, Spent::NONE, 77, 30);
        observe(&mut tally, B, Spent::NONE.with(A), 47, 9);
        tally.answered_by(B, "b-1");
        let stored = postcard::to_stdvec(&tally).unwrap();
        assert_eq!(postcard::from_bytes::<Tally>(&stored).unwrap(), tally);
        assert!(stored.len() < 200, "{}", stored.len());
    }
}
