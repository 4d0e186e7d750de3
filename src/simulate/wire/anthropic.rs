//! Replies in Anthropic's format.
//!
//! Pure.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName};

use super::{Stamp, count, header, put, text};
use crate::attempt::{Finish, RateHints, RefusalKind};
use crate::clock::Timestamp;
use crate::money::Usage;
use crate::provider::simulated::{Answer, Content, Refusal};

pub(super) fn message(out: &mut Vec<u8>, tool: Option<&str>, stamp: Stamp, answer: &Answer) {
    let number = stamp.number;
    put(out, format_args!("{{\"id\":\"msg_sim_{number:x}\",\"type\":\"message\",\"role\":\"assistant\""));
    out.extend_from_slice(b",\"model\":");
    text(out, &answer.model);
    out.extend_from_slice(b",\"content\":[");
    match (&answer.content, tool) {
        (Content::Text(said), Some(name)) if answer.finish == Finish::Complete => {
            put(out, format_args!("{{\"type\":\"tool_use\",\"id\":\"toolu_sim_{number:x}\",\"name\":"));
            text(out, name);
            let input = if said.starts_with('{') { said } else { "{}" };
            put(out, format_args!(",\"input\":{input}}}"));
        }
        (Content::Text(said), _) if !said.is_empty() => {
            out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            text(out, said);
            out.push(b'}');
        }
        _ => {}
    }
    let reason = match answer.finish {
        Finish::Truncated => "max_tokens",
        // It has no word of its own for filters.
        Finish::Refusal | Finish::ContentFilter => "refusal",
        Finish::Complete if tool.is_some() => "tool_use",
        Finish::Complete | Finish::Empty => "end_turn",
    };
    put(out, format_args!("],\"stop_reason\":\"{reason}\",\"stop_sequence\":null"));
    if let Some(usage) = &answer.usage {
        let Usage { input, output, cache_read, cache_write, reasoning, .. } = *usage;
        let apart = input.saturating_sub(cache_read + cache_write);
        put(out, format_args!(",\"usage\":{{\"input_tokens\":{apart},\"output_tokens\":{output}"));
        put(out, format_args!(",\"cache_creation_input_tokens\":{cache_write}"));
        put(out, format_args!(",\"cache_read_input_tokens\":{cache_read}"));
        put(out, format_args!(",\"output_tokens_details\":{{\"thinking_tokens\":{reasoning}}}"));
        out.extend_from_slice(b",\"service_tier\":\"standard\"}");
    }
    out.push(b'}');
}

pub(super) fn error(refusal: &Refusal) -> Vec<u8> {
    let kind = match refusal.kind {
        RefusalKind::Auth => "authentication_error",
        RefusalKind::Rate | RefusalKind::NoCredit => "rate_limit_error",
        RefusalKind::Capacity => "overloaded_error",
        RefusalKind::Server => "api_error",
        RefusalKind::ModelGone => "not_found_error",
        RefusalKind::Invalid if refusal.status == 404 => "not_found_error",
        RefusalKind::Invalid | RefusalKind::TooLong | RefusalKind::Blocked => "invalid_request_error",
    };
    let mut out = Vec::with_capacity(256);
    put(&mut out, format_args!("{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":"));
    text(&mut out, &refusal.message);
    if refusal.kind == RefusalKind::NoCredit {
        out.extend_from_slice(b",\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}");
    }
    out.extend_from_slice(b"},\"request_id\":\"req_sim\"}");
    out
}

pub(super) fn write_hints(headers: &mut HeaderMap, hints: &RateHints, now: Timestamp) {
    count(headers, "anthropic-ratelimit-requests-limit", hints.limit_requests);
    count(headers, "anthropic-ratelimit-requests-remaining", hints.remaining_requests);
    count(headers, "anthropic-ratelimit-tokens-limit", hints.limit_tokens);
    count(headers, "anthropic-ratelimit-tokens-remaining", hints.remaining_tokens);
    let mut reset = |name: &'static str, reset: Option<Duration>| {
        if let Some(reset) = reset {
            headers.insert(HeaderName::from_static(name), header(&(now + reset).to_string()));
        }
    };
    reset("anthropic-ratelimit-requests-reset", hints.reset_requests);
    reset("anthropic-ratelimit-tokens-reset", hints.reset_tokens);
}
