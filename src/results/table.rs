//! Rows become batches of one Parquet file, and the file becomes a sealed one.
//!
//! Memory is bounded by a batch of builders plus the row group being encoded, whatever a part holds.
//!
//! Shell.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use crate::results::ResultsError;
use crate::results::columns::Columns;
use crate::results::spool::Spool;

/// Rows, or bytes of them, that wait in builders before they are encoded.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

/// A Parquet file being built.
pub(super) struct TableWriter<C> {
    columns: C,
    batch_rows: usize,
    batch_bytes: usize,
    rows: u64,
    writer: ArrowWriter<Spool>,
}

impl<C: Columns> TableWriter<C> {
    /// In the file `path`, with `about` in its metadata.
    pub(super) fn new(path: PathBuf, about: Vec<KeyValue>) -> Result<TableWriter<C>, ResultsError> {
        let properties = C::TABLE.properties(about);
        let writer = ArrowWriter::try_new(Spool::new(path), C::TABLE.schema(), Some(properties));
        let writer = writer.map_err(ResultsError::Encode)?;
        Ok(TableWriter { columns: C::default(), batch_rows: 0, batch_bytes: 0, rows: 0, writer })
    }

    /// Adds one row through `append`, which says how many bytes it is.
    pub(super) fn push(&mut self, append: impl FnOnce(&mut C) -> usize) -> Result<usize, ResultsError> {
        let bytes = append(&mut self.columns);
        self.rows += 1;
        self.batch_rows += 1;
        self.batch_bytes += bytes;
        if self.batch_rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
            self.encode()?;
        }
        Ok(bytes)
    }

    /// Ends the file: all its bytes are in the spool, on disk or waiting.
    pub(super) fn seal(mut self, last_words: KeyValue) -> Result<Sealed, ResultsError> {
        self.encode()?;
        self.writer.append_key_value_metadata(last_words);
        let spool = self.writer.into_inner().map_err(ResultsError::Encode)?;
        Ok(Sealed { spool, rows: self.rows })
    }

    fn encode(&mut self) -> Result<(), ResultsError> {
        if self.batch_rows == 0 {
            return Ok(());
        }
        let batch = RecordBatch::try_new(C::TABLE.schema(), self.columns.finish());
        let batch = batch.map_err(|error| ResultsError::Encode(error.into()))?;
        self.batch_rows = 0;
        self.batch_bytes = 0;
        self.writer.write(&batch).map_err(ResultsError::Encode)
    }
}

/// A whole file that has not been given its name yet.
pub(super) struct Sealed {
    /// Its bytes.
    pub(super) spool: Spool,
    /// Its rows.
    pub(super) rows: u64,
}
