//! Prompts that begin alike: one goes ahead, the others follow and read its cache.

use super::bench::{Bench, Order, order};
use crate::attempt::RefusalKind;
use crate::catalog::{PriceTable, Route};
use crate::engine::Call;
use crate::job::When;
use crate::money::Price;
use crate::plan::testing::{at, price, route};

fn caching(name: &str) -> Route {
    let cached = Price { cache_read: Some(1), ..price(10) };
    Route { prices: Some(PriceTable::flat(name, cached)), ..route(name, 10) }
}

/// Item by item, a letter for the beginning of its prompt.
fn beginning(groups: &str) -> Order {
    order("job_1", groups.len() as u32, "a/m").with(|order| {
        for (item, letter) in order.items.iter_mut().zip(groups.chars()) {
            let long = letter.to_string().repeat(6_000);
            item.body.json = format!("{{\"messages\":\"{long}\",\"n\":{}}}", item.index).into();
        }
    })
}

#[test]
fn the_first_goes_alone_and_the_others_follow_its_answer() {
    let mut bench = Bench::new([caching("a/m")]);
    let job = bench.submit(beginning("xxxxx"));
    assert_eq!(bench.items(), [0]);
    assert_eq!(bench.view(&job).waiting.values().sum::<u32>(), 4);
    bench.answer("good");
    assert_eq!(bench.items(), [1, 2, 3, 4]);
}

#[test]
fn every_group_has_its_first_and_groups_stay_together() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(beginning("xyxyz"));
    // One of each; the single one waits for nobody.
    assert_eq!(bench.items(), [0, 1, 4]);
    bench.answer("good");
    assert_eq!(bench.items(), [1, 4, 2]);
}

#[test]
fn without_a_lower_price_nobody_waits() {
    let mut bench = Bench::new([route("a/m", 10)]);
    bench.submit(beginning("xxx"));
    assert_eq!(bench.out.len(), 3);
}

#[test]
fn who_is_in_a_hurry_does_not_wait() {
    for hurry in [
        |order: &mut Order| order.job.options.when = When::Asap,
        |order: &mut Order| order.job.classes[0].deadline = Some(at("12:05")),
    ] {
        let mut bench = Bench::new([caching("a/m")]);
        bench.submit(beginning("xxx").with(hurry));
        assert_eq!(bench.out.len(), 3);
    }
}

#[test]
fn a_first_that_fails_is_followed_by_another_first() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(beginning("xxxx"));
    bench.refuse(RefusalKind::Server);
    assert_eq!(bench.out.len(), 1);
    bench.answer("good");
    assert!(bench.out.len() >= 2);
}

#[test]
fn nobody_waits_for_ever_for_the_first() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(beginning("xxx"));
    bench.sleep();
    assert_eq!((bench.now, bench.out.len()), (at("12:01"), 3));
}

#[test]
fn a_cache_that_has_gone_cold_is_filled_again() {
    for (seconds, out) in [(200, 3), (400, 1)] {
        let mut bench = Bench::new([caching("a/m")]);
        bench.submit(beginning("xx"));
        bench.answer("good");
        bench.answer("good");
        bench.pass(seconds);
        bench.submit(beginning("xxx").with(|order| order.job.id = crate::job::JobId::new("job_2")));
        assert_eq!(bench.out.len(), out, "{seconds}");
    }
}

#[test]
fn prompts_too_short_to_be_kept_do_not_wait() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(order("job_1", 4, "a/m"));
    assert_eq!(bench.out.len(), 4);
}

/// Items that are out, and what is sent beside each.
fn beside(bench: &Bench) -> Vec<(u32, Option<u32>)> {
    let beside = |call: &Call| (call.item.index, call.beside.as_ref().map(|other| other.index));
    bench.out.iter().map(beside).collect()
}

#[test]
fn what_is_kept_is_named_where_writing_it_pays() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(beginning("xxxy"));
    assert_eq!(beside(&bench), [(0, Some(1)), (3, None)]);
    bench.answer("good");
    assert_eq!(beside(&bench), [(3, None), (1, Some(0)), (2, Some(0))]);

    let dear = Price { cache_read: Some(9), cache_write: Some(20), ..price(10) };
    let mut bench = Bench::new([Route { prices: Some(PriceTable::flat("a/m", dear)), ..route("a/m", 10) }]);
    bench.submit(beginning("xxx"));
    assert_eq!(beside(&bench), [(0, None)]);
}

#[test]
fn who_does_not_wait_for_the_first_writes_nothing() {
    let mut bench = Bench::new([caching("a/m")]);
    bench.submit(beginning("xxx").with(|order| order.job.options.when = When::Asap));
    assert_eq!(beside(&bench), [(0, Some(1)), (1, None), (2, None)]);
}
