//! What the planner is told: how much work there is, which routes can do it, at what price and pace.
//!
//! Items of a class are exchangeable, so a [`Work`] holds counts. A [`Way`] is one route a work's
//! attempts can take; what its attempts cost is a list of [`Span`]s, and where there is no span the
//! route is closed. Ceilings are [`Pace`]s on *meters*: a route is a meter, an account is one, and
//! ways that name the same meter share its hours.
//!
//! Pure.

use std::time::Duration;

use super::batch::DoneBy;
use crate::clock::Timestamp;
use crate::job::When;

/// Everything that waits, and everything that can take it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The moment of planning.
    pub now: Timestamp,
    /// Work in any order, but a work comes before the one it feeds.
    pub works: Vec<Work>,
}

/// The items of one class on one step of their ladder.
#[derive(Clone, Debug)]
pub struct Work {
    /// Higher goes first.
    pub priority: i16,
    /// Items that could be sent.
    pub pending: u64,
    /// Items sent and not answered, those in provider batches aside.
    pub in_flight: u64,
    /// Where items go whose answer fails.
    pub feeds: Option<Feed>,
    /// When all must be done; where there is none, cheaper hours of the next day are waited for.
    pub deadline: Option<Timestamp>,
    /// Whether waiting for a cheaper hour is wanted.
    pub when: When,
    /// What one more unsolved item costs, in dollars, where nothing is fed: the stop price, or 0.
    pub worth: f64,
    /// The routes of the step.
    pub ways: Vec<Way>,
    /// Lines out in provider batches.
    pub batches: Vec<Batch>,
}

/// Where failed items go.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// The index of a later work.
    pub work: usize,
    /// The share of failed items that go there; the others are given up.
    pub share: f64,
}

/// One route that a work's attempts can take.
#[derive(Clone, Debug)]
pub struct Way {
    /// The caller's number for the route.
    pub route: usize,
    /// How it is sent.
    pub lane: Lane,
    /// The chance that an answer passes its check.
    pub pass: f64,
    /// Attempts behind `pass` and the paces; 0 where both are assumed.
    pub attempts: u64,
    /// What an attempt costs when it is sent in a span; closed between them.
    pub spans: Vec<Span>,
    /// Attempts an hour, on each meter they count against.
    pub paces: Vec<Pace>,
}

/// How a way sends.
#[derive(Clone, Debug)]
pub enum Lane {
    /// Answered in seconds, as fast as quotas allow.
    Realtime,
    /// The same for less, when the provider has room: nothing that must be done relies on it.
    Flex,
    /// Provider batches, done when the provider likes.
    Batch(DoneBy),
}

/// Hours with one price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Dollars an attempt is expected to cost.
    pub cost: f64,
}

/// How fast a way can go if it has a meter for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The caller's number for what is limited: a route, an account.
    pub meter: usize,
    /// Attempts an hour.
    pub per_hour: f64,
}

/// A provider batch that is out.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The way it went, of the work's own.
    pub way: usize,
    /// Lines without an answer.
    pub lines: u64,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The share of its lines the provider says are done.
    pub done: f64,
}

impl Way {
    /// Whether its numbers can be planned with; a way that is not counts as closed.
    pub(super) fn is_sound(&self) -> bool {
        let priced = self.spans.iter().all(|span| span.cost.is_finite() && span.cost >= 0.0);
        let paced = self.paces.iter().all(|pace| pace.per_hour > 1e-6);
        priced && paced && self.pass.is_finite()
    }

    pub(super) fn done_by(&self) -> Option<&DoneBy> {
        match &self.lane {
            Lane::Batch(done_by) => Some(done_by),
            Lane::Realtime | Lane::Flex => None,
        }
    }

    /// The chance of a pass, less what chance alone can make of so few attempts.
    pub(super) fn least_pass(&self) -> f64 {
        let pass = self.pass.clamp(0.0, 1.0);
        let doubt = (pass * (1.0 - pass) / (self.attempts as f64 + 4.0)).sqrt();
        (pass - 1.64 * doubt).max(0.0)
    }
}

/// Attempts an hour under ceilings a minute: requests, tokens, and calls at once of a mean length.
pub fn per_hour(rpm: Option<f64>, tpm: Option<f64>, tokens: f64, concurrency: f64, latency: Duration) -> f64 {
    let by_requests = rpm.unwrap_or(f64::INFINITY) * 60.0;
    let by_tokens = tpm.map_or(f64::INFINITY, |tpm| tpm * 60.0 / tokens.max(1.0));
    let by_calls = concurrency * 3_600.0 / latency.as_secs_f64().max(1e-3);
    by_requests.min(by_tokens).min(by_calls)
}
