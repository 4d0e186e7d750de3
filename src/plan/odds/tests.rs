use proptest::prelude::*;

use super::*;

fn tally() -> Tally {
    Tally::new(["a", "b", "c"].map(|name| (name, None)))
}

#[test]
fn failing_lowers_the_chance_of_the_others_before_anything_is_counted() {
    let odds = Odds::estimate(&tally(), 1_000);
    let after = [Spent::NONE, Spent::NONE.with(1), Spent::NONE.with(1).with(2)];
    let means = after.map(|spent| odds.mean(0, spent));
    assert!((means[0] - 0.7).abs() < 0.02, "{means:?}");
    assert!(means[1] < 0.9 * means[0] && means[2] < 0.9 * means[1], "{means:?}");
}

#[test]
fn independent_models_and_models_that_fail_together_are_told_apart() {
    let both = Spent::NONE.with(0);
    let learned = |passes_after: f64| {
        let mut tally = tally();
        tally.set_cell(0, Spent::NONE, 600.0, 300.0);
        tally.set_cell(1, Spent::NONE, 600.0, 300.0);
        tally.set_cell(1, both, 300.0, passes_after);
        Odds::estimate(&tally, 100)
    };
    // What was never tried after a failure is judged by how the others share theirs.
    let (apart, together) = (learned(148.0).mean(2, both), learned(6.0).mean(2, both));
    assert!(apart > together + 0.15, "{apart} {together}");
}

#[test]
fn where_enough_was_counted_the_count_speaks_for_itself() {
    let mut tally = tally();
    tally.set_cell(0, Spent::NONE, 1e5, 0.9e5);
    tally.set_cell(1, Spent::NONE.with(0), 1e4, 0.95e4);
    let chance = Odds::estimate(&tally, 0).mean(1, Spent::NONE.with(0));
    assert!((chance - 0.95).abs() < 0.01, "{chance}");
}

#[test]
fn who_has_more_left_to_do_is_bolder() {
    let upper = [0, 100, 10_000].map(|left| Odds::estimate(&tally(), left).upper(0, Spent::NONE));
    assert!(upper[0] < upper[1] && upper[1] < upper[2] && upper[2] <= 1.0, "{upper:?}");
    assert_eq!(
        [9, 99, 999, 1 << 40].map(|left| (boldness(left) * 100.0).round()),
        [50.0, 100.0, 150.0, 150.0]
    );
}

#[test]
fn a_model_that_passes_nothing_is_out_but_for_a_probe_in_500_items() {
    let mut tally = tally();
    let is_out = |tally: &Tally| Odds::estimate(tally, 1_000).is_out(0);
    for _ in 0..29 {
        tally.observe(0, Spent::NONE, false);
    }
    assert!(!is_out(&tally));
    for _ in 0..400 {
        tally.observe(0, Spent::NONE, false);
    }
    assert!(is_out(&tally));
    for _ in 0..499 {
        tally.observe(1, Spent::NONE, true);
    }
    assert!(is_out(&tally));
    tally.observe(1, Spent::NONE, true);
    assert!(!is_out(&tally), "one is let through");
    tally.observe(0, Spent::NONE, false);
    assert!(is_out(&tally));
}

#[test]
fn a_repeat_passes_less_often_than_a_first_try_until_it_is_counted() {
    let mut tally = tally();
    let after = Spent::NONE.with(0);
    let before = Odds::estimate(&tally, 0).repeat(0, after).mean;
    assert!((before - 0.3 * 0.7).abs() < 0.02, "{before}");
    for n in 0..200 {
        tally.observe_repeat(0, n % 2 == 0);
    }
    assert!((Odds::estimate(&tally, 0).repeat(0, after).mean - 0.5).abs() < 0.02);
    assert_eq!(Odds::estimate(&tally, 0).repeat(9, after).mean, 0.0);
}

#[test]
fn a_wave_is_sixteen_results_or_a_second() {
    let mut tally = tally();
    let odds = Odds::estimate(&tally, 10);
    assert!(!odds.are_stale(&tally, Duration::from_secs(9)));
    tally.observe(0, Spent::NONE, true);
    assert!(!odds.are_stale(&tally, Duration::from_millis(999)));
    assert!(odds.are_stale(&tally, Duration::from_secs(1)));
    for _ in 0..15 {
        tally.observe(0, Spent::NONE, true);
    }
    assert!(odds.are_stale(&tally, Duration::ZERO));
}

#[test]
fn an_earlier_job_is_remembered_but_not_trusted_as_much() {
    let mut tally = tally();
    for _ in 0..400 {
        tally.observe(0, Spent::NONE, false);
    }
    let next = tally.carry_over(["a", "b", "c"].map(|name| (name, None)));
    let [before, after, fresh] =
        [&tally, &next, &self::tally()].map(|tally| Odds::estimate(tally, 0).mean(0, Spent::NONE));
    assert!(before < after && after < 0.5 * fresh, "{before} {after} {fresh}");
}

proptest! {
    #[test]
    fn chances_stay_chances_for_any_counts(
        cells in prop::collection::vec((0u64..8, 0u8..3, 0.0..1e9f64, 0.0..=1.0f64), 0..10),
        items_left in any::<u64>(),
    ) {
        let mut tally = tally();
        for (bits, model, tries, share) in cells {
            let spent: Spent = (0..3).filter(|other| bits >> other & 1 == 1 && *other != model).collect();
            tally.set_cell(model, spent, tries, tries * share);
        }
        let odds = Odds::estimate(&tally, items_left);
        prop_assert_eq!(&odds, &Odds::estimate(&tally, items_left), "the same counts, the same odds");
        for bits in 0..8u64 {
            let spent: Spent = (0..3).filter(|other| bits >> other & 1 == 1).collect();
            for chance in odds.after(spent).iter() {
                prop_assert!(chance.mean > 0.0 && chance.mean <= chance.upper && chance.upper <= 1.0);
            }
        }
    }
}
