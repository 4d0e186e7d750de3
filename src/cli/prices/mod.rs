//! `overnight prices`: the prices in force, lists of others to hold them against, and what is the matter.
//!
//! Only `update` asks anybody, and it needs no key.

use super::args::{PricesArgs, PricesVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::models;
use crate::catalog::compare::{self, Difference, Finding};
use crate::catalog::import::Imported;
use crate::config::Config;
use crate::config::lists::List;

mod fetch;
mod shown;
mod update;

use shown::{Diff, ListShown, Verdict};

/// `overnight prices show | update | diff | verify`.
pub fn run(args: &PricesArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.verb {
        PricesVerb::Show(args) => models::prices(args, context),
        PricesVerb::Update(args) => update::run(args, context),
        PricesVerb::Diff { pattern } => diff(pattern.as_deref(), context),
        PricesVerb::Verify { models } => verify(models, context),
    }
}

/// What every list that is held would change.
fn diff(pattern: Option<&str>, context: &Context) -> Result<Exit, CliError> {
    let (config, now) = (context.config()?, context.setting().now);
    let lists = readable(config)?;
    let meant = |name: &str| pattern.is_none_or(|pattern| crate::catalog::show::is_meant(pattern, name));
    let of = |(list, imported): &(&List, &Imported)| {
        let (mut differences, mut new) = compare::differences(&config.catalog, imported, now);
        differences.retain(|one: &Difference| meant(&one.model));
        new.retain(|name| meant(name));
        ListShown::of(list, differences, new)
    };
    let shown = Diff { schema: "overnight.prices-diff/1", lists: lists.iter().map(of).collect() };
    match context.globals.json {
        true => context.print(&super::items::json(&shown)?)?,
        false => context.print(&shown.text())?,
    }
    Ok(Exit::Done)
}

/// Holds all lists against what is in use.
fn verify(named: &[String], context: &Context) -> Result<Exit, CliError> {
    let (config, now) = (context.config()?, context.setting().now);
    let in_use = in_use(named, config, now)?;
    let lists: Vec<&Imported> = config.lists.iter().filter_map(|list| list.read.as_ref().ok()).collect();
    let findings = compare::verify(&config.catalog, &lists, &in_use, now);
    let grave = findings.iter().any(Finding::is_grave);
    let shown = Verdict::new(config, in_use, findings);
    match context.globals.json {
        true => context.print(&super::items::json(&shown)?)?,
        false => context.print(&shown.text())?,
    }
    Ok(if grave { Exit::NoRoute } else { Exit::Done })
}

/// Models of the default ladder at providers with a key, of `[models]` in the config, and those named.
fn in_use(named: &[String], config: &Config, now: crate::clock::Timestamp) -> Result<Vec<String>, CliError> {
    let mut names: Vec<String> = Vec::new();
    // Without keys nobody uses the default ladder.
    if let Ok(resolved) = config.catalog.resolve(&config.defaults.models, now) {
        names.extend(resolved.ladder.0.into_iter().flatten());
    }
    let stated = config.catalog.models().filter(|model| model.source.as_deref() == Some("config"));
    names.extend(stated.map(crate::catalog::model::Model::full_name));
    for name in named {
        let found = config.catalog.find(name).map_err(|error| {
            CliError::new("no_route", Exit::NoRoute, error.to_string())
                .hint("`overnight models --all` lists what there is")
        })?;
        names.push(found.name);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn readable(config: &Config) -> Result<Vec<(&List, &Imported)>, CliError> {
    let lists: Vec<_> =
        config.lists.iter().filter_map(|list| Some((list, list.read.as_ref().ok()?))).collect();
    if !lists.is_empty() {
        return Ok(lists);
    }
    let error = CliError::new("no_list", Exit::NotFound, "no price list is held to compare with");
    let broken = config.lists.iter().filter_map(|list| list.read.as_ref().err());
    let error = broken.fold(error, |error, why| error.detail(why.clone()));
    Err(error.hint("fetch one: overnight prices update --from litellm"))
}
