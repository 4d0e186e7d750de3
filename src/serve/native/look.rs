//! What there is to send to, when it is cheap, what it costs and what was spent.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Document;
use super::jobs::accounts;
use crate::catalog::show::{self, PriceListShown};
use crate::clock;
use crate::serve::events::sees;
use crate::serve::extract::Query;
use crate::serve::{ApiError, App};
use crate::tenant::Caller;
use crate::view::{AllowanceView, BudgetView, DispatchView};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pattern: Option<String>,
    #[serde(default)]
    all: bool,
}

/// As `models --json`: a route is one of them on one of its lanes.
pub(super) async fn routes(
    State(app): State<App>,
    caller: Caller,
    Query(Pattern { pattern, all }): Query<Pattern>,
) -> Result<Document, ApiError> {
    let mut shown = show::models(&app.config().catalog, clock::now(), !all);
    shown.models.retain(|model| caller.may_use(&model.name));
    if let Some(pattern) = &pattern {
        shown.keep(pattern);
    }
    Document::of(&shown)
}

/// As `windows --json`.
pub(super) async fn windows(
    State(app): State<App>,
    caller: Caller,
    Query(Pattern { pattern, all }): Query<Pattern>,
) -> Result<Document, ApiError> {
    let mut shown = show::windows(&app.config().catalog, clock::now(), all);
    shown.windows.retain(|row| row.models.is_empty() || row.models.iter().any(|model| caller.may_use(model)));
    if let Some(pattern) = &pattern {
        shown.keep(pattern);
    }
    Document::of(&shown)
}

/// As `prices show --json`.
pub(super) async fn prices(
    State(app): State<App>,
    caller: Caller,
    Query(Pattern { pattern, all }): Query<Pattern>,
) -> Result<Document, ApiError> {
    let (catalog, now) = (&app.config().catalog, clock::now());
    let names: Vec<String> =
        show::models(catalog, now, !all).models.into_iter().map(|model| model.name).collect();
    let meant = |name: &&str| {
        caller.may_use(name) && pattern.as_ref().is_none_or(|pattern| show::is_meant(pattern, name))
    };
    Document::of(&PriceListShown::of(catalog, names.iter().map(String::as_str).filter(meant), now))
}

/// Where the money stands.
#[derive(Serialize)]
struct Spend<'a> {
    schema: &'static str,
    /// Of all jobs there are, USD.
    cost_usd: f64,
    /// The same tokens in the dearest hours of the realtime lane.
    list_cost_usd: f64,
    /// The difference; never below zero.
    saved_usd: f64,
    /// Worst case of what is on its way or not known.
    reserved_usd: f64,
    budgets: Vec<BudgetView>,
    allowances: &'a [AllowanceView],
}

pub(super) async fn spend(State(app): State<App>, caller: Caller) -> Result<Document, ApiError> {
    let snapshot = app.snapshot().await?;
    let own = || snapshot.jobs.iter().filter(|view| sees(&caller, view));
    let (cost_usd, list_cost_usd) =
        (own().map(|view| view.cost_usd).sum::<f64>(), own().map(|view| view.list_cost_usd).sum::<f64>());
    let (budgets, allowances) = accounts(&snapshot, &caller);
    Document::of(&Spend {
        schema: "overnight.spend/1",
        cost_usd,
        list_cost_usd,
        saved_usd: (list_cost_usd - cost_usd).max(0.0),
        reserved_usd: own().map(|view| view.reserved_usd).sum(),
        budgets,
        allowances,
    })
}

/// What is sent and what is planned, by route.
#[derive(Serialize)]
struct Dispatch {
    schema: &'static str,
    routes: Vec<DispatchView>,
}

/// Planned work is everybody's, so a tenant is not told of it.
pub(super) async fn dispatch(State(app): State<App>, caller: Caller) -> Result<Document, ApiError> {
    let routes = match caller {
        Caller::Operator => app.desk().dispatch(&app).await?,
        Caller::Tenant(_) => Vec::new(),
    };
    Document::of(&Dispatch { schema: "overnight.dispatch/1", routes })
}
