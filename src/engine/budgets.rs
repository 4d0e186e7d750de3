//! Money at the first gate: whether an attempt may start, and who is told when a budget runs low.
//!
//! Every budget an attempt touches is looked at and reserved in one step of the engine, so that no
//! number of parallel attempts can pass one together. Where none is set this costs nothing.
//!
//! Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::queue::Parked;
use super::{Effect, Engine, Notice};
use crate::clock::Timestamp;
use crate::job::{Item, Job, JobId};
use crate::ledger::{Alert, Full, JobLedger, Limits, Period, Reservation, Scope, Sums, Tags, Today};
use crate::money::Usd;
use crate::record::Record;
use crate::view::{BudgetView, Waiting};

/// Combinations of an item's own tags that a job keeps ready; more are made anew.
const MOST_LISTS: usize = 1_024;

/// Why an attempt may not start.
pub(super) enum Short {
    /// The item's own cap ends it.
    Item(String),
    /// A budget is full.
    Budget(Box<Full>),
}

impl Engine {
    /// Puts these budgets in force, for what their periods have already cost too.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        if *self.ledger.globals.budgets.limits() == limits {
            return;
        }
        self.today = Today::at(self.now, limits.zone.0);
        let tags: Vec<Arc<str>> = limits.tags.keys().cloned().collect();
        self.record(Record::Limits(Box::new(limits)));
        self.count_money_anew();
        let alerts = self.ledger.globals.budgets.reached(self.today.day(), &tags);
        self.alert(alerts);
    }

    /// A request starts only if what is spent, reserved and its own worst case fit every budget.
    pub(super) fn afford(
        &self,
        job: &Job,
        state: &JobLedger,
        item: &Item,
        tags: &Tags,
        worst_case: Usd,
    ) -> Result<(), Short> {
        if let Some(cap) = item_cap(item) {
            let committed = state.partial.get(&item.index).map_or(Usd::ZERO, |partial| partial.committed);
            if committed + worst_case > cap {
                let why = format!("the next attempt may cost {worst_case}, over the item's cap of {cap}");
                return Err(Short::Item(why));
            }
        }
        if let Some(cap) = state.cap(job)
            && state.committed() + worst_case > cap
        {
            let full = of_job(&job.id, state, cap, worst_case);
            return Err(Short::Budget(Box::new(full)));
        }
        self.ledger.globals.budgets.fits(worst_case, self.today.day(), tags).map_err(Short::Budget)
    }

    /// An attempt did not fit: its queue waits, and where the budget is used up a person hears of it.
    pub(super) fn out_of_money(&mut self, full: &Full) -> Parked {
        let Full { scope, period, limit, sums, .. } = full;
        let asked = self.ledger.globals.budgets.limits().alerts.contains(&100);
        if full.for_good() && asked && sums.told < 100 {
            let (scope, period, settled) = (scope.clone(), *period, sums.settled());
            self.alert(vec![Alert { scope, period, percent: 100, settled, limit: *limit }]);
        }
        let until = period.renews(self.ledger.globals.budgets.limits().zone);
        Parked { waiting: Waiting::Budget, until, words: Some(words(full)) }
    }

    /// An attempt was settled: tells what of its budgets is used up further than before.
    pub(super) fn settled_money(&mut self, job: &Arc<Job>, reservation: Option<Reservation>) {
        let budgets = &self.ledger.globals.budgets;
        let mut alerts =
            reservation.map_or_else(Vec::new, |Reservation { day, tags, .. }| budgets.reached(day, &tags));
        if let Some((_, state)) = self.ledger.get(&job.id)
            && let Some(limit) = state.cap(job)
        {
            let settled = state.settled();
            let reached = budgets.limits().reached(state.told, settled, limit);
            alerts.extend(reached.map(|percent| Alert {
                scope: Scope::Job(job.id.clone()),
                period: Period::Total,
                percent,
                settled,
                limit,
            }));
        }
        self.alert(alerts);
    }

    /// Writes down that a person is told, and tells: once for each threshold and period.
    fn alert(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            self.record(Record::Alerted(Box::new(alert.clone())));
            self.effects.push(Effect::Tell(Notice::Budget(alert)));
        }
    }

    /// Where every budget stands now.
    pub fn budgets(&self, now: Timestamp) -> Vec<BudgetView> {
        let budgets = &self.ledger.globals.budgets;
        let mut today = self.today;
        today.turn(now);
        BudgetView::all(budgets, today.day())
    }
}

/// The item's own cap.
pub(super) fn item_cap(item: &Item) -> Option<Usd> {
    item.options.as_ref().and_then(|options| options.max_cost)
}

fn of_job(job: &JobId, state: &JobLedger, limit: Usd, amount: Usd) -> Full {
    let sums =
        Sums { spent: state.spent, at_risk: state.at_risk, reserved: state.reserved, told: state.told };
    Full { scope: Scope::Job(job.clone()), period: Period::Total, limit, sums, amount }
}

fn words(full: &Full) -> String {
    let Full { scope, period, limit, sums, amount } = full;
    let left = limit.saturating_sub(sums.committed());
    let span = match period {
        Period::Day(_) => " a day",
        Period::Month(_) => " a month",
        Period::Total => "",
    };
    match scope {
        Scope::Job(job) => format!("{left} left of {limit}, the next request may cost {amount}; job {job}"),
        Scope::Process => format!("{left} left of {limit}{span}, the next request may cost {amount}"),
        Scope::Tag(tag) => {
            format!("{left} left of {limit}{span} for {tag}, the next request may cost {amount}")
        }
    }
}

/// The tags of a job's items as lists that are made once and shared.
pub(super) struct TagLists {
    job: BTreeMap<String, String>,
    of_job: Tags,
    of_items: HashMap<BTreeMap<String, String>, Tags>,
}

impl TagLists {
    /// Of a job with these tags.
    pub(super) fn new(job: &BTreeMap<String, String>) -> TagLists {
        TagLists { job: job.clone(), of_job: list(job), of_items: HashMap::new() }
    }

    /// The tags of one item: its own are stronger than its job's.
    pub(super) fn of(&mut self, item: &Item) -> Tags {
        let own = item.options.as_ref().map(|options| &options.tags).filter(|tags| !tags.is_empty());
        let Some(own) = own else { return self.of_job.clone() };
        if let Some(tags) = self.of_items.get(own) {
            return tags.clone();
        }
        if self.of_items.len() >= MOST_LISTS {
            self.of_items.clear();
        }
        let mut all = self.job.clone();
        all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        let tags = list(&all);
        self.of_items.insert(own.clone(), tags.clone());
        tags
    }
}

fn list(tags: &BTreeMap<String, String>) -> Tags {
    tags.iter().map(|(key, value)| Arc::from(format!("{key}={value}"))).collect()
}
