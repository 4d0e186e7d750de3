//! Price lists that were fetched: kept under the state folder as they came, read when the catalog is made.
//!
//! A list is one file, `prices/SOURCE.list`: a line of JSON about it ([`Header`]), then the list itself,
//! byte for byte. It is written aside and renamed, so what is there is whole; a list that cannot be read
//! is told and does without, for prices of the user and the bundled ones stand by themselves.
//!
//! Shell: files.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::catalog::Catalog;
use crate::catalog::import::{self, Imported, Source};
use crate::clock::Timestamp;

/// What is known of a list beside what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `overnight.price-list/1`.
    pub schema: String,
    /// `litellm`, `models-dev` or `openrouter`.
    pub source: String,
    /// The address or file it is from.
    pub from: String,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// The day its prices are of.
    pub as_of: String,
    /// Of the list, in hex.
    pub sha256: String,
    /// What the server calls this state of it.
    pub etag: Option<String>,
}

/// A list that is held.
#[derive(Clone, Debug)]
pub struct List {
    /// Which.
    pub source: Source,
    /// What is known of it; absent where even that cannot be read.
    pub header: Option<Header>,
    /// What it says, or why it cannot be read.
    pub read: Result<Imported, String>,
}

/// The schema of a list's file.
pub const SCHEMA: &str = "overnight.price-list/1";

/// All lists under a state folder, in order of precedence.
pub fn load(state_dir: &Path, catalog: &Catalog) -> Vec<List> {
    Source::ALL.into_iter().filter_map(|source| one(state_dir, source, catalog)).collect()
}

fn one(state_dir: &Path, source: Source, catalog: &Catalog) -> Option<List> {
    let path = path(state_dir, source);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(List { source, header: None, read: Err(unreadable(&path, &error)) }),
    };
    let (line, body) = text.split_once('\n').unwrap_or_default();
    let header: Header = match serde_json::from_str(line) {
        Ok(header) => header,
        Err(error) => return Some(List { source, header: None, read: Err(unreadable(&path, &error)) }),
    };
    let read = match sha256(body) == header.sha256 {
        true => import::read(source, body, &header.as_of, catalog).map_err(|error| unreadable(&path, &error)),
        false => Err(unreadable(&path, &"its checksum is another one")),
    };
    Some(List { source, header: Some(header), read })
}

/// Keeps a list in place of the one before.
pub fn save(state_dir: &Path, source: Source, header: &Header, body: &str) -> io::Result<PathBuf> {
    let path = path(state_dir, source);
    let folder = path.parent().expect("a list is in a folder");
    fs::create_dir_all(folder)?;
    let aside = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    writeln!(file, "{}", serde_json::to_string(header)?)?;
    file.write_all(body.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, &path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(path)
}

/// A list as it came.
pub fn body(state_dir: &Path, source: Source) -> Option<String> {
    let text = fs::read_to_string(path(state_dir, source)).ok()?;
    text.split_once('\n').map(|(_, body)| body.to_owned())
}

/// The checksum of a list.
pub fn sha256(body: &str) -> String {
    Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path(state_dir: &Path, source: Source) -> PathBuf {
    state_dir.join("prices").join(format!("{}.list", source.as_str()))
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{} cannot be read: {why}; fetch it again with `overnight prices update`", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENROUTER: &str = include_str!("../../tests/data/prices/openrouter.json");

    fn header(body: &str) -> Header {
        Header {
            schema: SCHEMA.to_owned(),
            source: "openrouter".to_owned(),
            from: "a test".to_owned(),
            fetched_at: "2026-11-21T12:00:00Z".parse().unwrap(),
            as_of: "2026-11-21".to_owned(),
            sha256: sha256(body),
            etag: None,
        }
    }

    #[test]
    fn a_list_is_kept_as_it_came() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path(), &Catalog::bundled()).is_empty());
        for _ in 0..2 {
            let path = save(dir.path(), Source::OpenRouter, &header(OPENROUTER), OPENROUTER).unwrap();
            let kept = fs::read_to_string(path).unwrap();
            assert_eq!(kept.split_once('\n').unwrap().1, OPENROUTER);
        }
        let lists = load(dir.path(), &Catalog::bundled());
        assert_eq!(lists[0].header.as_ref(), Some(&header(OPENROUTER)));
        assert_eq!(lists[0].read.as_ref().unwrap().models.len(), 13);
    }

    #[test]
    fn a_damaged_list_is_told_and_done_without() {
        let dir = tempfile::tempdir().unwrap();
        let path = save(dir.path(), Source::OpenRouter, &header(OPENROUTER), OPENROUTER).unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        for (damaged, why) in [
            (kept.replace("0.00000125", "0.00000126"), "checksum"),
            (kept[1..].to_owned(), "cannot be read"),
            (String::new(), "cannot be read"),
        ] {
            fs::write(&path, damaged).unwrap();
            let lists = load(dir.path(), &Catalog::bundled());
            assert!(lists[0].read.as_ref().unwrap_err().contains(why), "{why}");
        }
    }
}
