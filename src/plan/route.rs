//! Which route of a step gets an item, or what the item waits for.
//!
//! Eligible routes are compared by what the attempt probably costs at this hour; the cheapest gets
//! the item. While the deadline is far, an item rather waits for the cheapest route than spills to a
//! dearer one that happens to be idle; with `when = asap`, or the deadline near, it takes any.
//!
//! Pure.

use std::sync::Arc;

use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{Item, Needs, When};
use crate::money::Usd;
use crate::plan::price;
use crate::view::Waiting;

/// What a route says to an item at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// It may be sent.
    Open,
    /// Not now.
    Closed(Waiting, Option<Timestamp>),
}

/// What the caller knows beyond route and item.
pub struct Circumstances<'a> {
    /// Now.
    pub now: Timestamp,
    /// When to send, as the job asks.
    pub when: When,
    /// Whether waiting would miss the deadline.
    pub urgent: bool,
    /// Until when a cheaper hour is worth waiting for.
    pub wait_until: Timestamp,
    /// Whether unknown prices are allowed.
    pub allow_unpriced: bool,
    /// Whether a budget applies, so that unknown prices are not eligible.
    pub capped: bool,
    /// Health and quotas of a route.
    pub door: &'a dyn Fn(&Route) -> Door,
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
    /// No route of the step takes it, in words.
    Never {
        /// Route by route.
        why: String,
        /// A key, a price or a setting would help; otherwise the item itself does not fit.
        can_be_mended: bool,
    },
}

/// Chooses among the routes of one step.
pub fn choose(routes: &[Arc<Route>], item: &Item, given: &Circumstances<'_>) -> Choice {
    let mut reasons = Vec::new();
    let mut fitting = Vec::new();
    let (mut too_long, mut can_be_mended) = (false, routes.is_empty());
    for route in routes {
        match obstacle(route, item, given) {
            None => fitting.push((cost_now(route, item, given.now), route)),
            Some(Obstacle::TooLong) => too_long = true,
            Some(Obstacle::Item(reason)) => reasons.push(format!("{}: {reason}", route.name)),
            Some(Obstacle::Settings(reason)) => {
                can_be_mended = true;
                reasons.push(format!("{}: {reason}", route.name));
            }
        }
    }
    if fitting.is_empty() {
        if routes.is_empty() {
            reasons.push("no provider in the config serves its models".to_owned());
        }
        let why = reasons.join("; ");
        return if too_long { Choice::TooLong } else { Choice::Never { why, can_be_mended } };
    }
    fitting.sort_by(|(cost, route), (other_cost, other)| (cost, &route.name).cmp(&(other_cost, &other.name)));
    let mut first_wait = None;
    for (_, route) in fitting {
        let door = match hours(route, given) {
            Door::Open => (given.door)(route),
            closed @ Door::Closed(..) => closed,
        };
        match door {
            Door::Open => return Choice::Send(route.clone()),
            Door::Closed(waiting, until) => {
                // A busy route frees itself soon: waiting for it is how the cheapest stays the choice.
                let patient = waiting == Waiting::RateLimit && given.when != When::Asap && !given.urgent;
                if patient {
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

/// Why a route does not take an item, whatever the hour.
enum Obstacle {
    TooLong,
    /// The item asks for what the route does not have.
    Item(String),
    /// A key, a price or a setting is missing.
    Settings(String),
}

fn obstacle(route: &Route, item: &Item, given: &Circumstances<'_>) -> Option<Obstacle> {
    let never = |reason: &str| Some(Obstacle::Item(reason.to_owned()));
    let unset = |reason: &str| Some(Obstacle::Settings(reason.to_owned()));
    if let Some(reason) = &route.unusable {
        return unset(reason);
    }
    if !route.wires.contains(&item.wire) {
        return never("its endpoint does not take this kind of request");
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
    if route.prices.is_none() && !given.allow_unpriced {
        return unset("its price is unknown; set one in [models] or pass --allow-unpriced");
    }
    if given.capped && price::worst_case(route, item).is_none() && !given.allow_unpriced {
        return never("its worst case is unknown; set max_tokens in the request");
    }
    let prompt = u64::from(item.input_tokens);
    let output = u64::from(item.max_output.unwrap_or(0)) / u64::from(item.choices.max(1));
    if route.context.is_some_and(|context| prompt + output > context) {
        return Some(Obstacle::TooLong);
    }
    None
}

fn cost_now(route: &Route, item: &Item, now: Timestamp) -> Usd {
    price::expected(route, item, now).unwrap_or(Usd::ZERO)
}

/// Hours in which we may send, and hours worth waiting for.
fn hours(route: &Route, given: &Circumstances<'_>) -> Door {
    if !route.hours.is_open(given.now) {
        return Door::Closed(Waiting::Window, route.hours.next_change(given.now));
    }
    let Some(table) = route.prices.as_ref().filter(|table| !table.windows.is_empty()) else {
        return Door::Open;
    };
    let cheap_now = table.at(given.now).1 == table.cheapest();
    if cheap_now || given.when == When::Asap {
        return Door::Open;
    }
    let next = table.next_change(given.now);
    let worth_it = !given.urgent && next.is_some_and(|next| next <= given.wait_until);
    if given.when == When::OffPeak || worth_it {
        return Door::Closed(Waiting::Window, next);
    }
    Door::Open
}
