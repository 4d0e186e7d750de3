//! Random problems: what holds for every plan.

use proptest::prelude::*;

use super::super::night::Night;
use super::*;

/// Hours in steps of 36 seconds, for edges closer than a second are taken for one.
fn hours(from: u16, until: u16) -> impl Strategy<Value = f64> {
    (from * 100..until * 100).prop_map(|hundredths| f64::from(hundredths) / 100.0)
}

/// Prices that change every few hours, some hours closed.
fn prices() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    prop::collection::vec((hours(0, 6), prop::option::weighted(0.9, 1u8..5)), 3..9).prop_map(|parts| {
        let (mut from, mut spans) = (0.0, Vec::new());
        for (length, price) in parts {
            if let Some(price) = price.filter(|_| length > 0.0) {
                spans.push((from, from + length, f64::from(price)));
            }
            from += length;
        }
        spans.push((from, 500.0, 2.0));
        spans
    })
}

fn ways(first_meter: usize) -> impl Strategy<Value = Vec<Way>> {
    prop::collection::vec((prices(), 50.0f64..3_000.0, 0.2f64..0.95), 1..4).prop_map(move |ways| {
        let ways = ways.into_iter().enumerate();
        ways.map(|(at, (prices, pace, pass))| Way { pass, ..way(first_meter + at, pace, &prices) }).collect()
    })
}

/// A ladder of one to three steps.
fn a_ladder() -> impl Strategy<Value = Vec<Work>> {
    let steps = prop::collection::vec(prop::bool::ANY, 1..4);
    (steps, ways(0), ways(10), ways(20), 1u64..8_000, hours(1, 30), prop::bool::ANY).prop_map(
        |(steps, a, b, c, pending, deadline, batches)| {
            let mut works = Vec::new();
            for (at, ways) in [a, b, c].into_iter().take(steps.len()).enumerate() {
                let mut step = work(if at == 0 { pending } else { 0 }, deadline, ways);
                step.feeds = (at + 1 < steps.len()).then_some(Feed { work: at + 1, share: 1.0 });
                if batches && steps[at] {
                    step.ways.push(Way { pass: step.ways[0].pass, ..batch_way(0.7) });
                }
                works.push(step);
            }
            works
        },
    )
}

/// Hours used of each meter in the first slot.
fn used(plan: &Plan, works: &[Work]) -> std::collections::BTreeMap<usize, f64> {
    let mut used = std::collections::BTreeMap::new();
    for (order, work) in plan.orders.iter().zip(works) {
        for send in &order.send {
            for pace in &work.ways[send.way].paces {
                // Rounding up to whole items may add one an order.
                *used.entry(pace.meter).or_insert(0.0) += send.count.saturating_sub(1) as f64 / pace.per_hour;
            }
        }
    }
    used
}

/// A fluid night that goes exactly as expected, obeying the plan slot by slot. Returns dollars spent, and
/// hours at the end.
fn play(works: &[Work], rules: &Rules) -> (f64, f64) {
    let mut works = works.to_vec();
    let mut waiting: Vec<f64> = works.iter().map(|work| work.pending as f64).collect();
    let (mut hours, mut spent) = (0.0, 0.0);
    while waiting.iter().sum::<f64>() > 1e-6 && hours < 400.0 {
        for (work, waiting) in works.iter_mut().zip(&waiting) {
            work.pending = waiting.ceil() as u64;
        }
        let plan = plan(&Problem { now: at(hours), works: works.clone() }, rules);
        let until = slots::hours_between(at(0.0), plan.replan_at);
        let minutes = ((until - hours) * 60.0).ceil().max(1.0);
        let tick = (until - hours) / minutes;
        let mut allowed: Vec<Vec<f64>> = works.iter().map(|work| vec![0.0; work.ways.len()]).collect();
        for (work, order) in plan.orders.iter().enumerate() {
            order.send.iter().for_each(|send| allowed[work][send.way] = send.at_most as f64);
        }
        for _ in 0..minutes as usize {
            for k in (0..works.len()).rev() {
                for (at_way, way) in works[k].ways.iter().enumerate() {
                    let now = at(hours + tick / 2.0);
                    let Some(span) = way.spans.iter().find(|span| span.from <= now && now < span.until)
                    else {
                        continue;
                    };
                    let Some(pace) = way.paces.first() else { continue };
                    let count = waiting[k].min(pace.per_hour * tick).min(allowed[k][at_way]);
                    spent += count * span.cost;
                    allowed[k][at_way] -= count;
                    waiting[k] -= count;
                    if k + 1 < works.len() {
                        waiting[k + 1] += count * (1.0 - way.pass);
                    }
                }
            }
            hours += tick;
        }
    }
    (spent, hours)
}

/// What the offers of one step cost, filled by the minute with the cheapest minutes first.
fn cheapest_by_minute(work: &Work) -> f64 {
    let mut minutes = Vec::new();
    let last = slots::hours_between(at(0.0), work.deadline.unwrap());
    for way in &work.ways {
        for span in &way.spans {
            let from = slots::hours_between(at(0.0), span.from);
            let until = slots::hours_between(at(0.0), span.until).min(last);
            if until > from {
                minutes.push((span.cost, (until - from) * way.paces[0].per_hour));
            }
        }
    }
    minutes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut left, mut cost) = (work.pending as f64, 0.0);
    for (price, room) in minutes {
        let count = room.min(left);
        cost += count * price;
        left -= count;
    }
    cost
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_meter_is_planned_beyond_its_hours_and_the_same_problem_gets_the_same_plan(
        first in a_ladder(),
        second in a_ladder(),
        lp in prop::bool::ANY,
        account in prop::option::of(50.0f64..2_000.0),
    ) {
        let mut works = first;
        let shift = works.len();
        for mut work in second {
            work.feeds = work.feeds.map(|feed| Feed { work: feed.work + shift, ..feed });
            works.push(work);
        }
        for way in works.iter_mut().flat_map(|work| &mut work.ways).filter(|way| !way.paces.is_empty()) {
            way.paces.extend(account.map(|per_hour| Pace { meter: 50, per_hour }));
        }
        let rules = Rules { solver: if lp { Solver::Lp } else { Solver::Greedy }, ..Rules::default() };
        let problem = Problem { now: at(0.0), works };
        let night = Night::new(&problem, &rules, 0.0);
        let mut hours = std::collections::BTreeMap::new();
        for one in buy(&night) {
            prop_assert!(one.count >= 0.0);
            for pace in &problem.works[one.offer.work].ways[one.offer.way].paces {
                *hours.entry((pace.meter, one.offer.slot)).or_insert(0.0) += one.count / pace.per_hour;
            }
        }
        for ((meter, slot), used) in hours {
            prop_assert!(used <= night.slots.hours(slot) * (1.0 + 1e-5), "{meter} in {slot}: {used}");
        }
        let made = plan(&problem, &rules);
        for (meter, hours) in used(&made, &problem.works) {
            prop_assert!(hours <= 0.25 * (1.0 + 1e-5), "meter {meter}: {hours} h");
        }
        prop_assert_eq!(made, plan(&problem, &rules));
    }

    #[test]
    fn the_guard_sends_enough_for_a_slow_night_or_everything(ladder in a_ladder(), spare in 0.0f64..3.0) {
        let rules = Rules::default();
        let mut problem = Problem { now: at(0.0), works: ladder };
        problem.works.iter_mut().for_each(|work| work.deadline = Some(at(450.0)));
        let slowest = Night::new(&problem, &rules, 0.0);
        let slowest = flow::run(&slowest, 1, flow::View::Careful, None).finish[0].unwrap();
        problem.works.iter_mut().for_each(|work| work.deadline = Some(at(slowest + 0.25 + spare)));
        let night = Night::new(&problem, &rules, 0.0);
        let mut attempts = first_slot(&night, &buy(&night));
        guard::keep(&night, &mut attempts);
        let finish = flow::run(&night, 1, flow::View::Careful, Some(&attempts)).finish[0];
        let in_time = finish.is_some_and(|finish| finish <= night.steps[0].due);
        let everything = guard::flat_out(&night);
        for (sent, all) in attempts.iter().zip(&everything) {
            let (sent, all) = (sent.iter().sum::<f64>(), all.iter().sum::<f64>());
            prop_assert!(in_time || sent >= all - 1e-6, "{sent} of {all}, done at {finish:?}");
        }
    }

    #[test]
    fn one_step_is_bought_as_cheaply_as_can_be(ladder in a_ladder()) {
        let mut only = ladder.into_iter().next().unwrap();
        only.feeds = None;
        only.ways.retain(|way| !way.paces.is_empty());
        only.ways.iter_mut().for_each(|way| way.pass = 0.5);
        let rules = Rules { guard: false, batches: false, margin: 1.0, solver: Solver::Greedy };
        let problem = Problem { now: at(0.0), works: vec![only] };
        let night = Night::new(&problem, &rules, 0.0);
        let bought = buy(&night);
        let cost: f64 = bought.iter().map(|one| one.count * one.offer.price).sum();
        let least = cheapest_by_minute(&problem.works[0]);
        prop_assert!((cost - least).abs() <= 1e-6 * least.max(1.0), "{cost} where {least} is possible");
        // No cheaper offer was left while a dearer one was taken.
        let dearest = bought.iter().map(|one| one.offer.cost).fold(0.0, f64::max);
        for offer in offers::offers(&night, 0, night.steps[0].until) {
            let taken: f64 = bought.iter().filter(|one| one.offer == offer).map(|one| one.count).sum();
            let way = &night.steps[0].ways[offer.way];
            let share = night.slots.share_before(offer.slot, night.steps[0].until);
            let room = way.pace() * night.slots.hours(offer.slot) * share;
            prop_assert!(offer.cost >= dearest - 1e-12 || taken >= room - 1e-6);
        }
    }

    #[test]
    fn a_night_that_goes_as_expected_ends_in_time_and_costs_no_less_than_the_program_says(
        ladder in a_ladder(), lp in prop::bool::ANY,
    ) {
        let mut works = ladder;
        works.iter_mut().for_each(|work| work.ways.retain(|way| !way.paces.is_empty()));
        let rules = Rules { solver: if lp { Solver::Lp } else { Solver::Greedy }, batches: false, ..Rules::default() };
        let careful = |works: &[Work]| {
            let problem = Problem { now: at(0.0), works: works.to_vec() };
            let night = Night::new(&problem, &rules, 0.0);
            let finish = flow::run(&night, 1, flow::View::Careful, None).finish[0];
            finish.filter(|&finish| finish <= night.steps[0].due)
        };
        works.iter_mut().for_each(|work| work.deadline = Some(at(450.0)));
        let fastest = careful(&works).unwrap();
        works.iter_mut().for_each(|work| work.deadline = Some(at(fastest + 0.6)));
        // Routes that close before the deadline for good may ask for more than that.
        prop_assume!(careful(&works).is_some());
        let (spent, hours) = play(&works, &rules);
        prop_assert!(hours <= fastest + 0.6 + 1e-6, "done at {hours}, due at {}", fastest + 0.6);

        let free = Rules { guard: false, batches: false, margin: 1.0, solver: Solver::Lp };
        let problem = Problem { now: at(0.0), works };
        let night = Night::new(&problem, &free, 0.0);
        let least = lp::plan(&night, &night.chains[0].works, &mut night.meters(), &mut 5_000);
        let least: f64 = least.unwrap().iter().map(|one| one.count * one.offer.price).sum();
        prop_assert!(spent >= least * (1.0 - 1e-5) - 1e-6, "{spent} is below {least}");
    }

    #[test]
    fn the_program_is_never_worse_than_greedy_where_greedy_can_be_followed(ladder in a_ladder()) {
        let rules = Rules { guard: false, margin: 1.0, ..Rules::default() };
        let problem = Problem { now: at(0.0), works: ladder };
        let night = Night::new(&problem, &rules, 0.0);
        let works = &night.chains[0].works;
        let greedy = greedy::plan(&night, works, &mut night.meters());
        prop_assume!(can_be_followed(&night, &greedy));
        let program = lp::plan(&night, works, &mut night.meters(), &mut 5_000).unwrap();
        let cost = |planned: &[Planned]| planned.iter().map(|one| one.count * one.offer.price).sum::<f64>();
        let (greedy, program) = (cost(&greedy), cost(&program));
        prop_assert!(program <= greedy * (1.0 + 1e-3) + 1e-6, "{program} where greedy pays {greedy}");
    }
}

/// Whether every step is fed before it sends, and nothing is left over.
fn can_be_followed(night: &Night<'_>, planned: &[Planned]) -> bool {
    let mut waiting: Vec<f64> = night.steps.iter().map(|step| step.work.pending as f64).collect();
    for slot in 0..night.slots.len() {
        for work in 0..waiting.len() {
            for one in planned.iter().filter(|one| one.offer.slot == slot && one.offer.work == work) {
                waiting[work] -= one.count;
                if let Some((next, share)) = night::feed(night.problem, work) {
                    waiting[next] += one.count * (1.0 - night.steps[work].ways[one.offer.way].pass) * share;
                }
            }
            if waiting[work] < -1e-6 {
                return false;
            }
        }
    }
    waiting.iter().all(|left| left.abs() < 1e-3)
}
