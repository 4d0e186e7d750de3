//! Replies in OpenAI's formats.
//!
//! Pure.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::{DECLINED, Stamp, comma, count, header, put, text};
use crate::attempt::{Finish, RateHints};
use crate::money::Usage;
use crate::provider::simulated::{Answer, Content, Model, Refusal};

/// An error response.
pub(super) fn error(refusal: &Refusal) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put(&mut out, format_args!("{{\"error\":{{\"message\":"));
    text(&mut out, &refusal.message);
    put(&mut out, format_args!(",\"type\":\"{}\",\"param\":null,\"code\":", refusal.error_type));
    match refusal.code {
        Some(code) => put(&mut out, format_args!("\"{code}\"}}}}")),
        None => put(&mut out, format_args!("null}}}}")),
    }
    out
}

/// The list of models.
pub(in crate::simulate) fn models(models: &[Model]) -> Vec<u8> {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (i, model) in models.iter().enumerate() {
        put(&mut out, format_args!("{}{{\"id\":", comma(i)));
        text(&mut out, &model.name);
        put(&mut out, format_args!(",\"object\":\"model\",\"created\":0,\"owned_by\":\"simulated\"}}"));
    }
    out.extend_from_slice(b"]}");
    out
}

pub(super) fn chat(out: &mut Vec<u8>, tool: Option<&str>, stamp: Stamp, answer: &Answer) {
    let Stamp { number, created } = stamp;
    put(out, format_args!("{{\"id\":\"chatcmpl-sim-{number:x}\",\"object\":\"chat.completion\""));
    put(out, format_args!(",\"created\":{created},\"model\":"));
    text(out, &answer.model);
    out.extend_from_slice(b",\"choices\":[");
    let reason = match answer.finish {
        Finish::Truncated => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Complete if tool.is_some() => "tool_calls",
        Finish::Complete | Finish::Refusal | Finish::Empty => "stop",
    };
    for index in 0..answer.choices {
        let comma = comma(usize::from(index));
        put(
            out,
            format_args!("{comma}{{\"index\":{index},\"message\":{{\"role\":\"assistant\",\"content\":"),
        );
        match &answer.content {
            Content::Text(_) if answer.finish == Finish::Refusal => {
                put(out, format_args!("null,\"refusal\":\"{DECLINED}\""));
            }
            Content::Text(content) if reason == "tool_calls" => {
                put(
                    out,
                    format_args!("null,\"refusal\":null,\"tool_calls\":[{{\"id\":\"call_sim_{number:x}\""),
                );
                out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                text(out, tool.unwrap_or_default());
                out.extend_from_slice(b",\"arguments\":");
                text(out, content);
                out.extend_from_slice(b"}}]");
            }
            Content::Text(content) => {
                text(out, content);
                out.extend_from_slice(b",\"refusal\":null");
            }
            Content::Vectors(_) => out.extend_from_slice(b"null,\"refusal\":null"),
        }
        put(out, format_args!("}},\"logprobs\":null,\"finish_reason\":\"{reason}\"}}"));
    }
    out.push(b']');
    if let Some(usage) = &answer.usage {
        let Usage { input, output, cache_read, cache_write, reasoning, .. } = *usage;
        put(out, format_args!(",\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}"));
        put(out, format_args!(",\"total_tokens\":{}", input + output));
        put(out, format_args!(",\"prompt_tokens_details\":{{\"cached_tokens\":{cache_read}"));
        put(out, format_args!(",\"cache_write_tokens\":{cache_write}}}"));
        put(out, format_args!(",\"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}"));
    }
    put(out, format_args!(",\"service_tier\":\"{}\"}}", answer.tier.unwrap_or("default")));
}

pub(super) fn response(out: &mut Vec<u8>, tool: Option<&str>, stamp: Stamp, answer: &Answer) {
    let Stamp { number, created } = stamp;
    let cut_off = match answer.finish {
        Finish::Truncated => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        Finish::Complete | Finish::Refusal | Finish::Empty => None,
    };
    let status = if cut_off.is_some() { "incomplete" } else { "completed" };
    put(out, format_args!("{{\"id\":\"resp_sim_{number:x}\",\"object\":\"response\""));
    put(out, format_args!(",\"created_at\":{created},\"status\":\"{status}\",\"error\":null"));
    match cut_off {
        Some(reason) => put(out, format_args!(",\"incomplete_details\":{{\"reason\":\"{reason}\"}}")),
        None => out.extend_from_slice(b",\"incomplete_details\":null"),
    }
    out.extend_from_slice(b",\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,\"model\":");
    text(out, &answer.model);
    out.extend_from_slice(b",\"output\":[");
    match (&answer.content, tool) {
        (Content::Text(content), Some(name)) if answer.finish == Finish::Complete => {
            put(out, format_args!("{{\"id\":\"fc_sim_{number:x}\",\"type\":\"function_call\""));
            put(out, format_args!(",\"status\":\"completed\",\"call_id\":\"call_sim_{number:x}\",\"name\":"));
            text(out, name);
            out.extend_from_slice(b",\"arguments\":");
            text(out, content);
            out.push(b'}');
        }
        _ => output_message(out, status, number, answer),
    }
    out.push(b']');
    if let Some(usage) = &answer.usage {
        let Usage { input, output, cache_read, cache_write, reasoning, .. } = *usage;
        put(out, format_args!(",\"usage\":{{\"input_tokens\":{input},\"output_tokens\":{output}"));
        put(out, format_args!(",\"total_tokens\":{}", input + output));
        put(out, format_args!(",\"input_tokens_details\":{{\"cached_tokens\":{cache_read}"));
        put(out, format_args!(",\"cache_write_tokens\":{cache_write}}}"));
        put(out, format_args!(",\"output_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}"));
    }
    out.push(b'}');
}

fn output_message(out: &mut Vec<u8>, status: &str, number: u64, answer: &Answer) {
    put(out, format_args!("{{\"id\":\"msg_sim_{number:x}\",\"type\":\"message\""));
    put(out, format_args!(",\"status\":\"{status}\",\"role\":\"assistant\",\"content\":[{{"));
    match &answer.content {
        Content::Text(content) if answer.finish != Finish::Refusal => {
            out.extend_from_slice(b"\"type\":\"output_text\",\"text\":");
            text(out, content);
            out.extend_from_slice(b",\"annotations\":[]");
        }
        Content::Text(_) | Content::Vectors(_) => {
            put(out, format_args!("\"type\":\"refusal\",\"refusal\":\"{DECLINED}\""));
        }
    }
    out.extend_from_slice(b"}]}");
}

pub(super) fn embeddings(out: &mut Vec<u8>, base64: bool, answer: &Answer) {
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    if let Content::Vectors(vectors) = &answer.content {
        for index in 0..vectors.count {
            let comma = comma(index);
            put(out, format_args!("{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":"));
            if base64 {
                out.push(b'"');
                let bytes: Vec<u8> = vectors.row(index).flat_map(f32::to_le_bytes).collect();
                to_base64(&bytes, out);
                out.extend_from_slice(b"\"}");
            } else {
                out.push(b'[');
                for (i, number) in vectors.row(index).enumerate() {
                    put(out, format_args!("{}{number}", self::comma(i)));
                }
                out.extend_from_slice(b"]}");
            }
        }
    }
    out.extend_from_slice(b"],\"model\":");
    text(out, &answer.model);
    if let Some(usage) = &answer.usage {
        let input = usage.input;
        put(out, format_args!(",\"usage\":{{\"prompt_tokens\":{input},\"total_tokens\":{input}}}"));
    }
    out.push(b'}');
}

fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit > three.len() { b'=' } else { DIGITS[index as usize] });
        }
    }
}

/// States the limits as OpenAI does.
pub(super) fn write_hints(headers: &mut HeaderMap, hints: &RateHints) {
    count(headers, "x-ratelimit-limit-requests", hints.limit_requests);
    count(headers, "x-ratelimit-limit-tokens", hints.limit_tokens);
    count(headers, "x-ratelimit-remaining-requests", hints.remaining_requests);
    count(headers, "x-ratelimit-remaining-tokens", hints.remaining_tokens);
    let resets = [
        ("x-ratelimit-reset-requests", hints.reset_requests),
        ("x-ratelimit-reset-tokens", hints.reset_tokens),
    ];
    for (name, reset) in resets {
        if let Some(reset) = reset {
            headers.insert(HeaderName::from_static(name), header(&go_duration(reset)));
        }
    }
}

/// States how long to wait, to the millisecond for those who read that.
pub(super) fn write_retry_after(headers: &mut HeaderMap, wait: Duration) {
    let millis = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    headers.insert("retry-after", HeaderValue::from(millis.div_ceil(1_000)));
    headers.insert("retry-after-ms", HeaderValue::from(millis));
}

/// As Go prints durations, rounded up to milliseconds: `20ms`, `7.66s`, `2m59.56s`.
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_micros().div_ceil(1_000);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    match (minutes, rest) {
        (0, 0..1_000) => format!("{millis}ms"),
        (0, _) => format!("{}s", rest as f64 / 1_000.0),
        _ => format!("{minutes}m{}s", rest as f64 / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        let cases: [(&[u8], &str); 4] =
            [(b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo\xff", "Zm9v/w==")];
        for (bytes, expected) in cases {
            let mut out = Vec::new();
            to_base64(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        let cases = [
            (0, "0ms"),
            (20_000, "20ms"),
            (7_660_000, "7.66s"),
            (60_000_000, "1m0s"),
            (179_559_001, "2m59.56s"),
        ];
        for (micros, expected) in cases {
            assert_eq!(go_duration(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn a_wait_is_never_stated_too_short() {
        let mut headers = HeaderMap::new();
        write_retry_after(&mut headers, Duration::from_micros(1_500_001));
        assert_eq!((&headers["retry-after"], &headers["retry-after-ms"]), (&header("2"), &header("1501")));
    }
}
