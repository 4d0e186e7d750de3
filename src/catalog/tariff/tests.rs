use proptest::prelude::*;

use super::*;
use crate::catalog::hours::Hours;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn price(input: u64, output: u64) -> Price {
    Price { input, output, ..Price::default() }
}

fn tier(above: u64, scope: TierScope, price: Price) -> PriceTier {
    PriceTier { above, scope, price }
}

fn hours(text: &str) -> Calendar {
    Hours::parse(text).unwrap().calendar().unwrap()
}

fn until(day: &str) -> Calendar {
    let dates = Hours { hours: vec!["00:00-24:00".into()], valid_to: Some(day.into()), ..Hours::default() };
    dates.calendar().unwrap()
}

fn prompt(input: u64) -> Usage {
    Usage { input, output: 10, ..Usage::default() }
}

#[test]
fn a_long_prompt_moves_the_whole_request_to_its_tier() {
    let tiers = vec![tier(200, TierScope::Whole, price(2, 15)), tier(400, TierScope::Whole, price(4, 20))];
    let table = PriceTable { tiers, ..PriceTable::flat("t", price(1, 10)) };
    let cost = |input| table.cost(&prompt(input), Timestamp::default()).pico();
    assert_eq!((cost(200), cost(201)), (200 + 100, 402 + 150));
    assert_eq!((cost(400), cost(401)), (800 + 150, 1_604 + 200));
}

#[test]
fn a_tier_for_what_is_above_leaves_the_front_of_the_prompt_as_it_was() {
    let front = Price { cache_read: Some(1), ..price(10, 100) };
    let long = Price { cache_read: Some(2), request: Usd::from_pico(7), ..price(20, 200) };
    let table = PriceTable { tiers: vec![tier(100, TierScope::Above, long)], ..PriceTable::flat("t", front) };
    let usage = Usage { cache_read: 60, ..prompt(150) };
    assert_eq!(table.cost(&usage, Timestamp::default()).pico(), 60 + 40 * 10 + 50 * 20 + 10 * 200 + 7);
    // More was cached than is below the limit.
    let usage = Usage { cache_read: 120, ..prompt(150) };
    assert_eq!(table.cost(&usage, Timestamp::default()).pico(), 100 + 20 * 2 + 30 * 20 + 10 * 200 + 7);
}

#[test]
fn dates_decide_what_the_dearest_hour_is() {
    let promo = PriceWindow::new("promo", until("2026-11-21"), price(4, 20));
    let peak = PriceWindow::new("peak", hours("01:00-04:00"), price(9, 40));
    let table = PriceTable { windows: vec![promo, peak], ..PriceTable::flat("t", price(5, 30)) };
    let list = |moment: &str| table.list_cost(&prompt(1), at(moment)).pico();
    assert_eq!(list("2026-11-21T12:00:00Z"), 4 + 200, "the promotion holds at every hour of its dates");
    assert_eq!(list("2026-11-22T12:00:00Z"), 9 + 400);
    assert_eq!(table.worst_case(1, 10).pico(), 9 + 400);
}

#[test]
fn what_has_long_ended_is_not_reserved_for() {
    let old = PriceWindow::new("old", until("2026-08-16"), price(100, 100));
    let table = PriceTable { windows: vec![old], ..PriceTable::flat("t", price(5, 30)) };
    assert_eq!(table.clone().since(at("2026-08-20T00:00:00Z")).worst_case(1, 0).pico(), 100);
    assert_eq!(table.since(at("2026-08-30T00:00:00Z")).worst_case(1, 0).pico(), 5);
}

#[test]
fn free_is_free_at_every_hour_and_length() {
    let free = PriceTable::flat("t", Price::default());
    assert!(free.is_free());
    let long = PriceTable { tiers: vec![tier(9, TierScope::Whole, price(0, 1))], ..free.clone() };
    assert!(!long.is_free());
    let peak = PriceWindow::new("peak", hours("01:00-04:00"), price(0, 1));
    assert!(!PriceTable { windows: vec![peak], ..free }.is_free());
}

fn prices() -> impl Strategy<Value = Price> {
    let part = || proptest::option::of(0u64..1_000);
    (0u64..1_000, part(), part(), part(), 0u64..1_000, part(), 0i128..1_000).prop_map(
        |(input, cache_read, cache_write, cache_write_1h, output, reasoning, request)| Price {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            request: Usd::from_pico(request),
        },
    )
}

fn tiers() -> impl Strategy<Value = Vec<PriceTier>> {
    let scope = any::<bool>().prop_map(|above| if above { TierScope::Above } else { TierScope::Whole });
    prop::collection::vec((1u64..500, scope, prices()), 0..4).prop_map(|list| {
        let mut limit = 0;
        let one = |(more, scope, price)| {
            limit += more;
            PriceTier { above: limit, scope, price }
        };
        list.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn no_request_costs_more_than_the_worst_case(
        base in (prices(), tiers()),
        peak in (prices(), tiers()),
        hour in 0u32..24,
        most in (0u64..2_000, 0u64..100),
        shares in [0.0f64..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0],
    ) {
        let window = PriceWindow { tiers: peak.1, ..PriceWindow::new("peak", hours("09:00-17:00"), peak.0) };
        let table = PriceTable { tiers: base.1, windows: vec![window], ..PriceTable::flat("t", base.0) };
        let part = |whole: u64, share: f64| (whole as f64 * share) as u64;
        let input = part(most.0, shares[0]);
        let cache_read = part(input, shares[1]);
        let cache_write = part(input - cache_read, shares[2]);
        let output = part(most.1, shares[4]);
        let usage = Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h: part(cache_write, shares[3]),
            output,
            reasoning: part(output, shares[5]),
        };
        let now = at(&format!("2026-11-23T{hour:02}:30:00Z"));
        let cost = table.cost(&usage, now);
        prop_assert!(cost <= table.worst_case(most.0, most.1));
        prop_assert!(cost <= table.list_cost(&usage, now));
    }

    #[test]
    fn a_prompt_cut_in_two_is_the_same_prompt(
        input in 0u64..1_000, read in 0u64..1_000, write in 0u64..1_000, hour in 0u64..1_000, limit in 0u64..1_000,
    ) {
        let read = read.min(input);
        let write = write.min(input - read);
        let usage = Usage { input, cache_read: read, cache_write: write, cache_write_1h: hour.min(write), output: 9, reasoning: 3 };
        let (mut sum, rest) = split(&usage, limit);
        prop_assert_eq!(sum.input, input.min(limit));
        sum += rest;
        prop_assert_eq!(sum, usage);
    }
}
