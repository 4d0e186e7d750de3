//! `/metrics`: what a monitor reads, see [`crate::metrics`]. It speaks of all jobs, so it is the operator's.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::app::App;
use super::error::ApiError;
use crate::tenant::Caller;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of this file.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, ApiError> {
    if caller != Caller::Operator {
        return Err(ApiError::not_found("page", "/metrics"));
    }
    Ok(([(CONTENT_TYPE, TEXT)], app.metrics().await?))
}
