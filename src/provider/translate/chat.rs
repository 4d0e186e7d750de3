//! OpenAI chat completions: read into an [`Ask`], and written from one.
//!
//! Pure.

use super::ask::{
    Ask, Call, Fields, Format, Image, Part, Role, Tool, ToolChoice, elements, fields, joined, not_zero,
    only_there, some, string, strings, text,
};
use super::json::{self, Json, Object, list, quoted};
use crate::catalog::endpoint::Quirks;

const FORMAT: &str = "chat completions";

/// Fields that only say how to deliver, bill or keep, which is ours to decide.
pub(super) const DROPPED: [&str; 11] = [
    "model",
    "stream",
    "stream_options",
    "service_tier",
    "store",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];

pub(super) fn read(body: &str) -> Result<Ask<'_>, String> {
    let mut ask = Ask::default();
    for (name, value) in fields(body, "the body is not an object")? {
        match name.as_str() {
            "messages" => messages(value.get(), &mut ask)?,
            "max_completion_tokens" => ask.max_output = some(value),
            "max_tokens" if ask.max_output.is_none() => ask.max_output = some(value),
            "temperature" => ask.temperature = some(value),
            "top_p" => ask.top_p = some(value),
            "presence_penalty" => ask.presence_penalty = not_zero(value),
            "frequency_penalty" => ask.frequency_penalty = not_zero(value),
            "seed" => ask.seed = some(value),
            "n" => ask.choices = some(value),
            "stop" => ask.stop = strings(value, &name)?,
            "tools" => ask.tools = tools(value.get(), &name)?,
            "tool_choice" => ask.tool_choice = tool_choice(value.get())?,
            "response_format" => ask.format = format(value.get())?,
            "parallel_tool_calls" if value.get() == "true" => {}
            name if value.get() == "null" || DROPPED.contains(&name) => {}
            "max_tokens" => {}
            "logprobs" if value.get() == "false" => {}
            name => return Err(only_there(name)),
        }
    }
    ask.checked("messages")
}

fn messages<'a>(json: &'a str, ask: &mut Ask<'a>) -> Result<(), String> {
    for message in elements(json, "`messages`")? {
        let message = fields(message.get(), "`messages`")?;
        let role = text(message.get("role")).unwrap_or_default();
        for (name, value) in &message {
            let known = ["role", "content", "tool_calls", "tool_call_id"].contains(&name.as_str());
            if !known && !matches!(value.get(), "null" | "[]") {
                return Err(only_there(name));
            }
        }
        let mut parts = content(&message)?;
        match role.as_str() {
            "system" | "developer" if ask.turns.is_empty() => {
                ask.system.extend(parts.into_iter().filter_map(|part| match part {
                    Part::Text(text) => Some(text),
                    _ => None,
                }));
            }
            "system" | "developer" => return Err(only_there("a system message after the first turn")),
            "user" => ask.push(Role::User, parts),
            "assistant" => {
                if let Some(calls) = message.get("tool_calls").filter(|calls| calls.get() != "null") {
                    parts.extend(
                        elements(calls.get(), "`tool_calls`")?
                            .into_iter()
                            .map(|c| call(c.get()))
                            .collect::<Result<Vec<_>, _>>()?,
                    );
                }
                ask.push(Role::Assistant, parts);
            }
            "tool" => {
                let id = text(message.get("tool_call_id")).ok_or("`tool_call_id` is missing")?;
                let texts: Vec<Json<'_>> = parts
                    .into_iter()
                    .filter_map(|part| match part {
                        Part::Text(text) => Some(text),
                        _ => None,
                    })
                    .collect();
                ask.push(Role::User, vec![Part::Result { id, output: joined(&texts, "\n") }]);
            }
            other => return Err(only_there(&format!("role {other}"))),
        }
    }
    Ok(())
}

fn content<'a>(message: &Fields<'a>) -> Result<Vec<Part<'a>>, String> {
    let Some(content) = message.get("content").filter(|content| content.get() != "null") else {
        return Ok(Vec::new());
    };
    if let Some(text) = string(content) {
        return Ok(vec![Part::Text(text)]);
    }
    elements(content.get(), "`content`")?.into_iter().map(|part| part_of(part.get())).collect()
}

/// A part of a message, in the words of chat completions or of responses.
pub(super) fn part_of(json: &str) -> Result<Part<'_>, String> {
    let part = fields(json, "`content`")?;
    let kind = text(part.get("type")).unwrap_or_default();
    match kind.as_str() {
        "text" | "input_text" | "output_text" => {
            let text = part.get("text").and_then(|text| string(text));
            text.map(Part::Text).ok_or_else(|| "`content`: a part without text".to_owned())
        }
        "image_url" | "input_image" => {
            let image = part.get("image_url").ok_or("`content`: an image without an address")?;
            let url = match json::text_of(image.get()) {
                Some(url) => Some(url),
                None => text(fields(image.get(), "`image_url`")?.get("url")),
            };
            let image = Image::at(url.ok_or("`content`: an image without an address")?);
            Ok(Part::Image(image))
        }
        kind => Err(only_there(&format!("content of type {kind}"))),
    }
}

fn call(json: &str) -> Result<Part<'_>, String> {
    let call = fields(json, "`tool_calls`")?;
    let (Some(id), Some(function)) = (text(call.get("id")), call.get("function")) else {
        return Err(only_there("a tool call that is no function"));
    };
    let function = fields(function.get(), "`tool_calls`")?;
    let name = text(function.get("name")).ok_or("`tool_calls`: a function without a name")?;
    Ok(Part::Call(Call { id, name, arguments: arguments(text(function.get("arguments")))? }))
}

/// Arguments, which stand as JSON in a JSON string.
pub(super) fn arguments(text: Option<String>) -> Result<Json<'static>, String> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
    match fields(&text, "`arguments`") {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!("{error}, which other formats need")),
    }
}

/// Functions, as chat completions nest them or as responses do not.
pub(super) fn tools<'a>(json: &'a str, name: &str) -> Result<Vec<Tool<'a>>, String> {
    if json == "null" {
        return Ok(Vec::new());
    }
    let tool = |tool: &'a serde_json::value::RawValue| {
        let outer = fields(tool.get(), name)?;
        match text(outer.get("type")).as_deref() {
            Some("function") => {}
            kind => return Err(only_there(&format!("a tool of type {}", kind.unwrap_or("unknown")))),
        }
        let inner = match outer.get("function") {
            Some(function) => fields(function.get(), name)?,
            None => outer,
        };
        Ok(Tool {
            name: text(inner.get("name")).ok_or_else(|| format!("`{name}`: a function without a name"))?,
            description: inner.get("description").and_then(|raw| some(raw)),
            parameters: inner.get("parameters").and_then(|raw| some(raw)),
            strict: inner.get("strict").is_some_and(|raw| raw.get() == "true"),
        })
    };
    elements(json, name)?.into_iter().map(tool).collect()
}

pub(super) fn tool_choice(json: &str) -> Result<Option<ToolChoice>, String> {
    if let Some(word) = json::text_of(json) {
        return match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Any)),
            word => Err(only_there(&format!("tool_choice {word}"))),
        };
    }
    if json == "null" {
        return Ok(None);
    }
    let choice = fields(json, "`tool_choice`")?;
    let function = choice.get("function").map(|raw| fields(raw.get(), "`tool_choice`")).transpose()?;
    match text(function.as_ref().unwrap_or(&choice).get("name")) {
        Some(name) => Ok(Some(ToolChoice::One(name))),
        None => Err(only_there("tool_choice")),
    }
}

/// `response_format`, and `text.format`, which has the schema one level higher.
pub(super) fn format(json: &str) -> Result<Option<Format<'_>>, String> {
    if json == "null" {
        return Ok(None);
    }
    let outer = fields(json, "`response_format`")?;
    match text(outer.get("type")).as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::JsonObject)),
        Some("json_schema") => {
            let inner = match outer.get("json_schema") {
                Some(inner) => fields(inner.get(), "`json_schema`")?,
                None => outer,
            };
            let schema = inner.get("schema").ok_or("the answer's format has no `schema`")?;
            Ok(Some(Format::Schema {
                name: inner.get("name").and_then(|raw| string(raw)),
                schema: schema.get().into(),
                strict: inner.get("strict").and_then(|raw| some(raw)),
            }))
        }
        kind => Err(only_there(&format!("an answer of type {}", kind.unwrap_or("unknown")))),
    }
}

/// The body that asks `model`.
pub(super) fn write(ask: &Ask<'_>, model: &str, quirks: &Quirks) -> Result<String, String> {
    ask.refuse(FORMAT, &[("top_k", ask.top_k.is_some())])?;
    let mut messages = Vec::with_capacity(ask.turns.len() + 1);
    if !ask.system.is_empty() {
        let text = joined(&ask.system, "\n\n");
        messages.push(Object::new().with_text("role", "system").with("content", &text).end());
    }
    for turn in &ask.turns {
        write_turn(turn.role, &turn.parts, &mut messages);
    }
    let limit = if quirks.old_max_tokens { "max_tokens" } else { "max_completion_tokens" };
    let some_stop = (!ask.stop.is_empty()).then(|| list(&ask.stop));
    let some_tools = (!ask.tools.is_empty()).then(|| list(ask.tools.iter().map(write_tool)));
    Ok(Object::new()
        .with_text("model", model)
        .with("messages", &list(messages))
        .with_some(limit, ask.max_output.as_ref())
        .with_some("temperature", ask.temperature.as_ref())
        .with_some("top_p", ask.top_p.as_ref())
        .with_some("presence_penalty", ask.presence_penalty.as_ref())
        .with_some("frequency_penalty", ask.frequency_penalty.as_ref())
        .with_some("seed", ask.seed.as_ref())
        .with_some("n", ask.choices.as_ref())
        .with_some("stop", some_stop)
        .with_some("tools", some_tools)
        .with_some("tool_choice", ask.tool_choice.as_ref().map(write_tool_choice))
        .with_some("response_format", ask.format.as_ref().map(write_format))
        .end())
}

/// Results of tools are messages of their own, and come first.
fn write_turn(role: Role, parts: &[Part<'_>], messages: &mut Vec<String>) {
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => {
                content.push((Object::new().with_text("type", "text").with("text", text).end(), Some(text)));
            }
            Part::Image(image) => {
                let url = Object::new().with_text("url", &image.url()).end();
                content
                    .push((Object::new().with_text("type", "image_url").with("image_url", &url).end(), None));
            }
            Part::Call(call) => {
                let function =
                    Object::new().with_text("name", &call.name).with_text("arguments", &call.arguments);
                let call = Object::new().with_text("id", &call.id).with_text("type", "function");
                calls.push(call.with("function", &function.end()).end());
            }
            Part::Result { id, output } => {
                let message = Object::new().with_text("role", "tool").with_text("tool_call_id", id);
                messages.push(message.with("content", output).end());
            }
        }
    }
    // One text is sent as a plain string, which every server takes.
    let content = match content.as_slice() {
        [] if calls.is_empty() => return,
        [] => "null".to_owned(),
        [(_, Some(text))] => text.to_string(),
        several => list(several.iter().map(|(part, _)| part)),
    };
    let role = if role == Role::User { "user" } else { "assistant" };
    let message = Object::new().with_text("role", role).with("content", &content);
    messages.push(message.with_some("tool_calls", (!calls.is_empty()).then(|| list(calls))).end());
}

fn write_tool(tool: &Tool<'_>) -> String {
    let function = Object::new()
        .with_text("name", &tool.name)
        .with_some("description", tool.description.as_ref())
        .with_some("parameters", tool.parameters.as_ref())
        .with_some("strict", tool.strict.then_some("true"));
    Object::new().with_text("type", "function").with("function", &function.end()).end()
}

fn write_tool_choice(choice: &ToolChoice) -> String {
    match choice {
        ToolChoice::Auto => quoted("auto"),
        ToolChoice::None => quoted("none"),
        ToolChoice::Any => quoted("required"),
        ToolChoice::One(name) => {
            let function = Object::new().with_text("name", name).end();
            Object::new().with_text("type", "function").with("function", &function).end()
        }
    }
}

fn write_format(format: &Format<'_>) -> String {
    match format {
        Format::JsonObject => Object::new().with_text("type", "json_object").end(),
        Format::Schema { name, schema, strict } => {
            let name = name.clone().unwrap_or_else(|| quoted("answer").into());
            let schema =
                Object::new().with("name", &name).with("schema", schema).with_some("strict", strict.as_ref());
            Object::new().with_text("type", "json_schema").with("json_schema", &schema.end()).end()
        }
    }
}
