//! One item with the trail of its attempts, its prompt and its answer.
//!
//! Pure; the caller names the time zone.

use std::fmt::Display;

use chrono::TimeZone;
use serde::Serialize;

use crate::money::Usage;
use crate::report::row::{AttemptRow, ResultRow};
use crate::report::text::{block, count, latency, line, percent, table};

/// `overnight show --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Show {
    /// `overnight.show/1`.
    pub schema: &'static str,
    /// Of which job.
    pub job_id: String,
    /// The item's name.
    pub custom_id: String,
    /// Its final state, else where it is now.
    pub state: String,
    /// Its row; `None` while it has not ended, or its row is not in a part yet.
    pub result: Option<ResultRow>,
    /// Every attempt that is in a part, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// The request as it was given.
    pub prompt: Option<String>,
}

impl Show {
    /// `state` is what the ledger says of an item without a row.
    pub fn new(
        job_id: &str,
        custom_id: &str,
        state: &str,
        result: Option<ResultRow>,
        attempts: Vec<AttemptRow>,
        prompt: Option<String>,
    ) -> Show {
        let state = result.as_ref().map_or(state, |result| &result.status).to_owned();
        let (job_id, custom_id) = (job_id.to_owned(), custom_id.to_owned());
        Show { schema: "overnight.show/1", job_id, custom_id, state, result, attempts, prompt }
    }
}

/// As a terminal shows it.
pub fn render_show<Z: TimeZone>(show: &Show, zone: &Z) -> String
where
    Z::Offset: Display,
{
    let mut shown = headline(show) + "\n";
    if !show.attempts.is_empty() {
        shown += &indent(&trail(&show.attempts, zone));
    }
    let reason = show.result.as_ref().and_then(|result| result.error_code.as_deref());
    if let Some(reason) = reason.filter(|_| matches!(show.state.as_str(), "failed" | "expired")) {
        shown += &format!("  retry: overnight retry {} --reason {}\n", line(&show.job_id), line(reason));
    }
    if let Some(prompt) = &show.prompt {
        shown += &format!("\nprompt\n{}", block(prompt, "  "));
    }
    if let Some(answer) = show.result.as_ref().and_then(|result| result.output_text.as_deref()) {
        let word = if show.state == "succeeded" { "answer" } else { "last answer, not accepted" };
        shown += &format!("\n{word}\n{}", block(answer, "  "));
    }
    shown
}

fn headline(show: &Show) -> String {
    let result = show.result.as_ref();
    let reason = result.and_then(|result| result.error_code.as_deref());
    let state = match reason {
        Some(reason) => format!("{}: {}", show.state, line(reason)),
        None => show.state.clone(),
    };
    let n_attempts =
        result.map_or(show.attempts.len(), |result| usize::try_from(result.attempts).unwrap_or(0));
    let attempts = if n_attempts == 1 { "1 attempt".to_owned() } else { format!("{n_attempts} attempts") };
    let cost = result.map_or_else(|| show.attempts.iter().map(AttemptRow::cost).sum(), ResultRow::cost);
    let mut headline = format!("{}  {state}   {attempts}   {}", line(&show.custom_id), cost.precise());
    let usage = result.map_or_else(|| used(&show.attempts), |result| result.usage);
    if usage.cache_read > 0 {
        let share = percent(usage.cache_read, usage.input);
        headline += &format!("   {share} of {} tokens in from a cache", count(usage.input));
    }
    // An item can end for a reason of its own, such as its deadline, that no attempt shows.
    let message =
        result.and_then(|result| result.error_message.as_deref()).filter(|_| show.attempts.is_empty());
    if let Some(message) = message {
        headline += &format!("   {}", line(message));
    }
    headline
}

fn used(attempts: &[AttemptRow]) -> Usage {
    let mut all = Usage::default();
    attempts.iter().filter_map(|attempt| attempt.usage).for_each(|usage| all += usage);
    all
}

fn trail<Z: TimeZone>(attempts: &[AttemptRow], zone: &Z) -> String
where
    Z::Offset: Display,
{
    let local = |attempt: &AttemptRow| attempt.started_at.utc().with_timezone(zone);
    let first_day = local(&attempts[0]).date_naive();
    let one_day = attempts.iter().all(|attempt| local(attempt).date_naive() == first_day);
    let format = if one_day { "%H:%M:%S %Z" } else { "%m-%d %H:%M:%S %Z" };
    let rows = attempts.iter().map(|attempt| {
        vec![
            attempt.attempt.to_string(),
            local(attempt).format(format).to_string(),
            line(&attempt.route()),
            line(&attempt.price_window),
            line(&attempt.status),
            line(&why(attempt)),
            latency(attempt.duration_ms.max(0).unsigned_abs()),
            attempt.cost().precise(),
        ]
    });
    table(&[], rows, 6)
}

fn why(attempt: &AttemptRow) -> String {
    let code = attempt.error_code.as_deref().unwrap_or_default();
    match attempt.check_message.as_deref().or(attempt.error_message.as_deref()) {
        Some(message) if attempt.check_message.is_some() => message.to_owned(),
        Some(message) if !message.is_empty() => format!("{code}: {message}"),
        _ => code.to_owned(),
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn attempt(number: i16, at: &str, status: &str, message: &str) -> AttemptRow {
        AttemptRow {
            attempt: number,
            status: status.into(),
            error_code: Some("schema_mismatch".into()),
            error_message: Some(message.into()),
            check_message: Some(message.into()),
            provider: "deepseek".into(),
            request_model: "deepseek-flash".into(),
            lane: "realtime".into(),
            price_window: "off-peak".into(),
            started_at: at.parse().unwrap(),
            duration_ms: 1_900,
            cost_nano_usd: 178_000,
            ..AttemptRow::default()
        }
    }

    fn failed() -> Show {
        let result = ResultRow {
            status: "failed".into(),
            error_code: Some("schema_mismatch".into()),
            output_text: Some("{\"sentiment\":\n\t\"mixed\"}\u{1b}]0;title\u{7}".into()),
            attempts: 2,
            cost_nano_usd: 871_000,
            ..ResultRow::default()
        };
        let attempts = vec![
            attempt(1, "2026-11-21T23:59:58Z", "rejected", "/sentiment: \"meh\" is not one of pos, neg"),
            attempt(2, "2026-11-22T00:00:09Z", "rejected", "/sentiment: \u{202e}\"mixed\""),
        ];
        Show::new("job_01kb3v6m8d", "r-\u{1b}4711", "pending", Some(result), attempts, Some("{}".into()))
    }

    #[test]
    fn an_item_with_its_trail() {
        insta::assert_snapshot!(render_show(&failed(), &chrono::Utc));
    }

    #[test]
    fn what_was_read_from_a_cache_is_told() {
        let mut show = failed();
        let usage = Usage { input: 2_000, cache_read: 1_500, ..Usage::default() };
        show.result.as_mut().unwrap().usage = usage;
        let told = "$0.000871   75.0% of 2,000 tokens in from a cache";
        assert!(headline(&show).ends_with(told), "{}", headline(&show));
        show.result = None;
        show.attempts[1].usage = Some(usage);
        assert!(headline(&show).ends_with("75.0% of 2,000 tokens in from a cache"), "{}", headline(&show));
    }

    #[test]
    fn an_item_that_has_not_ended_shows_what_it_did() {
        let mut show = failed();
        show.attempts.truncate(1);
        let show = Show::new("job_a", "r-1", "pending", None, show.attempts, None);
        let shown = render_show(&show, &chrono::Utc);
        assert!(shown.starts_with("r-1  pending   1 attempt   $0.000178\n  1  23:59:58 UTC"), "{shown}");
    }

    #[test]
    fn an_item_that_was_never_sent_says_why() {
        let result = ResultRow {
            status: "expired".into(),
            error_code: Some("deadline".into()),
            error_message: Some("its deadline passed".into()),
            submitted_at: Timestamp::default(),
            ..ResultRow::default()
        };
        let shown = render_show(&Show::new("job_a", "r-1", "", Some(result), vec![], None), &chrono::Utc);
        assert!(
            shown.starts_with("r-1  expired: deadline   0 attempts   $0.000000   its deadline passed\n"),
            "{shown}"
        );
    }
}
