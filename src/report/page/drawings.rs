//! Which charts a report has, and from which of its numbers.
//!
//! Pure.

use crate::report::attribution::Attribution;
use crate::report::chart::bars::{Bar, bars};
use crate::report::chart::latency::{Spread, latency};
use crate::report::chart::{Chart, Ink, hours, levers};
use crate::report::groups::GroupRow;
use crate::report::text::count;

/// The charts of a report; one without anything to show is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawings {
    /// Spend by hour and price window.
    pub hours: Option<Chart>,
    /// From the strongest model alone to what was paid.
    pub levers: Option<Chart>,
    /// Cost per success of the groups asked for, else of the models.
    pub per_success: Option<Chart>,
    /// Latency by model.
    pub latency: Option<Chart>,
    /// Items that did not succeed, by reason.
    pub failures: Option<Chart>,
}

impl Drawings {
    /// Of a report, for a place as wide as the first width and places as wide as the second.
    pub fn new(all: &Attribution, [wide, half]: [f32; 2], ink: Ink) -> Drawings {
        let strongest = all.savings.strongest_words();
        let from = (strongest.as_str(), all.savings.strongest_nano_usd);
        let (levers, per_success) = side_by_side(
            [wide, half],
            |width| levers::levers(from, &all.savings.levers.steps(), width, ink),
            |width| per_success(all, width, ink),
        );
        let spreads = spreads(&all.models);
        let (latency, failures) = side_by_side(
            [wide, half],
            |width| latency(&spreads, width, ink),
            |width| failures(all, width, ink),
        );
        Drawings { hours: hours::spend(&all.hours, wide, ink), levers, per_success, latency, failures }
    }
}

/// Two charts of half the width; where only one has something to show, it has all of it.
fn side_by_side(
    [wide, half]: [f32; 2],
    left: impl Fn(f32) -> Option<Chart>,
    right: impl Fn(f32) -> Option<Chart>,
) -> (Option<Chart>, Option<Chart>) {
    match (left(half), right(half)) {
        (Some(_), None) => (left(wide), None),
        (None, Some(_)) => (None, right(wide)),
        both => both,
    }
}

fn per_success(all: &Attribution, width: f32, ink: Ink) -> Option<Chart> {
    let (word, rows) = match all.groups.is_empty() {
        true => ("model".to_owned(), &all.models),
        false => (all.by.join(", "), &all.groups),
    };
    let bar = |row: &GroupRow| {
        let cost = row.cost_per_success()?;
        let tip = format!("per success, {} of {} items", count(row.succeeded), count(row.items));
        Some(Bar { name: row.name(), value: cost.as_f64(), shown: cost.to_string(), tip })
    };
    let rows: Vec<Bar> = rows.iter().filter_map(bar).collect();
    bars(&format!("Cost per success by {word}"), &rows, "s1", width, ink)
}

fn spreads(models: &[GroupRow]) -> Vec<Spread> {
    let spread =
        |row: &GroupRow| Some(Spread { name: row.name(), ms: [row.p50_ms?, row.p95_ms?, row.p99_ms?] });
    models.iter().filter_map(spread).collect()
}

fn failures(all: &Attribution, width: f32, ink: Ink) -> Option<Chart> {
    let mut codes: Vec<(&str, u64)> = Vec::new();
    for row in &all.failures {
        match codes.iter_mut().find(|(code, _)| *code == row.error_code) {
            Some((_, items)) => *items += row.items,
            None => codes.push((&row.error_code, row.items)),
        }
    }
    codes.sort_by_key(|(code, items)| (std::cmp::Reverse(*items), *code));
    let bar = |(code, items): &(&str, u64)| Bar {
        name: (*code).to_owned(),
        value: *items as f64,
        shown: count(*items),
        tip: "items".to_owned(),
    };
    let rows: Vec<Bar> = codes.iter().map(bar).collect();
    bars("Items without an answer, by reason", &rows, "bad", width, ink)
}
