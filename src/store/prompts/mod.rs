//! Accepted prompts: written once at submit, read by position, never changed.
//!
//! [`PromptWriter`] fills a staging folder, [`PromptReader`] reads what was accepted. A job's folder
//! holds segments of about 64 MiB:
//!
//! ```text
//! 000001.seg   magic │ frame │ frame │ … │ footer │ trailer
//! 000002.seg   magic │ frame │ … │ footer │ classes │ copies │ commit │ trailer
//! frame        head of 24 bytes (length, crc32c, kind, first item, items, length unpacked) + body
//! body         up to 64 items or 256 KiB, postcard, zstd-1
//! footer       every frame of the segment: first item, offset, crc
//! commit       JSON: the job, its item count, its segments, SHA-256 over all footers
//! trailer      where footer, classes, copies and commit stand
//! ```
//!
//! The commit frame is written last and synced before the folder gets its final name, so a folder
//! without one is a submission that never happened. Everything read is checked; what does not check
//! out is an error that names the file and the items, never a guess.
//!
//! Shell.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::codec::{u32_at, u64_at};
use crate::job::{ItemIndex, Job, JobId};

mod reader;
mod writer;

pub use reader::PromptReader;
pub(super) use reader::read_job;
pub use writer::PromptWriter;

/// Size at which a segment is closed; offsets in it fit four bytes with room to spare.
const SEGMENT: u64 = 64 << 20;
const FRAME_ITEMS: u32 = 64;
const FRAME_BYTES: usize = 256 << 10;

const MAGIC: &[u8; 8] = b"ONPROM01";

const ITEMS: u32 = 1;
const FOOTER: u32 = 2;
const CLASSES: u32 = 3;
const COMMIT: u32 = 4;
const COPIES: u32 = 5;

/// What the commit frame says; the item count guards against a header of another job.
#[derive(Serialize, Deserialize)]
struct Commit<J> {
    job: J,
    n_items: ItemIndex,
    segments: u32,
    sha256: String,
}

/// Where a job's prompts are before it is accepted.
pub(super) fn staging_dir(prompts: &Path, job: &JobId) -> PathBuf {
    prompts.join(format!(".staging-{job}"))
}

/// Where they are from then on.
pub(super) fn job_dir(prompts: &Path, job: &JobId) -> PathBuf {
    prompts.join(job.as_str())
}

fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.seg"))
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHead {
    len: u32,
    crc: u32,
    kind: u32,
    first: ItemIndex,
    n: u32,
    unpacked: u32,
}

impl FrameHead {
    const LEN: usize = 24;

    /// The head of a frame with this body; the checksum covers both.
    fn new(kind: u32, first: ItemIndex, n: u32, unpacked: usize, body: &[u8]) -> FrameHead {
        let mut head =
            FrameHead { len: body.len() as u32, crc: 0, kind, first, n, unpacked: unpacked as u32 };
        head.crc = head.sum(body);
        head
    }

    fn to_bytes(self) -> [u8; FrameHead::LEN] {
        let mut bytes = [0; FrameHead::LEN];
        let fields = [self.len, self.crc, self.kind, self.first, self.n, self.unpacked];
        for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; FrameHead::LEN]) -> FrameHead {
        let field = |n: usize| u32_at(bytes, 4 * n);
        FrameHead {
            len: field(0),
            crc: field(1),
            kind: field(2),
            first: field(3),
            n: field(4),
            unpacked: field(5),
        }
    }

    fn sum(&self, body: &[u8]) -> u32 {
        let bytes = FrameHead { crc: 0, ..*self }.to_bytes();
        crc32c::crc32c_append(crc32c::crc32c(&bytes), body)
    }
}

/// One line of a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameAt {
    first: ItemIndex,
    offset: u32,
    crc: u32,
}

impl FrameAt {
    const LEN: usize = 12;

    fn write(self, out: &mut Vec<u8>) {
        for field in [self.first, self.offset, self.crc] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> FrameAt {
        FrameAt { first: u32_at(bytes, 0), offset: u32_at(bytes, 4), crc: u32_at(bytes, 8) }
    }
}

/// The last bytes of a segment. `commit` is 0 in all segments of a job but its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trailer {
    footer: u64,
    commit: u64,
    classes: u64,
    copies: u64,
}

impl Trailer {
    const LEN: usize = 36;

    fn to_bytes(self) -> Vec<u8> {
        let fields = [self.footer, self.commit, self.classes, self.copies];
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Trailer::LEN]) -> Option<Trailer> {
        let trailer = Trailer {
            footer: u64_at(bytes, 0),
            commit: u64_at(bytes, 8),
            classes: u64_at(bytes, 16),
            copies: u64_at(bytes, 24),
        };
        (crc32c::crc32c(&bytes[..32]) == u32_at(bytes, 32)).then_some(trailer)
    }
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged(format!("{} is damaged: {what}", path.display()))
}

/// Whether a job's header belongs to the prompts beside it.
fn fits(job: &Job, n_items: ItemIndex) -> bool {
    let classes_fit = job.class_of.is_empty() || job.class_of.len() == n_items as usize;
    let copies_fit = job.copies.iter().all(|&(copy, first)| first < copy && copy < n_items);
    job.n_items == n_items && classes_fit && copies_fit && !job.classes.is_empty()
}
