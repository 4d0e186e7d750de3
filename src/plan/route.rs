//! Which route of a step gets an item, or what the item waits for.
//!
//! Eligible routes are compared by what the attempt probably costs at the hour in which it would run,
//! over the chance that its answer passes where checks have taught one; the lowest gets the item, unless
//! even that is more than a success is worth. A model that has failed the item is not asked again. While the deadline is far, an item rather waits for the cheapest route,
//! or for its cheaper hour, than spills to a dearer one that happens to be idle; with `when = asap`, or
//! the deadline near, it takes any.
//!
//! Pure.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{Item, Needs, When, Wire};
use crate::money::Usd;
use crate::plan::estimate::Known;
use crate::plan::odds::Odds;
use crate::plan::price;
use crate::plan::router::{LEAST_FOR_FREE, TIE};
use crate::plan::stop::StopPrice;
use crate::plan::tally::{ModelIndex, Spent};
use crate::provider::translate;
use crate::view::Waiting;

/// Longest a busy route is waited for while another one of the step is free.
const LONGEST_QUEUE: Duration = Duration::from_secs(120);
/// Prices repeat by the week; an hour that does not come in this time does not come at all.
const LONGEST_CYCLE: Duration = Duration::from_secs(8 * 24 * 3_600);
/// Changes of price looked at in that time, so that an odd table costs no more than this.
const MOST_CHANGES: usize = 400;

/// Comes after every price.
const DEARER_THAN_ANY: Usd = Usd::from_pico(i128::MAX);
/// The lane that is cheaper and has room at times.
pub const FLEX: &str = "flex";
/// The lane on which many requests are handed over at once. No single call goes there, so [`choose`] is never
/// given its routes: they are for the planner.
pub const BATCH: &str = "batch";

/// What a route says to an item at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// It may be sent.
    Open,
    /// Not now.
    Closed(Waiting, Option<Timestamp>),
}

/// What the allowance of a route's account does for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Nothing: the route is taken at its price.
    None,
    /// It pays.
    Whole,
    /// It is used up, and will pay for all that is left from then on.
    Soon(Timestamp),
    /// It is used up, and without it the route takes nothing until then.
    UsedUp(Option<Timestamp>),
}

/// What a plan orders for items of one kind on one step.
pub trait Orders {
    /// Whether it sends to this route, or waits for it.
    fn names(&self, route: &Route) -> bool;

    /// What it says to an item that would go there now.
    fn door(&self, route: &Route) -> Door;
}

/// What the caller knows beyond route and item.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// Now.
    pub now: Timestamp,
    /// When to send, as the job asks.
    pub when: When,
    /// Whether waiting would miss the deadline.
    pub urgent: bool,
    /// Until when a cheaper hour is worth waiting for.
    pub wait_until: Timestamp,
    /// The plan that holds for the item, which knows what is worth waiting for: then `when`, `urgent` and
    /// `wait_until` decide nothing.
    pub plan: Option<&'a dyn Orders>,
    /// Whether unknown prices are allowed.
    pub allow_unpriced: bool,
    /// Whether a budget applies, so that unknown prices are not eligible.
    pub capped: bool,
    /// What earlier answers taught of tokens.
    pub known: Known<'a>,
    /// What is given for nothing.
    pub cover: &'a dyn Fn(&Route, &Item) -> Cover,
    /// Health and quotas of a route.
    pub door: &'a dyn Fn(&Route) -> Door,
    /// What checks taught of the models; `None` where nothing is to be learned.
    pub taught: Option<Taught<'a>>,
    /// What a success is worth.
    pub stop: StopPrice,
}

/// What checks taught of the models of a step, for an item that some of them have failed.
#[derive(Clone, Copy, Debug)]
pub struct Taught<'a> {
    /// The models that failed it.
    pub spent: Spent,
    /// Places of the routes' models in the tally, in the order of the routes.
    pub models: &'a [Option<ModelIndex>],
    /// The chances of all models; `None` where no check says who passes.
    pub odds: Option<&'a Odds>,
    /// Whether there is a step beyond: the last one is tried even where next to nothing passes.
    pub has_more_steps: bool,
}

/// The decision for one item.
#[derive(Clone, Debug)]
pub enum Choice {
    /// Send it here.
    Send(Arc<Route>),
    /// Not now: why, and when to ask again.
    Wait(Waiting, Option<Timestamp>),
    /// It does not fit any usable route of the step.
    TooLong,
    /// Every model of the step that would take it has failed it, or passes next to nothing.
    Spent,
    /// One success would cost more than it is worth.
    NotWorthIt {
        /// Where it would cost the least.
        route: Arc<str>,
        /// How many dollars.
        index: f64,
    },
    /// No route of the step takes it, in words.
    Never {
        /// Route by route.
        why: String,
        /// A key, a price or a setting would help; otherwise the item itself does not fit.
        can_be_mended: bool,
    },
}

/// What of an item decides which routes take it: items of one kind are told the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    wire: Wire,
    needs: Needs,
    too_long: Vec<bool>,
    /// Of a route: what its format cannot say.
    untold: Vec<Option<String>>,
    has_cap: bool,
    names_no_limit: bool,
    spent: Spent,
}

impl Kind {
    /// The kind of an item before the routes of its step, some of whose models have failed it.
    pub fn of(item: &Item, routes: &[Arc<Route>], spent: Spent) -> Kind {
        Kind {
            wire: item.wire,
            needs: item.needs,
            too_long: routes.iter().map(|route| is_too_long(route, item)).collect(),
            untold: routes.iter().map(|route| translate::obstacle(item, route)).collect(),
            has_cap: item.options.as_ref().is_some_and(|options| options.max_cost.is_some()),
            names_no_limit: item.max_output.is_none(),
            spent,
        }
    }
}

impl Kind {
    /// Whether a model has failed such items.
    pub fn has_spent(&self) -> bool {
        self.spent != Spent::NONE
    }
}

/// Chooses among the routes of one step.
pub fn choose(routes: &[Arc<Route>], item: &Item, given: &Circumstances<'_>) -> Choice {
    let mut reasons = Vec::new();
    let mut fitting = Vec::new();
    let (mut too_long, mut can_be_mended) = (false, routes.is_empty());
    let mut is_spent = false;
    for (place, route) in routes.iter().enumerate() {
        if given.taught.as_ref().is_some_and(|taught| taught.has_failed(place)) {
            is_spent = true;
            continue;
        }
        match obstacle(route, item, given.allow_unpriced, given.capped) {
            None => fitting.push(Candidate::new(route, place, item, given)),
            Some(Obstacle::TooLong) => too_long = true,
            Some(Obstacle::Item(reason)) => reasons.push(format!("{}: {reason}", route.name)),
            Some(Obstacle::Settings(reason)) => {
                can_be_mended = true;
                reasons.push(format!("{}: {reason}", route.name));
            }
        }
    }
    if fitting.is_empty() && is_spent {
        return Choice::Spent;
    }
    if fitting.is_empty() {
        if routes.is_empty() {
            reasons.push("no provider in the config serves its models".to_owned());
        }
        let why = reasons.join("; ");
        return if too_long { Choice::TooLong } else { Choice::Never { why, can_be_mended } };
    }
    if fitting.iter().all(|candidate| candidate.is_hopeless) {
        if given.taught.is_some_and(|taught| taught.has_more_steps) {
            return Choice::Spent;
        }
    } else {
        fitting.retain(|candidate| !candidate.is_hopeless);
    }
    rank(&mut fitting);
    // One that costs nothing and is used up for now is worth waiting for, whatever it would cost today.
    let is_worth_it = |candidate: &Candidate<'_>| candidate.is_used_up || given.stop.pays(candidate.index());
    if !fitting.iter().any(is_worth_it) {
        let Candidate { route, .. } = fitting[0];
        return Choice::NotWorthIt { route: route.name.clone(), index: fitting[0].index() };
    }
    fitting.retain(is_worth_it);
    if let Some(plan) = given.plan
        && !fitting.iter().any(|candidate| !candidate.is_used_up && plan.names(candidate.route))
    {
        // It was made for items that other routes take: what is left to this one goes by the plain rules.
        return choose(routes, item, &Circumstances { plan: None, ..*given });
    }
    first_open(&fitting, given)
}

/// Whether a route takes an item at some hour.
pub fn takes(route: &Route, item: &Item, allow_unpriced: bool, capped: bool) -> bool {
    obstacle(route, item, allow_unpriced, capped).is_none()
}

/// By index; of those that are equal the cheaper one first, then one that takes it now, then by name.
fn rank(candidates: &mut [Candidate<'_>]) {
    candidates.sort_by(|a, b| {
        let by_index = a.index().total_cmp(&b.index());
        by_index.then(a.cost.cmp(&b.cost)).then_with(|| a.route.name.cmp(&b.route.name))
    });
    let mut rest = candidates;
    while let Some(first) = rest.first() {
        let limit = first.index() * (1.0 + TIE);
        let equals = rest.iter().take_while(|candidate| candidate.index() <= limit).count();
        rest[..equals].sort_by(|a, b| {
            let by_chance = if b.cost == Usd::ZERO { b.chance.total_cmp(&a.chance) } else { Ordering::Equal };
            let by_door = a.opens.is_some().cmp(&b.opens.is_some());
            a.cost.cmp(&b.cost).then(by_door).then(by_chance).then_with(|| a.route.name.cmp(&b.route.name))
        });
        rest = &mut rest[equals..];
    }
}

/// The cheapest that is open, unless a cheaper one is worth waiting for.
fn first_open(candidates: &[Candidate<'_>], given: &Circumstances<'_>) -> Choice {
    let mut first_wait = None;
    for candidate in candidates {
        let door = match candidate.opens {
            None => door(candidate.route, given),
            Some(until) => Door::Closed(Waiting::Window, until),
        };
        match door {
            Door::Open => return Choice::Send(candidate.route.clone()),
            Door::Closed(waiting, until) => {
                if is_patient(waiting, until, given) {
                    return Choice::Wait(waiting, until);
                }
                let (first, earliest) = first_wait.unwrap_or((waiting, until));
                first_wait = Some((first, [earliest, until].into_iter().flatten().min()));
            }
        }
    }
    let (waiting, until) = first_wait.expect("a fitting route was open or closed");
    Choice::Wait(waiting, until)
}

/// What a route says to an item: trouble comes before plans, and plans before a crowd.
fn door(route: &Route, given: &Circumstances<'_>) -> Door {
    let now = (given.door)(route);
    match (given.plan, &now) {
        (Some(plan), Door::Open) => plan.door(route),
        (Some(plan), Door::Closed(Waiting::RateLimit, _)) => match plan.door(route) {
            Door::Open => now,
            closed => closed,
        },
        _ => now,
    }
}

/// Whether an item waits for a closed route although a dearer one may be open. A busy route frees itself
/// soon, unless the provider named a long time; a cheaper hour is waited for while the deadline allows.
fn is_patient(waiting: Waiting, until: Option<Timestamp>, given: &Circumstances<'_>) -> bool {
    let latest = match waiting {
        Waiting::RateLimit => given.now + LONGEST_QUEUE,
        Waiting::Window => given.wait_until,
        _ => return false,
    };
    let in_time = match until {
        Some(until) => until <= latest,
        None => waiting == Waiting::RateLimit,
    };
    in_time && given.when != When::Asap && !given.urgent && given.plan.is_none()
}

/// A route that would take the item.
struct Candidate<'a> {
    route: &'a Arc<Route>,
    /// Until when it is closed by its hours or waits for a cheaper one; `None` where it is not.
    opens: Option<Option<Timestamp>>,
    /// What the attempt probably costs at the hour in which it would run.
    cost: Usd,
    /// How likely its answer is to pass, at best.
    chance: f64,
    /// What its account gives for nothing is used up for now, and it costs money nobody is to pay.
    is_used_up: bool,
    /// It passes next to nothing.
    is_hopeless: bool,
}

impl<'a> Candidate<'a> {
    fn new(route: &'a Arc<Route>, place: usize, item: &Item, given: &Circumstances<'_>) -> Candidate<'a> {
        let cover = (given.cover)(route, item);
        let opens = match cover {
            Cover::UsedUp(until) => Some(until),
            Cover::Soon(at) if is_patient(Waiting::Window, Some(at), given) => Some(Some(at)),
            // No hour is cheaper than one that costs nothing.
            Cover::Whole if route.hours.is_open(given.now) => None,
            _ => closed_until(route, item, given),
        };
        let sent_at = opens.flatten().filter(|&at| at <= given.wait_until).unwrap_or(given.now);
        let cost = match cover {
            // Others go on meanwhile, whatever they cost.
            Cover::UsedUp(_) => DEARER_THAN_ANY,
            Cover::Whole => Usd::ZERO,
            Cover::Soon(at) if opens == Some(Some(at)) => Usd::ZERO,
            _ => cost_at(route, item, sent_at, given),
        };
        let is_used_up = matches!(cover, Cover::UsedUp(_));
        let (chance, is_out) = given.taught.map_or((1.0, false), |taught| taught.chance(place));
        let is_hopeless = is_out || cost == Usd::ZERO && chance < LEAST_FOR_FREE;
        Candidate { route, opens, cost, chance, is_used_up, is_hopeless }
    }

    /// Dollars for one expected success.
    fn index(&self) -> f64 {
        self.cost.as_f64() / self.chance
    }
}

impl Taught<'_> {
    /// Whether the model of a route has failed the item.
    fn has_failed(&self, place: usize) -> bool {
        self.spent != Spent::NONE && self.models[place].is_some_and(|model| self.spent.has(model))
    }

    /// The chance of a route's model at best, and whether it is out.
    fn chance(&self, place: usize) -> (f64, bool) {
        match (self.odds, self.models[place]) {
            (Some(odds), Some(model)) => {
                (odds.upper(model, self.spent).max(f64::MIN_POSITIVE), odds.is_out(model))
            }
            _ => (1.0, false),
        }
    }
}

/// Why a route does not take an item, whatever the hour.
enum Obstacle {
    TooLong,
    /// The item asks for what the route does not have.
    Item(String),
    /// A key, a price or a setting is missing.
    Settings(String),
}

fn obstacle(route: &Route, item: &Item, allow_unpriced: bool, capped: bool) -> Option<Obstacle> {
    let never = |reason: &str| Some(Obstacle::Item(reason.to_owned()));
    let unset = |reason: &str| Some(Obstacle::Settings(reason.to_owned()));
    if let Some(reason) = &route.unusable {
        return unset(reason);
    }
    if let Some(reason) = translate::obstacle(item, route) {
        return never(&reason);
    }
    if matches!(&*route.lane, FLEX | BATCH) && names_its_tier(item) {
        return never("the request names a service tier itself");
    }
    if let Some(features) = &route.features {
        let Needs { tools, vision, json_schema } = item.needs;
        for (needed, has, name) in [
            (tools, features.tools, "tools"),
            (vision, features.vision, "images"),
            (json_schema, features.json_schema, "JSON schema answers"),
        ] {
            if needed && !has {
                return never(&format!("the model has no {name}"));
            }
        }
    }
    if route.prices.is_none() && !allow_unpriced {
        return unset("its price is unknown; set one in [models] or pass --allow-unpriced");
    }
    if capped && price::worst_case(route, item).is_none() && !allow_unpriced {
        return never("its worst case is unknown; set max_tokens in the request");
    }
    if is_too_long(route, item) {
        return Some(Obstacle::TooLong);
    }
    None
}

/// Whether a request asks for a tier; one that only speaks of it in its text is taken to.
fn names_its_tier(item: &Item) -> bool {
    const NAME: &[u8] = b"\"service_tier\"";
    item.body.json.windows(NAME.len()).any(|part| part == NAME)
}

fn is_too_long(route: &Route, item: &Item) -> bool {
    let prompt = u64::from(item.input_tokens);
    let output = u64::from(item.max_output.unwrap_or(0)) / u64::from(item.choices.max(1));
    route.context.is_some_and(|context| prompt + output > context)
}

fn cost_at(route: &Route, item: &Item, at: Timestamp, given: &Circumstances<'_>) -> Usd {
    price::expected(route, item, at, &given.known).unwrap_or(Usd::ZERO)
}

/// Hours in which nothing may be sent, and hours not worth sending in: until when.
fn closed_until(route: &Route, item: &Item, given: &Circumstances<'_>) -> Option<Option<Timestamp>> {
    let now = given.now;
    if !route.hours.is_open(now) {
        return Some(route.hours.next_change(now));
    }
    let table = route.prices.as_ref().filter(|table| !table.windows.is_empty())?;
    if given.plan.is_some() || given.when == When::Asap || table.at(now).1 == table.cheapest() {
        return None;
    }
    match given.when {
        When::OffPeak => next_cheaper(route, item, given, now + LONGEST_CYCLE).map(Some),
        _ if given.urgent => None,
        _ => next_cheaper(route, item, given, given.wait_until).map(Some),
    }
}

/// The next moment up to `latest` at which the item would cost less than it does now. The next hour with
/// another price may be a dearer one.
fn next_cheaper(
    route: &Route,
    item: &Item,
    given: &Circumstances<'_>,
    latest: Timestamp,
) -> Option<Timestamp> {
    let now = given.now;
    let table = route.prices.as_ref()?;
    let cost = cost_at(route, item, now, given);
    let mut at = now;
    for _ in 0..MOST_CHANGES {
        at = table.next_change(at).filter(|&at| at <= latest)?;
        if cost_at(route, item, at, given) < cost {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests;
