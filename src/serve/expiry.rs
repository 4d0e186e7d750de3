//! `expires_after`: how long a file is kept, as OpenAI's clients write it.
//!
//! Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// OpenAI's bounds: an hour to thirty days.
const BOUNDS: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;

/// In a JSON body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExpiresAfter {
    anchor: String,
    seconds: u64,
}

impl ExpiresAfter {
    /// Checked.
    pub(super) fn checked(&self) -> Result<Duration, ApiError> {
        checked(&self.anchor, Some(self.seconds))
    }
}

/// In the fields of a form.
pub(super) fn of_fields(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<Duration>, ApiError> {
    match (anchor, seconds) {
        (None, None) => Ok(None),
        (anchor, seconds) => {
            checked(anchor.unwrap_or_default(), seconds.and_then(|text| text.parse().ok())).map(Some)
        }
    }
}

fn checked(anchor: &str, seconds: Option<u64>) -> Result<Duration, ApiError> {
    if anchor != "created_at" {
        return Err(ApiError::invalid("expires_after.anchor is `created_at`").param("expires_after"));
    }
    match seconds.filter(|seconds| BOUNDS.contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => {
            let message =
                format!("expires_after.seconds is a number from {} to {}", BOUNDS.start(), BOUNDS.end());
            Err(ApiError::invalid(message).param("expires_after"))
        }
    }
}
