//! Parts as a reader finds them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::attempt::ItemStatus;
use crate::job::{ItemIndex, Job};
use crate::record::{Ended, ItemTotals, PartCommitted, Record, Seq};
use crate::results::folder::Folder;
use crate::results::schema::Table;
use crate::results::select::Link;
use crate::results::testing::{at, parts, rejected, settled, succeeded};

/// Cut anywhere, crashed anywhere.
mod crash;
/// Filters, retries, exports.
mod export;
/// Rows, parts, full disks, manifests.
mod parts;
/// What other programs see, and what a row costs.
mod readers;

fn folder() -> (tempfile::TempDir, Folder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(temp.path().join("overnight-results"));
    (temp, folder)
}

fn write(folder: &Folder, job: &Arc<Job>, records: &[Record]) -> Vec<PartCommitted> {
    let mut open = parts(folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    for (index, record) in records.iter().enumerate() {
        open.push(index as Seq + 1, record).unwrap();
    }
    std::iter::from_fn(|| open.close(&job.id, at(100)).unwrap()).collect()
}

fn ended(ended: Ended) -> Record {
    Record::Ended(Box::new(ended))
}

fn chain(job: &Job) -> Vec<Link> {
    vec![Link::all(job.id.clone())]
}

/// Every result row there is, and the cost of every attempt: what a glob over the folder sees, which
/// knows nothing of part numbers.
fn union(folder: &Folder) -> (Vec<ItemIndex>, BTreeMap<String, i64>) {
    let mut items: Vec<ItemIndex> = Vec::new();
    for batch in glob(folder, Table::Results) {
        let column = batch["item_index"].as_primitive::<Int64Type>();
        items.extend(column.values().iter().map(|&item| item as ItemIndex));
    }
    items.sort_unstable();
    let mut costs = BTreeMap::new();
    for batch in glob(folder, Table::Attempts) {
        let ids = batch["attempt_id"].as_string::<i32>();
        let nanos = batch["cost_nano_usd"].as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let before = costs.insert(ids.value(row).to_owned(), nanos.value(row));
            assert_eq!(before, None, "attempt {} is there twice", ids.value(row));
        }
    }
    (items, costs)
}

fn glob(folder: &Folder, table: Table) -> Vec<RecordBatch> {
    let files = snapshot(&folder.root().join(table.as_str()));
    let batches = files.into_iter().flat_map(|(_, bytes)| {
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap().build().unwrap()
    });
    batches.map(Result::unwrap).collect()
}

/// Each item: rejected attempts before its end, and whether it ends without a further attempt.
fn records(job: &Job, items: &[(u16, bool)]) -> Vec<Record> {
    let mut records: Vec<(u16, Record)> = Vec::new();
    for (item, &(rejections, expires)) in items.iter().enumerate() {
        let item = item as ItemIndex;
        records.extend((1..=rejections).map(|number| (number, ended(rejected(job, item, number)))));
        let last = match expires {
            true => Record::Settled(Box::new(settled(job, item, ItemStatus::Expired, ItemTotals::default()))),
            false => ended(succeeded(job, item)),
        };
        let last = match last {
            Record::Ended(mut last) => {
                last.attempt.0 += u64::from(rejections);
                Record::Ended(last)
            }
            other => other,
        };
        records.push((rejections + 1, last));
    }
    // Items run side by side: their attempts come in turns.
    records.sort_by_key(|(number, _)| *number);
    records.into_iter().map(|(_, record)| record).collect()
}

fn snapshot(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let days = fs::read_dir(root).into_iter().flatten();
    let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}
