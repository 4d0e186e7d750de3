//! What every store does.

use super::night::Night;
use super::rig::{FileRig, MemoryRig, Rig, item, items, job};
use crate::record::{Checkpoint, Record, Seq};

/// One test for each store.
macro_rules! on_both {
    ($($name:ident => $test:expr;)*) => {
        mod files {
            use super::*;
            $(#[test] fn $name() { $test(FileRig::new) })*
        }
        mod memory {
            use super::*;
            $(#[test] fn $name() { $test(MemoryRig::new) })*
        }
    };
}

on_both! {
    prompts_come_back_as_they_were => prompts_come_back;
    a_submission_is_the_same_twice => same_submission_twice;
    an_unknown_item_or_job_is_an_error => unknown_items;
    a_job_that_was_not_staged_is_refused => not_staged;
    unsynced_records_are_lost_and_the_rest_is_kept => unsynced_is_lost;
    records_that_make_rows_are_replayed_in_order => rows_are_replayed;
    a_checkpoint_out_of_step_is_refused => checkpoint_out_of_step;
    nights_survive_crashes_with_the_index => |new: fn() -> _| nights(new, false);
    nights_survive_crashes_without_the_index => |new: fn() -> _| nights(new, true);
    every_prefix_recovers => every_prefix;
    a_removed_job_leaves_nothing_to_its_namesake => namesake;
}

fn prompts_come_back<R: Rig>(new: fn() -> R) {
    let mut rig = new();
    let job = job("job_000000", 500);
    let items = items(&job);
    rig.stage(&job, &items);
    rig.store().accept(&job).unwrap();
    for wanted in [vec![], vec![499, 0, 64, 63, 499], (0..500).collect(), (0..500).rev().step_by(3).collect()]
    {
        let read = rig.store().read(&job.id, &wanted).unwrap();
        let expected: Vec<_> = wanted.iter().map(|&index| items[index as usize].clone()).collect();
        assert_eq!(read.iter().map(|item| (**item).clone()).collect::<Vec<_>>(), expected);
    }
    rig.crash(false);
    assert_eq!(*rig.store().read(&job.id, &[77]).unwrap()[0], items[77]);
    let ledger = rig.store().recover().unwrap();
    assert_eq!(**ledger.get(&job.id).unwrap().0, job, "the header with its classes and money");
}

fn same_submission_twice<R: Rig>(new: fn() -> R) {
    let mut rig = new();
    let job = job("job_000000", 3);
    for _ in 0..2 {
        rig.stage(&job, &items(&job));
        rig.store().accept(&job).unwrap();
        rig.crash(false);
    }
    rig.store().accept(&job).unwrap();
    assert_eq!(rig.store().recover().unwrap().jobs().count(), 1);
}

fn unknown_items<R: Rig>(new: fn() -> R) {
    let mut rig = new();
    let job = job("job_000000", 3);
    assert!(rig.store().read(&job.id, &[0]).is_err());
    rig.stage(&job, &items(&job));
    assert!(rig.store().read(&job.id, &[0]).is_err(), "staged is not accepted");
    rig.store().accept(&job).unwrap();
    assert!(rig.store().read(&job.id, &[3]).is_err());
}

fn not_staged<R: Rig>(new: fn() -> R) {
    let mut rig = new();
    let staged = job("job_000000", 3);
    assert!(rig.store().accept(&staged).is_err());
    rig.stage(&staged, &items(&staged));
    let mut other = staged.clone();
    other.options.max_attempts += 1;
    assert!(rig.store().accept(&other).is_err(), "its header is another one");
    rig.crash(false);
    assert!(rig.store().accept(&staged).is_err(), "a stop ends what was staged");
}

fn unsynced_is_lost<R: Rig>(new: fn() -> R) {
    let mut night = Night::new(new(), 1);
    night.start();
    night.sync();
    night.start();
    night.crash(false);
    assert_eq!(night.ledger.globals.seq, 1);
    night.start();
    night.sync();
    night.crash(true);
    assert_eq!(night.ledger.globals.seq, 2);
}

fn rows_are_replayed<R: Rig>(new: fn() -> R) {
    let mut night = Night::new(new(), 2);
    (0..120).for_each(|_| night.step());
    night.sync();
    let from = 30;
    let mut replayed = Vec::new();
    night.rig.store().replay(from, &mut |seq, record| replayed.push((seq, record))).unwrap();
    let rows = |record: &Record| matches!(record, Record::Ended(_) | Record::Settled(_));
    let all = (1..).zip(&night.log).filter(|(seq, record)| *seq > from && rows(record));
    let kept: Vec<(Seq, &Record)> = all.skip_while(|(seq, _)| *seq < replayed[0].0).collect();
    assert_eq!(replayed.iter().map(|(seq, record)| (*seq, record)).collect::<Vec<_>>(), kept);
    let uncommitted = |(seq, record): &&(Seq, &Record)| {
        let job = match record {
            Record::Ended(ended) => &ended.job,
            Record::Settled(settled) => &settled.job,
            _ => unreachable!("rows only"),
        };
        let (_, state) = night.ledger.get(job).unwrap();
        state.finished_at.is_none() && *seq > state.committed_to
    };
    let every = (1..).zip(&night.log).filter(|(seq, record)| *seq > from && rows(record)).collect::<Vec<_>>();
    let needed = every.iter().filter(uncommitted).count();
    assert_eq!(kept.iter().filter(uncommitted).count(), needed, "a row that no part holds is still there");
}

fn checkpoint_out_of_step<R: Rig>(new: fn() -> R) {
    let mut night = Night::new(new(), 3);
    night.start();
    assert!(night.rig.store().checkpoint(&Checkpoint::default()).is_err());
    night.checkpoint();
    night.crash(false);
}

fn nights<R: Rig>(new: fn() -> R, lose_index: bool) {
    for seed in 0..12 {
        println!("seed {seed}");
        let mut night = Night::new(new(), seed);
        for _ in 0..6 {
            let n_steps = 20 + night.dice.below(150);
            (0..n_steps).for_each(|_| night.step());
            let lose_index = lose_index && night.dice.below(3) > 0;
            night.crash(lose_index);
        }
    }
}

fn every_prefix<R: Rig>(new: fn() -> R) {
    let mut night = Night::new(new(), 77);
    for n in 0..60 {
        night.step();
        night.sync();
        night.crash(n % 2 == 0);
    }
}

fn namesake<R: Rig>(new: fn() -> R) {
    let mut rig = new();
    let job = job("job_000000", 60);
    let with_len = |len| (0..job.n_items).map(|index| item(index, len)).collect::<Vec<_>>();
    rig.stage(&job, &with_len(10));
    rig.store().accept(&job).unwrap();
    let mut first_life = Night::over(rig, &job);
    for _ in 0..40 {
        first_life.start();
        first_life.end();
    }
    first_life.checkpoint(); // with a stored snapshot, which knows the first life half way
    first_life.finish();
    first_life.checkpoint();
    let mut rig = first_life.rig;
    rig.remove_job(&job.id);
    rig.stage(&job, &with_len(20));
    rig.store().accept(&job).unwrap();
    for lose_index in [false, true] {
        rig.crash(lose_index);
        let ledger = rig.store().recover().unwrap();
        let (_, state) = ledger.get(&job.id).unwrap();
        assert_eq!((state.attempts, state.counts().pending), (0, 60));
        assert_eq!(*rig.store().read(&job.id, &[1]).unwrap()[0], item(1, 20), "not the first one's prompts");
    }
}
