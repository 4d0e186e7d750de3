//! A file becomes a job by the very way of `overnight submit`, with the terms of a schedule or a folder
//! in place of flags.
//!
//! Shell.

use std::path::{Path, PathBuf};

use super::super::args::{JobFlags, QueueFlags};
use super::super::ask::{Ask, ask};
use super::super::context::Context;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::queue::queue;
use super::super::session::Hold;
use super::super::submit::Queued;
use crate::clock;
use crate::config::{Config, Terms};

/// Queues one file; `key` names its job where it is not to be named by its content.
pub(super) fn submit(
    file: &Path,
    terms: &Terms,
    key: Option<String>,
    tag: Option<(&str, &str)>,
    rejects: PathBuf,
    context: &Context,
    hold: &mut Hold,
) -> Result<Queued, CliError> {
    let mut ask = asked(terms, tag, context.config()?)?;
    ask.key = key;
    ask.rejects = Some(rejects);
    queue(file, &ask, false, context, hold)
}

fn asked(terms: &Terms, tag: Option<(&str, &str)>, config: &Config) -> Result<Ask, CliError> {
    let flags = JobFlags {
        prompt: terms.prompt.clone(),
        system: terms.system.clone(),
        id_field: terms.id_field.clone(),
        auto_id: terms.auto_id,
        skip_bad: terms.skip_bad,
        ..JobFlags::default()
    };
    let mut defaults = terms.defaults.clone();
    if let Some((name, value)) = tag {
        defaults.options.tags.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    let config = Config { defaults, ..config.clone() };
    ask(&flags, &QueueFlags::default(), &config, clock::now())
}

/// Whether another try may succeed without anyone doing anything: the store is busy, the disk full.
pub(super) fn passes(error: &CliError) -> bool {
    matches!(error.exit, Exit::Owner | Exit::Unexpected)
}
