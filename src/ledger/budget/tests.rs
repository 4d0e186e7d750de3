use super::*;
use crate::clock::Timestamp;
use crate::ledger::limits::Limits;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn day(text: &str) -> Day {
    let at: Timestamp = format!("{text}T12:00:00Z").parse().unwrap();
    Day::of(at, chrono_tz::Tz::UTC)
}

fn tags(tags: &[&str]) -> Tags {
    tags.iter().map(|&tag| Arc::from(tag)).collect()
}

fn caps(day: &str, month: &str, total: &str) -> Caps {
    let cap = |text: &str| (!text.is_empty()).then(|| usd(text));
    Caps { day: cap(day), month: cap(month), total: cap(total) }
}

fn budgets(process: Caps, of_tags: &[(&str, Caps)]) -> Budgets {
    let tags = of_tags.iter().map(|&(tag, caps)| (Arc::from(tag), caps)).collect();
    let mut budgets = Budgets::default();
    budgets.set_limits(Limits { process, tags, ..Limits::default() });
    budgets
}

fn reserve(budgets: &mut Budgets, attempt: u64, amount: &str, on: &str, of: &[&str]) {
    let reservation = Reservation { amount: usd(amount), day: day(on), tags: tags(of) };
    budgets.reserve(AttemptId(attempt), reservation);
}

fn sums(spent: &str, at_risk: &str, reserved: &str) -> Sums {
    Sums { spent: usd(spent), at_risk: usd(at_risk), reserved: usd(reserved), told: 0 }
}

const TODAY: &str = "2026-11-30";
const TOMORROW: &str = "2026-12-01";

#[test]
fn an_attempt_must_fit_every_budget_it_touches() {
    let budgets = budgets(
        caps("$10", "$8", ""),
        &[("team=search", caps("$5", "", "")), ("app=web", caps("", "", "$3"))],
    );
    for (amount, of, full) in [
        ("$8", &[][..], None),
        ("$8.01", &[], Some("process month")),
        ("$11", &[], Some("process month")),
        ("$5", &["team=search"], None),
        ("$5.01", &["team=search"], Some("team=search day")),
        ("$4", &["app=web", "team=search"], Some("app=web total")),
        // The one that renews last says how long to wait.
        ("$6", &["app=web", "team=search"], Some("app=web total")),
        ("$6", &["team=ads"], None),
    ] {
        let found = budgets.fits(usd(amount), day(TODAY), &tags(of)).err();
        let found = found.map(|full| format!("{} {}", full.scope, full.period.as_str()));
        assert_eq!(found.as_deref(), full, "{amount} {of:?}");
    }
}

#[test]
fn a_reservation_is_settled_once_whatever_comes_after() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    reserve(&mut budgets, 1, "$4", TODAY, &["team=search"]);
    reserve(&mut budgets, 1, "$4", TODAY, &["team=search"]);
    for scope in [Scope::Process, Scope::Tag("team=search".into())] {
        for period in [Period::Day(day(TODAY)), Period::Month(day(TODAY).month()), Period::Total] {
            assert_eq!(budgets.sums(&scope, period), sums("0", "0", "$4"));
        }
    }
    budgets.settle(AttemptId(1), usd("$1"), Usd::ZERO);
    budgets.settle(AttemptId(1), usd("$1"), Usd::ZERO);
    assert_eq!(budgets.sums(&Scope::Process, Period::Total), sums("$1", "0", "0"));
    assert_eq!(budgets.open().count(), 0);
}

#[test]
fn what_may_have_been_billed_stays_committed_at_its_worst() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    reserve(&mut budgets, 1, "$6", TODAY, &[]);
    budgets.settle(AttemptId(1), usd("$0.10"), usd("$6"));
    assert_eq!(budgets.sums(&Scope::Process, Period::Total), sums("0", "$6", "0"));
    assert!(budgets.fits(usd("$4"), day(TODAY), &tags(&[])).is_ok());
    let full = budgets.fits(usd("$4.01"), day(TODAY), &tags(&[])).unwrap_err();
    assert!(full.for_good());
}

#[test]
fn a_budget_full_of_reservations_is_not_full_for_good() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    reserve(&mut budgets, 1, "$6", TODAY, &[]);
    let full = budgets.fits(usd("$5"), day(TODAY), &tags(&[])).unwrap_err();
    assert!(!full.for_good());
}

#[test]
fn money_counts_in_the_day_and_month_it_was_promised_in() {
    let mut budgets = budgets(caps("$10", "$20", ""), &[]);
    reserve(&mut budgets, 1, "$9", TODAY, &[]);
    reserve(&mut budgets, 2, "$2", TOMORROW, &[]);
    budgets.settle(AttemptId(1), usd("$8"), Usd::ZERO);
    let of = |period| budgets.sums(&Scope::Process, period);
    assert_eq!(of(Period::Day(day(TODAY))), sums("$8", "0", "0"));
    assert_eq!(of(Period::Month(day(TODAY).month())), sums("$8", "0", "0"));
    assert_eq!(of(Period::Day(day(TOMORROW))), sums("0", "0", "$2"));
    assert_eq!(of(Period::Month(day(TOMORROW).month())), sums("0", "0", "$2"));
}

#[test]
fn old_periods_go_but_not_while_something_is_open_in_them() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    reserve(&mut budgets, 1, "$1", "2026-01-01", &[]);
    for (attempt, date) in (2..).zip(["02", "03", "04", "05", "06", "07", "08"]) {
        reserve(&mut budgets, attempt, "$1", &format!("2026-{date}-01"), &[]);
        budgets.settle(AttemptId(attempt), usd("$1"), Usd::ZERO);
    }
    assert_eq!(budgets.process.days.len(), KEPT_DAYS);
    assert_eq!(budgets.process.months.len(), KEPT_MONTHS);
    budgets.settle(AttemptId(1), usd("$0.50"), Usd::ZERO);
    assert_eq!(budgets.sums(&Scope::Process, Period::Day(day("2026-01-01"))), sums("$0.50", "0", "0"));
    assert_eq!(budgets.sums(&Scope::Process, Period::Total), sums("$7.50", "0", "0"));
}

#[test]
fn what_costs_nothing_fits_a_budget_that_is_overdrawn() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    reserve(&mut budgets, 1, "$10", TODAY, &[]);
    budgets.settle(AttemptId(1), usd("$10"), Usd::ZERO);
    budgets.set_limits(Limits { process: caps("$1", "", ""), ..Limits::default() });
    assert!(budgets.fits(Usd::ZERO, day(TODAY), &tags(&[])).is_ok());
    assert!(budgets.fits(Usd::from_pico(1), day(TODAY), &tags(&[])).is_err());
    assert_eq!(budgets.left(day(TODAY), &tags(&[])), Some(Usd::ZERO));
}

#[test]
fn a_budget_set_later_holds_for_what_its_period_has_cost() {
    let mut budgets = Budgets::default();
    reserve(&mut budgets, 1, "$4", TODAY, &["team=search"]);
    budgets.settle(AttemptId(1), usd("$4"), Usd::ZERO);
    assert_eq!(budgets.left(day(TODAY), &tags(&["team=search"])), None);
    let of_tags = [(Arc::from("team=search"), caps("$5", "", ""))].into();
    budgets.set_limits(Limits { process: caps("$10", "", ""), tags: of_tags, ..Limits::default() });
    assert_eq!(budgets.left(day(TODAY), &tags(&["team=search"])), Some(usd("$1")));
    assert_eq!(budgets.left(day(TODAY), &tags(&[])), Some(usd("$6")));
    assert_eq!(budgets.left(day(TOMORROW), &tags(&["team=search"])), Some(usd("$5")));
}

#[test]
fn a_threshold_is_told_once_until_there_is_more_room() {
    let mut budgets = budgets(caps("$10", "", ""), &[]);
    let told = |budgets: &mut Budgets| {
        let alerts = budgets.reached(day(TODAY), &tags(&[]));
        alerts.iter().for_each(|alert| budgets.told(alert));
        alerts.into_iter().map(|alert| alert.percent).collect::<Vec<_>>()
    };
    reserve(&mut budgets, 1, "$9", TODAY, &[]);
    assert!(told(&mut budgets).is_empty());
    budgets.settle(AttemptId(1), usd("$8"), Usd::ZERO);
    assert_eq!(told(&mut budgets), [50, 80]);
    assert!(told(&mut budgets).is_empty());
    // Room enough that four fifths are not used up any more.
    budgets.set_limits(Limits { process: caps("$11", "", ""), ..Limits::default() });
    assert!(told(&mut budgets).is_empty());
    reserve(&mut budgets, 2, "$3", TODAY, &[]);
    budgets.settle(AttemptId(2), usd("$1"), usd("$3"));
    assert_eq!(told(&mut budgets), [80, 100]);
}

#[test]
fn tags_without_a_budget_are_forgotten_where_there_are_too_many() {
    let mut budgets = budgets(Caps::default(), &[("user=0", caps("$5", "", ""))]);
    reserve(&mut budgets, 1, "$1", TODAY, &["user=1"]);
    let last = 5 * MOST_TAGS as u64;
    for attempt in 2..=last {
        let tag = if attempt == 2 { "user=0".to_owned() } else { format!("user={attempt}") };
        reserve(&mut budgets, attempt, "$1", TODAY, &[&tag]);
        budgets.settle(AttemptId(attempt), usd("$1"), Usd::ZERO);
    }
    assert!(budgets.tags.len() <= 2 * MOST_TAGS + 2, "{}", budgets.tags.len());
    let known = |n: u64| budgets.tags.contains_key(&*format!("user={n}"));
    assert!(known(0), "it has a budget");
    assert!(known(1), "an attempt of it is in flight");
    assert!(!known(3), "it was used longest ago");
    assert!((last - MOST_TAGS as u64 + 1..=last).all(known), "the latest are remembered");
}

#[test]
fn the_process_is_counted_where_nothing_is_limited() {
    let mut budgets = Budgets::default();
    reserve(&mut budgets, 1, "$1", TODAY, &[]);
    let all = budgets.all(day(TODAY));
    let shown: Vec<(&str, bool)> =
        all.iter().map(|(_, period, limit, _)| (period.as_str(), limit.is_some())).collect();
    assert_eq!(shown, [("day", false), ("month", false)]);
    assert!(all.iter().all(|(.., sums)| sums.reserved == usd("$1")));
    assert!(budgets.fits(usd("$1000000"), day(TODAY), &tags(&["a=b"])).is_ok());
}
