//! The files there are: bytes as they were given in `STATE/files/<id>`, what is known of them beside.
//!
//! A file exists once its `<id>.json` does, which is written last; bytes without one are of an upload
//! that never ended. Names are ours: what an uploader calls a file is only ever shown.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::{self, Timestamp};
use crate::serve::page::{Page, Paging};
use crate::serve::{ApiError, durable, id};
use crate::tenant::Caller;

/// How many files a page has, and may have.
const PAGE: (usize, usize) = (10_000, 10_000);

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::serve) struct Entry {
    pub(in crate::serve) id: String,
    /// Whose it is.
    pub(in crate::serve) tenant: Option<String>,
    /// What its uploader calls it; display text.
    pub(in crate::serve) filename: String,
    pub(in crate::serve) purpose: String,
    pub(in crate::serve) bytes: u64,
    pub(in crate::serve) created_at: Timestamp,
    pub(in crate::serve) expires_at: Option<Timestamp>,
}

/// Every file.
#[derive(Debug)]
pub(in crate::serve) struct Shelf {
    dir: PathBuf,
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
}

impl Shelf {
    /// Those of a state folder; what uploads left that never ended is removed.
    pub(in crate::serve) fn open(state: &Path) -> io::Result<Shelf> {
        let dir = state.join("files");
        durable::create_dir(&dir)?;
        let mut entries = BTreeMap::new();
        let mut others = Vec::new();
        for found in fs::read_dir(&dir)? {
            let path = found?.path();
            match path.extension().is_some_and(|ending| ending == "json") {
                true => {
                    let entry: Entry = durable::read_json(&path)?;
                    entries.insert(entry.id.clone(), Arc::new(entry));
                }
                false => others.push(path),
            }
        }
        let is_known = |path: &Path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| entries.contains_key(name))
        };
        others.iter().filter(|path| !is_known(path)).try_for_each(|path| durable::remove(path))?;
        Ok(Shelf { dir, entries: Mutex::new(entries) })
    }

    /// A file that this caller may see.
    pub(in crate::serve) fn get(&self, caller: &Caller, id: &str) -> Option<Arc<Entry>> {
        let entry = self.lock().get(id).cloned()?;
        is_shown(&entry, caller).then_some(entry)
    }

    /// A page of them.
    pub(super) fn page(
        &self,
        caller: &Caller,
        paging: &Paging,
        purpose: Option<&str>,
    ) -> Result<Page<Arc<Entry>>, ApiError> {
        let wanted = |entry: &Arc<Entry>| {
            is_shown(entry, caller) && purpose.is_none_or(|purpose| entry.purpose == purpose)
        };
        paging.cut(&self.lock(), PAGE, wanted)
    }

    /// Where the bytes of a file are.
    pub(in crate::serve) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// A place to write the bytes of a new file to.
    pub(in crate::serve) fn draft(&self) -> (String, PathBuf) {
        let id = id::file();
        let path = self.draft_of(&id);
        (id, path)
    }

    /// The same for a file whose name is known.
    pub(in crate::serve) fn draft_of(&self, id: &str) -> PathBuf {
        durable::aside(&self.path(id))
    }

    /// Makes a file of bytes that are written and synced, durably. Blocking.
    pub(in crate::serve) fn keep(&self, draft: &Path, entry: Entry) -> io::Result<Arc<Entry>> {
        durable::put(draft, &self.path(&entry.id))?;
        durable::write_json(&self.about(&entry.id), &entry)?;
        let entry = Arc::new(entry);
        self.lock().insert(entry.id.clone(), entry.clone());
        Ok(entry)
    }

    /// Removes a file. Blocking.
    pub(in crate::serve) fn remove(&self, id: &str) -> io::Result<()> {
        self.lock().remove(id);
        durable::remove(&self.about(id))?;
        durable::remove(&self.path(id))
    }

    /// Removes files whose time is over. Blocking.
    pub(in crate::serve) fn sweep(&self) -> io::Result<()> {
        let now = clock::now();
        let over: Vec<String> =
            self.lock().values().filter(|entry| is_over(entry, now)).map(|entry| entry.id.clone()).collect();
        over.iter().try_for_each(|id| self.remove(id))
    }

    fn about(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        // Changed in single steps, so a panic elsewhere leaves it right.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_shown(entry: &Entry, caller: &Caller) -> bool {
    caller.sees(entry.tenant.as_deref()) && !is_over(entry, clock::now())
}

fn is_over(entry: &Entry, now: Timestamp) -> bool {
    entry.expires_at.is_some_and(|end| end <= now)
}
