//! What a plan must do, on problems small enough to work out by hand and on random ones.

mod properties;

use super::*;
use crate::job::When;

/// A Monday, on the hour.
const MONDAY: i64 = 1_795_392_000_000_000;

/// A moment some hours after the start of the tests' night.
fn at(hours: f64) -> Timestamp {
    slots::moment(Timestamp::from_micros(MONDAY), hours)
}

/// Prices by the hour: (from, until, dollars).
fn spans(prices: &[(f64, f64, f64)]) -> Vec<Span> {
    prices.iter().map(|&(from, until, cost)| Span { from: at(from), until: at(until), cost }).collect()
}

/// A measured realtime way of its own meter.
fn way(meter: usize, per_hour: f64, prices: &[(f64, f64, f64)]) -> Way {
    Way {
        route: meter,
        lane: Lane::Realtime,
        pass: 1.0,
        attempts: 1_000_000,
        spans: spans(prices),
        paces: vec![Pace { meter, per_hour }],
    }
}

fn batch_way(price: f64) -> Way {
    Way { lane: Lane::Batch(DoneBy::default()), paces: Vec::new(), ..way(99, 1.0, &[(0.0, 200.0, price)]) }
}

fn work(pending: u64, deadline: f64, ways: Vec<Way>) -> Work {
    Work {
        priority: 0,
        pending,
        in_flight: 0,
        feeds: None,
        deadline: Some(at(deadline)),
        when: When::Cheapest,
        worth: 0.0,
        ways,
        batches: Vec::new(),
    }
}

/// Two steps, a share of whose first answers pass.
fn ladder(pending: u64, deadline: f64, pass: f64, first: Vec<Way>, second: Vec<Way>) -> Vec<Work> {
    let mut first = work(pending, deadline, first);
    first.feeds = Some(Feed { work: 1, share: 1.0 });
    first.ways.iter_mut().for_each(|way| way.pass = pass);
    vec![first, work(0, deadline, second)]
}

fn plan_at(hours: f64, works: &[Work]) -> Plan {
    plan(&Problem { now: at(hours), works: works.to_vec() }, &Rules::default())
}

fn sent(plan: &Plan, work: usize) -> u64 {
    plan.orders[work].send.iter().map(|send| send.count).sum()
}

/// Dear for four hours, then half the price.
const CHEAP_LATER: &[(f64, f64, f64)] = &[(0.0, 4.0, 2.0), (4.0, 200.0, 1.0)];
const FLAT: &[(f64, f64, f64)] = &[(0.0, 200.0, 1.0)];

#[test]
fn what_can_wait_for_a_cheaper_hour_waits_and_says_so() {
    let plan = plan_at(0.0, &[work(1_000, 12.0, vec![way(0, 1_000.0, CHEAP_LATER)])]);
    let order = &plan.orders[0];
    assert_eq!((order.send.len(), order.guard), (0, false));
    assert_eq!(order.hold, Some(Hold { count: 1_000, until: at(4.0), why: Why::CheaperHour { way: 0 } }));
    assert_eq!(plan.replan_at, at(0.25));
    let outlook = &plan.outlooks[0];
    assert_eq!((outlook.cost.round(), outlook.finish), (1_000.0, Some(at(5.0))));
}

#[test]
fn what_is_cheapest_now_goes_now() {
    let plan = plan_at(0.0, &[work(1_000, 12.0, vec![way(0, 1_000.0, FLAT)])]);
    let order = &plan.orders[0];
    assert_eq!(
        order.send,
        [Send { way: 0, count: 250, at_most: 1_000 }],
        "a slot's worth, and more if it goes"
    );
    assert_eq!(order.hold.map(|hold| (hold.count, hold.why)), Some((750, Why::Room)));
}

#[test]
fn the_cheaper_route_goes_first_and_the_dearer_one_only_as_far_as_needed() {
    let ways = || vec![way(0, 1_000.0, &[(0.0, 200.0, 3.0)]), way(1, 1_000.0, FLAT)];
    let relaxed = plan_at(0.0, &[work(1_000, 12.0, ways())]);
    assert_eq!(relaxed.orders[0].send, [Send { way: 1, count: 250, at_most: 1_000 }]);
    let pressed = plan_at(0.0, &[work(4_000, 3.0, ways())]);
    let dear = pressed.orders[0].send.iter().find(|send| send.way == 0).expect("one route is not enough");
    let cheap = pressed.orders[0].send.iter().find(|send| send.way == 1).expect("it stays the first choice");
    assert!(dear.count > 0 && cheap.count == 250, "{:?}", pressed.orders[0]);
}

#[test]
fn the_guard_sends_before_the_cheaper_hour_when_a_slow_night_would_miss_the_deadline() {
    // Three hours of work and a cheap window of three and a half: not enough with 15% and a slot to spare.
    let works = [work(3_000, 7.5, vec![way(0, 1_000.0, CHEAP_LATER)])];
    assert_eq!(sent(&plan_at(0.0, &works), 0), 0, "there is time yet");
    let late = plan_at(3.75, &works);
    assert!(late.orders[0].guard && sent(&late, 0) > 0, "{:?}", late.orders[0]);
    let needed = sent(&late, 0);
    assert!(needed < 250, "and no more than is needed: {needed}");
    let roomy = [work(3_000, 9.0, vec![way(0, 1_000.0, CHEAP_LATER)])];
    assert!(!plan_at(3.75, &roomy).orders[0].guard);
}

#[test]
fn a_guard_that_is_on_stays_on_while_nothing_is_done() {
    let works = [work(3_000, 7.5, vec![way(0, 1_000.0, &[(0.0, 6.0, 2.0), (6.0, 200.0, 1.0)])])];
    let mut before = (false, 0);
    for quarter in 0..24 {
        let plan = plan_at(f64::from(quarter) / 4.0, &works);
        let now = (plan.orders[0].guard, sent(&plan, 0));
        assert!(now >= before, "{quarter}: {before:?} then {now:?}");
        before = now;
    }
    assert!(before.0);
}

#[test]
fn little_is_trusted_until_it_is_measured() {
    let assumed = Way { attempts: 0, ..way(0, 1_000.0, CHEAP_LATER) };
    let measured = way(0, 1_000.0, CHEAP_LATER);
    let guard = |way: Way| plan_at(3.75, &[work(2_000, 7.0, vec![way])]).orders[0].guard;
    assert!(guard(assumed) && !guard(measured));
}

#[test]
fn a_route_that_bills_more_before_its_window_is_not_used_in_its_closed_hours() {
    let night_only = way(0, 1_000.0, &[(4.0, 12.0, 1.0)]);
    let plan = plan_at(0.0, &[work(1_000, 12.0, vec![night_only])]);
    let hold = plan.orders[0].hold.expect("nothing can go");
    assert_eq!((hold.until, hold.why), (at(4.0), Why::Closed));
    assert!(plan.outlooks[0].impossible.is_none());
}

#[test]
fn a_last_stretch_before_a_route_closes_for_good_is_kept_as_a_margin() {
    // Open until eight; the deadline at twelve is of no use.
    let closing: &[(f64, f64, f64)] = &[(0.0, 5.0, 2.0), (5.0, 8.0, 1.0)];
    let works = [work(2_450, 12.0, vec![way(0, 1_000.0, closing)])];
    assert!(!plan_at(3.0, &works).orders[0].guard);
    assert!(plan_at(4.75, &works).orders[0].guard, "2.45 h with 15% to spare do not fit into 2.75");
    let strays = plan_at(7.8, &[work(5, 12.0, vec![way(0, 1_000.0, closing)])]);
    assert_eq!(sent(&strays, 0), 5);
}

#[test]
fn asap_sends_everything_at_any_price_and_off_peak_nothing_at_a_dear_one() {
    let mut asap = work(1_000, 12.0, vec![way(0, 1_000.0, CHEAP_LATER), batch_way(0.5)]);
    asap.when = When::Asap;
    let plan = plan_at(0.0, &[asap]);
    assert_eq!(plan.orders[0].send.iter().map(|send| (send.way, send.count)).collect::<Vec<_>>(), [(0, 250)]);
    assert_eq!((plan.orders[0].submit, plan.orders[0].guard), (None, false));
    assert!(plan.orders[0].send[0].at_most >= 1_000);
    let mut off_peak = work(8_000, 10.0, vec![way(0, 1_000.0, CHEAP_LATER)]);
    off_peak.when = When::OffPeak;
    let plan = plan_at(0.0, &[off_peak]);
    assert_eq!(sent(&plan, 0), 0);
    let impossible = plan.outlooks[0].impossible.expect("six cheap hours are not eight");
    assert_eq!((impossible.earliest, impossible.fits), (Some(at(12.0)), 6_000));
}

#[test]
fn an_impossible_deadline_is_told_at_once() {
    let plan = plan_at(0.0, &[work(4_000, 3.0, vec![way(0, 1_000.0, FLAT)])]);
    let impossible = plan.outlooks[0].impossible.expect("four hours do not fit into three");
    assert_eq!((impossible.earliest, impossible.fits), (Some(at(4.0)), 3_000));
    assert!(plan.orders[0].guard && sent(&plan, 0) == 250);
    let never = plan_at(0.0, &[work(10, 3.0, Vec::new())]);
    assert_eq!(never.outlooks[0].impossible, Some(Impossible { earliest: None, fits: 0 }));
}

#[test]
fn what_waits_for_hours_sits_in_a_batch_meanwhile() {
    let works = [work(1_000, 12.0, vec![way(0, 1_000.0, FLAT), batch_way(0.5)])];
    let plan = plan_at(0.0, &works);
    assert_eq!(sent(&plan, 0), 0);
    assert_eq!(plan.orders[0].submit, Some(Submit { way: 1, lines: 1_000, part: 125 }));
    let cost = plan.outlooks[0].cost;
    assert!((500.0..530.0).contains(&cost), "half price, and a few lines that come back: {cost}");
}

#[test]
fn no_batch_in_the_last_half_hour_and_none_that_saves_nothing() {
    let last = plan_at(0.0, &[work(10, 0.45, vec![way(0, 1_000.0, FLAT), batch_way(0.5)])]);
    assert_eq!((last.orders[0].submit, sent(&last, 0)), (None, 10));
    let dear = plan_at(0.0, &[work(1_000, 12.0, vec![way(0, 1_000.0, FLAT), batch_way(1.0)])]);
    assert_eq!(dear.orders[0].submit, None);
}

#[test]
fn only_what_realtime_could_still_do_goes_into_batches() {
    // Four hours of work, five until the deadline: at seven tenths of the pace, not all of it is covered.
    let plan = plan_at(0.0, &[work(4_000, 5.0, vec![way(0, 1_000.0, FLAT), batch_way(0.5)])]);
    let submit = plan.orders[0].submit.expect("some can wait");
    assert!(submit.lines < 4_000 && sent(&plan, 0) > 0, "{:?}", plan.orders[0]);
    let covered = 0.7 * 1_000.0 * (5.0 - 0.25);
    assert!(submit.lines as f64 <= covered + 1.0, "{} lines, {covered} covered", submit.lines);
}

#[test]
fn stuck_batches_are_taken_back_in_time_the_least_hopeful_first() {
    let mut stuck = work(0, 12.0, vec![way(0, 1_000.0, FLAT), batch_way(0.5)]);
    let batch = |sent_at: f64, done: f64| Batch { way: 1, lines: 1_000, sent_at: at(sent_at), done };
    stuck.batches = vec![batch(0.0, 0.0), batch(7.0, 0.0), batch(0.0, 0.0), batch(0.0, 0.9)];
    let early = plan_at(4.0, &[stuck.clone()]);
    assert_eq!(early.orders[0].recall, [] as [usize; 0], "there is time to wait");
    let late = plan_at(7.25, &[stuck]);
    assert!(late.orders[0].guard, "{:?}", late.orders[0]);
    assert_eq!(late.orders[0].recall, [0], "one part is a slot's work; young and nearly done ones stay");
}

#[test]
fn a_step_with_batches_only_uses_them() {
    let plan = plan_at(0.0, &[work(1_000, 30.0, vec![batch_way(0.5)])]);
    assert_eq!(plan.orders[0].submit.map(|submit| submit.lines), Some(1_000));
    assert!(plan.outlooks[0].impossible.is_none());
}

#[test]
fn flex_is_used_but_not_relied_upon() {
    let flex = Way { lane: Lane::Flex, ..way(1, 10_000.0, &[(0.0, 200.0, 0.5)]) };
    let plan = plan_at(0.0, &[work(3_000, 3.5, vec![way(0, 1_000.0, FLAT), flex])]);
    let ways: Vec<usize> = plan.orders[0].send.iter().map(|send| send.way).collect();
    assert_eq!(ways, [0, 1], "flex for the price, realtime because flex may be refused");
}

#[test]
fn after_three_refusals_flex_waits_or_pays() {
    use replan::{AfterRefusal, after_refusals};
    assert_eq!(after_refusals(2, true), AfterRefusal::Again);
    assert_eq!(after_refusals(3, false), AfterRefusal::Wait);
    assert_eq!(after_refusals(3, true), AfterRefusal::Realtime);
}

#[test]
fn jobs_share_a_route_and_the_earlier_deadline_goes_first() {
    let job = |deadline: f64| work(1_000, deadline, vec![way(0, 1_000.0, FLAT)]);
    let plan = plan_at(0.0, &[job(9.0), job(3.0)]);
    assert_eq!((sent(&plan, 0), sent(&plan, 1)), (0, 250));
    let mut urgent = job(9.0);
    urgent.priority = 10;
    let plan = plan_at(0.0, &[urgent, job(3.0)]);
    assert_eq!((sent(&plan, 0), sent(&plan, 1)), (250, 0));
}

#[test]
fn the_job_ahead_hurries_where_the_one_behind_would_miss_its_deadline() {
    // Alone, each could wait for the window; together they cannot.
    let job = |deadline: f64| work(2_000, deadline, vec![way(0, 1_000.0, CHEAP_LATER)]);
    let alone = plan_at(3.0, &[job(8.0)]);
    assert_eq!(sent(&alone, 0), 0);
    let both = plan_at(3.5, &[job(8.0), job(8.1)]);
    assert!(both.orders[1].guard && sent(&both, 0) + sent(&both, 1) > 0, "{both:?}");
}

#[test]
fn an_accounts_ceiling_holds_for_its_routes_together() {
    let mut ways = vec![way(0, 1_000.0, FLAT), way(1, 1_000.0, FLAT)];
    for way in &mut ways {
        way.paces.push(Pace { meter: 7, per_hour: 1_200.0 });
    }
    let plan = plan_at(0.0, &[work(9_000, 9.0, ways)]);
    assert_eq!(sent(&plan, 0), 300);
}

#[test]
fn a_ladder_leaves_its_later_steps_their_time() {
    let second = vec![way(1, 100.0, &[(0.0, 200.0, 5.0)])];
    let works = ladder(1_000, 9.0, 0.5, vec![way(0, 2_000.0, CHEAP_LATER)], second);
    for solver in [Solver::Lp, Solver::Greedy] {
        let rules = Rules { solver, ..Rules::default() };
        let plan = plan(&Problem { now: at(0.0), works: works.clone() }, &rules);
        assert!(sent(&plan, 0) > 0, "{solver:?}: five hours of step two cannot begin at four");
    }
}

#[test]
fn numbers_nobody_can_plan_with_close_a_way_and_nothing_else() {
    for cost in [f64::NAN, f64::INFINITY, -1.0] {
        let plan =
            plan_at(0.0, &[work(10, 3.0, vec![way(0, 1.0, &[(0.0, 9.0, cost)]), way(1, 1_000.0, FLAT)])]);
        assert_eq!(
            plan.orders[0].send.iter().map(|send| (send.way, send.count)).collect::<Vec<_>>(),
            [(1, 10)]
        );
    }
    let mut loops = work(10, 3.0, vec![way(0, 0.0, FLAT), way(1, f64::INFINITY, FLAT)]);
    loops.feeds = Some(Feed { work: 0, share: f64::NAN });
    assert_eq!(sent(&plan_at(0.0, &[loops]), 0), 10);
    assert_eq!(plan_at(0.0, &[]).orders.len(), 0);
}

#[test]
fn work_without_a_deadline_waits_for_the_cheaper_hour_of_its_day() {
    let mut free = work(1_000, 0.0, vec![way(0, 1_000.0, CHEAP_LATER)]);
    free.deadline = None;
    assert_eq!(sent(&plan_at(0.0, &[free.clone()]), 0), 0);
    free.pending = 100_000;
    let long = plan_at(0.0, &[free]);
    assert!(!long.orders[0].guard && long.outlooks[0].impossible.is_none(), "no deadline, no hurry");
}

#[test]
fn a_plan_is_made_again_when_its_slot_ends_or_something_moved() {
    let problem = |hours: f64, change: &dyn Fn(&mut Work)| {
        let mut work = work(1_000, 9.0, vec![way(0, 1_000.0, FLAT), batch_way(0.5)]);
        change(&mut work);
        Problem { now: at(hours), works: vec![work] }
    };
    let before = problem(0.0, &|_| ());
    let due = |hours, change: &dyn Fn(&mut Work)| {
        replan::is_due(&before, at(0.0), at(0.25), &problem(hours, change))
    };
    assert!(!due(0.1, &|_| ()) && due(0.25, &|_| ()));
    assert!(due(-0.1, &|_| ()), "the clock was set back");
    assert!(!due(0.1, &|work| work.ways[0].paces[0].per_hour = 1_050.0));
    assert!(due(0.1, &|work| work.ways[0].paces[0].per_hour = 1_150.0));
    assert!(due(0.1, &|work| work.ways[0].pass = 0.8));
    assert!(due(0.1, &|work| work.ways[0].spans[0].cost = 2.0));
    assert!(due(0.1, &|work| work.ways[0].spans.clear()), "a breaker opened");
    assert!(due(0.1, &|work| work.pending += 500), "items were added");
    assert!(!due(0.1, &|work| work.pending -= 500), "and these were sent");
    assert!(due(0.1, &|work| work.batches.push(Batch { way: 1, lines: 0, sent_at: at(0.0), done: 0.0 })));
    assert!(!due(0.000_1, &|work| work.ways[0].pass = 0.1), "at most once a second");
}

#[test]
fn slots_end_where_prices_change_and_grow_with_their_distance() {
    let odd = way(0, 1.0, &[(0.0, 0.33, 1.0), (0.33, 5.017, 2.0), (5.017, 400.0, 1.0)]);
    let problem = Problem { now: at(0.1), works: vec![work(1, 400.0, vec![odd])] };
    let slots = slots::Slots::new(&problem, 399.9, 0.25);
    let edges: Vec<f64> = (0..slots.len()).map(|slot| slots.end(slot) + 0.1).collect();
    for edge in [0.25, 0.33, 0.5, 5.017] {
        assert!(edges.iter().any(|end| (end - edge).abs() < 1e-6), "{edge} in {edges:?}");
    }
    assert!(slots.len() < 100, "{}", slots.len());
    let prices = slots.prices(&problem.works[0].ways[0].spans);
    for (slot, price) in prices.into_iter().enumerate() {
        let hours = slots.start(slot) + 0.1 + 1e-4;
        let truth = if (0.33..5.017).contains(&hours) { 2.0 } else { 1.0 };
        assert_eq!(price, Some(truth), "at {hours}");
    }
}

/// `cargo test --release planning_a_million_items -- --ignored --nocapture`
#[test]
#[ignore = "prints how long a plan takes"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn planning_a_million_items() {
    for (jobs, ways, reach) in [(1, 2, 12.0), (1, 4, 36.0), (10, 4, 24.0), (50, 3, 24.0), (1, 4, 168.0)] {
        let mut works = Vec::new();
        for job in 0..jobs {
            for step in 0..3 {
                let day = |way: usize| {
                    let start = (way * 5 + step) as f64;
                    let days = (0..9).flat_map(move |day| {
                        let from = f64::from(day) * 24.0 + start;
                        [(from, from + 6.0, 1.0 + way as f64 / 4.0), (from + 6.0, from + 24.0, 2.0)]
                    });
                    days.collect::<Vec<_>>()
                };
                let price = |way: usize| -> Vec<(f64, f64, f64)> {
                    day(way)
                        .into_iter()
                        .map(|(from, until, cost)| (from, until, cost * 4f64.powi(step as i32)))
                        .collect()
                };
                let pace = 1e6 / reach * 3.0 / ways as f64 / 3f64.powi(step as i32);
                let mut all: Vec<Way> =
                    (0..ways - 1).map(|number| way(step * 10 + number, pace, &price(number))).collect();
                all.push(batch_way(0.5 * 4f64.powi(step as i32)));
                all.iter_mut().for_each(|way| way.pass = 0.7);
                let pending = if step == 0 { 1_000_000 / jobs } else { 1_000 };
                let mut work = work(pending as u64, reach - job as f64 / 10.0, all);
                work.feeds = (step < 2).then_some(Feed { work: job * 3 + step + 1, share: 1.0 });
                works.push(work);
            }
        }
        let problem = Problem { now: at(0.2), works };
        for solver in [Solver::Greedy, Solver::Lp] {
            let started = std::time::Instant::now();
            let plan = plan(&problem, &Rules { solver, ..Rules::default() });
            println!(
                "{jobs} jobs, {ways} ways a step, {reach} h, {solver:?}: {:.2} ms, {} orders",
                started.elapsed().as_secs_f64() * 1e3,
                plan.orders.len()
            );
        }
    }
}
