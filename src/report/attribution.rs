//! Who spent it, on what, and what it saved: one pass over the rows of some jobs.
//!
//! [`Books`] take every attempt once and every item once, and close as an [`Attribution`]: the part of
//! `overnight.report/1` that comes from rows. Money in it is exact; see [`groups`](super::groups) for
//! how costs and successes are divided among groups.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::report::against::Against;
use crate::report::by::Key;
use crate::report::forecast::Basis;
use crate::report::groups::{GroupRow, Groups};
use crate::report::places::{PlaceRow, Places};
use crate::report::row::{AttemptRow, ResultRow};
use crate::report::savings::Savings;
use crate::report::sums::Sums;

/// What rows add up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attribution {
    /// Of everything.
    pub total: GroupRow,
    /// The keys asked for.
    pub by: Vec<String>,
    /// By the keys asked for; empty where none were.
    pub groups: Vec<GroupRow>,
    /// By `provider/model`.
    pub models: Vec<GroupRow>,
    /// Spend by hour and price window, oldest first.
    pub hours: Vec<HourRow>,
    /// Calls by step, route and price window, and what brought them there.
    pub places: Vec<PlaceRow>,
    /// Items that did not succeed, by reason and the model that was asked last; most first.
    pub failures: Vec<FailureRow>,
    /// Against list price, the strongest model alone, and running at once.
    pub savings: Savings,
    /// What the forecasts are made from; `None` where nothing was sent.
    pub forecast: Option<Basis>,
    /// Keys of all tags that were seen.
    pub tags: Vec<String>,
    /// Rows that should be there and are not: everything above is without them.
    pub rows_missing: u64,
}

/// What was spent in one hour at the prices of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HourRow {
    /// Its start, UTC: `2026-11-21 14:00`.
    pub hour: String,
    /// The price window.
    pub window: String,
    /// Calls that ended in it.
    pub attempts: u64,
    /// What they cost.
    pub cost_nano_usd: i64,
}

/// Items that failed alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailureRow {
    /// Why.
    pub error_code: String,
    /// Who was asked last; `None` where nobody was.
    pub model: Option<String>,
    /// How many.
    pub items: u64,
}

/// Rows being added up.
#[derive(Clone, Debug)]
pub struct Books<'a> {
    against: Against<'a>,
    by: Vec<Key>,
    total: Sums,
    groups: Groups,
    models: Groups,
    hours: Groups,
    places: Places,
    failures: BTreeMap<(String, Option<String>), u64>,
    savings: Savings,
    seen: Option<(Timestamp, Timestamp)>,
    tags: BTreeSet<String>,
    /// Job, item and step of the attempt before, to know a retry.
    before: (String, u32, i16),
}

impl<'a> Books<'a> {
    /// Nothing added yet.
    pub fn new(by: &[Key], against: Against<'a>) -> Books<'a> {
        Books {
            against,
            by: by.to_vec(),
            total: Sums::default(),
            groups: Groups::by(by),
            models: Groups::by(&[Key::Model]),
            hours: Groups::by(&[Key::Hour, Key::Window]),
            places: Places::default(),
            failures: BTreeMap::new(),
            savings: Savings::default(),
            seen: None,
            tags: BTreeSet::new(),
            before: Default::default(),
        }
    }

    /// What calls are held against, to make jobs known.
    pub fn against(&mut self) -> &mut Against<'a> {
        &mut self.against
    }

    /// Adds a call; those of one item come one after the other, oldest first.
    pub fn add_attempt(&mut self, row: &AttemptRow) {
        let tags = row.tags();
        let otherwise = self.against.of(row);
        let is_retry = row.attempt > 1
            && (self.before.0.as_str(), self.before.1, self.before.2)
                == (&*row.job_id, row.item_index, row.step);
        self.before = (row.job_id.clone(), row.item_index, row.step);
        self.total.add_attempt(row, &otherwise, is_retry);
        for groups in [&mut self.groups, &mut self.models, &mut self.hours] {
            groups.add_attempt(row, &tags, &otherwise, is_retry);
        }
        self.places.add(row);
        self.savings.add(row, &otherwise);
        let (first, last) = self.seen.unwrap_or((row.ended_at, row.ended_at));
        self.seen = Some((first.min(row.ended_at), last.max(row.ended_at)));
        self.see_tags(&tags);
    }

    /// Adds an item that ended: of an item asked again, its newest row only.
    pub fn add_item(&mut self, row: &ResultRow) {
        self.total.add_item(row);
        self.savings.add_item(row);
        for groups in [&mut self.groups, &mut self.models] {
            groups.add_item(row);
        }
        if row.status != "succeeded" {
            let code = row.error_code.clone().unwrap_or_else(|| row.status.clone());
            *self.failures.entry((code, Key::Model.of_item(row))).or_default() += 1;
        }
        self.see_tags(&row.tags);
    }

    fn see_tags(&mut self, tags: &[(String, String)]) {
        for (key, _) in tags {
            if !self.tags.contains(key) {
                self.tags.insert(key.clone());
            }
        }
    }

    /// What it all adds up to; `rows_missing` are known to be elsewhere.
    pub fn close(self, rows_missing: u64) -> Attribution {
        let basis = self.seen.map(|(first, last)| Basis::new(first, last));
        let basis = basis.as_ref();
        let mut failures: Vec<FailureRow> = self
            .failures
            .into_iter()
            .map(|((error_code, model), items)| FailureRow { error_code, model, items })
            .collect();
        failures.sort_by_key(|row| std::cmp::Reverse(row.items));
        Attribution {
            total: GroupRow::new(&[], &[], &self.total, basis),
            by: self.by.iter().map(Key::to_string).collect(),
            groups: if self.by.is_empty() { Vec::new() } else { self.groups.rows(basis) },
            models: self.models.rows(basis),
            hours: self.hours.iter().filter_map(hour_row).collect(),
            places: self.places.close(),
            failures,
            savings: self.savings.close(self.against.strongest()),
            forecast: basis.cloned(),
            tags: self.tags.into_iter().collect(),
            rows_missing,
        }
    }
}

fn hour_row((values, sums): (&[Option<String>], &Sums)) -> Option<HourRow> {
    let [Some(hour), Some(window)] = values else { return None };
    Some(HourRow {
        hour: hour.clone(),
        window: window.clone(),
        attempts: sums.attempts,
        cost_nano_usd: sums.cost.nano(),
    })
}

#[cfg(test)]
mod tests;
