//! Simulated nights: a seed, a virtual clock, faults, power cuts, and what must hold all the same.
//!
//! The judge is the simulated provider's own log and ledger, and the rows that were committed.
//! `OVERNIGHT_SEED=n` replays one night, `OVERNIGHT_NIGHTS=n` plays more of them. `tests/mutants` holds
//! mistakes that these nights must find.

mod audit;
mod budgets;
mod calm;
pub(crate) mod chance;
mod free;
mod invariants;
mod rows;
mod scenario;
mod seen;
mod world;

use std::time::Duration;

use overnight::engine::Event;
use overnight::money::Usd;
use overnight::record::JobChange;
use overnight::rehearse::night::PowerCut;

use chance::Chance;
use invariants::Witness;
use scenario::Scenario;
use seen::Seen;
use world::World;

/// Nights in one run of the tests.
const NIGHTS: u64 = 2_000;

/// More than any night needs once nothing goes wrong any more.
const MOST_STEPS: u32 = 100_000;

/// Long enough for any backoff, breaker and pause to pass.
const A_DAY: Duration = Duration::from_secs(86_400);

#[test]
fn two_thousand_nights_keep_every_promise() {
    let nights = from_env("OVERNIGHT_NIGHTS").unwrap_or(NIGHTS);
    let seeds = match from_env("OVERNIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..nights,
    };
    let mut seen = Seen::default();
    for seed in seeds {
        let night = std::panic::catch_unwind(|| play(seed));
        match night {
            Ok(what) => seen.add(&what),
            Err(_) => panic!("a promise was broken; replay with OVERNIGHT_SEED={seed}"),
        }
    }
    if seen.nights >= NIGHTS {
        seen.check();
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
        let cuts = cut_everywhere(&Scenario::fixed(), keep_unsynced);
        assert!(cuts > 50, "the scenario writes too little: {cuts}");
    }
}

/// The same of a night whose items go out in batches: every write of a batch's life is cut at.
#[test]
fn a_power_cut_at_any_write_of_a_batch_loses_nothing_and_makes_none_twice() {
    for keep_unsynced in [0, 1, 3] {
        let cuts = cut_everywhere(&Scenario::fixed_with_batches(), keep_unsynced);
        assert!(cuts > 30, "the scenario writes too little: {cuts}");
    }
}

/// Cuts the power at every write in turn; how many there were.
fn cut_everywhere(scenario: &Scenario, keep_unsynced: usize) -> u64 {
    let mut cut_at = 1;
    while cut_and_recover(scenario, cut_at, keep_unsynced) {
        cut_at += 1;
    }
    cut_at
}

/// Returns whether the night was long enough for the cut.
fn cut_and_recover(scenario: &Scenario, cut_at: u64, keep_unsynced: usize) -> bool {
    let mut world = World::new(scenario);
    let mut witness = Witness::default();
    world.night.cut_at = Some(world.night.writes + cut_at);
    let was_cut = run(&mut world, &mut witness).is_err();
    if was_cut {
        witness.power_cut(&mut world);
        world.night.restart(keep_unsynced, cut_at.is_multiple_of(2));
        // And again soon after: recovery itself may be cut.
        world.night.cut_at = Some(world.night.writes + 1 + cut_at % 7);
        if run(&mut world, &mut witness).is_err() {
            witness.power_cut(&mut world);
            world.night.restart(keep_unsynced, false);
        }
    }
    world.night.cut_at = None;
    world.calm();
    run(&mut world, &mut witness).expect("the power stays on");
    witness.end(&world, 2);
    was_cut
}

fn run(world: &mut World, witness: &mut Witness) -> Result<(), PowerCut> {
    let mut steps = 0;
    while !world.night.is_over() && world.night.step()? {
        steps += 1;
        assert!(steps < MOST_STEPS, "I19: a night without an end, at {}", world.night.now());
        witness.look(world);
        witness.help_where_stuck(world);
    }
    Ok(())
}

/// One night: first anything may go wrong, then nothing more does and everything must end.
fn play(seed: u64) -> Seen {
    let mut chance = Chance::new(seed);
    let scenario = Scenario::draw(&mut chance);
    let mut world = World::new(&scenario);
    let mut witness = Witness::default();
    witness.forgot = scenario.clock_jumps > 0.0;
    let mut seen = Seen::default();
    let mut cuts_left = scenario.power_cuts;
    let mut commands_left = scenario.commands;
    for step in 0..scenario.unsafe_steps {
        if cuts_left > 0 && world.night.cut_at.is_none() {
            world.night.cut_at = Some(world.night.writes + 1 + chance.below(60));
        }
        if misfortune(&mut world, &mut witness, &scenario, &mut chance, step, &mut commands_left).is_err() {
            seen.cuts += 1;
            cuts_left = cuts_left.saturating_sub(1);
            world.night.cut_at = None;
            witness.power_cut(&mut world);
            let (keep, lose_index) = (chance.below(4) as usize, chance.hit(0.3));
            world.night.restart(keep, lose_index);
            witness.recovered(&mut world, chance.hit(0.2));
            if let Some(limits) = world.limits.clone() {
                let other = chance.hit(0.1).then(|| budgets::redrawn(&mut chance, &limits));
                world.set_limits(other.unwrap_or(limits));
            }
        }
        if chance.hit(scenario.clock_jumps) {
            world.night.clock_error = (chance.below(7_200_000_000) as i64) - 3_600_000_000;
        }
        witness.deliver_stale(&mut world, &mut chance);
        if chance.hit(scenario.holds) {
            seen.holds += u64::from(!world.on_hold);
            let full = !world.on_hold;
            hold(&mut world, &mut witness, full);
        }
    }
    all_is_well(&mut world, &mut witness);
    run(&mut world, &mut witness).expect("no cut is planned");
    witness.end(&world, seen.cuts);
    witness.sum_up(&world, &mut seen);
    seen
}

/// One step, and what may happen at it: a submission, a command, a power cut.
fn misfortune(
    world: &mut World,
    witness: &mut Witness,
    scenario: &Scenario,
    chance: &mut Chance,
    step: u32,
    commands_left: &mut u32,
) -> Result<(), PowerCut> {
    world.submit_due(step)?;
    let cut_at = world.night.cut_at.take();
    witness.purse.hurry(world);
    world.night.cut_at = cut_at.map(|at| at.max(world.night.writes + 1));
    world.night.step()?;
    witness.look(world);
    if *commands_left > 0 && chance.hit(f64::from(scenario.commands) * 0.01) {
        *commands_left -= 1;
        command(world, witness, chance)?;
    }
    Ok(())
}

fn all_is_well(world: &mut World, witness: &mut Witness) {
    world.night.cut_at = None;
    world.calm();
    if world.on_hold {
        hold(world, witness, false);
    }
    world.submit_due(u32::MAX).expect("no cut is planned");
    // Whoever cancelled a job does nothing more about it; it has to end by itself.
    let jobs = world.night.engine.ledger().jobs().filter(|(_, state)| !state.cancelled);
    for job in jobs.map(|(job, _)| job.id.clone()).collect::<Vec<_>>() {
        witness.commanded(world, Some(&job));
        world.night.event(Event::Command(job, JobChange::Resumed)).expect("no cut is planned");
    }
    witness.purse.hurry(world);
}

/// The disk fills up, or has room again.
fn hold(world: &mut World, witness: &mut Witness, on: bool) {
    let cut_at = world.night.cut_at.take();
    witness.commanded(world, None);
    world.on_hold = on;
    world.night.event(Event::Hold(on)).expect("no cut is planned");
    if !on {
        witness.hold_over();
        world.night.event(Event::Tick).expect("no cut is planned");
    }
    world.night.cut_at = cut_at.map(|_| world.night.writes + 1);
}

fn command(world: &mut World, witness: &mut Witness, chance: &mut Chance) -> Result<(), PowerCut> {
    let jobs = world.known().count();
    let Some(submission) = world.known().nth(chance.below(jobs as u64) as usize) else { return Ok(()) };
    let job = submission.job.id.clone();
    let change = match chance.below(7) {
        0 => JobChange::Cancelled,
        1 | 2 => JobChange::Paused,
        3 => {
            let (_, state) = world.night.engine.ledger().get(&job).expect("it is known");
            let more = Usd::from_pico(i128::from(chance.below(20_000_000_000)));
            JobChange::MaxCost(Some(state.committed() + more))
        }
        _ => JobChange::Resumed,
    };
    witness.commanded(world, (change == JobChange::Resumed).then_some(&job));
    world.night.event(Event::Command(job, change))
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
