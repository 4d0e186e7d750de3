//! [`PromptReader`]: items of accepted jobs, by position, apart from the journal's writer, so that a
//! read never waits for a sync.
//!
//! Items asked for together are read frame by frame; the last frames are kept, because what is
//! dispatched next usually stands beside what was dispatched last.
//!
//! Shell.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::super::StoreError;
use super::super::codec::u32_at;
use super::writer::hex;
use super::{
    CLASSES, COMMIT, COPIES, Commit, FOOTER, FrameAt, FrameHead, ITEMS, MAGIC, Trailer, damaged, fits,
    job_dir, segment_path, staging_dir,
};
use crate::job::{Item, ItemIndex, Job, JobId};

/// Decoded frames a reader keeps, at most 256 KiB each but for single larger items.
const RECENT: usize = 8;
/// Jobs whose frame lists are kept: eight bytes for 64 items.
const SHELVES: usize = 64;

/// Reads prompts. Clones share the lists of frames and nothing else; give every thread its own.
#[derive(Clone)]
pub struct PromptReader {
    prompts: PathBuf,
    shelves: Arc<Mutex<BTreeMap<JobId, Arc<Shelf>>>>,
    open: Option<(Arc<Shelf>, u32, Arc<File>)>,
    recent: VecDeque<Recent>,
    packed: Vec<u8>,
}

/// A decoded frame: of which job, which frame, its items.
type Recent = (Arc<Shelf>, usize, Arc<[Arc<Item>]>);

/// Where the frames of one job are.
struct Shelf {
    dir: PathBuf,
    n_items: ItemIndex,
    frames: Vec<FrameAt>,
    /// Index into `frames` of the first frame of each segment.
    segments: Vec<usize>,
}

impl PromptReader {
    pub(in super::super) fn new(prompts: PathBuf) -> PromptReader {
        PromptReader {
            prompts,
            shelves: Arc::default(),
            open: None,
            recent: VecDeque::with_capacity(RECENT),
            packed: Vec::new(),
        }
    }

    /// Items of an accepted job, in the order asked for.
    pub fn read(&mut self, job: &JobId, items: &[ItemIndex]) -> Result<Vec<Arc<Item>>, StoreError> {
        let shelf = self.shelf(job)?;
        let mut wanted = Vec::with_capacity(items.len());
        for (place, &item) in items.iter().enumerate() {
            if item >= shelf.n_items {
                return Err(StoreError::refused(format!(
                    "{job} has {} items, no item {item}",
                    shelf.n_items
                )));
            }
            wanted.push((shelf.frame_of(item), place, item));
        }
        wanted.sort_unstable();
        let mut found: Vec<Option<Arc<Item>>> = vec![None; items.len()];
        for group in wanted.chunk_by(|a, b| a.0 == b.0) {
            let frame = self.frame(&shelf, group[0].0)?;
            for &(number, place, item) in group {
                found[place] = Some(frame[(item - shelf.frames[number].first) as usize].clone());
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The header of a job that is staged and not accepted yet.
    pub fn staged(&self, job: &JobId) -> Result<Job, StoreError> {
        let staged = read_job(&staging_dir(&self.prompts, job))?;
        match staged.id == *job {
            true => Ok(staged),
            false => Err(StoreError::refused(format!("{job} is not the job that was staged"))),
        }
    }

    /// Forgets a job that is gone.
    pub(in super::super) fn forget(&self, job: &JobId) {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }

    fn shelf(&self, job: &JobId) -> Result<Arc<Shelf>, StoreError> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get(job) {
            return Ok(shelf.clone());
        }
        let shelf = Arc::new(Shelf::open(job_dir(&self.prompts, job))?);
        if shelves.len() >= SHELVES {
            shelves.clear();
        }
        shelves.insert(job.clone(), shelf.clone());
        Ok(shelf)
    }

    fn frame(&mut self, shelf: &Arc<Shelf>, number: usize) -> Result<Arc<[Arc<Item>]>, StoreError> {
        let kept = |(of, frame, _): &Recent| Arc::ptr_eq(of, shelf) && *frame == number;
        if let Some(at) = self.recent.iter().position(kept) {
            return Ok(self.recent[at].2.clone());
        }
        let items = self.load(shelf, number)?;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((shelf.clone(), number, items.clone()));
        Ok(items)
    }

    fn load(&mut self, shelf: &Arc<Shelf>, number: usize) -> Result<Arc<[Arc<Item>]>, StoreError> {
        let at = shelf.frames[number];
        let end = shelf.frames.get(number + 1).map_or(shelf.n_items, |next| next.first);
        let segment = shelf.segments.partition_point(|&first| first <= number) as u32;
        let path = segment_path(&shelf.dir, segment);
        let lost = || damaged(&path, &format!("items {} to {} cannot be read", at.first, end - 1));
        let file = self.file(shelf, segment, &path)?;
        let head = read_frame(&file, u64::from(at.offset), ITEMS, &mut self.packed).ok_or_else(lost)?;
        let as_listed = (head.crc, head.first, head.n) == (at.crc, at.first, end - at.first);
        if !as_listed {
            return Err(lost());
        }
        let bytes = zstd::bulk::decompress(&self.packed, head.unpacked as usize).map_err(|_| lost())?;
        let mut items = Vec::with_capacity(head.n as usize);
        let mut rest = bytes.as_slice();
        for index in at.first..end {
            let (item, after) = postcard::take_from_bytes::<Item>(rest).map_err(|_| lost())?;
            if item.index != index {
                return Err(lost());
            }
            items.push(Arc::new(item));
            rest = after;
        }
        Ok(items.into())
    }

    fn file(&mut self, shelf: &Arc<Shelf>, segment: u32, path: &Path) -> Result<Arc<File>, StoreError> {
        match &self.open {
            Some((of, number, file)) if Arc::ptr_eq(of, shelf) && *number == segment => Ok(file.clone()),
            _ => {
                let file = Arc::new(File::open(path).map_err(StoreError::io("read", path))?);
                self.open = Some((shelf.clone(), segment, file.clone()));
                Ok(file)
            }
        }
    }
}

impl Shelf {
    fn open(dir: PathBuf) -> Result<Shelf, StoreError> {
        let commit = read_commit(&dir)?.1;
        let mut shelf = Shelf { n_items: commit.n_items, frames: Vec::new(), segments: Vec::new(), dir };
        let mut hash = Sha256::new();
        let mut footer = Vec::new();
        for number in 1..=commit.segments {
            let path = segment_path(&shelf.dir, number);
            let file = File::open(&path).map_err(StoreError::io("read", &path))?;
            let trailer = read_trailer(&file, &path)?;
            read_frame(&file, trailer.footer, FOOTER, &mut footer)
                .ok_or_else(|| damaged(&path, "its list of frames cannot be read"))?;
            hash.update(&footer);
            shelf.segments.push(shelf.frames.len());
            shelf.frames.extend(footer.chunks_exact(FrameAt::LEN).map(FrameAt::read));
        }
        let covers_all = shelf.frames.first().map_or(shelf.n_items == 0, |frame| frame.first == 0);
        if !covers_all || hex(&hash.finalize()) != commit.sha256 {
            return Err(damaged(&shelf.dir, "its segments do not belong together"));
        }
        Ok(shelf)
    }

    fn frame_of(&self, item: ItemIndex) -> usize {
        self.frames.partition_point(|frame| frame.first <= item) - 1
    }
}

/// The header of a job in `dir`, its item classes included.
pub(in super::super) fn read_job(dir: &Path) -> Result<Job, StoreError> {
    let (last, commit) = read_commit(dir)?;
    let mut job = commit.job;
    job.class_of = last.classes()?;
    job.copies = last.copies()?;
    if !fits(&job, commit.n_items) {
        return Err(damaged(&last.path, "its header does not fit its items"));
    }
    Ok(job)
}

/// The segment that ends with the commit frame.
struct LastSegment {
    path: PathBuf,
    file: File,
    trailer: Trailer,
}

impl LastSegment {
    fn classes(&self) -> Result<Vec<u16>, StoreError> {
        let bytes = self.table(CLASSES, self.trailer.classes, "the classes of its items cannot be read")?;
        Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    fn copies(&self) -> Result<Vec<(ItemIndex, ItemIndex)>, StoreError> {
        let bytes = self.table(COPIES, self.trailer.copies, "which items repeat others cannot be read")?;
        Ok(bytes.chunks_exact(8).map(|pair| (u32_at(pair, 0), u32_at(pair, 4))).collect())
    }

    /// The bytes of a frame that only some jobs have.
    fn table(&self, kind: u32, offset: u64, lost: &str) -> Result<Vec<u8>, StoreError> {
        if offset == 0 {
            return Ok(Vec::new());
        }
        let lost = || damaged(&self.path, lost);
        let mut packed = Vec::new();
        let head = read_frame(&self.file, offset, kind, &mut packed).ok_or_else(lost)?;
        zstd::bulk::decompress(&packed, head.unpacked as usize).map_err(|_| lost())
    }
}

fn read_commit(dir: &Path) -> Result<(LastSegment, Commit<Job>), StoreError> {
    let path = last_segment(dir)?;
    let file = File::open(&path).map_err(StoreError::io("read", &path))?;
    let trailer = read_trailer(&file, &path)?;
    let mut json = Vec::new();
    let head = (trailer.commit != 0).then(|| read_frame(&file, trailer.commit, COMMIT, &mut json)).flatten();
    let commit = head.and_then(|_| serde_json::from_slice(&json).ok());
    let commit: Commit<Job> = commit.ok_or_else(|| damaged(&path, "its commit frame cannot be read"))?;
    Ok((LastSegment { path, file, trailer }, commit))
}

fn last_segment(dir: &Path) -> Result<PathBuf, StoreError> {
    let mut last = None;
    for entry in std::fs::read_dir(dir).map_err(StoreError::io("read", dir))? {
        let path = entry.map_err(StoreError::io("read", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            last = last.max(Some(path));
        }
    }
    last.ok_or_else(|| damaged(dir, "it holds no segments"))
}

fn read_trailer(file: &File, path: &Path) -> Result<Trailer, StoreError> {
    let len = file.metadata().map_err(StoreError::io("read", path))?.len();
    let mut magic = [0; MAGIC.len()];
    let mut bytes = [0; Trailer::LEN];
    let read = file.read_exact_at(&mut magic, 0).and_then(|()| {
        let at = len.checked_sub(Trailer::LEN as u64).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        file.read_exact_at(&mut bytes, at)
    });
    let trailer = read.ok().filter(|()| &magic == MAGIC).and_then(|()| Trailer::from_bytes(&bytes));
    trailer.ok_or_else(|| damaged(path, "its end cannot be read"))
}

/// Reads one frame into `body`; `None` unless every bit of it is as it was written.
fn read_frame(file: &File, offset: u64, kind: u32, body: &mut Vec<u8>) -> Option<FrameHead> {
    let mut bytes = [0; FrameHead::LEN];
    file.read_exact_at(&mut bytes, offset).ok()?;
    let head = FrameHead::from_bytes(&bytes);
    let end = offset + FrameHead::LEN as u64 + u64::from(head.len);
    if head.kind != kind || end > file.metadata().ok()?.len() {
        return None;
    }
    body.resize(head.len as usize, 0);
    file.read_exact_at(body, offset + FrameHead::LEN as u64).ok()?;
    (head.sum(body) == head.crc).then_some(head)
}
