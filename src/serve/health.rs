//! `/healthz` and `/readyz`: for load balancers and people with a browser, so they need no token and
//! say nothing else.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::app::App;

/// The routes of this file.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The store is open and its owner answers.
async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the store is not open\n"),
    }
}
