//! The simulated provider's books at a glance: what was billed, and how close to the limits clients
//! came.
//!
//! Pure.

use serde::Serialize;

use super::Simulated;
use super::ledger::{Line, Peaks, Totals};

/// Totals and peaks, over all and by model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What all requests add up to.
    pub totals: Totals,
    /// The most in any 60 seconds; zero where no log is kept.
    pub peaks: Peaks,
    /// The same from the first request over a limit on: what clients do who have been told.
    pub peaks_once_told: Option<Peaks>,
    /// The most requests that one key had open at the same time.
    pub most_in_flight: u32,
    /// The same by model, in the order in which they were configured.
    pub models: Vec<ModelSummary>,
}

/// Totals and peaks of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Its name.
    pub model: String,
    /// What its requests add up to.
    pub totals: Totals,
    /// The most in any 60 seconds.
    pub peaks: Peaks,
    /// The same from the first request over a limit on.
    pub peaks_once_told: Option<Peaks>,
}

impl Simulated {
    /// Totals and peaks so far; takes as long as the log is.
    pub fn summary(&self) -> Summary {
        let models = self.config().models.iter().enumerate().map(|(index, model)| {
            let totals = self.ledger.model(index).clone();
            let own = |line: &&Line| line.model.is_some_and(|model| usize::from(model) == index);
            ModelSummary {
                model: model.name.clone(),
                peaks: Peaks::of(self.log().iter().filter(own)),
                peaks_once_told: once_told(&totals, self.log().iter().filter(own)),
                totals,
            }
        });
        Summary {
            totals: self.totals().clone(),
            peaks: Peaks::of(self.log().iter()),
            peaks_once_told: once_told(self.totals(), self.log().iter()),
            most_in_flight: self.most_in_flight(),
            models: models.collect(),
        }
    }
}

fn once_told<'a>(totals: &Totals, lines: impl Iterator<Item = &'a Line>) -> Option<Peaks> {
    let told_at = totals.first_over_limit_at?;
    Some(Peaks::of(lines.filter(|line| line.received_at > told_at)))
}
