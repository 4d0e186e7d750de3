//! Gemini generateContent bodies as chat completions.
//!
//! Google's JSON takes every name in camelCase and in snake_case, so names are compared without case
//! and underscores.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Chat, Content, Format, Message, Part, no_counterpart, string};

type Fields<'a> = BTreeMap<String, &'a RawValue>;

pub(super) fn read(body: &[u8]) -> Result<Chat<'_>, String> {
    let fields: Fields<'_> =
        serde_json::from_slice(body).map_err(|error| format!("the body is not an object: {error}"))?;
    let mut chat = Chat::default();
    for (name, value) in &fields {
        match plain(name).as_str() {
            // The system prompt leads, wherever it stands in the body.
            "systeminstruction" => {
                let content = content(value)?.content;
                chat.messages.insert(0, Message { role: "system", content });
            }
            "contents" => turns(value, &mut chat)?,
            "generationconfig" => config(value, &mut chat)?,
            // Ours to decide.
            "model" | "servicetier" => {}
            _ => return Err(no_counterpart(name)),
        }
    }
    match chat.messages.last() {
        None | Some(Message { role: "system", .. }) => Err("`contents` is missing or empty".to_owned()),
        Some(Message { role: "assistant", .. }) => {
            Err("the last turn is the model's, and chat completions cannot continue it; end with a user turn"
                .to_owned())
        }
        Some(_) => Ok(chat),
    }
}

fn turns<'a>(value: &'a RawValue, chat: &mut Chat<'a>) -> Result<(), String> {
    // One content may stand for a list of one.
    let turns: Vec<&RawValue> = if value.get().starts_with('{') {
        vec![value]
    } else {
        serde_json::from_str(value.get()).map_err(|error| format!("`contents`: {error}"))?
    };
    for turn in turns {
        chat.messages.push(content(turn)?);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Turn<'a> {
    role: Option<String>,
    #[serde(borrow)]
    parts: &'a RawValue,
}

fn content(value: &RawValue) -> Result<Message<'_>, String> {
    let turn: Turn<'_> = serde_json::from_str(value.get()).map_err(|error| format!("`contents`: {error}"))?;
    let role = match turn.role.as_deref() {
        None | Some("user" | "system") => "user",
        Some("model") => "assistant",
        Some(other) => {
            return Err(format!("`contents`: role `{other}` has no counterpart in chat completions"));
        }
    };
    let parts: Vec<Fields<'_>> = if turn.parts.get().starts_with('{') {
        vec![serde_json::from_str(turn.parts.get()).map_err(|error| format!("`parts`: {error}"))?]
    } else {
        serde_json::from_str(turn.parts.get()).map_err(|error| format!("`parts`: {error}"))?
    };
    let parts: Vec<Part<'_>> = parts.into_iter().map(part).collect::<Result<_, _>>()?;
    if parts.is_empty() {
        return Err("`parts` is empty".to_owned());
    }
    Ok(Message { role, content: Content::of(parts) })
}

fn part(fields: Fields<'_>) -> Result<Part<'_>, String> {
    let mut only = None;
    for (name, value) in fields {
        let part = match plain(&name).as_str() {
            "text" if string(value).is_some() => Part::Text { text: value },
            "inlinedata" => inline(value)?,
            "thought" if value.get() == "false" => continue,
            _ => return Err(no_counterpart(&name)),
        };
        if only.replace(part).is_some() {
            return Err("a part of `parts` holds two things at once".to_owned());
        }
    }
    only.ok_or_else(|| "a part of `parts` is empty".to_owned())
}

#[derive(Deserialize)]
struct Inline {
    #[serde(alias = "mimeType")]
    mime_type: String,
    data: String,
}

fn inline(value: &RawValue) -> Result<Part<'_>, String> {
    let inline: Inline =
        serde_json::from_str(value.get()).map_err(|error| format!("`inlineData`: {error}"))?;
    Part::inline_image(&inline.mime_type, &inline.data)
}

fn config<'a>(value: &'a RawValue, chat: &mut Chat<'a>) -> Result<(), String> {
    let fields: Fields<'_> =
        serde_json::from_str(value.get()).map_err(|error| format!("`generationConfig`: {error}"))?;
    let mut mime = String::new();
    let mut schema = None;
    for (name, value) in fields {
        match plain(&name).as_str() {
            "temperature" => chat.temperature = Some(value),
            "topp" => chat.top_p = Some(value),
            "maxoutputtokens" => chat.max_completion_tokens = Some(value),
            "stopsequences" => chat.stop = Some(value),
            "candidatecount" => chat.n = Some(value),
            "seed" => chat.seed = Some(value),
            "presencepenalty" => chat.presence_penalty = Some(value),
            "frequencypenalty" => chat.frequency_penalty = Some(value),
            "responsemimetype" => mime = serde_json::from_str(value.get()).unwrap_or_default(),
            "responsejsonschema" => schema = Some(value.to_owned()),
            "responseschema" => schema = Some(json_schema(value)?),
            _ => return Err(no_counterpart(&name)),
        }
    }
    chat.response_format = match (mime.as_str(), schema) {
        ("" | "text/plain", None) => None,
        ("" | "application/json", Some(schema)) => Some(Format::schema(schema)),
        ("application/json", None) => Some(Format::JsonObject),
        (mime, _) => return Err(no_counterpart(&format!("responseMimeType {mime}"))),
    };
    Ok(())
}

/// Google's schema, a dialect of OpenAPI's, as JSON Schema.
fn json_schema(value: &RawValue) -> Result<Box<RawValue>, String> {
    let mut schema: Value =
        serde_json::from_str(value.get()).map_err(|error| format!("`responseSchema`: {error}"))?;
    modernize(&mut schema);
    serde_json::value::to_raw_value(&schema).map_err(|error| format!("`responseSchema`: {error}"))
}

/// `"type": "STRING", "nullable": true` is `"type": ["string", "null"]` in JSON Schema.
fn modernize(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("propertyOrdering");
    fields.remove("property_ordering");
    let nullable = fields.remove("nullable").is_some_and(|value| value == true);
    if let Some(kind) = fields.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase) {
        let kind = if nullable { serde_json::json!([kind, "null"]) } else { kind.into() };
        fields.insert("type".to_owned(), kind);
    }
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(modernize),
            ("anyOf" | "any_of" | "prefixItems", Value::Array(options)) => {
                options.iter_mut().for_each(modernize);
            }
            ("items", items) => modernize(items),
            _ => {}
        }
    }
}

/// A field's name without case and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|&c| c != '_').map(|c| c.to_ascii_lowercase()).collect()
}
