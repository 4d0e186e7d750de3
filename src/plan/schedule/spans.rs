//! A route's hours and prices as [`Span`]s.
//!
//! The price of an attempt is fixed when it is sent. Where a provider bills at completion instead, an
//! attempt sent shortly before an edge may end after it: the last stretch before an edge, as long as
//! nearly every answer takes, then costs the dearer of both prices.
//!
//! Pure.

use std::time::Duration;

use super::problem::Span;
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::money::Usage;

/// Changes of price or hours that are looked at.
const MOST_CHANGES: usize = 1_000;
/// Prices repeat by the week: beyond this they are taken at their dearest.
const CYCLE: Duration = Duration::from_secs(8 * 24 * 3_600);

/// When a price is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BilledAt {
    /// When the request is sent.
    Start,
    /// When the answer is complete; nearly all take no longer than this.
    End(Duration),
}

/// What an attempt of this usage costs from `now` to `until`; nothing where the price is unknown.
pub fn spans(route: &Route, usage: &Usage, now: Timestamp, until: Timestamp, billed: BilledAt) -> Vec<Span> {
    let Some(table) = &route.prices else { return Vec::new() };
    let cost = |at| table.at(at).1.cost(usage).as_f64();
    let last = until.min(now + CYCLE);
    let mut all = Vec::new();
    let mut from = now;
    for _ in 0..MOST_CHANGES {
        if from >= last {
            break;
        }
        let (open, hours_until) = route.hours.open_until(from);
        let price_until = table.next_change(from).unwrap_or(Timestamp::MAX);
        let to = hours_until.min(price_until).min(last);
        if open {
            push(&mut all, Span { from, until: to, cost: cost(from) });
        }
        from = to;
    }
    if from < until {
        push(&mut all, Span { from, until, cost: table.dearest().cost(usage).as_f64() });
    }
    match billed {
        BilledAt::Start => all,
        BilledAt::End(latency) => billed_at_end(&all, latency),
    }
}

fn push(all: &mut Vec<Span>, span: Span) {
    match all.last_mut() {
        Some(last) if last.until == span.from && last.cost == span.cost => last.until = span.until,
        _ => all.push(span),
    }
}

fn billed_at_end(all: &[Span], latency: Duration) -> Vec<Span> {
    let mut shifted = Vec::new();
    for (at, &span) in all.iter().enumerate() {
        let next = all.get(at + 1).filter(|next| next.from == span.until && next.cost > span.cost);
        let Some(next) = next else {
            push(&mut shifted, span);
            continue;
        };
        let edge = (span.until - latency).max(span.from);
        if edge > span.from {
            push(&mut shifted, Span { until: edge, ..span });
        }
        push(&mut shifted, Span { from: edge, until: span.until, cost: next.cost });
    }
    shifted
}
