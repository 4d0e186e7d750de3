use super::*;

fn text(input: &str, output: &str) -> PriceText {
    PriceText { input: input.into(), output: output.into(), ..PriceText::default() }
}

#[test]
fn prices_are_whole_pico_dollars_a_token() {
    for (written, price) in [("0.15", 150_000), ("0.114286", 114_286), ("2", 2_000_000), ("1e-1", 100_000)] {
        assert_eq!(text(written, "0").price().unwrap().input, price, "{written}");
    }
}

#[test]
fn what_is_not_a_price_is_refused() {
    for written in ["-1", "", "free", "NaN", "inf", "1000001", "1e99"] {
        assert_eq!(text(written, "0").price(), Err(PriceError::NotAPrice(written.into())), "{written}");
    }
    assert_eq!(text("0.1142857", "0").price(), Err(PriceError::TooFine("0.1142857".into())));
}

#[test]
fn a_factor_is_exact_or_rounds_up() {
    let base = Price { input: 660_000, cache_read: Some(3), output: 1, ..Price::default() };
    let doubled = Factor::parse("2").unwrap().price(&base).unwrap();
    assert_eq!((doubled.input, doubled.cache_read, doubled.cache_write), (1_320_000, Some(6), None));
    let halved = Factor::parse("0.5").unwrap().price(&base).unwrap();
    assert_eq!((halved.input, halved.cache_read, halved.output), (330_000, Some(2), 1));
    assert!(Factor::parse("-2").is_err());
}

#[test]
fn a_window_has_one_price() {
    let hours = Hours::parse("01:00-04:00").unwrap();
    let window = WindowText { name: "peak".into(), hours, ..WindowText::default() };
    assert!(matches!(
        window.priced(&PriceTable::flat("t", Price::default())),
        Err(PriceError::WindowPrice(_))
    ));
}

#[test]
fn prices_are_shown_with_the_decimals_they_have() {
    for (price, shown) in
        [(150_000, "$0.15"), (3_000, "$0.003"), (12_000_000, "$12.00"), (0, "$0.00"), (114_286, "$0.114286")]
    {
        assert_eq!(per_million(price), shown);
    }
}

fn priced(text: PriceText, windows: &[WindowText]) -> PriceTable {
    table("t".into(), &text, windows).unwrap()
}

fn peak(hours: Hours) -> WindowText {
    WindowText { name: "peak".into(), hours, multiply: Some("2".into()), price: None }
}

#[test]
fn a_window_that_multiplies_multiplies_the_long_prompts_too() {
    let tier = TierText { above: 200_000, price: text("2", "3"), ..TierText::default() };
    let base = PriceText { tiers: vec![tier], ..text("1", "2") };
    let table = priced(base, &[peak(Hours::parse("01:00-04:00").unwrap())]);
    assert_eq!(table.windows[0].tiers[0].price.input, 4_000_000);
    assert_eq!(table.windows[0].tiers[0].above, 200_000);
}

#[test]
fn tiers_come_in_order_and_have_none_themselves() {
    let tier = |above| TierText { above, price: text("2", "3"), ..TierText::default() };
    let inner = PriceText { tiers: vec![tier(5)], ..text("1", "1") };
    for tiers in [vec![tier(2), tier(1)], vec![tier(1), tier(1)], vec![TierText { price: inner, ..tier(1) }]]
    {
        assert_eq!(PriceText { tiers, ..text("1", "2") }.tiers(), Err(PriceError::Tiers));
    }
}

#[test]
fn a_discount_does_not_stack_on_cheap_hours_unless_said() {
    let realtime = priced(text("1", "2"), &[peak(Hours::parse("01:00-04:00").unwrap())]);
    let half = LaneText { multiply: Some("0.5".into()), caches: true, ..LaneText::default() };
    let batch = lane("b".into(), Some(&realtime), &half).unwrap();
    assert_eq!((batch.base.input, batch.windows.len()), (1_000_000, 0)); // half of the peak price
    let stacked = lane("b".into(), Some(&realtime), &LaneText { stacks: true, ..half.clone() }).unwrap();
    assert_eq!((stacked.base.input, stacked.windows[0].price.input), (500_000, 1_000_000));
    assert_eq!(lane("b".into(), None, &half), Err(PriceError::NoRealtime));
    assert_eq!(lane("b".into(), Some(&realtime), &LaneText::default()), Err(PriceError::LanePrice));
}

#[test]
fn a_discount_follows_the_price_over_dates() {
    let dates =
        Hours { hours: vec!["00:00-24:00".into()], valid_to: Some("2026-11-21".into()), ..Hours::default() };
    let promo =
        WindowText { name: "promo".into(), hours: dates, multiply: None, price: Some(text("4", "20")) };
    let realtime = priced(text("5", "30"), &[promo]);
    let half = LaneText { multiply: Some("0.5".into()), caches: true, ..LaneText::default() };
    let batch = lane("b".into(), Some(&realtime), &half).unwrap();
    let input = |moment: &str| batch.at(moment.parse().unwrap()).1.input;
    assert_eq!((input("2026-11-21T23:59:59Z"), input("2026-11-22T00:00:00Z")), (2_000_000, 2_500_000));
}

#[test]
fn a_lane_without_cache_prices_bills_cached_tokens_as_fresh() {
    let cached =
        PriceText { cache_read: Some("0.1".into()), cache_write: Some("1.25".into()), ..text("1", "2") };
    let half = LaneText { multiply: Some("0.5".into()), ..LaneText::default() };
    let batch = lane("b".into(), Some(&priced(cached, &[])), &half).unwrap();
    assert_eq!((batch.base.cache_read, batch.base.cache_write, batch.base.input), (None, None, 500_000));
}
