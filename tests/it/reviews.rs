//! A job file of made-up reviews, as many as a test wants.

use std::fmt::Write;
use std::path::Path;

const SCHEMA: &str = r#"{"type":"object","properties":{"sentiment":{"type":"string","enum":["pos","neg","neutral"]},"confidence":{"type":"number","minimum":0,"maximum":1}},"required":["sentiment","confidence"],"additionalProperties":false}"#;

/// The `custom_id` of an item.
pub(crate) fn name(item: i64) -> String {
    format!("review-{item:05}")
}

/// Writes `reviews.jsonl`, OpenAI batch lines, and `review.schema.json`.
pub(crate) fn write(folder: &Path, n: i64) {
    let mut lines = String::new();
    for item in 0..n {
        // Of many lengths, so that costs differ.
        let praise = "It does what it should. ".repeat(item as usize % 17 + 1);
        writeln!(
            lines,
            r#"{{"custom_id":"{}","method":"POST","url":"/v1/chat/completions","body":{{"max_completion_tokens":80,"messages":[{{"role":"user","content":"Judge this review of kettle no. {item}: {praise}"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"review","strict":true,"schema":{SCHEMA}}}}}}}}}"#,
            name(item),
        )
        .unwrap();
    }
    std::fs::write(folder.join("reviews.jsonl"), lines).unwrap();
    std::fs::write(folder.join("review.schema.json"), SCHEMA).unwrap();
}
