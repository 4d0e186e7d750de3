//! Opening what a job is read from: a file or standard input, packed or not, hashed as it is read.
//!
//! Gives records: one line or row at a time, whatever the file is. The hash and size are of the
//! bytes on disk, before unpacking.
//!
//! Shell: the only file of this module that touches files.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest as _, Sha256};

use super::lines::{Lines, Record, Stop};
use super::problem::ReadError;
use super::rows::{CsvRows, ParquetRows};

/// What a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// One prompt a line.
    Text,
    /// Parquet.
    Parquet,
}

impl FileKind {
    /// By the file's name; endings of packed files are looked through.
    pub fn of_name(name: &str) -> Option<FileKind> {
        let lower = name.to_ascii_lowercase();
        let unpacked = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
        match Path::new(unpacked).extension()?.to_str()? {
            "jsonl" | "ndjson" | "json" => Some(FileKind::Jsonl),
            "csv" => Some(FileKind::Csv),
            "tsv" => Some(FileKind::Tsv),
            "txt" => Some(FileKind::Text),
            "parquet" | "pq" => Some(FileKind::Parquet),
            _ => None,
        }
    }
}

/// Something a job can be read from.
pub struct Source {
    name: String,
    kind: FileKind,
    input: Input,
    digest: Rc<RefCell<Digest>>,
    /// Whether it has an end that can be waited for, so that all of it can be hashed.
    has_end: bool,
}

enum Input {
    Stream(Box<dyn Read>),
    Parquet(Box<dyn FileReader>),
}

impl Source {
    /// Opens a file, or standard input for `-`. Without a `kind`, the name and the first bytes tell.
    pub fn open(path: &str, kind: Option<FileKind>) -> Result<Source, ReadError> {
        if path == "-" {
            return Source::from_reader("stdin", kind, Box::new(io::stdin().lock()));
        }
        let failed = |error: io::Error| ReadError::Io { name: path.to_owned(), error };
        let mut file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            let reason = "is a folder; name the files in it".to_owned();
            return Err(ReadError::Unreadable { name: path.to_owned(), reason });
        }
        let mut start = [0; 4];
        let is_parquet = read_start(&mut file, &mut start).map_err(failed)? == 4 && start == *b"PAR1";
        let file = File::open(path).map_err(failed)?;
        if is_parquet || kind == Some(FileKind::Parquet) {
            return Source::parquet(path, file);
        }
        let mut source = Source::from_reader(path, kind, Box::new(file))?;
        source.has_end = true;
        Ok(source)
    }

    /// Reads from `reader`, which the user knows as `name`.
    pub fn from_reader(
        name: &str,
        kind: Option<FileKind>,
        reader: Box<dyn Read>,
    ) -> Result<Source, ReadError> {
        let digest = Rc::new(RefCell::new(Digest::default()));
        let hashed = Hashed { reader, digest: Rc::clone(&digest) };
        let stream = unpack(hashed).map_err(|error| ReadError::Io { name: name.to_owned(), error })?;
        let kind = kind.or_else(|| FileKind::of_name(name)).unwrap_or(FileKind::Jsonl);
        if kind == FileKind::Parquet {
            let reason = "Parquet can only be read from a plain file; unpack or save it first".to_owned();
            return Err(ReadError::Unreadable { name: name.to_owned(), reason });
        }
        Ok(Source { name: name.to_owned(), kind, input: Input::Stream(stream), digest, has_end: false })
    }

    /// Opens a Parquet file: its table of contents is at the end, so it is hashed in a pass of its own.
    fn parquet(name: &str, file: File) -> Result<Source, ReadError> {
        let failed = |error: io::Error| ReadError::Io { name: name.to_owned(), error };
        let digest = Rc::new(RefCell::new(Digest::default()));
        let reader = Box::new(file.try_clone().map_err(failed)?);
        io::copy(&mut Hashed { reader, digest: Rc::clone(&digest) }, &mut io::sink()).map_err(failed)?;
        let reader = SerializedFileReader::new(file).map_err(|error| ReadError::Unreadable {
            name: name.to_owned(),
            reason: format!("cannot be read as Parquet: {error}"),
        })?;
        let input = Input::Parquet(Box::new(reader));
        Ok(Source { name: name.to_owned(), kind: FileKind::Parquet, input, digest, has_end: true })
    }

    /// What the user calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is made of.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Its records, each up to `max_line` bytes.
    pub(super) fn records(self, max_line: usize) -> Result<Records, Stop> {
        let shape = match (self.input, self.kind) {
            (Input::Parquet(file), _) => Shape::Parquet(ParquetRows::new(file)),
            (Input::Stream(stream), FileKind::Csv) => Shape::Csv(CsvRows::new(stream, b',', max_line)?),
            (Input::Stream(stream), FileKind::Tsv) => Shape::Csv(CsvRows::new(stream, b'\t', max_line)?),
            (Input::Stream(stream), _) => Shape::Lines(Lines::new(stream, max_line)),
        };
        Ok(Records { shape, digest: self.digest, has_end: self.has_end })
    }
}

/// The lines or rows of a source.
pub(super) struct Records {
    shape: Shape,
    digest: Rc<RefCell<Digest>>,
    has_end: bool,
}

enum Shape {
    Lines(Lines<Box<dyn Read>>),
    Csv(CsvRows<Box<dyn Read>>),
    Parquet(ParquetRows),
}

impl Records {
    /// Reads the next one that is not blank; false at the end.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, Stop> {
        match &mut self.shape {
            Shape::Lines(lines) => lines.next(record),
            Shape::Csv(rows) => rows.next(record),
            Shape::Parquet(rows) => rows.next(record),
        }
    }

    /// How many blank ones were passed over.
    pub(super) fn n_blank(&self) -> u64 {
        match &self.shape {
            Shape::Lines(lines) => lines.n_blank,
            Shape::Csv(rows) => rows.n_blank,
            Shape::Parquet(_) => 0,
        }
    }

    /// The SHA-256 in hex and the size of the source; of what was read of it, where it has no end.
    pub(super) fn finish(mut self) -> io::Result<(String, u64)> {
        match &mut self.shape {
            _ if !self.has_end => {}
            Shape::Lines(lines) => lines.drain()?,
            Shape::Csv(rows) => rows.drain()?,
            Shape::Parquet(_) => {}
        }
        let digest = self.digest.borrow();
        let hash = digest.sha256.clone().finalize();
        Ok((hash.iter().map(|byte| format!("{byte:02x}")).collect(), digest.bytes))
    }
}

/// Looks at the first bytes and unpacks what gzip or zstd packed.
fn unpack(mut reader: Hashed) -> io::Result<Box<dyn Read>> {
    let mut start = [0; 4];
    let n_read = read_start(&mut reader, &mut start)?;
    let stream = Cursor::new(start[..n_read].to_vec()).chain(reader);
    match start[..n_read] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(stream))),
        [0x28, 0xb5, 0x2f, 0xfd] => Ok(Box::new(zstd::Decoder::new(stream)?)),
        _ => Ok(Box::new(stream)),
    }
}

/// Fills `start` as far as the reader goes.
fn read_start(reader: &mut dyn Read, start: &mut [u8]) -> io::Result<usize> {
    let mut n_read = 0;
    while n_read < start.len() {
        match reader.read(&mut start[n_read..]) {
            Ok(0) => break,
            Ok(more) => n_read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

#[derive(Default)]
struct Digest {
    sha256: Sha256,
    bytes: u64,
}

/// Hashes and counts what passes.
struct Hashed {
    reader: Box<dyn Read>,
    digest: Rc<RefCell<Digest>>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let mut digest = self.digest.borrow_mut();
        digest.sha256.update(&buffer[..read]);
        digest.bytes += read as u64;
        Ok(read)
    }
}
