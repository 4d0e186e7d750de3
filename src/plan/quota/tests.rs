use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

fn rpm(limit: u64) -> Quota {
    Quota::new(Limits { rpm: Some(limit), concurrency: Some(1_000_000), ..Limits::default() }, START)
}

/// Sends as fast as the quota lets it and returns the most that any 60 seconds held.
fn fullest_minute(quota: &mut Quota, tokens: u64, seconds: u64, step: Duration) -> u64 {
    let (mut now, mut window, mut most) = (START, VecDeque::new(), 0);
    while now < START + Duration::from_secs(seconds) {
        while quota.take(now, tokens, 0).is_ok() {
            window.push_back(now);
            quota.release();
        }
        while window.front().is_some_and(|&sent| now.since(sent) >= Duration::from_secs(60)) {
            window.pop_front();
        }
        most = most.max(window.len() as u64);
        now = now + step;
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_minute_holds_more_requests_than_the_limit(limit in 1u64..5_000, step_ms in 1u64..3_000) {
        let most = fullest_minute(&mut rpm(limit), 1, 200, Duration::from_millis(step_ms));
        prop_assert!(most <= limit, "{most} of {limit}");
        prop_assert!(most >= 1);
    }

    #[test]
    fn no_minute_holds_more_tokens_than_the_limit(limit in 1_000u64..1_000_000, tokens in 1u64..900) {
        let limits = Limits { tpm: Some(limit), concurrency: Some(1_000_000), ..Limits::default() };
        let most = fullest_minute(&mut Quota::new(limits, START), tokens, 130, Duration::from_millis(50));
        prop_assert!(most * tokens <= limit);
    }
}

#[test]
fn most_of_a_limit_is_used() {
    assert!(fullest_minute(&mut rpm(1_000), 1, 300, Duration::from_millis(10)) >= 880);
}

#[test]
fn a_stated_limit_is_believed_and_the_ceiling_still_holds() {
    let mut quota = rpm(1_000);
    quota.learn(&RateHints { limit_requests: Some(60), ..RateHints::default() });
    assert!(fullest_minute(&mut quota, 1, 130, Duration::from_millis(10)) <= 60);
    let mut quota = rpm(60);
    quota.learn(&RateHints { limit_requests: Some(1_000), ..RateHints::default() });
    assert!(fullest_minute(&mut quota, 1, 130, Duration::from_millis(10)) <= 60);
}

#[test]
fn retry_after_is_obeyed_to_the_letter() {
    let mut quota = rpm(1_000);
    quota.refused(START, Some(Duration::from_secs(90)));
    let open = START + Duration::from_secs(90);
    assert_eq!(quota.take(open - Duration::from_micros(1), 1, 1), Err(Busy { until: Some(open) }));
    assert_eq!(quota.take(open, 1, 1), Ok(()));
}

#[test]
fn refusals_halve_the_parallel_calls_once_a_second_and_answers_bring_them_back() {
    let limits = Limits { concurrency: Some(64), ..Limits::default() };
    let mut quota = Quota::new(limits, START);
    for _ in 0..10 {
        quota.refused(START, None);
    }
    assert_eq!(quota.concurrency(), 32);
    for _ in 0..64 * 64 {
        quota.answered();
    }
    assert_eq!(quota.concurrency(), 64);
}

#[test]
fn parallel_calls_stay_under_the_ceiling() {
    let mut quota = Quota::new(Limits { concurrency: Some(2), ..Limits::default() }, START);
    assert!(quota.take(START, 1, 1).is_ok() && quota.take(START, 1, 1).is_ok());
    assert_eq!(quota.take(START, 1, 1), Err(Busy { until: None }));
    quota.release();
    assert!(quota.take(START, 1, 1).is_ok());
}

#[test]
fn a_clock_set_back_does_not_stop_the_quota() {
    let mut quota = rpm(60);
    while quota.take(START, 1, 1).is_ok() {}
    let earlier = START - Duration::from_secs(1_000_000);
    quota.restart(earlier);
    assert!(quota.take(earlier + Duration::from_secs(5), 1, 1).is_ok());
}

#[test]
fn a_wait_of_no_time_is_taken_for_none_stated() {
    let mut quota = rpm(1_000);
    // Three of them: a lone refusal that names no time stops nothing.
    for _ in 0..3 {
        quota.refused(START, Some(Duration::ZERO));
    }
    assert!(quota.room(START).is_err());
}

#[test]
fn a_limit_of_none_is_not_believed_and_not_divided_by() {
    let mut quota = rpm(0);
    quota.learn(&RateHints { limit_requests: Some(0), limit_tokens: Some(0), ..RateHints::default() });
    assert_eq!(quota.take(START, 1_000, 1_000), Ok(()));
}

#[test]
fn a_used_up_limit_is_known_before_the_next_request() {
    let mut quota = rpm(60);
    while quota.take(START, 1, 1).is_ok() {}
    let Err(Busy { until: Some(until) }) = quota.opens(START) else { panic!("nothing is left") };
    assert!(quota.room(START).is_ok() && quota.opens(until).is_ok());
}

#[test]
fn lone_refusals_among_answers_slow_nothing_down_and_three_together_do() {
    let mut quota = Quota::new(Limits { concurrency: Some(64), ..Limits::default() }, START);
    for n in 0..1_000u64 {
        let now = START + Duration::from_millis(n * 500);
        if n % 30 == 29 {
            quota.refused(now, None);
        } else {
            quota.answered();
        }
        assert_eq!((quota.concurrency(), quota.room(now)), (64, Ok(())));
    }
    let now = START + Duration::from_secs(1_000);
    for _ in 0..3 {
        quota.refused(now, None);
    }
    assert_eq!((quota.concurrency(), quota.room(now).is_err()), (32, true));
}

#[test]
fn a_lone_refusal_that_names_a_time_is_obeyed_all_the_same() {
    let mut quota = rpm(1_000);
    for _ in 0..100 {
        quota.answered();
    }
    quota.refused(START, Some(Duration::from_secs(1)));
    assert_eq!(quota.room(START), Err(Busy { until: Some(START + Duration::from_secs(1)) }));
}

/// The most tokens that any 60 seconds held of these takes.
fn fullest(takes: &[(Timestamp, u64)]) -> u64 {
    let within = |start: Timestamp| {
        let of_minute =
            takes.iter().filter(|(at, _)| *at >= start && at.since(start) < Duration::from_secs(60));
        of_minute.map(|(_, tokens)| tokens).sum()
    };
    takes.iter().map(|&(start, _)| within(start)).max().unwrap_or(0)
}

fn tpm(limit: u64) -> Quota {
    Quota::new(Limits { tpm: Some(limit), concurrency: Some(1_000_000), ..Limits::default() }, START)
}

/// Sends requests of these sizes in turn, each as soon as the quota lets it.
fn send_in_turn(quota: &mut Quota, sizes: &[u64], from: Timestamp, seconds: u64) -> Vec<(Timestamp, u64)> {
    let (mut takes, mut now) = (Vec::new(), from);
    let mut sizes = sizes.iter().copied().cycle();
    let mut next = sizes.next().unwrap();
    while now < from + Duration::from_secs(seconds) {
        while quota.take(now, next, 0).is_ok() {
            quota.release();
            takes.push((now, next));
            next = sizes.next().unwrap();
        }
        now = now + Duration::from_millis(250);
    }
    takes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn large_requests_among_small_ones_stay_within_the_limit(
        sizes in prop::collection::vec(prop_oneof![4 => 1u64..60, 1 => 300u64..1_001], 1..12),
    ) {
        let takes = send_in_turn(&mut tpm(1_000), &sizes, START, 400);
        prop_assert!(fullest(&takes) <= 1_000, "{} in a minute", fullest(&takes));
        prop_assert!(takes.len() >= sizes.len().min(4), "{takes:?}");
    }
}

#[test]
fn large_requests_get_their_share_of_the_minutes() {
    let takes = send_in_turn(&mut tpm(1_000), &[600, 20, 20, 20], START, 600);
    let large = takes.iter().filter(|(_, tokens)| *tokens == 600).count();
    assert!((9..=10).contains(&large), "{large} in ten minutes");
}

#[test]
fn more_than_the_limit_at_once_is_tried_alone() {
    let mut quota = tpm(1_000);
    let takes = send_in_turn(&mut quota, &[5_000, 10], START, 200);
    let large: Vec<Timestamp> = takes.iter().filter(|take| take.1 == 5_000).map(|take| take.0).collect();
    assert!(large.len() >= 2 && large[1].since(large[0]) >= Duration::from_secs(60), "{takes:?}");
}

#[test]
fn a_new_process_adds_no_burst_to_what_the_last_one_sent() {
    let (limit, restart) = (1_000, START + Duration::from_secs(100));
    let mut takes = send_in_turn(&mut tpm(limit), &[10], START, 100);
    let mut quota = tpm(limit);
    quota.restart(restart);
    takes.extend(send_in_turn(&mut quota, &[10], restart, 100));
    assert!(fullest(&takes) <= limit * 95 / 100, "{}", fullest(&takes));
}

#[test]
fn another_ceiling_holds_from_now_on_and_what_is_in_flight_stays_counted() {
    let mut quota = Quota::new(Limits { concurrency: Some(8), ..Limits::default() }, START);
    for _ in 0..5 {
        quota.take(START, 1, 1).unwrap();
    }
    quota.set_ceiling(Limits { concurrency: Some(6), rpm: Some(60), ..Limits::default() }, START);
    assert_eq!((quota.in_flight(), quota.concurrency()), (5, 6));
    assert!(
        quota.take(START, 1, 1).is_err(),
        "a limit that was not there before begins with nothing to give"
    );
    let later = START + Duration::from_secs(60);
    quota.take(later, 1, 1).unwrap();
    assert!(quota.room(later).is_err(), "six are in flight");
    quota.set_ceiling(Limits { concurrency: Some(7), rpm: Some(60), ..Limits::default() }, later);
    assert!(quota.room(later).is_ok());
}
