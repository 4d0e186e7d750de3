//! What accounts give for nothing in a night: never more than they give, by the provider's own bills.

use std::collections::BTreeMap;

use overnight::attempt::CostBasis;
use overnight::catalog::{Allowance, Per};
use overnight::ledger::{Amount, Period};
use overnight::money::Usd;
use overnight::record::Ended;

use super::chance::Chance;
use super::world::World;

/// What every account gives, in about one night of four.
pub(super) fn draw(chance: &mut Chance) -> Option<Allowance> {
    if !chance.hit(0.25) {
        return None;
    }
    let measure = chance.below(3);
    let zones = [chrono_tz::Tz::UTC, chrono_tz::Tz::America__Los_Angeles, chrono_tz::Tz::Asia__Kolkata];
    Some(Allowance {
        requests: (measure == 0).then(|| 1 + chance.below(30)),
        tokens: (measure == 1).then(|| 100 + chance.below(5_000)),
        money: (measure == 2).then(|| Usd::from_pico(i128::from(chance.below(2_000_000_000)))),
        per: [Per::Day, Per::Month, Per::Once][chance.below(3) as usize],
        zone: zones[chance.below(3) as usize],
        expires: None,
        models: Vec::new(),
    })
}

/// Whether an allowance paid for it: our prices in a night are never nothing.
pub(super) fn is_covered(row: &Ended) -> bool {
    row.cost_basis == CostBasis::Free && row.drawn.requests > 0
}

/// When all is over: what was paid for is no more than is given, and nothing is kept for what has ended.
pub(super) fn end(world: &World) {
    let drawn = &world.night.engine.ledger().globals.drawn;
    let Some(allowance) = &world.allowance else {
        assert_eq!(*drawn, overnight::ledger::Drawn::default(), "nothing is given");
        return;
    };
    let mut covered: BTreeMap<(String, Period), Amount> = BTreeMap::new();
    for submission in &world.jobs {
        for row in world.night.rows.committed(&submission.job.id).attempts {
            assert!(drawn.open(row.attempt).is_none(), "{} still keeps what it drew", row.attempt);
            // It was queued when it drew.
            let key = (row.route.provider.to_string(), allowance.period(row.queued_at));
            if is_covered(&row) {
                let sum = covered.entry(key).or_default();
                sum.requests += row.drawn.requests;
                sum.tokens += row.drawn.tokens;
                sum.money += row.drawn.money;
            }
        }
    }
    for (of, sum) in covered {
        assert!(allowance.has_room(Amount::NOTHING, sum), "{sum:?} for nothing in {of:?} of {allowance:?}");
    }
}
