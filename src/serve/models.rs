//! `/v1/models`: what may be written as `model`.
//!
//! `auto` is the ladder of the config; the others are models that can be used now, by their full names.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::app::App;
use super::error::ApiError;
use crate::clock;
use crate::tenant::Caller;

/// Stands for the ladder of the config.
pub(super) const AUTO: &str = "auto";

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
    Json(json!({ "object": "list", "data": models(&app, &caller) }))
}

async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Model>, ApiError> {
    let model = models(&app, &caller).into_iter().find(|model| model.id == id);
    model.map(Json).ok_or_else(|| ApiError::not_found("model", &id).param("model"))
}

fn models(app: &App, caller: &Caller) -> Vec<Model> {
    let routes = app.config().catalog.routes(clock::now());
    let usable = routes.iter().filter(|route| route.unusable.is_none() && &*route.lane == "realtime");
    let named = usable
        .filter(|route| caller.may_use(&route.name))
        .map(|route| (route.name.to_string(), route.provider.to_string()));
    let auto = (AUTO.to_owned(), "overnight".to_owned());
    std::iter::once(auto)
        .chain(named)
        .map(|(id, owned_by)| Model { id, object: "model", created: 0, owned_by })
        .collect()
}
