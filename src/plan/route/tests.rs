use super::*;
use crate::catalog::hours::Hours;
use crate::plan::testing::{NOTHING_KNOWN, at, hours, item, route, shared, with_windows};

/// `choose` for a plain item, in words.
struct Case {
    routes: Vec<Route>,
    item: Item,
    now: Timestamp,
    when: When,
    urgent: bool,
    wait_until: Timestamp,
    capped: bool,
    allow_unpriced: bool,
    closed: Vec<(&'static str, Waiting, Option<Timestamp>)>,
}

fn case(routes: impl IntoIterator<Item = Route>) -> Case {
    Case {
        routes: routes.into_iter().collect(),
        item: item(0),
        now: at("12:00"),
        when: When::Cheapest,
        urgent: false,
        wait_until: at("12:00") + Duration::from_secs(24 * 3_600),
        capped: false,
        allow_unpriced: false,
        closed: Vec::new(),
    }
}

impl Case {
    fn says(&self, words: &str) {
        let door = |route: &Route| match self.closed.iter().find(|(name, ..)| *name == &*route.name) {
            Some(&(_, waiting, until)) => Door::Closed(waiting, until),
            None => Door::Open,
        };
        let given = Circumstances {
            now: self.now,
            cover: &|_, _| Cover::None,
            when: self.when,
            urgent: self.urgent,
            wait_until: self.wait_until,
            plan: None,
            allow_unpriced: self.allow_unpriced,
            capped: self.capped,
            known: NOTHING_KNOWN,
            door: &door,
            taught: None,
            stop: StopPrice::Unlimited,
        };
        let said = match choose(&shared(self.routes.clone()), &self.item, &given) {
            Choice::Send(route) => format!("send {}", route.name),
            Choice::Wait(waiting, None) => format!("wait {}", waiting.as_str()),
            Choice::Wait(waiting, Some(until)) => {
                format!("wait {} {}", waiting.as_str(), until.utc().format("%d %H:%M"))
            }
            Choice::TooLong => "too long".to_owned(),
            Choice::Spent => "spent".to_owned(),
            Choice::NotWorthIt { route, index } => format!("not worth {index:.3} at {route}"),
            Choice::Never { why, can_be_mended } => {
                format!("never{}: {why}", if can_be_mended { " yet" } else { "" })
            }
        };
        assert_eq!(said, words);
    }

    fn with(mut self, change: impl FnOnce(&mut Case)) -> Case {
        change(&mut self);
        self
    }
}

fn two() -> [Route; 2] {
    [route("a/dear", 9), route("b/cheap", 2)]
}

#[test]
fn the_cheapest_gets_it_and_names_break_ties() {
    case(two()).says("send b/cheap");
    case([route("b/same", 2), route("a/same", 2)]).says("send a/same");
}

#[test]
fn a_busy_cheapest_is_waited_for_unless_time_is_short() {
    let busy = || case(two()).with(|case| case.closed.push(("b/cheap", Waiting::RateLimit, None)));
    busy().says("wait rate_limit");
    busy().with(|case| case.urgent = true).says("send a/dear");
    busy().with(|case| case.when = When::Asap).says("send a/dear");
}

#[test]
fn a_provider_that_names_a_long_pause_is_not_waited_for() {
    let paused = |until: &str| {
        case(two()).with(|case| case.closed.push(("b/cheap", Waiting::RateLimit, Some(at(until)))))
    };
    paused("12:01").says("wait rate_limit 23 12:01");
    paused("18:00").says("send a/dear");
}

#[test]
fn a_route_that_is_down_is_not_waited_for() {
    for waiting in [Waiting::Capacity, Waiting::NoRoute] {
        case(two()).with(|case| case.closed.push(("b/cheap", waiting, None))).says("send a/dear");
    }
    let both_down = case(two()).with(|case| {
        case.closed.push(("b/cheap", Waiting::NoRoute, Some(at("13:00"))));
        case.closed.push(("a/dear", Waiting::Capacity, Some(at("12:10"))));
    });
    both_down.says("wait no_route 23 12:10");
}

#[test]
fn a_peak_is_waited_out_unless_time_is_short() {
    let peak = || case([with_windows(route("a/m", 2), &[("09:00-17:00", 4)])]);
    peak().says("wait window 23 17:00");
    peak().with(|case| case.now = at("17:00")).says("send a/m");
    peak().with(|case| case.urgent = true).says("send a/m");
    peak().with(|case| case.when = When::Asap).says("send a/m");
    peak().with(|case| case.wait_until = at("16:59")).says("send a/m");
    peak()
        .with(|case| {
            case.when = When::OffPeak;
            case.wait_until = at("16:59");
            case.urgent = true;
        })
        .says("wait window 23 17:00");
}

#[test]
fn what_is_waited_for_is_a_cheaper_hour_and_not_just_another_one() {
    // Before noon the next change is to the peak; the cheap night is the one after it.
    let varied = || case([with_windows(route("a/m", 5), &[("13:00-17:00", 9), ("22:00-24:00", 1)])]);
    varied().says("wait window 23 22:00");
    varied().with(|case| case.wait_until = at("20:00")).says("send a/m");
    varied()
        .with(|case| (case.now, case.wait_until) = (at("14:00"), at("20:00")))
        .says("wait window 23 17:00");
}

#[test]
fn a_dearer_route_is_not_taken_while_a_cheaper_hour_is_worth_waiting_for() {
    let routes = [with_windows(route("a/peaks", 2), &[("09:00-17:00", 4)]), route("b/flat", 3)];
    case(routes.clone()).says("wait window 23 17:00");
    case(routes.clone()).with(|case| case.urgent = true).says("send b/flat");
    let routes = [with_windows(route("a/peaks", 4), &[("09:00-17:00", 5)]), route("b/flat", 3)];
    case(routes).says("send b/flat");
}

#[test]
fn a_discount_that_is_over_for_good_is_not_waited_for() {
    let mut once = Hours::parse("16:00-24:00").unwrap();
    once.valid_to = Some("2025-09-05T16:00:00Z".into());
    let mut ended = with_windows(route("a/m", 2), &[("16:00-24:00", 1)]);
    ended.prices.as_mut().unwrap().windows[0].hours = once.calendar().unwrap();
    for when in [When::Cheapest, When::OffPeak] {
        case([ended.clone()]).with(|case| case.when = when).says("send a/m");
    }
}

#[test]
fn outside_its_hours_a_route_is_closed_however_urgent() {
    let night = || Route { hours: hours("22:00-06:00"), ..route("a/own", 0) };
    case([night()]).says("wait window 23 22:00");
    case([night()]).with(|case| case.when = When::Asap).says("wait window 23 22:00");
    case([night(), route("b/paid", 5)]).says("wait window 23 22:00");
    case([night(), route("b/paid", 5)]).with(|case| case.urgent = true).says("send b/paid");
}

#[test]
fn an_item_too_long_for_all_says_so() {
    let long = |tokens| case(two()).with(move |case| case.item.input_tokens = tokens);
    long(9_900).says("send b/cheap");
    long(9_901).says("too long");
    let larger = Route { context: Some(100_000), ..route("c/large", 50) };
    case(two().into_iter().chain([larger])).with(|case| case.item.input_tokens = 9_901).says("send c/large");
}

#[test]
fn what_the_item_asks_for_and_no_route_has_is_never() {
    case(two())
        .with(|case| case.item.needs.vision = true)
        .says("never: a/dear: the model has no images; b/cheap: the model has no images");
    case([route("a/m", 1)])
        .with(|case| case.item.wire = Wire::Embeddings)
        .says("never: a/m: its endpoint does not take this kind of request");
}

#[test]
fn what_a_key_or_a_setting_would_help_may_be_yet() {
    let keyless = || Route { unusable: Some("set KEY".into()), ..route("a/m", 1) };
    case([keyless()]).says("never yet: a/m: set KEY");
    case([keyless(), route("b/m", 9)]).says("send b/m");
    case([]).says("never yet: no provider in the config serves its models");
    let unpriced = || Route { prices: None, ..route("a/m", 1) };
    case([unpriced()])
        .says("never yet: a/m: its price is unknown; set one in [models] or pass --allow-unpriced");
    case([unpriced()]).with(|case| case.allow_unpriced = true).says("send a/m");
}

#[test]
fn under_a_cap_the_worst_case_must_be_known() {
    let endless =
        || case([Route { max_output: None, ..route("a/m", 1) }]).with(|case| case.item.max_output = None);
    endless().says("send a/m");
    endless()
        .with(|case| case.capped = true)
        .says("never: a/m: its worst case is unknown; set max_tokens in the request");
}

#[test]
fn items_are_of_one_kind_where_every_route_says_the_same() {
    let routes = shared(two());
    let kind = |change: fn(&mut Item)| {
        let mut item = item(1);
        change(&mut item);
        Kind::of(&item, &routes, Spent::NONE)
    };
    assert_eq!(kind(|_| ()), kind(|item| item.input_tokens = 9_000));
    assert_ne!(kind(|_| ()), kind(|item| item.input_tokens = 9_901));
    assert_ne!(kind(|_| ()), kind(|item| item.needs.tools = true));
    assert_ne!(kind(|_| ()), kind(|item| item.max_output = None));
}
