//! What happens in a week, drawn from a seed.

use std::time::Duration;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use chrono_tz::Tz;
use overnight::clock::Timestamp;
use overnight::provider::simulated::{Fault, FaultRates, Faults};

use super::calendar::{HOUR, MINUTE, moment};
use crate::nights::chance::Chance;

/// Weeks in the midst of which clocks change: forward, back, and an hour earlier on the day than elsewhere.
const WEEKS: [(&str, &str); 4] = [
    ("Europe/Berlin", "2027-03-24"),
    ("Europe/Berlin", "2026-10-21"),
    ("America/New_York", "2027-03-10"),
    ("America/New_York", "2026-10-28"),
];

/// A schedule as the test knows it.
pub(super) struct Plan {
    pub(super) name: &'static str,
    /// Times of day, and on which days.
    pub(super) times: &'static [(u32, u32)],
    pub(super) days: fn(Weekday) -> bool,
    /// What is missed is left out.
    pub(super) skips: bool,
    /// Items in each of its files.
    pub(super) files: &'static [(&'static str, usize)],
    /// The rest of its entry in the config.
    pub(super) terms: &'static str,
}

const EVERY_DAY: fn(Weekday) -> bool = |_| true;

/// The schedules of every week.
pub(super) const PLANS: [Plan; 7] = [
    Plan {
        name: "nightly",
        times: &[(22, 0)],
        days: EVERY_DAY,
        skips: false,
        files: &[("nightly-a", 14), ("nightly-b", 9)],
        terms: "cron = \"0 22 * * *\"\nmissed = \"run\"\ndeadline = \"10h\"\n\
                models = [[\"alpha/small\", \"beta/small\"], \"alpha/large\"]",
    },
    // In Berlin this minute is skipped in spring and comes twice in autumn; in New York it is skipped.
    Plan {
        name: "half-past-two",
        times: &[(2, 30)],
        days: EVERY_DAY,
        skips: false,
        files: &[("gap", 8)],
        terms: "cron = \"30 2 * * *\"\nmissed = \"run\"\ndeadline = \"26h\"\nmodels = [\"night/small\"]",
    },
    // In New York it comes twice in autumn.
    Plan {
        name: "half-past-one",
        times: &[(1, 30)],
        days: EVERY_DAY,
        skips: true,
        files: &[("fold", 6)],
        terms: "cron = \"30 1 * * *\"\nmissed = \"skip\"\nwhen = \"asap\"\ndeadline = \"20h\"\n\
                models = [[\"night/small\", \"beta/small\"]]",
    },
    // More than can be done before its provider shuts at seven: the rest goes in the evening.
    Plan {
        name: "before-seven",
        times: &[(6, 45)],
        days: EVERY_DAY,
        skips: false,
        files: &[("late", 45)],
        terms: "cron = \"45 6 * * *\"\nmissed = \"run\"\ndeadline = \"30h\"\nmodels = [\"night/small\"]",
    },
    Plan {
        name: "calm",
        times: &[(9, 0), (13, 0), (17, 0)],
        days: |day| !matches!(day, Weekday::Sat | Weekday::Sun),
        skips: true,
        files: &[("calm", 7)],
        terms: "cron = \"0 9,13,17 * * mon-fri\"\nmissed = \"skip\"\ndeadline = \"22h\"\n\
                models = [\"alpha/small\"]",
    },
    Plan {
        name: "cheap-only",
        times: &[(16, 0)],
        days: EVERY_DAY,
        skips: false,
        files: &[("cheap", 7)],
        terms: "cron = \"0 16 * * *\"\nmissed = \"run\"\nwhen = \"off-peak\"\ndeadline = \"30h\"\n\
                models = [\"alpha/small\"]",
    },
    Plan {
        name: "weekly",
        times: &[(23, 45)],
        days: |day| day == Weekday::Thu,
        skips: false,
        files: &[("weekly", 40)],
        terms: "cron = \"45 23 * * thu\"\nmissed = \"run\"\nwhen = \"asap\"\ndeadline = \"60h\"\n\
                tags = { team = \"ads\" }\nmodels = [\"beta/small\"]",
    },
];

impl Plan {
    /// Its firings in a week, in order; several that fall on the moment clocks jump are one.
    pub(super) fn firings(&self, plot: &Plot) -> Vec<Timestamp> {
        let dates = plot.first.iter_days().take(10).filter(|date| (self.days)(date.weekday()));
        let times = dates.flat_map(|date| self.times.iter().map(move |&time| (date, time)));
        let mut firings: Vec<Timestamp> = times.map(|(date, time)| moment(date, time, plot.zone)).collect();
        firings.dedup();
        firings
    }
}

/// How the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before the so-many-eth write from then on.
    Write(u64),
    /// At the next firing: it is written down, and nothing came of it yet.
    FiringNoted,
    /// At the next firing: its jobs are there, and it is not struck out yet.
    JobsThere,
}

/// One week, described.
pub(super) struct Plot {
    pub(super) seed: u64,
    pub(super) zone: Tz,
    pub(super) first: NaiveDate,
    /// From when to when the daemon is there, day by day.
    pub(super) days: Vec<(Timestamp, Timestamp)>,
    /// From when to when the machine sleeps.
    pub(super) sleeps: Vec<(Timestamp, Timestamp)>,
    /// When the power goes, how, and for how long.
    pub(super) cuts: Vec<(Timestamp, Cut, Duration)>,
    pub(super) faults: Faults,
    /// From when to when some provider is down.
    pub(super) outages: Vec<(Timestamp, Timestamp)>,
    /// Milli-dollars a day: for everything, and for the tag.
    pub(super) budgets: (u64, u64),
    pub(super) report_at: (u32, u32),
    /// What some provider allows a minute, and does not say beforehand.
    pub(super) rpm: u64,
}

impl Plot {
    pub(super) fn draw(seed: u64) -> Plot {
        let (zone, first) = WEEKS[(seed % WEEKS.len() as u64) as usize];
        let zone: Tz = zone.parse().expect("a zone of the table");
        let first: NaiveDate = first.parse().expect("a day of the table");
        let chance = &mut Chance::new(seed);
        let night = |chance: &mut Chance| first + Days::new(chance.below(7));
        let mut days: Vec<(Timestamp, Timestamp)> = Vec::new();
        for day in 0..7 {
            let date = first + Days::new(day);
            let up = [(7, 20), (12, 0), (21, 0)][if day == 0 { 1 } else { chance.below(3) as usize }];
            let down = moment(date + Days::new(1), (7, 0), zone);
            match days.last_mut() {
                Some((_, until)) if chance.hit(0.3) => *until = down,
                _ => days.push((moment(date, up, zone), down)),
            }
        }
        // One night is of the clocks' change: the fourth.
        let asleep = if chance.hit(0.4) { first + Days::new(3) } else { night(chance) };
        let lies_down = moment(asleep, (22, 20), zone) + MINUTE * chance.below(240) as u32;
        let before_seven = moment(night(chance), (6, 46), zone) + MINUTE * chance.below(13) as u32;
        let sleeps = [lies_down, before_seven].map(|at| (at, at + MINUTE * (70 + chance.below(180) as u32)));
        let sleeps = sleeps.to_vec();
        let mut cuts = Vec::new();
        for how in [Cut::Write(1 + chance.below(80)), Cut::FiringNoted, Cut::JobsThere] {
            let date = night(chance);
            let at = match how {
                Cut::Write(_) => moment(date, (22, 0), zone) + MINUTE * chance.below(300) as u32,
                _ => moment(date, (21, 30), zone),
            };
            let taken = |from: Timestamp, to: Timestamp| from < at + HOUR * 8 && at < to + HOUR * 8;
            let is_near =
                cuts.iter().any(|&(from, _, off): &(Timestamp, Cut, Duration)| taken(from, from + off));
            if !is_near && !sleeps.iter().any(|&(from, to)| taken(from, to)) {
                cuts.push((at, how, MINUTE * (1 + chance.below(90) as u32)));
            }
        }
        cuts.sort_by_key(|&(at, ..)| at);
        let outage = |chance: &mut Chance, longest: u64| {
            let from = moment(night(chance), (21, 50), zone) + MINUTE * chance.below(120) as u32;
            (from, from + HOUR * (1 + chance.below(longest)) as u32)
        };
        let (of_one, of_all) = (outage(chance, 5), outage(chance, 3));
        let mut faults = Faults { rates: rates(chance), down: vec![of_all], ..Faults::default() };
        faults.down_for.push(("alpha".to_owned(), of_one.0, of_one.1));
        Plot {
            seed,
            zone,
            first,
            days,
            sleeps,
            cuts,
            faults,
            outages: vec![of_one, of_all],
            budgets: (40 + chance.below(40), 9 + chance.below(10)),
            report_at: [(6, 45), (7, 0), (7, 30)][chance.below(3) as usize],
            rpm: 3 + chance.below(20),
        }
    }

    /// When it is over.
    pub(super) fn end(&self) -> Timestamp {
        self.days.last().expect("seven days").1
    }
}

fn rates(chance: &mut Chance) -> FaultRates {
    let mut rates = FaultRates::default();
    for (name, most) in [
        ("429", 0.1),
        ("500", 0.1),
        ("503", 0.05),
        ("reset", 0.03),
        ("reset-billed", 0.03),
        ("500-billed", 0.03),
        ("hang", 0.02),
        ("empty", 0.03),
        ("no-usage", 0.05),
    ] {
        let fault: Fault = name.parse().unwrap_or_else(|_| panic!("{name} is a fault of the simulator's"));
        rates.set(fault, chance.rate(most)).expect("rates that add up to less than one");
    }
    rates
}
