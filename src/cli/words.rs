//! A job in words: the pieces that `status`, `watch` and `run` share.
//!
//! Everything is said from a [`JobView`] and `now`; nothing is guessed that the view does not hold.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::format::{self, Zone, count};
use super::style::{Line, Paint, left, right};
use crate::clock::Timestamp;
use crate::view::{JobView, RouteView, Waiting};

/// What a rendering needs beside the view.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The present moment.
    pub now: Timestamp,
    /// The zone times are shown in.
    pub zone: Zone,
}

impl Setting {
    /// A moment near now, with its offset.
    pub fn moment(&self, time: Timestamp) -> String {
        format::moment(time, self.now, self.zone)
    }
}

/// How a job stands with its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has none.
    Free,
    /// Over in time, with this much left.
    Met(Duration),
    /// Over too late, by this much.
    Missed(Duration),
    /// Expected to be over in time.
    OnTrack(Duration),
    /// Needs this long, has this long.
    AtRisk(Duration, Duration),
    /// The deadline passed this long ago and items are left.
    Late(Duration),
    /// Nothing can be said yet.
    Open,
}

/// How a job stands with its deadline.
pub fn standing(view: &JobView, now: Timestamp) -> Standing {
    let Some(deadline) = view.deadline_at else { return Standing::Free };
    if let Some(finished) = view.finished_at {
        return match view.counts.expired == 0 && finished <= deadline {
            true => Standing::Met(deadline.since(finished)),
            false => Standing::Missed(finished.since(deadline)),
        };
    }
    match view.eta {
        _ if now > deadline => Standing::Late(now.since(deadline)),
        Some(eta) if eta <= deadline => Standing::OnTrack(deadline.since(eta)),
        Some(eta) => Standing::AtRisk(eta.since(now), deadline.since(now)),
        None => Standing::Open,
    }
}

/// The deadline column: `18:00 UTC  on track`.
pub fn deadline(view: &JobView, setting: &Setting) -> (Paint, String) {
    let time = view.deadline_at.map(|at| setting.moment(at)).unwrap_or_default();
    let rough = format::rough;
    match standing(view, setting.now) {
        Standing::Free => (Paint::Faint, "-".to_owned()),
        Standing::Met(early) => (Paint::Good, format!("met, {} early", rough(early))),
        Standing::Missed(late) if late.is_zero() => (Paint::Bad, "missed".to_owned()),
        Standing::Missed(late) => (Paint::Bad, format!("missed by {}", rough(late))),
        Standing::OnTrack(_) => (Paint::Plain, format!("{time}  on track")),
        Standing::AtRisk(needs, has) => {
            (Paint::Warn, format!("{time}  at risk: needs {}, has {}", rough(needs), rough(has)))
        }
        Standing::Late(late) => (Paint::Bad, format!("{time}  late by {}", rough(late))),
        Standing::Open => (Paint::Plain, time),
    }
}

/// When it will be over: `ETA 10:50 (7h10m early)`; nothing where that is not known.
pub fn eta(view: &JobView, setting: &Setting) -> Option<(Paint, String)> {
    let eta = view.eta.filter(|_| view.finished_at.is_none())?;
    let time = format::clock_time(eta, setting.now, setting.zone);
    Some(match standing(view, setting.now) {
        Standing::OnTrack(early) => (Paint::Good, format!("ETA {time} ({} early)", format::rough(early))),
        Standing::AtRisk(needs, has) => {
            (Paint::Warn, format!("ETA {time} ({} late)", format::rough(needs.saturating_sub(has))))
        }
        Standing::Late(_) => (Paint::Bad, format!("ETA {time} (the deadline passed)")),
        _ => (Paint::Plain, format!("ETA {time}")),
    })
}

/// Spent and cap: `$2.73 / $5.00`.
pub fn spent_of_cap(view: &JobView) -> String {
    match view.max_cost_usd {
        Some(cap) => format!("{} / {}", format::total(view.cost_usd), format::total(cap)),
        None => format!("{} / -", format::total(view.cost_usd)),
    }
}

/// What most of its items wait for: `window: opens 22:00 UTC`; `-` where none waits.
pub fn waiting_for(view: &JobView) -> String {
    if view.paused && view.finished_at.is_none() {
        return "paused".to_owned();
    }
    let most = view.waiting.iter().max_by_key(|&(reason, n)| (n, std::cmp::Reverse(reason)));
    match (most, &view.waiting_for) {
        (Some((reason, _)), Some(words)) => format!("{}: {words}", reason.as_str()),
        (Some((reason, _)), None) => reason.as_str().to_owned(),
        (None, Some(words)) => words.clone(),
        (None, None) if view.counts.held > 0 => "held: an outcome is unknown".to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// Items by phase: `ok 13,061   failed 12   running 131   waiting 6,796: rate_limit 5,990 · backoff 806`.
pub fn counts(view: &JobView) -> Line {
    let counts = &view.counts;
    let mut line = Line::new().text("  ok ").add(Paint::Good, count(counts.succeeded));
    for (word, n, paint) in [
        ("failed", counts.failed, Paint::Bad),
        ("expired", counts.expired, Paint::Bad),
        ("cancelled", counts.cancelled, Paint::Warn),
        ("held", counts.held, Paint::Warn),
        ("running", counts.running, Paint::Plain),
    ] {
        if n > 0 {
            line = line.text(format!("   {word} ")).add(paint, count(n));
        }
    }
    if counts.pending == 0 {
        return line;
    }
    let line = line.text(format!("   waiting {}", count(counts.pending)));
    match (reasons(&view.waiting), &view.waiting_for) {
        (reasons, Some(words)) if reasons.is_empty() => line.text(format!(": {words}")),
        (reasons, _) if reasons.is_empty() => line,
        (reasons, Some(words)) => line.text(format!(": {reasons}")).add(Paint::Faint, format!(" ({words})")),
        (reasons, None) => line.text(format!(": {reasons}")),
    }
}

fn reasons(waiting: &BTreeMap<Waiting, u32>) -> String {
    let counted: BTreeMap<String, u64> =
        waiting.iter().map(|(reason, &n)| (reason.as_str().to_owned(), u64::from(n))).collect();
    by_count(&counted)
}

/// `schema_mismatch 401 · truncated 139`, the most frequent first.
pub fn by_count(codes: &BTreeMap<String, u64>) -> String {
    let mut codes: Vec<(&String, &u64)> = codes.iter().filter(|&(_, &n)| n > 0).collect();
    codes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let words: Vec<String> = codes.iter().map(|(code, n)| format!("{code} {}", count(**n))).collect();
    words.join(" · ")
}

/// One line a route: answers, latency, cost per success, price window, what went wrong.
pub fn routes(routes: &[RouteView], setting: &Setting) -> Vec<Line> {
    use unicode_width::UnicodeWidthStr;
    let name_width = routes.iter().map(|route| route.route.width()).max().unwrap_or(0);
    let cells: Vec<[String; 4]> = routes.iter().map(route_cells).collect();
    let widths: [usize; 4] =
        std::array::from_fn(|i| cells.iter().map(|row| row[i].width()).max().unwrap_or(0));
    let line = |(route, [ok, p50, p95, cost]): (&RouteView, &[String; 4])| {
        let mut line = Line::new()
            .text("  ")
            .add(Paint::Name, left(&route.route, name_width))
            .text(format!("  {}  ", right(ok, widths[0])))
            .text(format!("{}  {}  ", left(p50, widths[1]), left(p95, widths[2])))
            .text(left(cost, widths[3]));
        for (paint, words) in route_notes(route, setting) {
            line = line.text("  ").add(paint, words);
        }
        line
    };
    routes.iter().zip(&cells).map(line).collect()
}

fn route_cells(route: &RouteView) -> [String; 4] {
    let latency = |name: &str, ms: Option<u64>| {
        ms.map_or(String::new(), |ms| format!("{name} {}", format::latency(ms)))
    };
    [
        format!("{} ok", count(route.succeeded)),
        latency("p50", route.p50_ms),
        latency("p95", route.p95_ms),
        route.cost_per_success_usd.map_or(String::new(), |cost| format!("{}/ok", format::usd(cost))),
    ]
}

fn route_notes(route: &RouteView, setting: &Setting) -> Vec<(Paint, String)> {
    let mut notes = Vec::new();
    match (&route.price_window, route.price_until) {
        (Some(window), Some(until)) => {
            notes.push((Paint::Faint, format!("{window} until {}", setting.moment(until))));
        }
        (Some(window), None) if window != "flat" => notes.push((Paint::Faint, window.clone())),
        _ => {}
    }
    if !route.rejected.is_empty() {
        let total: u64 = route.rejected.values().sum();
        let total = if route.rejected.len() > 1 { format!("{} ", count(total)) } else { String::new() };
        notes.push((Paint::Warn, format!("{total}rejected: {}", by_count(&route.rejected))));
    }
    if !route.errors.is_empty() {
        notes.push((Paint::Faint, format!("errors: {}", by_count(&route.errors))));
    }
    notes
}

/// `spent $2.73 of $5.00 · expect $4.15 · saved $2.73 against now-prices`.
pub fn money(view: &JobView) -> Line {
    let mut line = Line::new().text("  spent ").add(Paint::Strong, format::total(view.cost_usd));
    if let Some(cap) = view.max_cost_usd {
        line = line.text(format!(" of {}", format::total(cap)));
    }
    if let Some(expected) = expected_cost(view) {
        let over = view.max_cost_usd.is_some_and(|cap| expected > cap);
        line = line
            .text(" · expect ")
            .add(if over { Paint::Warn } else { Paint::Plain }, format::total(expected));
    }
    if view.unknown_attempts > 0 {
        let unknown = format::counted(view.unknown_attempts, "unknown outcome");
        line = line.text(" · ").add(Paint::Warn, format!("{unknown} counted by estimate"));
    }
    let saved = view.list_cost_usd - view.cost_usd;
    if saved >= 0.005 {
        line =
            line.text(" · ").add(Paint::Good, format!("saved {} against now-prices", format::total(saved)));
    }
    line
}

/// What the whole job will have cost if the rest costs what the first items did.
///
/// Nothing is expected of fewer than twenty items: the dearest are not spread evenly.
pub fn expected_cost(view: &JobView) -> Option<f64> {
    let (ended, items) = (view.counts.ended(), view.items);
    let enough = ended >= 20.min(items) && ended > 0;
    (enough && ended < items && view.finished_at.is_none())
        .then(|| view.cost_usd / f64::from(ended) * f64::from(items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples::{self, at};

    fn setting() -> Setting {
        Setting { now: samples::now(), zone: Zone::utc() }
    }

    #[test]
    fn a_deadline_is_told_from_both_sides() {
        let said = |view: &JobView| deadline(view, &setting()).1;
        let mut view = samples::running();
        assert_eq!(said(&view), "18:00 UTC  on track");
        view.eta = Some(at("2026-11-20T19:30:00Z"));
        assert_eq!(said(&view), "18:00 UTC  at risk: needs 8h57m, has 7h27m");
        view.eta = None;
        assert_eq!(said(&view), "18:00 UTC");
        view.deadline_at = Some(at("2026-11-20T10:02:41Z"));
        assert_eq!(said(&view), "10:02 UTC  late by 30m");
        view.deadline_at = None;
        assert_eq!(said(&view), "-");
        assert_eq!(said(&samples::completed()), "met, 3h early");
        view = samples::completed();
        view.finished_at = Some(at("2026-11-20T06:10:00Z"));
        assert_eq!(said(&view), "missed by 10m");
        view.finished_at = Some(at("2026-11-20T05:59:00Z"));
        view.counts.expired = 1;
        assert_eq!(said(&view), "missed");
    }

    #[test]
    fn the_cost_to_come_is_not_guessed_from_a_handful() {
        let mut view = samples::running();
        assert!((expected_cost(&view).unwrap() - 4.1766).abs() < 0.001);
        view.counts = crate::ledger::Counts { succeeded: 19, pending: 19_981, ..Default::default() };
        assert_eq!(expected_cost(&view), None);
        assert_eq!(expected_cost(&samples::completed()), None);
    }

    #[test]
    fn the_reason_most_items_wait_for_is_named() {
        assert_eq!(waiting_for(&samples::running()), "rate_limit");
        assert_eq!(waiting_for(&samples::waiting()), "window: opens 22:00 UTC");
        assert_eq!(waiting_for(&samples::completed()), "-");
        let paused = JobView { paused: true, ..samples::running() };
        assert_eq!(waiting_for(&paused), "paused");
    }

    #[test]
    fn codes_come_most_frequent_first_and_equal_ones_by_name() {
        let codes = BTreeMap::from([("b".into(), 2), ("a".into(), 2), ("c".into(), 1_000), ("d".into(), 0)]);
        assert_eq!(by_count(&codes), "c 1,000 · a 2 · b 2");
    }
}
