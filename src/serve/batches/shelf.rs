//! The batches there are: a document each in `STATE/batches`, and all of them in memory.
//!
//! A document is replaced whole and synced before anybody is told of the change.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::record::{Record, Stage};
use crate::serve::page::{Page, Paging};
use crate::serve::{ApiError, durable};
use crate::tenant::Caller;

/// How many batches a page has, and may have.
const PAGE: (usize, usize) = (20, 100);
/// A create that asks for the same within this time is the same create, sent again.
const REPEATED: Duration = Duration::from_secs(60);
/// Input files that are read at once: each keeps a core busy.
const READERS: usize = 2;

/// Every batch.
#[derive(Debug)]
pub(in crate::serve) struct Shelf {
    dir: PathBuf,
    records: Mutex<BTreeMap<String, Arc<Record>>>,
    /// Held while a document is written, so that no change is lost.
    writing: Mutex<()>,
    /// A job may be over.
    pub(super) nudge: Notify,
    /// Somebody is to be told that a batch is over.
    pub(super) news: Notify,
    pub(super) readers: Semaphore,
}

impl Shelf {
    /// Those of a state folder.
    pub(in crate::serve) fn open(state: &Path) -> io::Result<Shelf> {
        let dir = state.join("batches");
        durable::create_dir(&dir)?;
        let mut records = BTreeMap::new();
        for found in fs::read_dir(&dir)? {
            let path = found?.path();
            match path.extension().is_some_and(|ending| ending == "json") {
                true => {
                    let record: Record = durable::read_json(&path)?;
                    records.insert(record.id.clone(), Arc::new(record));
                }
                false => durable::remove(&path)?,
            }
        }
        Ok(Shelf {
            dir,
            records: Mutex::new(records),
            writing: Mutex::default(),
            nudge: Notify::new(),
            news: Notify::new(),
            readers: Semaphore::new(READERS),
        })
    }

    /// A batch that this caller may see.
    pub(super) fn get(&self, caller: &Caller, id: &str) -> Option<Arc<Record>> {
        self.record(id).filter(|record| record.is_shown(caller))
    }

    /// A batch, whoever asks.
    pub(super) fn record(&self, id: &str) -> Option<Arc<Record>> {
        lock(&self.records).get(id).cloned()
    }

    /// A page of them.
    pub(super) fn page(&self, caller: &Caller, paging: &Paging) -> Result<Page<Arc<Record>>, ApiError> {
        paging.cut(&lock(&self.records), PAGE, |record| record.is_shown(caller))
    }

    /// Those in the queue, and those whose files are still to be read.
    pub(super) fn open_ones(&self) -> (Vec<Arc<Record>>, Vec<Arc<Record>>) {
        let open =
            lock(&self.records).values().filter(|record| !record.is_over()).cloned().collect::<Vec<_>>();
        open.into_iter().partition(|record| record.stage == Stage::Queued)
    }

    /// Those that are over, of which somebody is still to be told; oldest first.
    pub(super) fn untold(&self) -> Vec<Arc<Record>> {
        lock(&self.records).values().filter(|record| record.untold).cloned().collect()
    }

    /// Adds a batch, durably, or gives the one that was asked for in the same words a moment ago; with
    /// whether it is new. Blocking.
    pub(super) fn add(&self, record: Record) -> io::Result<(Arc<Record>, bool)> {
        let _writing = lock(&self.writing);
        let earlier = lock(&self.records)
            .values()
            .rev()
            .take_while(|known| record.created_at.since(known.created_at) < REPEATED)
            // On a clock that was set back, those before it are to come: they were not a moment ago.
            .filter(|known| known.created_at.since(record.created_at) < REPEATED)
            .find(|known| known.repeats(&record))
            .cloned();
        match earlier {
            Some(earlier) => Ok((earlier, false)),
            None => Ok((self.put(record)?, true)),
        }
    }

    /// Changes a batch, durably; what it is then. Blocking.
    pub(super) fn update(&self, id: &str, change: impl FnOnce(&mut Record)) -> Result<Arc<Record>, ApiError> {
        let _writing = lock(&self.writing);
        let mut record = Record::clone(&*self.record(id).ok_or_else(|| ApiError::not_found("batch", id))?);
        change(&mut record);
        self.put(record).map_err(|error| ApiError::storage(&error))
    }

    fn put(&self, record: Record) -> io::Result<Arc<Record>> {
        durable::write_json(&self.dir.join(format!("{}.json", record.id)), &record)?;
        let record = Arc::new(record);
        lock(&self.records).insert(record.id.clone(), record.clone());
        if record.untold {
            self.news.notify_one();
        }
        Ok(record)
    }
}

/// What these guard is changed in single steps, so that a panic elsewhere leaves it right.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn made(id: &str, second: i64) -> Record {
        let at = Timestamp::from_micros(second * 1_000_000);
        let record = serde_json::json!({
            "id": id, "tenant": null, "input_file_id": "file-a", "endpoint": "/v1/chat/completions",
            "completion_window": "24h", "metadata": null, "options": {}, "created_at": at, "expires_at": at,
            "output_expires_after": null, "in_progress_at": null, "cancelling_at": null,
            "finalizing_at": null, "reserved": null, "stage": "queued",
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn a_create_that_is_sent_again_is_the_first_and_a_later_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        let add = |id: &str, second: i64| shelf.add(made(id, second)).unwrap().0.id.clone();
        assert_eq!(add("batch_a", 10_000), "batch_a");
        assert_eq!(add("batch_b", 10_030), "batch_a", "sent again");
        assert_eq!(add("batch_c", 10_100), "batch_c", "asked for again");
        assert_eq!(add("batch_d", 2_000), "batch_d", "asked for on a clock that was set back");
        assert_eq!(add("batch_e", 2_010), "batch_d", "sent again since");
    }
}
