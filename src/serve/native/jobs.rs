//! Jobs as they are, and what may be done with them.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;

use super::Document;
use super::desk::{context, refused, view};
use crate::attempt::ErrorCode;
use crate::cli::args::value::{MomentArg, StepArg};
use crate::cli::args::{RetryArgs, StateFilter};
use crate::cli::change::Wish;
use crate::cli::context::{document, document_of};
use crate::cli::retry;
use crate::cli::status::Shown;
use crate::control::{Request, Response};
use crate::money::Usd;
use crate::serve::events::{sees, shown};
use crate::serve::extract::{Json, Query};
use crate::serve::{ApiError, App};
use crate::tenant::Caller;
use crate::view::JobView;

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
    let wanted =
        |view: &JobView| sees(&caller, view) && state.as_ref().is_none_or(|state| view.state == *state);
    let mut views: Vec<JobView> = app.views().await?.into_iter().filter(|view| wanted(view)).collect();
    views.sort_by(|a, b| (b.submitted_at, &b.job_id).cmp(&(a.submitted_at, &a.job_id)));
    let jobs: Vec<JobView> = views.into_iter().skip(skip).take(limit.unwrap_or(PAGE).min(PAGE)).collect();
    let (budgets, allowances) = accounts(&app, &caller).await?;
    let shown = Shown { jobs: &jobs, budgets: &budgets, allowances: &allowances };
    document_of("status", &shown).map(Document).map_err(refused)
}

/// Budgets and allowances that a caller may know of.
pub(super) async fn accounts(
    app: &App,
    caller: &Caller,
) -> Result<(Vec<crate::view::BudgetView>, Vec<crate::view::AllowanceView>), ApiError> {
    let Response::Budgets(budgets) = app.ask(Request::Budgets).await? else {
        return Err(ApiError::internal("budgets were asked for, something else came"));
    };
    let budgets = shown(&budgets, caller).into_iter().cloned().collect();
    let Caller::Operator = caller else { return Ok((budgets, Vec::new())) };
    match app.ask(Request::Allowances).await? {
        Response::Allowances(allowances) => Ok((budgets, allowances)),
        other => Err(ApiError::internal(format!("allowances were asked for, {other:?} came"))),
    }
}

/// As `status JOB --json`.
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Document, ApiError> {
    told("status", &view(&app, &caller, &job).await?)
}

pub(super) fn told(verb: &str, view: &JobView) -> Result<Document, ApiError> {
    document(verb, "job", view).map(Document).map_err(refused)
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
    let args = asked.args(job.to_string(), &caller)?;
    let retried = app.blocking(move |app| Ok(retry::retry(&args, &context(app)).map_err(refused)?.0));
    Document::of(&retried.await?)
}

impl Retry {
    fn args(self, job: String, caller: &Caller) -> Result<RetryArgs, ApiError> {
        let steps = self.models.iter().map(|step| {
            let step: StepArg = step.parse().map_err(|error| wrong("models", &error))?;
            match step.0.iter().find(|model| !caller.may_use(model)) {
                Some(model) => Err(ApiError::invalid(format!("your token may not use {model}"))
                    .code("model_not_allowed")
                    .param("models")),
                None => Ok(step),
            }
        });
        Ok(RetryArgs {
            job,
            states: states(&self.states)?,
            reasons: reasons(&self.reasons)?,
            models: steps.collect::<Result<_, _>>()?,
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
