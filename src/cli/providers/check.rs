//! `overnight providers check`: who answers, with which models, and what is off.
//!
//! One that merely could be there, such as a local server nobody configured, is shown but is no failure,
//! unless it was asked for by name.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::smoke::{self, Smoke};
use crate::attempt::{RateHints, RefusalKind};
use crate::catalog::names::{did_you_mean, nearest};
use crate::catalog::show::{Found, ProviderRow, ProvidersShown};
use crate::catalog::{Catalog, model::Model};
use crate::cli::args::ProvidersCheckArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::format::{count, rounded};
use crate::cli::items::json;
use crate::cli::zone::Here;
use crate::clock::{self, Timestamp};
use crate::provider::client::client;
use crate::provider::http::{Look, Problem, Providers};

/// Nobody waits longer to be told that a provider does not answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A provider that was asked, and what it lists.
pub(super) struct Asked {
    pub(super) name: Arc<str>,
    pub(super) look: Look,
    ping: Duration,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    shown: ProvidersShown,
    #[serde(skip_serializing_if = "Option::is_none")]
    smoke: Option<Vec<Smoke>>,
}

/// Asks those that are meant, and tries them out where that is wanted.
pub(super) fn run(
    args: &ProvidersCheckArgs,
    context: &Context,
    catalog: &Catalog,
    mut shown: ProvidersShown,
) -> Result<Exit, CliError> {
    let now = context.setting().now;
    keep_named(catalog, &mut shown, &args.names)?;
    let failed = |message: String| CliError::new("providers", Exit::Unexpected, message);
    let endpoints = catalog.endpoints();
    let providers = Arc::new(Providers::new(endpoints, &client().map_err(failed)?).map_err(failed)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = ask(&runtime, &providers, &shown);
    let is_meant = |name: &str| !args.names.is_empty() || is_wanted(catalog, name);
    note(catalog, &mut shown, &asked, &is_meant, now);

    let mut exit = verdict(&shown, &is_meant);
    if !context.globals.json {
        context.print(&shown.text(now, &Here))?;
    }
    let mut smoke = None;
    if args.smoke {
        let plans = smoke::plans(catalog, &asked, &is_meant, args.model.as_deref(), now);
        if !context.confirm(&smoke::question(&plans)?)? {
            return Err(CliError::new("not_confirmed", Exit::Usage, "nothing was sent"));
        }
        let tried = smoke::run(&runtime, &providers, plans);
        exit = exit.max(if tried.iter().all(Smoke::talks) { Exit::Done } else { Exit::NoRoute });
        if !context.globals.json {
            context.lines(&tried.iter().flat_map(Smoke::lines).collect::<Vec<_>>())?;
        }
        smoke = Some(tried);
    }
    if context.globals.json {
        context.print(&json(&Checked { shown, smoke })?)?;
    }
    Ok(exit)
}

/// Leaves those that were named, by their names or aliases.
fn keep_named(catalog: &Catalog, shown: &mut ProvidersShown, names: &[String]) -> Result<(), CliError> {
    if names.is_empty() {
        return Ok(());
    }
    let mut kept = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        match catalog.provider(name) {
            Some(provider) => kept.push(provider.name.clone()),
            None => {
                let near = nearest(name, catalog.providers().map(|provider| &*provider.name));
                unknown.push(format!("there is no provider {name:?}{}", did_you_mean(near)));
            }
        }
    }
    if !unknown.is_empty() {
        return Err(CliError::usage(unknown.join("; ")).hint("overnight providers lists them"));
    }
    shown.providers.retain(|row| kept.iter().any(|name| **name == *row.name));
    Ok(())
}

/// Asks all that can be asked, at once; in the order of the list.
fn ask(runtime: &Runtime, providers: &Arc<Providers>, shown: &ProvidersShown) -> Vec<Asked> {
    let names = shown.providers.iter().map(|row| row.name.as_str());
    let names: Vec<Arc<str>> = names.filter(|name| providers.get(name).is_some()).map(Arc::from).collect();
    let mut asked: Vec<Asked> = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for name in names {
            asked.spawn(look(providers.clone(), name));
        }
        asked.join_all().await
    });
    let place = |asked: &Asked| shown.providers.iter().position(|row| *row.name == *asked.name);
    asked.sort_by_key(place);
    asked
}

async fn look(providers: Arc<Providers>, name: Arc<str>) -> Asked {
    let started = clock::now();
    let provider = providers.get(&name).expect("filtered before");
    let look = tokio::time::timeout(PATIENCE, provider.look()).await.unwrap_or_else(|_| {
        let words = format!("no answer within {} s", PATIENCE.as_secs());
        Look { models: Err(Problem { kind: None, words }), hints: RateHints::default(), clock_ahead_ms: None }
    });
    Asked { ping: clock::now().since(started), name, look }
}

/// Puts in what was found; those that work first, then those that should.
fn note(
    catalog: &Catalog,
    shown: &mut ProvidersShown,
    asked: &[Asked],
    is_meant: &dyn Fn(&str) -> bool,
    now: Timestamp,
) {
    for Asked { name, look, ping } in asked {
        let Some(row) = shown.providers.iter_mut().find(|row| *row.name == **name) else { continue };
        let state = match state(look) {
            // Nobody said that it should be there.
            "down" if !is_meant(name) => "not there",
            state => state,
        };
        let listed = look.models.as_ref().ok();
        let found = Found {
            ping_ms: u64::try_from(ping.as_millis()).unwrap_or(u64::MAX),
            models: listed.map(Vec::len),
            gone: listed.map(|listed| gone(catalog, name, listed, now)).unwrap_or_default(),
            clock_ahead_ms: look.clock_ahead_ms,
            limits: limits(&look.hints),
            problem: look.models.as_ref().err().map(|problem| problem.words.clone()),
        };
        row.set_found(state, found);
    }
    let rank = |row: &ProviderRow| match &row.found {
        Some(found) if found.problem.is_none() => 0,
        _ if is_meant(&row.name) => 1,
        Some(_) => 2,
        None => 3,
    };
    shown.providers.sort_by_key(rank);
}

fn state(look: &Look) -> &'static str {
    match &look.models {
        Ok(_) => "ok",
        Err(problem) if problem.is_about_region() => "region refused",
        Err(Problem { kind: Some(RefusalKind::Auth), .. }) => "key rejected",
        Err(Problem { kind: Some(RefusalKind::NoCredit), .. }) => "no credit",
        Err(problem) if problem.is_an_answer() => "refused",
        Err(_) => "down",
    }
}

/// The models of the table that a provider does not list. One that lists none of them names its models in
/// a way of its own, and says nothing about any.
fn gone(catalog: &Catalog, provider: &str, listed: &[String], now: Timestamp) -> Vec<String> {
    let is_listed = |model: &&Model| {
        let names = std::iter::once(&*model.name).chain(model.aliases.iter().map(String::as_str));
        names.into_iter().any(|name| listed.iter().any(|listed| listed == name))
    };
    let ours = |model: &&Model| *model.provider == *provider && !model.is_retired(now);
    let (there, gone): (Vec<&Model>, Vec<&Model>) = catalog.models().filter(ours).partition(is_listed);
    match there.is_empty() {
        true => Vec::new(),
        false => gone.into_iter().map(|model| model.name.to_string()).collect(),
    }
}

/// `limits 5,000 rpm / 4M tpm`.
fn limits(hints: &RateHints) -> Option<String> {
    let requests = hints.limit_requests.map(|limit| format!("{} rpm", count(limit)));
    let tokens = hints.limit_tokens.map(|limit| format!("{} tpm", rounded(limit)));
    let parts: Vec<String> = requests.into_iter().chain(tokens).collect();
    (!parts.is_empty()).then(|| format!("limits {}", parts.join(" / ")))
}

fn is_wanted(catalog: &Catalog, name: &str) -> bool {
    catalog.provider(name).is_some_and(|provider| provider.wanted())
}

/// Fails where one that somebody means to use does not answer, or none is left.
fn verdict(shown: &ProvidersShown, is_meant: &dyn Fn(&str) -> bool) -> Exit {
    let works = |row: &ProviderRow| row.found.as_ref().is_some_and(|found| found.problem.is_none());
    let broken = |row: &ProviderRow| is_meant(&row.name) && !works(row);
    match shown.providers.iter().any(broken) || !shown.providers.iter().any(works) {
        true => Exit::NoRoute,
        false => Exit::Done,
    }
}
