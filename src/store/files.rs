//! [`FileStore`]: the store of the running program, as files and an index of them.
//!
//! Opening takes the folder for this process, mends what a stop may have left (a torn journal tail,
//! a submission that was never finished, an index that a power cut may have spoilt) and refuses what
//! cannot be mended without losing something. A checkpoint makes, in this order, the journal durable,
//! the totals of finished jobs, the index, a new segment where the last is full; then it deletes what
//! nobody needs. Each step rests on the one before, so a stop between any two is harmless.
//!
//! Shell.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{seal, unseal};
use super::disk::{self, Disk, in_words};
use super::index::{Index, Owed};
use super::journal::{Journal, row_of};
use super::prompts::{PromptReader, PromptWriter, job_dir, read_job, staging_dir};
use super::recovery::{self, Each, Found, Remains};
use super::session::Session;
use super::{FinalStates, Store, StoreError};
use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::{JobLedger, Ledger};
use crate::record::{Checkpoint, Record, Seq, Snapshot};

/// Sizes of things, smaller in tests.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// A journal segment is closed at the first checkpoint that finds it this large.
    pub journal_segment: u64,
    /// A prompt segment is closed at the first frame that finds it this large.
    pub prompt_segment: u64,
    /// Space given back when the disk is full, so that answers in flight can still be written.
    pub ballast: u64,
    /// With less space left the store is not opened.
    pub least_free: u64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            journal_segment: 64 << 20,
            prompt_segment: 64 << 20,
            ballast: 16 << 20,
            least_free: 128 << 20,
        }
    }
}

/// Reads how items ended from the first parts of a job: results folder, job, number of parts.
pub type ReadFinalStates = dyn Fn(&Path, &JobId, u32) -> Result<FinalStates, StoreError> + Send;

/// State on disk, owned by this process.
pub struct FileStore {
    disk: Disk,
    sizes: Sizes,
    state: PathBuf,
    prompts: PathBuf,
    results: PathBuf,
    final_states: Box<ReadFinalStates>,
    journal: Journal,
    index: Index,
    reader: PromptReader,
    /// What checkpoints brought and the index does not hold yet.
    owed: Owed,
    /// Last, so that the folder is given back after everything in it is closed.
    session: Session,
}

impl FileStore {
    /// Opens the store in `state`, or makes one; `final_states` reads the parts in `results`, and is
    /// asked only when the index is lost.
    pub fn open(
        state: &Path,
        results: &Path,
        final_states: impl Fn(&Path, &JobId, u32) -> Result<FinalStates, StoreError> + Send + 'static,
    ) -> Result<FileStore, StoreError> {
        FileStore::open_on(Disk::default(), Sizes::default(), state, results, Box::new(final_states))
    }

    /// The same with a disk and sizes of the caller's choice.
    pub fn open_on(
        disk: Disk,
        sizes: Sizes,
        state: &Path,
        results: &Path,
        final_states: Box<ReadFinalStates>,
    ) -> Result<FileStore, StoreError> {
        let prompts = state.join("prompts");
        for dir in [state, &prompts] {
            disk::create_dir(dir).map_err(StoreError::io("create", dir))?;
        }
        let session = Session::begin(disk.clone(), state)?;
        make_room(&disk, &sizes, state)?;
        remove_leftovers(&disk, &prompts)?;
        let journal = Journal::open(disk.clone(), state.join("journal"))?;
        if journal.cut() > 0 {
            tracing::warn!(bytes = journal.cut(), "cut the torn end of the journal");
        }
        let index_dir = state.join("index");
        if session.power_was_lost {
            disk.remove_dir(&index_dir).map_err(StoreError::io("remove", &index_dir))?;
        }
        session.mark_dirty()?;
        let index = Index::open(disk.clone(), index_dir)?;
        let mut store = FileStore {
            reader: PromptReader::new(prompts.clone()),
            state: state.to_owned(),
            results: results.to_owned(),
            owed: Owed::default(),
            disk,
            sizes,
            prompts,
            final_states,
            journal,
            index,
            session,
        };
        store.keep_ballast();
        Ok(store)
    }

    /// A writer for the prompts of a job that is being submitted.
    pub fn stage(&self, job: &JobId) -> Result<PromptWriter, StoreError> {
        PromptWriter::create(self.disk.clone(), &self.prompts, job, self.sizes.prompt_segment)
    }

    /// A writer for the prompts of a job that another process, which owns `state`, is to accept.
    pub fn stage_beside(state: &Path, job: &JobId) -> Result<PromptWriter, StoreError> {
        PromptWriter::create(Disk::default(), &state.join("prompts"), job, Sizes::default().prompt_segment)
    }

    /// The folder it owns.
    pub fn folder(&self) -> &Path {
        &self.state
    }

    /// A reader of prompts for another thread.
    pub fn reader(&self) -> PromptReader {
        self.reader.clone()
    }

    /// Whether there is room to accept a job: 0.4 of its bytes and 200 bytes an item, and what opening
    /// the store asks for.
    pub fn check_room(&self, bytes: u64, n_items: u64) -> Result<(), StoreError> {
        room_for(&self.disk, &self.sizes, &self.state, bytes, n_items)
    }

    /// The same for a job that is staged beside the owner of `state`.
    pub fn check_room_beside(state: &Path, bytes: u64, n_items: u64) -> Result<(), StoreError> {
        room_for(&Disk::default(), &Sizes::default(), state, bytes, n_items)
    }

    /// Makes everything durable, the index included, and gives the folder back.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.journal.sync()?;
        self.index.close()?;
        self.session.mark_clean()
    }

    /// Begins a new segment from which attempts get later names, and nothing else is changed.
    pub(super) fn skip_names(&mut self, names: u64) -> Result<(), StoreError> {
        let mut snapshot = self.recover()?.snapshot();
        snapshot.globals.next_attempt += names;
        self.journal.rotate(snapshot)
    }

    #[cfg(test)]
    pub(super) fn loaded_index(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        Remains::index(self)
    }

    fn write_finished(&self) -> Result<(), StoreError> {
        for (job, state) in &self.owed.finished {
            let dir = job_dir(&self.prompts, job);
            let path = finished_path(&dir);
            let written = self.disk.replace(&path, &seal(&state.without_items()));
            written.and_then(|()| self.disk.sync_dir(&dir)).map_err(StoreError::io("write", &path))?;
        }
        Ok(())
    }

    /// Space to give back when the disk is full. Having none is no error: it is for a bad day.
    fn keep_ballast(&mut self) {
        let path = self.ballast_path();
        let room = self.disk.free(&self.state).unwrap_or(0) >= self.sizes.least_free + self.sizes.ballast;
        if room && !path.exists() && fill(&path, self.sizes.ballast).is_err() {
            let _ = std::fs::remove_file(&path);
        }
    }

    fn ballast_path(&self) -> PathBuf {
        self.state.join("BALLAST")
    }
}

impl Store for FileStore {
    fn remove_job(&mut self, job: &JobId) -> Result<(), StoreError> {
        let dir = job_dir(&self.prompts, job);
        if !finished_path(&dir).exists() {
            return Err(StoreError::refused(format!("{job} is not finished and cannot be removed")));
        }
        let doomed = self.prompts.join(format!(".removed-{job}"));
        let failed = |error| StoreError::io("remove", &dir)(error);
        self.disk.remove_dir(&doomed).map_err(failed)?;
        self.disk.rename(&dir, &doomed).map_err(failed)?;
        self.reader.forget(job);
        self.disk.sync_dir(&self.prompts).map_err(failed)?;
        self.disk.remove_dir(&doomed).map_err(failed)
    }

    fn recover(&mut self) -> Result<Ledger, StoreError> {
        recovery::ledger(self)
    }

    fn replay(&mut self, from: Seq, each: &mut dyn FnMut(Seq, Record)) -> Result<(), StoreError> {
        self.journal.read(from, Seq::MAX, &mut |seq, record| {
            if row_of(&record).is_some() {
                each(seq, record);
            }
            Ok(())
        })
    }

    fn accept(&mut self, job: &Job) -> Result<(), StoreError> {
        let staged = staging_dir(&self.prompts, &job.id);
        let dir = job_dir(&self.prompts, &job.id);
        let failed = |error| StoreError::io("accept", &dir)(error);
        if dir.exists() {
            // The same submission again, after a stop right behind the rename: it is already here.
            self.disk.sync_dir(&self.prompts).map_err(failed)?;
            return self.disk.remove_dir(&staged).map_err(failed);
        }
        if read_job(&staged)? != *job {
            return Err(StoreError::refused(format!("{} is not the job that was staged", job.id)));
        }
        // Only a durable position can be told from the records of an earlier job of the same name.
        let since = self.journal.sync()?.to_string();
        self.disk.replace(&staged.join("since"), since.as_bytes()).map_err(failed)?;
        self.disk.sync_dir(&staged).map_err(failed)?;
        self.disk.rename(&staged, &dir).map_err(failed)?;
        self.disk.sync_dir(&self.prompts).map_err(failed)
    }

    fn read(&mut self, job: &JobId, items: &[ItemIndex]) -> Result<Vec<Arc<Item>>, StoreError> {
        self.reader.read(job, items)
    }

    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.journal.append(records)
    }

    fn sync(&mut self) -> Result<Seq, StoreError> {
        let synced = self.journal.sync();
        if matches!(synced, Err(StoreError::DiskFull(_))) {
            // The caller stops sending and asks again: there is room then for the answers in flight.
            let _ = std::fs::remove_file(self.ballast_path());
        }
        synced
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let at = checkpoint.snapshot.globals.seq;
        if at != self.journal.appended() {
            let end = self.journal.appended();
            return Err(StoreError::refused(format!(
                "a checkpoint of record {at} came when {end} was the last"
            )));
        }
        self.owed.add(checkpoint);
        self.sync()?;
        self.write_finished()?;
        self.index.write(&checkpoint.snapshot, &self.owed)?;
        self.owed = Owed::default();
        if self.journal.segment_len() >= self.sizes.journal_segment {
            self.journal.rotate(checkpoint.snapshot.clone())?;
        }
        let prompts = &self.prompts;
        self.journal.trim(|job| finished_path(&job_dir(prompts, job)).exists())?;
        self.keep_ballast();
        Ok(())
    }
}

impl Remains for FileStore {
    fn jobs(&mut self) -> Result<Vec<Found>, StoreError> {
        let mut jobs = Vec::new();
        for dir in folders(&self.prompts)? {
            let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            let job = Arc::new(read_job(&dir)?);
            jobs.push(Found { job, since: read_since(&dir)?, finished: read_finished(&dir)? });
        }
        Ok(jobs)
    }

    fn index(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        let Some(index) = self.index.load()? else { return Ok(None) };
        let at = index.snapshot.globals.seq;
        if at > self.journal.appended() {
            return Err(StoreError::Damaged(format!(
                "{} ends at record {} but the index knows record {at}: journal files are missing; put them back, \
                 or run `overnight store repair` to go on without them",
                self.state.join("journal").display(),
                self.journal.appended()
            )));
        }
        if at + 1 < self.journal.first() {
            self.index.start_over()?;
            return Ok(None);
        }
        Ok(Some(index))
    }

    fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.journal.snapshot()
    }

    fn records(&mut self, after: Seq, upto: Seq, each: &mut Each) -> Result<(), StoreError> {
        self.journal.read(after, upto, each)
    }

    fn final_states(&mut self, job: &JobId, parts: u32) -> Result<FinalStates, StoreError> {
        if parts == 0 { Ok(Vec::new()) } else { (self.final_states)(&self.results, job, parts) }
    }
}

fn finished_path(dir: &Path) -> PathBuf {
    dir.join("finished")
}

fn read_finished(dir: &Path) -> Result<Option<JobLedger>, StoreError> {
    let path = finished_path(dir);
    match std::fs::read(&path) {
        Ok(bytes) => unseal(&bytes).map(Some).ok_or_else(|| {
            StoreError::Damaged(format!(
                "{} is damaged: the totals of the job cannot be read",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

fn read_since(dir: &Path) -> Result<Seq, StoreError> {
    let path = dir.join("since");
    let text = std::fs::read_to_string(&path).map_err(StoreError::io("read", &path))?;
    text.trim()
        .parse()
        .map_err(|_| StoreError::Damaged(format!("{} is damaged: it holds no number", path.display())))
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(StoreError::io("read", dir))? {
        let entry = entry.map_err(StoreError::io("read", dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Submissions that never became jobs, and jobs whose removal was begun.
fn remove_leftovers(disk: &Disk, prompts: &Path) -> Result<(), StoreError> {
    for dir in folders(prompts)? {
        if dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            disk.remove_dir(&dir).map_err(StoreError::io("remove", &dir))?;
        }
    }
    Ok(())
}

/// Refuses a disk that is all but full; the ballast counts as free, it is given back if that helps.
fn make_room(disk: &Disk, sizes: &Sizes, state: &Path) -> Result<(), StoreError> {
    let free = || disk.free(state).map_err(StoreError::io("measure the free space of", state));
    if free()? < sizes.least_free {
        let _ = std::fs::remove_file(state.join("BALLAST"));
    }
    let free = free()?;
    if free < sizes.least_free { Err(not_enough(sizes.least_free, free, state)) } else { Ok(()) }
}

fn room_for(disk: &Disk, sizes: &Sizes, state: &Path, bytes: u64, n_items: u64) -> Result<(), StoreError> {
    let needed = bytes / 5 * 2 + 200 * n_items + sizes.least_free;
    let free = disk.free(state).map_err(StoreError::io("measure the free space of", state))?;
    if free >= needed { Ok(()) } else { Err(not_enough(needed, free, state)) }
}

fn not_enough(needed: u64, free: u64, state: &Path) -> StoreError {
    let (needed, free) = (in_words(needed), in_words(free));
    StoreError::DiskFull(format!("{needed} needed in {}, {free} free", state.display()))
}

/// Takes the space for real where the file system can.
fn fill(path: &Path, len: u64) -> std::io::Result<()> {
    let file: File = disk::create(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len)?;
    file.sync_data()
}
