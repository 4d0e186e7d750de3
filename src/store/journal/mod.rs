//! The journal: one append-only log of what we are about to do and what came of it.
//!
//! [`Journal::append`] encodes records into one buffer, [`Journal::sync`] writes that buffer with one
//! write and one `fdatasync`. A record's [`Seq`] is its ordinal; nothing else is counted.
//!
//! ```text
//! 000007.seg   magic │ head │ snapshot │ record │ record │ …
//! ```
//!
//! Every segment begins with two frames that are not counted: the head (ordinal of the first record,
//! and for every job the last record of the segment before that makes a row) and a
//! [`Record::Snapshot`] of all that came before. A segment appears by rename, synced, so its head is
//! there or the segment is not. Recovery without the index starts at the newest snapshot.
//!
//! A segment goes when all rows of its records are in Parquet, judged by the newest *stored* snapshot
//! and not by what is known since: the item states that a recovery from this snapshot takes from
//! parts and from the journal are then all there. Only the oldest go, so the rest has no gaps.
//!
//! A failed write is taken back and may be repeated. A failed sync is not: which pages reached the
//! disk is unknown from then on, and asking again can report success for pages that were dropped.
//!
//! Shell.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::disk::{self, Disk, in_words};
use crate::job::JobId;
use crate::record::{Next, Record, Seq, Snapshot};

mod damage;
mod segment;

pub(super) use damage::cut_damage;

use segment::{Found, Frames, push_frame, was_durable};

const MAGIC: &[u8; 8] = b"ONJRNL01";
/// A buffer that grew for a burst of long answers is given back.
const KEEP_BUFFER: usize = 4 << 20;

/// The journal, open for writing: the truth about everything but prompts.
pub struct Journal {
    disk: Disk,
    dir: PathBuf,
    segments: VecDeque<Segment>,
    file: File,
    /// Length of the last segment, up to its last good record.
    good: u64,
    waiting: Vec<u8>,
    appended: Seq,
    synced: Seq,
    broken: bool,
    /// Per unfinished job of the newest stored snapshot, how far its rows are in Parquet.
    committed: BTreeMap<JobId, Seq>,
    /// Bytes of a torn tail that were cut when it was opened.
    cut: u64,
}

struct Segment {
    number: u32,
    first: Seq,
    rows: BTreeMap<JobId, Seq>,
}

/// The first frame of a segment.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    first: Seq,
    /// Of the segment before: per job, its last record that makes a row.
    rows_before: BTreeMap<JobId, Seq>,
}

impl Journal {
    /// Opens the journal in `dir`, or begins one; cuts a torn tail, refuses a damaged one.
    pub fn open(disk: Disk, dir: PathBuf) -> Result<Journal, StoreError> {
        disk::create_dir(&dir).map_err(StoreError::io("create", &dir))?;
        let mut numbers = segment_numbers(&disk, &dir)?;
        if numbers.is_empty() {
            write_segment(&disk, &dir, 1, &Head { first: 1, ..Head::default() }, Snapshot::default())?;
            numbers.push(1);
        }
        let (segments, snapshot) = read_heads(&dir, &numbers)?;
        let last = segments.back().expect("there is at least one segment");
        let path = segment_path(&dir, last.number);
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(StoreError::io("open", &path))?;
        let mut journal = Journal {
            disk,
            good: 0,
            waiting: Vec::new(),
            appended: last.first - 1,
            synced: 0,
            broken: false,
            committed: committed(&snapshot),
            cut: 0,
            file,
            dir,
            segments,
        };
        journal.find_end(&path)?;
        journal.synced = journal.appended;
        Ok(journal)
    }

    /// Adds records; durable after the next [`Journal::sync`].
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.check_usable()?;
        for record in records {
            push_frame(&mut self.waiting, self.synced, record);
            self.appended += 1;
            self.note_row(record);
        }
        Ok(())
    }

    /// Writes what waits and makes it durable; says how far the journal is durable now.
    pub fn sync(&mut self) -> Result<Seq, StoreError> {
        self.check_usable()?;
        if self.waiting.is_empty() {
            return Ok(self.synced);
        }
        if let Err(error) = self.disk.write_at(&self.file, &self.waiting, self.good) {
            return Err(self.take_back(error));
        }
        if let Err(error) = self.disk.sync(&self.file) {
            self.broken = true;
            return Err(StoreError::Io(
                format!("cannot sync {}; stop and start again", self.dir.display()),
                error,
            ));
        }
        self.good += self.waiting.len() as u64;
        self.synced = self.appended;
        self.waiting.clear();
        self.waiting.shrink_to(KEEP_BUFFER);
        Ok(self.synced)
    }

    /// The last record that was appended, durable or not.
    pub fn appended(&self) -> Seq {
        self.appended
    }

    /// The first record that is still there, or would be the next one.
    pub fn first(&self) -> Seq {
        self.segments[0].first
    }

    /// Bytes in the segment that is written to.
    pub fn segment_len(&self) -> u64 {
        self.good
    }

    /// Bytes of a torn tail that were cut when the journal was opened.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The newest stored snapshot.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let last = self.segments.back().expect("there is at least one segment");
        Ok(open_segment(&segment_path(&self.dir, last.number))?.snapshot)
    }

    /// Begins a new segment with a snapshot of everything up to now, all of which must be durable.
    pub fn rotate(&mut self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.check_usable()?;
        assert_eq!(self.appended, self.synced, "a snapshot covers durable records only");
        let last = self.segments.back().expect("there is at least one segment");
        let number = last.number + 1;
        let head = Head { first: self.appended + 1, rows_before: last.rows.clone() };
        let committed = committed(&snapshot);
        let written = write_segment(&self.disk, &self.dir, number, &head, snapshot);
        // A new segment that may be there must not be ignored: records would go behind its back.
        let clean = matches!(written, Ok(_) | Err(StoreError::DiskFull(_)));
        self.broken = !clean || (written.is_err() && segment_path(&self.dir, number).exists());
        let (file, len) = written?;
        self.segments.push_back(Segment { number, first: head.first, rows: BTreeMap::new() });
        (self.file, self.good, self.committed) = (file, len, committed);
        Ok(())
    }

    /// Deletes the oldest segments while no recovery and no part needs them.
    pub fn trim(&mut self, is_finished: impl Fn(&JobId) -> bool) -> Result<(), StoreError> {
        while self.segments.len() > 1 {
            let needed = |(job, last): (&JobId, &Seq)| {
                self.committed.get(job).is_some_and(|to| last > to) && !is_finished(job)
            };
            if self.segments[0].rows.iter().any(needed) {
                break;
            }
            let path = segment_path(&self.dir, self.segments[0].number);
            self.disk.remove_file(&path).map_err(StoreError::io("remove", &path))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Every durable record with `after < seq <= upto`, in order.
    pub fn read(
        &self,
        after: Seq,
        upto: Seq,
        each: &mut dyn FnMut(Seq, Record) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for (n, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(n + 1).map_or(self.synced + 1, |next| next.first);
            if next <= after + 1 || segment.first > upto {
                continue;
            }
            let path = segment_path(&self.dir, segment.number);
            let mut frames = open_segment(&path)?.frames;
            for seq in segment.first..next.min(upto.saturating_add(1)) {
                if frames.next().map_err(StoreError::io("read", &path))? != Found::Frame {
                    return Err(damaged(&path, seq));
                }
                if seq > after {
                    each(seq, postcard::from_bytes(frames.body()).map_err(|_| damaged(&path, seq))?)?;
                }
            }
        }
        Ok(())
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if !self.broken {
            return Ok(());
        }
        let why = io::Error::other("an earlier write could not be completed");
        Err(StoreError::Io(
            format!("{} is closed for writing; stop and start again", self.dir.display()),
            why,
        ))
    }

    /// After a failed write: what it left behind must not stand before the next one.
    fn take_back(&mut self, error: io::Error) -> StoreError {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        self.broken = self.disk.set_len(&self.file, self.good).is_err() || !full;
        if full {
            let needed = in_words(self.waiting.len() as u64);
            return StoreError::DiskFull(format!("{needed} needed in {}", self.dir.display()));
        }
        StoreError::Io(format!("cannot write {}; stop and start again", self.dir.display()), error)
    }

    /// Reads the last segment to its end and cuts what was torn.
    fn find_end(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut frames = open_segment(path)?.frames;
        loop {
            match frames.next().map_err(StoreError::io("read", path))? {
                Found::Frame => {
                    let record =
                        postcard::from_bytes(frames.body()).map_err(|_| damaged(path, self.appended + 1))?;
                    self.appended += 1;
                    self.note_row(&record);
                }
                Found::End => break,
                Found::Bad => {
                    self.cut_tail(path, frames.at())?;
                    break;
                }
            }
        }
        self.good = frames.at();
        Ok(())
    }

    fn cut_tail(&mut self, path: &Path, at: u64) -> Result<(), StoreError> {
        let len = self.file.metadata().map_err(StoreError::io("read", path))?.len();
        let mut rest = vec![0; (len - at) as usize];
        self.file.read_exact_at(&mut rest, at).map_err(StoreError::io("read", path))?;
        if was_durable(&rest, self.appended + 1) {
            return Err(damaged(path, self.appended + 1));
        }
        self.cut = len - at;
        self.disk.set_len(&self.file, at).map_err(StoreError::io("cut the torn end of", path))?;
        self.disk.sync(&self.file).map_err(StoreError::io("sync", path))
    }

    fn note_row(&mut self, record: &Record) {
        let Some(job) = row_of(record) else { return };
        let rows = &mut self.segments.back_mut().expect("there is at least one segment").rows;
        match rows.get_mut(job) {
            Some(last) => *last = self.appended,
            None => {
                rows.insert(job.clone(), self.appended);
            }
        }
    }
}

/// The job whose Parquet parts get a row from this record.
pub(super) fn row_of(record: &Record) -> Option<&JobId> {
    match record {
        Record::Ended(ended) => Some(&ended.job),
        Record::Settled(settled) => Some(&settled.job),
        _ => None,
    }
}

/// The job, item and end that a record brings, if it ends an item.
pub(super) fn end_of(record: &Record) -> Option<&crate::record::Settled> {
    match record {
        Record::Settled(settled) => Some(settled),
        Record::Ended(ended) => match &ended.next {
            Next::Settled(settled) => Some(settled),
            Next::Pending(_) | Next::Held(_) | Next::Running => None,
        },
        _ => None,
    }
}

fn committed(snapshot: &Snapshot) -> BTreeMap<JobId, Seq> {
    snapshot.jobs.iter().map(|(job, state)| (job.clone(), state.committed_to)).collect()
}

fn damaged(path: &Path, seq: Seq) -> StoreError {
    StoreError::Damaged(format!(
        "{} is damaged at record {seq}; run `overnight store repair` to go on without what follows it",
        path.display()
    ))
}

fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.seg"))
}

/// The numbers of all segments in order; removes one that was not completed.
fn segment_numbers(disk: &Disk, dir: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(StoreError::io("read", dir))? {
        let path = entry.map_err(StoreError::io("read", dir))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => numbers.extend(stem.parse::<u32>().ok()),
            Some("tmp") => disk.remove_file(&path).map_err(StoreError::io("remove", &path))?,
            _ => {}
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read_heads(dir: &Path, numbers: &[u32]) -> Result<(VecDeque<Segment>, Snapshot), StoreError> {
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let mut snapshot = Snapshot::default();
    for &number in numbers {
        let path = segment_path(dir, number);
        let opened = open_segment(&path)?;
        if let Some(before) = segments.back_mut() {
            if before.number + 1 != number || opened.head.first < before.first {
                return Err(damaged(&path, before.first));
            }
            before.rows = opened.head.rows_before;
        }
        segments.push_back(Segment { number, first: opened.head.first, rows: BTreeMap::new() });
        snapshot = opened.snapshot;
    }
    Ok((segments, snapshot))
}

struct Opened {
    head: Head,
    snapshot: Snapshot,
    frames: Frames,
}

/// Reads a segment's two uncounted frames and stops before its first record.
fn open_segment(path: &Path) -> Result<Opened, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("read", path))?;
    let mut magic = [0; MAGIC.len()];
    let begun = file.read_exact(&mut magic).is_ok_and(|()| &magic == MAGIC);
    let mut frames = Frames::new(file, MAGIC.len() as u64).map_err(StoreError::io("read", path))?;
    let mut next = || match begun && frames.next().is_ok_and(|found| found == Found::Frame) {
        true => Ok(frames.body().to_vec()),
        false => Err(damaged(path, 0)),
    };
    let (head, snapshot) = (next()?, next()?);
    match (postcard::from_bytes(&head), postcard::from_bytes(&snapshot)) {
        (Ok(head), Ok(Record::Snapshot(snapshot))) => Ok(Opened { head, snapshot: *snapshot, frames }),
        _ => Err(damaged(path, 0)),
    }
}

/// A new segment, whole and durable or not there at all.
fn write_segment(
    disk: &Disk,
    dir: &Path,
    number: u32,
    head: &Head,
    snapshot: Snapshot,
) -> Result<(File, u64), StoreError> {
    let path = segment_path(dir, number);
    let aside = path.with_extension("tmp");
    let mut bytes = MAGIC.to_vec();
    push_frame(&mut bytes, head.first - 1, head);
    push_frame(&mut bytes, head.first - 1, &Record::Snapshot(Box::new(snapshot)));
    let failed = |error| StoreError::io("write", &path)(error);
    let file = disk::create(&aside).map_err(failed)?;
    disk.write_at(&file, &bytes, 0).map_err(failed)?;
    disk.sync(&file).map_err(failed)?;
    disk.rename(&aside, &path).map_err(failed)?;
    disk.sync_dir(dir).map_err(failed)?;
    Ok((file, bytes.len() as u64))
}
