//! What may be spent, as the config says: by the whole process and under a tag, in a day, in a month, in all.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::period::{Day, Month, Zone};
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::money::Usd;

/// Every budget of the config. The ledger keeps those in force, so that a change of them is a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Whose midnights end days and months.
    pub zone: Zone,
    /// For everything together.
    pub process: Caps,
    /// For what carries a tag, by `key=value`.
    pub tags: BTreeMap<Arc<str>, Caps>,
    /// Shares of a budget, in percent and ascending, at which a person is told.
    pub alerts: Vec<u8>,
}

impl Limits {
    /// Where nothing is said about alerts.
    pub const ALERTS: [u8; 3] = [50, 80, 100];

    /// Whether there is none at all.
    pub fn is_none(&self) -> bool {
        self.process.is_none() && self.tags.values().all(Caps::is_none)
    }

    /// Thresholds above `told` that `settled` money of `limit` has reached.
    pub fn reached(&self, told: u8, settled: Usd, limit: Usd) -> impl Iterator<Item = u8> {
        let alerts = self.alerts.iter().copied();
        alerts.filter(move |&percent| percent > told && is_reached(percent, settled, limit))
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            zone: Zone::default(),
            process: Caps::default(),
            tags: BTreeMap::new(),
            alerts: Limits::ALERTS.to_vec(),
        }
    }
}

/// Whether so much of a budget is gone for good: spent, or owed in the worst case.
pub(super) fn is_reached(percent: u8, settled: Usd, limit: Usd) -> bool {
    settled.pico() * 100 >= limit.pico() * i128::from(percent)
}

/// The budgets of one scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// In one calendar day.
    pub day: Option<Usd>,
    /// In one calendar month.
    pub month: Option<Usd>,
    /// For ever.
    pub total: Option<Usd>,
}

impl Caps {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Caps::default()
    }
}

/// Whose money a budget limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// The whole process's.
    Process,
    /// That of everything with a tag, `key=value`.
    Tag(Arc<str>),
    /// One job's.
    Job(JobId),
}

/// `process`, the tag, or the job's id.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Process => f.pad("process"),
            Scope::Tag(tag) => f.pad(tag),
            Scope::Job(job) => f.pad(job.as_str()),
        }
    }
}

/// In which time a budget limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Period {
    /// In one day.
    Day(Day),
    /// In one month.
    Month(Month),
    /// Ever.
    Total,
}

impl Period {
    /// When the next one begins; `None` where none does.
    pub fn renews(self, zone: Zone) -> Option<Timestamp> {
        match self {
            Period::Day(day) => Some(day.ends(zone.0)),
            Period::Month(month) => Some(month.ends(zone.0)),
            Period::Total => None,
        }
    }

    /// `day`, `month` or `total`: the key in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Day(_) => "day",
            Period::Month(_) => "month",
            Period::Total => "total",
        }
    }
}

/// `2026-11-21`, `2026-11` or `total`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Day(day) => day.fmt(f),
            Period::Month(month) => month.fmt(f),
            Period::Total => f.write_str("total"),
        }
    }
}

/// A budget has reached a threshold: written down when it is told, so that it is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Whose money.
    pub scope: Scope,
    /// In which time.
    pub period: Period,
    /// The threshold.
    pub percent: u8,
    /// Known bills of that time, and the worst case of unknown ones.
    pub settled: Usd,
    /// The budget.
    pub limit: Usd,
}
