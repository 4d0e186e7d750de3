//! Budgets of a night: drawn tight enough to bite, some around a midnight, and judged by the provider's
//! own ledger.
//!
//! Which budgets a request touches is worked out here once more, from the job and the item as they were
//! submitted and from the calendar of the zone, not from what the engine wrote down about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono_tz::Tz;
use overnight::clock::Timestamp;
use overnight::engine::{Event, Notice};
use overnight::job::{AttemptId, ItemIndex};
use overnight::ledger::{Budgets, Caps, Day, Limits, Period, Scope, Zone};
use overnight::money::Usd;
use overnight::provider::simulated::{Fault, Line};
use overnight::view::Waiting;

use super::chance::Chance;
use super::invariants::attempt;
use super::world::{Submission, World};

/// Midnights: plain ones, ends of a month and of a year, a day of 25 hours and one of 23, a midnight that
/// is skipped and one that comes twice.
const MIDNIGHTS: [(&str, &str); 8] = [
    ("UTC", "2026-11-22T00:00:00Z"),
    ("Asia/Kolkata", "2026-11-21T18:30:00Z"),
    ("Europe/Berlin", "2026-11-30T23:00:00Z"),
    ("Asia/Tokyo", "2026-12-31T15:00:00Z"),
    ("Europe/Berlin", "2026-10-25T23:00:00Z"),
    ("Europe/Berlin", "2027-03-27T23:00:00Z"),
    ("Asia/Beirut", "2027-03-27T22:00:00Z"),
    ("America/Havana", "2026-11-01T04:00:00Z"),
];

/// Tags that some jobs and some items carry.
const TAGS: [&str; 3] = ["team=search", "team=ads", "app=web"];

/// Renewals that a job may wait for before somebody takes its budgets away.
const MOST_RENEWALS: u32 = 6;

/// Budgets, and when the night begins for their sake.
pub(super) fn draw(chance: &mut Chance, evening: Timestamp, peak: bool) -> (Option<Limits>, Timestamp) {
    if !chance.hit(0.5) {
        return (None, evening);
    }
    let (zone, midnight) = MIDNIGHTS[chance.below(MIDNIGHTS.len() as u64) as usize];
    let midnight: Timestamp = midnight.parse().expect("a moment of the table");
    let ahead = std::time::Duration::from_millis(chance.below(15_000));
    // Hours of prices are fixed to the usual evening.
    let begins = if peak || chance.hit(0.2) { evening } else { midnight - ahead };
    let limits = Limits {
        zone: Zone(zone.parse().expect("a zone of the table")),
        process: caps(chance, 6_000_000_000),
        tags: TAGS.iter().map(|&tag| (Arc::from(tag), caps(chance, 3_000_000_000))).collect(),
        ..Limits::default()
    };
    (Some(limits), begins)
}

fn caps(chance: &mut Chance, most: u64) -> Caps {
    let mut cap = |share: f64, most: u64| {
        chance.hit(share).then(|| Usd::from_pico(100_000_000 + i128::from(chance.below(most))))
    };
    Caps { day: cap(0.5, most), month: cap(0.25, 3 * most), total: cap(0.15, 6 * most) }
}

/// Other budgets, as a person may write them into the config between two runs.
pub(super) fn redrawn(chance: &mut Chance, limits: &Limits) -> Limits {
    let process = caps(chance, 6_000_000_000);
    let tags = limits.tags.keys().map(|tag| (tag.clone(), caps(chance, 3_000_000_000))).collect();
    Limits { process, tags, ..limits.clone() }
}

/// What was seen of money so far.
#[derive(Default)]
pub(super) struct Purse {
    log_seen: usize,
    /// What the provider billed, by whose money it was and when it was sent; bills we are not to know aside.
    billed: BTreeMap<(Scope, String), Usd>,
    /// The largest budget there ever was; those that were once unlimited are not listed.
    most: BTreeMap<(Scope, &'static str), Usd>,
    known: Option<Limits>,
    /// Somebody made a budget smaller than what it had already cost.
    changed: bool,
    renewals: u32,
    /// Times that a budget, not a cap of a job, stopped everything.
    pub(super) stopped: u64,
    /// Alerts by what they say.
    told: BTreeMap<String, u32>,
    told_seen: usize,
}

impl Purse {
    /// After every step.
    pub(super) fn look(&mut self, world: &World) {
        let budgets = &world.night.engine.ledger().globals.budgets;
        self.learn(budgets.limits());
        self.reservations(world, budgets);
        let day = Day::of(world.seen_now(), budgets.limits().zone.0);
        for (scope, period, limit, sums) in budgets.all(day) {
            let Some(limit) = limit.filter(|_| !self.changed) else { continue };
            assert!(
                sums.committed() <= limit,
                "I9: {} committed of {limit} for {scope} in {period}",
                sums.committed()
            );
        }
        let log = world.night.provider.log();
        for line in &log[self.log_seen..] {
            self.charge(world, line, budgets.limits().zone.0);
        }
        self.log_seen = log.len();
        for notice in &world.night.notices[self.told_seen..] {
            if let Notice::Budget(alert) = notice {
                let told = format!("{} {} {}% of {}", alert.scope, alert.period, alert.percent, alert.limit);
                *self.told.entry(told).or_default() += 1;
            }
        }
        self.told_seen = world.night.notices.len();
    }

    /// A budget that nothing but time or a person renews: time passes for a while, then a person comes.
    /// Returns whether it was a budget, not the cap of a job.
    pub(super) fn help(&mut self, world: &mut World, until: Option<Timestamp>) -> bool {
        let Some(limits) = self.known.clone().filter(|limits| !limits.is_none()) else { return false };
        if is_soon(world, until) && self.renewals < MOST_RENEWALS {
            self.renewals += 1;
            self.stopped += 1;
            return true;
        }
        self.stopped += u64::from(until.is_some());
        world.set_limits(Limits { zone: limits.zone, ..Limits::default() });
        false
    }

    /// A night is not to wait for many midnights.
    pub(super) fn hurry(&mut self, world: &mut World) {
        if world.limits.is_none() || world.night.engine.in_flight() > 0 {
            return;
        }
        let views = world.night.engine.views(world.night.now());
        let stuck = views.iter().filter(|view| view.waiting.contains_key(&Waiting::Budget));
        if let Some(until) = stuck.filter_map(|view| view.waiting_until).min() {
            self.help(world, Some(until));
        }
    }

    /// When all is over: every account is what its attempts cost.
    pub(super) fn end(&self, world: &World, cuts: u64) {
        let budgets = &world.night.engine.ledger().globals.budgets;
        assert_eq!(budgets.open().count(), 0, "I9: every reservation is settled");
        let zone = budgets.limits().zone.0;
        let mut expected: BTreeMap<(Scope, String), (Usd, Usd)> = BTreeMap::new();
        let mut periods = BTreeSet::new();
        for submission in &world.jobs {
            for row in world.night.rows.committed(&submission.job.id).attempts {
                // It was queued when its money was promised.
                periods.extend(periods_of(row.queued_at, zone));
                for key in keys(submission, row.item, row.queued_at, zone) {
                    let (spent, at_risk) = expected.entry(key).or_default();
                    *spent += if row.at_risk == Usd::ZERO { row.cost } else { Usd::ZERO };
                    *at_risk += row.at_risk;
                }
            }
        }
        let n_days = periods.iter().filter(|period| matches!(period, Period::Day(_))).count();
        let shown: BTreeMap<String, Period> =
            periods.into_iter().map(|period| (period.to_string(), period)).collect();
        for ((scope, of), (spent, at_risk)) in expected {
            if of != "total" && n_days > 3 {
                continue;
            }
            let found = budgets.sums(&scope, shown[&of]);
            assert_eq!((found.spent, found.at_risk), (spent, at_risk), "I9: {scope} in {of}");
            assert_eq!(found.reserved, Usd::ZERO, "I9: {scope} in {of} holds what is over");
        }
        for (told, &times) in &self.told {
            assert!(u64::from(times) <= 1 + cuts || self.changed, "I9: {told} was told {times} times");
        }
    }

    /// Days in which something was billed.
    pub(super) fn days(&self) -> usize {
        self.billed.keys().filter(|(scope, of)| *scope == Scope::Process && of.len() == 10).count()
    }

    /// Alerts that were told.
    pub(super) fn alerts(&self) -> u64 {
        self.told.values().map(|&times| u64::from(times)).sum()
    }

    /// Each attempt in flight holds one reservation, and nothing else does.
    fn reservations(&self, world: &World, budgets: &Budgets) {
        let held: BTreeMap<AttemptId, Usd> =
            budgets.open().map(|(attempt, reservation)| (attempt, reservation.amount)).collect();
        let jobs = world.night.engine.ledger().jobs();
        let open: BTreeMap<AttemptId, Usd> = jobs
            .flat_map(|(_, state)| state.open.iter().map(|(&attempt, open)| (attempt, open.worst_case)))
            .collect();
        assert_eq!(held, open, "I9: reservations are those of the attempts in flight");
    }

    fn learn(&mut self, limits: &Limits) {
        if self.known.as_ref() == Some(limits) {
            return;
        }
        let first = self.known.is_none();
        self.changed |= !first;
        let tags = limits.tags.iter().map(|(tag, caps)| (Scope::Tag(tag.clone()), *caps));
        let scopes = [(Scope::Process, limits.process)].into_iter().chain(tags);
        let limited = scopes.flat_map(|(scope, caps)| {
            let caps = [("day", caps.day), ("month", caps.month), ("total", caps.total)];
            caps.map(|(period, limit)| Some(((scope.clone(), period), limit?)))
        });
        let before = std::mem::take(&mut self.most);
        for (key, limit) in limited.flatten() {
            // What was unlimited for a while may have cost anything.
            let most = if first { Some(limit) } else { before.get(&key).map(|&most| most.max(limit)) };
            self.most.extend(most.map(|most| (key, most)));
        }
        self.known = Some(limits.clone());
    }

    /// The provider was asked for something: its bill counts where we promised it.
    fn charge(&mut self, world: &World, line: &Line, zone: Tz) {
        let started = world.night.rows.started.get(&attempt(line));
        let started =
            started.unwrap_or_else(|| panic!("I4: {} was sent before its record was durable", attempt(line)));
        let submission = world.jobs.iter().find(|submission| submission.job.id == started.job);
        let submission = submission.expect("attempts are of jobs that were submitted");
        // A server error after billing is presumed not billed.
        if line.fault == Some(Fault::ServerErrorBilled) {
            return;
        }
        // An allowance may pay for it; what it did not pay for is in the sums of the rows at the end.
        if started.drawing.is_some() {
            return;
        }
        for key in keys(submission, started.item, started.at, zone) {
            let sum = self.billed.entry(key.clone()).or_default();
            *sum += line.billed;
            let (scope, of) = key;
            let period = match of.len() {
                10 => "day",
                7 => "month",
                _ => "total",
            };
            if let Some(most) = self.most.get(&(scope.clone(), period)) {
                assert!(*sum <= *most, "I9: {sum} billed for {scope} in {of}, over the budget of {most}");
            }
        }
    }
}

fn is_soon(world: &World, until: Option<Timestamp>) -> bool {
    until.is_some_and(|at| at.since(world.night.now()) < 2 * super::A_DAY)
}

/// Whose money a request is and in which time, by its job, its item and the calendar.
fn keys(submission: &Submission, item: ItemIndex, at: Timestamp, zone: Tz) -> Vec<(Scope, String)> {
    let mut tags = submission.job.options.tags.clone();
    if let Some(own) = &submission.items[item as usize].options {
        tags.extend(own.tags.clone());
    }
    let tags = tags.iter().map(|(key, value)| Scope::Tag(format!("{key}={value}").into()));
    let local = at.utc().with_timezone(&zone);
    let periods = [local.format("%Y-%m-%d"), local.format("%Y-%m")].map(|date| date.to_string());
    let periods = || periods.iter().cloned().chain(["total".to_owned()]);
    [Scope::Process]
        .into_iter()
        .chain(tags)
        .flat_map(|scope| periods().map(move |of| (scope.clone(), of)))
        .collect()
}

fn periods_of(at: Timestamp, zone: Tz) -> [Period; 3] {
    let day = Day::of(at, zone);
    [Period::Day(day), Period::Month(day.month()), Period::Total]
}

impl World {
    /// The config is read: at the start, and again after each restart.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = Some(limits.clone());
        self.night.event(Event::Budgets(Box::new(limits))).expect("no cut is planned");
    }
}
