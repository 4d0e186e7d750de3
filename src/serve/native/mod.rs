//! `/api/v1`: what the commands do, over HTTP.
//!
//! Every document is the one that a command prints with `--json`, made by the same code, so there is one
//! description of each. What is not the caller's is not there; what would read or run something of this
//! machine's cannot be asked for.
//!
//! | file | idea |
//! |---|---|
//! | `desk` | what requests share: rows of jobs, read without making work for the owner of the store |
//! | `jobs` | jobs as they are; pause, resume, cancel, retry |
//! | `rows` | items, attempts, results, the course of a job, reports |
//! | `post` | lines → a job, or what it would come to |
//! | `look` | models, windows, prices, spend |
//! | `openapi.json` | all of it described |

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use serde::Serialize;

use super::{ApiError, App, events};

mod desk;
mod jobs;
mod look;
mod post;
mod rows;

pub(super) use desk::Desk;

/// Every route with its methods, as [`OPENAPI`] describes them.
fn table() -> Vec<(&'static str, &'static [&'static str], MethodRouter<App>)> {
    vec![
        ("/api/v1/jobs", &["get", "post"], get(jobs::list).post(post::submit)),
        ("/api/v1/jobs/{job_id}", &["get"], get(jobs::one)),
        ("/api/v1/jobs/{job_id}/pause", &["post"], post(jobs::pause)),
        ("/api/v1/jobs/{job_id}/resume", &["post"], post(jobs::resume)),
        ("/api/v1/jobs/{job_id}/cancel", &["post"], post(jobs::cancel)),
        ("/api/v1/jobs/{job_id}/retry", &["post"], post(jobs::retry)),
        ("/api/v1/jobs/{job_id}/items", &["get"], get(rows::items)),
        ("/api/v1/jobs/{job_id}/items/{custom_id}", &["get"], get(rows::item)),
        ("/api/v1/jobs/{job_id}/attempts", &["get"], get(rows::attempts)),
        ("/api/v1/jobs/{job_id}/timeline", &["get"], get(rows::timeline)),
        ("/api/v1/jobs/{job_id}/results.parquet", &["get"], get(rows::results)),
        ("/api/v1/report", &["get"], get(rows::report)),
        ("/api/v1/plan", &["post"], post(post::plan)),
        ("/api/v1/routes", &["get"], get(look::routes)),
        ("/api/v1/windows", &["get"], get(look::windows)),
        ("/api/v1/prices", &["get"], get(look::prices)),
        ("/api/v1/spend", &["get"], get(look::spend)),
        ("/api/v1/dispatch", &["get"], get(look::dispatch)),
        ("/api/v1/events", &["get"], events::route()),
        ("/api/v1/openapi.json", &["get"], get(openapi)),
    ]
}

/// The description of this API.
const OPENAPI: &str = include_str!("openapi.json");

/// The routes of this folder.
pub(super) fn routes() -> Router<App> {
    table().into_iter().fold(Router::new(), |router, (path, _, methods)| router.route(path, methods))
}

/// A JSON document as a command prints it.
#[derive(Clone, Debug)]
struct Document(Bytes);

impl Document {
    fn of(data: &impl Serialize) -> Result<Document, ApiError> {
        serde_json::to_string(data).map(Document::from).map_err(ApiError::internal)
    }
}

impl From<String> for Document {
    fn from(text: String) -> Document {
        Document(text.into())
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

async fn openapi() -> Document {
    Document(Bytes::from_static(OPENAPI.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let openapi: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let methods = ["get", "post", "put", "patch", "delete"];
        let described: BTreeMap<&str, Vec<&str>> = openapi["paths"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, operations)| {
                let of = methods.into_iter().filter(|method| operations.get(method).is_some());
                (path.as_str(), of.collect())
            })
            .collect();
        let served: BTreeMap<&str, Vec<&str>> =
            table().into_iter().map(|(path, methods, _)| (path, methods.to_vec())).collect();
        assert_eq!(described, served);
    }
}
