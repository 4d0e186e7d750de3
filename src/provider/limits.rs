//! What response headers say about limits: [`hints`] for every response, [`retry_after`] for refusals.
//!
//! Providers write the same few numbers in many dialects: Go durations (`6m0s`, `20ms`), bare
//! seconds, Unix times, RFC 3339, and `None` spelled out by gateways that had nothing to say. A value
//! that cannot be read is a value that was not sent.
//!
//! Pure: moments in time become durations with the `now` that is passed in.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::HeaderMap;

use crate::attempt::RateHints;
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;

/// Nobody means a longer wait than this; it keeps sums of times in range.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// Numbers from here on are Unix times in seconds, not seconds to wait.
const FIRST_UNIX_SECONDS: f64 = 1e9;

/// Numbers from here on are Unix times in milliseconds.
const FIRST_UNIX_MILLIS: f64 = 1e12;

/// Limits, remainders and resets as the provider states them; its own headers go before those a
/// gateway passes on from upstream (LiteLLM's `llm_provider-…`).
pub fn hints(headers: &HeaderMap, quirks: &Quirks, now: Timestamp) -> RateHints {
    let mut own = RateHints::default();
    let mut upstream = RateHints::default();
    let mut input_tokens = RateHints::default();
    for (name, value) in headers {
        let (name, hints) = match name.as_str().strip_prefix("llm_provider-") {
            Some(name) => (name, &mut upstream),
            None => (name.as_str(), &mut own),
        };
        let Ok(value) = value.to_str() else { continue };
        if let Some(field) = name.strip_prefix("x-ratelimit-") {
            note_openai(hints, field, value, now);
        } else if let Some(field) = name.strip_prefix("anthropic-ratelimit-") {
            note_anthropic(hints, &mut input_tokens, field, value, now);
        }
    }
    let mut all = first_known(first_known(own, upstream), input_tokens);
    if quirks.requests_per_day {
        // A day's ceiling is no ceiling for a minute; what is left of it and when it returns still holds.
        all.limit_requests = None;
    }
    all
}

fn note_openai(hints: &mut RateHints, field: &str, value: &str, now: Timestamp) {
    match field {
        "limit-requests" => hints.limit_requests = count(value),
        "limit-tokens" => hints.limit_tokens = count(value),
        "remaining-requests" => hints.remaining_requests = count(value),
        "remaining-tokens" => hints.remaining_tokens = count(value),
        "reset-requests" => hints.reset_requests = wait(value, now),
        "reset-tokens" => hints.reset_tokens = wait(value, now),
        // OpenRouter's own: its limit counts a minute or a day, so only the remainder is of use.
        "remaining" => hints.remaining_requests = count(value),
        "reset" => hints.reset_requests = wait(value, now),
        _ => {}
    }
}

fn note_anthropic(
    hints: &mut RateHints,
    input_tokens: &mut RateHints,
    field: &str,
    value: &str,
    now: Timestamp,
) {
    match field {
        "requests-limit" => hints.limit_requests = count(value),
        "requests-remaining" => hints.remaining_requests = count(value),
        "requests-reset" => hints.reset_requests = wait(value, now),
        "tokens-limit" => hints.limit_tokens = count(value),
        "tokens-remaining" => hints.remaining_tokens = count(value),
        "tokens-reset" => hints.reset_tokens = wait(value, now),
        "input-tokens-limit" => input_tokens.limit_tokens = count(value),
        "input-tokens-remaining" => input_tokens.remaining_tokens = count(value),
        "input-tokens-reset" => input_tokens.reset_tokens = wait(value, now),
        _ => {}
    }
}

fn first_known(a: RateHints, b: RateHints) -> RateHints {
    RateHints {
        limit_requests: a.limit_requests.or(b.limit_requests),
        limit_tokens: a.limit_tokens.or(b.limit_tokens),
        remaining_requests: a.remaining_requests.or(b.remaining_requests),
        remaining_tokens: a.remaining_tokens.or(b.remaining_tokens),
        reset_requests: a.reset_requests.or(b.reset_requests),
        reset_tokens: a.reset_tokens.or(b.reset_tokens),
    }
}

/// How long the headers ask us to wait: `retry-after-ms` before `retry-after`, which is seconds with
/// decimals or an HTTP date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"].into_iter().find_map(|name| {
        let millis: f64 = text(name)?.parse().ok()?;
        seconds(millis / 1000.0)
    });
    millis.or_else(|| {
        let value = text("retry-after")?;
        match value.parse::<f64>() {
            Ok(number) => seconds(number),
            // The format of HTTP dates is one that RFC 2822 allows.
            Err(_) => Some(until(DateTime::parse_from_rfc2822(value).ok()?.to_utc().into(), now)),
        }
    })
}

/// A reset value as a wait: a duration, a number of seconds, a Unix time or RFC 3339.
pub fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(number) = value.parse::<f64>() {
        return match number {
            FIRST_UNIX_MILLIS.. => Some(until(Timestamp::from_micros((number * 1e3) as i64), now)),
            FIRST_UNIX_SECONDS.. => Some(until(Timestamp::from_micros((number * 1e6) as i64), now)),
            _ => seconds(number),
        };
    }
    go_duration(value).or_else(|| Some(until(value.parse().ok()?, now)))
}

/// A Go duration: `1h2m3s`, `7.66s`, `20ms`; days too, which Go does not write but others do.
pub fn go_duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    if text.is_empty() { None } else { seconds(total) }
}

fn count(value: &str) -> Option<u64> {
    let value = value.trim();
    value.parse().ok().or_else(|| {
        let number: f64 = value.parse().ok()?;
        (0.0..1e15).contains(&number).then_some(number as u64)
    })
}

fn seconds(number: f64) -> Option<Duration> {
    if number.is_nan() {
        return None;
    }
    Some(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

fn until(moment: Timestamp, now: Timestamp) -> Duration {
    moment.since(now).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(header).collect()
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn millis(number: u64) -> Option<Duration> {
        Some(Duration::from_millis(number))
    }

    #[test]
    fn resets_are_read_in_every_dialect() {
        for (value, expected) in [
            ("20ms", millis(20)),
            ("1s", millis(1_000)),
            ("6m0s", millis(360_000)),
            ("7.66s", millis(7_660)),
            ("2m59.56s", millis(179_560)),
            ("1h2m3s", millis(3_723_000)),
            ("1d", millis(86_400_000)),
            ("60", millis(60_000)),
            ("0.25", millis(250)),
            ("-3", millis(0)),
            ("1795262460", millis(60_000)),
            ("1795262460000", millis(60_000)),
            ("1795262399", millis(0)),
            ("2026-11-21T12:00:30Z", millis(30_000)),
            ("2026-11-21T13:00:30+01:00", millis(30_000)),
            ("1e8", Some(LONGEST_WAIT)),
            ("None", None),
            ("", None),
            ("5 parsecs", None),
            ("5", millis(5_000)),
            ("m5", None),
            ("NaN", None),
        ] {
            assert_eq!(wait(value, now()), expected, "{value:?}");
        }
    }

    #[test]
    fn retry_after_prefers_milliseconds() {
        for (pairs, expected) in [
            (
                &[("retry-after", "2"), ("retry-after-ms", "1500.5")][..],
                Some(Duration::from_micros(1_500_500)),
            ),
            (&[("retry-after", "2"), ("x-ms-retry-after-ms", "300")], millis(300)),
            (&[("retry-after", "0.5")], millis(500)),
            (&[("retry-after", "86400")], millis(86_400_000)),
            (&[("retry-after", "Sat, 21 Nov 2026 12:00:07 GMT")], millis(7_000)),
            (&[("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT")], millis(0)),
            (&[("retry-after", "-1")], millis(0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after-ms", "None"), ("retry-after", "3")], millis(3_000)),
            (&[], None),
        ] {
            assert_eq!(retry_after(&headers(pairs), now()), expected, "{pairs:?}");
        }
    }

    #[test]
    fn openai_headers_become_hints() {
        let said = headers(&[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-limit-tokens", "4000000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-remaining-tokens", "3999000"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = RateHints {
            limit_requests: Some(5_000),
            limit_tokens: Some(4_000_000),
            remaining_requests: Some(4_999),
            remaining_tokens: Some(3_999_000),
            reset_requests: millis(12),
            reset_tokens: millis(360_000),
        };
        assert_eq!(hints(&said, &Quirks::default(), now()), expected);
    }

    #[test]
    fn a_ceiling_for_a_day_is_none_for_a_minute() {
        let said = headers(&[
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-limit-tokens", "6000"),
        ]);
        let groq = Quirks { requests_per_day: true, ..Quirks::default() };
        let hints = hints(&said, &groq, now());
        assert_eq!((hints.limit_requests, hints.limit_tokens), (None, Some(6_000)));
        assert_eq!(hints.remaining_requests, Some(0));
    }

    #[test]
    fn upstream_headers_of_a_gateway_fill_what_it_does_not_say_itself() {
        let said = headers(&[
            ("x-ratelimit-remaining-tokens", "10"),
            ("llm_provider-x-ratelimit-remaining-tokens", "99"),
            ("llm_provider-x-ratelimit-reset-tokens", "2s"),
            ("x-ratelimit-limit-requests", "None"),
            ("llm_provider-x-ratelimit-limit-requests", "60"),
        ]);
        let hints = hints(&said, &Quirks::default(), now());
        assert_eq!((hints.remaining_tokens, hints.reset_tokens), (Some(10), millis(2_000)));
        assert_eq!(hints.limit_requests, Some(60));
    }

    #[test]
    fn anthropic_headers_become_hints() {
        let said = headers(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T12:00:20Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "29000"),
            ("anthropic-ratelimit-tokens-remaining", "40000"),
        ]);
        let hints = hints(&said, &Quirks::default(), now());
        assert_eq!((hints.limit_requests, hints.reset_requests), (Some(50), millis(20_000)));
        assert_eq!((hints.limit_tokens, hints.remaining_tokens), (Some(30_000), Some(40_000)));
    }
}
