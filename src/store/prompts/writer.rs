//! [`PromptWriter`]: a job's items into segments, in a staging folder, until the job is accepted.
//!
//! Memory is one frame, whatever the size of the job.
//!
//! Shell.

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zstd::bulk::Compressor;

use super::super::StoreError;
use super::super::codec::encode;
use super::super::disk::{self, Disk};
use super::{
    CLASSES, COMMIT, COPIES, Commit, FOOTER, FRAME_BYTES, FRAME_ITEMS, FrameAt, FrameHead, ITEMS, MAGIC,
    SEGMENT, Trailer, fits, segment_path, staging_dir,
};
use crate::job::{Item, ItemIndex, Job, JobId};

/// Writes the prompts of a job that is being submitted. Dropped before [`PromptWriter::finish`], it
/// leaves nothing behind.
pub struct PromptWriter {
    disk: Disk,
    job: JobId,
    dir: PathBuf,
    segment: Segment,
    segment_bytes: u64,
    n_items: ItemIndex,
    frame: Vec<u8>,
    frame_items: u32,
    packed: Vec<u8>,
    compressor: Compressor<'static>,
    footers: Sha256,
    finished: bool,
}

impl PromptWriter {
    pub(in super::super) fn create(
        disk: Disk,
        prompts: &Path,
        job: &JobId,
        segment_bytes: u64,
    ) -> Result<PromptWriter, StoreError> {
        let dir = staging_dir(prompts, job);
        let failed = |error| StoreError::io("write", &dir)(error);
        disk.remove_dir(&dir).map_err(failed)?;
        disk::create_dir(&dir).map_err(failed)?;
        Ok(PromptWriter {
            segment: Segment::create(&disk, &dir, 1)?,
            segment_bytes: segment_bytes.min(SEGMENT),
            disk,
            job: job.clone(),
            compressor: Compressor::new(1).map_err(failed)?,
            dir,
            n_items: 0,
            frame: Vec::new(),
            frame_items: 0,
            packed: Vec::new(),
            footers: Sha256::new(),
            finished: false,
        })
    }

    /// Adds the next item; items come in the order of their index, from 0.
    pub fn push(&mut self, item: &Item) -> Result<(), StoreError> {
        if item.index != self.n_items {
            return Err(StoreError::refused(format!(
                "item {} of {} cannot follow item {} of the same job",
                item.index, self.job, self.n_items
            )));
        }
        encode(item, &mut self.frame);
        self.n_items += 1;
        self.frame_items += 1;
        if self.frame_items == FRAME_ITEMS || self.frame.len() >= FRAME_BYTES {
            self.close_frame()?;
        }
        Ok(())
    }

    /// Writes the commit frame and makes everything durable, so that the job can be accepted.
    pub fn finish(mut self, job: &Job) -> Result<(), StoreError> {
        if job.id != self.job || !fits(job, self.n_items) {
            return Err(StoreError::refused(format!(
                "the header of {} does not fit the {} items written for {}",
                job.id, self.n_items, self.job
            )));
        }
        self.close_frame()?;
        let footer = self.write_footer()?;
        let classes = self.write_classes(&job.class_of)?;
        let copies = self.write_copies(&job.copies)?;
        let commit = Commit {
            job,
            n_items: self.n_items,
            segments: self.segment.number,
            sha256: hex(&self.footers.clone().finalize()),
        };
        let json =
            serde_json::to_vec(&commit).map_err(|error| StoreError::io("write", &self.dir)(error.into()))?;
        let commit = self.segment.append(&self.disk, COMMIT, 0, 0, json.len(), &json)?.offset;
        let trailer = Trailer { footer, classes, copies, commit: u64::from(commit) };
        self.segment.close(&self.disk, trailer)?;
        self.disk.sync_dir(&self.dir).map_err(StoreError::io("sync", &self.dir))?;
        self.finished = true;
        Ok(())
    }

    /// The same for a job whose name was not known before all of it was read: the folder is given the
    /// name of `job`, in the place of whatever was staged for it before.
    pub fn finish_as(mut self, job: &Job) -> Result<(), StoreError> {
        self.job = job.id.clone();
        let (disk, from) = (self.disk.clone(), self.dir.clone());
        let prompts = from.parent().unwrap_or(&from);
        let to = staging_dir(prompts, &job.id);
        self.finish(job)?;
        if from != to {
            disk.remove_dir(&to).map_err(StoreError::io("replace", &to))?;
            disk.rename(&from, &to).map_err(StoreError::io("name", &to))?;
        }
        Ok(())
    }

    fn close_frame(&mut self) -> Result<(), StoreError> {
        if self.frame_items == 0 {
            return Ok(());
        }
        if self.segment.len >= self.segment_bytes {
            self.next_segment()?;
        }
        self.pack(None)?;
        let first = self.n_items - self.frame_items;
        let at = self.segment.append(
            &self.disk,
            ITEMS,
            first,
            self.frame_items,
            self.frame.len(),
            &self.packed,
        )?;
        self.segment.frames.push(at);
        self.frame.clear();
        self.frame_items = 0;
        Ok(())
    }

    /// Compresses `bytes`, or the frame, into `packed`.
    fn pack(&mut self, bytes: Option<&[u8]>) -> Result<(), StoreError> {
        let bytes = bytes.unwrap_or(&self.frame);
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let packed = self.compressor.compress_to_buffer(bytes, &mut self.packed);
        packed.map(|_| ()).map_err(StoreError::io("compress prompts for", &self.dir))
    }

    fn next_segment(&mut self) -> Result<(), StoreError> {
        let footer = self.write_footer()?;
        self.segment.close(&self.disk, Trailer { footer, ..Trailer::default() })?;
        self.segment = Segment::create(&self.disk, &self.dir, self.segment.number + 1)?;
        Ok(())
    }

    fn write_footer(&mut self) -> Result<u64, StoreError> {
        let mut footer = Vec::with_capacity(self.segment.frames.len() * FrameAt::LEN);
        for frame in std::mem::take(&mut self.segment.frames) {
            frame.write(&mut footer);
        }
        self.footers.update(&footer);
        let at = self.segment.append(&self.disk, FOOTER, 0, 0, footer.len(), &footer)?;
        Ok(u64::from(at.offset))
    }

    /// Only jobs that mix classes have this frame.
    fn write_classes(&mut self, class_of: &[u16]) -> Result<u64, StoreError> {
        if class_of.is_empty() {
            return Ok(0);
        }
        let bytes: Vec<u8> = class_of.iter().flat_map(|class| class.to_le_bytes()).collect();
        self.write_table(CLASSES, &bytes)
    }

    /// Only jobs that repeat requests have this frame.
    fn write_copies(&mut self, copies: &[(ItemIndex, ItemIndex)]) -> Result<u64, StoreError> {
        if copies.is_empty() {
            return Ok(0);
        }
        let numbers = copies.iter().flat_map(|&(copy, first)| [copy, first]);
        let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        self.write_table(COPIES, &bytes)
    }

    fn write_table(&mut self, kind: u32, bytes: &[u8]) -> Result<u64, StoreError> {
        self.pack(Some(bytes))?;
        let at = self.segment.append(&self.disk, kind, 0, 0, bytes.len(), &self.packed)?;
        Ok(u64::from(at.offset))
    }
}

impl Drop for PromptWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed when the store is next opened.
            let _ = self.disk.remove_dir(&self.dir);
        }
    }
}

/// The segment being written.
struct Segment {
    number: u32,
    path: PathBuf,
    file: File,
    len: u64,
    frames: Vec<FrameAt>,
    out: Vec<u8>,
}

impl Segment {
    fn create(disk: &Disk, dir: &Path, number: u32) -> Result<Segment, StoreError> {
        let path = segment_path(dir, number);
        let file = disk::create(&path).map_err(StoreError::io("create", &path))?;
        disk.write_at(&file, MAGIC, 0).map_err(StoreError::io("write", &path))?;
        Ok(Segment { number, path, file, len: MAGIC.len() as u64, frames: Vec::new(), out: Vec::new() })
    }

    fn append(
        &mut self,
        disk: &Disk,
        kind: u32,
        first: ItemIndex,
        n: u32,
        unpacked: usize,
        body: &[u8],
    ) -> Result<FrameAt, StoreError> {
        let too_large = || StoreError::refused(format!("a frame of {unpacked} bytes is too large"));
        let offset = u32::try_from(self.len).map_err(|_| too_large())?;
        u32::try_from(unpacked.max(body.len())).map_err(|_| too_large())?;
        let head = FrameHead::new(kind, first, n, unpacked, body);
        self.out.clear();
        self.out.extend_from_slice(&head.to_bytes());
        self.out.extend_from_slice(body);
        disk.write_at(&self.file, &self.out, self.len).map_err(StoreError::io("write", &self.path))?;
        self.len += self.out.len() as u64;
        Ok(FrameAt { first, offset, crc: head.crc })
    }

    fn close(&mut self, disk: &Disk, trailer: Trailer) -> Result<(), StoreError> {
        disk.write_at(&self.file, &trailer.to_bytes(), self.len)
            .map_err(StoreError::io("write", &self.path))?;
        disk.sync(&self.file).map_err(StoreError::io("sync", &self.path))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
