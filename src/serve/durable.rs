//! Files of ours that are whole or not there: written beside their place, synced, renamed.
//!
//! Folders are 0700 and files 0600. Blocking.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A folder that only its owner opens; that it is there already is fine.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new file that only its owner reads; one that is there is an error.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A file that only its owner reads, whether it is there or not.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Writes a document, durably, in the place of what stood there.
pub(super) fn write_json(path: &Path, document: &impl Serialize) -> io::Result<()> {
    let aside = aside(path);
    let _ = fs::remove_file(&aside);
    let mut file = create_file(&aside)?;
    let mut json = serde_json::to_vec(document)?;
    json.push(b'\n');
    file.write_all(&json)?;
    file.sync_all()?;
    put(&aside, path)
}

/// Reads a document; an error names it.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let read = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Gives a file that is written and synced its place, durably.
pub(super) fn put(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(to.parent().unwrap_or(to))?.sync_all()
}

/// Removes a file; that there is none is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where a file is while it is being written.
pub(super) fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}
