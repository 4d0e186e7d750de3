//! Two stores behind one handle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::job::{Body, Class, Item, ItemIndex, Job, JobId, JobOptions, Ladder, Needs, Source, Wire};
use crate::store::disk::Disk;
use crate::store::files::{FileStore, ReadFinalStates, Sizes};
use crate::store::memory::MemoryStore;
use crate::store::repair::{Repaired, repair_on};
use crate::store::{FinalStates, Store, StoreError};

/// How the items of a job ended, by part: what Parquet would say.
pub(super) type Parts = Arc<Mutex<BTreeMap<(JobId, u32), FinalStates>>>;

/// A store and the accidents that happen to it.
pub(super) trait Rig {
    fn store(&mut self) -> &mut dyn Store;
    fn stage(&mut self, job: &Job, items: &[Item]);
    fn remove_job(&mut self, job: &JobId);
    /// Rows of a part are in Parquet before the record that says so.
    fn write_part(&mut self, job: &JobId, part: u32, states: FinalStates);
    /// Stops without a warning and opens again.
    fn crash(&mut self, lose_index: bool);
}

pub(super) struct FileRig {
    pub(super) dir: tempfile::TempDir,
    pub(super) disk: Disk,
    pub(super) sizes: Sizes,
    pub(super) parts: Parts,
    pub(super) open: Option<FileStore>,
}

impl FileRig {
    pub(super) fn new() -> FileRig {
        let mut rig = FileRig::closed();
        rig.open().unwrap();
        rig
    }

    pub(super) fn closed() -> FileRig {
        // Small enough that every night closes many of everything.
        let sizes =
            Sizes { journal_segment: 6_000, prompt_segment: 4_000, ballast: 4_096, least_free: 4_096 };
        FileRig {
            dir: tempfile::tempdir().unwrap(),
            disk: Disk::with_faults(),
            sizes,
            parts: Parts::default(),
            open: None,
        }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(super) fn open(&mut self) -> Result<&mut FileStore, StoreError> {
        self.open = None;
        let (disk, state, read) = (self.disk.clone(), self.state(), self.final_states());
        let store = FileStore::open_on(disk, self.sizes, &state, &self.dir.path().join("results"), read)?;
        Ok(self.open.insert(store))
    }

    pub(super) fn repair(&mut self) -> Result<Option<Repaired>, StoreError> {
        self.open = None;
        let (disk, state, read) = (self.disk.clone(), self.state(), self.final_states());
        repair_on(disk, self.sizes, &state, &self.dir.path().join("results"), read)
    }

    fn final_states(&self) -> Box<ReadFinalStates> {
        let parts = self.parts.clone();
        Box::new(move |_: &Path, job: &JobId, n: u32| {
            let parts = parts.lock().unwrap();
            Ok((1..=n).flat_map(|part| parts[&(job.clone(), part)].clone()).collect())
        })
    }

    pub(super) fn files(&mut self) -> &mut FileStore {
        self.open.as_mut().unwrap()
    }
}

impl Rig for FileRig {
    fn store(&mut self) -> &mut dyn Store {
        self.files()
    }

    fn stage(&mut self, job: &Job, items: &[Item]) {
        let mut writer = self.files().stage(&job.id).unwrap();
        items.iter().for_each(|item| writer.push(item).unwrap());
        writer.finish(job).unwrap();
    }

    fn remove_job(&mut self, job: &JobId) {
        self.files().remove_job(job).unwrap();
    }

    fn write_part(&mut self, job: &JobId, part: u32, states: FinalStates) {
        self.parts.lock().unwrap().insert((job.clone(), part), states);
    }

    fn crash(&mut self, lose_index: bool) {
        self.open = None;
        if lose_index {
            // What a power cut leaves: a session of another start of the machine.
            std::fs::write(self.state().join("SESSION"), "dirty another-boot\n").unwrap();
        }
        self.open().unwrap();
    }
}

pub(super) struct MemoryRig(pub(super) MemoryStore);

impl MemoryRig {
    pub(super) fn new() -> MemoryRig {
        MemoryRig(MemoryStore::with_snapshots_every(40))
    }
}

impl Rig for MemoryRig {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.0
    }

    fn stage(&mut self, job: &Job, items: &[Item]) {
        self.0.stage(Arc::new(job.clone()), items.iter().cloned().map(Arc::new).collect());
    }

    fn remove_job(&mut self, job: &JobId) {
        self.0.remove_job(job).unwrap();
    }

    fn write_part(&mut self, _: &JobId, _: u32, _: FinalStates) {}

    fn crash(&mut self, lose_index: bool) {
        self.0.power_cut(0);
        if lose_index {
            self.0.lose_index();
        }
    }
}

/// A job of two classes.
pub(super) fn job(name: &str, n_items: ItemIndex) -> Job {
    let cheap = Class {
        ladder: Ladder(vec![vec!["sim/small".into()], vec!["sim/large".into()]]),
        ..Class::default()
    };
    let urgent = Class { priority: 10, ..cheap.clone() };
    let max_cost = Some("12.5".parse().unwrap());
    Job {
        id: JobId::parse(name).unwrap(),
        name: Some("reviews".into()),
        submitted_at: Timestamp::from_micros(1_700_000_000_000_000),
        n_items,
        classes: vec![cheap, urgent],
        class_of: (0..n_items).map(|item| (item % 2) as u16).collect(),
        copies: (n_items > 3).then_some((3, 1)).into_iter().collect(),
        options: JobOptions { max_cost, ..JobOptions::default() },
        source: Source { name: "jobs/reviews.jsonl".into(), bytes: 1 << 40, ..Source::default() },
        retry_of: None,
    }
}

/// Its items, of different sizes.
pub(super) fn items(job: &Job) -> Vec<Item> {
    (0..job.n_items).map(|index| item(index, 20 + (index as usize * 37) % 300)).collect()
}

pub(super) fn item(index: ItemIndex, len: usize) -> Item {
    let text: String =
        (0..len).map(|n| char::from(b'a' + ((n * n + index as usize * 7) % 26) as u8)).collect();
    let json = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    Item {
        index,
        custom_id: format!("r-{index} \u{202e}\u{0}").into(),
        class: (index % 2) as u16,
        wire: Wire::Chat,
        body: Body { json: Bytes::from(json), model_at: Some((9, 12)) },
        input_tokens: 12,
        max_output: Some(100),
        choices: 1,
        needs: Needs::default(),
        options: None,
    }
}
