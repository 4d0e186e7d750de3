//! Cutting a damaged journal back to what can be trusted.
//!
//! Shell.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::StoreError;
use super::super::disk::Disk;
use super::segment::{Found, was_durable};
use super::{damaged, open_segment, segment_numbers, segment_path};
use crate::record::Seq;

/// Cuts the journal in `dir` at its first damaged record and says which is the last one kept, and
/// where the damaged files are; `None` where nothing is damaged but perhaps a torn tail.
///
/// A journal whose first segment has no readable beginning says nothing at all: that is an error.
pub(in super::super) fn cut_damage(
    disk: &Disk,
    dir: &Path,
) -> Result<Option<(Seq, Vec<PathBuf>)>, StoreError> {
    let numbers = segment_numbers(disk, dir)?;
    let mut kept_to = 0;
    for (n, &number) in numbers.iter().enumerate() {
        let path = segment_path(dir, number);
        let next = numbers.get(n + 1).map(|&next| segment_path(dir, next));
        let in_order = n == 0 || number == numbers[n - 1] + 1;
        match open_segment(&path) {
            Ok(opened) if in_order && (n == 0 || opened.head.first == kept_to + 1) => {
                kept_to = opened.head.first - 1;
            }
            _ if n > 0 => return set_aside(disk, dir, &numbers[n..]).map(|aside| Some((kept_to, aside))),
            opened => return opened.and(Err(damaged(&path, 0))),
        }
        let Some(at) = damage_at(&path, &mut kept_to, next.as_deref())? else { continue };
        let copy = path.with_extension("seg.damaged");
        std::fs::copy(&path, &copy).map_err(StoreError::io("copy", &path))?;
        let mut aside = vec![copy];
        aside.extend(set_aside(disk, dir, &numbers[n + 1..])?);
        let file = OpenOptions::new().write(true).open(&path).map_err(StoreError::io("open", &path))?;
        let cut = disk.set_len(&file, at).and_then(|()| disk.sync(&file));
        cut.map_err(StoreError::io("cut", &path))?;
        return Ok(Some((kept_to, aside)));
    }
    Ok(None)
}

/// Where the first record stands that can be trusted no more; counts the good ones before it.
fn damage_at(path: &Path, kept_to: &mut Seq, next: Option<&Path>) -> Result<Option<u64>, StoreError> {
    let mut frames = open_segment(path)?.frames;
    let found = loop {
        match frames.next().map_err(StoreError::io("read", path))? {
            Found::Frame => *kept_to += 1,
            found => break found,
        }
    };
    let ends_early = match next.map(open_segment) {
        // The next one knows where this one ended; if it cannot be read, it is damaged itself.
        Some(Ok(next)) => next.head.first != *kept_to + 1,
        Some(Err(_)) => found == Found::Bad,
        None => found == Found::Bad && was_durable(&rest_of(path, frames.at())?, *kept_to + 1),
    };
    Ok(ends_early.then_some(frames.at()))
}

fn rest_of(path: &Path, at: u64) -> Result<Vec<u8>, StoreError> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mut rest = vec![0; (file.metadata()?.len() - at) as usize];
        file.read_exact_at(&mut rest, at).map(|()| rest)
    };
    read().map_err(StoreError::io("read", path))
}

fn set_aside(disk: &Disk, dir: &Path, numbers: &[u32]) -> Result<Vec<PathBuf>, StoreError> {
    let mut aside = Vec::new();
    // From the last to the first: ended half way, what is left is still in order.
    for &number in numbers.iter().rev() {
        let path = segment_path(dir, number);
        let to = path.with_extension("seg.damaged");
        disk.rename(&path, &to).map_err(StoreError::io("set aside", &path))?;
        aside.push(to);
    }
    disk.sync_dir(dir).map_err(StoreError::io("sync", dir))?;
    Ok(aside)
}
