//! What can come of one upstream call, sorted by what it means for the item and for the money.
//!
//! A provider adapter turns a response into an [`Outcome`]; the engine decides from it. The first
//! question is always what we know about the bill: nothing was sent, it was refused, it was
//! answered, or we will never know.
//!
//! Pure.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::money::{Usage, Usd};

/// How an upstream call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A complete answer that could be read. Billed.
    Answer(Answer),
    /// No byte of the request left: name lookup, connect or TLS failed. Not billed.
    NotSent {
        /// What failed.
        message: String,
    },
    /// A complete refusal. Presumed not billed.
    Refused(Refusal),
    /// The request may have been served: the connection broke, timed out, or a gateway gave up on its
    /// own upstream. May be billed.
    Unknown {
        /// What was seen.
        message: String,
        /// [`ErrorCode::Timeout`], [`ErrorCode::Network`] or [`ErrorCode::ServerError`].
        code: ErrorCode,
        /// The status line, where one was read.
        http_status: Option<u16>,
    },
    /// A success status whose body is not an answer: HTML, cut JSON, too large. May be billed.
    Garbage {
        /// What is wrong with it.
        message: String,
        /// The status line.
        http_status: u16,
        /// The first 64 KiB.
        body: Bytes,
    },
}

/// A complete answer, in one shape for every wire format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Text of the first choice; for embeddings the vectors as JSON. Lone surrogates become U+FFFD.
    pub text: String,
    /// Whether the provider says the answer is whole.
    pub finish: Finish,
    /// The provider's own word for it, such as `stop` or `end_turn`.
    pub finish_reason: Option<String>,
    /// Tokens as reported; `None` where the provider sent no usable usage.
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub response_model: Option<String>,
    /// The provider's name for the request, from header or body.
    pub request_id: Option<String>,
    /// The cost the provider states itself (OpenRouter `usage.cost`, LiteLLM header).
    pub reported_cost: Option<Usd>,
    /// The tier the provider says it served, where the request named one: `flex`, `default`.
    pub service_tier: Option<String>,
    /// The status line.
    pub http_status: u16,
    /// The body as it came.
    pub body: Bytes,
}

/// Whether an answer is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// The model said all it wanted to.
    #[default]
    Complete,
    /// It was cut off at the output limit.
    Truncated,
    /// The model declined.
    Refusal,
    /// A filter took it away.
    ContentFilter,
    /// A complete response with nothing in it.
    Empty,
}

/// A refusal and what it asks of us.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// The status line.
    pub http_status: u16,
    /// The provider's words, with our key scrubbed out.
    pub message: String,
    /// How long the provider asks us to wait; obeyed to the letter.
    pub retry_after: Option<Duration>,
    /// The provider's name for the request.
    pub request_id: Option<String>,
    /// The body, at most 64 KiB.
    pub body: Bytes,
}

/// What a refusal means: who is at fault, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// A rate limit of ours: wait, and learn.
    Rate,
    /// The provider has no room (overloaded, flex full): wait longer, another route helps.
    Capacity,
    /// The provider failed (500, 503 without a better word): retry.
    Server,
    /// Credit, balance or spend limit is used up: the account stops until a person acts.
    NoCredit,
    /// Key missing, wrong or not allowed: the account stops until a person acts.
    Auth,
    /// The model is unknown, retired or not granted: the route is dead.
    ModelGone,
    /// The prompt does not fit the context window: a larger window helps, a retry does not.
    TooLong,
    /// Blocked by policy: another model may answer, the same one will not.
    Blocked,
    /// The request itself is wrong: the item's error at once.
    Invalid,
}

/// Limits and remainders a provider states with a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHints {
    /// Requests per minute allowed.
    pub limit_requests: Option<u64>,
    /// Tokens per minute allowed.
    pub limit_tokens: Option<u64>,
    /// Requests left in the present window.
    pub remaining_requests: Option<u64>,
    /// Tokens left in the present window.
    pub remaining_tokens: Option<u64>,
    /// When the request window is full again.
    pub reset_requests: Option<Duration>,
    /// When the token window is full again.
    pub reset_tokens: Option<Duration>,
}

/// The end of one upstream call, as a driver reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// What came of it.
    pub outcome: Outcome,
    /// Limits the provider stated.
    pub hints: RateHints,
    /// When the first byte of the request left.
    pub sent_at: Timestamp,
}

/// Why an attempt or an item did not succeed; the words of CLI, API, Parquet and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// A rate limit.
    RateLimited,
    /// The provider has no room.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// No response in time.
    Timeout,
    /// Name lookup, connection or TLS.
    Network,
    /// Key missing, wrong or not allowed.
    Auth,
    /// Credit or quota used up.
    Quota,
    /// The request is wrong.
    BadRequest,
    /// Does not fit the context window.
    ContextLength,
    /// Blocked by policy.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// Cut off at the output limit.
    Truncated,
    /// Not JSON.
    NotJson,
    /// JSON that breaks the schema.
    SchemaMismatch,
    /// Text that does not match.
    RegexMismatch,
    /// Any other check.
    CheckFailed,
    /// A success status with nothing usable in it.
    BadResponse,
    /// A complete response with nothing in it.
    EmptyResponse,
    /// A provider batch ended without this line.
    BatchExpired,
    /// No route can take the item.
    NoRoute,
    /// Its own cap or the job's is reached.
    MaxCost,
    /// Its deadline passed.
    Deadline,
    /// Cancelled by the user.
    Cancelled,
    /// Sent, never answered, and sent again as often as allowed.
    OutcomeUnknown,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [ErrorCode; 25] = {
        use ErrorCode::*;
        [
            RateLimited,
            Overloaded,
            ServerError,
            Timeout,
            Network,
            Auth,
            Quota,
            BadRequest,
            ContextLength,
            ContentFilter,
            Refusal,
            Truncated,
            NotJson,
            SchemaMismatch,
            RegexMismatch,
            CheckFailed,
            BadResponse,
            EmptyResponse,
            BatchExpired,
            NoRoute,
            MaxCost,
            Deadline,
            Cancelled,
            OutcomeUnknown,
            Internal,
        ]
    };

    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::Overloaded => "overloaded",
            ErrorCode::ServerError => "server_error",
            ErrorCode::Timeout => "timeout",
            ErrorCode::Network => "network",
            ErrorCode::Auth => "auth",
            ErrorCode::Quota => "quota",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::ContextLength => "context_length",
            ErrorCode::ContentFilter => "content_filter",
            ErrorCode::Refusal => "refusal",
            ErrorCode::Truncated => "truncated",
            ErrorCode::NotJson => "not_json",
            ErrorCode::SchemaMismatch => "schema_mismatch",
            ErrorCode::RegexMismatch => "regex_mismatch",
            ErrorCode::CheckFailed => "check_failed",
            ErrorCode::BadResponse => "bad_response",
            ErrorCode::EmptyResponse => "empty_response",
            ErrorCode::BatchExpired => "batch_expired",
            ErrorCode::NoRoute => "no_route",
            ErrorCode::MaxCost => "max_cost",
            ErrorCode::Deadline => "deadline",
            ErrorCode::Cancelled => "cancelled",
            ErrorCode::OutcomeUnknown => "outcome_unknown",
            ErrorCode::Internal => "internal",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptStatus {
    /// Its answer was accepted.
    Succeeded,
    /// It was answered, and the answer was not accepted.
    Rejected,
    /// The provider refused, failed, or nothing was sent.
    Error,
    /// No response in time.
    Timeout,
    /// Given up by us.
    Cancelled,
    /// Sent, and we will never know; counted at its worst case.
    Unknown,
}

impl AttemptStatus {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptStatus::Succeeded => "succeeded",
            AttemptStatus::Rejected => "rejected",
            AttemptStatus::Error => "error",
            AttemptStatus::Timeout => "timeout",
            AttemptStatus::Cancelled => "cancelled",
            AttemptStatus::Unknown => "unknown",
        }
    }
}

/// Where a cost comes from, the most certain first: a sum is as certain as its least certain part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CostBasis {
    /// Nothing to pay.
    Free,
    /// Reported tokens times the catalog's price.
    Computed,
    /// The provider's own figure.
    Reported,
    /// Tokens by our count: the provider sent none, or we will never know the outcome.
    Estimated,
    /// No price is known.
    Unpriced,
}

impl CostBasis {
    /// The word users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            CostBasis::Computed => "computed",
            CostBasis::Reported => "reported",
            CostBasis::Estimated => "estimated",
            CostBasis::Free => "free",
            CostBasis::Unpriced => "unpriced",
        }
    }
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ItemStatus {
    /// An answer was accepted.
    Succeeded,
    /// Nothing that may be tried is left.
    Failed,
    /// Its deadline passed.
    Expired,
    /// The user cancelled it.
    Cancelled,
}

impl ItemStatus {
    /// Every final state.
    pub const ALL: [ItemStatus; 4] =
        [ItemStatus::Succeeded, ItemStatus::Failed, ItemStatus::Expired, ItemStatus::Cancelled];

    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemStatus::Succeeded => "succeeded",
            ItemStatus::Failed => "failed",
            ItemStatus::Expired => "expired",
            ItemStatus::Cancelled => "cancelled",
        }
    }
}
