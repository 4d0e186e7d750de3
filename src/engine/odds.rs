//! What checks have taught, at work: which model an item goes to next, and when it is given up.
//!
//! The counts are in the ledger ([`crate::ledger::JobLedger::tally`]), where every record adds to them.
//! What follows from them is derived once a wave and kept with the job's queues; where there is no check,
//! or no choice between models, nothing is derived at all.
//!
//! Two moments ask. At the first gate the routes of a step are compared by what a success costs there
//! ([`crate::plan::route`]). When a check has failed an answer, the ladder above is looked over: the
//! lowest step at which a success costs no more than it is worth gets the item, and where there is none
//! the item ends with the answer it has.
//!
//! While less money is left than the queued items are expected to cost, a success is worth less: the
//! dearest steps fall away first, and first attempts never.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::decide::{Decision, Then};
use super::flight::Flight;
use super::outcome::has_check;
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{Item, Job, JobId, Worth, model_of};
use crate::ledger::{Counts, JobLedger, Phase};
use crate::money::Usd;
use crate::plan::estimate::class_of;
use crate::plan::odds::Odds;
use crate::plan::price;
use crate::plan::route::{self, takes};
use crate::plan::router::{Candidate, NextAttempt, next_attempt};
use crate::plan::stop::{Pending, StopPrice, affordable};
use crate::plan::tally::{ModelIndex, Spent, Tally};
use crate::record::{self, Record};

/// How often the money left is compared with what is queued.
const MONEY_EVERY: Duration = Duration::from_secs(1);

/// Places of the models of a step's routes in the tally, in the order of the routes.
pub(super) type Models = Arc<[Option<ModelIndex>]>;

/// What is derived for one job, between two waves.
#[derive(Default)]
pub(super) struct Lessons {
    odds: Option<(Arc<Odds>, Timestamp)>,
    /// What a success is worth at most while money is short, in dollars; it only falls.
    affordable: Option<f64>,
    /// When the money was last counted.
    counted_at: Option<Timestamp>,
}

/// What is known at the first gate of the routes of one step.
#[derive(Default)]
pub(super) struct Taught {
    models: Option<Models>,
    odds: Option<Arc<Odds>>,
}

impl Lessons {
    /// Whether money is short.
    pub(super) fn is_short(&self) -> bool {
        self.affordable.is_some()
    }

    /// Money was added, or a new day has begun.
    pub(super) fn count_money_anew(&mut self) {
        (self.affordable, self.counted_at) = (None, None);
    }
}

impl Taught {
    /// For an item that these models have failed.
    pub(super) fn of(&self, spent: Spent, has_more_steps: bool) -> Option<route::Taught<'_>> {
        let models = self.models.as_deref()?;
        Some(route::Taught { spent, models, odds: self.odds.as_deref(), has_more_steps })
    }
}

/// What an item could be tried at next.
#[derive(Default)]
struct Options {
    routes: Vec<(u8, Arc<Route>, ModelIndex, f64)>,
}

impl Options {
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let routes = self.routes.iter();
        let candidates = routes.map(|(step, route, model, cost)| Candidate {
            route: &route.name,
            step: *step,
            model: *model,
            cost: *cost,
            failing: 0.0,
            repeat: false,
        });
        candidates.collect()
    }
}

impl Engine {
    /// Forgets what checks taught, of one class or of all, in running jobs too.
    pub(super) fn reset_odds(&mut self, class: Option<Arc<str>>) {
        self.record(Record::OddsReset(class));
        self.queues.values_mut().for_each(|queue| queue.taught.odds = None);
    }

    /// What a job that ends has taught; nothing where no check said anything.
    pub(super) fn taught(&self, id: &JobId) -> Option<record::Taught> {
        let (job, state) = self.ledger.get(id)?;
        let tally = state.tally.as_deref().filter(|tally| tally.results() > 0)?;
        Some(record::Taught { class: class_of(job).into(), tally: tally.clone() })
    }

    /// There may be more money than before.
    pub(super) fn count_money_anew(&mut self) {
        self.queues.values_mut().for_each(|queue| queue.taught.count_money_anew());
    }

    /// The models that have failed an item.
    pub(super) fn spent(&self, job: &JobId, item: &Item) -> Spent {
        let state = self.ledger.get(job).expect("a queue has a ledger").1;
        match state.items.get(item.index).attempts() {
            0 => Spent::NONE,
            _ => state.spent(item.index),
        }
    }

    /// What is known of the routes of a step, derived anew where a wave has come in.
    pub(super) fn lessons(
        &mut self,
        id: &JobId,
        job: &Arc<Job>,
        key: (u16, u8),
        routes: &Arc<[Arc<Route>]>,
    ) -> Taught {
        let Some(tally) = &self.ledger.get(id).expect("a queue has a ledger").1.tally else {
            return Taught::default();
        };
        let queue = self.queues.get_mut(id).expect("listed by order");
        let step = queue.step(key.0, key.1);
        let models = match &step.models {
            Some((known, models)) if Arc::ptr_eq(known, routes) => models.clone(),
            _ => {
                let models: Models = routes.iter().map(|route| place(tally, &route.name)).collect();
                step.models = Some((routes.clone(), models.clone()));
                models
            }
        };
        let item = step.ready.front().cloned();
        let has_counts = tally.cells().next().is_some();
        let odds = has_counts.then(|| self.odds(id)).flatten();
        if let (Some(odds), Some(item)) = (&odds, item) {
            self.count_money(job, &item, odds);
        }
        Taught { models: Some(models), odds }
    }

    /// What is known of one more lane of a model.
    pub(super) fn lessons_of(&self, id: &JobId, taught: &Taught, route: &Route) -> Taught {
        let tally = self.ledger.get(id).and_then(|(_, state)| state.tally.as_ref());
        let models = tally.map(|tally| Models::from([place(tally, &route.name)]));
        Taught { models, odds: taught.odds.clone() }
    }

    /// The chances of a job's models; `None` where there is no choice between them.
    fn odds(&mut self, id: &JobId) -> Option<Arc<Odds>> {
        let state = self.ledger.get(id).expect("a queue has a ledger").1;
        let tally = state.tally.as_deref()?;
        let lessons = &mut self.queues.get_mut(id)?.taught;
        if let Some((odds, at)) = &lessons.odds
            && !odds.are_stale(tally, self.now.since(*at))
        {
            return Some(odds.clone());
        }
        let odds = Arc::new(Odds::estimate(tally, state.counts().pending.into()));
        lessons.odds = Some((odds.clone(), self.now));
        Some(odds)
    }

    /// What a success of an item is worth where nothing was spent on it yet: first attempts end unsent only
    /// where the user has named a price.
    pub(super) fn stop_at_first(&self, job: &Job, state: &JobLedger, item: &Item) -> StopPrice {
        match stated(job, item) {
            Some(Worth::UpTo(worth)) if state.items.get(item.index).attempts() == 0 => {
                StopPrice::Dollars(worth.as_f64())
            }
            _ => StopPrice::Unlimited,
        }
    }

    /// The step a failed item moves to by its ladder: the next, unless a race has used that up, or its own
    /// where that is the last and has equals that were not asked.
    pub(super) fn above(&self, flight: &Flight) -> Option<u8> {
        let ladder = &flight.job.class(flight.item.index).ladder.0;
        let step = usize::from(flight.step);
        let state = self.ledger.get(&flight.job.id)?.1;
        let raced = state.was_hedged(flight.item.index);
        if step + 1 < ladder.len() && !raced {
            return Some(flight.step + 1);
        }
        let tally = state.tally.as_deref()?;
        let spent = self.spent_with(flight, state, tally);
        let is_unspent = |name: &String| place(tally, name).is_none_or(|model| !spent.has(model));
        let next = (step + 1..ladder.len()).find(|&next| ladder[next].iter().any(is_unspent));
        if let Some(next) = next {
            return Some(next as u8);
        }
        let equals = ladder.get(step).filter(|equals| equals.len() > 1)?;
        let is_left = |name: &String| {
            let model = place(tally, name);
            model.is_some_and(|model| !spent.has(model)) && self.lanes.find(name).is_some()
        };
        equals.iter().any(is_left).then_some(flight.step)
    }

    /// Looks over the ladder from `step` on: the decision names the step that is worth it, or gives up.
    pub(super) fn weigh(&mut self, flight: &Flight, step: u8, decision: &mut Decision) {
        let (job, item) = (&flight.job, &flight.item);
        let Some((_, state)) = self.ledger.get(&job.id) else { return };
        let Some(tally) = state.tally.as_deref() else { return };
        let spent = self.spent_with(flight, state, tally);
        let is_weighed = has_check(job, item) || stated(job, item).is_some();
        let Some(odds) = is_weighed.then(|| self.odds(&job.id)).flatten() else { return };
        let all = self.options(job, item);
        let stop = match has_check(job, item) {
            true => self.stop(job, item, &all, &odds),
            false => stated_price(job, item).unwrap_or(StopPrice::Unlimited),
        };
        let mut above = all;
        above.routes.retain(|(of, _, model, _)| *of >= step && !spent.has(*model));
        let candidates = above.candidates();
        match next_attempt(&candidates, spent, &odds, stop) {
            NextAttempt::Try { candidate, .. } => {
                decision.then = Then::Escalate(candidates[candidate].step);
            }
            NextAttempt::NotWorthIt { index } => {
                let nearest = |candidate: &&Candidate<'_>| {
                    let at = candidate.cost / odds.upper(candidate.model, spent);
                    (at - index).abs()
                };
                let best = candidates.iter().min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
                let route = best.map_or("the next model", |best| best.route);
                decision.then = Then::GiveUp;
                if let Some((_, message)) = &mut decision.error {
                    *message = format!("{message}; not escalated: {}", too_dear(route, index, stop));
                }
            }
            // Nothing above takes it as things are: the first gate says why.
            NextAttempt::NothingLeft if candidates.is_empty() && step > flight.step => {}
            NextAttempt::NothingLeft => decision.then = Then::GiveUp,
        }
    }

    fn spent_with(&self, flight: &Flight, state: &JobLedger, tally: &Tally) -> Spent {
        let spent = state.spent(flight.item.index);
        place(tally, &flight.call.route.name).map_or(spent, |model| spent.with(model))
    }

    /// The routes of its ladder that would take an item, at what they cost now.
    fn options(&mut self, job: &Arc<Job>, item: &Item) -> Options {
        let ladder = &job.class(item.index).ladder.0;
        let steps: Vec<(u8, Vec<Arc<Route>>)> =
            (0..).zip(ladder).map(|(step, names)| (step, self.lanes.serving(names))).collect();
        let state = self.ledger.get(&job.id).expect("the caller has just seen it").1;
        let Some(tally) = state.tally.as_deref() else { return Options::default() };
        let known = self.known(&job.id);
        let (unpriced, capped) = (job.options.allow_unpriced, state.cap(job).is_some());
        let mut options = Options::default();
        for (step, routes) in steps {
            for route in routes.iter().filter(|route| takes(route, item, unpriced, capped)) {
                let cost = price::expected(route, item, self.now, &known).unwrap_or(Usd::ZERO);
                if let Some(model) = place(tally, &route.name) {
                    options.routes.push((step, route.clone(), model, cost.as_f64()));
                }
            }
        }
        options
    }

    /// What a success of an item is worth: what the user says, else what the ladder makes it, and never more
    /// than the money left allows.
    fn stop(&self, job: &Job, item: &Item, all: &Options, odds: &Odds) -> StopPrice {
        let stop = base_stop(job, item, all, odds);
        let affordable = self.queues.get(&job.id).and_then(|queue| queue.taught.affordable);
        match (stop, affordable) {
            (stop, None) => stop,
            (StopPrice::Unlimited, Some(most)) => StopPrice::Dollars(most),
            (StopPrice::Dollars(worth), Some(most)) => StopPrice::Dollars(worth.min(most)),
        }
    }

    /// Compares the money left with what is queued, taking `item` for the others of its kind.
    fn count_money(&mut self, job: &Arc<Job>, item: &Item, odds: &Odds) {
        let lessons = &mut self.queues.get_mut(&job.id).expect("listed by order").taught;
        if lessons.counted_at.is_some_and(|at| self.now.since(at) < MONEY_EVERY) {
            return;
        }
        lessons.counted_at = Some(self.now);
        let tags = self.queues.get_mut(&job.id).expect("found above").tags.of(item);
        let state = self.ledger.get(&job.id).expect("a queue has a ledger").1;
        // The item's own cap says nothing of the others.
        let plain = Item { options: None, ..item.clone() };
        let Some(left) = self.ledger.left(job, &plain, self.today.day(), &tags) else { return };
        let left = (left + state.reserved).as_f64();
        let pending = pending(state);
        let all = self.options(job, item);
        let stop = base_stop(job, item, &all, odds);
        let lowered = affordable(&pending, &all.candidates(), odds, stop, left);
        if let (StopPrice::Dollars(most), true) = (lowered, lowered != stop) {
            let lessons = &mut self.queues.get_mut(&job.id).expect("found above").taught;
            lessons.affordable = Some(lessons.affordable.map_or(most, |before| before.min(most)));
        }
    }
}

/// Why an item is given up, in words.
pub(super) fn too_dear(route: &str, index: f64, stop: StopPrice) -> String {
    let worth = match stop {
        StopPrice::Dollars(worth) => money(worth),
        StopPrice::Unlimited => "nothing".to_owned(),
    };
    format!("a success at {route} would cost about {}, more than give_up_above {worth}", money(index))
}

fn money(dollars: f64) -> String {
    Usd::from_pico((dollars * 1e12).round() as i128).to_string()
}

/// The place of a route's model in a tally.
fn place(tally: &Tally, route: &str) -> Option<ModelIndex> {
    tally.index_of(model_of(route))
}

/// What the user says that a success of the item is worth.
fn stated(job: &Job, item: &Item) -> Option<Worth> {
    let own = item.options.as_ref().and_then(|options| options.give_up_above);
    own.or(job.options.give_up_above)
}

fn stated_price(job: &Job, item: &Item) -> Option<StopPrice> {
    Some(match stated(job, item)? {
        Worth::Unlimited => StopPrice::Unlimited,
        Worth::UpTo(worth) => StopPrice::Dollars(worth.as_f64()),
    })
}

fn base_stop(job: &Job, item: &Item, all: &Options, odds: &Odds) -> StopPrice {
    stated_price(job, item).unwrap_or_else(|| StopPrice::by_default(&all.candidates(), odds))
}

/// Items that have not ended, by the models that have failed them.
fn pending(state: &JobLedger) -> Pending {
    let mut pending = Pending::new();
    let Counts { pending: waiting, running, .. } = state.counts();
    let mut untouched = u64::from(waiting + running);
    for (&item, partial) in &state.partial {
        if state.items.get(item).phase() != Phase::Held {
            *pending.entry(partial.spent).or_default() += 1;
            untouched = untouched.saturating_sub(1);
        }
    }
    pending.insert(Spent::NONE, pending.get(&Spent::NONE).copied().unwrap_or(0) + untouched);
    pending
}
