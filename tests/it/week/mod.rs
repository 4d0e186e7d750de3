//! Seven nights in a row: the daemon's clerk, the engine and the store on disk, on a clock that jumps.
//!
//! In the midst of a week clocks change. The daemon is stopped every morning and started again later, the
//! machine sleeps, its power goes, providers are down for hours and the money of a day is used up. What is
//! judged is what is left: files, the ledger, the reports, and the log of the simulated providers.
//! `OVERNIGHT_WEEK=n` replays one week, `OVERNIGHT_WEEKS=n` plays more of them; jobs are named by where
//! their files are, so a week is the same as long as the target folder is.

mod calendar;
mod disk;
mod judge;
mod machine;
mod plot;
mod seen;
mod set_up;

use std::panic::{catch_unwind, resume_unwind};

use calendar::A_DAY;
use machine::Machine;
use plot::Plot;
use seen::Seen;

/// Weeks in one run of the tests: one of each kind.
const WEEKS: usize = 4;
/// Weeks played at a time: they wait for the disk more than they compute.
const SIDE_BY_SIDE: usize = 4;

#[test]
fn every_night_of_a_week_keeps_every_promise() {
    let weeks = from_env("OVERNIGHT_WEEKS").unwrap_or(WEEKS as u64);
    let seeds: Vec<u64> = match from_env("OVERNIGHT_WEEK") {
        Some(seed) => vec![seed],
        None => (0..weeks).collect(),
    };
    let mut seen = Seen::default();
    for together in seeds.chunks(SIDE_BY_SIDE) {
        for week in side_by_side(together) {
            seen.add(week);
        }
    }
    println!("{seen:?}");
    if seeds.len() >= WEEKS {
        seen.check();
    }
}

#[test]
fn the_same_seed_plays_the_same_week() {
    let weeks = side_by_side(&[1, 1]);
    assert_eq!(weeks[0], weeks[1]);
}

fn side_by_side(seeds: &[u64]) -> Vec<Seen> {
    std::thread::scope(|scope| {
        let weeks: Vec<_> = seeds.iter().map(|&seed| scope.spawn(move || tell(seed))).collect();
        weeks.into_iter().map(|week| week.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Plays a week, and names the seed where a promise was broken in it.
fn tell(seed: u64) -> Seen {
    let week = catch_unwind(|| play(seed));
    week.unwrap_or_else(|_| panic!("a promise was broken; replay with OVERNIGHT_WEEK={seed}"))
}

fn play(seed: u64) -> Seen {
    let plot = Plot::draw(seed);
    let mut machine = Machine::new(&plot);
    for &(from, until) in &plot.days {
        machine.live(from, until);
    }
    // Nothing more comes, and nothing goes wrong any more: all that is there must end by itself.
    machine.calm(&plot);
    machine.live(plot.end() + A_DAY / 24, plot.end() + A_DAY * 3);
    judge::week(&machine, &plot)
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
