//! [`Draft`]: a batch while it is filled, kept in a file because it may be larger than memory.
//!
//! It holds attempts and their requests, one a line, and nothing of the dialect; what goes around them
//! is added while they are sent. The file has no name: whatever happens to us, no prompt stays behind.
//!
//! Shell.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::batch::{Order, Roll};
use crate::catalog::batch::BatchLimits;
use crate::job::AttemptId;

/// Whether a request went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It did.
    Yes,
    /// The batch is full; it belongs in the next one.
    Full,
    /// It is larger than any batch may be.
    TooLarge,
}

/// A batch that is being filled.
#[derive(Debug)]
pub struct Draft {
    order: Order,
    limits: BatchLimits,
    file: BufWriter<File>,
    attempts: Vec<AttemptId>,
    /// Of requests alone.
    body_bytes: u64,
    tokens: u64,
}

/// More than any dialect puts around a request, beside its id.
const MOST_AROUND: u64 = 128;

/// More than any dialect puts before the first request and behind the last.
const MOST_ASIDE: u64 = 2_048;

impl Draft {
    /// An empty one, with its file in this folder.
    pub fn new(folder: &Path, order: Order, limits: BatchLimits) -> io::Result<Draft> {
        let path = folder.join(format!("{}.draft", order.mark));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        let file = BufWriter::with_capacity(64 * 1024, file);
        Ok(Draft { order, limits, file, attempts: Vec::new(), body_bytes: 0, tokens: 0 })
    }

    /// Adds the request of an attempt, which has so many input tokens by estimate, if it fits.
    pub fn add(&mut self, attempt: AttemptId, body: &[u8], input_tokens: u64) -> io::Result<Added> {
        let id = self.order.mark.line_id(attempt).len() as u64;
        let count = self.attempts.len() as u64 + 1;
        let bytes = self.body_bytes + body.len() as u64;
        let whole = MOST_ASIDE + bytes + count * (id + MOST_AROUND);
        let over_tokens = self.limits.tokens.is_some_and(|limit| self.tokens + input_tokens > limit);
        if count > self.limits.requests || whole > self.limits.bytes || over_tokens {
            return Ok(if self.attempts.is_empty() { Added::TooLarge } else { Added::Full });
        }
        write_on_one_line(&mut self.file, body)?;
        self.attempts.push(attempt);
        self.body_bytes = bytes;
        self.tokens += input_tokens;
        Ok(Added::Yes)
    }

    /// What it is.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Input tokens of all of them, by estimate.
    pub fn input_tokens(&self) -> u64 {
        self.tokens
    }

    /// Its attempts, in the order in which they were added.
    pub fn attempts(&self) -> &[AttemptId] {
        &self.attempts
    }

    /// Its attempts, to be ticked off.
    pub fn roll(&self) -> Roll {
        Roll::new(self.attempts.iter().copied())
    }

    /// Bytes of all requests and their ids.
    pub(super) fn bytes(&self) -> u64 {
        let ids: u64 = self.attempts.iter().map(|id| self.order.mark.line_id(*id).len() as u64).sum();
        self.body_bytes + ids
    }

    /// The requests, one a line, in the order of [`Draft::attempts`].
    pub(super) fn lines(&mut self) -> io::Result<File> {
        self.file.flush()?;
        self.file.get_ref().try_clone()
    }
}

/// Writes JSON as one line of the same length. A line break in it can only be white space, because in
/// strings it would be escaped.
fn write_on_one_line(file: &mut impl Write, json: &[u8]) -> io::Result<()> {
    for piece in json.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        match piece {
            [line @ .., b'\n' | b'\r'] => {
                file.write_all(line)?;
                file.write_all(b" ")?;
            }
            line => file.write_all(line)?,
        }
    }
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Mark;
    use crate::catalog::batch::{BatchApi, BatchDialect};
    use crate::job::Wire;

    fn draft(limits: BatchLimits) -> (tempfile::TempDir, Draft) {
        let folder = tempfile::tempdir().unwrap();
        let order = Order { mark: Mark { store: 1, number: 2 }, model: "m".into(), wire: Wire::Chat };
        let draft = Draft::new(folder.path(), order, limits).unwrap();
        (folder, draft)
    }

    fn limits() -> BatchLimits {
        BatchApi::new(BatchDialect::OpenAi).limits
    }

    #[test]
    fn it_fills_up_to_each_limit_and_says_what_can_never_fit() {
        let body = [b'x'; 1_000];
        for limits in [
            BatchLimits { requests: 2, ..limits() },
            BatchLimits { bytes: 5_000, ..limits() },
            BatchLimits { tokens: Some(25), ..limits() },
        ] {
            let (_folder, mut draft) = draft(limits);
            let added: Vec<Added> = (0..3).map(|n| draft.add(AttemptId(n), &body, 10).unwrap()).collect();
            assert_eq!(added, [Added::Yes, Added::Yes, Added::Full], "{limits:?}");
            assert_eq!((draft.len(), draft.input_tokens()), (2, 20));
        }
        let (_folder, mut draft) = draft(BatchLimits { bytes: 2_000, ..limits() });
        assert_eq!(draft.add(AttemptId(0), &body, 10).unwrap(), Added::TooLarge);
    }

    #[test]
    fn nothing_of_it_can_be_found_on_disk() {
        let (folder, mut draft) = draft(limits());
        draft.add(AttemptId(0), b"{}", 1).unwrap();
        draft.lines().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_request_on_several_lines_becomes_one_that_means_the_same() {
        let mut out = Vec::new();
        write_on_one_line(&mut out, b"{\r\n \"a\": \"x\\n\"\n}").unwrap();
        assert_eq!(out, b"{   \"a\": \"x\\n\" }\n");
    }
}
