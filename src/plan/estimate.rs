//! What answers teach of tokens: how many a model really counts, how long answers of a class are.
//!
//! Takes what providers report, gives better estimates than ours. Input: reported ÷ estimated of each
//! model, which says how far off its rule of thumb is. Output: the mean of each class and model, passed and
//! failed answers together, because both are paid for. Both begin at what is assumed, which weighs as much
//! as `WEIGHT` answers.
//!
//! The state is a sum over records: [`crate::ledger`] holds it, so it outlives restarts and jobs. Old
//! answers fade: from `FADES_AT` on, all sums are halved.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tokens::{Basis, Count, Family};
use crate::catalog::Route;
use crate::job::{Item, Job};
use crate::money::Usage;
use crate::record::Ended;

/// Output tokens expected where nothing is known, unless the request allows fewer.
pub const ASSUMED_OUTPUT: u64 = 300;
/// Answers that the assumption counts as.
const WEIGHT: f64 = 4.0;
/// Answers after which what was learned first begins to fade.
const FADES_AT: u64 = 4_096;
/// Classes that are remembered; a class seldom seen gives way to a new one.
const MOST_CLASSES: usize = 1_000;
/// Models that are remembered, all in all and of one class.
const MOST_MODELS: usize = 1_000;

/// All that was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// By `provider/model`.
    inputs: BTreeMap<Arc<str>, Seen>,
    /// By class, then by `provider/model`.
    outputs: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Seen>>,
    /// The same of input tokens that were read from a cache, against all of them.
    cached: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Seen>>,
}

/// Sums over answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    answers: u64,
    /// Tokens we expected; of no use for outputs.
    expected: u64,
    /// Tokens that were reported.
    reported: u64,
}

impl Seen {
    fn add(&mut self, expected: u64, reported: u64) {
        if self.answers >= FADES_AT {
            let Seen { answers, expected, reported } = *self;
            *self = Seen { answers: answers / 2, expected: expected / 2, reported: reported / 2 };
        }
        self.answers += 1;
        self.expected += expected;
        self.reported += reported;
    }

    /// The mean of `sum` over `per`, pulled to `prior` as if that had been seen [`WEIGHT`] times.
    fn shrunk(self, per: u64, prior: f64) -> f64 {
        if self.answers == 0 || per == 0 {
            return prior;
        }
        let (n, mean) = (self.answers as f64, self.reported as f64 / per as f64);
        (n * mean + WEIGHT * prior) / (n + WEIGHT)
    }
}

impl Estimates {
    /// Before the first answer.
    pub const NOTHING: Estimates =
        Estimates { inputs: BTreeMap::new(), outputs: BTreeMap::new(), cached: BTreeMap::new() };

    /// Learns from the end of an attempt, where the provider said what it used.
    pub fn learn(&mut self, ended: &Ended) {
        if let Some(usage) = &ended.usage {
            let model = format!("{}/{}", ended.route.provider, ended.route.model);
            self.observe(&ended.class, &model, ended.input_estimate.into(), usage);
        }
    }

    /// Learns from one answer: `expected_input` is our estimate at submit, 0 where there was none.
    pub fn observe(&mut self, class: &str, model: &str, expected_input: u64, usage: &Usage) {
        if expected_input > 0 && usage.input > 0 {
            let seen = entry(&mut self.inputs, model, MOST_MODELS, |seen| seen.answers);
            seen.add(expected_input, usage.input);
        }
        let total = |models: &BTreeMap<Arc<str>, Seen>| models.values().map(|seen| seen.answers).sum();
        let models = entry(&mut self.outputs, class, MOST_CLASSES, total);
        entry(models, model, MOST_MODELS, |seen| seen.answers).add(0, usage.output);
        if usage.cache_read > 0 || self.cached.get(class).is_some_and(|models| models.contains_key(model)) {
            let models = entry(&mut self.cached, class, MOST_CLASSES, total);
            let seen = entry(models, model, MOST_MODELS, |seen| seen.answers);
            seen.add(usage.input, usage.cache_read.min(usage.input));
        }
    }

    /// Input tokens a model will probably report for an item.
    pub fn input(&self, route: &Route, item: &Item) -> Count {
        let model = model_of(route);
        let (ratio, basis) = self.input_ratio(model);
        Count { tokens: (f64::from(item.input_tokens) * ratio).round() as u64, basis }
    }

    /// What our estimate at submit is multiplied by for a model.
    pub fn input_ratio(&self, model: &str) -> (f64, Basis) {
        let prior = Family::of_model(model).scale() * Family::margin(model);
        match self.inputs.get(model) {
            Some(seen) => (seen.shrunk(seen.expected, prior), Basis::Measured),
            None => (prior, Basis::Assumed),
        }
    }

    /// The share of its input tokens that an attempt of a class will probably read from a cache: none until
    /// it is measured, for a cache that is merely hoped for pays no bill.
    pub fn cached_share(&self, class: &str, route: &Route) -> f64 {
        let seen = self.cached.get(class).and_then(|models| models.get(model_of(route)));
        seen.map_or(0.0, |seen| seen.shrunk(seen.expected, 0.0))
    }

    /// The mean length of a model's answers to items of a class, and of how many.
    pub fn output_mean(&self, class: &str, model: &str) -> Option<(f64, u64)> {
        let seen = self.outputs.get(class)?.get(model).filter(|seen| seen.answers > 0)?;
        Some((seen.reported as f64 / seen.answers as f64, seen.answers))
    }

    /// Output tokens an attempt of a class will probably be billed for.
    pub fn output(&self, class: &str, route: &Route, item: &Item) -> Count {
        let most = most_output(route, item);
        let assumed = ASSUMED_OUTPUT * u64::from(item.choices.max(1));
        let prior = most.map_or(assumed, |most| most.min(assumed));
        let seen = self.outputs.get(class).and_then(|models| models.get(model_of(route)));
        let Some(seen) = seen else { return Count { tokens: prior, basis: Basis::Assumed } };
        let mean = seen.shrunk(seen.answers, prior as f64).round() as u64;
        Count { tokens: most.map_or(mean, |most| mean.min(most)), basis: Basis::Measured }
    }
}

/// What is known when an attempt of one class is priced.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What was learned.
    pub estimates: &'a Estimates,
    /// The class of the item: see [`class_of`].
    pub class: &'a str,
}

impl Known<'_> {
    /// Tokens an attempt will probably be billed for.
    pub fn usage(&self, route: &Route, item: &Item) -> Usage {
        let input = self.estimates.input(route, item).tokens.min(item.most_input_tokens());
        let output = self.estimates.output(self.class, route, item).tokens;
        let cache_read = (input as f64 * self.estimates.cached_share(self.class, route)).round() as u64;
        Usage { input, cache_read, output, ..Usage::default() }
    }
}

/// Jobs whose answers are alike: same title, same check.
pub fn class_of(job: &Job) -> String {
    let check = job.options.check.as_ref().and_then(|check| postcard::to_stdvec(check).ok());
    match check {
        Some(check) => format!("{} {:08x}", job.title(), crc32c::crc32c(&check)),
        None => job.title().to_owned(),
    }
}

/// `provider/model` of a route, whatever its lane.
fn model_of(route: &Route) -> &str {
    route.name.strip_suffix(&*route.lane).map_or(&*route.name, str::trim_end)
}

/// The most output tokens a request can be billed for.
pub fn most_output(route: &Route, item: &Item) -> Option<u64> {
    match item.max_output {
        Some(asked) => Some(u64::from(asked)),
        None => route.max_output.map(|most| most * u64::from(item.choices.max(1))),
    }
}

/// The value of a key; a new key takes the place of the one least seen where there are too many.
fn entry<'a, V: Default>(
    map: &'a mut BTreeMap<Arc<str>, V>,
    key: &str,
    most: usize,
    seen: impl Fn(&V) -> u64,
) -> &'a mut V {
    if !map.contains_key(key) {
        if map.len() >= most {
            let least = map.iter().min_by_key(|(_, value)| seen(value)).map(|(key, _)| key.clone());
            least.map(|key| map.remove(&key));
        }
        map.insert(key.into(), V::default());
    }
    map.get_mut(key).expect("inserted above")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{item, route};

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn without_an_answer_everything_is_assumed() {
        let estimates = Estimates::default();
        let (mut asked, route) = (item(0), route("a/m", 2));
        assert_eq!(estimates.input(&route, &asked), Count { tokens: 10, basis: Basis::Assumed });
        assert_eq!(estimates.output("c", &route, &asked).tokens, 100); // it allows no more
        asked.max_output = None;
        assert_eq!(estimates.output("c", &route, &asked), Count { tokens: 300, basis: Basis::Assumed });
        let claude = Route { name: "x/claude-y".into(), ..route };
        assert_eq!(estimates.input(&claude, &Item { input_tokens: 1_000, ..asked }).tokens, 1_428);
    }

    #[test]
    fn a_ratio_moves_from_the_assumption_to_what_is_reported() {
        let mut estimates = Estimates::default();
        let (asked, route) = (Item { input_tokens: 1_000, ..item(0) }, route("a/m", 2));
        for (answers, tokens) in [(4, 1_500), (12, 1_750), (400, 1_990)] {
            while estimates.inputs.get("a/m").map_or(0, |seen| seen.answers) < answers {
                estimates.observe("c", "a/m", 100, &usage(200, 50));
            }
            let learned = estimates.input(&route, &asked);
            assert_eq!((learned.tokens, learned.basis), (tokens, Basis::Measured), "{answers}");
        }
        let flex = Route { name: "a/m flex".into(), lane: "flex".into(), ..route };
        assert_eq!(estimates.input(&flex, &asked).tokens, 1_990);
    }

    #[test]
    fn outputs_are_learned_by_class_and_model_and_never_above_what_is_allowed() {
        let mut estimates = Estimates::default();
        let (mut asked, route) = (item(0), route("a/m", 2));
        asked.max_output = None;
        for _ in 0..12 {
            estimates.observe("long", "a/m", 0, &usage(0, 700));
        }
        assert_eq!(estimates.output("long", &route, &asked), Count { tokens: 600, basis: Basis::Measured });
        assert_eq!(estimates.output("other", &route, &asked).basis, Basis::Assumed);
        assert_eq!(estimates.input_ratio("a/m").1, Basis::Assumed);
        asked.max_output = Some(100);
        assert_eq!(estimates.output("long", &route, &asked).tokens, 100);
    }

    #[test]
    fn what_is_read_from_a_cache_counts_once_it_is_measured() {
        let mut estimates = Estimates::default();
        let (asked, route) = (Item { input_tokens: 1_000, ..item(0) }, route("a/m", 2));
        let asked =
            Item { body: crate::job::Body { json: vec![b' '; 2_000].into(), model_at: None }, ..asked };
        let cached =
            |estimates: &Estimates, class| Known { estimates, class }.usage(&route, &asked).cache_read;
        let read = |tokens| Usage { cache_read: tokens, ..usage(1_000, 10) };
        estimates.observe("c", "a/m", 1_000, &read(0));
        assert_eq!(cached(&estimates, "c"), 0);
        for _ in 0..12 {
            estimates.observe("c", "a/m", 1_000, &read(800));
        }
        assert_eq!((cached(&estimates, "c"), cached(&estimates, "other")), (600, 0));
        // Those that read nothing count too, from the first that did.
        for _ in 0..12 {
            estimates.observe("c", "a/m", 1_000, &read(0));
        }
        assert_eq!(cached(&estimates, "c"), 343);
    }

    #[test]
    fn what_was_learned_long_ago_fades() {
        let mut estimates = Estimates::default();
        for (n, output) in [(FADES_AT, 100), (3 * FADES_AT, 500)] {
            for _ in 0..n {
                estimates.observe("c", "a/m", 0, &usage(0, output));
            }
        }
        let asked = Item { max_output: None, ..item(0) };
        let learned = estimates.output("c", &route("a/m", 2), &asked).tokens;
        assert!((480..500).contains(&learned), "{learned}");
    }

    #[test]
    fn memory_has_a_bound_and_the_least_seen_goes_first() {
        let mut estimates = Estimates::default();
        for _ in 0..2 {
            estimates.observe("kept", "a/m", 1, &usage(1, 1));
        }
        for class in 0..2 * MOST_CLASSES {
            estimates.observe(&format!("class {class}"), "a/m", 1, &usage(1, 1));
        }
        assert_eq!(estimates.outputs.len(), MOST_CLASSES);
        assert!(estimates.outputs.contains_key("kept"));
    }

    #[test]
    fn a_restart_knows_what_was_learned() {
        let mut estimates = Estimates::default();
        estimates.observe("c", "a/m", 10, &usage(12, 3));
        let stored = postcard::to_stdvec(&estimates).unwrap();
        assert_eq!(postcard::from_bytes::<Estimates>(&stored).unwrap(), estimates);
    }
}
