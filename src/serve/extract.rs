//! What handlers take out of a request: [`Json`] bodies and [`Query`] parameters, refused in the words
//! of [`ApiError`].

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::patience::Idle;
use crate::tenant::Caller;

/// The largest body that is not a file.
const MAX_BODY: usize = 16 << 20;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, ApiError> {
        let bytes = json_bytes(request).await?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Json(body)),
            Err(error) => {
                Err(ApiError::invalid(format!("the body cannot be read: {error}")).code("invalid_json"))
            }
        }
    }
}

/// A JSON body as it was written.
pub(super) struct RawJson(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<RawJson, ApiError> {
        json_bytes(request).await.map(RawJson)
    }
}

/// Parameters behind the `?`.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, ApiError> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(error) => Err(ApiError::invalid(error.body_text())),
        }
    }
}

/// Put there by the guard, which lets nobody in without one.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("a request came past the guard"))
    }
}

async fn json_bytes(request: Request) -> Result<Bytes, ApiError> {
    check_json(request.headers())?;
    read(request.into_body(), MAX_BODY).await
}

fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Pages of others can post anything else without being asked about it first.
    let kind = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "send JSON, and say so: `content-type: application/json`";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("not_json"));
    }
    refuse_packed(header(CONTENT_ENCODING))
}

/// What is packed may be far larger than it looks.
pub(super) fn refuse_packed(encoding: &str) -> Result<(), ApiError> {
    match encoding {
        "" | "identity" => Ok(()),
        packed => {
            let message = format!("bodies are taken as they are, not packed as {packed:?}");
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("packed"))
        }
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(broken_off(error.as_ref(), limit as u64)),
    }
}

/// Why a body did not come whole.
pub(super) fn broken_off(error: &(dyn std::error::Error + 'static), limit: u64) -> ApiError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ApiError::too_large(format!("the body is larger than {limit} bytes"));
        }
        if let Some(idle) = error.downcast_ref::<Idle>() {
            return ApiError::new(StatusCode::REQUEST_TIMEOUT, idle.to_string()).code("too_slow");
        }
        cause = error.source();
    }
    ApiError::invalid("the body broke off").code("broken_off")
}
