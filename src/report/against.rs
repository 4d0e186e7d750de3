//! [`Against`]: what the calls of some jobs would have cost otherwise.
//!
//! - *Run now*: every call at the realtime price of the moment its job was submitted. A realtime call at
//!   a price that never varies costs the same then, whatever the provider charged.
//! - *The strongest model alone*: the tokens of accepted answers at its realtime price of the same hour.
//!   Rejected answers are left out, so the comparison is with a model that never fails. The strongest is
//!   the dearest of the last step of the job's ladder; where the ladder is no longer known, the dearest
//!   that was asked.
//! - *No cache*: input read from a cache, as fresh input.
//!
//! The catalog knows the prices of today. Where it does not know a model, or its price is no longer
//! what a call was billed at, the call counts as it was billed: no saving is claimed that cannot be shown.
//!
//! Pure.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::clock::Timestamp;
use crate::money::{Price, Usd};
use crate::report::row::{AttemptRow, from_nano};

/// What a job's calls are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// The full name of its strongest model, where its price is known.
    pub strongest: Option<String>,
}

/// What one call would have cost otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Otherwise {
    /// At the moment its job was submitted.
    pub run_now: Usd,
    /// Had the strongest model given the answer; zero where there is no accepted one.
    pub strongest: Usd,
    /// What reading input from a cache saved.
    pub cache_saved: Usd,
}

/// Prices and jobs to hold calls against.
#[derive(Clone, Debug)]
pub struct Against<'a> {
    catalog: &'a Catalog,
    jobs: BTreeMap<String, Terms>,
}

impl<'a> Against<'a> {
    /// With the prices of a catalog, and no job yet.
    pub fn new(catalog: &'a Catalog) -> Against<'a> {
        Against { catalog, jobs: BTreeMap::new() }
    }

    /// Makes a job known; `models` are those of its last step, or all that were asked.
    pub fn add(&mut self, job: &str, submitted_at: Timestamp, models: impl IntoIterator<Item = String>) {
        let dearest = |name: &String| {
            let price = self.catalog.model(name)?.prices.as_ref()?.dearest();
            Some(u128::from(price.input) + u128::from(price.output))
        };
        let priced = models.into_iter().filter_map(|name| Some((dearest(&name)?, name)));
        let strongest = priced.max().map(|(_, name)| name);
        self.jobs.insert(job.to_owned(), Terms { submitted_at, strongest });
    }

    /// The strongest models of the jobs, each once, in order.
    pub fn strongest(&self) -> Vec<String> {
        let mut names: Vec<String> = self.jobs.values().filter_map(|terms| terms.strongest.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What a call would have cost otherwise.
    pub fn of(&self, row: &AttemptRow) -> Otherwise {
        let cost = from_nano(row.cost_nano_usd);
        let terms = self.jobs.get(&row.job_id);
        let accepted = row.status == "succeeded";
        let strongest = || terms.and_then(|terms| self.strongest_cost(terms, row));
        let strongest = match accepted {
            true => strongest().unwrap_or_else(|| from_nano(row.list_cost_nano_usd)),
            false => Usd::ZERO,
        };
        Otherwise {
            strongest,
            run_now: terms.and_then(|terms| self.run_now(terms, row)).unwrap_or(cost),
            cache_saved: self.cache_saved(row).unwrap_or(Usd::ZERO),
        }
    }

    fn run_now(&self, terms: &Terms, row: &AttemptRow) -> Option<Usd> {
        if row.lane == "realtime" && row.price_window == "flat" {
            return None;
        }
        if row.lane == "realtime" {
            self.price_as_billed(row)?;
        }
        let price = self.price(&full_name(row), terms.submitted_at)?;
        Some(nanos(price.cost(&row.usage?)))
    }

    fn strongest_cost(&self, terms: &Terms, row: &AttemptRow) -> Option<Usd> {
        let price = self.price(terms.strongest.as_ref()?, row.started_at)?;
        Some(nanos(price.cost(&row.usage?)))
    }

    fn cache_saved(&self, row: &AttemptRow) -> Option<Usd> {
        let usage = row.usage.filter(|usage| usage.cache_read > 0)?;
        let price = self.price_as_billed(row)?;
        let saved = price.input.saturating_sub(price.cache_read.unwrap_or(price.input));
        Some(nanos(Usd::from_pico(i128::from(usage.cache_read) * i128::from(saved))))
    }

    /// The realtime price of the hour a call was made in, if that is still the one it was billed at.
    fn price_as_billed(&self, row: &AttemptRow) -> Option<Price> {
        let price = self.price(&full_name(row), row.started_at)?;
        let micro = |per_million: f64| (per_million * 1e6).round() as u64;
        let billed = (micro(row.input_price_usd_per_mtok), micro(row.output_price_usd_per_mtok));
        (row.lane == "realtime" && billed == (price.input, price.output)).then_some(price)
    }

    fn price(&self, model: &str, at: Timestamp) -> Option<Price> {
        let table = self.catalog.model(model)?.prices.as_ref()?;
        Some(*table.at(at).1)
    }
}

fn full_name(row: &AttemptRow) -> String {
    format!("{}/{}", row.provider, row.request_model)
}

/// Rounded as the rows are, so that sums of both can be compared.
fn nanos(amount: Usd) -> Usd {
    from_nano(amount.nano())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Usage;

    const OFF_PEAK: &str = "2026-11-23T12:00:00Z";
    const PEAK: &str = "2026-11-23T02:00:00Z";

    fn row(cost: i64) -> AttemptRow {
        AttemptRow {
            job_id: "job_a".into(),
            provider: "deepseek".into(),
            request_model: "deepseek-flash".into(),
            lane: "realtime".into(),
            price_window: "off-peak".into(),
            status: "succeeded".into(),
            input_price_usd_per_mtok: 0.15,
            output_price_usd_per_mtok: 0.6,
            usage: Some(Usage { input: 1_000, output: 100, ..Usage::default() }),
            started_at: OFF_PEAK.parse().unwrap(),
            cost_nano_usd: cost,
            list_cost_nano_usd: cost * 2,
            ..AttemptRow::default()
        }
    }

    fn against(catalog: &Catalog) -> Against<'_> {
        let mut against = Against::new(catalog);
        let models = ["deepseek/deepseek-v4-pro", "deepseek/deepseek-flash", "nobody/knows"];
        against.add("job_a", PEAK.parse().unwrap(), models.map(str::to_owned));
        against
    }

    #[test]
    fn a_call_is_held_against_the_hour_of_submission_and_the_strongest_model() {
        let catalog = Catalog::bundled();
        let against = against(&catalog);
        assert_eq!(against.strongest(), ["deepseek/deepseek-v4-pro"]);
        let otherwise = against.of(&row(210_000));
        assert_eq!(otherwise.run_now.nano(), 420_000, "twice the price in peak hours");
        // At $0.66 and $1.98 off-peak.
        assert_eq!(otherwise.strongest.nano(), 660_000 + 198_000);
        assert_eq!(otherwise.cache_saved, Usd::ZERO);
        let usage = Usage { input: 1_000, cache_read: 400, output: 100, ..Usage::default() };
        let cached = against.of(&AttemptRow { usage: Some(usage), ..row(1) });
        assert_eq!(cached.cache_saved.nano(), 400 * 147);
    }

    #[test]
    fn nothing_is_claimed_that_cannot_be_shown() {
        let catalog = Catalog::bundled();
        let against = against(&catalog);
        for (what, row) in [
            ("another price since", AttemptRow { input_price_usd_per_mtok: 0.2, ..row(7) }),
            ("a model nobody knows", AttemptRow { request_model: "gone".into(), ..row(7) }),
            ("no usage", AttemptRow { usage: None, ..row(7) }),
            ("a flat price", AttemptRow { price_window: "flat".into(), ..row(7) }),
            ("another job", AttemptRow { job_id: "job_b".into(), ..row(7) }),
        ] {
            assert_eq!(against.of(&row).run_now.nano(), 7, "{what}");
        }
        assert_eq!(against.of(&AttemptRow { job_id: "job_b".into(), ..row(7) }).strongest.nano(), 14);
        assert_eq!(against.of(&AttemptRow { status: "rejected".into(), ..row(7) }).strongest, Usd::ZERO);
    }
}
