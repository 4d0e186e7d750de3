//! `overnight providers [check]`: who can be sent to, and whether they answer.
//!
//! A check asks every provider there is a way to reach for its list of models: free, and it proves
//! address, key and connection. One that merely could be there, such as a local server nobody
//! configured, is shown but is no failure.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::args::{ProvidersArgs, ProvidersVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::json;
use super::jobs::Jobs as _;
use super::session::Hold;
use super::zone::Here;
use crate::catalog::Catalog;
use crate::catalog::show::{self, ProviderRow, ProvidersShown};
use crate::clock;
use crate::provider::client::client;
use crate::provider::http::Providers;

/// Nobody waits longer to be told that a provider does not answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Lists providers, and asks them where that is wanted.
pub fn run(args: &ProvidersArgs, context: &Context) -> Result<Exit, CliError> {
    let (catalog, now) = (&context.config()?.catalog, context.setting().now);
    let mut shown = show::providers(catalog, now);
    with_what_is_left(&mut shown, context);
    let mut exit = Exit::Done;
    if let Some(ProvidersVerb::Check) = args.verb {
        check(catalog, &mut shown)?;
        exit = verdict(catalog, &shown);
    }
    match context.globals.json {
        true => context.print(&json(&shown)?)?,
        false => context.print(&shown.text(now, &Here))?,
    }
    Ok(exit)
}

/// Puts in what is left of what accounts give for nothing. A state folder that cannot be read is no reason
/// not to list providers: then it is what is given.
fn with_what_is_left(shown: &mut ProvidersShown, context: &Context) {
    let gives = |row: &ProviderRow| row.allowance.is_some();
    if !shown.providers.iter().any(gives) {
        return;
    }
    let Ok(views) = Hold::jobs(context).and_then(|mut jobs| jobs.allowances()) else { return };
    for view in views {
        if let Some(row) = shown.providers.iter_mut().find(|row| row.name == view.account) {
            row.allowance = Some(view);
        }
    }
}

/// Asks all that can be asked, at once.
fn check(catalog: &Catalog, shown: &mut ProvidersShown) -> Result<(), CliError> {
    let failed = |message: String| CliError::new("providers", Exit::Unexpected, message);
    let endpoints = catalog.endpoints();
    let names: Vec<Arc<str>> = endpoints.iter().map(|endpoint| endpoint.provider.clone()).collect();
    let client = client().map_err(failed)?;
    let providers = Arc::new(Providers::new(endpoints, &client).map_err(failed)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for name in names {
            asked.spawn(ask(providers.clone(), name));
        }
        asked.join_all().await
    });
    for (name, ping, answer) in answers {
        if let Some(row) = shown.providers.iter_mut().find(|row| *row.name == *name) {
            row.set_found(u64::try_from(ping.as_millis()).unwrap_or(u64::MAX), answer);
            // Nobody said that it should be there.
            if row.state == "down" && !is_wanted(catalog, &row.name) {
                "not there".clone_into(&mut row.state);
            }
        }
    }
    // Those that work, those that should, all others.
    let rank = |row: &ProviderRow| match &row.found {
        Some(found) if found.problem.is_none() => 0,
        Some(_) if is_wanted(catalog, &row.name) => 1,
        Some(_) => 2,
        None => 3,
    };
    shown.providers.sort_by_key(rank);
    Ok(())
}

async fn ask(providers: Arc<Providers>, name: Arc<str>) -> (Arc<str>, Duration, Result<usize, String>) {
    let started = clock::now();
    let provider = providers.get(&name).expect("it was made from the same list");
    let answer = match tokio::time::timeout(PATIENCE, provider.models()).await {
        Ok(answer) => answer.map(|models| models.len()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    (name, clock::now().since(started), answer)
}

fn is_wanted(catalog: &Catalog, name: &str) -> bool {
    catalog.provider(name).is_some_and(|provider| provider.wanted())
}

/// Fails where one that somebody means to use does not answer, or none is left.
fn verdict(catalog: &Catalog, shown: &ProvidersShown) -> Exit {
    let mut found = shown.providers.iter().filter_map(|row| Some((row, row.found.as_ref()?)));
    let broken = found.clone().any(|(row, found)| found.problem.is_some() && is_wanted(catalog, &row.name));
    let works = found.any(|(_, found)| found.problem.is_none());
    if broken || !works { Exit::NoRoute } else { Exit::Done }
}
