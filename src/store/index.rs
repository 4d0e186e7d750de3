//! The index: where every item of every unfinished job stands, at one position of the journal.
//!
//! It is sled 0.34.7, trusted with speed and not with truth: its `flush` survives a killed process
//! but not a power cut, and a bent file may make it open older, emptier, or not at all. So what is
//! read back proves itself: the watermark names the checksum of every job's totals, those name the
//! checksum of every chunk of item states. Anything amiss, an error or a panic, and the index is set
//! aside; the files know better.
//!
//! | key | value |
//! |---|---|
//! | `m` | watermark: format, globals (position included), checksum of each job |
//! | `j` job | its totals, checksum of each chunk |
//! | `c` job, 0, chunk | states of 4,096 items, two bytes each, little endian |
//!
//! Shell.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sled::{Batch, Db};

use super::StoreError;
use super::codec::{seal, sum_of, unseal};
use super::disk::{self, Disk, in_words};
use crate::job::JobId;
use crate::ledger::{Globals, JobLedger};
use crate::record::{CHUNK, Checkpoint, FORMAT, Snapshot};

const WATERMARK: &[u8] = b"m";
/// Larger batches make sled hold all their pages at once.
const BATCH: usize = 5_000;
const CACHE_BYTES: u64 = 32 << 20;
/// How often a sled that is still being closed is tried again, and after how long.
const TRIES: u32 = 100;
const LETS_GO: Duration = Duration::from_millis(20);
/// sled takes a full disk for a broken one, so it is not asked to write to one.
const LEAST_FREE: u64 = 32 << 20;

/// The index, and the checksums of what it holds.
pub(super) struct Index {
    disk: Disk,
    dir: PathBuf,
    /// `None` once it failed: the rest of the run does without, the next start rebuilds it.
    db: Option<Db>,
    sums: BTreeMap<JobId, Sums>,
}

/// What checkpoints brought and is not in the index yet; a failed checkpoint is made good by the next.
#[derive(Default)]
pub(super) struct Owed {
    /// Totals of jobs that finished.
    pub(super) finished: BTreeMap<JobId, JobLedger>,
    /// Changed chunks of item states.
    pub(super) chunks: BTreeMap<(JobId, u32), Vec<u16>>,
}

impl Owed {
    /// Takes over what a checkpoint brings; newer chunks replace older ones.
    pub(super) fn add(&mut self, checkpoint: &Checkpoint) {
        self.finished.extend(checkpoint.finished.iter().cloned());
        for (job, chunk, states) in &checkpoint.chunks {
            self.chunks.insert((job.clone(), *chunk), states.clone());
        }
    }
}

/// Checksums of one job's values, as stored.
#[derive(Default)]
struct Sums {
    totals: u32,
    chunks: BTreeMap<u32, u32>,
}

#[derive(Serialize, Deserialize)]
struct Watermark {
    format: u32,
    globals: Globals,
    jobs: Vec<(JobId, u32)>,
}

#[derive(Serialize, Deserialize)]
struct Totals {
    state: JobLedger,
    chunks: BTreeMap<u32, u32>,
}

impl Index {
    /// Opens the index in `dir`; one that cannot be opened is set aside for a new one.
    pub(super) fn open(disk: Disk, dir: PathBuf) -> Result<Index, StoreError> {
        remove_half_written_snapshots(&disk, &dir)?;
        let mut index = Index { disk, dir, db: None, sums: BTreeMap::new() };
        index.db = open_sled(&index.dir);
        if index.db.is_none() {
            index.start_over()?;
        }
        Ok(index)
    }

    /// All it holds, as one checkpoint; `None` and empty from then on unless every part checks out.
    pub(super) fn load(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        let Some(db) = &self.db else { return Ok(None) };
        match guarded(|| load(db)) {
            Some(Some((checkpoint, sums))) => {
                self.sums = sums;
                Ok(Some(checkpoint))
            }
            Some(None) if guarded(|| Some(db.is_empty())) == Some(true) => Ok(None),
            _ => {
                self.start_over()?;
                Ok(None)
            }
        }
    }

    /// Brings the index up to this snapshot and the chunks changed by then, in one step; jobs the
    /// snapshot does not name are forgotten.
    ///
    /// Where sled fails there is no index until the next start, which rebuilds it.
    pub(super) fn write(&mut self, snapshot: &Snapshot, owed: &Owed) -> Result<(), StoreError> {
        let Some(db) = &self.db else { return Ok(()) };
        self.disk.step().map_err(StoreError::io("write", &self.dir))?;
        let free =
            self.disk.free(&self.dir).map_err(StoreError::io("measure the free space of", &self.dir))?;
        if free < LEAST_FREE {
            return Err(StoreError::DiskFull(format!(
                "{} needed in {}",
                in_words(LEAST_FREE),
                self.dir.display()
            )));
        }
        let changes = changes(&mut self.sums, snapshot, owed);
        let watermark = Watermark {
            format: FORMAT,
            globals: snapshot.globals.clone(),
            jobs: self.sums.iter().map(|(job, sums)| (job.clone(), sums.totals)).collect(),
        };
        if guarded(|| apply(db, changes, &seal(&watermark)).ok()).is_none() {
            tracing::warn!("the index failed; it is rebuilt at the next start");
            self.give_up();
        }
        Ok(())
    }

    /// Throws all away: what follows is written to an empty index.
    pub(super) fn start_over(&mut self) -> Result<(), StoreError> {
        self.give_up();
        self.set_aside()?;
        self.db = open_sled(&self.dir);
        Ok(())
    }

    /// Makes all it holds durable, power cuts included, and closes it.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.give_up();
        sync_all(&self.dir).map_err(StoreError::io("sync", &self.dir))
    }

    /// Lets go of sled, whatever state it is in.
    fn give_up(&mut self) {
        self.sums.clear();
        let db = self.db.take();
        guarded(|| {
            drop(db);
            Some(())
        });
    }

    /// Keeps one broken index for whoever wants to know what happened.
    fn set_aside(&self) -> Result<(), StoreError> {
        let state = self.dir.parent().unwrap_or(Path::new("."));
        let failed = |error| StoreError::io("set aside", &self.dir)(error);
        let mut number = 0;
        for entry in std::fs::read_dir(state).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(old) = name.strip_prefix("index.broken-") {
                number = number.max(old.parse().unwrap_or(0));
                self.disk.remove_dir(&path).map_err(failed)?;
            }
        }
        if self.dir.exists() {
            let aside = state.join(format!("index.broken-{}", number + 1));
            self.disk.rename(&self.dir, &aside).map_err(failed)?;
        }
        Ok(())
    }
}

/// `None` where there is nothing to be read. Nobody but us can have it open, because the folder is locked
/// first; but threads of a sled that was dropped in this very process let go of it a moment later.
fn open_sled(dir: &Path) -> Option<Db> {
    disk::create_dir(dir).ok()?;
    let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let is_locked = |error: &sled::Error| error.to_string().contains("could not acquire lock");
    guarded(|| {
        for _ in 0..TRIES {
            match config.open() {
                Err(error) if is_locked(&error) => std::thread::sleep(LETS_GO),
                opened => return opened.ok(),
            }
        }
        None
    })
}

/// sled panics where it does not expect what it reads.
fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

/// The whole index if it is consistent.
fn load(db: &Db) -> Option<Option<(Checkpoint, BTreeMap<JobId, Sums>)>> {
    let Some(sealed) = db.get(WATERMARK).ok()? else { return Some(None) };
    let watermark: Watermark = unseal(&sealed)?;
    let mut checkpoint = Checkpoint::default();
    let mut sums = BTreeMap::new();
    for (job, sum) in watermark.jobs {
        let value = db.get(totals_key(&job)).ok()??;
        let totals: Totals = unseal(&value).filter(|_| sum_of(&value) == sum)?;
        for entry in db.scan_prefix(chunks_prefix(&job)) {
            let (key, value) = entry.ok()?;
            let number = u32::from_be_bytes(*key.last_chunk()?);
            if totals.chunks.get(&number) != Some(&crc32c::crc32c(&value)) {
                return None;
            }
            let states = value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            checkpoint.chunks.push((job.clone(), number, states));
        }
        let found = checkpoint.chunks.iter().rev().take_while(|(of, _, _)| *of == job).count();
        if found != totals.chunks.len() {
            return None;
        }
        checkpoint.snapshot.jobs.push((job.clone(), totals.state));
        sums.insert(job, Sums { totals: sum, chunks: totals.chunks });
    }
    checkpoint.snapshot.globals = watermark.globals;
    (watermark.format <= FORMAT).then_some(Some((checkpoint, sums)))
}

/// A key and what is to be there; `None` removes it.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// What is to be written, and keeps `sums` in step with it.
fn changes(sums: &mut BTreeMap<JobId, Sums>, snapshot: &Snapshot, owed: &Owed) -> Vec<Change> {
    let mut changes = Vec::new();
    let named: BTreeMap<&JobId, &JobLedger> = snapshot.jobs.iter().map(|(job, state)| (job, state)).collect();
    for (job, gone) in sums.extract_if(.., |job, _| !named.contains_key(job)) {
        changes.push((totals_key(&job), None));
        changes.extend(gone.chunks.keys().map(|&chunk| (chunk_key(&job, chunk), None)));
    }
    for ((job, chunk), states) in &owed.chunks {
        if named.contains_key(job) {
            debug_assert!(states.len() <= CHUNK);
            let value: Vec<u8> = states.iter().flat_map(|state| state.to_le_bytes()).collect();
            sums.entry(job.clone()).or_default().chunks.insert(*chunk, crc32c::crc32c(&value));
            changes.push((chunk_key(job, *chunk), Some(value)));
        }
    }
    for (job, state) in named {
        let kept = sums.entry(job.clone()).or_default();
        let value = seal(&Totals { state: state.without_items(), chunks: kept.chunks.clone() });
        let sum = sum_of(&value);
        if sum != kept.totals {
            kept.totals = sum;
            changes.push((totals_key(job), Some(value)));
        }
    }
    changes
}

/// One batch takes effect as a whole. Where one is not enough, the watermark goes first and comes
/// back last, so that an index between two batches has none and is not believed.
fn apply(db: &Db, changes: Vec<Change>, watermark: &[u8]) -> sled::Result<()> {
    if changes.len() >= BATCH {
        db.remove(WATERMARK)?;
        db.flush()?;
    }
    let mut batch = Batch::default();
    let mut size = 0;
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
        size += 1;
        if size == BATCH {
            db.apply_batch(std::mem::take(&mut batch))?;
            db.flush()?;
            size = 0;
        }
    }
    batch.insert(WATERMARK, watermark);
    db.apply_batch(batch)?;
    db.flush()?;
    Ok(())
}

fn totals_key(job: &JobId) -> Vec<u8> {
    [b"j", job.as_str().as_bytes()].concat()
}

/// The zero ends the job's name, so that no name is the beginning of another.
fn chunks_prefix(job: &JobId) -> Vec<u8> {
    [b"c", job.as_str().as_bytes(), b"\0"].concat()
}

fn chunk_key(job: &JobId, chunk: u32) -> Vec<u8> {
    [chunks_prefix(job), chunk.to_be_bytes().to_vec()].concat()
}

/// sled leaves these behind when it is stopped while writing one, and may later trip over them.
fn remove_half_written_snapshots(disk: &Disk, dir: &Path) -> Result<(), StoreError> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "generating") {
            disk.remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Syncs a folder with all files and folders in it.
fn sync_all(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_all(&entry.path())?,
            false => std::fs::File::open(entry.path())?.sync_all()?,
        }
    }
    std::fs::File::open(dir)?.sync_all()
}
