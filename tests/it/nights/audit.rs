//! The books of a night that is over: our rows against the provider's own log and ledger.

use std::collections::{BTreeMap, BTreeSet};

use overnight::attempt::{AttemptStatus, CostBasis, ErrorCode};
use overnight::batch::Mark;
use overnight::job::{AttemptId, Item, ItemIndex, OnUnknown, When};
use overnight::ledger::JobLedger;
use overnight::money::Usd;
use overnight::provider::simulated::{Fault, Line};
use overnight::record::{Ended, Next};

use super::free;
use super::invariants::attempt;
use super::rows::Part;
use super::world::{self, Submission, World};

/// One job: its money and the attempts of its items.
pub(super) fn job(world: &World, submission: &Submission, state: &JobLedger, rows: &Part) {
    let lines: BTreeMap<AttemptId, &Line> =
        world.night.provider.log().iter().map(|line| (attempt(line), line)).collect();
    money_adds_up(state, rows, &lines);
    let mut by_item: BTreeMap<ItemIndex, Vec<&Ended>> = BTreeMap::new();
    for row in &rows.attempts {
        by_item.entry(row.item).or_default().push(row);
    }
    for (item, attempts) in by_item {
        limits_of_attempts(submission, &submission.items[item as usize], &attempts);
    }
}

/// Nothing that may only be sent off-peak is started at the peak, whatever its deadline, unless the account
/// gives it for nothing.
pub(super) fn hours(world: &World, submission: &Submission) {
    if submission.job.options.when != When::OffPeak || !world.peak {
        return;
    }
    let of_job = world.night.rows.started.values().filter(|started| started.job == submission.job.id);
    for started in of_job.filter(|started| started.drawing.is_none()) {
        assert!(!world::is_peak(started.at), "{} was started at the peak, {}", started.attempt, started.at);
    }
}

/// Every request the provider saw has one row (G10), and its bill is within ours.
pub(super) fn provider(world: &World) {
    let (mut rows, mut covered) = (BTreeMap::new(), BTreeSet::new());
    let (mut known, mut at_risk) = (Usd::ZERO, Usd::ZERO);
    for submission in &world.jobs {
        for row in world.night.rows.committed(&submission.job.id).attempts {
            known += if row.at_risk == Usd::ZERO { row.cost } else { Usd::ZERO };
            at_risk += row.at_risk;
            covered.extend(free::is_covered(&row).then_some(row.attempt));
            assert!(rows.insert(row.attempt, row.at_risk).is_none(), "I2: {} has two rows", row.attempt);
        }
    }
    let (mut unbilled, mut for_nothing) = (Usd::ZERO, Usd::ZERO);
    for line in world.night.provider.log() {
        assert!(rows.contains_key(&attempt(line)), "G10: {} was sent and has no row", attempt(line));
        if line.fault == Some(Fault::ServerErrorBilled) {
            unbilled += line.billed;
        } else if covered.contains(&attempt(line)) {
            for_nothing += line.billed;
        }
    }
    let billed = world.night.provider.totals().billed - for_nothing;
    assert!(known <= billed && billed <= known + at_risk + unbilled, "I8: {known} {billed} {at_risk}");
}

/// No batch was made twice or without its intent (I4), and none is left (I19).
pub(super) fn batches(world: &World) {
    let mut labels = BTreeSet::new();
    for batch in world.night.provider.made_batches() {
        let label = batch.order.label.as_str().expect("ours bear their marks").to_owned();
        let mark = Mark::parse(&label).expect("a mark");
        assert!(
            world.night.rows.intended.contains(&mark.number),
            "I4: {label} was made before it was intended"
        );
        assert!(labels.insert(label), "I4: a batch was made twice");
    }
    let left = world.night.engine.ledger().globals.batches.iter().count();
    assert_eq!(left, 0, "I19: batches are out although all is over");
}

/// To the pico-dollar where the bill is known, within the worst case where it is not (I8).
fn money_adds_up(state: &JobLedger, rows: &Part, lines: &BTreeMap<AttemptId, &Line>) {
    let (mut known, mut at_risk) = (Usd::ZERO, Usd::ZERO);
    for row in &rows.attempts {
        let line = lines.get(&row.attempt);
        let billed = line.map_or(Usd::ZERO, |line| line.billed);
        at_risk += row.at_risk;
        if free::is_covered(row) {
            assert_eq!(row.cost, Usd::ZERO, "I8: {} was paid for twice", row.attempt);
            let is_known = row.usage.is_some() && row.status != AttemptStatus::Unknown;
            assert!(!is_known || row.drawn.money == billed, "I8: {} drew something else", row.attempt);
            continue;
        }
        if row.at_risk > Usd::ZERO {
            assert_eq!(row.cost_basis, CostBasis::Estimated);
            assert!(billed <= row.at_risk, "I8: {} was billed more than its worst case", row.attempt);
            continue;
        }
        // A server error after billing is presumed not billed.
        if line.is_none_or(|line| line.fault != Some(Fault::ServerErrorBilled)) {
            assert_eq!(row.cost, billed, "I8: {} {:?}", row.attempt, row.error);
        }
        known += row.cost;
    }
    assert_eq!(state.spent, known, "I8: the ledger's sum is that of its rows");
    assert_eq!(state.at_risk, at_risk, "I8: what is at risk stays at risk");
    assert_eq!(state.reserved, Usd::ZERO, "I9: every reservation is settled");
    let of_items: Usd = rows.results.iter().map(|row| row.totals.cost).sum();
    let of_attempts: Usd = rows.attempts.iter().map(|row| row.cost).sum();
    assert_eq!(of_items, of_attempts, "I8: items cost what their attempts cost");
}

/// I5: attempts per item are limited by kind, and none follows an accepted answer (G4).
fn limits_of_attempts(submission: &Submission, item: &Item, attempts: &[&Ended]) {
    let (options, number) = (&submission.job.options, item.index);
    let own = item.options.as_deref();
    let counted = attempts.iter().filter(|row| row.counts()).count();
    let most = own.and_then(|own| own.max_attempts).unwrap_or(options.max_attempts);
    assert!(counted <= usize::from(most), "I5: item {number} took {counted} attempts of {most}");
    let unknown = attempts.iter().filter(|row| row.status == AttemptStatus::Unknown).count();
    let resends = usize::from(options.unknown_resends);
    if options.on_unknown == OnUnknown::Resend {
        assert!(unknown <= resends + 1, "I5: item {number} was sent again after {unknown} unknown outcomes");
    }
    let bill = |row: &&Ended| if row.at_risk == Usd::ZERO { row.cost } else { row.at_risk };
    let committed: Usd = attempts.iter().map(bill).sum();
    if let Some(cap) = own.and_then(|own| own.max_cost) {
        assert!(committed <= cap, "I9: item {number} may have cost {committed}, more than its cap of {cap}");
    }
    let settled = attempts.iter().filter(|row| matches!(row.next, Next::Settled(_))).count();
    assert!(settled <= 1, "I2: item {number} was settled {settled} times");
    let hedges = attempts.iter().filter(|row| row.hedge).count();
    assert!(hedges <= 1, "I5: item {number} was raced {hedges} times");
    let accepted = attempts.iter().position(|row| row.status == AttemptStatus::Succeeded);
    let last = accepted.is_none_or(|at| at + 1 == attempts.len());
    assert!(last, "G4: item {number} was sent again after its answer");
    let numbers: BTreeSet<u16> = attempts.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=attempts.len() as u16).collect(), "attempts of item {number} are numbered");
    let longer: Vec<u8> = attempts.iter().filter(|row| row.asks_for_more()).map(|row| row.step).collect();
    assert!(longer.is_sorted_by(|a, b| a < b), "item {number} had its larger limit twice: steps {longer:?}");
    for pair in attempts.windows(2) {
        let step = match pair[0].next {
            Next::Pending(step) | Next::Held(step) => step,
            // The other one in flight decides, wherever on the ladder it was sent.
            Next::Running => continue,
            Next::Settled(_) => panic!("I2: item {number} went on after its end"),
        };
        assert!(pair[1].step >= step, "I3: item {number} fell back to step {}", pair[1].step);
        // What says nothing of the item moves it nowhere.
        let code = pair[0].error.as_ref().map(|(code, _)| *code);
        let not_taken = matches!(code, Some(ErrorCode::Quota | ErrorCode::Auth | ErrorCode::RateLimited));
        assert!(!not_taken || step == pair[0].step, "I3: item {number} escalated for {code:?}");
    }
}
