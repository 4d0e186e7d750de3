//! [`ApiError`]: why a request was not done, as OpenAI's clients read it.
//!
//! ```json
//! {"error":{"message":"…","type":"invalid_request_error","param":"file","code":"no_requests"}}
//! ```
//!
//! What can be done later carries `retry-after`; causes inside this program go to the log, not out.

use std::time::Duration;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::store::StoreError;

/// After a full disk it is worth trying again in so long.
const DISK_PAUSE: Duration = Duration::from_secs(30);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: Option<String>,
    param: Option<String>,
    message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// With this status and message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, code: None, param: None, message: message.into(), retry_after: None }
    }

    /// The request makes no sense.
    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing, or it is someone else's: nobody can tell which.
    pub fn not_found(what: &str, id: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, format!("there is no {what} {id:?}")).code("not_found")
    }

    /// It cannot be done in the state things are in.
    pub fn conflict(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, message)
    }

    /// More than is taken.
    pub fn too_large(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).code("too_large")
    }

    /// Not now; again after a moment.
    pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> ApiError {
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).code("unavailable");
        ApiError { retry_after: Some(retry_after), ..error }
    }

    /// A fault of ours: the cause is logged, and only that there is one is told.
    pub fn internal(cause: impl std::fmt::Display) -> ApiError {
        tracing::error!("a request failed: {cause}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; the log says what")
            .code("internal")
    }

    /// The disk did not do what was asked of it.
    pub fn storage(error: &std::io::Error) -> ApiError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => {
                ApiError::unavailable("the disk is full", DISK_PAUSE).code("disk_full")
            }
            _ => ApiError::internal(error),
        }
    }

    /// With a word that programs compare.
    pub fn code(mut self, code: impl Into<String>) -> ApiError {
        self.code = Some(code.into());
        self
    }

    /// With the field that is wrong.
    pub fn param(mut self, param: impl Into<String>) -> ApiError {
        self.param = Some(param.into());
        self
    }

    /// OpenAI's error object.
    pub fn document(&self) -> Value {
        let ApiError { message, param, code, .. } = self;
        json!({ "error": { "message": message, "type": self.kind(), "param": param, "code": code } })
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// OpenAI's word for the kind of error.
    fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        match error {
            StoreError::DiskFull(_) => ApiError::unavailable(error.to_string(), DISK_PAUSE).code("disk_full"),
            _ => ApiError::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.document())).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}
