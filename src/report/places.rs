//! What ran where, and why: calls by route and price window, and what brought them there.
//!
//! An item begins on the first step of its ladder, where the planner took the cheapest route of the hour; it
//! is on a later one because an answer was not accepted, and the attempt before says why.
//!
//! Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::money::Usd;
use crate::report::row::AttemptRow;
use crate::report::text::count;

/// Calls that went the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlaceRow {
    /// The step of the ladder, from 1.
    pub step: i16,
    /// `provider/model`, with its lane where that is not realtime.
    pub route: String,
    /// The price window.
    pub window: String,
    /// Calls.
    pub attempts: u64,
    /// Of these, with an accepted answer.
    pub succeeded: u64,
    /// What they cost.
    pub cost_nano_usd: i64,
    /// What brought them there, in words.
    pub because: String,
}

/// Calls being counted.
#[derive(Clone, Debug, Default)]
pub struct Places {
    places: BTreeMap<(i16, String, String), (u64, u64, Usd)>,
    /// Why items left a step, by the step.
    left: BTreeMap<i16, BTreeMap<String, u64>>,
}

impl Places {
    /// Adds a call.
    pub fn add(&mut self, row: &AttemptRow) {
        let key = (row.step, row.route(), row.price_window.clone());
        let place = self.places.entry(key).or_default();
        place.0 += 1;
        place.1 += u64::from(row.status == "succeeded");
        place.2 += row.cost();
        if let Some(reason) = &row.escalation_reason {
            *self.left.entry(row.step).or_default().entry(reason.clone()).or_default() += 1;
        }
    }

    /// By step, where most was sent first.
    pub fn close(self) -> Vec<PlaceRow> {
        let row = |((step, route, window), (attempts, succeeded, cost)): (_, (u64, u64, Usd))| PlaceRow {
            step,
            route,
            window,
            attempts,
            succeeded,
            cost_nano_usd: cost.nano(),
            because: because(&self.left, step),
        };
        let mut rows: Vec<PlaceRow> = self.places.into_iter().map(row).collect();
        rows.sort_by_key(|row| (row.step, Reverse(row.attempts)));
        rows
    }
}

fn because(left: &BTreeMap<i16, BTreeMap<String, u64>>, step: i16) -> String {
    if step <= 1 {
        return "the cheapest that could take them".to_owned();
    }
    let Some(reasons) = left.get(&(step - 1)) else { return format!("step {} did not do", step - 1) };
    let mut reasons: Vec<(&String, &u64)> = reasons.iter().collect();
    reasons.sort_by_key(|(reason, n)| (Reverse(**n), *reason));
    let reasons: Vec<String> = reasons.iter().map(|(reason, n)| format!("{reason} {}", count(**n))).collect();
    format!("moved up: {}", reasons.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(step: i16, model: &str, window: &str, status: &str, escalation: Option<&str>) -> AttemptRow {
        AttemptRow {
            step,
            provider: "p".to_owned(),
            request_model: model.to_owned(),
            lane: "realtime".to_owned(),
            price_window: window.to_owned(),
            status: status.to_owned(),
            escalation_reason: escalation.map(str::to_owned),
            cost_nano_usd: 5,
            ..AttemptRow::default()
        }
    }

    #[test]
    fn what_moved_up_says_why_and_the_busiest_place_stands_first() {
        let mut places = Places::default();
        for row in [
            call(1, "small", "peak", "succeeded", None),
            call(1, "small", "off-peak", "succeeded", None),
            call(1, "small", "off-peak", "rejected", Some("not_json")),
            call(1, "small", "off-peak", "rejected", Some("truncated")),
            call(1, "small", "peak", "rejected", Some("not_json")),
            call(2, "large", "flat", "succeeded", None),
        ] {
            places.add(&row);
        }
        let rows = places.close();
        let shown: Vec<_> =
            rows.iter().map(|row| (row.step, &*row.window, row.attempts, row.succeeded)).collect();
        assert_eq!(shown, [(1, "off-peak", 3, 1), (1, "peak", 2, 1), (2, "flat", 1, 1)]);
        assert_eq!(rows[2].because, "moved up: not_json 2 · truncated 1");
        assert_eq!((rows[0].route.as_str(), rows[0].cost_nano_usd), ("p/small", 15));
    }
}
