//! A finished job once more, under another ladder, other prices or another budget.
//!
//! Takes what every item met: which models answered it, whether the answer was taken, the tokens that were
//! billed. An item is walked up the new ladder. Where a model on its way was asked in the real night its
//! answer is known; where it was not, the model's measured share of passes after as many failures stands
//! in for it, with its mean tokens, and the item is counted as guessed. So nothing is drawn by chance.
//!
//! Pure.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::money::Usage;

/// The share that a model is guessed to pass of items on which nothing like it was seen.
const UNSEEN_PASS: f64 = 0.7;
/// Failures above which items are alike.
const MOST_FAILURES: usize = 4;

/// One attempt of the real night.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// `provider/model`.
    pub model: String,
    /// What was billed.
    pub usage: Usage,
    /// Whether its answer was taken; `None` where no answer came that a check could judge.
    pub passed: Option<bool>,
    /// When it was sent.
    pub at: Option<Timestamp>,
}

/// Tokens, and when they were billed.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What was billed.
    pub usage: &'a Usage,
    /// When; `None` where it only might have been.
    pub at: Option<Timestamp>,
}

/// How the job is played again.
pub struct Terms<'a> {
    /// The steps; of the equals of a step the cheapest is asked.
    pub ladder: &'a [Vec<String>],
    /// Dollars of a usage on a model; `None` where its price is unknown.
    pub price: &'a dyn Fn(&str, &Moment<'_>) -> Option<f64>,
    /// The most dollars all of it may cost.
    pub max_cost: Option<f64>,
    /// The most dollars that one more success may cost: steps dearer than that are left out.
    pub give_up_above: Option<f64>,
}

impl Terms<'_> {
    fn paid(&self, model: &str, tried: &Tried) -> Option<f64> {
        (self.price)(model, &Moment { usage: &tried.usage, at: tried.at })
    }

    /// What an answer of usual length costs.
    fn mean(&self, model: &str, seen: &Seen) -> Option<f64> {
        (self.price)(model, &Moment { usage: &seen.usage(model), at: None })
    }
}

/// What it would have come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Items that were walked.
    pub items: u64,
    /// Items that would have succeeded; a fraction where some are guessed.
    pub succeeded: f64,
    /// Dollars.
    pub cost: f64,
    /// Attempts, guessed ones by the chance that they are needed.
    pub attempts: f64,
    /// Items for which a model was guessed.
    pub guessed: u64,
    /// Items that the budget left unsent.
    pub unsent: u64,
    /// Models whose price is not known: their attempts count as free.
    pub unpriced: Vec<String>,
}

/// Walks every item up the new ladder, in order.
pub fn replay(items: &BTreeMap<u32, Vec<Tried>>, terms: &Terms<'_>) -> Replayed {
    let seen = Seen::of(items);
    let steps: Vec<String> = terms.ladder.iter().filter_map(|step| cheapest(step, &seen, terms)).collect();
    let mut replayed = Replayed::default();
    for model in &steps {
        if terms.mean(model, &seen).is_none() && !replayed.unpriced.contains(model) {
            replayed.unpriced.push(model.clone());
        }
    }
    for tried in items.values() {
        replayed.items += 1;
        let walk = walk(tried, &steps, &seen, terms);
        if terms.max_cost.is_some_and(|most| replayed.cost + walk.cost > most) {
            replayed.unsent += 1;
            continue;
        }
        replayed.succeeded += walk.succeeded;
        replayed.cost += walk.cost;
        replayed.attempts += walk.attempts;
        replayed.guessed += u64::from(walk.is_guessed);
    }
    replayed
}

#[derive(Default)]
struct Walk {
    succeeded: f64,
    cost: f64,
    attempts: f64,
    is_guessed: bool,
}

fn walk(tried: &[Tried], steps: &[String], seen: &Seen, terms: &Terms<'_>) -> Walk {
    let mut walk = Walk::default();
    let mut needed = 1.0;
    for (failures, model) in steps.iter().enumerate() {
        let known: Vec<&Tried> = tried.iter().filter(|one| one.model == *model).collect();
        let judged = known.iter().rev().find_map(|one| one.passed);
        let guess = seen.pass(model, failures);
        let mean = terms.mean(model, seen).unwrap_or(0.0);
        if terms.give_up_above.is_some_and(|worth| mean / guess.max(1e-3) > worth) {
            continue;
        }
        if known.is_empty() {
            walk.is_guessed = true;
            walk.cost += needed * mean;
            walk.attempts += needed;
        } else {
            let paid: f64 = known.iter().filter_map(|one| terms.paid(model, one)).sum();
            walk.cost += needed * paid;
            walk.attempts += needed * known.len() as f64;
        }
        let chance = match judged {
            Some(passed) => f64::from(u8::from(passed)),
            None if known.is_empty() => guess,
            None => 0.0,
        };
        walk.succeeded += needed * chance;
        needed *= 1.0 - chance;
        if needed < 1e-9 {
            break;
        }
    }
    walk
}

/// The model of a step that costs least for one pass.
fn cheapest(step: &[String], seen: &Seen, terms: &Terms<'_>) -> Option<String> {
    let cost = |model: &String| {
        let mean = terms.mean(model, seen).unwrap_or(f64::INFINITY);
        mean / seen.pass(model, 0)
    };
    step.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).cloned()
}

/// What the real night showed of each model.
#[derive(Default)]
struct Seen {
    /// Judged answers and passes, by failures of other models before.
    passes: BTreeMap<String, [(f64, f64); MOST_FAILURES + 1]>,
    usage: BTreeMap<String, (u64, Usage)>,
    all: (u64, Usage),
}

impl Seen {
    fn of(items: &BTreeMap<u32, Vec<Tried>>) -> Seen {
        let mut seen = Seen::default();
        for tried in items.values() {
            let mut failures = 0;
            for one in tried {
                sum(seen.usage.entry(one.model.clone()).or_default(), &one.usage);
                sum(&mut seen.all, &one.usage);
                let Some(passed) = one.passed else { continue };
                let cells = seen.passes.entry(one.model.clone()).or_default();
                cells[failures].0 += 1.0;
                cells[failures].1 += f64::from(u8::from(passed));
                failures = (failures + usize::from(!passed)).min(MOST_FAILURES);
            }
        }
        seen
    }

    /// The measured share after so many failures; what was seen at other depths, else a guess.
    fn pass(&self, model: &str, failures: usize) -> f64 {
        let Some(cells) = self.passes.get(model) else { return UNSEEN_PASS };
        let all = cells.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        let overall = (all.1 + 2.0 * UNSEEN_PASS) / (all.0 + 2.0);
        let (n, passed) = cells[failures.min(MOST_FAILURES)];
        (passed + 4.0 * overall) / (n + 4.0)
    }

    /// Mean tokens of a model's answers; of all answers where it gave none.
    fn usage(&self, model: &str) -> Usage {
        let (n, sum) = self.usage.get(model).copied().unwrap_or(self.all);
        let mean = |sum: u64| sum.checked_div(n).unwrap_or(0);
        Usage {
            input: mean(sum.input),
            cache_read: mean(sum.cache_read),
            cache_write: mean(sum.cache_write),
            output: mean(sum.output),
            reasoning: mean(sum.reasoning),
            ..Usage::default()
        }
    }
}

fn sum((n, all): &mut (u64, Usage), one: &Usage) {
    *n += 1;
    all.input += one.input;
    all.cache_read += one.cache_read;
    all.cache_write += one.cache_write;
    all.output += one.output;
    all.reasoning += one.reasoning;
}
