//! `overnight providers check --smoke`: what providers can do, tried out with a few tiny requests.
//!
//! It asks the cheapest model of the table that a provider lists, or the first one where it lists others,
//! and says beforehand what that may cost.

use std::sync::Arc;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::check::Asked;
use crate::catalog::model::Model;
use crate::catalog::provider::Provider;
use crate::catalog::{Catalog, Route};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::format::{count, counted, latency, rounded};
use crate::cli::style::{Align, Line, Paint, table};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::money::Usd;
use crate::provider::http::Providers;
use crate::provider::smoke::{Finding, Trial, Verdict, burned};

/// What is to be tried at a provider.
pub(super) struct Plan {
    provider: Arc<str>,
    trials: Vec<(Trial, Arc<Route>)>,
}

/// What trials of a provider found out.
#[derive(Serialize)]
pub(super) struct Smoke {
    provider: String,
    trials: Vec<Finding>,
    /// Of the trials whose price is known.
    cost_usd: f64,
    /// What the trials took of the requests that were stated as left.
    requests_burned: Option<u64>,
    /// The same of tokens.
    tokens_burned: Option<u64>,
}

/// The trials of those that answered and are meant.
pub(super) fn plans(
    catalog: &Catalog,
    asked: &[Asked],
    is_meant: &dyn Fn(&str) -> bool,
    model: Option<&str>,
    now: Timestamp,
) -> Vec<Plan> {
    let answered = asked.iter().filter(|asked| is_meant(&asked.name));
    let plan = |asked: &Asked| {
        let provider = catalog.provider(&asked.name)?;
        // One that has no list, but answers, can be asked for a model by name.
        let listed = match &asked.look.models {
            Ok(listed) => listed.as_slice(),
            Err(problem) if problem.is_an_answer() && model.is_some() => &[],
            Err(_) => return None,
        };
        Some(plan(catalog, provider, listed, model, now))
    };
    answered.filter_map(plan).filter(|plan| !plan.trials.is_empty()).collect()
}

fn plan(
    catalog: &Catalog,
    provider: &Provider,
    listed: &[String],
    model: Option<&str>,
    now: Timestamp,
) -> Plan {
    let choice = Choice { catalog, provider, listed, now };
    let talks = match model {
        Some(model) => choice.route(model),
        None => choice.of_table(false).or_else(|| choice.first(|name| !name.contains("embed"))),
    };
    let takes_vectors = provider.wires.contains(&Wire::Embeddings);
    let embeds = choice.of_table(true).or_else(|| choice.first(|name| name.contains("embed")));
    // A server of one model does both with it, or says that it does not.
    let embeds = embeds.or_else(|| talks.clone().filter(|_| provider.local)).filter(|_| takes_vectors);
    let route = |trial: Trial| match trial {
        Trial::Embeddings => embeds.clone().map(with_vectors),
        _ => talks.clone(),
    };
    let trials = Trial::ALL.into_iter().filter_map(|trial| Some((trial, route(trial)?))).collect();
    Plan { provider: provider.name.clone(), trials }
}

/// The models of a provider to choose from.
struct Choice<'a> {
    catalog: &'a Catalog,
    provider: &'a Provider,
    listed: &'a [String],
    now: Timestamp,
}

impl Choice<'_> {
    fn route(&self, model: &str) -> Option<Arc<Route>> {
        let model = model.strip_prefix(&format!("{}/", self.provider.name)).unwrap_or(model);
        self.catalog.route(&format!("{}/{model}", self.provider.name), self.now)
    }

    /// The cheapest model of the table that is listed.
    fn of_table(&self, embeds: bool) -> Option<Arc<Route>> {
        let fits = |model: &&Model| {
            model.provider == self.provider.name
                && model.embeds() == embeds
                && !model.is_retired(self.now)
                && self.listed.iter().any(|name| *name == *model.name)
        };
        let price = |model: &&Model| model.prices.as_ref().map(|prices| prices.worst_case(100, 100));
        let priced = self.catalog.models().filter(fits).filter(|model| model.prices.is_some());
        self.route(&priced.min_by_key(price)?.name)
    }

    /// The first that is listed, of those whose names fit.
    fn first(&self, fits: impl Fn(&str) -> bool) -> Option<Arc<Route>> {
        self.route(self.listed.iter().find(|name| fits(&name.to_ascii_lowercase()))?)
    }
}

/// A route whose model may be listed as one that talks.
fn with_vectors(route: Arc<Route>) -> Arc<Route> {
    match route.wires.contains(&Wire::Embeddings) {
        true => route,
        false => Arc::new(Route { wires: vec![Wire::Embeddings], ..Route::clone(&route) }),
    }
}

/// What a person is asked before anything is sent.
pub(super) fn question(plans: &[Plan]) -> Result<String, CliError> {
    if plans.is_empty() {
        let message = "none of these providers can be tried out: none lists a model";
        return Err(CliError::new("no_route", Exit::NoRoute, message).hint("name one with --model"));
    }
    let trials = || plans.iter().flat_map(|plan| &plan.trials);
    let costs: Vec<Option<Usd>> = trials().map(|(trial, route)| trial.most_cost(route)).collect();
    let known = costs.iter().flatten().fold(Usd::ZERO, |sum, &cost| sum + cost);
    let cost = match (known == Usd::ZERO, costs.contains(&None)) {
        (true, false) => "for nothing".to_owned(),
        (true, true) => "at prices that are not known".to_owned(),
        (false, false) => format!("for at most {}", known.precise()),
        (false, true) => format!("for at most {} and what is not known", known.precise()),
    };
    let names: Vec<&str> = plans.iter().map(|plan| &*plan.provider).collect();
    let n = u64::try_from(costs.len()).unwrap_or(u64::MAX);
    Ok(format!("send {} to {} now, {cost}?", counted(n, "tiny request"), names.join(", ")))
}

/// Makes the trials, all providers at once and each one's in order.
pub(super) fn run(runtime: &Runtime, providers: &Arc<Providers>, plans: Vec<Plan>) -> Vec<Smoke> {
    let order: Vec<Arc<str>> = plans.iter().map(|plan| plan.provider.clone()).collect();
    let mut tried = runtime.block_on(async {
        let mut tried = JoinSet::new();
        for plan in plans {
            tried.spawn(try_out(providers.clone(), plan));
        }
        tried.join_all().await
    });
    tried.sort_by_key(|smoke| order.iter().position(|name| **name == *smoke.provider));
    tried
}

async fn try_out(providers: Arc<Providers>, plan: Plan) -> Smoke {
    let provider = providers.get(&plan.provider).expect("it has answered before");
    let mut trials = Vec::new();
    for (trial, route) in &plan.trials {
        trials.push(provider.try_out(*trial, route).await);
    }
    let (requests_burned, tokens_burned) = burned(&trials);
    let cost_usd = trials.iter().filter_map(|finding| finding.cost_usd).sum();
    Smoke { provider: plan.provider.to_string(), trials, cost_usd, requests_burned, tokens_burned }
}

impl Smoke {
    /// Whether a plain question was answered, where one was asked.
    pub(super) fn talks(&self) -> bool {
        let asked = |finding: &&Finding| finding.trial == Trial::Chat.as_str();
        self.trials.iter().find(asked).is_none_or(|finding| finding.verdict != Verdict::Fails)
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<Line> {
        let headings = [
            (self.provider.as_str(), Align::Left),
            ("HOW", Align::Left),
            ("TIME", Align::Right),
            ("TOKENS", Align::Left),
            ("", Align::Left),
        ];
        let rows: Vec<_> = self.trials.iter().map(row).collect();
        let mut lines = vec![Line::new()];
        lines.extend(table(&headings, &rows));
        let said = [
            ("usage", fields(&self.trials, |finding| &finding.usage_fields)),
            ("errors", fields(&self.trials, |finding| &finding.error_fields)),
            ("headers", fields(&self.trials, |finding| &finding.headers)),
            ("limits", self.burned()),
        ];
        for (what, words) in said {
            if !words.is_empty() {
                lines.push(Line::new().add(Paint::Faint, format!("{what:<10}  ")).text(words));
            }
        }
        lines
    }

    fn burned(&self) -> String {
        let requests = self.requests_burned.map(|n| counted(n, "request"));
        let tokens = self.tokens_burned.map(|n| format!("{} tokens", count(n)));
        let burned: Vec<String> = requests.into_iter().chain(tokens).collect();
        let last = self
            .trials
            .iter()
            .rev()
            .find(|finding| finding.remaining_requests.is_some() || finding.remaining_tokens.is_some());
        let Some(last) = last else { return String::new() };
        let left = [
            last.remaining_requests.map(|n| format!("{} requests", count(n))),
            last.remaining_tokens.map(|n| format!("{} tokens", rounded(n))),
        ];
        let left: Vec<String> = left.into_iter().flatten().collect();
        format!(
            "{} used up between the first and the last, {} left",
            burned.join(" and "),
            left.join(" and ")
        )
    }
}

fn row(finding: &Finding) -> Vec<(Paint, String)> {
    let (paint, how) = match finding.verdict {
        Verdict::Works => (Paint::Good, "works"),
        Verdict::Differs => (Paint::Warn, "differs"),
        Verdict::Fails => (Paint::Bad, "fails"),
    };
    let tokens = match (finding.input_tokens, finding.output_tokens) {
        (Some(input), Some(output)) => format!("{} in, {} out", count(input), count(output)),
        _ => "-".to_owned(),
    };
    vec![
        (Paint::Plain, finding.trial.to_owned()),
        (paint, how.to_owned()),
        (Paint::Plain, latency(finding.latency_ms)),
        (Paint::Plain, tokens),
        (Paint::Plain, finding.words.clone()),
    ]
}

/// The names of fields that any of the trials showed, once each.
fn fields(trials: &[Finding], of: fn(&Finding) -> &Vec<String>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in trials.iter().flat_map(of) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(" ")
}
