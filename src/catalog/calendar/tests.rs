use super::*;
use crate::catalog::days::ALL_WEEKDAYS;
use crate::catalog::hours::Hours;
use crate::catalog::pricing::{self, PriceText, WindowText};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn calendar(text: &str) -> Calendar {
    Hours::parse(text).unwrap().calendar().unwrap()
}

/// DeepSeek's peak since 2026-08-16 16:00 UTC.
fn peak() -> Calendar {
    let hours = Hours {
        days: Some("mon-fri".into()),
        hours: vec!["01:00-04:00".into(), "06:00-10:00".into()],
        days_tz: Some("Asia/Shanghai".into()),
        except_dates: vec!["2026-10-01".into()],
        valid_from: Some("2026-08-16T16:00:00Z".into()),
        ..Hours::default()
    };
    hours.calendar().unwrap()
}

fn check(calendar: &Calendar, cases: &[(&str, bool, &str)]) {
    for &(now, open, until) in cases {
        let answer = calendar.open_until(at(now));
        assert_eq!((answer.0, answer.1.to_string().as_str()), (open, until), "at {now}");
        assert_eq!(calendar.is_open(at(now)), open, "at {now}");
    }
}

#[test]
fn deepseek_peak_hours_hold_on_beijing_weekdays() {
    check(
        &peak(),
        &[
            ("2026-08-14T02:00:00Z", false, "2026-08-17T01:00:00Z"), // before the rule began
            ("2026-11-23T00:59:59Z", false, "2026-11-23T01:00:00Z"), // Monday
            ("2026-11-23T01:00:00Z", true, "2026-11-23T04:00:00Z"),
            ("2026-11-23T04:00:00Z", false, "2026-11-23T06:00:00Z"),
            ("2026-11-27T09:59:59Z", true, "2026-11-27T10:00:00Z"), // Friday
            ("2026-11-27T10:00:00Z", false, "2026-11-30T01:00:00Z"), // over the weekend
            ("2026-09-30T10:00:00Z", false, "2026-10-02T01:00:00Z"), // a holiday on Thursday
            ("2026-10-01T02:00:00Z", false, "2026-10-02T01:00:00Z"),
        ],
    );
}

#[test]
fn the_night_discount_of_2025_passes_midnight_every_day() {
    let mut hours = Hours::parse("16:30-00:30").unwrap();
    hours.valid_from = Some("2025-02-26T00:00:00Z".into());
    hours.valid_to = Some("2025-09-05T16:00:00Z".into());
    check(
        &hours.calendar().unwrap(),
        &[
            ("2025-03-01T16:29:59Z", false, "2025-03-01T16:30:00Z"),
            ("2025-03-01T16:30:00Z", true, "2025-03-02T00:30:00Z"),
            ("2025-03-02T00:29:00Z", true, "2025-03-02T00:30:00Z"),
            ("2025-09-05T00:10:00Z", true, "2025-09-05T00:30:00Z"),
        ],
    );
    let cancelled = hours.calendar().unwrap();
    assert_eq!(cancelled.next_change(at("2025-09-05T01:00:00Z")), None);
    assert!(!cancelled.is_open(at("2025-09-05T17:00:00Z")));
}

#[test]
fn a_wrapped_range_belongs_to_the_day_it_starts() {
    check(
        &calendar("mon-fri 22:00-02:00"),
        &[
            ("2026-11-28T01:00:00Z", true, "2026-11-28T02:00:00Z"), // Saturday 01:00, of Friday
            ("2026-11-28T22:30:00Z", false, "2026-11-30T22:00:00Z"), // Saturday night is closed
            ("2026-11-30T01:00:00Z", false, "2026-11-30T22:00:00Z"), // Monday 01:00, of Sunday
        ],
    );
}

#[test]
fn the_day_is_read_in_its_own_zone() {
    // 20:00 UTC on Sunday is Monday morning in Shanghai.
    let mut hours = Hours::parse("mon 20:00-22:00").unwrap();
    hours.days_tz = Some("Asia/Shanghai".into());
    check(
        &hours.calendar().unwrap(),
        &[
            ("2026-11-22T20:00:00Z", true, "2026-11-22T22:00:00Z"),
            ("2026-11-23T20:00:00Z", false, "2026-11-29T20:00:00Z"),
        ],
    );
}

#[test]
fn a_range_that_ends_where_it_starts_is_a_whole_day() {
    check(&calendar("mon 10:00-10:00"), &[("2026-11-24T09:00:00Z", true, "2026-11-24T10:00:00Z")]);
}

#[test]
fn a_skipped_hour_is_not_open_and_a_range_into_it_starts_at_the_jump() {
    // Berlin skips 02:00–03:00 on 2026-03-29 (01:00 UTC); Los Angeles on 2026-03-08 (10:00 UTC).
    check(&calendar("02:15-02:45 Europe/Berlin"), &[("2026-03-28T02:00:00Z", false, "2026-03-30T00:15:00Z")]);
    check(&calendar("02:30-04:00 Europe/Berlin"), &[("2026-03-29T00:59:00Z", false, "2026-03-29T01:00:00Z")]);
    check(
        &calendar("01:00-03:30 America/Los_Angeles"),
        &[("2026-03-08T09:30:00Z", true, "2026-03-08T10:30:00Z")],
    );
}

#[test]
fn a_repeated_hour_counts_its_first_time_at_both_ends() {
    // Berlin repeats 02:00–03:00 on 2026-10-25 (01:00 UTC); Los Angeles 01:00–02:00 on 2026-11-01.
    check(&calendar("22:00-02:30 Europe/Berlin"), &[("2026-10-24T20:00:00Z", true, "2026-10-25T00:30:00Z")]);
    check(&calendar("02:30-07:00 Europe/Berlin"), &[("2026-10-25T00:30:00Z", true, "2026-10-25T06:00:00Z")]);
    check(
        &calendar("01:30-03:00 America/Los_Angeles"),
        &[("2026-11-01T08:30:00Z", true, "2026-11-01T11:00:00Z")],
    );
}

#[test]
fn a_week_that_is_covered_never_closes() {
    for text in ["00:00-24:00", "00:00-00:00", "daily 00:00-24:00 Asia/Tokyo"] {
        assert_eq!(calendar(text).next_change(at("2026-11-21T12:00:00Z")), None, "{text}");
    }
    let halves = Hours { hours: vec!["07:00-19:00".into(), "19:00-07:00".into()], ..Hours::default() };
    let halves = halves.calendar().unwrap();
    assert_eq!(halves.open_until(at("2026-11-21T12:00:00Z")), (true, Timestamp::MAX));
}

#[test]
fn no_moment_is_too_far_off_to_ask_about() {
    for far in [Timestamp::MAX, Timestamp::from_micros(i64::MIN / 4), Timestamp::from_micros(0)] {
        peak().open_until(far);
        calendar("22:00-07:00 Europe/Berlin").is_open(far);
    }
}

/// V3 and R1 between 2025-02-26 and 2025-09-05: one calendar, a discount of their own each.
#[test]
fn the_discounts_of_2025_differed_by_model() {
    let night = Hours {
        cron: Some("0 30 16 * * *".into()),
        lasts: Some("8h".into()),
        valid_from: Some("2025-02-26".into()),
        valid_to: Some("2025-09-05T16:00:00Z".into()),
        ..Hours::default()
    };
    let text = |input: &str, output: &str| PriceText {
        input: input.into(),
        output: output.into(),
        ..PriceText::default()
    };
    let table = |base: PriceText| {
        let price = Some(text("0.135", "0.55"));
        let window = WindowText { name: "night".into(), hours: night.clone(), price, multiply: None };
        let base = PriceText { window: Some("day".into()), ..base };
        pricing::table("t".into(), &base, &[window]).unwrap()
    };
    let (chat, reasoner) = (table(text("0.27", "1.10")), table(text("0.55", "2.19")));
    for (now, window, chat_output, reasoner_output) in [
        ("2025-02-25T17:00:00Z", "day", 1_100_000, 2_190_000), // announced, not begun
        ("2025-03-01T16:29:59Z", "day", 1_100_000, 2_190_000),
        ("2025-03-01T16:30:00Z", "night", 550_000, 550_000), // half of V3, a quarter of R1
        ("2025-03-02T00:29:59.999999Z", "night", 550_000, 550_000),
        ("2025-03-02T00:30:00Z", "day", 1_100_000, 2_190_000),
        ("2025-09-05T16:30:00Z", "day", 1_100_000, 2_190_000), // cancelled half an hour before
    ] {
        for (table, output) in [(&chat, chat_output), (&reasoner, reasoner_output)] {
            let (name, price) = table.at(at(now));
            assert_eq!((&**name, price.output), (window, output), "{now}");
        }
    }
    assert_eq!(chat.next_change(at("2025-09-05T12:00:00Z")), None);
}

#[test]
fn a_made_up_working_day_has_peak_hours_and_a_holiday_none() {
    let hours = Hours {
        days: Some("mon-fri".into()),
        hours: vec!["01:00-04:00".into()],
        days_tz: Some("Asia/Shanghai".into()),
        except_dates: vec!["2026-10-01".into(), "2026-10-02".into()],
        extra_dates: vec!["2026-10-10".into()],
        ..Hours::default()
    };
    check(
        &hours.calendar().unwrap(),
        &[
            ("2026-09-30T04:00:00Z", false, "2026-10-05T01:00:00Z"),
            ("2026-10-09T04:00:00Z", false, "2026-10-10T01:00:00Z"),
            ("2026-10-10T01:00:00Z", true, "2026-10-10T04:00:00Z"), // a Saturday
            ("2026-10-10T04:00:00Z", false, "2026-10-12T01:00:00Z"),
        ],
    );
}

#[test]
fn both_changes_of_the_clocks_in_new_york() {
    // 2026-03-08: 02:00 to 03:00 at 07:00 UTC. 2026-11-01: 02:00 back to 01:00 at 06:00 UTC.
    let night = calendar("22:00-06:00 America/New_York");
    check(
        &night,
        &[
            ("2026-03-08T03:00:00Z", true, "2026-03-08T10:00:00Z"), // seven hours long
            ("2026-11-01T02:00:00Z", true, "2026-11-01T11:00:00Z"), // nine
        ],
    );
    check(
        &calendar("01:00-02:00 America/New_York"),
        &[
            ("2026-03-08T06:30:00Z", true, "2026-03-08T07:00:00Z"),
            ("2026-11-01T05:30:00Z", true, "2026-11-01T07:00:00Z"), // the hour and its repetition
        ],
    );
    check(
        &calendar("02:00-03:00 America/New_York"),
        &[
            ("2026-03-08T06:59:00Z", false, "2026-03-09T06:00:00Z"), // there is no such hour
            ("2026-11-01T06:30:00Z", false, "2026-11-01T07:00:00Z"),
        ],
    );
}

#[test]
fn a_clock_that_changes_by_half_an_hour() {
    // Lord Howe: 2026-04-05 02:00 +11 back to 01:30 at 15:00 UTC; 2026-10-04 02:00 +10:30 to 02:30 at 15:30.
    check(
        &calendar("01:45-03:00 Australia/Lord_Howe"),
        &[
            ("2026-04-04T14:44:00Z", false, "2026-04-04T14:45:00Z"),
            ("2026-04-04T15:10:00Z", true, "2026-04-04T16:30:00Z"), // 01:40 the second time
            ("2026-10-03T15:29:00Z", true, "2026-10-03T16:00:00Z"),
        ],
    );
    check(
        &calendar("02:10-02:20 Australia/Lord_Howe"),
        &[(
            "2026-10-03T15:00:00Z",
            false,
            "2026-10-04T15:10:00Z", // skipped once
        )],
    );
}

#[test]
fn a_cron_names_days_that_come_once_in_years() {
    let cron = |text: &str, lasts: &str| {
        let hours = Hours { cron: Some(text.into()), lasts: Some(lasts.into()), ..Hours::default() };
        hours.calendar().unwrap()
    };
    check(
        &cron("0 12 29 2 *", "36h"),
        &[
            ("2026-01-01T00:00:00Z", false, "2028-02-29T12:00:00Z"),
            ("2028-03-01T23:59:00Z", true, "2028-03-02T00:00:00Z"),
        ],
    );
    check(&cron("0 18 * * fri", "62h"), &[("2026-11-21T12:00:00Z", true, "2026-11-23T08:00:00Z")]);
    // Minute after minute without a gap, until the weekend.
    check(&cron("* * * * mon-fri", "1m"), &[("2026-11-23T00:00:00Z", true, "2026-11-28T00:00:00Z")]);
    let last = cron("0 0 0 31 12 ? 2026", "24h");
    assert_eq!(last.next_change(at("2027-01-01T00:00:00Z")), None);
    assert_eq!(cron("* * * * *", "1m").next_change(at("2027-01-01T00:00:00Z")), None);
}

#[test]
fn what_closes_years_from_now_is_not_taken_to_be_open_for_ever() {
    let mut day = Hours::parse("00:00-12:00 Europe/Berlin").unwrap();
    let night = Hours::parse("12:00-24:00 Europe/Berlin").unwrap();
    day.valid_to = Some("2031-05-01".into());
    let both = Hours::any(&[day.clone(), night.clone()]).unwrap();
    assert_eq!(both.open_until(at("2026-11-21T12:00:00Z")), (true, at("2031-05-01T22:00:00Z")));
    // In summer Berlin's morning begins before the night of UTC is over, in winter an hour after.
    let other = Hours::any(&[
        Hours::parse("07:00-20:00 Europe/Berlin").unwrap(),
        Hours::parse("18:00-05:00").unwrap(),
    ]);
    assert_eq!(other.unwrap().open_until(at("2026-07-01T12:00:00Z")), (true, at("2026-10-25T05:00:00Z")));
}

mod reference {
    //! Every minute of some weeks, worked out from nothing but the reading of the clock at each.

    use chrono::{Datelike, NaiveTime};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;
    const DAYS: i64 = 16;

    /// What a clock on a wall shows, minute by minute, with the latest reading it has shown so far.
    struct Wall {
        latest: Vec<NaiveDateTime>,
        begins: Timestamp,
    }

    impl Wall {
        fn new(zone: Tz, begins: Timestamp) -> Wall {
            let mut latest: Vec<NaiveDateTime> = Vec::new();
            // A week before, in which ranges begin, and a week after, in which they end.
            for minute in -8 * 1_440..(DAYS + 8) * 1_440 {
                let at = Timestamp::from_micros(begins.micros() + minute * MINUTE);
                let shown = zone.from_utc_datetime(&at.utc().naive_utc()).naive_local();
                latest.push(latest.last().map_or(shown, |&last| last.max(shown)));
            }
            Wall { latest, begins }
        }

        /// When it first shows `reading` or more.
        fn first(&self, reading: NaiveDateTime) -> Timestamp {
            let minute = self.latest.partition_point(|&shown| shown < reading) as i64 - 8 * 1_440;
            Timestamp::from_micros(self.begins.micros() + minute * MINUTE)
        }
    }

    fn spans(rule: &Rule, begins: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let wall = Wall::new(rule.zone, begins);
        let mut spans = Vec::new();
        let first = begins.utc().date_naive() - Span::new(7);
        for date in first.iter_days().take(DAYS as usize + 9) {
            for range in &rule.ranges {
                let midnight = date.and_time(NaiveTime::MIN);
                let start = wall.first(midnight + TimeDelta::minutes(range.start.into()));
                let end = wall.first(midnight + TimeDelta::minutes((range.start + range.minutes).into()));
                let day = rule.days_zone.from_utc_datetime(&start.utc().naive_utc()).date_naive();
                let weekday = day.weekday().number_from_monday() - 1;
                let is_day = rule.days.weekdays >> weekday & 1 == 1 || rule.days.extra.contains(&day);
                if is_day && !rule.days.except.contains(&day) {
                    spans.push((start.max(rule.valid_from), end.min(rule.valid_to)));
                }
            }
        }
        spans
    }

    /// Mostly in the zone whose clocks change in these weeks, around the hours in which they do, and short:
    /// what is open most of the time hides the mistakes.
    fn rules(begins: Timestamp, changing: Tz) -> impl Strategy<Value = Vec<Rule>> {
        let zones = [
            Tz::UTC,
            Tz::Europe__Berlin,
            Tz::America__New_York,
            Tz::Australia__Lord_Howe,
            Tz::Asia__Shanghai,
            Tz::Asia__Kathmandu,
        ];
        let zone = move || prop_oneof![3 => Just(changing), 1 => proptest::sample::select(zones.to_vec())];
        let minute = || prop_oneof![1 => 0u16..DAY, 3 => (0u16..16).prop_map(|quarter| quarter * 15)];
        let range = (minute(), prop_oneof![12 => 1u16..=90, 3 => 1u16..=DAY, 1 => DAY..Range::LONGEST])
            .prop_map(|(start, minutes)| Range { start, minutes });
        let dates = || {
            let date = (0..DAYS as u64).prop_map(move |day| begins.utc().date_naive() + Span::new(day));
            prop::collection::btree_set(date, 0..4)
        };
        let valid = || prop::option::weighted(0.2, 0..DAYS * 1_440);
        let rule = (
            1u8..=ALL_WEEKDAYS,
            prop::collection::vec(range, 1..4),
            (zone(), zone(), any::<bool>()),
            (dates(), dates()),
            (valid(), valid()),
        );
        let rule =
            rule.prop_map(move |(weekdays, ranges, (zone, other, same), (except, extra), (from, to))| {
                let at = |minute: i64| Timestamp::from_micros(begins.micros() + minute * MINUTE);
                Rule {
                    days: Days { weekdays, except, extra, ..Days::default() },
                    ranges,
                    zone,
                    days_zone: if same { zone } else { other },
                    valid_from: from.map_or(Timestamp::from_micros(i64::MIN / 4), at),
                    valid_to: to.map_or(Timestamp::MAX, at),
                }
            });
        prop::collection::vec(rule, 1..3)
    }

    /// Weeks in which the clocks of a zone change, and some in which none do.
    fn weeks() -> impl Strategy<Value = (Timestamp, Tz)> {
        let weeks = [
            ("2026-03-01", Tz::America__New_York),
            ("2026-03-22", Tz::Europe__Berlin),
            ("2026-03-29", Tz::Australia__Lord_Howe),
            ("2026-09-27", Tz::Australia__Lord_Howe),
            ("2026-10-18", Tz::Europe__Berlin),
            ("2026-10-25", Tz::America__New_York),
            ("2026-06-01", Tz::Asia__Shanghai),
        ];
        let weeks: Vec<_> = weeks.map(|(day, zone)| (at(&format!("{day}T00:00:00Z")), zone)).into();
        proptest::sample::select(weeks)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_calendar_is_what_the_clock_on_the_wall_says(
            (begins, rules) in weeks().prop_flat_map(|(begins, zone)| (Just(begins), rules(begins, zone)))
        ) {
            let spans: Vec<_> = rules.iter().flat_map(|rule| spans(rule, begins)).collect();
            let minutes = (0..DAYS * 1_440).map(|minute| Timestamp::from_micros(begins.micros() + minute * MINUTE));
            let truth: Vec<(Timestamp, bool)> = minutes
                .map(|now| (now, spans.iter().any(|&(start, end)| start <= now && now < end)))
                .collect();
            let calendar = Calendar::new(rules);
            let is_edge = |at: usize| at > 0 && truth[at].1 != truth[at - 1].1;
            let n = truth.len();
            let asked = (0..n).filter(|&at| at % 29 == 0 || is_edge(at) || (at + 1 < n && is_edge(at + 1)));
            for (now, open) in asked.map(|at| truth[at]) {
                prop_assert_eq!(calendar.is_open(now), open, "at {}", now);
            }
            // From change to change: none left out, none made up, always further on.
            let (mut now, end) = (begins, truth[truth.len() - 1].0);
            let changes = truth.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| pair[1].0);
            for change in changes {
                let (open, until) = calendar.open_until(now);
                prop_assert_eq!((open, until), (calendar.is_open(now), change), "from {}", now);
                now = until;
            }
            prop_assert!(calendar.next_change(now).is_none_or(|next| next > end), "from {}", now);
        }
    }
}
