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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::hours::Hours;
    use crate::catalog::testing::with_keys;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// (from, until, micro-dollars) on a Monday; DeepSeek's price doubles at 01:00–04:00 and 06:00–10:00.
    fn check(hours: Option<&str>, billed: BilledAt, expected: &[(&str, &str, f64)]) {
        let now = at("2026-11-23T00:00:00Z");
        let route = with_keys(&["deepseek"]).route("deepseek/deepseek-flash", now).unwrap();
        let mut route = Route::clone(&route);
        if let Some(hours) = hours {
            route.hours = Hours::parse(hours).unwrap().calendar().unwrap();
        }
        let usage = Usage { input: 1_000, output: 1_000, ..Usage::default() };
        let spans = spans(&route, &usage, now, at("2026-11-23T12:00:00Z"), billed);
        let day = |time: &str| at(&format!("2026-11-23T{time}:00Z"));
        let found: Vec<_> =
            spans.iter().map(|span| (span.from, span.until, (span.cost * 1e6).round())).collect();
        let expected: Vec<_> =
            expected.iter().map(|&(from, until, cost)| (day(from), day(until), cost)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn prices_change_at_the_windows_edges() {
        check(
            None,
            BilledAt::Start,
            &[
                ("00:00", "01:00", 750.0),
                ("01:00", "04:00", 1_500.0),
                ("04:00", "06:00", 750.0),
                ("06:00", "10:00", 1_500.0),
                ("10:00", "12:00", 750.0),
            ],
        );
    }

    #[test]
    fn closed_hours_have_no_span() {
        check(
            Some("00:30-03:00"),
            BilledAt::Start,
            &[("00:30", "01:00", 750.0), ("01:00", "03:00", 1_500.0)],
        );
    }

    #[test]
    fn billed_at_completion_the_cheap_hour_ends_early() {
        let ten_minutes = BilledAt::End(Duration::from_secs(600));
        check(
            None,
            ten_minutes,
            &[
                ("00:00", "00:50", 750.0),
                ("00:50", "04:00", 1_500.0),
                ("04:00", "05:50", 750.0),
                ("05:50", "10:00", 1_500.0),
                ("10:00", "12:00", 750.0),
            ],
        );
    }
}
