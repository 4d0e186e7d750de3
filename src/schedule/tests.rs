//! Firings over nights in which clocks change, machines sleep and clocks were wrong; folders over looks.

use std::ffi::OsString;

use proptest::prelude::*;

use super::settle::{Settling, Stamp};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn firings(cron: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
    let cron = Cron::parse(cron).unwrap();
    cron.firings(at(after), zone.parse().unwrap()).take(n).map(|firing| firing.to_string()).collect()
}

#[test]
fn a_cron_fires_by_the_clock_on_the_wall() {
    for (cron, zone, after, expected) in [
        ("0 22 * * mon-fri", "UTC", "2026-11-20T22:00:00Z", vec!["2026-11-23T22:00:00Z"]),
        ("0 22 * * *", "Europe/Berlin", "2026-11-20T12:00:00Z", vec!["2026-11-20T21:00:00Z"]),
        ("0 0 29 2 *", "UTC", "2026-11-20T00:00:00Z", vec!["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 13 * *", "UTC", "2026-12-13T00:00:00Z", vec!["2027-01-13T00:00:00Z"]),
        (
            "30 0,12 * * *",
            "UTC",
            "2026-11-20T00:30:00Z",
            vec!["2026-11-20T12:30:00Z", "2026-11-21T00:30:00Z"],
        ),
        // An hour that does not exist: the moment the clocks jump, once, whatever falls into it.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2027-03-27T12:00:00Z",
            vec!["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        ),
        (
            "*/20 2 * * *",
            "Europe/Berlin",
            "2027-03-28T00:00:00Z",
            vec!["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"],
        ),
        // An hour that comes twice: its first time only.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            vec!["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:00:00Z",
            vec!["2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"],
        ),
        // Clocks that go back over midnight.
        (
            "30 23 * * *",
            "Asia/Beirut",
            "2026-10-24T12:00:00Z",
            vec!["2026-10-24T20:30:00Z", "2026-10-25T21:30:00Z"],
        ),
        // Half an hour is skipped.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            vec!["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
    ] {
        assert_eq!(firings(cron, zone, after, expected.len()), expected, "{cron} {zone}");
    }
    assert_eq!(firings("0 0 30 2 *", "UTC", "2026-11-20T00:00:00Z", 1), [""; 0], "a day that never comes");
    assert_eq!(firings("0 0 0 1 1 * 2027", "UTC", "2026-11-20T00:00:00Z", 5), ["2027-01-01T00:00:00Z"]);
    assert_eq!(Cron::daily(7 * 60 + 5), Cron::parse("5 7 * * *").unwrap());
}

#[test]
fn one_of_many_missed_firings_is_made_up_for_or_none() {
    let cron = Cron::parse("0 22 * * *").unwrap();
    let look = |missed, seen, now| look(&cron, Tz::UTC, missed, at(seen), Duration::ZERO, at(now));
    let fires =
        |at_: &str, passed_over, seen: &str| Look { fires: Some(at(at_)), passed_over, seen: at(seen) };
    let nothing = |passed_over, seen: &str| Look { fires: None, passed_over, seen: at(seen) };
    let (monday, tuesday) = ("2026-11-23T22:00:00Z", "2026-11-24T22:00:00Z");
    for missed in [Missed::Run, Missed::Skip] {
        assert_eq!(
            look(missed, "2026-11-23T12:00:00Z", "2026-11-23T21:59:59Z"),
            nothing(0, "2026-11-23T12:00:00Z")
        );
        assert_eq!(look(missed, "2026-11-23T12:00:00Z", monday), fires(monday, 0, monday));
        assert_eq!(look(missed, monday, "2026-11-23T22:00:01Z"), nothing(0, monday), "a firing fires once");
        assert_eq!(look(missed, "2026-11-22T12:00:00Z", "2026-11-24T22:05:00Z"), fires(tuesday, 2, tuesday));
    }
    assert_eq!(look(Missed::Run, monday, "2026-11-25T06:00:00Z"), fires(tuesday, 0, tuesday));
    assert_eq!(look(Missed::Skip, monday, "2026-11-25T06:00:00Z"), nothing(1, tuesday));
    assert_eq!(look(Missed::Skip, "2026-11-21T12:00:00Z", "2026-11-25T06:00:00Z"), nothing(4, tuesday));
}

#[test]
fn a_firing_that_someone_was_too_busy_to_see_was_not_missed() {
    let cron = Cron::parse("0 22 * * *").unwrap();
    let (seen, now) = (at("2026-11-23T21:50:00Z"), at("2026-11-23T23:00:00Z"));
    let look = |awake| look(&cron, Tz::UTC, Missed::Skip, seen, Duration::from_secs(awake), now).fires;
    assert_eq!(look(70 * 60), Some(at("2026-11-23T22:00:00Z")));
    // Asleep at ten, and awake for a quarter of an hour since.
    assert_eq!(look(15 * 60), None);
}

#[test]
fn a_clock_that_was_wrong_neither_fires_again_nor_stays_silent() {
    let cron = Cron::parse("0 22 * * *").unwrap();
    let look = |seen, now| look(&cron, Tz::UTC, Missed::Run, at(seen), Duration::ZERO, at(now));
    // Set back by an hour after it fired: not again.
    assert_eq!(look("2026-11-23T22:00:00Z", "2026-11-23T21:30:00Z").fires, None);
    assert_eq!(look("2026-11-23T22:00:00Z", "2026-11-23T22:00:30Z").fires, None);
    // Looked at with a clock that was ten years ahead: begins anew.
    let anew = look("2036-11-23T22:00:00Z", "2026-11-23T21:30:00Z");
    assert_eq!((anew.fires, anew.seen), (None, at("2026-11-23T21:30:00Z")));
}

fn stamp(size: u64, modified: i64) -> Stamp {
    Stamp { identity: (1, 7), size, modified: (modified, 0) }
}

#[test]
fn a_file_is_finished_when_it_has_not_changed_for_a_while() {
    let mut settling = Settling::default();
    let mut look = |second: u64, found: &[(&str, Stamp)]| {
        let now = at("2026-11-20T00:00:00Z") + Duration::from_secs(second);
        let found = found.iter().map(|(name, stamp)| (OsString::from(name), *stamp));
        let finished = settling.look(found, Duration::from_secs(4), now);
        finished.into_iter().map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(look(0, &[("a", stamp(10, 1)), ("empty", stamp(0, 1))]), none);
    assert_eq!(look(2, &[("a", stamp(10, 1)), ("b", stamp(5, 1)), ("empty", stamp(0, 1))]), none);
    // b goes on being written; a look after a long sleep counts for no more than two seconds.
    assert_eq!(look(4, &[("a", stamp(10, 1)), ("b", stamp(9, 1)), ("empty", stamp(0, 1))]), ["a"]);
    assert_eq!(look(9_000, &[("b", stamp(9, 1)), ("empty", stamp(0, 1))]), none);
    assert_eq!(look(18_000, &[("b", stamp(9, 1)), ("empty", stamp(0, 1))]), ["b"]);
    // Replaced by a file of the same size: another one.
    let other = Stamp { identity: (1, 8), ..stamp(9, 1) };
    assert_eq!(look(18_002, &[("b", other)]), none);
    // Gone and back again.
    assert_eq!(look(18_004, &[]), none);
    assert_eq!(look(18_006, &[("b", other)]), none);
}

proptest! {
    #[test]
    fn firings_rise_and_none_is_lost_between_two_looks(
        start in 0i64..4_102_444_800, // to 2100
        steps in prop::collection::vec(1i64..200_000, 1..20),
        zone in 0usize..5,
        cron in 0usize..5,
    ) {
        let zone: Tz = ["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"][zone].parse().unwrap();
        let cron = Cron::parse(["0 22 * * *", "30 2 * * *", "*/30 * * * *", "0 0 * * sun", "15 23 31 * *"][cron]).unwrap();
        let from = Timestamp::from_micros(start * 1_000_000);
        let mut now = from;
        let mut seen = from;
        let mut counted = 0;
        for step in steps {
            now = now + Duration::from_secs(step.unsigned_abs());
            let looked = look(&cron, zone, Missed::Run, seen, Duration::ZERO, now);
            counted += looked.passed_over + u64::from(looked.fires.is_some());
            prop_assert!(looked.fires.is_none_or(|firing| seen < firing && firing <= now));
            seen = looked.seen;
        }
        let all: Vec<Timestamp> = cron.firings(from, zone).take_while(|firing| *firing <= now).collect();
        prop_assert!(all.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(counted, all.len() as u64);
    }
}
