//! What was drawn from the allowances of accounts: reserve, then settle, like money.
//!
//! An attempt that an allowance is to pay for says so in its `Started` record, with the period it draws in,
//! and its end says what it really drew. So what is left of a quota survives restarts, and an attempt counts
//! in the day in which it was started, wherever the clock stands when it ends.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::Period;
use super::period::Day;
use crate::catalog::{Allowance, Per};
use crate::clock::Timestamp;
use crate::job::AttemptId;
use crate::money::Usd;

/// Past periods kept of an account: a clock that jumps ahead and back again finds today's sums.
const KEPT: usize = 4;

/// So much of an allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Tokens in and out.
    pub tokens: u64,
    /// At the price of the hour.
    pub money: Usd,
}

impl Amount {
    /// Nothing.
    pub const NOTHING: Amount = Amount { requests: 0, tokens: 0, money: Usd::ZERO };

    fn plus(self, other: Amount) -> Amount {
        Amount {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money + other.money,
        }
    }

    /// Without so much, never below nothing.
    pub fn minus(self, other: Amount) -> Amount {
        Amount {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: self.money.saturating_sub(other.money),
        }
    }
}

/// An attempt draws from an allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawing {
    /// Whose.
    pub account: Arc<str>,
    /// In which period.
    pub period: Period,
    /// How much is kept for it until it ends.
    pub amount: Amount,
    /// Whether the allowance covers whatever it may cost.
    pub is_sure: bool,
}

/// What every account's allowance was drawn on, and what is kept for attempts in flight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    accounts: BTreeMap<Arc<str>, BTreeMap<Period, Amount>>,
    open: BTreeMap<AttemptId, Drawing>,
}

impl Drawn {
    /// What is used up of an account's allowance in one period, what is kept for attempts in flight included.
    pub fn of(&self, account: &str, period: Period) -> Amount {
        let sums = self.accounts.get(account).and_then(|periods| periods.get(&period));
        sums.copied().unwrap_or_default()
    }

    /// What an attempt that has not ended draws on.
    pub fn open(&self, attempt: AttemptId) -> Option<&Drawing> {
        self.open.get(&attempt)
    }

    pub(super) fn reserve(&mut self, attempt: AttemptId, drawing: &Drawing) {
        if self.open.contains_key(&attempt) {
            return;
        }
        let periods = self.accounts.entry(drawing.account.clone()).or_default();
        let sums = periods.entry(drawing.period).or_default();
        *sums = sums.plus(drawing.amount);
        self.open.insert(attempt, drawing.clone());
        self.prune(&drawing.account);
    }

    /// Ends it: so much was really drawn. An attempt that drew nothing, or ended before, changes nothing.
    pub(super) fn settle(&mut self, attempt: AttemptId, drawn: Amount) {
        let Some(Drawing { account, period, amount, .. }) = self.open.remove(&attempt) else { return };
        let sums = self.accounts.entry(account).or_default().entry(period).or_default();
        *sums = sums.minus(amount).plus(drawn);
    }

    /// Drops the oldest days and months, never one in which something is in flight.
    fn prune(&mut self, account: &str) {
        let Drawn { accounts, open } = self;
        let Some(periods) = accounts.get_mut(account) else { return };
        while periods.len() > KEPT {
            let is_open = |period: &Period| {
                open.values().any(|drawing| &*drawing.account == account && drawing.period == *period)
            };
            let idle = |period: &&Period| **period != Period::Total && !is_open(period);
            let Some(oldest) = periods.keys().find(idle).copied() else { return };
            periods.remove(&oldest);
        }
    }
}

impl Allowance {
    /// The period it is given in at this moment.
    pub fn period(&self, now: Timestamp) -> Period {
        let today = || Day::of(now, self.zone);
        match self.per {
            Per::Day => Period::Day(today()),
            Per::Month => Period::Month(today().month()),
            Per::Once => Period::Total,
        }
    }

    /// When it is given anew; `None` where it never is.
    pub fn renews(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.period(now).renews(super::Zone(self.zone))?;
        self.holds(at).then_some(at)
    }

    /// Whether `more` fits beside what is used up.
    pub fn has_room(&self, used: Amount, more: Amount) -> bool {
        let sum = used.plus(more);
        self.requests.is_none_or(|most| sum.requests <= most)
            && self.tokens.is_none_or(|most| sum.tokens <= most)
            && self.money.is_none_or(|most| sum.money <= most)
    }

    /// What is left of it; of what it does not limit, nothing is said.
    pub fn left(&self, used: Amount) -> Allowance {
        Allowance {
            requests: self.requests.map(|most| most.saturating_sub(used.requests)),
            tokens: self.tokens.map(|most| most.saturating_sub(used.tokens)),
            money: self.money.map(|most| most.saturating_sub(used.money)),
            ..self.clone()
        }
    }

    /// For how many attempts like this one a whole period's worth would last.
    pub fn lasts_for(&self, each: Amount) -> u64 {
        let ratio = |most: u64, each: u64| most.checked_div(each).unwrap_or(u64::MAX);
        let of_money = |most: Usd| match each.money.pico() {
            0 => u64::MAX,
            each => u64::try_from(most.pico() / each).unwrap_or(u64::MAX),
        };
        let bounds = [
            self.requests.map(|most| ratio(most, each.requests)),
            self.tokens.map(|most| ratio(most, each.tokens)),
            self.money.map(of_money),
        ];
        bounds.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily(requests: u64) -> Allowance {
        Allowance {
            requests: Some(requests),
            tokens: Some(100),
            money: None,
            per: Per::Day,
            zone: chrono_tz::Tz::America__Los_Angeles,
            expires: None,
            models: Vec::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn amount(requests: u64, tokens: u64) -> Amount {
        Amount { requests, tokens, money: Usd::ZERO }
    }

    fn drawing(period: Period, amount: Amount) -> Drawing {
        Drawing { account: "a".into(), period, amount, is_sure: true }
    }

    #[test]
    fn a_day_is_that_of_its_zone_and_none_begins_after_the_last() {
        let allowance = Allowance { expires: "2026-11-24".parse().ok(), ..daily(5) };
        let evening = at("2026-11-24T07:59:59Z");
        assert_eq!(allowance.period(evening).to_string(), "2026-11-23");
        assert_eq!(allowance.renews(evening), Some(at("2026-11-24T08:00:00Z")));
        assert_eq!(allowance.renews(at("2026-11-24T08:00:00Z")), None);
        assert_eq!(Allowance { per: Per::Once, ..daily(5) }.renews(evening), None);
    }

    #[test]
    fn what_is_kept_becomes_what_was_drawn_in_its_own_period() {
        let mut drawn = Drawn::default();
        let allowance = daily(5);
        let today = allowance.period(at("2026-11-24T12:00:00Z"));
        let tomorrow = allowance.period(at("2026-11-25T12:00:00Z"));
        drawn.reserve(AttemptId(1), &drawing(today, amount(1, 60)));
        drawn.reserve(AttemptId(1), &drawing(today, amount(1, 60)));
        assert!(allowance.has_room(drawn.of("a", today), amount(1, 40)));
        assert!(!allowance.has_room(drawn.of("a", today), amount(1, 41)));
        drawn.reserve(AttemptId(2), &drawing(tomorrow, amount(1, 10)));
        drawn.settle(AttemptId(1), amount(1, 7));
        drawn.settle(AttemptId(1), amount(1, 7));
        assert_eq!((drawn.of("a", today), drawn.of("a", tomorrow)), (amount(1, 7), amount(1, 10)));
        drawn.settle(AttemptId(2), Amount::NOTHING);
        assert_eq!(drawn.of("a", tomorrow), Amount::NOTHING);
        assert_eq!(drawn.of("b", today), Amount::NOTHING);
    }

    #[test]
    fn few_periods_are_kept_and_never_one_in_flight_is_lost() {
        let mut drawn = Drawn::default();
        let day = |n: i64| daily(5).period(Timestamp::from_micros(n * 86_400_000_000));
        for n in 1..40 {
            drawn.reserve(AttemptId(n as u64), &drawing(day(n), amount(1, 1)));
            if n > 1 {
                drawn.settle(AttemptId(n as u64), amount(1, 1));
            }
        }
        assert_eq!(drawn.of("a", day(1)), amount(1, 1));
        assert_eq!(drawn.of("a", day(39)), amount(1, 1));
        assert!(drawn.accounts["a"].len() <= KEPT);
        let stored = postcard::to_stdvec(&drawn).unwrap();
        assert_eq!(postcard::from_bytes::<Drawn>(&stored).unwrap(), drawn);
    }

    #[test]
    fn the_scarcest_of_its_measures_says_how_long_it_lasts() {
        let each = Amount { requests: 1, tokens: 30, money: Usd::from_pico(10) };
        assert_eq!(daily(5).lasts_for(each), 3);
        assert_eq!(daily(2).lasts_for(each), 2);
        let money = Allowance { money: Some(Usd::from_pico(19)), ..daily(5) };
        assert_eq!(money.lasts_for(each), 1);
    }
}
