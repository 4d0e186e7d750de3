//! What the night saved, and by which lever.
//!
//! Two sums lead from what the strongest model alone would have cost to what was paid: asking a cheap
//! model first, then not paying the dearest hour or lane for it, or nothing at all. Each call's part of the
//! second belongs to one lever, and so does each answer that was not bought because another item had it; so
//! the levers add up to the difference exactly. What a cache saved is on top: it is in none of the sums,
//! because a cache works for any model.
//!
//! Pure.

use serde::Serialize;

use crate::attempt::CostBasis;
use crate::money::Usd;
use crate::report::against::Otherwise;
use crate::report::row::{AttemptRow, ResultRow, from_nano};

/// The basis of a call that cost nothing.
const FREE: &str = CostBasis::Free.as_str();

/// Savings of some jobs, in exact nano-dollars; a negative one is a loss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// What was paid.
    pub paid_nano_usd: i64,
    /// The same calls in the dearest hours of the realtime lane, and those that repeated requests spared.
    pub list_nano_usd: i64,
    /// The same calls at the moment their jobs were submitted, and those that repeated requests spared.
    pub run_now_nano_usd: i64,
    /// The accepted answers, had the strongest model given them.
    pub strongest_nano_usd: i64,
    /// The strongest models that is worked out with.
    pub strongest_models: Vec<String>,
    /// From the strongest model alone to what was paid, lever by lever.
    pub levers: Levers,
}

/// What each lever saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Levers {
    /// A cheap model first, a strong one only where its answer failed.
    pub cheap_first_nano_usd: i64,
    /// Repeated requests, answered once.
    pub duplicates_nano_usd: i64,
    /// Off-peak hours.
    pub windows_nano_usd: i64,
    /// The batch and flex lanes.
    pub lanes_nano_usd: i64,
    /// What accounts give for nothing.
    pub free_nano_usd: i64,
    /// Providers that bill less than they list.
    pub other_nano_usd: i64,
    /// Input read from a cache; on top of the others.
    pub cache_nano_usd: i64,
}

impl Savings {
    /// Adds a call.
    pub fn add(&mut self, row: &AttemptRow, otherwise: &Otherwise) {
        self.paid_nano_usd += row.cost_nano_usd;
        self.list_nano_usd += row.list_cost_nano_usd;
        self.run_now_nano_usd += otherwise.run_now.nano();
        self.strongest_nano_usd += otherwise.strongest.nano();
        self.levers.cache_nano_usd += otherwise.cache_saved.nano();
        let below_list = row.list_cost_nano_usd - row.cost_nano_usd;
        match (row.lane.as_str(), row.price_window.as_str()) {
            _ if row.cost_basis == FREE => self.levers.free_nano_usd += below_list,
            ("realtime", "flat") => self.levers.other_nano_usd += below_list,
            ("realtime", _) => self.levers.windows_nano_usd += below_list,
            _ => self.levers.lanes_nano_usd += below_list,
        }
    }

    /// Adds an item that ended: where it got the answer of another, that was not bought. One that was also
    /// sent itself claims nothing, for its own calls are in the same sum.
    pub fn add_item(&mut self, row: &ResultRow) {
        if row.attempts > 0 || !row.is_copy() {
            return;
        }
        let spared = row.list_cost_nano_usd;
        for sum in [
            &mut self.levers.duplicates_nano_usd,
            &mut self.list_nano_usd,
            &mut self.run_now_nano_usd,
            &mut self.strongest_nano_usd,
        ] {
            *sum += spared;
        }
    }

    /// With the names of the strongest models.
    pub fn close(mut self, strongest_models: Vec<String>) -> Savings {
        self.levers.cheap_first_nano_usd = self.strongest_nano_usd - self.list_nano_usd;
        Savings { strongest_models, ..self }
    }

    /// What was saved against the strongest model alone.
    pub fn total(&self) -> Usd {
        from_nano(self.strongest_nano_usd - self.paid_nano_usd)
    }

    /// `strongest` in words: its name where there is one.
    pub fn strongest_words(&self) -> String {
        match self.strongest_models.as_slice() {
            [one] => format!("{one} alone"),
            _ => "the strongest models alone".to_owned(),
        }
    }
}

impl Levers {
    /// Those that lead from the strongest model alone to what was paid, with their names.
    pub fn steps(&self) -> [(&'static str, i64); 6] {
        [
            ("cheap model first", self.cheap_first_nano_usd),
            ("repeated requests answered once", self.duplicates_nano_usd),
            ("off-peak hours", self.windows_nano_usd),
            ("batch and flex lanes", self.lanes_nano_usd),
            ("free quotas", self.free_nano_usd),
            ("below list", self.other_nano_usd),
        ]
    }
}
