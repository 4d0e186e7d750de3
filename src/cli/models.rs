//! `overnight models` and `prices show`: what there is to send to, and at what price.
//!
//! All of it is known here; nobody is asked.

use super::args::{CatalogArgs, ModelsArgs};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::json;
use super::odds;
use super::zone::Here;
use crate::catalog::Catalog;
use crate::catalog::show::{self, PriceListShown, is_meant};

/// `overnight models`.
pub fn run(args: &ModelsArgs, context: &Context) -> Result<Exit, CliError> {
    match (&args.odds, &args.reset_odds) {
        (Some(class), _) => odds::show(class.as_deref(), context),
        (_, Some(class)) => odds::reset(class.as_deref(), context),
        _ => list(&args.listed, context),
    }
}

fn list(args: &CatalogArgs, context: &Context) -> Result<Exit, CliError> {
    let (catalog, now) = (&context.config()?.catalog, context.setting().now);
    let mut shown = show::models(catalog, now, !args.all);
    if let Some(pattern) = &args.pattern {
        shown.keep(pattern);
    }
    if context.globals.json {
        return print(context, &json(&shown)?);
    }
    match (shown.models.is_empty(), args.all) {
        (false, _) => print(context, &shown.text(now, &Here)),
        (true, false) => {
            print(context, "no such models at providers with a key; --all shows the others too\n")
        }
        (true, true) => print(context, "no such models\n"),
    }
}

/// `overnight prices show`.
pub fn prices(args: &CatalogArgs, context: &Context) -> Result<Exit, CliError> {
    let (catalog, now) = (&context.config()?.catalog, context.setting().now);
    let names = chosen(args, catalog, context)?;
    let shown = PriceListShown::of(catalog, names.iter().map(String::as_str), now);
    if context.globals.json {
        return print(context, &json(&shown)?);
    }
    match shown.models.is_empty() {
        false => print(context, &shown.text(now, &Here)),
        true => print(context, "no provider has a key; --all shows every price\n"),
    }
}

/// Models a pattern means: listed ones of usable providers, else of all, else one by its full name.
fn chosen(args: &CatalogArgs, catalog: &Catalog, context: &Context) -> Result<Vec<String>, CliError> {
    let now = context.setting().now;
    let listed = |usable_only: bool| -> Vec<String> {
        let all = show::models(catalog, now, usable_only).models.into_iter().map(|model| model.name);
        all.filter(|name| args.pattern.as_ref().is_none_or(|pattern| is_meant(pattern, name))).collect()
    };
    let usable = listed(!args.all);
    let Some(pattern) = &args.pattern else { return Ok(usable) };
    if catalog.model(pattern).is_some() {
        return Ok(vec![pattern.clone()]);
    }
    let found = if usable.is_empty() { listed(false) } else { usable };
    if !found.is_empty() {
        return Ok(found);
    }
    match catalog.find(pattern) {
        Ok(found) => Ok(vec![found.name]),
        Err(error) => Err(CliError::new("no_route", Exit::NoRoute, error.to_string())
            .hint("`overnight models --all` lists what there is")),
    }
}

fn print(context: &Context, text: &str) -> Result<Exit, CliError> {
    context.print(text)?;
    Ok(Exit::Done)
}
