//! When: write-before-act, pauses, cancels, deadlines, priorities, holds.

use std::time::Duration;

use super::bench::{Bench, order};
use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus, RefusalKind};
use crate::catalog::{Limits, Route};
use crate::clock::Timestamp;
use crate::engine::{Event, Notice};
use crate::job::Class;
use crate::ledger::JobState;
use crate::plan::testing::{at, route};
use crate::record::JobChange;
use crate::view::Waiting;

fn narrow(name: &str, concurrency: u32) -> Route {
    Route { limits: Limits { concurrency: Some(concurrency), ..Limits::default() }, ..route(name, 1) }
}

#[test]
fn nothing_is_sent_before_it_is_written_down() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.disk_hangs = true;
    let job = bench.submit(order("job_1", 3, "a/m"));
    assert_eq!((bench.counts(&job).running, bench.out.len()), (3, 0));
    bench.event(Event::Recorded(2));
    assert_eq!(bench.items(), [0, 1]);
}

#[test]
fn a_paused_job_sends_nothing_and_keeps_the_answers_in_flight() {
    let mut bench = Bench::new([narrow("a/m", 1)]);
    let job = bench.submit(order("job_1", 3, "a/m"));
    bench.command(&job, JobChange::Paused);
    bench.answer("good");
    assert_eq!((bench.out.len(), bench.counts(&job).succeeded), (0, 1));
    assert_eq!(bench.waits(&job), [Waiting::Paused]);
    bench.command(&job, JobChange::Resumed);
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn a_cancel_between_writing_and_sending_is_honoured() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.disk_hangs = true;
    let job = bench.submit(order("job_1", 2, "a/m"));
    bench.command(&job, JobChange::Cancelled);
    bench.disk_hangs = false;
    bench.settle();
    assert_eq!(bench.out.len(), 0);
    assert!(bench.ends().all(|end| end.status == AttemptStatus::Cancelled && end.cost.pico() == 0));
    assert!(bench.ends().all(|end| end.totals.first_sent.is_none()), "nothing was ever sent");
    assert_eq!(bench.state(&job).state(), JobState::Cancelled);
    assert_eq!(bench.counts(&job).cancelled, 2);
}

#[test]
fn a_cancelled_job_keeps_what_it_paid_for() {
    let mut bench = Bench::new([narrow("a/m", 2)]);
    let job = bench.submit(order("job_1", 5, "a/m"));
    bench.command(&job, JobChange::Cancelled);
    assert_eq!(bench.counts(&job).cancelled, 3);
    assert_eq!(bench.state(&job).state(), JobState::Cancelling);
    bench.answer("good");
    bench.refuse(RefusalKind::Server);
    let counts = bench.counts(&job);
    assert_eq!((counts.succeeded, counts.cancelled), (1, 4));
    assert!(bench.state(&job).finished_at.is_some());
}

#[test]
fn a_cancel_does_not_wait_for_pauses_to_end() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 1, "a/m"));
    bench.refuse(RefusalKind::Server);
    assert_eq!(bench.waits(&job), [Waiting::Backoff]);
    bench.command(&job, JobChange::Cancelled);
    assert_eq!(bench.results(), [(0, ItemStatus::Cancelled, Some(ErrorCode::Cancelled))]);
}

#[test]
fn what_waits_recorded_for_a_place_is_taken_back_by_a_pause() {
    let mut bench = Bench::new([narrow("a/m", 8)]);
    let job = bench.submit(order("job_1", 200, "a/m"));
    // A brisk pace earns starts ahead.
    for _ in 0..64 {
        bench.answer("good");
    }
    let ahead = bench.engine.in_flight() - bench.out.len();
    assert!(ahead > 0, "nothing waits recorded");
    bench.command(&job, JobChange::Paused);
    assert_eq!(bench.engine.in_flight(), bench.out.len());
    assert_eq!(bench.ends().filter(|end| end.status == AttemptStatus::Cancelled).count(), ahead);
    assert_eq!(bench.state(&job).reserved, bench.state(&job).open.values().map(|open| open.worst_case).sum());
}

#[test]
fn nothing_leaves_before_its_time() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let order = order("job_1", 1, "a/m");
    let job = bench.submit(order.with(|order| order.job.classes[0].not_before = Some(at("13:00"))));
    assert_eq!((bench.waits(&job), bench.wakes_at()), (vec![Waiting::NotBefore], at("13:00")));
    bench.sleep();
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn what_its_deadline_finds_unsent_expires_and_what_is_out_may_still_come() {
    let mut bench = Bench::new([narrow("a/m", 1)]);
    let order = order("job_1", 3, "a/m");
    let job = bench.submit(order.with(|order| order.job.classes[0].deadline = Some(at("12:30"))));
    while bench.now < at("12:30") {
        bench.sleep();
    }
    assert_eq!((bench.now, bench.counts(&job).expired), (at("12:30"), 2));
    bench.pass(1);
    bench.answer("good");
    assert_eq!((bench.counts(&job).succeeded, bench.state(&job).late), (1, 1));
    assert_eq!(bench.state(&job).state(), JobState::Expired);
}

#[test]
fn classes_and_jobs_go_by_priority_then_deadline_then_age() {
    let mut bench = Bench::new([narrow("a/m", 1)]);
    let old = bench.submit(order("job_1", 2, "a/m"));
    assert_eq!(bench.out.len(), 1);
    let classes = order("job_2", 3, "a/m").with(|order| {
        let plain = order.job.classes[0].clone();
        let soon = Class { deadline: Some(at("20:00")), ..plain.clone() };
        let first = Class { priority: 1, ..plain.clone() };
        order.job.classes = vec![plain, soon, first];
        order.job.class_of = vec![0, 1, 2];
        for (item, class) in order.items.iter_mut().zip([0, 1, 2]) {
            item.class = class;
        }
        order.job.submitted_at = at("12:01");
    });
    let new = bench.submit(classes);
    let mut served = Vec::new();
    while !bench.out.is_empty() {
        let call = bench.answer("good");
        served.push((call.job, call.item.index));
    }
    let (old, new) = (|item| (old.clone(), item), |item| (new.clone(), item));
    assert_eq!(served, [old(0), new(2), new(1), old(1), new(0)]);
}

#[test]
fn on_hold_nothing_leaves_and_answers_are_still_taken() {
    let mut bench = Bench::new([narrow("a/m", 1)]);
    let job = bench.submit(order("job_1", 2, "a/m"));
    bench.event(Event::Hold(true));
    bench.answer("good");
    assert_eq!((bench.out.len(), bench.counts(&job).succeeded), (0, 1));
    bench.event(Event::Hold(false));
    bench.settle();
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn a_job_is_finished_when_its_parts_are_and_says_so_once() {
    let mut bench = Bench::new([route("a/m", 1)]);
    let job = bench.submit(order("job_1", 1, "a/m"));
    bench.answer("good");
    bench.event(Event::PartsClosed(job.clone()));
    bench.event(Event::Command(job.clone(), JobChange::Cancelled));
    assert_eq!(bench.notices, [Notice::Finished(job.clone())]);
    assert_eq!(bench.state(&job).state(), JobState::Completed);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing_for_long() {
    let mut bench = Bench::new([route("a/m", 1)]);
    bench.submit(order("job_1", 1, "a/m"));
    bench.refuse(RefusalKind::Server);
    bench.now = at("09:00");
    bench.settle();
    assert_eq!(bench.notices, [Notice::ClockSetBack(Duration::from_secs(3 * 3_600))]);
    assert!(bench.wake <= at("09:01"), "waits until {}", bench.wake);
    bench.pass(60);
    assert_eq!(bench.out.len(), 1);
}

#[test]
fn the_engine_is_woken_for_the_first_of_all_it_waits_for() {
    // Pages of four: two items wait for a cheaper hour, loaded, and those behind them wait out a pause.
    let peak = crate::plan::testing::with_windows(route("a/m", 2), &[("12:10-17:00", 4)]);
    let mut bench = Bench::new([peak]);
    let order = order("job_1", 8, "a/m").with(|order| order.job.source.bytes = 8 * (64 << 20));
    bench.submit(order);
    assert_eq!(bench.out.len(), 8);
    bench.now = at("12:10") + Duration::from_secs(1);
    for _ in 0..8 {
        bench.refuse(RefusalKind::Server);
    }
    for _ in 0..100 {
        if bench.now >= at("17:00") {
            break;
        }
        assert!(bench.wake <= at("17:00"), "sleeps past the cheaper hour, until {}", bench.wake);
        bench.sleep();
    }
    assert!(bench.wake != Timestamp::MAX && !bench.out.is_empty());
}
