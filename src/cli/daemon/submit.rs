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
use crate::clock::Timestamp;
use crate::config::{Config, Terms};

/// A file, and what is asked of its job.
pub(super) struct Offer<'a> {
    /// Which.
    pub(super) file: &'a Path,
    /// What its job asks for.
    pub(super) terms: &'a Terms,
    /// Names its job where it is not to be named by its content.
    pub(super) key: Option<String>,
    /// A tag its job carries.
    pub(super) tag: Option<(&'a str, &'a str)>,
    /// Where lines that are left out are written.
    pub(super) rejects: PathBuf,
}

/// Queues one file.
pub(super) fn submit(
    offer: Offer<'_>,
    now: Timestamp,
    context: &Context,
    hold: &mut Hold,
) -> Result<Queued, CliError> {
    let mut ask = asked(&offer, context.config()?, now)?;
    ask.key = offer.key;
    ask.rejects = Some(offer.rejects);
    queue(offer.file, &ask, false, context, hold)
}

fn asked(offer: &Offer<'_>, config: &Config, now: Timestamp) -> Result<Ask, CliError> {
    let Offer { terms, tag, .. } = offer;
    let flags = JobFlags {
        prompt: terms.prompt.clone(),
        system: terms.system.clone(),
        id_field: terms.id_field.clone(),
        auto_id: terms.auto_id,
        skip_bad: terms.skip_bad,
        ..JobFlags::default()
    };
    let mut defaults = terms.defaults.clone();
    if let Some((name, value)) = *tag {
        defaults.options.tags.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    let config = Config { defaults, ..config.clone() };
    ask(&flags, &QueueFlags::default(), &config, now)
}

/// Whether another try may succeed without anyone doing anything: the store is busy, the disk full.
pub(super) fn passes(error: &CliError) -> bool {
    matches!(error.exit, Exit::Owner | Exit::Unexpected)
}
