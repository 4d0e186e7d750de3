//! The best there could have been: the best fixed order in hindsight, and the clairvoyant.
//!
//! A fixed order sends every item to the same models one after the other until one passes, and stops at the
//! same place. The best one is found exactly: what is left to pay after a set of models has failed does
//! not depend on their order, so every set needs to be looked at once.

use super::job::Job;

/// Sets of more models than this are too many to look at.
pub(super) const MOST_MODELS: usize = 18;

/// The best fixed order, and what it comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fixed {
    pub(super) order: Vec<usize>,
    pub(super) net: f64,
}

/// The order of the pool's models, cut off where it no longer pays, that has the lowest spend plus worth
/// of what stays unsolved over the items of `positions`.
pub(super) fn best_fixed(job: &Job<'_>, positions: std::ops::Range<usize>) -> Fixed {
    let n_models = job.pool.len();
    assert!(n_models <= MOST_MODELS, "the caller looks at the number of models first");
    let n_sets = 1usize << n_models;
    // By set of models that all fail: items, and what asking a further model costs on them.
    let mut items = vec![0.0; n_sets];
    let mut costs = vec![vec![0.0; n_sets]; n_models];
    for position in positions {
        let answers: Vec<_> = (0..n_models).map(|model| job.answer(position, model)).collect();
        let failing = |model: &usize| !answers[*model].is_some_and(|answer| answer.passed);
        let set = (0..n_models).filter(failing).fold(0, |set, model| set | 1 << model);
        items[set] += 1.0;
        for (model, answer) in answers.iter().enumerate() {
            costs[model][set] += answer.map_or(0.0, |answer| answer.cost);
        }
    }
    add_supersets(&mut items, n_models);
    costs.iter_mut().for_each(|costs| add_supersets(costs, n_models));
    let mut rest: Vec<f64> = items.iter().map(|items| items * job.worth).collect();
    let mut choice = vec![None; n_sets];
    for set in (0..n_sets).rev() {
        for model in (0..n_models).filter(|model| set >> model & 1 == 0) {
            let net = costs[model][set] + rest[set | 1 << model];
            if net < rest[set] {
                rest[set] = net;
                choice[set] = Some(model);
            }
        }
    }
    let (mut order, mut set) = (Vec::new(), 0);
    while let Some(model) = choice[set] {
        order.push(model);
        set |= 1 << model;
    }
    Fixed { order, net: rest[0] }
}

/// From "exactly these fail" to "at least these fail".
fn add_supersets(values: &mut [f64], n_models: usize) {
    for bit in (0..n_models).map(|model| 1 << model) {
        for set in 0..values.len() {
            if set & bit == 0 {
                values[set] += values[set | bit];
            }
        }
    }
}

/// What somebody pays who knows every answer beforehand: the cheapest that passes, if it is worth it.
pub(super) fn clairvoyant(job: &Job<'_>) -> f64 {
    let item = |position: usize| {
        let answers = (0..job.pool.len()).filter_map(|model| job.answer(position, model));
        answers.filter(|answer| answer.passed).map(|answer| answer.cost).fold(job.worth, f64::min)
    };
    (0..job.items.len()).map(item).sum()
}
