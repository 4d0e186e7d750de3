//! Nothing that waits may miss its deadline: what must go now, whatever it costs.
//!
//! A chain may hold work in the current slot only if, sent flat out from the next slot on and seen
//! carefully, it would still be done before its deadline. Where it would not, the first slot's attempts
//! are raised as far as needed and no further, cheapest ways first. Where even everything is not
//! enough, the chains served before it go faster too.
//!
//! Pure.

use super::flow::{self, View};
use super::night::Night;

/// Attempts in the current slot, by work and way.
pub(super) type Attempts = Vec<Vec<f64>>;

/// Halvings until the least share of everything that keeps the deadline is known: fewer where many chains
/// are looked at.
const HALVINGS: usize = 7;
const FEW_HALVINGS: usize = 2;
const MANY_CHAINS: usize = 8;

/// Raises `attempts` until every chain keeps its deadline or goes flat out. Returns the works that were
/// raised.
pub(super) fn keep(night: &Night<'_>, attempts: &mut Attempts) -> Vec<bool> {
    let mut guarded = vec![false; night.steps.len()];
    let mut all: Option<Attempts> = None;
    let mut from = 0;
    while let Some(chain) = first_late(night, from, attempts) {
        let all = all.get_or_insert_with(|| flat_out(night));
        let alone = raise_until_in_time(night, chain, chain, all, attempts);
        if !alone && chain > 0 {
            raise_until_in_time(night, 0, chain, all, attempts);
        }
        let first = if alone { chain } else { 0 };
        for raised in &night.chains[first..=chain] {
            for &work in &raised.works {
                guarded[work] = true;
            }
        }
        from = chain + 1;
    }
    guarded
}

/// The first chain from `from` on that would miss its deadline. What chains do depends on those ahead of
/// them only, so one run tells of all.
fn first_late(night: &Night<'_>, from: usize, attempts: &Attempts) -> Option<usize> {
    let run = flow::run(night, night.chains.len(), View::Careful, Some(attempts));
    (from..night.chains.len())
        .find(|&chain| run.finish[chain].is_none_or(|finish| finish > until(night, chain)))
}

/// Everything of the chains that count, with nothing kept back.
pub(super) fn flat_out(night: &Night<'_>) -> Attempts {
    flow::run(night, night.chains.len(), View::Likely, None).first
}

fn is_in_time(night: &Night<'_>, chain: usize, attempts: &Attempts) -> bool {
    let run = flow::run(night, chain + 1, View::Careful, Some(attempts));
    run.finish[chain].is_some_and(|finish| finish <= until(night, chain))
}

/// Hours until a chain is to be done.
fn until(night: &Night<'_>, chain: usize) -> f64 {
    night.chains[chain].works.iter().map(|&work| night.steps[work].due).fold(f64::INFINITY, f64::min)
}

/// Raises chains `from..=chain` by the least share of `all` that keeps the last one's deadline. Returns
/// whether any did; if not they are left at everything.
fn raise_until_in_time(
    night: &Night<'_>,
    from: usize,
    chain: usize,
    all: &Attempts,
    attempts: &mut Attempts,
) -> bool {
    let raised = |share: f64| {
        let mut raised = attempts.clone();
        for chain in &night.chains[from..=chain] {
            for &work in &chain.works {
                raise(night, work, share, &all[work], &mut raised[work]);
            }
        }
        raised
    };
    let everything = raised(1.0);
    if !is_in_time(night, chain, &everything) {
        *attempts = everything;
        return false;
    }
    let (mut low, mut high) = (0.0, 1.0);
    let halvings = if night.chains.len() > MANY_CHAINS { FEW_HALVINGS } else { HALVINGS };
    for _ in 0..halvings {
        let middle = (low + high) / 2.0;
        if is_in_time(night, chain, &raised(middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *attempts = raised(high);
    true
}

/// Brings a work to a share of everything it could send, on its cheapest ways.
fn raise(night: &Night<'_>, work: usize, share: f64, all: &[f64], attempts: &mut [f64]) {
    let mut missing = all.iter().sum::<f64>() * share - attempts.iter().sum::<f64>();
    let step = &night.steps[work];
    let mut ways: Vec<usize> = step.direct().map(|(way, _)| way).collect();
    let price = |way: usize| step.ways[way].prices[0].unwrap_or(f64::INFINITY);
    ways.sort_by(|&a, &b| price(a).total_cmp(&price(b)).then(a.cmp(&b)));
    for way in ways {
        let room = step.ways[way].pace() * night.slots.hours(0);
        let limit = if share < 1.0 { room } else { room.min(all[way].max(attempts[way])) };
        let more = missing.min(limit - attempts[way]).max(0.0);
        if step.ways[way].prices[0].is_some() {
            attempts[way] += more;
            missing -= more;
        }
    }
}

/// Lowers what meters cannot take, the chains served last first.
pub(super) fn fit(night: &Night<'_>, attempts: &mut Attempts) {
    let mut meters = night.meters();
    let hours = night.slots.hours(0);
    for chain in &night.chains {
        for &work in chain.works.iter().rev() {
            for (way, lined) in night.steps[work].ways.iter().enumerate() {
                let count = attempts[work][way].min(meters.room(lined, 0, 1.0, hours, 1.0));
                meters.take(lined, 0, count, 1.0);
                attempts[work][way] = count;
            }
        }
    }
}
