//! What can go wrong with a batch as a whole, by name: the words of `--batch-fault KIND=RATE`.
//!
//! Each batch may meet several of these. What goes wrong with single lines are the faults of requests.
//!
//! Pure.

use std::str::FromStr;

use super::super::chance::Chance;
use super::super::words::faults;

faults! {
    /// Something that goes wrong with one batch.
    pub enum BatchFault {
        /// It is made, and the answer that says so is lost.
        LostCreate = "lost-create", "made, and the answer is lost";
        /// It is in no list before a minute has passed.
        Unlisted = "unlisted", "in no list for a minute";
        /// It fails as a whole before anything has run.
        Invalid = "invalid", "fails before anything has run";
        /// Time is up when half of it has run.
        Expires = "expires", "time is up when half has run";
        /// It never ends unless it is cancelled.
        Stuck = "stuck", "never ends unless cancelled";
        /// Its counts say that all is well.
        WrongCounts = "wrong-counts", "counts say that all is well";
        /// Lines are missing from its results; they did not run.
        Missing = "missing", "lines without a result, not run";
        /// Its results hold lines of somebody else.
        Foreign = "foreign", "results of somebody else among them";
        /// Its results hold lines twice.
        Double = "double", "lines twice, billed once";
        /// Its results break off in the middle, the first time.
        Cut = "cut", "the first download breaks off";
        /// Its results are not there when they are first asked for.
        Late = "late", "no results when first asked for";
    }
}

/// No fault of batches has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batches have no fault {0:?}; theirs are {list}", list = BatchFault::words())]
pub struct UnknownBatchFault(String);

impl FromStr for BatchFault {
    type Err = UnknownBatchFault;
    fn from_str(name: &str) -> Result<BatchFault, UnknownBatchFault> {
        BatchFault::of_word(name).ok_or_else(|| UnknownBatchFault(name.to_owned()))
    }
}

/// The share of batches that meets each fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchFaultRates([f64; BatchFault::ALL.len()]);

impl BatchFaultRates {
    /// The rates given, each from 0 to 1; all others 0.
    pub fn new(rates: &[(BatchFault, f64)]) -> BatchFaultRates {
        let mut all = BatchFaultRates::default();
        for &(fault, rate) in rates {
            all.0[fault as usize] = rate.clamp(0.0, 1.0);
        }
        all
    }

    /// The faults that the next batch meets.
    pub(super) fn draw(&self, chance: &mut Chance) -> Vec<BatchFault> {
        BatchFault::ALL.into_iter().filter(|&fault| chance.happens(self.0[fault as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_no_other() {
        for fault in BatchFault::ALL {
            assert_eq!(fault.as_str().parse(), Ok(fault));
        }
        assert!("gone".parse::<BatchFault>().unwrap_err().to_string().contains("lost-create, unlisted"));
    }

    #[test]
    fn faults_of_a_batch_are_drawn_each_for_itself() {
        let rates = BatchFaultRates::new(&[(BatchFault::Cut, 1.0), (BatchFault::Late, 0.5)]);
        let drawn: Vec<_> = (0..1_000).map(|n| rates.draw(&mut Chance::new(&[n]))).collect();
        assert!(drawn.iter().all(|faults| faults.contains(&BatchFault::Cut)));
        let late = drawn.iter().filter(|faults| faults.contains(&BatchFault::Late)).count();
        assert!((400..600).contains(&late), "{late}");
    }
}
