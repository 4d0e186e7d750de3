//! CSV and Parquet rows → JSON objects, one a row, so that the rest reads one kind of line.
//!
//! CSV fields become strings, Parquet values what JSON has for them.
//!
//! Pure but for the readers it is given.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use parquet::file::reader::FileReader;
use parquet::record::reader::RowIter;

use super::build::quoted;
use super::lines::{Record, Stop, not_text, refuse_utf16, too_long};
use super::problem::{Problem, shown};

/// Reads the rows of a CSV file whose first row names the columns.
pub struct CsvRows<R> {
    reader: csv::Reader<Metered<R>>,
    /// Bytes read since the last row began.
    since_row: Rc<Cell<usize>>,
    max_line: usize,
    /// The column names as JSON.
    names: Vec<Vec<u8>>,
    row: ByteRecord,
    /// Rows without any value so far.
    pub n_blank: u64,
}

impl<R: Read> CsvRows<R> {
    /// Rows of `reader`, whose fields are separated by `delimiter`, up to `max_line` bytes each.
    pub fn new(reader: R, delimiter: u8, max_line: usize) -> Result<CsvRows<R>, Stop> {
        let since_row = Rc::new(Cell::new(0));
        // The reader runs ahead of the row by its own buffer at most.
        let most = max_line + BUFFER;
        let metered = Metered { reader, since_row: Rc::clone(&since_row), most, crlf: false, started: false };
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).buffer_capacity(BUFFER).from_reader(metered);
        let headers = reader.byte_headers().map_err(|error| stop(error, max_line))?;
        let names = column_names(headers)?;
        Ok(CsvRows { reader, since_row, max_line, names, row: ByteRecord::new(), n_blank: 0 })
    }

    /// Reads the next row that is not blank into `record`; false at the end.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, Stop> {
        loop {
            self.since_row.set(0);
            match self.reader.read_byte_record(&mut self.row) {
                Ok(false) => return Ok(false),
                Ok(true) if self.row.iter().all(<[u8]>::is_empty) => self.n_blank += 1,
                Ok(true) => {
                    self.fill(record);
                    return Ok(true);
                }
                Err(error) => match error.kind() {
                    ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        let line = self.line();
                        let reason = format!("{len} fields, but the first row names {expected_len} columns");
                        record.set(line, |raw| write_fields(&self.row, raw));
                        record.problem = Some(Problem::from(reason));
                        return Ok(true);
                    }
                    _ => return Err(stop(error, self.max_line)),
                },
            }
        }
    }

    /// Reads to the end, for what is told of the whole stream.
    pub fn drain(&mut self) -> io::Result<()> {
        self.since_row.set(0);
        let metered = self.reader.get_mut();
        io::copy(&mut metered.reader, &mut io::sink()).map(drop)
    }

    /// The line on which the row just read starts.
    ///
    /// The reader notes where it began to look for a row, which is before blank lines and before the
    /// `\n` of a CRLF; so the lines are also counted back from where it is now.
    fn line(&self) -> u64 {
        let began = self.row.position().map_or(0, csv::Position::line);
        let inside: usize = self.row.iter().map(|field| memchr::memchr_iter(b'\n', field).count()).sum();
        let ending = u64::from(!self.reader.get_ref().crlf);
        let back = self.reader.position().line().saturating_sub(inside as u64 + ending);
        began.max(back)
    }

    fn fill(&self, record: &mut Record) {
        let line = self.line();
        let mut problem = None;
        record.set(line, |raw| {
            let fields = self.names.iter().zip(&self.row);
            for (index, (name, field)) in fields.enumerate() {
                raw.push(if index == 0 { b'{' } else { b',' });
                raw.extend_from_slice(name);
                raw.push(b':');
                problem = problem.take().or_else(|| not_text(field).map(|problem| in_column(name, problem)));
                raw.extend_from_slice(&quoted(&String::from_utf8_lossy(field)));
            }
            raw.push(b'}');
        });
        record.problem = problem;
    }
}

const BUFFER: usize = 64 * 1024;

/// The column names as JSON; they must be there and differ.
fn column_names(headers: &ByteRecord) -> Result<Vec<Vec<u8>>, Stop> {
    refuse_utf16(headers.get(0).unwrap_or_default())?;
    let mut names: Vec<Vec<u8>> = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let reason = |what: &str| Stop::Unreadable(format!("line 1, column {}: {what}", index + 1));
        let name =
            std::str::from_utf8(header).map_err(|_| reason("not valid UTF-8; save the file as UTF-8"))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(reason("has no name; the first row must name every column"));
        }
        let json = quoted(name);
        if names.contains(&json) {
            return Err(reason(&format!("the name {} is used twice", shown(name))));
        }
        names.push(json);
    }
    Ok(names)
}

fn in_column(name: &[u8], problem: Problem) -> Problem {
    Problem::from(format!("in column {}: {}", String::from_utf8_lossy(name), problem.message))
}

/// Writes the fields of a row that fits no columns as a JSON array.
fn write_fields(row: &ByteRecord, raw: &mut Vec<u8>) {
    let fields: Vec<Vec<u8>> = row.iter().map(|field| quoted(&String::from_utf8_lossy(field))).collect();
    raw.push(b'[');
    raw.extend_from_slice(&fields.join(&b","[..]));
    raw.push(b']');
}

fn stop(error: csv::Error, max_line: usize) -> Stop {
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<RowTooLong>()) => {
            let reason = too_long(max_line);
            Stop::Unreadable(format!("a row is {reason}; is a quote left open?"))
        }
        ErrorKind::Io(error) => Stop::Io(error),
        _ => Stop::Unreadable(match line {
            Some(line) => format!("line {line}: cannot be read as CSV"),
            None => "cannot be read as CSV".to_owned(),
        }),
    }
}

/// A row that an open quote stretched over much of the file.
#[derive(Debug, thiserror::Error)]
#[error("row too long")]
struct RowTooLong;

/// Counts what is read, and refuses a row without end.
struct Metered<R> {
    reader: R,
    since_row: Rc<Cell<usize>>,
    most: usize,
    /// Its first line ends in CRLF.
    crlf: bool,
    started: bool,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > self.most {
            return Err(io::Error::other(RowTooLong));
        }
        let read = self.reader.read(buffer)?;
        self.since_row.set(self.since_row.get() + read);
        if !self.started {
            self.started = true;
            let end = memchr::memchr(b'\n', &buffer[..read]);
            self.crlf = end.is_some_and(|end| buffer[..end].ends_with(b"\r"));
        }
        Ok(read)
    }
}

/// Reads the rows of a Parquet file.
pub struct ParquetRows {
    rows: RowIter<'static>,
    number: u64,
}

impl ParquetRows {
    /// Rows of an opened file.
    pub fn new(file: Box<dyn FileReader>) -> ParquetRows {
        ParquetRows { rows: RowIter::from_file_into(file), number: 0 }
    }

    /// Reads the next row into `record`, numbered from 1; false at the end.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, Stop> {
        let row = match self.rows.next() {
            None => return Ok(false),
            Some(Ok(row)) => row,
            Some(Err(error)) => {
                let reason = format!("row {}: cannot be read as Parquet: {error}", self.number + 1);
                return Err(Stop::Unreadable(reason));
            }
        };
        self.number += 1;
        let json = row.to_json_value();
        record.set(self.number, |raw| {
            serde_json::to_writer(raw, &json).expect("a JSON value is written to memory");
        });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Result<(Vec<(u64, String)>, u64), Stop> {
        let mut rows = CsvRows::new(text, b',', 1_000)?;
        let mut record = Record::default();
        let mut found = Vec::new();
        while rows.next(&mut record)? {
            let text = match &record.problem {
                Some(problem) => format!("! {}", problem.message),
                None => String::from_utf8(record.text().to_vec()).unwrap(),
            };
            found.push((record.line, text));
        }
        Ok((found, rows.n_blank))
    }

    fn refused(text: &[u8]) -> String {
        match rows(text) {
            Err(Stop::Unreadable(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_become_objects_of_strings() {
        let text = b"\xef\xbb\xbfid,\"te\"\"xt\"\r\n1,\"a\nb,\"\"c\"\"\"\r\n\r\n2,\xc3\xa9\r\n,\r\n";
        let (found, n_blank) = rows(text).unwrap();
        assert_eq!(found[0], (2, r#"{"id":"1","te\"xt":"a\nb,\"c\""}"#.to_owned()));
        assert_eq!(found[1], (5, r#"{"id":"2","te\"xt":"é"}"#.to_owned()));
        assert_eq!((found.len(), n_blank), (2, 1));
    }

    #[test]
    fn lines_are_those_an_editor_shows() {
        for text in ["a\n1\n\n\n\"2\n2\"\n3", "a\n1\n\n\n\"2\n2\"\n3\n"] {
            for text in [text.to_owned(), text.replace('\n', "\r\n")] {
                let (found, _) = rows(text.as_bytes()).unwrap();
                let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
                assert_eq!(lines, [2, 5, 7], "{text:?}");
            }
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_named_and_the_others_kept() {
        let (found, _) = rows(b"a,b\n1,2\n1,2,3\n\xff,2\n4,5\n").unwrap();
        assert_eq!(found[1], (3, "! 3 fields, but the first row names 2 columns".to_owned()));
        assert!(found[2].1.contains("in column \"a\": not valid UTF-8"));
        assert_eq!(found[3], (5, r#"{"a":"4","b":"5"}"#.to_owned()));
    }

    #[test]
    fn files_that_are_no_table_are_refused() {
        assert!(refused(b"a,a\n1,2\n").contains("\"a\" is used twice"));
        assert!(refused(b"a,,c\n").contains("column 2: has no name"));
        assert!(refused(b"\xff\xfea\0,\0b\0\n\0").contains("save it as UTF-8"));
        let open = format!("a,b\n1,\"{}\n", "x,y\n".repeat(100_000));
        assert!(refused(open.as_bytes()).contains("is a quote left open?"));
    }
}
