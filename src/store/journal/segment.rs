//! The bytes of a journal segment: how a record is framed, read back, and told from a torn one.
//!
//! A power cut may tear whatever was not synced, and may tear it anywhere: later pages can be on
//! disk while earlier ones are not. So a bad frame with good ones behind it proves nothing yet.
//! Every frame therefore carries the position up to which the journal was durable when the frame
//! was encoded. A bad record is *damage* only if a later good frame says that it had been durable;
//! otherwise it is the torn tail, which nobody was told about, and is cut.
//!
//! Shell (reads), otherwise pure.

use std::fs::File;
use std::io::{self, BufReader, Read};

use serde::Serialize;

use super::super::codec::{encode, u32_at, u64_at};
use crate::record::Seq;

/// Length, crc32c of all that follows it, durable position; then the body.
pub(super) const HEAD: usize = 16;

/// Appends one framed value to a buffer.
pub(super) fn push_frame(out: &mut Vec<u8>, durable: Seq, value: &impl Serialize) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&durable.to_le_bytes());
    encode(value, out);
    let len = (out.len() - start - HEAD) as u32;
    let crc = crc32c::crc32c(&out[start + 8..]);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// What stands at a place where a frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A good frame; its body is in [`Frames::body`].
    Frame,
    /// The end of the file.
    End,
    /// Something else.
    Bad,
}

/// Reads a segment frame by frame with one buffer.
pub(super) struct Frames {
    file: BufReader<File>,
    at: u64,
    len: u64,
    body: Vec<u8>,
}

impl Frames {
    /// From the file's present position, which is `at`.
    pub(super) fn new(file: File, at: u64) -> io::Result<Frames> {
        let len = file.metadata()?.len();
        Ok(Frames { file: BufReader::with_capacity(256 << 10, file), at, len, body: Vec::new() })
    }

    /// Where the next frame begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The body of the frame last found.
    pub(super) fn body(&self) -> &[u8] {
        &self.body[8..]
    }

    /// Steps over one frame.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        let left = self.len - self.at;
        if left == 0 {
            return Ok(Found::End);
        }
        if left < HEAD as u64 {
            return Ok(Found::Bad);
        }
        let mut head = [0; 8];
        self.file.read_exact(&mut head)?;
        let len = u64::from(u32_at(&head, 0));
        if len == 0 || len > left - HEAD as u64 {
            return Ok(Found::Bad);
        }
        // The durable position is summed with the body, so it is read with it.
        self.body.resize(len as usize + 8, 0);
        self.file.read_exact(&mut self.body)?;
        if crc32c::crc32c(&self.body) != u32_at(&head, 4) {
            return Ok(Found::Bad);
        }
        self.at += HEAD as u64 + len;
        Ok(Found::Frame)
    }
}

/// Whether a good frame in `rest`, the bytes from a bad record on, says that the bad record `seq` had
/// been durable.
pub(super) fn was_durable(rest: &[u8], seq: Seq) -> bool {
    // No journal holds more records behind the bad one than it has bytes left.
    let highest = seq + rest.len() as u64;
    (1..rest.len().saturating_sub(HEAD)).any(|at| {
        let durable = u64_at(rest, at + 8);
        let body = at + HEAD..at + HEAD + u32_at(rest, at) as usize;
        (seq..=highest).contains(&durable)
            && !body.is_empty()
            && body.end <= rest.len()
            && crc32c::crc32c(&rest[at + 8..body.end]) == u32_at(rest, at + 4)
    })
}
