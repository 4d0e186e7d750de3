//! What checks taught of models, class by class, for jobs to come.
//!
//! A running job counts for itself ([`super::JobLedger::tally`]), beginning with a part of what its class
//! knew when its first attempt was started. When it has finished, its counts are the class's. So what a
//! job learns does not depend on which other jobs run beside it.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::plan::estimate::class_of;
use crate::plan::tally::Tally;
use crate::record::{Seq, Taught};

/// Classes that are remembered; the one that has not been asked for the longest gives way.
const MOST_CLASSES: usize = 256;

/// The tallies of all classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tallies {
    by_class: BTreeMap<Arc<str>, Kept>,
}

/// A tally, and when a job of its class last finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Shared with the snapshots that are taken of it.
    tally: Arc<Tally>,
    at: Seq,
}

impl Tallies {
    /// What is known of one class.
    pub fn get(&self, class: &str) -> Option<&Tally> {
        self.by_class.get(class).map(|kept| &*kept.tally)
    }

    /// Every class by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Tally)> {
        self.by_class.iter().map(|(class, kept)| (class, &*kept.tally))
    }

    /// What a job starts with; `None` where its ladder leaves no choice.
    pub(super) fn begin(&self, job: &Job) -> Option<Box<Tally>> {
        let models = job.models();
        if models.len() < 2 {
            return None;
        }
        let models = models.iter().map(|&model| (model, None));
        Some(Box::new(match self.get(&class_of(job)) {
            Some(known) => known.carry_over(models),
            None => Tally::new(models),
        }))
    }

    /// Takes in what a finished job knows.
    pub(super) fn keep(&mut self, taught: &Taught, at: Seq) {
        let tally = match self.get(&taught.class) {
            Some(before) => taught.tally.clone().succeeding(before),
            None => taught.tally.clone(),
        };
        self.by_class.insert(taught.class.clone(), Kept { tally: Arc::new(tally), at });
        if self.by_class.len() > MOST_CLASSES {
            let oldest = self.by_class.iter().min_by_key(|(_, kept)| kept.at);
            oldest.map(|(class, _)| class.clone()).map(|class| self.by_class.remove(&class));
        }
    }

    /// Forgets one class, or all.
    pub(super) fn reset(&mut self, class: Option<&str>) {
        match class {
            Some(class) => drop(self.by_class.remove(class)),
            None => self.by_class.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tally::Spent;

    fn tally() -> Tally {
        let mut tally = Tally::new([("a/m", None), ("b/m", None)]);
        tally.observe(0, Spent::NONE, true);
        tally
    }

    #[test]
    fn the_number_of_classes_is_bounded_and_the_oldest_goes() {
        let mut tallies = Tallies::default();
        for class in 0..=MOST_CLASSES as u64 {
            let taught = Taught { class: format!("{class}").into(), tally: tally() };
            tallies.keep(&taught, 1_000 - class);
        }
        assert_eq!(tallies.by_class.len(), MOST_CLASSES);
        assert!(tallies.get("256").is_none() && tallies.get("0").is_some());
    }
}
