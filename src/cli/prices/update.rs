//! `overnight prices update`: fetches a price list, or takes one from a file, and keeps it.

use std::fs;
use std::path::Path;

use super::fetch::{self, Fetched};
use super::shown::Updated;
use crate::catalog::import::{self, Source};
use crate::cli::args::PricesUpdateArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::items::json;
use crate::config::lists::{self, Header};

/// Fetches, reads and keeps; a list that cannot be read changes nothing.
pub(super) fn run(args: &PricesUpdateArgs, context: &Context) -> Result<Exit, CliError> {
    let (config, now) = (context.config()?, context.setting().now);
    let held = config.lists.iter().find(|list| list.source == args.from && list.read.is_ok());
    let held = held.and_then(|list| list.header.clone());
    let today = now.utc().date_naive().to_string();
    let as_of = args.as_of.map_or(today, |day| day.to_string());

    let (from, fetched) = match (&args.file, &args.url) {
        (Some(file), _) => (file.display().to_string(), read(file)?),
        (None, url) => {
            let url = url.clone().unwrap_or_else(|| args.from.url().to_owned());
            let etag = held.as_ref().filter(|held| held.from == url).and_then(|held| held.etag.clone());
            let fetched = fetch::get(&url, etag.as_deref())?;
            (url, fetched)
        }
    };
    let (header, body, unchanged) = match (fetched, held) {
        (Fetched::New { body, etag }, _) => {
            let sha256 = lists::sha256(&body);
            let source = args.from.as_str().to_owned();
            let schema = lists::SCHEMA.to_owned();
            (Header { schema, source, from, fetched_at: now, as_of, sha256, etag }, body, false)
        }
        // Nothing changed since, so today's prices are these.
        (Fetched::Unchanged, Some(held)) => {
            let body = kept(&config.state_dir, args.from)?;
            (Header { fetched_at: now, as_of, ..held }, body, true)
        }
        (Fetched::Unchanged, None) => {
            return Err(failed("the server says that nothing changed, but no list is held"));
        }
    };
    let imported = import::read(args.from, &body, &header.as_of, &config.catalog).map_err(|error| {
        CliError::new("not_a_list", Exit::BadInput, error.to_string())
            .detail(format!("it is from {}", header.from))
            .hint("nothing was changed; is --from the right one?")
    })?;
    lists::save(&config.state_dir, args.from, &header, &body)?;
    let shown = Updated::new(header, unchanged, &imported);
    match context.globals.json {
        true => context.print(&json(&shown)?)?,
        false => context.print(&shown.text())?,
    }
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<Fetched, CliError> {
    let body = fs::read_to_string(file).map_err(|error| {
        CliError::new("not_a_list", Exit::BadInput, format!("{} cannot be read: {error}", file.display()))
    })?;
    Ok(Fetched::New { body, etag: None })
}

fn kept(state_dir: &Path, source: Source) -> Result<String, CliError> {
    lists::body(state_dir, source).ok_or_else(|| failed("the list that is held cannot be read any more"))
}

fn failed(message: &str) -> CliError {
    CliError::new("prices", Exit::Unexpected, message).hint("run it again with --url, or --file")
}
