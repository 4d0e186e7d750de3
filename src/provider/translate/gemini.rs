//! Gemini generateContent: read into an [`Ask`], and written from one.
//!
//! Google's JSON takes every name in camelCase and in snake_case, so names are compared without case
//! and underscores.
//!
//! Pure.

use serde_json::Value;
use serde_json::value::RawValue;

use super::ask::{
    Ask, Call, Fields, Format, Image, Part, Role, Tool, ToolChoice, elements, fields, no_counterpart,
    not_zero, only_there, some, string, strings,
};
use super::json::{self, Json, Object, list, quoted};

const FORMAT: &str = "generateContent";

pub(super) fn read(body: &str) -> Result<Ask<'_>, String> {
    let mut ask = Ask::default();
    let mut names = Vec::new();
    for (name, value) in fields(body, "the body is not an object")? {
        match plain(&name).as_str() {
            "systeminstruction" => {
                for part in turn(value, &mut names)?.1 {
                    let Part::Text(text) = part else {
                        return Err(only_there("a system instruction that is no text"));
                    };
                    ask.system.push(text);
                }
            }
            "contents" => {
                for value in one_or_more(value, &name)? {
                    let (role, parts) = turn(value, &mut names)?;
                    ask.push(role, parts);
                }
            }
            "generationconfig" => config(value.get(), &mut ask)?,
            "tools" => ask.tools = tools(value)?,
            "toolconfig" => ask.tool_choice = tool_choice(value.get())?,
            // Ours to decide.
            "model" | "servicetier" => {}
            _ if value.get() == "null" => {}
            _ => return Err(only_there(&name)),
        }
    }
    ask.checked("contents")
}

/// A list; one value may stand for a list of one.
fn one_or_more<'a>(value: &'a RawValue, name: &str) -> Result<Vec<&'a RawValue>, String> {
    if value.get().starts_with('{') { Ok(vec![value]) } else { elements(value.get(), name) }
}

/// The fields of an object by their plain names.
fn plain_fields<'a>(json: &'a str, name: &str) -> Result<Fields<'a>, String> {
    Ok(fields(json, name)?.into_iter().map(|(name, value)| (plain(&name), value)).collect())
}

/// A turn; `names` are those of the tools that were called and have no result yet, in order.
fn turn<'a>(value: &'a RawValue, calls: &mut Vec<(String, String)>) -> Result<(Role, Vec<Part<'a>>), String> {
    let turn = plain_fields(value.get(), "`contents`")?;
    let role = match text(&turn, "role").as_deref() {
        None | Some("user" | "system" | "function") => Role::User,
        Some("model") => Role::Assistant,
        Some(other) => return Err(only_there(&format!("role {other}"))),
    };
    let parts = turn.get("parts").ok_or("`contents`: a turn without `parts`")?;
    let parts = one_or_more(parts, "`parts`")?.into_iter().map(|part| part_of(part.get(), calls));
    let parts: Vec<Part<'_>> = parts.collect::<Result<_, _>>()?;
    if parts.is_empty() { Err("`parts` is empty".to_owned()) } else { Ok((role, parts)) }
}

fn part_of<'a>(json: &'a str, calls: &mut Vec<(String, String)>) -> Result<Part<'a>, String> {
    let mut only = None;
    for (name, value) in fields(json, "`parts`")? {
        let part = match plain(&name).as_str() {
            "text" if string(value).is_some() => Part::Text(value.get().into()),
            "inlinedata" => {
                let data = plain_fields(value.get(), &name)?;
                let (Some(mime), Some(base64)) = (text(&data, "mimetype"), text(&data, "data")) else {
                    return Err("`inlineData` without type or data".to_owned());
                };
                Image::inline(mime, base64)?
            }
            "functioncall" => Part::Call(call(value.get(), calls)?),
            "functionresponse" => result(value.get(), calls)?,
            "thought" if value.get() == "false" => continue,
            // A model's own mark on its turn; only this model can use it.
            "thoughtsignature" => continue,
            _ => return Err(only_there(&name)),
        };
        if only.replace(part).is_some() {
            return Err("a part of `parts` holds two things at once".to_owned());
        }
    }
    only.ok_or_else(|| "a part of `parts` is empty".to_owned())
}

/// Calls need no id here: they are told apart by their order.
fn call<'a>(json: &'a str, calls: &mut Vec<(String, String)>) -> Result<Call<'a>, String> {
    let call = plain_fields(json, "`functionCall`")?;
    let name = text(&call, "name").ok_or("`functionCall` without a name")?;
    let id = text(&call, "id").unwrap_or_else(|| format!("call_{}", calls.len()));
    calls.push((name.clone(), id.clone()));
    let arguments = call.get("args").map_or("{}", |args| args.get()).into();
    Ok(Call { id, name, arguments })
}

fn result<'a>(json: &'a str, calls: &mut [(String, String)]) -> Result<Part<'a>, String> {
    let result = plain_fields(json, "`functionResponse`")?;
    let name = text(&result, "name").unwrap_or_default();
    let id = text(&result, "id").or_else(|| {
        let call = calls.iter_mut().find(|(called, _)| *called == name)?;
        // The next result of this name is that of the next call.
        call.0.clear();
        Some(call.1.clone())
    });
    let response = result.get("response").map_or("{}", |response| response.get());
    let id = id.ok_or("`functionResponse` of a function that was not called")?;
    Ok(Part::Result { id, output: quoted(response).into() })
}

fn config<'a>(json: &'a str, ask: &mut Ask<'a>) -> Result<(), String> {
    let mut mime = String::new();
    let mut schema: Option<Json<'a>> = None;
    for (name, value) in fields(json, "`generationConfig`")? {
        match plain(&name).as_str() {
            "temperature" => ask.temperature = some(value),
            "topp" => ask.top_p = some(value),
            "topk" => ask.top_k = some(value),
            "maxoutputtokens" => ask.max_output = some(value),
            "stopsequences" => ask.stop = strings(value, &name)?,
            "candidatecount" => ask.choices = some(value),
            "seed" => ask.seed = some(value),
            "presencepenalty" => ask.presence_penalty = not_zero(value),
            "frequencypenalty" => ask.frequency_penalty = not_zero(value),
            "responsemimetype" => mime = json::text_of(value.get()).unwrap_or_default(),
            "responsejsonschema" => schema = some(value),
            "responseschema" => schema = some(value).map(|_| json_schema(value.get())).transpose()?,
            _ if value.get() == "null" => {}
            _ => return Err(only_there(&name)),
        }
    }
    ask.format = match (mime.as_str(), schema) {
        ("" | "text/plain", None) => None,
        ("" | "application/json", Some(schema)) => Some(Format::Schema { name: None, schema, strict: None }),
        ("application/json", None) => Some(Format::JsonObject),
        (mime, _) => return Err(only_there(&format!("responseMimeType {mime}"))),
    };
    Ok(())
}

/// Google's schema, a dialect of OpenAPI's, as JSON Schema.
fn json_schema<'a>(json: &str) -> Result<Json<'a>, String> {
    let mut schema: Value =
        serde_json::from_str(json).map_err(|error| format!("`responseSchema`: {error}"))?;
    modernize(&mut schema);
    Ok(schema.to_string().into())
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

fn tools(value: &RawValue) -> Result<Vec<Tool<'_>>, String> {
    let mut tools = Vec::new();
    for tool in one_or_more(value, "`tools`")? {
        for (name, value) in fields(tool.get(), "`tools`")? {
            if plain(&name) != "functiondeclarations" {
                return Err(only_there(&name));
            }
            for declared in elements(value.get(), &name)? {
                let declared = plain_fields(declared.get(), &name)?;
                let parameters = match (declared.get("parametersjsonschema"), declared.get("parameters")) {
                    (Some(schema), _) => some(schema),
                    (None, Some(schema)) => Some(json_schema(schema.get())?),
                    (None, None) => None,
                };
                tools.push(Tool {
                    name: text(&declared, "name").ok_or("`tools`: a function without a name")?,
                    description: declared.get("description").and_then(|raw| some(raw)),
                    parameters,
                    strict: false,
                });
            }
        }
    }
    Ok(tools)
}

fn tool_choice(json: &str) -> Result<Option<ToolChoice>, String> {
    let config = plain_fields(json, "`toolConfig`")?;
    let Some(calling) = config.get("functioncallingconfig") else { return Ok(None) };
    let calling = plain_fields(calling.get(), "`functionCallingConfig`")?;
    let allowed = match calling.get("allowedfunctionnames") {
        Some(names) => strings(names, "`allowedFunctionNames`")?,
        None => Vec::new(),
    };
    match (text(&calling, "mode").as_deref(), allowed.as_slice()) {
        (None | Some("AUTO" | "MODE_UNSPECIFIED"), []) => Ok(Some(ToolChoice::Auto)),
        (Some("NONE"), []) => Ok(Some(ToolChoice::None)),
        (Some("ANY"), []) => Ok(Some(ToolChoice::Any)),
        (Some("ANY"), [one]) => Ok(json::text_of(one).map(ToolChoice::One)),
        _ => Err(only_there("functionCallingConfig")),
    }
}

fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    json::text_of(fields.get(name)?.get())
}

/// A field's name without case and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|&c| c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

/// The body; the model stands in the address.
pub(super) fn write(ask: &Ask<'_>) -> Result<String, String> {
    ask.refuse(FORMAT, &[("strict", ask.tools.iter().any(|tool| tool.strict))])?;
    let mut contents = Vec::with_capacity(ask.turns.len());
    for turn in &ask.turns {
        let role = if turn.role == Role::User { "user" } else { "model" };
        let parts = turn.parts.iter().map(|part| write_part(ask, part)).collect::<Result<Vec<_>, _>>()?;
        contents.push(Object::new().with_text("role", role).with("parts", &list(parts)).end());
    }
    let text_part = |text: &Json<'_>| Object::new().with("text", text).end();
    let system = (!ask.system.is_empty())
        .then(|| Object::new().with("parts", &list(ask.system.iter().map(text_part))).end());
    let tools = (!ask.tools.is_empty()).then(|| {
        let declared = list(ask.tools.iter().map(write_tool));
        list([Object::new().with("functionDeclarations", &declared).end()])
    });
    let config = write_config(ask);
    Ok(Object::new()
        .with_some("systemInstruction", system)
        .with("contents", &list(contents))
        .with_some("tools", tools)
        .with_some("toolConfig", ask.tool_choice.as_ref().map(write_tool_choice))
        .with_some("generationConfig", (!config.is_empty()).then(|| config.end()))
        .end())
}

fn write_config(ask: &Ask<'_>) -> Object {
    let json = ask.format.is_some().then(|| quoted("application/json"));
    let schema = match &ask.format {
        Some(Format::Schema { schema, .. }) => Some(schema),
        _ => None,
    };
    Object::new()
        .with_some("temperature", ask.temperature.as_ref())
        .with_some("topP", ask.top_p.as_ref())
        .with_some("topK", ask.top_k.as_ref())
        .with_some("maxOutputTokens", ask.max_output.as_ref())
        .with_some("stopSequences", (!ask.stop.is_empty()).then(|| list(&ask.stop)))
        .with_some("candidateCount", ask.choices.as_ref())
        .with_some("seed", ask.seed.as_ref())
        .with_some("presencePenalty", ask.presence_penalty.as_ref())
        .with_some("frequencyPenalty", ask.frequency_penalty.as_ref())
        .with_some("responseMimeType", json)
        .with_some("responseJsonSchema", schema)
}

fn write_part(ask: &Ask<'_>, part: &Part<'_>) -> Result<String, String> {
    let named = |name: &str, object: Object| Object::new().with(name, &object.end()).end();
    Ok(match part {
        Part::Text(text) => Object::new().with("text", text).end(),
        Part::Image(Image::Inline { mime, base64 }) => {
            named("inlineData", Object::new().with_text("mimeType", mime).with_text("data", base64))
        }
        // Its `fileUri` names files at Google.
        Part::Image(Image::Url(_)) => return Err(no_counterpart("an image by its address", FORMAT)),
        Part::Call(Call { name, arguments, .. }) => {
            named("functionCall", Object::new().with_text("name", name).with("args", arguments))
        }
        Part::Result { id, output } => {
            let name = ask.called(id).ok_or_else(|| format!("the result {id} is of no call before it"))?;
            // It must be an object; what is none is put into one.
            let response = json::text_of(output)
                .filter(|text| fields(text, "").is_ok())
                .unwrap_or_else(|| Object::new().with("output", output).end());
            named("functionResponse", Object::new().with_text("name", name).with("response", &response))
        }
    })
}

fn write_tool(tool: &Tool<'_>) -> String {
    Object::new()
        .with_text("name", &tool.name)
        .with_some("description", tool.description.as_ref())
        .with_some("parametersJsonSchema", tool.parameters.as_ref())
        .end()
}

fn write_tool_choice(choice: &ToolChoice) -> String {
    let (mode, name) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Any => ("ANY", None),
        ToolChoice::One(name) => ("ANY", Some(list([quoted(name)]))),
    };
    let calling = Object::new().with_text("mode", mode).with_some("allowedFunctionNames", name);
    Object::new().with("functionCallingConfig", &calling.end()).end()
}
