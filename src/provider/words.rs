//! The vocabulary of refusals: what error codes, error types and, where those say nothing,
//! phrases of the message mean.
//!
//! One table serves every vendor, so that it also serves every gateway that passes a vendor's words
//! on; a vendor that means something else by a word says so in its quirks, which go first. Words that
//! only repeat the status, such as `invalid_request_error` or `server_error`, are left out: the status
//! says it better.
//!
//! Pure.

use crate::attempt::RefusalKind::{self, *};

/// What an `error.code` or `error.type` means; `None` where it says no more than the status.
pub(super) fn word(word: &str) -> Option<RefusalKind> {
    Some(match word {
        // Rate limits. Zhipu: 1302 own rate, 1303 frequency, 1304 today's calls, 1308 and 1310 the
        // quota of a window, 1313 fair use.
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "slow_down"
        | "RESOURCE_EXHAUSTED"
        | "Throttling"
        | "Throttling.RateQuota"
        | "Throttling.BurstRate"
        | "Throttling.AllocationQuota"
        | "ThrottlingException"
        | "ServiceQuotaExceededException"
        | "in_flight_budget_exhausted"
        | "1302"
        | "1303"
        | "1304"
        | "1308"
        | "1310"
        | "1313" => Rate,

        // No room. Groq: flex is full. Zhipu: 1305 platform overloaded, 1312 model busy.
        "server_is_overloaded"
        | "service_unavailable_error"
        | "overloaded_error"
        | "capacity_exceeded"
        | "resource_unavailable"
        | "provider_overloaded"
        | "UNAVAILABLE"
        | "ModelNotReadyException"
        | "ServiceUnavailableException"
        | "1305"
        | "1312" => Capacity,

        // OpenRouter's upstream never took the request, and OpenRouter bills nothing for it.
        "provider_unavailable" | "ModelErrorException" => Server,

        "insufficient_quota"
        | "credit_balance_exhausted"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "enforced_spend_limit_reached"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "billing_error"
        | "payment_required"
        | "Arrearage"
        | "1113" => NoCredit,

        "invalid_api_key"
        | "InvalidApiKey"
        | "authentication_error"
        | "authentication"
        | "permission_error"
        | "permission_denied"
        | "PERMISSION_DENIED"
        | "UNAUTHENTICATED"
        | "API_KEY_INVALID"
        | "AccessDenied"
        | "AccessDeniedException"
        | "account_deactivated"
        | "unsupported_country_region_territory"
        | "no_db_connection"
        | "1000"
        | "1001"
        | "1002"
        | "1003"
        | "1004"
        | "1005"
        | "1112"
        | "1121" => Auth,

        "model_not_found"
        | "ModelNotFound"
        | "model_not_available"
        | "model_decommissioned"
        | "invalid_model"
        | "DeploymentNotFound"
        | "not_found_error"
        | "NOT_FOUND"
        | "ResourceNotFoundException"
        | "not_supported_error"
        | "1211"
        | "1221" => ModelGone,

        "context_length_exceeded"
        | "max_tokens_exceeded"
        | "token_limit_exceeded"
        | "string_too_long"
        | "string_above_max_length"
        | "request_too_large"
        | "exceed_context_size_error"
        | "1261" => TooLong,

        "content_filter"
        | "content_policy_violation"
        | "ResponsibleAIPolicyViolation"
        | "data_inspection_failed"
        | "DataInspectionFailed"
        | "1301" => Blocked,

        "InvalidParameter" | "ValidationException" | "1210" | "1213" | "1214" => Invalid,
        _ => return None,
    })
}

/// Phrases that say more than the word beside them. Groq and OpenAI call a request that can never fit
/// the limit `rate_limit_exceeded`; DashScope names two different quotas alike.
const STRONGER_THAN_WORDS: [(&str, RefusalKind); 7] = [
    ("request too large for", TooLong),
    ("free allocated quota", NoCredit),
    ("free tier of the model has been exhausted", NoCredit),
    ("allocated quota exceeded, please increase", Rate),
    ("you have reached your specified", NoCredit),
    ("no endpoints found that support", Invalid),
    ("maximum context length", TooLong),
];

/// Phrases of vendors and gateways whose code is no more than the status; LiteLLM puts the name of a
/// class there.
const WEAKER_THAN_WORDS: [(&str, RefusalKind); 21] = [
    ("contextwindowexceedederror", TooLong),
    ("context length exceeded", TooLong),
    ("exceeds the context window", TooLong),
    ("exceed context limit", TooLong),
    ("prompt is too long", TooLong),
    ("input is too long", TooLong),
    ("exceeds the maximum number of tokens allowed", TooLong),
    ("range of input length should be", TooLong),
    ("contentpolicyviolationerror", Blocked),
    ("content_filter", Blocked),
    ("content management policy", Blocked),
    ("budgetexceedederror", NoCredit),
    // Gemini says the same of a rate.
    ("openaiexception - you exceeded your current quota", NoCredit),
    ("insufficient balance", NoCredit),
    ("credit balance is too low", NoCredit),
    ("api key not valid", Auth),
    ("user location is not supported", Auth),
    ("model not exist", ModelGone),
    ("is not a valid model id", ModelGone),
    ("invalid model name passed in model=", ModelGone),
    ("overloaded", Capacity),
];

/// What gateways say when the answer they waited for was lost or could not be read; it may have been billed.
/// LiteLLM says `Connection error.` also where nobody was there, which cannot be told apart.
const LOST_BEHIND: [&str; 6] = [
    "exception - connection error",
    "exception - expecting value",
    "invalid response from llm endpoint",
    "econnreset",
    "other side closed",
    "socket hang up",
];

/// Whether a gateway says that it lost the answer of who stands behind it.
pub(super) fn lost_behind(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    LOST_BEHIND.iter().any(|phrase| message.contains(phrase))
}

/// What a message says whatever code stands beside it.
pub(super) fn strong_phrase(message: &str) -> Option<RefusalKind> {
    find(&STRONGER_THAN_WORDS, message)
}

/// What a message says where no code does.
pub(super) fn weak_phrase(message: &str) -> Option<RefusalKind> {
    find(&WEAKER_THAN_WORDS, message)
}

fn find(phrases: &[(&str, RefusalKind)], message: &str) -> Option<RefusalKind> {
    let message = message.to_ascii_lowercase();
    phrases.iter().find(|(phrase, _)| message.contains(phrase)).map(|&(_, kind)| kind)
}
