//! `overnight backup DIR` and `overnight restore DIR`.
//!
//! A backup asks nothing of the process that owns the store. A restore is the way to a new machine or back
//! to an earlier state: what was answered after the backup is asked for again.

use serde::Serialize;

use super::args::BackupArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{bytes, counted};
use super::session::Session;
use super::style::{Line, Paint};
use crate::clock::{self, Timestamp};
use crate::store::StoreError;
use crate::store::backup::{self, Listed};

/// `--json`.
#[derive(Debug, Serialize)]
struct Copied {
    dir: String,
    made_at: Timestamp,
    files: usize,
    bytes: u64,
}

/// Copies the queue.
pub fn back_up(args: &BackupArgs, context: &Context) -> Result<Exit, CliError> {
    let config = context.config()?;
    let listed = backup::back_up(&config.state_dir, &config.results.dir, &args.dir, clock::now());
    let copied = copied(args, &listed.map_err(not_possible)?);
    context.document("backup", "backup", &copied, || {
        let size = format!("  {} · {}", counted(copied.files as u64, "file"), bytes(copied.bytes));
        vec![Line::new().text("wrote ").add(Paint::Name, &copied.dir).text(size)]
    })?;
    Ok(Exit::Done)
}

/// Puts a backup in place, and opens it once to see that it is whole.
pub fn restore(args: &BackupArgs, context: &Context) -> Result<Exit, CliError> {
    let config = context.config()?;
    let listed = backup::restore(&args.dir, &config.state_dir, &config.results.dir).map_err(not_possible)?;
    let session = Session::open(context)?;
    let jobs = session.ledger.jobs().count() as u64;
    session.store.close()?;
    let copied = copied(args, &listed);
    context.document("restore", "backup", &copied, || {
        let words = format!("restored {} of {} to ", counted(jobs, "job"), copied.made_at);
        let after = "what was answered since then is asked for again: overnight daemon goes on with it";
        vec![
            Line::new().text(words).add(Paint::Name, config.state_dir.display().to_string()),
            Line::new().add(Paint::Faint, after),
        ]
    })?;
    Ok(Exit::Done)
}

fn copied(args: &BackupArgs, listed: &Listed) -> Copied {
    Copied {
        dir: args.dir.display().to_string(),
        made_at: listed.made_at,
        files: listed.files.len(),
        bytes: listed.bytes(),
    }
}

/// A folder that is in the way, or holds nothing, is an argument to be chosen anew.
fn not_possible(error: StoreError) -> CliError {
    match &error {
        StoreError::Io(message, cause) if cause.kind() == std::io::ErrorKind::InvalidInput => {
            CliError::usage(message.clone())
                .hint("name another folder, or another store with --state-dir; nothing was changed")
        }
        _ => error.into(),
    }
}
