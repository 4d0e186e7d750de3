//! `/v1/models`: what may be written as `model`.
//!
//! `auto` is the ladder of `[defaults]`, others go by the names the config gives them, and the rest are
//! models that can be used now, by their full names. Nobody is shown what they may not use.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::app::App;
use super::error::ApiError;
use crate::catalog::ladder::AUTO;
use crate::clock;
use crate::config::Config;
use crate::tenant::Caller;

/// As many names are told to whoever asked for one that is not there.
const TOLD: usize = 12;

/// The routes of this file.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/models", get(list)).route("/v1/models/{*id}", get(retrieve))
}

#[derive(Debug, Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
}

async fn list(State(app): State<App>, caller: Caller) -> Json<Value> {
    Json(json!({ "object": "list", "data": models(&app.config(), &caller) }))
}

async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Model>, ApiError> {
    let config = app.config();
    let model = models(&config, &caller).into_iter().find(|model| model.id == id);
    model.map(Json).ok_or_else(|| {
        let message = format!("there is no model {id:?}; {}", there_are(&config, &caller));
        ApiError::new(StatusCode::NOT_FOUND, message).code("not_found").param("model")
    })
}

/// What there is, for whoever asked for something else.
pub(super) fn there_are(config: &Config, caller: &Caller) -> String {
    let models = models(config, caller);
    let told: Vec<&str> = models.iter().take(TOLD).map(|model| model.id.as_str()).collect();
    let more = match models.len() - told.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("there are {}{more} (GET /v1/models)", told.join(", "))
}

fn models(config: &Config, caller: &Caller) -> Vec<Model> {
    let routes = config.catalog.routes(clock::now());
    let usable = routes.iter().filter(|route| route.unusable.is_none() && &*route.lane == "realtime");
    let named = usable
        .filter(|route| caller.may_use(&route.name))
        .map(|route| (route.name.to_string(), route.provider.to_string()));
    let ladders = std::iter::once(AUTO).chain(ladders(config, caller));
    ladders
        .map(|name| (name.to_owned(), "overnight".to_owned()))
        .chain(named)
        .map(|(id, owned_by)| Model { id, object: "model", created: 0, owned_by })
        .collect()
}

/// Ladders of the config that can be climbed, and of which the caller may use every model.
fn ladders<'a>(config: &'a Config, caller: &Caller) -> impl Iterator<Item = &'a str> {
    let catalog = &config.catalog;
    let is_open = |steps: &[Vec<String>]| {
        let resolved = catalog.resolve(steps, clock::now());
        resolved.is_ok_and(|resolved| resolved.ladder.0.iter().flatten().all(|model| caller.may_use(model)))
    };
    let named = catalog.ladders().iter().filter(|(name, _)| *name != AUTO);
    named.filter(move |(_, steps)| is_open(steps)).map(|(name, _)| name.as_str())
}
