//! Anthropic Messages bodies as chat completions.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Chat, Content, Format, Message, Part, no_counterpart, string};

/// Fields that only say how to deliver or bill, which is ours to decide, or that are the default.
const DROPPED: [&str; 5] = ["model", "stream", "metadata", "service_tier", "cache_control"];

pub(super) fn read(body: &[u8]) -> Result<Chat<'_>, String> {
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|error| format!("the body is not an object: {error}"))?;
    let mut chat = Chat::default();
    // The system prompt leads, wherever it stands in the body.
    if let Some(system) = fields.get("system") {
        chat.messages.push(Message { role: "system", content: content(system)? });
    }
    for (name, value) in &fields {
        match name.as_str() {
            "system" => {}
            "messages" => turns(value, &mut chat)?,
            "max_tokens" => chat.max_completion_tokens = Some(value),
            "temperature" => chat.temperature = Some(value),
            "top_p" => chat.top_p = Some(value),
            "stop_sequences" => chat.stop = Some(value),
            "thinking" if parsed(value)["type"] == "disabled" => {}
            "output_config" => chat.response_format = Some(format_of_config(value)?),
            "output_format" => chat.response_format = Some(format(value)?),
            name if DROPPED.contains(&name) => {}
            name => return Err(no_counterpart(name)),
        }
    }
    match chat.messages.last() {
        None | Some(Message { role: "system", .. }) => Err("`messages` is missing or empty".to_owned()),
        Some(Message { role: "assistant", .. }) => Err(
            "the last turn is the assistant's, and chat completions cannot continue it; end with a user turn"
                .to_owned(),
        ),
        Some(_) => Ok(chat),
    }
}

#[derive(Deserialize)]
struct Turn<'a> {
    role: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

fn turns<'a>(value: &'a RawValue, chat: &mut Chat<'a>) -> Result<(), String> {
    let turns: Vec<Turn<'_>> =
        serde_json::from_str(value.get()).map_err(|error| format!("`messages`: {error}"))?;
    for turn in turns {
        let role = match turn.role.as_str() {
            "user" => "user",
            "assistant" => "assistant",
            "system" => "system",
            other => {
                return Err(format!("`messages`: role `{other}` has no counterpart in chat completions"));
            }
        };
        chat.messages.push(Message { role, content: content(turn.content)? });
    }
    Ok(())
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
}

fn content(value: &RawValue) -> Result<Content<'_>, String> {
    if let Some(text) = string(value) {
        return Ok(Content::Text(text));
    }
    let blocks: Vec<Block<'_>> =
        serde_json::from_str(value.get()).map_err(|error| format!("`content`: {error}"))?;
    let parts: Vec<Part<'_>> = blocks.into_iter().map(part).collect::<Result<_, _>>()?;
    if parts.is_empty() { Err("`content` is empty".to_owned()) } else { Ok(Content::of(parts)) }
}

fn part(block: Block<'_>) -> Result<Part<'_>, String> {
    match (block.kind.as_str(), block.text, block.source) {
        ("text", Some(text), _) if string(text).is_some() => Ok(Part::Text { text }),
        ("image", _, Some(Source { url: Some(url), .. })) => Ok(Part::image(url)),
        ("image", _, Some(Source { media_type: Some(mime), data: Some(data), .. })) => {
            Part::inline_image(&mime, &data)
        }
        (kind, ..) => Err(format!("`content`: a `{kind}` block has no counterpart in chat completions")),
    }
}

/// `output_config: {format: …}`; its other fields steer what chat completions cannot.
fn format_of_config(value: &RawValue) -> Result<Format, String> {
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(value.get()).map_err(|error| format!("`output_config`: {error}"))?;
    match fields.get("format") {
        Some(value) if fields.len() == 1 => format(value),
        _ => Err(no_counterpart("output_config")),
    }
}

#[derive(Deserialize)]
struct OutputFormat {
    #[serde(rename = "type")]
    kind: String,
    schema: Option<Box<RawValue>>,
}

fn format(value: &RawValue) -> Result<Format, String> {
    let format: OutputFormat =
        serde_json::from_str(value.get()).map_err(|error| format!("output format: {error}"))?;
    match (format.kind.as_str(), format.schema) {
        ("json_schema", Some(schema)) => Ok(Format::schema(schema)),
        (kind, _) => Err(no_counterpart(&format!("output format {kind}"))),
    }
}

fn parsed(value: &RawValue) -> Value {
    serde_json::from_str(value.get()).unwrap_or_default()
}
