//! Nights in which nothing goes wrong, with dear hours before the cheap ones: deadlines are met, and
//! what can wait for a cheap hour is not sent in a dear one.

use std::time::Duration;

use overnight::job::When;
use overnight::record::Ended;

use super::chance::Chance;
use super::invariants::Witness;
use super::run;
use super::scenario::{Class, EVENING, Scenario};
use super::world::{World, is_peak};

const NIGHTS: u64 = 40;

/// The peak of [`super::world`] ends.
const CHEAP_FROM: Duration = Duration::from_secs(3 * 3_600);

#[test]
fn calm_nights_meet_their_deadlines_at_the_cheaper_hour() {
    let mut waited = 0;
    for seed in 0..NIGHTS {
        waited += u32::from(play(seed));
    }
    assert!(waited > 10, "only {waited} nights could wait");
}

/// Half an hour into the peak, with a deadline for a third of the items. Returns whether these could wait.
fn play(seed: u64) -> bool {
    let mut chance = Chance::new(seed);
    let begins = EVENING + Duration::from_secs(1_800);
    let deadline = Duration::from_secs(2_400 + chance.below(5 * 3_600));
    let mut scenario = Scenario::fixed();
    scenario.seed = chance.next();
    scenario.faults = Default::default();
    (scenario.peak, scenario.begins) = (true, begins);
    scenario.equals = chance.hit(0.5);
    scenario.steps = 1 + chance.below(3) as usize;
    scenario.concurrency = 1 + chance.below(4) as u32;
    let order = &mut scenario.jobs[0];
    order.items = 10 + chance.below(60) as u32;
    order.second_class = Some(Class { priority: 0, deadline: Some(deadline), not_before: None });
    order.options.when = if chance.hit(0.3) { When::OffPeak } else { When::Cheapest };
    let when = order.options.when;

    let mut world = World::new(&scenario);
    let mut witness = Witness::default();
    run(&mut world, &mut witness).expect("no cut is planned");
    witness.end(&world, 0);
    let job = &world.jobs[0].job;
    let state = world.night.engine.ledger().get(&job.id).expect("it was submitted").1;
    let cheap_from = EVENING + CHEAP_FROM;
    let has_time = begins + deadline >= cheap_from + Duration::from_secs(3_600);
    let is_feasible = when == When::Cheapest || has_time;
    if is_feasible {
        assert_eq!((state.counts().expired, state.late), (0, 0), "seed {seed}: a deadline was missed");
    }
    let rows = world.night.rows.committed(&job.id);
    let dear = |row: &&Ended| is_peak(row.started_at) && row.started_at < cheap_from;
    let of_class = |row: &&Ended| row.item % 3 == 2;
    let too_early = rows.attempts.iter().filter(dear).filter(|row| has_time || !of_class(row)).count();
    assert_eq!(too_early, 0, "seed {seed}: sent at the peak, with time until the cheap hour");
    has_time
}
