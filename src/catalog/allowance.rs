//! What an account gives for nothing: free requests a day, tokens a month, a credit to try it with.
//!
//! Takes what the config or the bundled table says, gives the [`Allowance`] a route draws from. How much of
//! it is used up is not known here: the ledger counts that.
//!
//! Pure.

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::calendar::moment;
use super::ladder::glob_matches;
use crate::clock::Timestamp;
use crate::money::Usd;

/// What an account gives for nothing in every period; what is not stated is not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens in and out.
    pub tokens: Option<u64>,
    /// Requests worth so much at their price.
    pub money: Option<Usd>,
    /// How often it is given anew.
    pub per: Per,
    /// Whose midnights end its days and months.
    pub zone: Tz,
    /// Its last day; none where it does not end.
    pub expires: Option<NaiveDate>,
    /// Patterns of the models it is for; empty where it is for all.
    pub models: Vec<String>,
}

/// How often an allowance is given anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// At every midnight.
    Day,
    /// On the first of every month.
    Month,
    /// Never: a credit to try with.
    Once,
}

impl Per {
    /// Every one, by its word in the config.
    pub const WORDS: &'static [(&'static str, Per)] =
        &[("day", Per::Day), ("month", Per::Month), ("once", Per::Once)];
}

impl Allowance {
    /// The first moment after its last day.
    pub fn ends(&self) -> Option<Timestamp> {
        moment(self.expires?.succ_opt()?, 0, self.zone)
    }

    /// Whether it still is given.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ends().is_none_or(|end| now < end)
    }

    /// Itself, where it is for this model.
    pub(super) fn of_model(&self, model: &str) -> Option<Arc<Allowance>> {
        let is_it = |pattern: &String| glob_matches(pattern.as_bytes(), model.as_bytes());
        (self.models.is_empty() || self.models.iter().any(is_it)).then(|| Arc::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance() -> Allowance {
        Allowance {
            requests: Some(1_000),
            tokens: None,
            money: None,
            per: Per::Day,
            zone: Tz::America__Los_Angeles,
            expires: None,
            models: Vec::new(),
        }
    }

    #[test]
    fn it_is_given_to_the_end_of_its_last_day() {
        let allowance = Allowance { expires: "2026-12-31".parse().ok(), ..allowance() };
        let at = |text: &str| text.parse().unwrap();
        assert!(allowance.holds(at("2027-01-01T07:59:59Z")));
        assert!(!allowance.holds(at("2027-01-01T08:00:00Z")));
    }

    #[test]
    fn it_is_for_the_models_it_names() {
        let some = Allowance { models: vec!["*:free".to_owned()], ..allowance() };
        assert!(some.of_model("z-ai/glm:free").is_some() && allowance().of_model("any").is_some());
        assert!(some.of_model("z-ai/glm").is_none());
    }
}
