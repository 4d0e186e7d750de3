//! A file being built: bytes go to disk as they come, and wait in memory while the disk refuses them.
//!
//! Writing to a [`Spool`] cannot fail, so an encoder on top of it is never left half way: a full disk
//! shows when the file is to be completed, and completing can be tried again as often as it takes.
//! At most one part's bytes wait, because nothing is sent while the disk is full. The file is found
//! again by its open handle if someone deletes the folder under it.
//!
//! Shell.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::results::ResultsError;

/// Bytes that wait before they are written, so that a write is worth its system call.
const CHUNK: usize = 1 << 20;

/// A file in `staging`.
pub(super) struct Spool {
    path: PathBuf,
    file: Option<File>,
    written: u64,
    waiting: Vec<u8>,
    sync_failed: bool,
}

impl Spool {
    /// Nothing is created before there is something to write.
    pub(super) fn new(path: PathBuf) -> Spool {
        Spool { path, file: None, written: 0, waiting: Vec::new(), sync_failed: false }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes and syncs everything; may be called again after an error, but for a failed sync.
    pub(super) fn complete(&mut self) -> Result<(), ResultsError> {
        self.drain().and_then(|()| self.relink()).map_err(|error| self.explain(error))?;
        let file = self.file.as_ref().expect("opened to drain into");
        // After a failed sync the kernel may have dropped the pages: a second one would prove nothing.
        let synced =
            if self.sync_failed { Err(io::Error::other("a sync failed before")) } else { file.sync_all() };
        synced.map_err(|source| {
            self.sync_failed = true;
            ResultsError::Sync { path: self.path.clone(), source }
        })
    }

    fn explain(&self, error: io::Error) -> ResultsError {
        match ResultsError::io("write", &self.path, error) {
            ResultsError::NoRoom { path, .. } => {
                ResultsError::NoRoom { path, needed: Some(self.waiting.len() as u64) }
            }
            other => other,
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(create(&self.path)?);
        }
        let file = self.file.as_ref().expect("opened above");
        let mut done = 0;
        let result = loop {
            if done == self.waiting.len() {
                break Ok(());
            }
            match file.write_at(&self.waiting[done..], self.written + done as u64) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.written += done as u64;
        self.waiting.drain(..done);
        result
    }

    /// Puts the file back where it was if its name no longer leads to it.
    fn relink(&mut self) -> io::Result<()> {
        let file = self.file.as_ref().expect("opened to drain into");
        if leads_to(&self.path, file)? {
            return Ok(());
        }
        let copy = create(&self.path)?;
        if let Err(error) = copy_all(file, &copy) {
            drop(fs::remove_file(&self.path));
            return Err(error);
        }
        self.file = Some(copy);
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            // An error shows again in `complete`, where it can be answered.
            drop(self.drain());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left in `staging` when a part is given up or its process dies is rebuilt from the journal.
impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && leads_to(&self.path, &file).unwrap_or(false)
        {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Never writes through a link that stands there. Answers are for their owner only.
fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => {
            let open = file.metadata()?;
            Ok((found.dev(), found.ino()) == (open.dev(), open.ino()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn copy_all(from: &File, to: &File) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        let n = from.read_at(&mut chunk, at)?;
        if n == 0 {
            return Ok(());
        }
        to.write_all_at(&chunk[..n], at)?;
        at += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_in_memory_until_the_disk_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        fs::write(&staging, "a file where the folder should be").unwrap();
        let mut spool = Spool::new(staging.join("a.parquet"));
        spool.write_all(&vec![7; CHUNK + 1]).unwrap();
        assert!(spool.complete().unwrap_err().is_retryable());

        fs::remove_file(&staging).unwrap();
        spool.write_all(&[8]).unwrap();
        spool.complete().unwrap();
        let read = fs::read(spool.path()).unwrap();
        assert_eq!((read.len(), read[CHUNK + 1]), (CHUNK + 2, 8));
    }

    #[test]
    fn a_deleted_folder_comes_back_with_what_was_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staging/a.parquet");
        let mut spool = Spool::new(path.clone());
        spool.write_all(&vec![7; CHUNK]).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        spool.write_all(b"end").unwrap();
        spool.complete().unwrap();
        let read = fs::read(&path).unwrap();
        assert_eq!((read.len(), &read[CHUNK..]), (CHUNK + 3, b"end".as_slice()));
    }

    #[test]
    fn a_file_given_up_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut spool = Spool::new(path.clone());
        spool.write_all(b"x").unwrap();
        spool.complete().unwrap();
        assert!(path.exists());
        drop(spool);
        assert!(!path.exists());
    }
}
