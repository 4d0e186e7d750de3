//! A firing: every file a schedule names becomes a job, once.
//!
//! Jobs are named by schedule, firing and path, so the same file is a new job every night and a firing
//! that was interrupted can be carried out again.
//!
//! Shell.

use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::super::error::CliError;
use super::super::session::Hold;
use super::diary::Trouble;
use super::submit::{Offer, passes, submit};
use crate::clock::Timestamp;
use crate::config::Schedule;

/// The tag that jobs of a schedule carry.
const TAG: &str = "schedule";

/// Submits the files of a firing; what cannot be submitted is given back. An error may pass: the firing is
/// to be carried out again.
pub(super) fn fire(
    schedule: &Schedule,
    firing: Timestamp,
    now: Timestamp,
    context: &Context,
    hold: &mut Hold,
) -> Result<Vec<Trouble>, CliError> {
    let name = &schedule.name;
    let rejects = context.state_dir()?.join("rejected");
    let (files, mut troubles) = files(schedule);
    for file in files {
        let key = format!("schedule {name} {firing} {}", file.display());
        let tag = Some((TAG, name.as_str()));
        let terms = &schedule.terms;
        let offer = Offer { file: &file, terms, key: Some(key), tag, rejects: rejects.clone() };
        match submit(offer, now, context, hold) {
            Ok(queued) => {
                tracing::info!(schedule = name, %firing, job = %queued.job_id, items = queued.items, file = %file.display(), "submitted");
            }
            Err(error) if passes(&error) => return Err(error),
            Err(error) => troubles.push(trouble(schedule, error.human(false).trim().to_owned())),
        }
    }
    Ok(troubles)
}

/// The files there are, in order, and patterns that none matches.
fn files(schedule: &Schedule) -> (Vec<PathBuf>, Vec<Trouble>) {
    let (mut files, mut troubles) = (Vec::new(), Vec::new());
    for written in &schedule.files {
        match matching(written) {
            Ok(found) if found.is_empty() => {
                troubles.push(trouble(schedule, format!("no file matches {}", written.display())));
            }
            Ok(found) => files.extend(found),
            Err(why) => troubles.push(trouble(schedule, format!("{}: {why}", written.display()))),
        }
    }
    files.sort();
    files.dedup();
    (files, troubles)
}

fn matching(written: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = written.to_str().ok_or("its name is not UTF-8")?;
    if !pattern.contains(['*', '?', '[']) {
        return Ok(if written.exists() { vec![written.to_owned()] } else { Vec::new() });
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let found = glob::glob_with(pattern, options).map_err(|error| error.to_string())?;
    // A folder that cannot be looked into holds no file of ours.
    Ok(found.filter_map(Result::ok).filter(|path| path.is_file()).collect())
}

fn trouble(schedule: &Schedule, words: String) -> Trouble {
    Trouble { subject: format!("schedule {}", schedule.name), words }
}
