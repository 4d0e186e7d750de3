//! Cut anywhere, crashed anywhere, every row is there exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::{folder, records, snapshot, union};
use crate::job::{ItemIndex, Job};
use crate::ledger::JobLedger;
use crate::record::{Record, Seq};
use crate::results::folder::Folder;
use crate::results::parts::Parts;
use crate::results::testing::{at, job, parts};

/// What happens between two records.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next record becomes durable and is fed.
    Feed,
    /// A part is closed and its commit is written down.
    Close,
    /// A part is closed; its commit is on its way to the journal.
    CloseOnly,
    /// The process dies between the two renames of a part.
    HalfClosed,
    /// The process dies.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => Just(Step::Feed),
        2 => Just(Step::Close),
        2 => Just(Step::CloseOnly),
        1 => Just(Step::HalfClosed),
        1 => Just(Step::Crash),
    ]
}

/// The durable world around the parts: what recovery knows.
struct World {
    folder: Folder,
    job: Arc<Job>,
    records: Vec<Record>,
    durable: usize,
    parts: u32,
    committed_to: Seq,
}

impl World {
    fn recover(&self) -> Parts {
        let mut open = parts(&self.folder).unwrap();
        open.add(self.job.clone(), self.parts, self.committed_to).unwrap();
        for (index, record) in self.records[..self.durable].iter().enumerate() {
            open.push(index as Seq + 1, record).unwrap();
        }
        open
    }

    fn feed(&mut self, open: &mut Parts) {
        if let Some(record) = self.records.get(self.durable) {
            self.durable += 1;
            open.push(self.durable as Seq, record).unwrap();
        }
    }

    /// Writing down a commit makes those before it durable too.
    fn close(&mut self, open: &mut Parts) -> bool {
        let Some(committed) = open.close(&self.job.id, at(0)).unwrap() else { return false };
        self.parts = committed.part;
        self.committed_to = committed.to;
        true
    }

    /// Leaves the folder as if only the results file had been renamed: attempts are as they were.
    fn half_close(&self, open: &mut Parts) {
        let path = self.folder.root().join("attempts");
        let before = snapshot(&path);
        if open.close(&self.job.id, at(0)).unwrap().is_some() {
            drop(fs::remove_dir_all(&path));
            for (file, bytes) in before {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, bytes).unwrap();
            }
        }
    }

    fn check_unique(&self) {
        let (mut items, _) = union(&self.folder);
        let n = items.len();
        items.dedup();
        assert_eq!(items.len(), n, "an item is there twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut anywhere, crashed anywhere: every settled item has exactly one row, every attempt too, and
    /// no reader ever sees a row twice on the way.
    #[test]
    fn parts_hold_every_row_exactly_once(
        items in prop::collection::vec((0u16..3, any::<bool>()), 1..12),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let (_temp, folder) = folder();
        let job = job("job_abc123", items.len() as ItemIndex);
        let records = records(&job, &items);
        let mut world = World { folder, job, records, durable: 0, parts: 0, committed_to: 0 };
        let mut open = world.recover();
        for step in steps {
            match step {
                Step::Feed => world.feed(&mut open),
                Step::Close => drop(world.close(&mut open)),
                Step::CloseOnly => drop(open.close(&world.job.id, at(0)).unwrap()),
                Step::HalfClosed => {
                    world.half_close(&mut open);
                    open = world.recover();
                }
                Step::Crash => open = world.recover(),
            }
            world.check_unique();
        }
        while world.durable < world.records.len() {
            world.feed(&mut open);
        }
        // Commits on their way are lost once more: the end must not depend on them.
        let mut open = world.recover();
        while world.close(&mut open) {}
        let ledger = JobLedger { parts: world.parts, ..JobLedger::new(&world.job) };
        let manifest = open.finish(&world.job.id, &ledger, at(0)).unwrap();
        prop_assert!(manifest.is_complete());

        let (found, costs) = union(&world.folder);
        prop_assert_eq!(found, (0..items.len() as ItemIndex).collect::<Vec<_>>());
        let expected: BTreeMap<String, i64> = world.records.iter().filter_map(|record| match record {
            Record::Ended(ended) => Some((ended.attempt.to_string(), ended.cost.nano())),
            _ => None,
        }).collect();
        prop_assert_eq!(costs, expected);
    }
}
