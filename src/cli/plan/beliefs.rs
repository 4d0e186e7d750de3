//! What is known of models before a job runs, the best first: what a sample of the file showed, what
//! earlier jobs of the same class taught, what is assumed.

use std::sync::Arc;

use super::counts::Sums;
use crate::catalog::{Catalog, Route};
use crate::clock::Timestamp;
use crate::job::{Class, JobOptions, Ladder};
use crate::plan::estimate::Estimates;
use crate::plan::forecast::{Belief, Estimate, Lot, Measured, Rung};
use crate::plan::route::BATCH;
use crate::plan::sample::Corrections;
use crate::plan::tokens::Basis;

/// How much lengths of answers differ where only their mean was kept, as a share of it.
const LEARNED_SPREAD: f64 = 0.5;
/// Seconds by which nine batches in ten are done.
const BATCH_SECONDS: f64 = 3_600.0;

/// All that is known.
pub(super) struct Known<'a> {
    /// Tokens by the tokenizers.
    pub(super) counted: Corrections,
    /// What earlier jobs taught, and the class of this one.
    pub(super) estimates: &'a Estimates,
    pub(super) class: String,
    /// What a sample of the file showed.
    pub(super) measured: Measured,
}

impl Known<'_> {
    /// Items of one ladder as the forecast wants them.
    pub(super) fn lot(
        &self,
        (ladder, sums): (&Ladder, &Sums),
        classes: &[Class],
        options: &JobOptions,
        (catalog, now): (&Catalog, Timestamp),
    ) -> Lot {
        let own = || classes.iter().filter(|class| class.ladder == *ladder);
        let step = |names: &Vec<String>| {
            let routes = names.iter().flat_map(|name| catalog.routes_on_lanes(name, now));
            routes.map(|route| self.rung(route, sums)).collect()
        };
        Lot {
            items: sums.items,
            copies: 0,
            deadline: own().filter_map(|class| class.deadline).min(),
            when: options.when,
            priority: own().map(|class| i16::from(class.priority)).max().unwrap_or(0),
            steps: ladder.0.iter().map(step).collect(),
        }
    }

    fn rung(&self, route: Arc<Route>, sums: &Sums) -> Rung {
        let belief = self.belief(&route, sums);
        let items = sums.items.max(1) as f64;
        let limited = sums.items.saturating_sub(sums.unlimited) as f64;
        let held = (sums.most_output as f64 + (items - limited) * belief.output.mean) / items;
        Rung { belief, held_output: held, route }
    }

    /// What is believed of a route on these items.
    pub(super) fn belief(&self, route: &Route, sums: &Sums) -> Belief {
        let items = sums.items.max(1) as f64;
        // The answers of a model are the same on all its lanes.
        let model = format!("{}/{}", route.provider, route.model);
        let correction = self.counted.of(&model);
        let (own, output) = (sums.input as f64 / items, sums.output as f64 / items);
        let mut belief = Belief::assumed(own * correction.ratio, correction.basis, output);
        if let (ratio, Basis::Measured) = self.estimates.input_ratio(&model) {
            belief.input = Estimate::tokens(own * ratio, Basis::Measured);
        }
        if let Some((mean, n)) = self.estimates.output_mean(&self.class, &model) {
            belief.output = Estimate::measured(mean, LEARNED_SPREAD * mean, n);
        }
        let belief = self.measured.belief(&model, own, &belief);
        match &*route.lane {
            BATCH => Belief { seconds: Estimate::assumed(BATCH_SECONDS), ..belief },
            _ => belief,
        }
    }
}
