//! Budgets of the whole process and of tags: reserve, then settle.
//!
//! An attempt reserves its worst case in every account it touches before it is sent, and its end turns
//! the reservation into what was spent, or into a debt of the worst case where the bill is not known.
//! Both follow from the records alone: `Started` says the day and the tags, and the [`Reservation`] kept
//! from it says where to settle. So money counts in the day and month in which it was reserved, wherever
//! the clock stands when the answer comes.
//!
//! What is spent is counted whether it is limited or not; a budget that is set or changed holds at once
//! for what its period has already cost. Of tags without a budget the latest [`MOST_TAGS`] are remembered.
//!
//! ```text
//!   fits? ──► reserve (Started) ──► settle (Ended): spent, or at risk
//!     └─ no: Full says which budget, and when it renews
//! ```
//!
//! Caps of jobs and of single items are kept with the job, in [`super::JobLedger`].
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::{Alert, Caps, Limits, Period, Scope, is_reached};
use super::period::{Day, Month};
use crate::job::AttemptId;
use crate::money::Usd;

/// Tags without a budget whose spending is remembered; at most twice as many are held.
const MOST_TAGS: usize = 512;
/// Past days kept: a clock that jumps ahead and back again finds today's sums where it left them.
const KEPT_DAYS: usize = 4;
/// Past months kept, for the same reason.
const KEPT_MONTHS: usize = 3;

/// Tags of an attempt as `key=value`; one list is shared by all items that carry the same.
pub type Tags = Arc<[Arc<str>]>;

/// The money of one account in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Known bills.
    pub spent: Usd,
    /// Worst case of attempts that are over and whose bill is not known.
    pub at_risk: Usd,
    /// Worst case of attempts in flight.
    pub reserved: Usd,
    /// The highest threshold that was told, in percent.
    pub told: u8,
}

impl Sums {
    /// What no end of an attempt in flight gives back.
    pub fn settled(&self) -> Usd {
        self.spent + self.at_risk
    }

    /// What counts against a budget.
    pub fn committed(&self) -> Usd {
        self.settled() + self.reserved
    }
}

/// What one attempt holds, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its worst case.
    pub amount: Usd,
    /// The day it was made: money counts in the day and month in which it was promised.
    pub day: Day,
    /// The tags it counts for.
    pub tags: Tags,
}

/// A budget that an attempt does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Whose.
    pub scope: Scope,
    /// Of which time.
    pub period: Period,
    /// The budget.
    pub limit: Usd,
    /// Where it stands.
    pub sums: Sums,
    /// What the attempt may cost.
    pub amount: Usd,
}

impl Full {
    /// Whether it stays full when everything in flight has ended for nothing.
    pub fn for_good(&self) -> bool {
        self.sums.settled() + self.amount > self.limit
    }
}

/// Sums by period of the whole process, or of one tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    days: BTreeMap<Day, Sums>,
    months: BTreeMap<Month, Sums>,
    total: Sums,
    /// The last attempt that was reserved here.
    used: AttemptId,
}

impl Account {
    fn sums(&self, period: Period) -> Sums {
        match period {
            Period::Day(day) => self.days.get(&day).copied().unwrap_or_default(),
            Period::Month(month) => self.months.get(&month).copied().unwrap_or_default(),
            Period::Total => self.total,
        }
    }

    fn at(&mut self, period: Period) -> &mut Sums {
        match period {
            Period::Day(day) => self.days.entry(day).or_default(),
            Period::Month(month) => self.months.entry(month).or_default(),
            Period::Total => &mut self.total,
        }
    }

    fn each(&mut self, day: Day, change: impl Fn(&mut Sums)) {
        for period in [Period::Day(day), Period::Month(day.month()), Period::Total] {
            change(self.at(period));
        }
    }

    /// Takes back what was told of these budgets and is no longer so.
    fn untell(&mut self, caps: &Caps) {
        let untell = |sums: &mut Sums, limit| sums.told = still_told(sums.told, sums.settled(), limit);
        self.days.values_mut().for_each(|sums| untell(sums, caps.day));
        self.months.values_mut().for_each(|sums| untell(sums, caps.month));
        untell(&mut self.total, caps.total);
    }

    /// Drops the oldest periods in which nothing is open.
    fn prune(&mut self) {
        prune(&mut self.days, KEPT_DAYS);
        prune(&mut self.months, KEPT_MONTHS);
    }
}

fn prune<K: Copy + Ord>(periods: &mut BTreeMap<K, Sums>, keep: usize) {
    while periods.len() > keep {
        let oldest = periods.iter().find(|(_, sums)| sums.reserved == Usd::ZERO).map(|(&key, _)| key);
        let Some(oldest) = oldest else { return };
        periods.remove(&oldest);
    }
}

/// All accounts, the budgets in force, and what is reserved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budgets {
    limits: Limits,
    process: Account,
    tags: BTreeMap<Arc<str>, Account>,
    open: BTreeMap<AttemptId, Reservation>,
}

impl Budgets {
    /// The budgets in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What an attempt holds that has not ended.
    pub fn reservation(&self, attempt: AttemptId) -> Option<&Reservation> {
        self.open.get(&attempt)
    }

    /// Every reservation, by attempt.
    pub fn open(&self) -> impl Iterator<Item = (AttemptId, &Reservation)> {
        self.open.iter().map(|(&attempt, reservation)| (attempt, reservation))
    }

    /// Where an account stands.
    pub fn sums(&self, scope: &Scope, period: Period) -> Sums {
        self.account(scope).map(|account| account.sums(period)).unwrap_or_default()
    }

    /// Whether anything is limited for what carries these tags.
    pub fn is_limited(&self, tags: &[Arc<str>]) -> bool {
        let caps = tags.iter().filter_map(|tag| self.limits.tags.get(tag));
        [&self.limits.process].into_iter().chain(caps).any(|caps| !caps.is_none())
    }

    /// Whether another `amount` fits every budget it would touch today; else the fullest in time: the one
    /// that renews last. What costs nothing fits everywhere.
    pub fn fits(&self, amount: Usd, day: Day, tags: &[Arc<str>]) -> Result<(), Box<Full>> {
        if amount == Usd::ZERO {
            return Ok(());
        }
        let mut full = None;
        for (scope, period, limit, sums) in self.touched(day, tags) {
            if sums.committed() + amount > limit {
                let this = Full { scope, period, limit, sums, amount };
                full = full.filter(|other: &Full| lasts(other) >= lasts(&this)).or(Some(this));
            }
        }
        full.map_or(Ok(()), |full| Err(Box::new(full)))
    }

    /// The most that another attempt may cost; `None` where nothing limits it.
    pub fn left(&self, day: Day, tags: &[Arc<str>]) -> Option<Usd> {
        self.touched(day, tags).map(|(_, _, limit, sums)| limit.saturating_sub(sums.committed())).min()
    }

    /// Thresholds that what carries these tags has newly reached, ascending.
    pub fn reached(&self, day: Day, tags: &[Arc<str>]) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for (scope, period, limit, sums) in self.touched(day, tags) {
            let reached = self.limits.reached(sums.told, sums.settled(), limit);
            alerts.extend(reached.map(|percent| Alert {
                scope: scope.clone(),
                period,
                percent,
                settled: sums.settled(),
                limit,
            }));
        }
        alerts
    }

    /// Every budget there is today, and where it stands; the process's days and months also where they are
    /// not limited.
    pub fn all(&self, day: Day) -> Vec<(Scope, Period, Option<Usd>, Sums)> {
        let mut all = Vec::new();
        for (period, limit) in periods(&self.limits.process, day) {
            if limit.is_some() || period != Period::Total {
                all.push((Scope::Process, period, limit, self.process.sums(period)));
            }
        }
        for (tag, caps) in &self.limits.tags {
            for (period, limit) in periods(caps, day).into_iter().filter(|(_, limit)| limit.is_some()) {
                let sums = self.tags.get(tag).map(|account| account.sums(period)).unwrap_or_default();
                all.push((Scope::Tag(tag.clone()), period, limit, sums));
            }
        }
        all
    }

    /// Puts other budgets in force. What was told of a budget that has more room now may be told again.
    pub fn set_limits(&mut self, limits: Limits) {
        self.process.untell(&limits.process);
        for (tag, account) in &mut self.tags {
            account.untell(&limits.tags.get(tag).copied().unwrap_or_default());
        }
        self.limits = limits;
    }

    pub(super) fn reserve(&mut self, attempt: AttemptId, reservation: Reservation) {
        if self.open.contains_key(&attempt) {
            return;
        }
        let Reservation { amount, day, .. } = reservation;
        self.each_account(&reservation.tags, |account| {
            account.each(day, |sums| sums.reserved += amount);
            account.used = attempt;
            account.prune();
        });
        self.open.insert(attempt, reservation);
        if self.tags.len() > 2 * MOST_TAGS + self.limits.tags.len() {
            self.forget_tags();
        }
    }

    /// Ends a reservation: `cost` is spent or, where the bill is not known, `at_risk` stays committed. An
    /// attempt without one was settled before.
    pub(super) fn settle(&mut self, attempt: AttemptId, cost: Usd, at_risk: Usd) {
        let Some(Reservation { amount, day, tags }) = self.open.remove(&attempt) else { return };
        let spent = if at_risk == Usd::ZERO { cost } else { Usd::ZERO };
        self.each_account(&tags, |account| {
            account.each(day, |sums| {
                sums.reserved -= amount;
                sums.spent += spent;
                sums.at_risk += at_risk;
            });
        });
    }

    pub(super) fn told(&mut self, alert: &Alert) {
        let account = match &alert.scope {
            Scope::Process => &mut self.process,
            Scope::Tag(tag) => self.tags.entry(tag.clone()).or_default(),
            Scope::Job(_) => return,
        };
        let sums = account.at(alert.period);
        sums.told = sums.told.max(alert.percent);
    }

    /// The budgets that what carries these tags touches.
    fn touched<'a>(
        &'a self,
        day: Day,
        tags: &'a [Arc<str>],
    ) -> impl Iterator<Item = (Scope, Period, Usd, Sums)> {
        let process = (!self.limits.process.is_none()).then_some((None, &self.limits.process));
        let tags = tags.iter().filter_map(|tag| Some((Some(tag), self.limits.tags.get(tag)?)));
        process.into_iter().chain(tags).flat_map(move |(tag, caps)| {
            let scope = tag.map_or(Scope::Process, |tag| Scope::Tag(tag.clone()));
            let account = self.account(&scope);
            let limited = periods(caps, day).into_iter().filter_map(|(period, cap)| Some((period, cap?)));
            limited.map(move |(period, cap)| {
                let sums = account.map(|account| account.sums(period)).unwrap_or_default();
                (scope.clone(), period, cap, sums)
            })
        })
    }

    fn account(&self, scope: &Scope) -> Option<&Account> {
        match scope {
            Scope::Process => Some(&self.process),
            Scope::Tag(tag) => self.tags.get(tag),
            Scope::Job(_) => None,
        }
    }

    fn each_account(&mut self, tags: &Tags, change: impl Fn(&mut Account)) {
        change(&mut self.process);
        for tag in tags.iter() {
            match self.tags.get_mut(tag) {
                Some(account) => change(account),
                None => change(self.tags.entry(tag.clone()).or_default()),
            }
        }
    }

    /// Forgets the tags that were used longest ago; never one with a budget or with something in flight.
    fn forget_tags(&mut self) {
        let limited = &self.limits.tags;
        let idle = |(tag, account): &(&Arc<str>, &Account)| {
            !limited.contains_key(*tag) && account.total.reserved == Usd::ZERO
        };
        let mut used: Vec<AttemptId> =
            self.tags.iter().filter(idle).map(|(_, account)| account.used).collect();
        used.sort_unstable();
        let Some(&newest_gone) = used.len().checked_sub(MOST_TAGS + 1).and_then(|at| used.get(at)) else {
            return;
        };
        self.tags.retain(|tag, account| {
            limited.contains_key(tag) || account.total.reserved > Usd::ZERO || account.used > newest_gone
        });
    }
}

/// Longer where it renews later.
fn lasts(full: &Full) -> u8 {
    match full.period {
        Period::Day(_) => 0,
        Period::Month(_) => 1,
        Period::Total => 2,
    }
}

fn periods(caps: &Caps, day: Day) -> [(Period, Option<Usd>); 3] {
    [(Period::Day(day), caps.day), (Period::Month(day.month()), caps.month), (Period::Total, caps.total)]
}

/// The highest threshold that was told and still holds under this limit.
pub(super) fn still_told(told: u8, settled: Usd, limit: Option<Usd>) -> u8 {
    let Some(limit) = limit else { return 0 };
    (0..=told).rev().find(|&percent| is_reached(percent, settled, limit)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
