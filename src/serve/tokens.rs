//! The tokens in force: those in `STATE/tokens.json` and the one of the config.
//!
//! The file is written by `overnight token` beside a running daemon, so whether it changed is looked at
//! on every request: a revoked token is refused by the next one. It holds hashes only, and nobody but
//! its owner reads it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::durable;
use crate::catalog::endpoint::Secret;
use crate::clock::Timestamp;
use crate::tenant::{self, Caller, Token, Tokens};

/// Tells one content of the file from another.
type Stamp = Option<(u64, i64, i64, u64)>;

/// The tokens in force, as a server asks for them.
#[derive(Debug)]
pub(super) struct InForce {
    path: PathBuf,
    configured: Option<Token>,
    read: Mutex<(Stamp, Tokens)>,
}

impl InForce {
    pub(super) fn new(state: &Path, configured: Option<&Secret>) -> InForce {
        let configured = configured.map(|secret| Token {
            id: "config".to_owned(),
            sha256: tenant::hash(secret.expose()),
            created_at: Timestamp::default(),
            tenant: None,
        });
        let known = Tokens { tokens: configured.clone().into_iter().collect() };
        InForce { path: path(state), configured, read: Mutex::new((None, known)) }
    }

    /// Whom a token stands for. Where no token was ever made, everybody is the operator: the server
    /// listens on loopback then.
    pub(super) fn caller(&self, presented: &str) -> Option<Caller> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp.is_none() && self.configured.is_none() {
            return Some(Caller::Operator);
        }
        if stamp != read.0 {
            match load(&self.path) {
                Ok(mut known) => {
                    known.tokens.extend(self.configured.clone());
                    *read = (stamp, known);
                }
                Err(error) => {
                    // Nobody is let in by a file that cannot be read.
                    tracing::error!("{} cannot be read: {error}", self.path.display());
                    return None;
                }
            }
        }
        read.1.caller(presented)
    }
}

/// Reads the tokens of a state folder.
pub fn read(state: &Path) -> io::Result<Tokens> {
    load(&path(state))
}

/// Changes the tokens of a state folder, one process at a time; durable when this returns.
pub fn change<T>(state: &Path, change: impl FnOnce(&mut Tokens) -> T) -> io::Result<T> {
    durable::create_dir(state)?;
    let lock = durable::open_or_create(&state.join("tokens.lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let mut tokens = read(state)?;
    let changed = change(&mut tokens);
    durable::write_json(&path(state), &tokens)?;
    Ok(changed)
}

fn path(state: &Path) -> PathBuf {
    state.join("tokens.json")
}

fn load(path: &Path) -> io::Result<Tokens> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tokens::default()),
        Err(error) => Err(error),
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}
