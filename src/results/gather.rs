//! Rows of finished files by position: many files, any order, bounded memory.
//!
//! Parts hold rows in the order their items ended. To show them in the order of the input, a list of
//! positions is sorted instead of the rows, and [`take`] fetches a window of them; because items end
//! nearly in order, a window touches few pages.
//!
//! Shell.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::file::metadata::{KeyValue, PageIndexPolicy};

use crate::results::ResultsError;
use crate::results::folder;
use crate::results::schema::{Table, key};

/// Rows that are read at once when a whole file is passed over.
const SCAN_ROWS: usize = 8_192;

/// One row of a list of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Which file of the list.
    pub(super) file: u32,
    /// Which row of it.
    pub(super) row: u32,
}

/// A finished file and its footer.
pub(super) struct PartFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl PartFile {
    /// Reads the footer; a file of another schema is refused.
    pub(super) fn open(table: Table, path: PathBuf) -> Result<PartFile, ResultsError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&folder::open(&path)?, options);
        let metadata = metadata.map_err(|error| ResultsError::damaged(&path, error))?;
        let file = PartFile { path, metadata };
        match file.schema_name() {
            Some(name) if name == table.version() => Ok(file),
            Some(name) => {
                let what = format!("it has schema {name}, this version reads {}", table.version());
                Err(ResultsError::damaged(&file.path, what))
            }
            None => Err(ResultsError::damaged(&file.path, "overnight did not write it")),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its key-value metadata.
    pub(super) fn about(&self) -> &[KeyValue] {
        let entries = self.metadata.metadata().file_metadata().key_value_metadata();
        entries.map_or(&[], Vec::as_slice)
    }

    fn schema_name(&self) -> Option<&str> {
        self.about().iter().find(|entry| entry.key == key::SCHEMA)?.value.as_deref()
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> u32 {
        u32::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(u32::MAX)
    }

    /// What one of its rows takes in memory, on average.
    pub(super) fn row_bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups();
        let bytes: i64 = groups.iter().map(|group| group.total_byte_size()).sum();
        bytes.max(0).unsigned_abs() / u64::from(self.rows().max(1)) + 64
    }

    /// All its rows in these columns, batch by batch.
    pub(super) fn scan(
        &self,
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ResultsError>>, ResultsError> {
        let reader = self.reader(columns, None, SCAN_ROWS)?;
        Ok(reader.map(|batch| batch.map_err(|error| ResultsError::damaged(&self.path, error))))
    }

    fn reader(
        &self,
        columns: &[&str],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ResultsError> {
        let file = folder::open(&self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let builder = builder.with_projection(mask).with_batch_size(batch_rows);
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        builder.build().map_err(|error| ResultsError::damaged(&self.path, error))
    }
}

/// The rows at these positions, in this order, in these columns (which come in the schema's order).
pub(super) fn take(
    files: &[PartFile],
    positions: &[Position],
    columns: &[&str],
) -> Result<RecordBatch, ResultsError> {
    let mut wanted: BTreeMap<u32, Vec<(u32, usize)>> = BTreeMap::new();
    for (place, position) in positions.iter().enumerate() {
        wanted.entry(position.file).or_default().push((position.row, place));
    }
    let mut batches = Vec::new();
    let mut sources = vec![(0, 0); positions.len()];
    for (file, mut rows) in wanted {
        rows.sort_unstable();
        let file = &files[file as usize];
        let mut places = rows.iter().map(|&(_, place)| place);
        let selection =
            RowSelection::from_consecutive_ranges(ranges(&rows).into_iter(), file.rows() as usize);
        for batch in file.reader(columns, Some(selection), rows.len())? {
            let batch = batch.map_err(|error| ResultsError::damaged(&file.path, error))?;
            for row in 0..batch.num_rows() {
                let place = places.next().expect("no more rows than were asked for");
                sources[place] = (batches.len(), row);
            }
            batches.push(batch);
        }
        if places.next().is_some() {
            return Err(ResultsError::damaged(&file.path, "it ends before its last row"));
        }
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&batches, &sources).map_err(|error| ResultsError::Encode(error.into()))
}

/// Neighbours joined; rows are ascending and each is asked for once.
fn ranges(rows: &[(u32, usize)]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for &(row, _) in rows {
        let row = row as usize;
        match ranges.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}
