//! Plays a job: waves of sixteen attempts, every decision of a wave made on what the waves before it taught.
//!
//! Items that failed go on before new ones begin, as they do in the queue.

use std::collections::VecDeque;

use overnight::plan::tally::{ModelIndex, Spent};

use super::job::Job;

/// Attempts that are in flight together.
const WAVE: usize = 16;

/// Who decides.
pub(super) trait Policy {
    /// The next model for an item that these have failed, of those that can take it; `None` gives up.
    fn choose(&mut self, spent: Spent, available: &[usize]) -> Option<usize>;
    /// The check judged an answer.
    fn observe(&mut self, _model: usize, _spent: Spent, _passed: bool, _cost: f64) {}
    /// A wave is over; so many items have not begun.
    fn wave(&mut self, _items_left: usize) {}
    /// Prices are now those of before times these.
    fn reprice(&mut self, _factors: &[f64]) {}
}

/// What one item came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ended {
    pub(super) spend: f64,
    pub(super) solved: bool,
}

/// Plays the whole job; what each item came to, in the order they were sent.
pub(super) fn play(job: &Job<'_>, policy: &mut dyn Policy) -> Vec<Ended> {
    let mut ended = vec![Ended::default(); job.items.len()];
    let mut waiting: VecDeque<(usize, Spent)> = VecDeque::new();
    let mut begun = 0;
    let mut repriced = false;
    policy.wave(job.items.len());
    loop {
        let mut wave = Vec::with_capacity(WAVE);
        while wave.len() < WAVE {
            let fresh = (begun < job.items.len()).then_some((begun, Spent::NONE));
            let Some((position, spent)) = waiting.pop_front().or(fresh) else { break };
            begun = begun.max(position + 1);
            if let Some((from, factors)) = &job.shift
                && position >= *from
                && !repriced
            {
                policy.reprice(factors);
                repriced = true;
            }
            if let Some(model) = policy.choose(spent, &available(job, position, spent)) {
                wave.push((position, spent, model));
            }
        }
        if wave.is_empty() {
            return ended;
        }
        for (position, spent, model) in wave {
            let answer = job.answer(position, model).expect("only models that can take it are chosen");
            ended[position].spend += answer.cost;
            ended[position].solved = answer.passed;
            let now = if repriced { job.factor(job.items.len(), model) } else { 1.0 };
            // An item that began at the old price still teaches the new one.
            let learned = answer.cost / job.factor(position, model) * now;
            policy.observe(model, spent, answer.passed, learned);
            if !answer.passed {
                waiting.push_back((position, spent.with(model as ModelIndex)));
            }
        }
        policy.wave(job.items.len() - begun);
    }
}

fn available(job: &Job<'_>, position: usize, spent: Spent) -> Vec<usize> {
    let can = |model: &usize| !spent.has(*model as ModelIndex) && job.answer(position, *model).is_some();
    (0..job.pool.len()).filter(can).collect()
}

/// Spend plus the worth of what stayed unsolved.
pub(super) fn net(ended: &[Ended], worth: f64) -> f64 {
    ended.iter().map(|item| item.spend + if item.solved { 0.0 } else { worth }).sum()
}
