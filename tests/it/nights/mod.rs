//! Simulated nights: a seed, a virtual clock, faults, power cuts, and what must hold all the same.
//!
//! The judge is the simulated provider's own log and ledger, and the rows that were committed.
//! `OVERNIGHT_SEED=n` replays one night, `OVERNIGHT_NIGHTS=n` plays more of them.

mod invariants;
mod rows;
mod scenario;

use std::time::Duration;

use overnight::engine::Event;
use overnight::job::JobId;
use overnight::record::JobChange;
use overnight::rehearse::night::PowerCut;

use invariants::Witness;
use scenario::{Chance, Scenario, World};

/// Nights in one run of the tests.
const NIGHTS: u64 = 2_000;

#[test]
fn two_thousand_nights_keep_every_promise() {
    let nights = from_env("OVERNIGHT_NIGHTS").unwrap_or(NIGHTS);
    let seeds = match from_env("OVERNIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..nights,
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        let night = std::panic::catch_unwind(|| play(seed));
        match night {
            Ok(what) => seen.add(&what),
            Err(_) => panic!("a promise was broken; replay with OVERNIGHT_SEED={seed}"),
        }
    }
    // Nights in which nothing interesting happens would prove nothing.
    if seeds.end - seeds.start >= NIGHTS {
        assert!(seen.cuts > nights, "power cuts: {}", seen.cuts);
        assert!(seen.unknown > 100, "unknown outcomes: {}", seen.unknown);
        assert!(seen.escalated > 1_000, "escalations: {}", seen.escalated);
        assert!(seen.succeeded > 10_000, "successes: {}", seen.succeeded);
        assert!(seen.cancelled > 100, "cancelled items: {}", seen.cancelled);
        assert!(seen.blocked > 20, "jobs stopped by their cap: {}", seen.blocked);
    }
}

#[test]
fn the_same_seed_plays_the_same_night() {
    for seed in [3, 14, 159] {
        assert_eq!(play(seed), play(seed));
    }
}

/// A fixed night whose power is cut before its first write, then before its second, and so on until
/// none is left; and once more during what follows the cut.
#[test]
fn a_power_cut_at_any_write_loses_nothing() {
    for keep_unsynced in [0, 1, 3] {
        let mut cut_at = 1;
        while cut_and_recover(cut_at, keep_unsynced) {
            cut_at += 1;
        }
        assert!(cut_at > 50, "the scenario writes too little: {cut_at}");
    }
}

/// Returns whether the night was long enough for the cut.
fn cut_and_recover(cut_at: u64, keep_unsynced: usize) -> bool {
    let mut world = World::new(&Scenario::fixed());
    let mut witness = Witness::new(&world);
    world.night.cut_at = Some(world.night.writes + cut_at);
    let was_cut = run(&mut world, &mut witness).is_err();
    if was_cut {
        witness.power_cut(&world);
        world.night.restart(keep_unsynced, cut_at.is_multiple_of(2));
        // And again soon after: recovery itself may be cut.
        world.night.cut_at = Some(world.night.writes + 1 + cut_at % 7);
        if world.submit_if_lost().is_err() || run(&mut world, &mut witness).is_err() {
            witness.power_cut(&world);
            world.night.restart(keep_unsynced, false);
        }
    }
    world.night.cut_at = None;
    world.calm();
    world.submit_if_lost().expect("the power stays on");
    run(&mut world, &mut witness).expect("the power stays on");
    witness.end(&world);
    was_cut
}

fn run(world: &mut World, witness: &mut Witness) -> Result<(), PowerCut> {
    while !world.night.is_over() && world.night.step()? {
        witness.look(world);
        if witness.is_stuck(world) {
            break;
        }
    }
    Ok(())
}

/// What happened in a night, for comparison and for the sums at the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    cuts: u64,
    unknown: u64,
    escalated: u64,
    succeeded: u64,
    cancelled: u64,
    blocked: u64,
    requests: u64,
    pico: i128,
}

impl Seen {
    fn add(&mut self, other: &Seen) {
        self.cuts += other.cuts;
        self.unknown += other.unknown;
        self.escalated += other.escalated;
        self.succeeded += other.succeeded;
        self.cancelled += other.cancelled;
        self.blocked += other.blocked;
        self.requests += other.requests;
        self.pico += other.pico;
    }
}

/// One night: first anything may go wrong, then nothing more does and everything must end.
fn play(seed: u64) -> Seen {
    let mut chance = Chance::new(seed);
    let scenario = Scenario::draw(&mut chance);
    let mut world = World::new(&scenario);
    let mut witness = Witness::new(&world);
    let mut seen = Seen::default();
    let mut cuts_left = scenario.power_cuts;
    let mut commands_left = scenario.commands;
    for _ in 0..scenario.unsafe_steps {
        if cuts_left > 0 && world.night.cut_at.is_none() {
            world.night.cut_at = Some(world.night.writes + 1 + chance.below(60));
        }
        match world.night.step() {
            Ok(true) => witness.look(&world),
            Ok(false) => break,
            Err(PowerCut) => {
                witness.power_cut(&world);
                seen.cuts += 1;
                cuts_left -= 1;
                let (keep, lose_index) = (chance.below(4) as usize, chance.hit(0.3));
                world.night.restart(keep, lose_index);
                witness.recovered(&mut world, chance.hit(0.2));
                world.night.cut_at = None;
                world.submit_if_lost().expect("no cut is planned");
            }
        }
        if commands_left > 0 && chance.hit(0.02) {
            commands_left -= 1;
            command(&mut world, &mut witness, &mut chance);
        }
        if chance.hit(scenario.clock_jumps) {
            world.night.clock_error = (chance.below(7_200_000_000) as i64) - 3_600_000_000;
        }
        witness.deliver_stale(&mut world, &mut chance);
    }
    world.night.cut_at = None;
    world.calm();
    world.submit_if_lost().expect("no cut is planned");
    let job = world.job.id.clone();
    witness.commanded(&world, &JobChange::Resumed);
    world.night.event(Event::Command(job, JobChange::Resumed)).expect("no cut is planned");
    run(&mut world, &mut witness).expect("no cut is planned");
    witness.end(&world);
    witness.sum_up(&world, &mut seen);
    seen
}

fn command(world: &mut World, witness: &mut Witness, chance: &mut Chance) {
    let job: JobId = world.job.id.clone();
    let change = match chance.below(5) {
        0 => JobChange::Cancelled,
        1 | 2 => JobChange::Paused,
        _ => JobChange::Resumed,
    };
    witness.commanded(world, &change);
    if world.night.event(Event::Command(job, change)).is_err() {
        witness.power_cut(world);
        world.night.restart(0, false);
        world.night.cut_at = None;
        witness.forget_command();
        world.submit_if_lost().expect("no cut is planned");
    }
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Long enough for any backoff, breaker and pause to pass.
const A_DAY: Duration = Duration::from_secs(86_400);
