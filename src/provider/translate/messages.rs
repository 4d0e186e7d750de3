//! Anthropic Messages: read into an [`Ask`], and written from one.
//!
//! Pure.

use serde_json::value::RawValue;

use super::ask::{
    Ask, Call, Format, Image, Part, Role, Tool, ToolChoice, elements, fields, joined, only_there, some,
    string, strings, text,
};
use super::json::{Json, Object, list, quoted};

const FORMAT: &str = "the Messages format";

/// Fields that only say how to deliver, cache or bill, which is ours to decide.
const DROPPED: [&str; 5] = ["model", "stream", "metadata", "service_tier", "cache_control"];

pub(super) fn read(body: &str) -> Result<Ask<'_>, String> {
    let mut ask = Ask::default();
    for (name, value) in fields(body, "the body is not an object")? {
        match name.as_str() {
            "system" => ask.system = texts(value)?,
            "messages" => turns(value.get(), &mut ask)?,
            "max_tokens" => ask.max_output = some(value),
            "temperature" => ask.temperature = some(value),
            "top_p" => ask.top_p = some(value),
            "top_k" => ask.top_k = some(value),
            "stop_sequences" => ask.stop = strings(value, &name)?,
            "tools" => ask.tools = tools(value.get())?,
            "tool_choice" => ask.tool_choice = tool_choice(value.get())?,
            "thinking"
                if text(fields(value.get(), "`thinking`")?.get("type")).as_deref() == Some("disabled") => {}
            "output_config" => ask.format = format_of_config(value.get())?,
            "output_format" => ask.format = format(value.get())?,
            name if value.get() == "null" || DROPPED.contains(&name) => {}
            name => return Err(only_there(name)),
        }
    }
    ask.checked("messages")
}

/// The texts of a system prompt: one string, or blocks.
fn texts(value: &RawValue) -> Result<Vec<Json<'_>>, String> {
    let parts = content(value)?.into_iter().map(|part| match part {
        Part::Text(text) => Ok(text),
        _ => Err(only_there("a system prompt that is no text")),
    });
    parts.collect()
}

fn turns<'a>(json: &'a str, ask: &mut Ask<'a>) -> Result<(), String> {
    for turn in elements(json, "`messages`")? {
        let turn = fields(turn.get(), "`messages`")?;
        let role = match text(turn.get("role")).as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            other => return Err(only_there(&format!("role {}", other.unwrap_or("none")))),
        };
        let content = content(turn.get("content").ok_or("`messages`: a message without `content`")?)?;
        if content.is_empty() {
            return Err("`content` is empty".to_owned());
        }
        ask.push(role, content);
    }
    Ok(())
}

fn content(value: &RawValue) -> Result<Vec<Part<'_>>, String> {
    if let Some(text) = string(value) {
        return Ok(vec![Part::Text(text)]);
    }
    elements(value.get(), "`content`")?.into_iter().map(|block| block_of(block.get())).collect()
}

fn block_of(json: &str) -> Result<Part<'_>, String> {
    let block = fields(json, "`content`")?;
    let kind = text(block.get("type")).unwrap_or_default();
    let nothing = || format!("`content`: a `{kind}` block without its content");
    match kind.as_str() {
        "text" => block.get("text").and_then(|text| string(text)).map(Part::Text).ok_or_else(nothing),
        "image" => {
            let source = fields(block.get("source").ok_or_else(nothing)?.get(), "`source`")?;
            match (text(source.get("url")), text(source.get("media_type")), text(source.get("data"))) {
                (Some(url), ..) => Ok(Part::Image(Image::Url(url))),
                (_, Some(mime), Some(base64)) => Image::inline(mime, base64),
                _ => Err(only_there("an image that is kept at the provider")),
            }
        }
        "tool_use" => {
            let (Some(id), Some(name)) = (text(block.get("id")), text(block.get("name"))) else {
                return Err(nothing());
            };
            let arguments = block.get("input").map_or("{}", |input| input.get()).into();
            Ok(Part::Call(Call { id, name, arguments }))
        }
        "tool_result" => {
            let id = text(block.get("tool_use_id")).ok_or_else(nothing)?;
            let output = match block.get("content") {
                Some(content) => joined(&texts(content)?, "\n"),
                None => "\"\"".into(),
            };
            Ok(Part::Result { id, output })
        }
        kind => Err(only_there(&format!("a `{kind}` block"))),
    }
}

fn tools(json: &str) -> Result<Vec<Tool<'_>>, String> {
    let tool = |tool: &RawValue| -> Result<(), String> {
        match text(fields(tool.get(), "`tools`")?.get("type")).as_deref() {
            None | Some("custom") => Ok(()),
            Some(kind) => Err(only_there(&format!("a tool of type {kind}"))),
        }
    };
    let mut tools = Vec::new();
    for raw in elements(json, "`tools`")? {
        tool(raw)?;
        let fields = fields(raw.get(), "`tools`")?;
        tools.push(Tool {
            name: text(fields.get("name")).ok_or("`tools`: a tool without a name")?,
            description: fields.get("description").and_then(|raw| some(raw)),
            parameters: fields.get("input_schema").and_then(|raw| some(raw)),
            strict: fields.get("strict").is_some_and(|raw| raw.get() == "true"),
        });
    }
    Ok(tools)
}

fn tool_choice(json: &str) -> Result<Option<ToolChoice>, String> {
    let choice = fields(json, "`tool_choice`")?;
    if choice.get("disable_parallel_tool_use").is_some_and(|raw| raw.get() == "true") {
        return Err(only_there("disable_parallel_tool_use"));
    }
    match (text(choice.get("type")).as_deref(), text(choice.get("name"))) {
        (Some("auto"), _) => Ok(Some(ToolChoice::Auto)),
        (Some("none"), _) => Ok(Some(ToolChoice::None)),
        (Some("any"), _) => Ok(Some(ToolChoice::Any)),
        (Some("tool"), Some(name)) => Ok(Some(ToolChoice::One(name))),
        _ => Err(only_there("tool_choice")),
    }
}

/// `output_config: {format: …}`; its other fields steer what other formats cannot.
fn format_of_config(json: &str) -> Result<Option<Format<'_>>, String> {
    let mut found = None;
    for (name, value) in fields(json, "`output_config`")? {
        match name.as_str() {
            "format" => found = format(value.get())?,
            _ if value.get() == "null" => {}
            name => return Err(only_there(&format!("output_config.{name}"))),
        }
    }
    Ok(found)
}

fn format(json: &str) -> Result<Option<Format<'_>>, String> {
    if json == "null" {
        return Ok(None);
    }
    let format = fields(json, "the answer's format")?;
    match (text(format.get("type")).as_deref(), format.get("schema")) {
        (Some("json_schema"), Some(schema)) => {
            Ok(Some(Format::Schema { name: None, schema: schema.get().into(), strict: None }))
        }
        (kind, _) => Err(only_there(&format!("an answer of type {}", kind.unwrap_or("none")))),
    }
}

/// The body that asks `model`; `max_output` is what its answer may be where the request does not say.
pub(super) fn write(ask: &Ask<'_>, model: &str, max_output: Option<u64>) -> Result<String, String> {
    ask.refuse(
        FORMAT,
        &[
            ("presence_penalty", ask.presence_penalty.is_some()),
            ("frequency_penalty", ask.frequency_penalty.is_some()),
            ("seed", ask.seed.is_some()),
            ("n", ask.wants_several()),
            ("JSON without a schema", matches!(ask.format, Some(Format::JsonObject))),
        ],
    )?;
    let most = max_output.map(|most| most.to_string());
    let max_tokens = ask.max_output.as_deref().or(most.as_deref());
    let max_tokens = max_tokens.ok_or("this format demands `max_tokens`; set it in the request")?;
    let stop = (!ask.stop.is_empty()).then(|| list(&ask.stop));
    let tools = (!ask.tools.is_empty()).then(|| list(ask.tools.iter().map(write_tool)));
    let system = (!ask.system.is_empty()).then(|| joined(&ask.system, "\n\n"));
    let format = ask.format.as_ref().and_then(|format| match format {
        Format::JsonObject => None,
        Format::Schema { schema, .. } => {
            let format = Object::new().with_text("type", "json_schema").with("schema", schema).end();
            Some(Object::new().with("format", &format).end())
        }
    });
    Ok(Object::new()
        .with_text("model", model)
        .with("max_tokens", max_tokens)
        .with_some("system", system)
        .with("messages", &list(ask.turns.iter().map(|turn| write_turn(turn.role, &turn.parts))))
        .with_some("temperature", ask.temperature.as_ref())
        .with_some("top_p", ask.top_p.as_ref())
        .with_some("top_k", ask.top_k.as_ref())
        .with_some("stop_sequences", stop)
        .with_some("tools", tools)
        .with_some("tool_choice", ask.tool_choice.as_ref().map(write_tool_choice))
        .with_some("output_config", format)
        .end())
}

fn write_turn(role: Role, parts: &[Part<'_>]) -> String {
    let role = if role == Role::User { "user" } else { "assistant" };
    let content = match parts {
        [Part::Text(text)] => text.to_string(),
        parts => list(parts.iter().map(write_block)),
    };
    Object::new().with_text("role", role).with("content", &content).end()
}

fn write_block(part: &Part<'_>) -> String {
    let kind = |kind: &str| Object::new().with_text("type", kind);
    match part {
        Part::Text(text) => kind("text").with("text", text).end(),
        Part::Image(image) => {
            let source = match image {
                Image::Url(url) => kind("url").with_text("url", url),
                Image::Inline { mime, base64 } => {
                    kind("base64").with_text("media_type", mime).with_text("data", base64)
                }
            };
            kind("image").with("source", &source.end()).end()
        }
        Part::Call(Call { id, name, arguments }) => {
            kind("tool_use").with_text("id", id).with_text("name", name).with("input", arguments).end()
        }
        Part::Result { id, output } => {
            kind("tool_result").with_text("tool_use_id", id).with("content", output).end()
        }
    }
}

fn write_tool(tool: &Tool<'_>) -> String {
    Object::new()
        .with_text("name", &tool.name)
        .with_some("description", tool.description.as_ref())
        .with("input_schema", tool.parameters.as_deref().unwrap_or(r#"{"type":"object"}"#))
        .with_some("strict", tool.strict.then_some("true"))
        .end()
}

fn write_tool_choice(choice: &ToolChoice) -> String {
    let (kind, name) = match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Any => ("any", None),
        ToolChoice::One(name) => ("tool", Some(quoted(name))),
    };
    Object::new().with_text("type", kind).with_some("name", name).end()
}
