//! Names, lists and renames under `RESULTS`; see [`crate::results`] for the layout.
//!
//! Shell.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use sha2::{Digest, Sha256};

use crate::job::JobId;
use crate::results::ResultsError;
use crate::results::schema::Table;
use crate::results::spool::Spool;
use crate::results::table::Sealed;

/// The user's results folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Nothing is created before there is something to write.
    pub fn new(root: impl Into<PathBuf>) -> Folder {
        Folder { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A job's parts of one table, by number; numbers above `committed` are left out, because their
    /// rows may come again.
    pub fn parts(
        &self,
        table: Table,
        job: &JobId,
        committed: Option<u32>,
    ) -> Result<BTreeMap<u32, PathBuf>, ResultsError> {
        let mut parts = BTreeMap::new();
        for day in list(&self.root.join(table.as_str()))? {
            for file in list_where(&day, |name| name.starts_with(job.as_str()))? {
                let part = part_number(&file, job).filter(|part| committed.is_none_or(|most| *part <= most));
                if let Some(part) = part {
                    parts.insert(part, file);
                }
            }
        }
        Ok(parts)
    }

    pub(super) fn part(&self, table: Table, date: &str, job: &JobId, part: u32) -> PathBuf {
        self.root.join(table.as_str()).join(date).join(format!("{job}-{part:05}.parquet"))
    }

    pub(super) fn staging(&self, table: Table, job: &JobId, part: u32) -> PathBuf {
        self.root.join("staging").join(format!("{job}-{part:05}.{}.building", table.as_str()))
    }

    /// Where a finished job's manifest stands.
    pub fn manifest(&self, job: &JobId) -> PathBuf {
        self.root.join("manifests").join(format!("{job}.json"))
    }

    /// Removes what a process that died left in `staging`; the journal still has its rows.
    pub(super) fn clear_staging(&self) -> Result<(), ResultsError> {
        for file in list(&self.root.join("staging"))? {
            if file.extension().is_some_and(|extension| extension == "building") {
                remove(&file)?;
            }
        }
        Ok(())
    }

    /// Removes the part of that number wherever it stands but at `keep`.
    pub(super) fn remove_stale(
        &self,
        table: Table,
        job: &JobId,
        part: u32,
        keep: Option<&Path>,
    ) -> Result<(), ResultsError> {
        let name = format!("{job}-{part:05}.parquet");
        for day in list(&self.root.join(table.as_str()))? {
            let stale = day.join(&name);
            if Some(stale.as_path()) != keep && stale.exists() {
                remove(&stale)?;
                sync_folder(&day)?;
            }
        }
        Ok(())
    }

    /// Writes a job's manifest, or the old one stays as it was.
    pub(super) fn write_manifest(&self, job: &JobId, bytes: &[u8]) -> Result<(), ResultsError> {
        let mut spool = Spool::new(self.root.join("staging").join(format!("{job}.manifest.building")));
        spool.write_all(bytes).expect("a spool takes everything");
        spool.complete()?;
        put(spool.path(), &self.manifest(job))
    }
}

/// Completes a sealed file, proves that it can be read, and gives it its name; says its SHA-256.
pub(super) fn publish(sealed: &mut Sealed, path: &Path) -> Result<String, ResultsError> {
    sealed.spool.complete()?;
    let staged = sealed.spool.path();
    verify(staged, sealed.rows)?;
    let sha256 = hash(staged)?;
    put(staged, path)?;
    Ok(sha256)
}

/// Rows of a Parquet file, as its footer says.
pub(super) fn count_rows(path: &Path) -> Result<u64, ResultsError> {
    let file = open(path)?;
    let footer = ArrowReaderMetadata::load(&file, Default::default());
    let footer = footer.map_err(|error| ResultsError::damaged(path, error))?;
    let rows = footer.metadata().file_metadata().num_rows();
    u64::try_from(rows).map_err(|error| ResultsError::damaged(path, error))
}

/// SHA-256 of a file, in hex.
pub(super) fn hash(path: &Path) -> Result<String, ResultsError> {
    let mut file = open(path)?;
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut chunk).map_err(|error| ResultsError::io("read", path, error))?;
        if n == 0 {
            return Ok(sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        sha256.update(&chunk[..n]);
    }
}

/// Opens a file to read it.
pub(super) fn open(path: &Path) -> Result<File, ResultsError> {
    File::open(path).map_err(|error| ResultsError::io("open", path, error))
}

fn verify(path: &Path, rows: u64) -> Result<(), ResultsError> {
    let found = count_rows(path)?;
    if found == rows {
        return Ok(());
    }
    Err(ResultsError::damaged(path, format!("{rows} rows were written, {found} read back")))
}

/// The part number in a file's name; `None` for files of other jobs and of other people.
fn part_number(file: &Path, job: &JobId) -> Option<u32> {
    let name = file.file_name()?.to_str()?;
    let number = name.strip_prefix(job.as_str())?.strip_prefix('-')?.strip_suffix(".parquet")?;
    let digits = number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten()
}

/// Sorted; a folder that does not exist is empty, and so is a file that stands for one.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    list_where(folder, |_| true)
}

/// The same, of names that are wanted: a folder may hold the parts of a thousand other jobs.
fn list_where(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, ResultsError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(ResultsError::io("list", folder, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| ResultsError::io("list", folder, error))?;
        if wanted(&entry.file_name().to_string_lossy()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn remove(path: &Path) -> Result<(), ResultsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ResultsError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Gives a synced file its name, durably.
fn put(staged: &Path, path: &Path) -> Result<(), ResultsError> {
    let folder = path.parent().expect("a file in a folder of ours");
    make_folder(folder)?;
    fs::rename(staged, path).map_err(|error| ResultsError::io("rename", path, error))?;
    sync_folder(folder)
}

/// Makes a folder and its parents, for their owner only; each new name is durable before anything is put
/// under it.
fn make_folder(folder: &Path) -> Result<(), ResultsError> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    make_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(ResultsError::io("create", folder, error));
        }
        _ => {}
    }
    sync_folder(parent)
}

fn sync_folder(folder: &Path) -> Result<(), ResultsError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let handle = open(folder)?;
    handle.sync_all().map_err(|source| ResultsError::Sync { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_the_job_are_listed() {
        let job = JobId::new("job_abc123");
        for (name, part) in [
            ("job_abc123-00007.parquet", Some(7)),
            ("job_abc123-123456.parquet", Some(123_456)),
            ("job_abc1234-00001.parquet", None),
            ("job_abc123-0001.parquet", None),
            ("job_abc123-00001.parquet.tmp", None),
            ("job_abc123-+0001.parquet", None),
            ("notes.txt", None),
        ] {
            assert_eq!(part_number(Path::new(name), &job), part, "{name}");
        }
    }
}
