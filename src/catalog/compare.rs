//! Prices held against each other: what is in use, and what imported lists say.
//!
//! A model's prices become [`Figure`]s, one number a name, so that tables with other windows or tiers can
//! be compared where they state the same thing. Only dates that hold now count.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{NaiveDate, TimeDelta};
use serde::Serialize;

use super::import::Imported;
use super::model::{LANES, Model};
use super::tariff::Rate;
use super::{Catalog, PriceTable};
use crate::clock::Timestamp;
use crate::money::{Price, Usd};

/// What a number of a price list is the price of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure {
    /// Index into [`LANES`].
    lane: usize,
    /// Whether it is that of the cheapest hours, where hours make a difference.
    cheapest: bool,
    /// Prompts above this, in thousands of tokens.
    above: Option<u64>,
    /// Index into [`KINDS`].
    kind: usize,
}

const KINDS: [&str; 7] =
    ["input", "output", "cache read", "cache write", "cache write 1h", "reasoning", "request"];

/// `input`, `batch output >272k`, `input in the cheapest hours`.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lane > 0 {
            write!(f, "{} ", LANES[self.lane])?;
        }
        f.write_str(KINDS[self.kind])?;
        if let Some(above) = self.above {
            write!(f, " >{above}k")?;
        }
        if self.cheapest { f.write_str(" in the cheapest hours") } else { Ok(()) }
    }
}

/// The prices of a model by what they are for: USD per million tokens, or per request.
pub fn figures(model: &Model, now: Timestamp) -> BTreeMap<Figure, Usd> {
    let mut figures = BTreeMap::new();
    for (lane, name) in LANES.into_iter().enumerate() {
        if let Some(table) = model.on_lane(name) {
            add(&mut figures, lane, table, now);
        }
    }
    figures
}

fn add(figures: &mut BTreeMap<Figure, Usd>, lane: usize, table: &PriceTable, now: Timestamp) {
    let rank = |rate: &Rate<'_>| u128::from(rate.price.input) + u128::from(rate.price.output);
    let (dearest, cheapest) = (table.rates_on(now).max_by_key(rank), table.rates_on(now).min_by_key(rank));
    let varies = dearest.zip(cheapest).is_some_and(|(a, b)| a.price != b.price);
    for (rate, cheapest) in [(dearest, false), (cheapest.filter(|_| varies), true)] {
        let Some(rate) = rate else { continue };
        let mut take = |above: Option<u64>, price: &Price| {
            let million = |price: u64| Usd::from_pico(i128::from(price) * 1_000_000);
            let amounts = [
                Some(million(price.input)),
                Some(million(price.output)),
                price.cache_read.map(million),
                price.cache_write.map(million),
                price.cache_write_1h.map(million),
                price.reasoning.map(million),
                (price.request != Usd::ZERO).then_some(price.request),
            ];
            for (kind, amount) in amounts.into_iter().enumerate() {
                if let Some(amount) = amount {
                    figures.insert(Figure { lane, cheapest, above, kind }, amount);
                }
            }
        };
        take(None, rate.price);
        // 199,999 and 200,000 are one limit, stated as "from" and as "above".
        rate.tiers.iter().for_each(|tier| take(Some((tier.above + 1) / 1_000), &tier.price));
    }
}

/// A price that a list states otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// `provider/model`.
    pub model: String,
    /// What it is the price of.
    pub what: String,
    /// The one in use, in USD; absent where there is none.
    pub in_use_usd: Option<f64>,
    /// That of the list, in USD.
    pub list_usd: f64,
    /// By how much the list's is higher; absent where there is nothing to divide by.
    pub change_percent: Option<f64>,
    /// As text, exact.
    #[serde(skip)]
    pub(crate) text: (Option<Usd>, Usd),
}

/// Every figure in which a list differs from what is in use, and the models only it has a price of.
pub fn differences(catalog: &Catalog, list: &Imported, now: Timestamp) -> (Vec<Difference>, Vec<String>) {
    let (mut differing, mut new) = (Vec::new(), Vec::new());
    for (name, theirs) in list.models.iter().filter(|(_, model)| model.prices.is_some()) {
        match catalog.model(name).filter(|model| model.prices.is_some()) {
            Some(ours) if ours.source.as_deref() == Some(list.source.as_str()) => new.push(name.clone()),
            Some(ours) => differing.extend(between(ours, theirs, now)),
            None => new.push(name.clone()),
        }
    }
    (differing, new)
}

/// What a list does not state it would not change.
fn between(ours: &Model, theirs: &Model, now: Timestamp) -> Vec<Difference> {
    let ours_by = figures(ours, now);
    let stated =
        figures(theirs, now).into_iter().map(|(figure, new)| (ours_by.get(&figure).copied(), figure, new));
    stated
        .filter(|&(old, _, new)| old != Some(new))
        .map(|(old, figure, new)| Difference {
            model: ours.full_name(),
            what: figure.to_string(),
            in_use_usd: old.map(Usd::as_f64),
            list_usd: new.as_f64(),
            change_percent: old.and_then(|old| percent(old, new)),
            text: (old, new),
        })
        .collect()
}

fn percent(old: Usd, new: Usd) -> Option<f64> {
    (old != Usd::ZERO).then(|| (new.pico() - old.pico()) as f64 / old.pico() as f64 * 100.0)
}

/// Something about the price of a model that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `provider/model`.
    pub model: String,
    /// What is the matter.
    pub kind: FindingKind,
    /// Whether the model is in use.
    pub in_use: bool,
    /// In words.
    pub detail: String,
}

/// What may be the matter with a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// None is known.
    Unpriced,
    /// A list that is no older states another.
    Contradicted,
    /// A list that covers the provider does not have the model.
    Missing,
    /// Nobody has stated or confirmed it for a month.
    Stale,
    /// The vendor has retired the model.
    Retired,
}

impl Finding {
    /// Whether the model should not be sent to before somebody has looked.
    pub fn is_grave(&self) -> bool {
        self.in_use && matches!(self.kind, FindingKind::Unpriced | FindingKind::Contradicted)
    }
}

/// A difference up to this is that of a currency's rate.
const TOLERANCE_PERCENT: f64 = 1.0;
/// After this a price should have been looked at again.
const STALE_DAYS: i64 = 30;

/// All there is to say of the prices of a catalog, the models of `in_use` included where they are not in
/// it; grave findings first.
pub fn verify(catalog: &Catalog, lists: &[&Imported], in_use: &[String], now: Timestamp) -> Vec<Finding> {
    let used = |name: &str| in_use.iter().any(|used| used == name);
    let mut findings = Vec::new();
    for model in catalog.models().filter(|model| !catalog.provider_of(model).local) {
        let name = model.full_name();
        if !model.is_retired(now) {
            findings.extend(of_model(model, lists, used(&name), now));
        } else if used(&name) {
            let day = model.retires.map(|day| day.to_string()).unwrap_or_default();
            findings.push(finding(name, FindingKind::Retired, true, format!("since {day}")));
        }
    }
    for name in in_use.iter().filter(|name| catalog.model(name).is_none()) {
        if catalog.route(name, now).is_some_and(|route| route.prices.is_none()) {
            let detail = "no list or table has a price; state one under [models]".to_owned();
            findings.push(finding(name.clone(), FindingKind::Unpriced, true, detail));
        }
    }
    findings.sort_by(|a, b| {
        (!a.is_grave(), !a.in_use, a.kind, &a.model).cmp(&(!b.is_grave(), !b.in_use, b.kind, &b.model))
    });
    findings
}

fn of_model(model: &Model, lists: &[&Imported], in_use: bool, now: Timestamp) -> Vec<Finding> {
    let name = model.full_name();
    let say = |kind, detail: String| finding(name.clone(), kind, in_use, detail);
    if model.prices.is_none() {
        return vec![say(FindingKind::Unpriced, "no list or table has a price".to_owned())];
    }
    let mut findings = Vec::new();
    let others = lists.iter().filter(|list| model.source.as_deref() != Some(list.source.as_str()));
    let mut newest = model.as_of.clone();
    for list in others {
        let Some(theirs) = list.models.get(&name).filter(|theirs| theirs.prices.is_some()) else {
            let covered = list.models.values().any(|theirs| theirs.provider == model.provider);
            if in_use && covered {
                let detail = format!("{} of {} does not have it", list.source.as_str(), list.as_of);
                findings.push(say(FindingKind::Missing, detail));
            }
            continue;
        };
        match contradiction(model, theirs, now) {
            // What the user states is the user's to know; an older list only lags behind.
            Some(words) if model.as_of.as_ref().is_some_and(|day| *day <= list.as_of) => {
                let detail = format!("{words} by {} of {}", list.source.as_str(), list.as_of);
                findings.push(say(FindingKind::Contradicted, detail));
            }
            Some(_) => {}
            None => newest = newest.max(Some(list.as_of.clone())),
        }
    }
    let today = now.utc().date_naive();
    let age = newest.and_then(|day| day.parse::<NaiveDate>().ok()).map(|day| today - day);
    if let Some(age) = age.filter(|&age| age > TimeDelta::days(STALE_DAYS)) {
        findings
            .push(say(FindingKind::Stale, format!("nobody has confirmed it for {} days", age.num_days())));
    }
    findings
}

/// The figure in which two lists disagree most, in words: `input $0.25 in use, $0.30 (+20.0%)`.
fn contradiction(ours: &Model, theirs: &Model, now: Timestamp) -> Option<String> {
    let both = between(ours, theirs, now).into_iter().filter_map(|one| {
        let (old, new) = (one.text.0?, one.text.1);
        // From nothing to something there is no percentage, and no greater difference.
        let size = one.change_percent.unwrap_or(f64::INFINITY);
        (size.abs() > TOLERANCE_PERCENT).then_some((size, one.what, old, new))
    });
    let (size, what, old, new) = both.max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))?;
    let by = if size.is_finite() { format!(" ({size:+.1}%)") } else { String::new() };
    Some(format!("{what} {} in use, {}{by}", old.to_exact(), new.to_exact()))
}

fn finding(model: String, kind: FindingKind, in_use: bool, detail: String) -> Finding {
    Finding { model, kind, in_use, detail }
}

#[cfg(test)]
mod tests;
