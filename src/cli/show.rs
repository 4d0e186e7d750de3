//! `overnight show JOB ITEM`: one item with its attempts, prompt, answer and costs.
//!
//! The rows come from wherever they are by then, the journal or Parquet; here they are only shown.
//!
//! Pure.

use serde::Serialize;

use super::escape;
use super::format::{self, counted};
use super::style::{Align, Line, Paint, table};
use super::words::Setting;
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::money::Usd;
use crate::record::Ended;

/// One item as it is shown, and with `--json` printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemDetail {
    /// Its job.
    pub job_id: JobId,
    /// The user's name for it.
    pub custom_id: String,
    /// Its state's word: `pending`, `failed`.
    pub state: String,
    /// Why it did not succeed: code and message.
    pub error: Option<(String, String)>,
    /// What all its attempts cost, USD.
    pub cost_usd: f64,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptDetail>,
    /// The request as the user gave it.
    pub request: Option<String>,
    /// Text of the accepted answer, or of the last one there was.
    pub answer: Option<String>,
}

/// One attempt as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptDetail {
    /// Which of the item, from 1.
    pub number: u16,
    /// When it was sent.
    pub started_at: Timestamp,
    /// `provider/model`.
    pub route: String,
    /// Price window.
    pub price_window: String,
    /// How it ended.
    pub status: String,
    /// Why it did not succeed: code and message.
    pub error: Option<(String, String)>,
    /// From sending to its end.
    pub latency_ms: u64,
    /// What it cost, USD.
    pub cost_usd: f64,
    /// Where that comes from.
    pub cost_basis: String,
}

impl From<&Ended> for AttemptDetail {
    fn from(ended: &Ended) -> AttemptDetail {
        let error = ended.error.as_ref();
        AttemptDetail {
            number: ended.number,
            started_at: ended.started_at,
            route: format!("{}/{}", ended.route.provider, ended.route.model),
            price_window: ended.route.window.to_string(),
            status: ended.status.as_str().to_owned(),
            error: error.map(|(code, message)| (code.as_str().to_owned(), message.clone())),
            latency_ms: ended.ended_at.since(ended.started_at).as_millis() as u64,
            cost_usd: ended.cost.as_f64(),
            cost_basis: ended.cost_basis.as_str().to_owned(),
        }
    }
}

/// The item for people; the request and the answer in full, made safe to print.
pub fn render(item: &ItemDetail, setting: &Setting) -> Vec<Line> {
    let mut lines = vec![headline(item)];
    let attempts =
        table(&HEADINGS, &item.attempts.iter().map(|attempt| row(attempt, setting)).collect::<Vec<_>>());
    // A heading over a handful of lines would say less than they do.
    lines.extend(attempts.into_iter().skip(1));
    lines.extend(text("request", item.request.as_deref()));
    lines.extend(text("answer", item.answer.as_deref()));
    lines.extend(next_step(item));
    lines
}

const HEADINGS: [(&str, Align); 8] = [
    ("", Align::Right),
    ("", Align::Left),
    ("", Align::Left),
    ("", Align::Left),
    ("", Align::Left),
    ("", Align::Left),
    ("", Align::Right),
    ("", Align::Right),
];

fn headline(item: &ItemDetail) -> Line {
    let paint = match item.state.as_str() {
        "succeeded" => Paint::Good,
        "failed" | "expired" => Paint::Bad,
        _ => Paint::Plain,
    };
    let reason = item.error.as_ref().map_or(String::new(), |(code, _)| format!(": {code}"));
    let attempts = counted(item.attempts.len() as u64, "attempt");
    Line::new()
        .add(Paint::Strong, &item.custom_id)
        .add(paint, format!("  {}{reason}", item.state))
        .text(format!("   {attempts}   {}", precise(item.cost_usd)))
}

fn row(attempt: &AttemptDetail, setting: &Setting) -> Vec<(Paint, String)> {
    let why = attempt.error.as_ref().map_or(String::new(), |(code, message)| match message.is_empty() {
        true => code.clone(),
        false => escape::short(message, 80),
    });
    let paint = if attempt.status == "succeeded" { Paint::Good } else { Paint::Warn };
    vec![
        (Paint::Plain, format!("  {}", attempt.number)),
        (Paint::Faint, format::second(attempt.started_at, setting.zone)),
        (Paint::Name, attempt.route.clone()),
        (Paint::Faint, attempt.price_window.clone()),
        (paint, attempt.status.clone()),
        (Paint::Plain, why),
        (Paint::Plain, format::latency(attempt.latency_ms)),
        (Paint::Plain, cost(attempt)),
    ]
}

/// An estimate is marked, so that nobody looks for it on a bill.
fn cost(attempt: &AttemptDetail) -> String {
    let mark = if attempt.cost_basis == "estimated" { "~" } else { "" };
    format!("{mark}{}", precise(attempt.cost_usd))
}

fn precise(amount: f64) -> String {
    Usd::from_pico((amount * 1e12).round() as i128).precise()
}

fn text(title: &str, text: Option<&str>) -> Vec<Line> {
    let Some(text) = text else { return Vec::new() };
    let heading = Line::new().add(Paint::Faint, format!("  {title}"));
    let body = escape::block(text);
    let body = body.split('\n').map(|line| Line::new().text(format!("    {}", line.replace('\t', "    "))));
    std::iter::once(heading).chain(body).collect()
}

fn next_step(item: &ItemDetail) -> Option<Line> {
    let (code, _) = item.error.as_ref().filter(|_| matches!(item.state.as_str(), "failed" | "expired"))?;
    let retry = format!("  retry: overnight retry {} --reason {code} --model PROVIDER/MODEL", item.job_id);
    Some(Line::new().add(Paint::Faint, retry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Zone;
    use crate::cli::{samples, style};

    fn attempt(
        number: u16,
        time: &str,
        route: &str,
        said: &str,
        latency_ms: u64,
        cost_usd: f64,
    ) -> AttemptDetail {
        AttemptDetail {
            number,
            started_at: samples::at(&format!("2026-11-20T{time}Z")),
            route: route.into(),
            price_window: "off-peak".into(),
            status: "rejected".into(),
            error: Some((
                "schema_mismatch".into(),
                format!("/sentiment: \"{said}\" is not one of pos, neg, neutral"),
            )),
            latency_ms,
            cost_usd,
            cost_basis: "computed".into(),
        }
    }

    fn failed() -> ItemDetail {
        ItemDetail {
            job_id: JobId::new("job_01kb3v6m8d"),
            custom_id: "r-4711".into(),
            state: "failed".into(),
            error: Some(("schema_mismatch".into(), String::new())),
            cost_usd: 0.000_871,
            attempts: vec![
                attempt(1, "10:02:11", "deepseek/deepseek-flash", "meh", 1_900, 0.000_178),
                attempt(2, "10:02:19", "deepseek/deepseek-v4-pro", "mixed", 4_200, 0.000_693),
            ],
            request: None,
            answer: None,
        }
    }

    fn shown(item: &ItemDetail) -> String {
        style::print(&render(item, &Setting { now: samples::now(), zone: Zone::utc() }), 200, false)
    }

    #[test]
    fn a_failed_item() {
        insta::assert_snapshot!(shown(&failed()), @r#"
        r-4711  failed: schema_mismatch   2 attempts   $0.000871
          1  10:02:11 UTC  deepseek/deepseek-flash   off-peak  rejected  /sentiment: "meh" is not one of pos, neg, neutral    1.9s  $0.000178
          2  10:02:19 UTC  deepseek/deepseek-v4-pro  off-peak  rejected  /sentiment: "mixed" is not one of pos, neg, neutral  4.2s  $0.000693
          retry: overnight retry job_01kb3v6m8d --reason schema_mismatch --model PROVIDER/MODEL
        "#);
    }

    #[test]
    fn an_item_with_prompt_and_answer_that_cannot_command_the_terminal() {
        let mut item = failed();
        item.state = "succeeded".into();
        item.error = None;
        item.attempts.truncate(1);
        item.attempts[0].cost_basis = "estimated".into();
        item.request = Some("{\"prompt\":\"hi\"}".into());
        item.answer = Some("two\nlines\t\u{1b}[2J".into());
        insta::assert_snapshot!(shown(&item), @r#"
        r-4711  succeeded   1 attempt   $0.000871
          1  10:02:11 UTC  deepseek/deepseek-flash  off-peak  rejected  /sentiment: "meh" is not one of pos, neg, neutral  1.9s  ~$0.000178
          request
            {"prompt":"hi"}
          answer
            two
            lines    \x1b[2J
        "#);
    }
}
