//! What lies at the provider when a batch is over: prompts that were uploaded, and answers to them.
//!
//! It stays until its owner deletes it, so that whoever looks can see what was left behind.
//!
//! Pure.

use serde::Serialize;

use super::{Batch, LineEnd};
use crate::catalog::batch::BatchDialect;
use crate::clock::Timestamp;
use crate::provider::simulated::Simulated;

/// The part of results that holds answers, or all of them where they are not apart.
pub const ANSWERS: u8 = 0;
/// The part that holds errors, where they are apart.
pub const ERRORS: u8 = 1;

/// Something that can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// An uploaded file, by its number.
    Input(u64),
    /// A part of a batch's results that is a file.
    Results(u64, u8),
    /// A batch, and with it the results that are part of it.
    Batch(u64),
}

/// Something that was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// `input`, `answers`, `errors` or `results`.
    pub kind: &'static str,
    /// The number of the file or the batch.
    pub number: u64,
    /// What its owner calls it.
    pub named: String,
}

impl Simulated {
    /// Deletes something of this key; whether it was there.
    pub fn delete(&mut self, now: Timestamp, key: &str, what: Lies) -> bool {
        match what {
            Lies::Input(number) => {
                let is_there = self.file(key, number).is_some();
                if is_there {
                    self.shop.files[place(number)] = None;
                }
                is_there
            }
            Lies::Results(number, part) => {
                let is_there = self.batch(now, key, number).is_some_and(|batch| batch.has_file(part));
                if is_there {
                    self.shop.batches[place(number)].deleted.push(part);
                }
                is_there
            }
            Lies::Batch(number) => {
                let is_over = self.batch(now, key, number).is_some_and(|batch| batch.stage.is_over());
                if is_over {
                    self.shop.batches[place(number)].is_deleted = true;
                }
                is_over
            }
        }
    }

    /// What lies here of all keys.
    pub fn left(&mut self, now: Timestamp) -> Vec<Left> {
        self.advance(now);
        let inputs = (1..).zip(&self.shop.files).filter_map(|(number, file)| {
            let (_, file) = file.as_ref()?;
            Some(Left { kind: "input", number, named: file.name.clone() })
        });
        let parts = [ANSWERS, ERRORS].into_iter();
        let results =
            parts.flat_map(|part| self.shop.batches.iter().filter_map(move |batch| batch.left(part)));
        inputs.chain(results).collect()
    }
}

/// Where what is known by a number is kept. Only of what was found by its number.
fn place(number: u64) -> usize {
    usize::try_from(number - 1).expect("it is the place of something in memory")
}

impl Batch {
    /// Whether a part of its results is there to be downloaded.
    pub fn has_file(&self, part: u8) -> bool {
        self.stage.is_over() && !self.is_deleted && !self.deleted.contains(&part)
    }

    fn left(&self, part: u8) -> Option<Left> {
        let in_two = matches!(self.order.dialect, BatchDialect::OpenAi | BatchDialect::Mistral);
        let answered = self.count(|end| matches!(end, LineEnd::Answered { .. }));
        let others = self.results.len() as u64 - answered;
        let (kind, lines) = match (in_two, part) {
            (true, ANSWERS) => ("answers", answered),
            (true, _) => ("errors", others),
            (false, ANSWERS) => ("results", answered + others),
            (false, _) => return None,
        };
        let named = self.order.label.as_str().map_or_else(|| self.order.label.to_string(), str::to_owned);
        (lines > 0 && self.has_file(part)).then_some(Left { kind, number: self.number, named })
    }
}
