//! A row of `results/1` and of `attempts/1` as a plain value.
//!
//! Fields have the names and the order of the columns; with `--json` they are printed as they are,
//! times as RFC 3339. What a column leaves null is `None`, and so is a text that was not read.
//!
//! Pure.

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::job::ItemIndex;
use crate::money::{Usage, Usd};

/// How one item ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns are described with their schema")]
pub struct ResultRow {
    pub job_id: String,
    pub custom_id: String,
    pub status: String,
    pub job_name: Option<String>,
    pub item_index: ItemIndex,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub finish_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_json: Option<String>,
    pub valid: Option<bool>,
    pub provider: Option<String>,
    pub request_model: Option<String>,
    pub response_model: Option<String>,
    pub lane: Option<String>,
    pub price_window: Option<String>,
    pub step: Option<i16>,
    pub attempts: i16,
    pub priority: i16,
    pub usage: Usage,
    pub cost_nano_usd: i64,
    pub list_cost_nano_usd: i64,
    pub cost_basis: String,
    #[serde(serialize_with = "rfc3339")]
    pub submitted_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    pub ended_at: Timestamp,
    #[serde(serialize_with = "maybe_rfc3339")]
    pub started_at: Option<Timestamp>,
    #[serde(serialize_with = "maybe_rfc3339")]
    pub deadline_at: Option<Timestamp>,
    pub deadline_met: Option<bool>,
    pub latency_ms: Option<i64>,
    #[serde(serialize_with = "object")]
    pub tags: Vec<(String, String)>,
    pub extra_json: Option<String>,
}

/// One upstream call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns are described with their schema")]
pub struct AttemptRow {
    pub attempt_id: String,
    pub job_id: String,
    pub custom_id: String,
    pub status: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub item_index: ItemIndex,
    pub attempt: i16,
    pub step: i16,
    pub http_status: Option<i16>,
    pub provider: String,
    pub request_model: String,
    pub response_model: Option<String>,
    pub endpoint: String,
    pub lane: String,
    pub price_window: String,
    pub price_id: String,
    pub upstream_request_id: Option<String>,
    pub finish_reason: Option<String>,
    pub check_message: Option<String>,
    pub escalation_reason: Option<String>,
    pub usage: Option<Usage>,
    pub input_price_usd_per_mtok: f64,
    pub output_price_usd_per_mtok: f64,
    pub cost_nano_usd: i64,
    pub list_cost_nano_usd: i64,
    pub cost_basis: String,
    #[serde(serialize_with = "rfc3339")]
    pub queued_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    pub ended_at: Timestamp,
    pub duration_ms: i64,
    pub retry_after_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json: Option<String>,
    pub extra_json: Option<String>,
}

impl ResultRow {
    /// What all its attempts cost.
    pub fn cost(&self) -> Usd {
        from_nano(self.cost_nano_usd)
    }

    /// Whether it got the answer of another item that asked the same.
    pub fn is_copy(&self) -> bool {
        self.extra_json.as_deref().is_some_and(|extra| extra.contains("\"copy_of\":"))
    }
}

impl AttemptRow {
    /// The tags of its item, which it carries in `extra_json`.
    pub fn tags(&self) -> Vec<(String, String)> {
        #[derive(Default, serde::Deserialize)]
        struct Extra {
            #[serde(default)]
            tags: std::collections::BTreeMap<String, String>,
        }
        let extra = self.extra_json.as_deref().filter(|extra| extra.contains("\"tags\""));
        let extra: Option<Extra> = extra.and_then(|extra| serde_json::from_str(extra).ok());
        extra.unwrap_or_default().tags.into_iter().collect()
    }

    /// What it cost.
    pub fn cost(&self) -> Usd {
        from_nano(self.cost_nano_usd)
    }

    /// The name of its route: `provider/model`, and the lane where it is not realtime.
    pub fn route(&self) -> String {
        match self.lane.as_str() {
            "realtime" => format!("{}/{}", self.provider, self.request_model),
            lane => format!("{}/{} {lane}", self.provider, self.request_model),
        }
    }
}

pub(super) fn from_nano(nano: i64) -> Usd {
    Usd::from_pico(i128::from(nano) * 1_000)
}

/// For times in printed JSON.
pub(super) fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// For times in printed JSON that may be missing.
pub(super) fn maybe_rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

fn object<S: Serializer>(tags: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(tags.iter().map(|(key, value)| (key, value)))
}
