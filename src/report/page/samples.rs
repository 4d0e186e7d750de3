//! Prompts and answers on a report's page: only where they are asked for, and only ever as text.
//!
//! Pure.

use std::fmt::Write as _;

use crate::report::chart::{escape, escape_block};

/// Longer texts are cut.
const MOST_CHARS: usize = 4_000;

/// One item with what was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Of which job.
    pub job_id: String,
    /// The item's name.
    pub custom_id: String,
    /// How it ended.
    pub status: String,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// That in words.
    pub message: Option<String>,
    /// The request body as it was given.
    pub prompt: Option<String>,
    /// The answer, accepted or last.
    pub answer: Option<String>,
}

pub(super) fn html(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let mut page = "<section><h2>Samples</h2>".to_owned();
    for sample in samples {
        let word = sample.reason.as_deref().unwrap_or(&sample.status);
        let class = if sample.reason.is_some() { "bad" } else { "good" };
        let head = format!(
            "<div class=\"sample\"><h3><bdi>{}</bdi> <span class=\"{class}\">{}</span> <span class=\"muted\">{}</span></h3>",
            escape(&sample.custom_id),
            escape(word),
            escape(&sample.job_id)
        );
        page += &head;
        let prompt = sample.prompt.as_deref().map(said);
        for (name, text) in [("verdict", &sample.message), ("prompt", &prompt), ("answer", &sample.answer)] {
            if let Some(text) = text {
                let text = escape_block(&cut(text));
                write!(page, "<h4>{name}</h4><pre dir=\"auto\">{text}</pre>").expect("a string takes all");
            }
        }
        page += "</div>";
    }
    page + "</section>\n"
}

/// What a request says, of any format we know; else the request as it is.
fn said(body: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let words = parsed.as_ref().and_then(|body| {
        let messages = body.get("messages").or_else(|| body.get("input")).or_else(|| body.get("contents"))?;
        Some(match messages {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(turns) => {
                turns.iter().map(turn).collect::<Option<Vec<_>>>()?.join("\n\n")
            }
            _ => return None,
        })
    });
    words.unwrap_or_else(|| body.to_owned())
}

/// `user: …`; nothing where it holds more than text.
fn turn(turn: &serde_json::Value) -> Option<String> {
    let role = turn.get("role").and_then(|role| role.as_str()).unwrap_or("user");
    let content = turn.get("content").or_else(|| turn.get("parts"))?;
    let text = match content {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(parts) => {
            parts.iter().map(|part| part.get("text")?.as_str()).collect::<Option<Vec<_>>>()?.join("\n")
        }
        _ => return None,
    };
    Some(format!("{role}: {text}"))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_as_what_it_says() {
        for (body, shown) in [
            (
                r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[{"type":"text","text":"Hi"}]}]}"#,
                "system: Be kind.\n\nuser: Hi",
            ),
            (r#"{"input":"Hello"}"#, "Hello"),
            (r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, "user: a"),
            (
                r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#,
                r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#,
            ),
            ("not json", "not json"),
        ] {
            assert_eq!(said(body), shown);
        }
    }

    #[test]
    fn nothing_in_a_sample_is_obeyed() {
        let evil = "</pre><script>alert(1)</script>\u{1b}[2J\u{202e}";
        let sample = Sample {
            custom_id: evil.into(),
            status: evil.into(),
            reason: Some(evil.into()),
            message: Some(evil.into()),
            prompt: Some(evil.into()),
            answer: Some(evil.repeat(1_000)),
            job_id: evil.into(),
        };
        let page = html(&[sample]);
        assert!(!page.contains("<script") && !page.contains(['\u{1b}', '\u{202e}']), "{page}");
        assert_eq!(page.matches("</pre>").count(), 3);
        assert!(page.len() < 40_000 && html(&[]).is_empty());
    }
}
