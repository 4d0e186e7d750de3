//! A stream of bytes → its lines, each known to be UTF-8 text of bounded length.
//!
//! Accepts what editors and other systems leave behind: a byte order mark, CRLF, blank lines, no
//! final newline. Files in another encoding are refused with the place where it shows.
//!
//! Pure but for the reader it is given.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use memchr::memchr;

use super::problem::Problem;

/// One line, in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub struct Record {
    /// Its number, from 1.
    pub line: u64,
    /// Its bytes as they were, without the line break.
    pub raw: Vec<u8>,
    /// Where its text stands in `raw`.
    text: Range<usize>,
    /// Why it cannot be read, where it cannot.
    pub problem: Option<Problem>,
}

impl Record {
    /// The text; UTF-8 without NUL unless there is a problem.
    pub fn text(&self) -> &[u8] {
        &self.raw[self.text.clone()]
    }

    /// Makes it line number `line` with the text `fill` writes, all of it.
    pub fn set(&mut self, line: u64, fill: impl FnOnce(&mut Vec<u8>)) {
        self.line = line;
        self.raw.clear();
        fill(&mut self.raw);
        self.text = 0..self.raw.len();
        self.problem = None;
    }
}

/// Why a stream cannot be read on.
#[derive(Debug)]
pub enum Stop {
    /// It is not the kind of text it should be.
    Unreadable(String),
    /// Reading failed.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

/// Reads lines.
pub struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
    max_line: usize,
    /// Blank lines so far.
    pub n_blank: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of `reader` up to `max_line` bytes each.
    pub fn new(reader: R, max_line: usize) -> Lines<R> {
        Lines { reader: BufReader::with_capacity(128 * 1024, reader), number: 0, max_line, n_blank: 0 }
    }

    /// Reads the next line that is not blank into `record`; false at the end.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, Stop> {
        loop {
            record.raw.clear();
            let most = self.max_line as u64 + 2;
            if (&mut self.reader).take(most).read_until(b'\n', &mut record.raw)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            record.line = self.number;
            record.problem = None;
            if self.number == 1 {
                refuse_utf16(&record.raw)?;
            }
            let cut_off = trim_line_break(&mut record.raw);
            if record.raw.len() > self.max_line {
                if cut_off {
                    self.skip_line()?;
                }
                record.text = 0..record.raw.len();
                record.problem = Some(Problem::from(too_long(self.max_line)));
                return Ok(true);
            }
            let start = if record.raw.starts_with(BOM) { BOM.len() } else { 0 };
            record.text = start..record.raw.len();
            if record.text().trim_ascii().is_empty() {
                self.n_blank += 1;
                continue;
            }
            record.problem = not_text(record.text());
            return Ok(true);
        }
    }

    /// Reads to the end, for what is told of the whole stream.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(drop)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            let read = (&mut self.reader).take(64 * 1024).read_until(b'\n', &mut chunk)?;
            if read == 0 || chunk.ends_with(b"\n") {
                return Ok(());
            }
        }
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Takes the line break off; true where there was none.
fn trim_line_break(line: &mut Vec<u8>) -> bool {
    let Some(without) = line.strip_suffix(b"\n") else { return true };
    let without = without.strip_suffix(b"\r").unwrap_or(without);
    line.truncate(without.len());
    false
}

/// What a line over the limit is told.
pub fn too_long(max_line: usize) -> String {
    const MIB: usize = 1024 * 1024;
    match max_line % MIB {
        0 => format!("longer than {} MiB, the most a line may have", max_line / MIB),
        _ => format!("longer than {max_line} bytes, the most a line may have"),
    }
}

/// Refuses UTF-16, by its byte order mark or by the zero beside the first ASCII character.
pub fn refuse_utf16(start: &[u8]) -> Result<(), Stop> {
    let marked = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    let zeros =
        matches!(start, [0, second, ..] if *second != 0) || matches!(start, [first, 0, ..] if *first != 0);
    match marked || zeros {
        true => Err(Stop::Unreadable("line 1, column 1: the file is UTF-16; save it as UTF-8".to_owned())),
        false => Ok(()),
    }
}

/// Why `text` is not text that can be JSON.
pub fn not_text(text: &[u8]) -> Option<Problem> {
    if let Some(at) = memchr(0, text) {
        let message = "a NUL byte, which JSON cannot hold; save the file as UTF-8".to_owned();
        return Some(Problem { at: Some(at), message });
    }
    let error = std::str::from_utf8(text).err()?;
    let message = "not valid UTF-8; save the file as UTF-8".to_owned();
    Some(Problem { at: Some(error.valid_up_to()), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], max_line: usize) -> (Vec<(u64, String)>, u64) {
        let mut lines = Lines::new(bytes, max_line);
        let mut record = Record::default();
        let mut found = Vec::new();
        while lines.next(&mut record).unwrap() {
            let text = match &record.problem {
                Some(problem) => format!("! {} {:?}", problem.message, problem.at),
                None => String::from_utf8(record.text().to_vec()).unwrap(),
            };
            found.push((record.line, text));
        }
        (found, lines.n_blank)
    }

    #[test]
    fn what_editors_leave_behind_is_accepted() {
        let (found, n_blank) = lines(b"\xef\xbb\xbf{1}\r\n\r\n  \t\n{2}\n\xef\xbb\xbf{3}", 100);
        let expected = [(1, "{1}".to_owned()), (4, "{2}".to_owned()), (5, "{3}".to_owned())];
        assert_eq!((found.as_slice(), n_blank), (expected.as_slice(), 2));
    }

    #[test]
    fn a_huge_line_is_skipped_without_being_held() {
        let long = "x".repeat(300_000);
        let (found, _) = lines(format!("{long}\nb\n{long}").as_bytes(), 1_000);
        assert_eq!(found.len(), 3);
        assert!(found[0].1.contains("longer than 1000 bytes"));
        assert_eq!(found[1], (2, "b".to_owned()));
        assert_eq!(lines("x".repeat(1_000).as_bytes(), 1_000).0[0].1.len(), 1_000);
        assert_eq!(lines(format!("{}\r\n", "x".repeat(1_000)).as_bytes(), 1_000).0[0].1.len(), 1_000);
    }

    #[test]
    fn other_encodings_are_refused_with_their_place() {
        let (found, _) = lines(b"ok\nab\xffc\nab\0c\n", 100);
        assert!(found[1].1.contains("not valid UTF-8") && found[1].1.contains("Some(2)"));
        assert!(found[2].1.contains("NUL byte") && found[2].1.contains("Some(2)"));
        for utf16 in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0\"\0", b"\0{\0\""] {
            let stop = Lines::new(utf16, 100).next(&mut Record::default()).unwrap_err();
            assert!(matches!(stop, Stop::Unreadable(reason) if reason.contains("save it as UTF-8")));
        }
    }
}
