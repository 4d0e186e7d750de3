//! What `plan` says of one file, as it is printed with `--json`.

use serde::Serialize;

use super::rehearsed::RehearsalShown;
use crate::cli::format::count;
use crate::clock::Timestamp;
use crate::plan::forecast::Lever;
use crate::plan::tokens::Basis;

/// What one file would come to.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub(super) file: String,
    pub(super) items: u64,
    /// Items that get the answer of another one.
    pub(super) copies: u64,
    /// As the first route of each ladder counts them.
    pub(super) input_tokens: u64,
    /// `measured`, `counted` or `assumed`.
    pub(super) input_tokens_basis: Basis,
    /// Items that were counted or estimated one by one with the rules of that model.
    pub(super) input_tokens_sampled: u64,
    /// Of the first step.
    pub(super) output_tokens: u64,
    /// `measured` or `assumed`.
    pub(super) output_tokens_basis: Basis,
    pub(super) output_tokens_assumed: u64,
    pub(super) deadline_at: Option<Timestamp>,
    pub(super) max_cost_usd: Option<f64>,
    pub(super) ladders: Vec<LadderPlan>,
    /// Attempts where and when they are planned, at the prices of those hours.
    pub(super) expected_usd: f64,
    /// Nine times out of ten it is between these.
    pub(super) expected_low_usd: f64,
    pub(super) expected_high_usd: f64,
    pub(super) expected_successes: f64,
    /// When the last answer is expected.
    pub(super) finish_at: Option<Timestamp>,
    /// The chance to keep the deadline.
    pub(super) deadline_chance: Option<f64>,
    /// Set where it cannot be kept.
    pub(super) impossible: Option<ImpossiblePlan>,
    /// All of it sent at once.
    pub(super) run_now_usd: f64,
    pub(super) run_now_finish_at: Option<Timestamp>,
    pub(super) waiting_saves_usd: f64,
    /// The same work on the dearest route of the last step, at the price of this moment.
    pub(super) strongest_alone_usd: f64,
    /// The same work by the ladder at the price of this moment, every repeated request sent.
    pub(super) list_price_now_usd: f64,
    /// One after the other, each on what the ones before it left.
    pub(super) savings: Vec<Lever>,
    /// Step 1 at its cheapest hours, and the share expected on the steps above.
    pub(super) expected_in_cheapest_hours_usd: f64,
    /// One attempt on the dearest route of every step, each with as many tokens as the request allows.
    pub(super) worst_case_usd: Option<f64>,
    pub(super) prices_as_of: String,
    pub(super) notes: Vec<String>,
    pub(super) sample: Option<SamplePlan>,
    pub(super) rehearsal: Option<RehearsalShown>,
}

/// A deadline that cannot be kept.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ImpossiblePlan {
    pub(super) earliest_finish_at: Option<Timestamp>,
    pub(super) items_that_fit: u64,
}

/// The items that were answered to measure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SamplePlan {
    pub(super) job_id: String,
    pub(super) items: u64,
    pub(super) cost_usd: f64,
    pub(super) models: Vec<SampledModel>,
    /// Items that would have to be answered for a range of 5% either way.
    pub(super) items_for_5_percent: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SampledModel {
    pub(super) model: String,
    pub(super) attempts: u64,
    pub(super) pass_rate: f64,
    pub(super) output_tokens: f64,
    pub(super) latency_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LadderPlan {
    pub(super) ladder: String,
    pub(super) items: u64,
    pub(super) routes: Vec<RoutePlan>,
}

/// One route of a step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RoutePlan {
    pub(super) step: usize,
    pub(super) route: String,
    pub(super) lane: String,
    /// Of the hour in which it begins; of this moment where nothing goes there.
    pub(super) price_window: String,
    pub(super) price: String,
    /// Of all items, as this model counts them.
    pub(super) input_tokens: u64,
    /// `measured`, `counted` or `assumed`.
    pub(super) input_tokens_basis: Basis,
    /// If all items went there now.
    pub(super) cost_usd: Option<f64>,
    pub(super) cheapest_usd: Option<f64>,
    /// The same on the model's cheaper lanes, where it has any: what could be saved there.
    pub(super) flex_usd: Option<f64>,
    pub(super) batch_usd: Option<f64>,
    /// When another price holds.
    pub(super) price_changes_at: Option<Timestamp>,
    /// Attempts planned.
    pub(super) attempts: f64,
    /// What they are expected to cost.
    pub(super) expected_usd: Option<f64>,
    pub(super) starts_at: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) pass_rate: f64,
    /// `measured` or `assumed`.
    pub(super) pass_rate_basis: Basis,
    /// What keeps it from being used today.
    pub(super) missing: Option<String>,
}

impl Plan {
    /// Of a file that its owner calls something else.
    pub(crate) fn named(self, file: String) -> Plan {
        Plan { file, ..self }
    }

    /// `counted`, `counted on 512 of them`, `assumed`.
    pub(super) fn input_basis(&self) -> String {
        let basis = self.input_tokens_basis.as_str();
        match self.input_tokens_basis == Basis::Counted && self.input_tokens_sampled < self.items {
            true => format!("{basis} on {} of them", count(self.input_tokens_sampled)),
            false => basis.to_owned(),
        }
    }
}
