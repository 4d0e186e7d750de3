//! Jobs as they are, and what may be done with them.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;

use super::Document;
use super::desk::{context, named, refused, view};
use crate::attempt::ErrorCode;
use crate::cli::args::value::{MomentArg, StepArg};
use crate::cli::args::{RetryArgs, StateFilter};
use crate::cli::change::Wish;
use crate::cli::context::{document, document_of};
use crate::cli::retry;
use crate::cli::status::Shown;
use crate::clock;
use crate::config::Config;
use crate::money::Usd;
use crate::serve::events::{sees, shown};
use crate::serve::extract::{Json, Query};
use crate::serve::snapshot::Snapshot;
use crate::serve::{ApiError, App, models};
use crate::tenant::Caller;
use crate::view::{AllowanceView, BudgetView, JobView};

/// Jobs on a page.
const PAGE: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    state: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    skip: usize,
}

/// As `status --json`: newest first, with budgets and allowances.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(Listing { state, limit, skip }): Query<Listing>,
) -> Result<Document, ApiError> {
    let snapshot = app.snapshot().await?;
    let name = format!("{:?} {state:?} {limit:?} {skip}", caller.tenant());
    snapshot
        .document(name, || {
            let wanted = |view: &&JobView| {
                sees(&caller, view) && state.as_ref().is_none_or(|state| view.state == *state)
            };
            let jobs = snapshot.jobs.iter().filter(wanted).skip(skip).take(limit.unwrap_or(PAGE).min(PAGE));
            let jobs: Vec<JobView> = jobs.cloned().collect();
            let (budgets, allowances) = accounts(&snapshot, &caller);
            let shown = Shown { jobs: &jobs, budgets: &budgets, allowances };
            document_of("status", &shown).map_err(refused)
        })
        .map(Document)
}

/// Budgets and allowances that a caller may know of.
pub(super) fn accounts<'a>(
    snapshot: &'a Snapshot,
    caller: &Caller,
) -> (Vec<BudgetView>, &'a [AllowanceView]) {
    let budgets = shown(&snapshot.budgets, caller).into_iter().cloned().collect();
    match caller {
        Caller::Operator => (budgets, &snapshot.allowances),
        Caller::Tenant(_) => (budgets, &[]),
    }
}

/// As `status JOB --json`.
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Document, ApiError> {
    let view = app.recent_views(&[named(&job)?]).await?.into_iter().find(|view| sees(&caller, view));
    told("status", &view.ok_or_else(|| ApiError::not_found("job", &job))?)
}

pub(super) fn told(verb: &str, view: &JobView) -> Result<Document, ApiError> {
    document(verb, "job", view).map(Document::from).map_err(refused)
}

pub(super) async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Document, ApiError> {
    change(&app, &caller, &job, Wish::Pause).await
}

pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Document, ApiError> {
    change(&app, &caller, &job, Wish::Cancel).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// A new cap first.
    max_cost: Option<String>,
}

pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<Document, ApiError> {
    let Resume { max_cost } = maybe(&headers, request).await?;
    let cap = max_cost.map(|cap| money(&cap)).transpose()?;
    change(&app, &caller, &job, Wish::Resume(cap)).await
}

async fn change(app: &App, caller: &Caller, job: &str, wish: Wish) -> Result<Document, ApiError> {
    let before = view(app, caller, job).await?;
    if before.finished_at.is_some() {
        return Err(ApiError::conflict(format!("{job} is already over ({})", before.state)).code("job_over"));
    }
    for change in wish.changes() {
        app.change(&before.job_id, change).await?;
    }
    told(wish.verb(), &view(app, caller, job).await?)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    states: Vec<String>,
    reasons: Vec<String>,
    models: Vec<String>,
    max_cost: Option<String>,
    deadline: Option<String>,
    rework: bool,
    dry_run: bool,
}

/// As `retry JOB --json`.
pub(super) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<Document, ApiError> {
    let asked: Retry = maybe(&headers, request).await?;
    let job = view(&app, &caller, &job).await?.job_id;
    let args = asked.args(job.to_string(), &caller, &app.config())?;
    let retried = app.blocking(move |app| Ok(retry::retry(&args, &context(app)).map_err(refused)?.0));
    let retried = retried.await?;
    // The command reached the owner by its own way.
    app.touched(job)?;
    Document::of(&retried)
}

impl Retry {
    fn args(self, job: String, caller: &Caller, config: &Config) -> Result<RetryArgs, ApiError> {
        let steps = self.models.iter().map(|step| step.parse::<StepArg>());
        let steps = steps.collect::<Result<Vec<_>, _>>().map_err(|error| wrong("models", &error))?;
        Ok(RetryArgs {
            job,
            states: states(&self.states)?,
            reasons: reasons(&self.reasons)?,
            models: allowed(&steps, caller, config)?,
            checks: Vec::new(),
            max_cost: self.max_cost.map(|cap| money(&cap)).transpose()?,
            deadline: self
                .deadline
                .map(|at| at.parse::<MomentArg>().map_err(|error| wrong("deadline", &error)))
                .transpose()?,
            rework: self.rework,
            dry_run: self.dry_run,
        })
    }
}

/// A ladder by the full names of its models, all of which the caller may use: what a name or a pattern means
/// is known only then.
fn allowed(steps: &[StepArg], caller: &Caller, config: &Config) -> Result<Vec<StepArg>, ApiError> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let written: Vec<Vec<String>> = steps.iter().map(|step| step.0.clone()).collect();
    let told = |message: String| {
        ApiError::invalid(format!("{message}; {}", models::there_are(config, caller))).param("models")
    };
    let ladder = config.catalog.resolve(&written, clock::now()).map_err(|errors| {
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        told(said.join("; ")).code("no_route")
    })?;
    let ladder = ladder.ladder.0;
    match ladder.iter().flatten().find(|model| !caller.may_use(model)) {
        Some(model) => Err(told(format!("your token may not use {model}")).code("model_not_allowed")),
        None => Ok(ladder.into_iter().map(StepArg).collect()),
    }
}

/// States by the words of the commands.
pub(super) fn states(words: &[String]) -> Result<Vec<StateFilter>, ApiError> {
    use clap::ValueEnum;
    let known = |word: &String| {
        let found = StateFilter::value_variants().iter().copied().find(|state| state.word() == word.as_str());
        found.ok_or_else(|| wrong("state", &format!("{word:?} is no state of an item")))
    };
    words.iter().map(known).collect()
}

/// Reasons by their codes.
pub(super) fn reasons(words: &[String]) -> Result<Vec<ErrorCode>, ApiError> {
    let known = |word: &String| {
        let found = ErrorCode::ALL.into_iter().find(|code| code.as_str() == word.as_str());
        found.ok_or_else(|| wrong("reason", &format!("{word:?} is no reason an item fails for")))
    };
    words.iter().map(known).collect()
}

fn money(text: &str) -> Result<Usd, ApiError> {
    let amount: Usd = text.parse().map_err(|error| wrong("max_cost", &error))?;
    if amount < Usd::ZERO { Err(wrong("max_cost", &"an amount below zero")) } else { Ok(amount) }
}

fn wrong(field: &str, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::invalid(format!("`{field}`: {why}")).param(field)
}

/// A JSON body; the usual where there is none.
async fn maybe<T: Default + serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    request: axum::extract::Request,
) -> Result<T, ApiError> {
    use axum::extract::FromRequest;
    match headers.contains_key(axum::http::header::CONTENT_TYPE) {
        true => Ok(Json::from_request(request, &()).await?.0),
        false => Ok(T::default()),
    }
}
