//! [`Roll`]: who is in a batch, and who has answered.
//!
//! Counts that providers state are not trusted: what is missing is what no line was read for. Lines
//! are matched by id and never by place, because no provider keeps their order.
//!
//! Pure.

use super::Line;
use crate::job::AttemptId;

/// The attempts of a batch, each ticked off by its line.
#[derive(Clone, Debug)]
pub struct Roll {
    /// In order.
    all: Vec<AttemptId>,
    answered: Vec<bool>,
}

/// What a line is to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first line of one of its attempts: it counts.
    First(AttemptId),
    /// A further line of such an attempt: the first one counts, this one may have been billed too.
    Again(AttemptId),
    /// Nobody of this batch.
    Foreign(String),
}

impl Roll {
    /// A batch of these attempts, none of which has answered.
    pub fn new(attempts: impl IntoIterator<Item = AttemptId>) -> Roll {
        let mut all: Vec<AttemptId> = attempts.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Roll { answered: vec![false; all.len()], all }
    }

    /// Ticks off a line.
    pub fn tick(&mut self, line: &Line) -> Place {
        let found =
            line.attempt().and_then(|attempt| Some((attempt, self.all.binary_search(&attempt).ok()?)));
        match found {
            Some((attempt, index)) if !self.answered[index] => {
                self.answered[index] = true;
                Place::First(attempt)
            }
            Some((attempt, _)) => Place::Again(attempt),
            None => Place::Foreign(line.id.to_string()),
        }
    }

    /// The attempts without a line, in order.
    pub fn missing(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.all.iter().zip(&self.answered).filter(|(_, answered)| !**answered).map(|(attempt, _)| *attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fate, LineId, NotRun};
    use super::*;

    fn line(id: LineId) -> Line {
        Line { id, fate: Fate::NotRun(NotRun::Expired) }
    }

    #[test]
    fn double_foreign_and_missing_lines_are_told_apart() {
        let mut roll = Roll::new([3, 1, 2].map(AttemptId));
        let ours = |n| line(LineId::Ours(AttemptId(n)));
        assert_eq!(roll.tick(&ours(2)), Place::First(AttemptId(2)));
        assert_eq!(roll.tick(&ours(2)), Place::Again(AttemptId(2)));
        assert_eq!(roll.tick(&ours(9)), Place::Foreign("att_000000000009".into()));
        assert_eq!(roll.tick(&line(LineId::Foreign("x-1".into()))), Place::Foreign("x-1".into()));
        assert_eq!(roll.missing().collect::<Vec<_>>(), [AttemptId(1), AttemptId(3)]);
    }
}
