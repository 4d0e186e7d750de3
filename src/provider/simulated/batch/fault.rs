//! What can go wrong with a batch as a whole, by name: the words of `--batch-fault KIND=RATE`.
//!
//! Each batch may meet several of these. What goes wrong with single lines are the faults of requests.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;

use super::super::chance::Chance;

/// Something that goes wrong with one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchFault {
    /// It is made, and the answer that says so is lost.
    LostCreate,
    /// It is in no list before a minute has passed.
    Unlisted,
    /// It fails as a whole before anything has run.
    Invalid,
    /// Time is up when half of it has run.
    Expires,
    /// It never ends unless it is cancelled.
    Stuck,
    /// Its counts say that all is well.
    WrongCounts,
    /// Lines are missing from its results; they did not run.
    Missing,
    /// Its results hold lines of somebody else.
    Foreign,
    /// Its results hold lines twice.
    Double,
    /// Its results break off in the middle, the first time.
    Cut,
    /// Its results are not there when they are first asked for.
    Late,
}

/// Every fault with its name and what users read about it.
const TABLE: [(BatchFault, &str, &str); 11] = [
    (BatchFault::LostCreate, "lost-create", "made, and the answer is lost"),
    (BatchFault::Unlisted, "unlisted", "in no list for a minute"),
    (BatchFault::Invalid, "invalid", "fails before anything has run"),
    (BatchFault::Expires, "expires", "time is up when half has run"),
    (BatchFault::Stuck, "stuck", "never ends unless cancelled"),
    (BatchFault::WrongCounts, "wrong-counts", "counts say that all is well"),
    (BatchFault::Missing, "missing", "lines without a result, not run"),
    (BatchFault::Foreign, "foreign", "results of somebody else among them"),
    (BatchFault::Double, "double", "lines twice, billed once"),
    (BatchFault::Cut, "cut", "the first download breaks off"),
    (BatchFault::Late, "late", "no results when first asked for"),
];

impl BatchFault {
    /// Every fault.
    pub const ALL: [BatchFault; TABLE.len()] = {
        let mut all = [BatchFault::LostCreate; TABLE.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// The word users write and read.
    pub fn as_str(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// What it does, in a few words.
    pub fn describe(self) -> &'static str {
        TABLE[self as usize].2
    }
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No fault of batches has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batches have no fault {0:?}; theirs are {list}", list = BatchFault::ALL.map(BatchFault::as_str).join(", "))]
pub struct UnknownBatchFault(String);

impl FromStr for BatchFault {
    type Err = UnknownBatchFault;
    fn from_str(name: &str) -> Result<BatchFault, UnknownBatchFault> {
        let found = BatchFault::ALL.into_iter().find(|fault| fault.as_str() == name);
        found.ok_or_else(|| UnknownBatchFault(name.to_owned()))
    }
}

/// The share of batches that meets each fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchFaultRates([f64; TABLE.len()]);

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

/// Every fault with what it does, one a line, for help texts.
pub fn batch_fault_list() -> String {
    BatchFault::ALL.map(|fault| format!("  {fault:<15} {}\n", fault.describe())).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (i, fault) in BatchFault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, i);
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
