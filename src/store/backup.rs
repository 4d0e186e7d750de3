//! A copy of a state folder that can be restored, taken while its owner works on it.
//!
//! Everything that counts is written once and renamed, but for the journal's last segment, which only
//! grows. So an image is a set of hard links taken in one go: prompts first, then the journal, whose
//! records of jobs that came in between are ignored. If a job came or ended, or a segment came or went,
//! meanwhile, the image is taken anew. What a torn end of the journal is cut to at the next start is the
//! same as after a crash at that moment. The index is left out: it is made from the rest.
//!
//! ```text
//! DIR/state/…      prompts, journal and what else must survive
//! DIR/results/…    parts of jobs that were not over: how their items ended stands nowhere else
//! DIR/backup.json  every file with its length and SHA-256; written last
//! ```
//!
//! Shell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::disk::{self, Disk};
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::record::FORMAT;

/// An image is taken anew so often before it is given up: the folder changes all the time then.
const TRIES: u32 = 100;
/// The list of a backup's files.
const LIST: &str = "backup.json";
/// Where images are taken, on the file system of the state folder.
const IMAGE: &str = ".backup";
/// What is kept beside prompts and journal: the format, and what others keep in the folder. All else belongs
/// to a process or a machine, is made anew, or is the user's, whose results may stand here too.
const KEPT: [&str; 7] = ["FORMAT", "daemon.json", "prices", "tokens.json", "files", "batches", "rejected"];

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// `overnight.backup/1`.
    pub schema: String,
    /// The program that made it.
    pub overnight: String,
    /// The store's format.
    pub format: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// Every file below the backup's folder.
    pub files: BTreeMap<String, Entry>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Listed {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.bytes).sum()
    }
}

/// Copies what is in `state`, and the parts in `results` of jobs that are not over, to `into`, which must
/// not be there or be empty.
pub fn back_up(state: &Path, results: &Path, into: &Path, now: Timestamp) -> Result<Listed, StoreError> {
    if !state.join("journal").is_dir() {
        return Err(StoreError::refused(format!("there is no store in {}", state.display())));
    }
    if fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StoreError::refused(format!("{} is not empty", into.display())));
    }
    let image = state.join(IMAGE);
    let copied = take_image(state, &image).and_then(|unfinished| {
        let mut copier = Copier { to: into.to_owned(), files: BTreeMap::new() };
        copier.folder(&image, Path::new("state"))?;
        copier.parts(results, &unfinished)?;
        copier.list(now)
    });
    let _ = fs::remove_dir_all(&image);
    copied
}

/// Puts a backup where a state folder is to be, and its parts where results are; every file is checked
/// before anything is in place. Nothing that is there is replaced.
pub fn restore(from: &Path, state: &Path, results: &Path) -> Result<Listed, StoreError> {
    let listed = read_list(from)?;
    if listed.format > FORMAT {
        return Err(StoreError::Newer(format!(
            "the backup was made by overnight {} with a newer format; restore it with that one",
            listed.overnight
        )));
    }
    if state.join("journal").exists() || state.join("prompts").exists() {
        return Err(StoreError::refused(format!("a store is already in {}", state.display())));
    }
    let aside = with_suffix(state, ".restoring");
    let disk = Disk::default();
    disk.remove_dir(&aside).map_err(StoreError::io("remove", &aside))?;
    let mut parts = Vec::new();
    for (name, entry) in &listed.files {
        let source = from.join(name);
        let (to, is_part) = match (name.strip_prefix("state/"), name.strip_prefix("results/")) {
            (Some(rest), _) => (below(&aside, rest)?, false),
            (_, Some(rest)) => (below(results, rest)?, true),
            _ => return Err(damaged(&source)),
        };
        let place = if is_part { with_suffix(&to, ".restoring") } else { to.clone() };
        let copied = copy(&source, &place)?;
        if copied != *entry {
            let _ = fs::remove_file(&place);
            return Err(damaged(&source));
        }
        if is_part {
            parts.push((place, to));
        }
    }
    put_in_place(&disk, &aside, state, parts)?;
    Ok(listed)
}

/// Parts first: without the state they are plain results.
fn put_in_place(
    disk: &Disk,
    aside: &Path,
    state: &Path,
    parts: Vec<(PathBuf, PathBuf)>,
) -> Result<(), StoreError> {
    for (place, to) in parts {
        match to.exists() {
            true => fs::remove_file(&place).map_err(StoreError::io("remove", &place))?,
            false => disk.rename(&place, &to).map_err(StoreError::io("write", &to))?,
        }
        sync_parent(disk, &to)?;
    }
    for dir in folders(aside)? {
        disk.sync_dir(&dir).map_err(StoreError::io("sync", &dir))?;
    }
    // A folder that was made beforehand, by a service manager for one, may hold nothing of ours yet.
    fs::create_dir_all(state).map_err(StoreError::io("create", state))?;
    for entry in entries(aside)? {
        let to = state.join(entry.file_name().unwrap_or_default());
        disk.rename(&entry, &to).map_err(StoreError::io("write", &to))?;
    }
    disk.sync_dir(state).map_err(StoreError::io("sync", state))?;
    disk.remove_dir(aside).map_err(StoreError::io("remove", aside))?;
    sync_parent(disk, state)
}

/// Links everything of a moment, and says which jobs were not over then.
fn take_image(state: &Path, image: &Path) -> Result<Vec<JobId>, StoreError> {
    for _ in 0..TRIES {
        fs::remove_dir_all(image).or_else(not_there).map_err(StoreError::io("remove", image))?;
        let before = shape(state)?;
        // Prompts before the journal: what the journal says of a job that is not there is ignored.
        let linked = link_folder(&state.join("prompts"), &image.join("prompts"))
            .and_then(|()| link_folder(&state.join("journal"), &image.join("journal")))
            .and_then(|()| link_others(state, image));
        match linked {
            Ok(()) if shape(state)? == before => return Ok(before.unfinished),
            // A file went while it was linked: the shape has changed.
            Err(StoreError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    let why = format!("{} changes all the time; try again in a moment", state.display());
    Err(StoreError::refused(why))
}

/// What must not change while an image is taken.
#[derive(PartialEq, Eq)]
struct Shape {
    journal: BTreeSet<PathBuf>,
    finished: BTreeSet<PathBuf>,
    unfinished: Vec<JobId>,
}

fn shape(state: &Path) -> Result<Shape, StoreError> {
    let journal = entries(&state.join("journal"))?.into_iter().filter(|path| is_kept(path)).collect();
    let mut shape = Shape { journal, finished: BTreeSet::new(), unfinished: Vec::new() };
    for job in entries(&state.join("prompts"))?.into_iter().filter(|path| is_kept(path)) {
        let name = job.file_name().and_then(|name| name.to_str()).and_then(JobId::parse);
        match job.join("finished").exists() {
            true => drop(shape.finished.insert(job)),
            false => shape.unfinished.extend(name),
        }
    }
    shape.unfinished.sort();
    Ok(shape)
}

fn link_others(state: &Path, image: &Path) -> Result<(), StoreError> {
    for name in KEPT {
        let (path, to) = (state.join(name), image.join(name));
        match kind(&path)? {
            Kind::Folder => link_folder(&path, &to)?,
            Kind::File => link(&path, &to)?,
            Kind::Other => {}
        }
    }
    Ok(())
}

fn link_folder(from: &Path, to: &Path) -> Result<(), StoreError> {
    disk::create_dir(to).map_err(StoreError::io("create", to))?;
    for path in entries(from)?.into_iter().filter(|path| is_kept(path)) {
        let to = to.join(path.file_name().unwrap_or_default());
        match kind(&path)? {
            Kind::Folder => link_folder(&path, &to)?,
            Kind::File => link(&path, &to)?,
            Kind::Other => {}
        }
    }
    Ok(())
}

/// A link, or a copy where the file system has none.
fn link(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::hard_link(from, to)
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Err(error),
            _ => fs::copy(from, to).map(drop),
        })
        .map_err(StoreError::io("copy", from))
}

/// Hidden files are being made or removed, and `.tmp` files are being written.
fn is_kept(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_none_or(|extension| extension != "tmp" && extension != "new")
}

/// Copies files into a backup and remembers what they are.
struct Copier {
    to: PathBuf,
    files: BTreeMap<String, Entry>,
}

impl Copier {
    fn folder(&mut self, from: &Path, name: &Path) -> Result<(), StoreError> {
        for path in entries(from)? {
            let name = name.join(path.file_name().unwrap_or_default());
            match kind(&path)? {
                Kind::Folder => self.folder(&path, &name)?,
                Kind::File => self.file(&path, &name)?,
                Kind::Other => {}
            }
        }
        Ok(())
    }

    fn parts(&mut self, results: &Path, unfinished: &[JobId]) -> Result<(), StoreError> {
        for table in ["results", "attempts"] {
            for day in entries(&results.join(table))? {
                for part in entries(&day)? {
                    let file = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let job = file.strip_suffix(".parquet").and_then(|stem| stem.rsplit_once('-'));
                    if job.is_some_and(|(job, _)| unfinished.iter().any(|open| open.as_str() == job)) {
                        let day = day.file_name().unwrap_or_default();
                        self.file(&part, &Path::new("results").join(table).join(day).join(file))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, name: &Path) -> Result<(), StoreError> {
        let entry = copy(from, &self.to.join(name))?;
        let name = name.to_str().ok_or_else(|| damaged(from))?;
        self.files.insert(name.to_owned(), entry);
        Ok(())
    }

    /// With the list a backup is one.
    fn list(self, now: Timestamp) -> Result<Listed, StoreError> {
        let listed = Listed {
            schema: "overnight.backup/1".to_owned(),
            overnight: env!("CARGO_PKG_VERSION").to_owned(),
            format: FORMAT,
            made_at: now,
            files: self.files,
        };
        let disk = Disk::default();
        for dir in folders(&self.to)? {
            disk.sync_dir(&dir).map_err(StoreError::io("sync", &dir))?;
        }
        let text = serde_json::to_vec_pretty(&listed).expect("names and numbers are always JSON");
        let path = self.to.join(LIST);
        let written = disk.replace(&path, &text).and_then(|()| disk.sync_dir(&self.to));
        written.map_err(StoreError::io("write", &path))?;
        Ok(listed)
    }
}

fn read_list(from: &Path) -> Result<Listed, StoreError> {
    let path = from.join(LIST);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| damaged(&path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = "it was not completed, or is none";
            Err(StoreError::refused(format!("{} holds no backup: {why}", from.display())))
        }
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

/// Copies a file as far as it goes when it is opened, synced; what was copied.
fn copy(from: &Path, to: &Path) -> Result<Entry, StoreError> {
    if let Some(dir) = to.parent() {
        disk::create_dir(dir).map_err(StoreError::io("create", dir))?;
    }
    let mut source = File::open(from).map_err(StoreError::io("read", from))?;
    let mut file = disk::create(to).map_err(StoreError::io("create", to))?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let n = source.read(&mut buffer).map_err(StoreError::io("read", from))?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).map_err(StoreError::io("write", to))?;
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
    file.sync_all().map_err(StoreError::io("sync", to))?;
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { bytes, sha256 })
}

/// A name of the list below a folder, and nowhere else.
fn below(folder: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    match name.split('/').all(is_plain) {
        true => Ok(folder.join(name)),
        false => Err(StoreError::Damaged(format!("the backup names a file {name:?}, which is none"))),
    }
}

enum Kind {
    File,
    Folder,
    /// Sockets and links are not ours to keep; nor is what is not there.
    Other,
}

fn kind(path: &Path) -> Result<Kind, StoreError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Other),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    Ok(match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => Kind::File,
        (_, true) => Kind::Folder,
        _ => Kind::Other,
    })
}

/// What is in a folder, in order; nothing where it is not there.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", dir)(error)),
    };
    let paths: io::Result<Vec<PathBuf>> = found.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(StoreError::io("read", dir))?;
    paths.sort();
    Ok(paths)
}

/// A folder and all below it, the deepest first.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut all = Vec::new();
    for path in entries(dir)? {
        if matches!(kind(&path)?, Kind::Folder) {
            all.extend(folders(&path)?);
        }
    }
    all.push(dir.to_owned());
    Ok(all)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sync_parent(disk: &Disk, path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_dir(dir).map_err(StoreError::io("sync", dir))
}

fn not_there(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn damaged(path: &Path) -> StoreError {
    let path = path.display();
    StoreError::Damaged(format!(
        "{path} is not what was backed up; nothing was restored, take another backup"
    ))
}
