//! When: cheaper hours are waited for while the deadline allows, and no longer.

use std::time::Duration;

use super::bench::{Bench, Order, order};
use crate::attempt::{Answer, Ending, Outcome, RateHints, RefusalKind};
use crate::catalog::{Limits, Route};
use crate::clock::Timestamp;
use crate::engine::problem::pass_chance;
use crate::engine::{Event, Notice};
use crate::job::When;
use crate::ledger::RouteStats;
use crate::money::Usage;
use crate::plan::testing::{at, hours, route, with_windows};
use crate::record::JobChange;
use crate::view::Waiting;

/// Four times the price until 17:00.
fn peaks(name: &str) -> Route {
    let mut route = with_windows(route(name, 2), &[("09:00-17:00", 8)]);
    route.prices.as_mut().expect("made with a price").base_window = "off-peak".into();
    route
}

/// How long an answer takes.
const LATENCY: u64 = 20;

/// So many calls at once, of which each takes 20 s: 180 an hour for each.
fn limited(route: Route, concurrency: u32) -> Route {
    Route { limits: Limits { concurrency: Some(concurrency), ..Limits::default() }, ..route }
}

fn due(mut order: Order, deadline: Timestamp) -> Order {
    order.job.classes[0].deadline = Some(deadline);
    order
}

impl Bench {
    /// Lets time pass, in which every call takes its time.
    fn work(&mut self, until: Timestamp) {
        self.work_well(until, |_, _| true);
    }

    /// The same, where some answers are good: by their route and number.
    fn work_well(&mut self, until: Timestamp, mut is_good: impl FnMut(&str, usize) -> bool) {
        let mut answers = 0;
        while self.now < until {
            let out = self.out.len();
            self.pass(until.since(self.now).as_secs().min(LATENCY));
            for _ in 0..out {
                answers += 1;
                let route = &self.out[0].route.name;
                let text = if is_good(route, answers) { "good" } else { "bad" };
                self.answer_late(text);
            }
        }
    }

    /// The oldest request is answered, and took its time.
    fn answer_late(&mut self, text: &str) {
        let call = self.out.pop_front().expect("a request is out");
        let sent_at = self.now - Duration::from_secs(LATENCY);
        let usage = Some(Usage { input: 10, output: 100, ..Usage::default() });
        let outcome = Outcome::Answer(Answer { text: text.to_owned(), usage, ..Answer::default() });
        let ending = Ending { outcome, hints: RateHints::default(), sent_at };
        self.event(Event::Ended(call.attempt, ending));
        self.settle();
    }

    /// Starts of a job on a route.
    fn started(&self, job: &crate::job::JobId, route: &str) -> usize {
        let is_it = |record: &&crate::record::Record| {
            matches!(record, crate::record::Record::Started(started)
                if started.job == *job && *started.route == *route)
        };
        self.records.iter().filter(is_it).count()
    }
}

#[test]
fn a_cheaper_hour_is_waited_for_and_status_says_so() {
    let mut bench = Bench::new([peaks("a/m")]);
    let job = bench.submit(due(order("job_1", 5, "a/m"), at("23:00")));
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Window]));
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a off-peak, 5 h"));
    bench.pass(3 * 3_600 + 12 * 60);
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a off-peak, 1 h 48 m"));
    while bench.out.is_empty() {
        bench.sleep();
    }
    assert_eq!((bench.now, bench.out.len()), (at("17:00"), 5));
}

#[test]
fn on_hold_nobody_is_woken_for_a_plan() {
    let mut bench = Bench::new([peaks("a/m")]);
    bench.submit(due(order("job_1", 5, "a/m"), at("23:00")));
    bench.event(Event::Hold(true));
    bench.pass(6 * 3_600);
    assert!(bench.wakes_at() > bench.now, "it would be woken again and again, for nothing");
    bench.event(Event::Hold(false));
    bench.settle();
    assert_eq!(bench.out.len(), 5);
}

#[test]
fn a_cheaper_hour_after_the_deadline_is_not_waited_for() {
    let mut bench = Bench::new([peaks("a/m")]);
    let job = bench.submit(due(order("job_1", 5, "a/m"), at("16:00")));
    bench.work(at("15:30"));
    assert_eq!(bench.counts(&job).succeeded, 5);
}

#[test]
fn the_guard_sends_at_the_dear_hour_what_the_cheap_one_has_no_time_for() {
    // An hour of cheap time holds 1,080 of them.
    let mut bench = Bench::new([limited(peaks("a/m"), 6)]);
    let job = bench.submit(due(order("job_1", 1_900, "a/m"), at("18:00")));
    bench.work(at("16:59"));
    let dear = bench.counts(&job).succeeded;
    assert!((900..1_500).contains(&dear), "{dear} of 1,900 at four times the price");
    bench.work(at("18:00"));
    assert_eq!(bench.counts(&job).succeeded, 1_900);
}

#[test]
fn of_two_jobs_on_a_route_the_earlier_deadline_goes_first() {
    let mut bench = Bench::new([limited(peaks("a/m"), 6)]);
    let late = bench.submit(due(order("job_1", 300, "a/m"), at("22:00")));
    let early = bench.submit(due(order("job_2", 300, "a/m"), at("18:00")));
    bench.work(at("17:10"));
    let (early, late) = (bench.counts(&early).succeeded, bench.counts(&late).succeeded);
    assert!(early > 100 && late == 0, "{early} and {late}");
}

#[test]
fn a_later_step_gets_its_time() {
    let routes = [limited(peaks("a/m"), 6), limited(route("b/strong", 50), 1)];
    let mut bench = Bench::new(routes);
    let job = bench.submit(due(order("job_1", 900, "a/m > b/strong").checked(), at("18:30")));
    // A third of the answers fails, and the strong model has 180 an hour: the cheap hours are too late.
    bench.work_well(at("18:30"), |route, number| route == "b/strong" || number % 3 > 0);
    assert_eq!(bench.counts(&job).succeeded, 900, "{:?}", bench.counts(&job));
}

#[test]
fn as_soon_as_possible_is_at_once_and_off_peak_is_never_at_the_peak() {
    let when = |when| move |order: &mut Order| order.job.options.when = when;
    let mut bench = Bench::new([peaks("a/m")]);
    bench.submit(due(order("job_1", 5, "a/m"), at("23:00")).with(when(When::Asap)));
    assert_eq!(bench.out.len(), 5);
    let mut bench = Bench::new([peaks("a/m")]);
    let job = bench.submit(due(order("job_1", 5, "a/m"), at("16:00")).with(when(When::OffPeak)));
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a off-peak, 5 h"));
    bench.work(at("16:30"));
    assert_eq!((bench.state(&job).attempts, bench.counts(&job).expired), (0, 5));
}

#[test]
fn a_restart_in_the_middle_makes_the_same_plan_anew() {
    let mut bench = Bench::new([peaks("a/m")]);
    let job = bench.submit(due(order("job_1", 5, "a/m"), at("23:00")));
    bench.pass(3_600);
    bench.crash();
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Window]));
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a off-peak, 4 h"));
    bench.work(at("17:01"));
    assert_eq!(bench.counts(&job).succeeded, 5);
    let first = bench.state(&job).first_sent;
    assert_eq!(first, Some(at("17:00")));
}

#[test]
fn what_a_window_does_not_take_before_it_closes_goes_to_the_dearer_route() {
    let cheap = limited(Route { hours: hours("13:00-14:00"), ..route("a/night", 1) }, 6);
    let mut bench = Bench::new([cheap, route("b/day", 5)]);
    let job = bench.submit(due(order("job_1", 2_000, "a/night|b/day"), at("18:00")));
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a to open, 1 h"));
    bench.work(at("17:45"));
    assert_eq!(bench.counts(&job).succeeded, 2_000);
    let (cheap, dear) = (bench.started(&job, "a/night"), bench.started(&job, "b/day"));
    assert!(cheap > 900 && dear < 1_100, "{cheap} in the cheap hour, {dear} elsewhere");
}

#[test]
fn a_job_that_comes_or_is_resumed_is_planned_at_once() {
    let mut bench = Bench::new([peaks("a/m")]);
    let first = bench.submit(due(order("job_1", 5, "a/m"), at("23:00")));
    let second = bench.submit(due(order("job_2", 5, "a/m"), at("23:00")));
    bench.command(&first, JobChange::Paused);
    bench.pass(5);
    bench.command(&first, JobChange::Resumed);
    assert_eq!(bench.out.len(), 0);
    assert_eq!(bench.waits(&second), [Waiting::Window]);
}

#[test]
fn a_route_that_takes_only_some_items_does_not_hold_the_others() {
    let mut bench = Bench::new([peaks("a/m"), Route { context: Some(100_000), ..route("b/long", 50) }]);
    let long = |order: &mut Order| order.items[3].input_tokens = 50_000;
    bench.submit(due(order("job_1", 5, "a/m|b/long"), at("23:00")).with(long));
    assert_eq!((bench.models(), bench.items()), (vec!["b/long"], vec![3]));
}

#[test]
fn a_deadline_that_cannot_be_kept_is_told_once() {
    let mut bench = Bench::new([limited(peaks("a/m"), 6)]);
    let job = bench.submit(due(order("job_1", 5_000, "a/m"), at("14:00")));
    bench.work(at("13:00"));
    let told: Vec<&Notice> =
        bench.notices.iter().filter(|notice| matches!(notice, Notice::TooLate { .. })).collect();
    let [Notice::TooLate { job: of, earliest: Some(earliest), fits }] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*of, job);
    assert!((at("15:30")..at("17:30")).contains(earliest) && (1_600..2_500).contains(fits), "{told:?}");
}

#[test]
fn the_chance_of_a_pass_starts_at_seven_tenths_and_follows_the_answers() {
    let chance = |lanes: &[&RouteStats]| (pass_chance(lanes) * 1e3).round();
    assert_eq!(chance(&[]), 700.0);
    let mut stats = RouteStats { succeeded: 18, ..RouteStats::default() };
    assert_eq!(chance(&[&stats]), 970.0);
    stats.rejected.insert(crate::attempt::ErrorCode::NotJson, 20);
    assert_eq!(chance(&[&stats]), 485.0);
}

fn flex(name: &str) -> Route {
    Route { name: format!("{name} flex").into(), lane: "flex".into(), ..route(name, 2) }
}

#[test]
fn flex_is_an_equal_of_its_model_and_refusals_wait_while_there_is_time() {
    let mut bench = Bench::new([route("a/m", 4), flex("a/m")]);
    let job = bench.submit(due(order("job_1", 1, "a/m"), at("23:00")));
    for _ in 0..3 {
        assert_eq!(bench.models(), ["a/m flex"]);
        bench.refuse(RefusalKind::Capacity);
        if bench.out.is_empty() {
            bench.sleep();
        }
    }
    assert_eq!((bench.models(), bench.now), (vec!["a/m flex"], at("12:15")), "the next quarter of an hour");
    bench.answer("good");
    assert_eq!((bench.counts(&job).succeeded, bench.notices.len()), (1, 1), "{:?}", bench.notices);
}

#[test]
fn flex_without_room_is_given_up_where_time_is_short() {
    let mut bench = Bench::new([route("a/m", 4), flex("a/m")]);
    bench.submit(due(order("job_1", 1, "a/m"), at("12:16")));
    let mut asked = Vec::new();
    while !asked.iter().any(|name| name == "a/m") {
        asked.push(bench.models()[0].to_owned());
        bench.refuse(RefusalKind::Capacity);
        while bench.out.is_empty() {
            bench.sleep();
        }
        assert!(asked.len() < 8, "{asked:?}");
    }
    assert!(bench.now < at("12:10"), "{}", bench.now);
}

#[test]
fn an_answer_of_another_tier_costs_what_that_tier_does() {
    let mut bench = Bench::new([route("a/m", 4), flex("a/m")]);
    bench.submit(due(order("job_1", 2, "a/m"), at("23:00")));
    let usage = Some(Usage { input: 10, output: 100, ..Usage::default() });
    for tier in ["flex", "default"] {
        let service_tier = Some(tier.to_owned());
        bench.end(Outcome::Answer(Answer { service_tier, usage, ..Answer::default() }));
    }
    let costs: Vec<i128> = bench.ends().map(|ended| ended.cost.pico()).collect();
    assert_eq!(costs[1], 2 * costs[0]);
}

#[test]
fn more_classes_than_are_planned_go_all_the_same() {
    let mut bench = Bench::new([peaks("a/m")]);
    let classes = |order: &mut Order| {
        order.job.classes = vec![order.job.classes[0].clone(); 40];
        order.job.class_of = (0..40).collect();
        (0..40).for_each(|class| order.items[usize::from(class)].class = class);
    };
    bench.submit(due(order("job_1", 40, "a/m"), at("23:00")).with(classes));
    while bench.out.is_empty() {
        bench.sleep();
    }
    assert_eq!(bench.now, at("17:00"));
    bench.work(at("17:05"));
    assert!(bench.out.is_empty() && bench.engine.unfinished().next().is_none());
}

/// Attempts planned for a route, by hour of the clock.
fn planned(bench: &mut Bench, route: &str) -> Vec<(String, u64)> {
    let views = bench.engine.dispatch_views(bench.now);
    let view = views.iter().find(|view| view.route == route).expect("the route is at work");
    let hour = |at: Timestamp| at.utc().format("%H:%M").to_string();
    view.planned.iter().map(|hour_of| (hour(hour_of.from), hour_of.attempts)).collect()
}

#[test]
fn what_waits_for_a_cheaper_hour_is_shown_in_that_hour() {
    let mut bench = Bench::new([limited(peaks("a/m"), 1)]);
    bench.submit(due(order("job_aaaaaaaaaa", 450, "a/m"), at("23:30")));
    // 12 s each, as long as nothing is known.
    assert_eq!(planned(&mut bench, "a/m"), [("17:00".to_owned(), 300), ("18:00".to_owned(), 150)]);
    let hasty = order("job_bbbbbbbbbb", 90, "a/m").with(|order| order.job.options.when = When::Asap);
    bench.submit(hasty);
    assert_eq!(planned(&mut bench, "a/m")[0], ("12:00".to_owned(), 89), "who does not wait goes now");
}

#[test]
fn a_route_shows_what_its_limits_leave() {
    let limits = Limits { rpm: Some(60), concurrency: Some(5), ..Limits::default() };
    let mut bench = Bench::new([Route { limits, ..route("a/m", 2) }, route("a/idle", 2)]);
    bench.submit(order("job_aaaaaaaaaa", 30, "a/m"));
    let views = bench.engine.dispatch_views(bench.now);
    let [view] = &views[..] else { panic!("{views:?}") };
    let [limit] = &view.limits[..] else { panic!("{view:?}") };
    assert_eq!((view.calls_at_most, u64::from(view.in_flight)), (5, limit.used));
    assert_eq!((&*limit.counts, limit.limit, limit.learned), ("requests", 60, false));
    assert!(limit.used > 0 && limit.used <= 60, "{limit:?}");
}
