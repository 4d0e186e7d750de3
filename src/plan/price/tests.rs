use proptest::prelude::*;

use super::*;
use crate::catalog::{PriceTable, PriceWindow};
use crate::money::Price;
use crate::plan::testing::{NOTHING_KNOWN, at, hours, item, route, with_windows};

fn answer(usage: Option<Usage>) -> Answer {
    Answer { text: "x".repeat(40), usage, ..Answer::default() }
}

fn prices() -> impl Strategy<Value = Price> {
    let cached = || proptest::option::of(0u64..20_000_000);
    (0u64..20_000_000, cached(), cached(), 0u64..80_000_000, 0i128..1_000_000_000).prop_map(
        |(input, cache_read, cache_write, output, request)| Price {
            input,
            cache_read,
            cache_write,
            output,
            request: Usd::from_pico(request),
            ..Price::default()
        },
    )
}

proptest! {
    #[test]
    fn no_bill_is_above_the_worst_case(
        base in prices(),
        peak in prices(),
        peak_now: bool,
        shares in (0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0),
        asked in proptest::option::of(1u32..5_000),
        choices in 1u16..4,
    ) {
        let mut route = route("a/m", 1);
        let window = PriceWindow::new("peak", hours("09:00-17:00"), peak);
        route.prices = Some(PriceTable { windows: vec![window], ..PriceTable::flat("t", base) });
        let mut item = item(0);
        item.max_output = asked;
        item.choices = choices;
        let most_output = asked.map_or(1_000 * u64::from(choices), u64::from);
        let part = |whole: u64, share: f64| (whole as f64 * share) as u64;
        let input = part(item.most_input_tokens(), shares.0);
        let cache_read = part(input, shares.1);
        let usage = Usage {
            input,
            cache_read,
            cache_write: part(input - cache_read, shares.2),
            output: part(most_output, shares.3),
            ..Usage::default()
        };
        let sent_at = at(if peak_now { "12:00" } else { "20:00" });
        let most = worst_case(&route, &item).expect("price and output are known");
        prop_assert!(of_answer(&route, &item, &answer(Some(usage)), sent_at, &NOTHING_KNOWN).cost <= most);
        prop_assert!(expected(&route, &item, sent_at, &NOTHING_KNOWN).expect("priced") <= most);
        let unknown = of_unknown(&route, &item, sent_at, &NOTHING_KNOWN);
        prop_assert!(unknown.cost <= unknown.at_risk && unknown.at_risk == most);
    }
}

#[test]
fn the_hour_of_sending_sets_the_price_and_the_dearest_hour_the_list() {
    let route = with_windows(route("a/m", 2), &[("09:00-17:00", 4)]);
    let usage = Usage { input: 10, output: 5, ..Usage::default() };
    let bill = |time| of_answer(&route, &item(0), &answer(Some(usage)), at(time), &NOTHING_KNOWN);
    assert_eq!((bill("12:00").cost.pico(), bill("20:00").cost.pico()), (60, 30));
    assert_eq!((bill("12:00").list_cost.pico(), bill("20:00").list_cost.pico()), (60, 60));
    assert_eq!((bill("20:00").basis, bill("20:00").at_risk), (CostBasis::Computed, Usd::ZERO));
}

#[test]
fn without_usage_the_bill_is_a_guess_and_the_worst_case_stays_aside() {
    let bill = of_answer(&route("a/m", 2), &item(0), &answer(None), at("12:00"), &NOTHING_KNOWN);
    assert_eq!((bill.cost.pico(), bill.basis), (2 * 10 + 2 * 10, CostBasis::Estimated));
    assert_eq!(Some(bill.at_risk), worst_case(&route("a/m", 2), &item(0)));
}

#[test]
fn nothing_is_at_risk_where_nothing_costs_anything() {
    let free = route("a/m", 0);
    let mut endless = item(0);
    endless.max_output = None;
    assert_eq!(worst_case(&free, &endless), Some(Usd::ZERO));
    let bill = of_unknown(&free, &endless, at("12:00"), &NOTHING_KNOWN);
    assert_eq!((bill.at_risk, bill.basis), (Usd::ZERO, CostBasis::Free));
}

#[test]
fn an_unknown_price_or_output_has_no_worst_case() {
    let mut endless = item(0);
    endless.max_output = None;
    assert_eq!(worst_case(&Route { max_output: None, ..route("a/m", 2) }, &endless), None);
    assert_eq!(worst_case(&Route { prices: None, ..route("a/m", 2) }, &item(0)), None);
}

#[test]
fn the_providers_own_figure_goes_before_ours() {
    let reported = Usd::from_pico(77);
    let answer = Answer { reported_cost: Some(reported), ..answer(Some(Usage::default())) };
    for prices in [route("a/m", 2).prices, None] {
        let bill =
            of_answer(&Route { prices, ..route("a/m", 2) }, &item(0), &answer, at("12:00"), &NOTHING_KNOWN);
        assert_eq!((bill.cost, bill.basis), (reported, CostBasis::Reported));
    }
}
