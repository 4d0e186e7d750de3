//! OpenAI responses, read into an [`Ask`]. Nothing is written in this format: who takes it takes chat
//! completions as well.
//!
//! Pure.

use serde_json::value::RawValue;

use super::ask::{Ask, Call, Fields, Part, Role, elements, fields, only_there, some, string, text};
use super::chat::{DROPPED, arguments, format, part_of, tool_choice, tools};

pub(super) fn read(body: &str) -> Result<Ask<'_>, String> {
    let mut ask = Ask::default();
    for (name, value) in fields(body, "the body is not an object")? {
        match name.as_str() {
            "instructions" => {
                // They lead, wherever they stand in the body.
                if let Some(text) = string(value) {
                    ask.system.insert(0, text);
                }
            }
            "input" => input(value, &mut ask)?,
            "max_output_tokens" => ask.max_output = some(value),
            "temperature" => ask.temperature = some(value),
            "top_p" => ask.top_p = some(value),
            "tools" => ask.tools = tools(value.get(), &name)?,
            "tool_choice" => ask.tool_choice = tool_choice(value.get())?,
            "text" => answer_format(value.get(), &mut ask)?,
            "parallel_tool_calls" if value.get() == "true" => {}
            "truncation" if value.get() == "\"disabled\"" => {}
            "background" if value.get() == "false" => {}
            name if value.get() == "null" || DROPPED.contains(&name) => {}
            name => return Err(only_there(name)),
        }
    }
    ask.checked("input")
}

fn answer_format<'a>(json: &'a str, ask: &mut Ask<'a>) -> Result<(), String> {
    for (name, value) in fields(json, "`text`")? {
        match name.as_str() {
            "format" => ask.format = format(value.get())?,
            _ if value.get() == "null" => {}
            name => return Err(only_there(name)),
        }
    }
    Ok(())
}

fn input<'a>(value: &'a RawValue, ask: &mut Ask<'a>) -> Result<(), String> {
    if let Some(text) = string(value) {
        ask.push(Role::User, vec![Part::Text(text)]);
        return Ok(());
    }
    for item in elements(value.get(), "`input`")? {
        let item = fields(item.get(), "`input`")?;
        match text(item.get("type")).as_deref() {
            None | Some("message") => message(&item, ask)?,
            Some("function_call") => {
                let (Some(id), Some(name)) = (text(item.get("call_id")), text(item.get("name"))) else {
                    return Err("`input`: a function call without name or id".to_owned());
                };
                let call = Call { id, name, arguments: arguments(text(item.get("arguments")))? };
                match ask.turns.last_mut().filter(|turn| turn.role == Role::Assistant) {
                    Some(turn) => turn.parts.push(Part::Call(call)),
                    None => ask.push(Role::Assistant, vec![Part::Call(call)]),
                }
            }
            Some("function_call_output") => {
                let id = text(item.get("call_id")).ok_or("`input`: a result without `call_id`")?;
                let output = item.get("output").and_then(|output| string(output));
                let output = output.ok_or_else(|| only_there("the result of a function that is no text"))?;
                ask.push(Role::User, vec![Part::Result { id, output }]);
            }
            Some(kind) => return Err(only_there(&format!("input of type {kind}"))),
        }
    }
    Ok(())
}

fn message<'a>(item: &Fields<'a>, ask: &mut Ask<'a>) -> Result<(), String> {
    let content = item.get("content").ok_or("`input`: a message without `content`")?;
    let parts = match string(content) {
        Some(text) => vec![Part::Text(text)],
        None => {
            let parts = elements(content.get(), "`content`")?.into_iter().map(|part| part_of(part.get()));
            parts.collect::<Result<Vec<_>, _>>()?
        }
    };
    match text(item.get("role")).as_deref() {
        Some("system" | "developer") if ask.turns.is_empty() => {
            ask.system.extend(parts.into_iter().filter_map(|part| match part {
                Part::Text(text) => Some(text),
                _ => None,
            }));
        }
        Some("user") => ask.push(Role::User, parts),
        Some("assistant") => ask.push(Role::Assistant, parts),
        Some("system" | "developer") => return Err(only_there("a system message after the first turn")),
        role => return Err(only_there(&format!("role {}", role.unwrap_or("none")))),
    }
    Ok(())
}
