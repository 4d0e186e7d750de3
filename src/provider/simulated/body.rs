//! A request body → the few facts a simulated model answers from.
//!
//! Nothing is unescaped or copied: the prompt is counted and hashed as the JSON text it stands in,
//! because the simulator has to cost next to nothing beside what is measured with it.
//!
//! Pure. Reads every format; see [`crate::job::Wire`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Wanted;
use super::chance::hash;
use crate::job::Wire;
use crate::plan::route::FLEX;

/// What a body asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<'a> {
    /// The model, as it is named there; empty where the address names it.
    pub model: Cow<'a, str>,
    /// The prompt.
    pub prompt: Prompt,
    /// Output tokens it allows for each choice.
    pub max_output: Option<u64>,
    /// Answers asked for.
    pub choices: u16,
    /// The kind of answer.
    pub wanted: Wanted<'a>,
    /// Embeddings as base64 instead of numbers.
    pub base64: bool,
    /// The answer in pieces.
    pub stream: bool,
    /// The tool that the answer must call.
    pub tool: Option<String>,
    /// The flex lane.
    pub flex: bool,
}

/// What a simulated model knows of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The same for the same prompt, whichever model is asked.
    pub hash: u64,
    /// Its tokens, by the simulator's own count.
    pub input_tokens: u64,
    /// The part that is to be kept for others that begin alike, up to its last mark.
    pub kept: Option<Kept>,
}

/// The beginning of a prompt that bears a cache mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The same for the same beginning.
    pub hash: u64,
    /// Its tokens.
    pub tokens: u64,
}

/// A body as small as the simulator needs it; what it does not name is skipped.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    n: Option<u16>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default)]
    response_format: Option<Format<'a>>,
    #[serde(borrow, default)]
    text: Option<TextOptions<'a>>,
    #[serde(default)]
    dimensions: Option<u32>,
    #[serde(borrow, default)]
    encoding_format: Option<&'a str>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_config: Option<TextOptions<'a>>,
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "generationConfig")]
    generation_config: Option<GenerationConfig<'a>>,
    #[serde(borrow, default, rename = "toolConfig")]
    tool_config: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "serviceTier")]
    service_tier: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GenerationConfig<'a> {
    max_output_tokens: Option<u64>,
    candidate_count: Option<u16>,
    #[serde(borrow)]
    response_mime_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response_json_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    response_schema: Option<&'a RawValue>,
}

/// `text` of a Responses request, and `output_config` of a Messages one.
#[derive(Deserialize)]
struct TextOptions<'a> {
    #[serde(borrow, default)]
    format: Option<Format<'a>>,
}

/// `response_format`, and `text.format`, which has the schema one level higher.
#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    json_schema: Option<NamedSchema<'a>>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct NamedSchema<'a> {
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

/// Dimensions of an embedding that asks for none.
const DIMENSIONS: u32 = 64;
/// More than any real model gives.
const MAX_DIMENSIONS: u32 = 8_192;
/// The most inputs that OpenAI takes in one embeddings request.
const MAX_INPUTS: usize = 2_048;
/// The most choices that OpenAI gives.
const MAX_CHOICES: u16 = 128;

/// Reads a body; the error is the message a client gets.
pub fn read(wire: Wire, json: &[u8]) -> Result<Asked<'_>, String> {
    read_for(wire, json, None)
}

/// Reads a body that may leave its model to what it comes in.
pub fn read_for<'a>(wire: Wire, json: &'a [u8], model: Option<&'a str>) -> Result<Asked<'a>, String> {
    let mut fields: Fields =
        serde_json::from_slice(json).map_err(|e| format!("cannot read the body: {e}"))?;
    fields.model = model.map(Cow::Borrowed).or(fields.model);
    let stream = fields.stream == Some(true);
    if stream && wire == Wire::Responses {
        return Err("the simulator does not stream responses; leave out `stream`".to_owned());
    }
    let flex = fields.service_tier.as_deref() == Some(FLEX);
    let asked = match wire {
        Wire::Chat => chat(fields),
        Wire::Responses => responses(fields),
        Wire::Embeddings => embeddings(fields),
        Wire::Messages => messages(fields),
        Wire::GenerateContent => contents(fields),
    };
    asked.map(|asked| Asked { stream, flex, ..asked })
}

fn chat(fields: Fields<'_>) -> Result<Asked<'_>, String> {
    let messages = fields.messages.ok_or("`messages` is missing")?.get();
    if !messages.starts_with('[') || messages[1..].trim_start().starts_with(']') {
        return Err("`messages` must be a list with at least one message".to_owned());
    }
    let (tool, schema) = called(fields.tools, fields.tool_choice);
    Ok(Asked {
        wanted: schema.unwrap_or_else(|| wanted(fields.response_format, &[messages])),
        tool,
        prompt: prompt(&[messages]),
        max_output: fields.max_completion_tokens.or(fields.max_tokens),
        choices: fields.n.unwrap_or(1).clamp(1, MAX_CHOICES),
        model: fields.model.ok_or("`model` is missing")?,
        base64: false,
        stream: false,
        flex: false,
    })
}

fn responses(fields: Fields<'_>) -> Result<Asked<'_>, String> {
    let input = fields.input.ok_or("`input` is missing")?.get();
    let parts = [input, fields.instructions.map_or("", RawValue::get)];
    let (tool, schema) = called(fields.tools, fields.tool_choice);
    Ok(Asked {
        wanted: schema.unwrap_or_else(|| wanted(fields.text.and_then(|text| text.format), &parts)),
        tool,
        prompt: prompt(&parts),
        max_output: fields.max_output_tokens,
        choices: 1,
        model: fields.model.ok_or("`model` is missing")?,
        base64: false,
        stream: false,
        flex: false,
    })
}

fn messages(fields: Fields<'_>) -> Result<Asked<'_>, String> {
    let messages = fields.messages.ok_or("messages: Field required")?.get();
    if !messages.starts_with('[') || messages[1..].trim_start().starts_with(']') {
        return Err("messages: at least one message is required".to_owned());
    }
    let system = fields.system.map_or("", RawValue::get);
    let parts = [messages, system];
    let tools = fields.tools.map_or("", RawValue::get);
    let (tool, schema) = called(fields.tools, fields.tool_choice);
    Ok(Asked {
        wanted: schema
            .unwrap_or_else(|| wanted(fields.output_config.and_then(|config| config.format), &parts)),
        tool,
        prompt: Prompt { kept: kept([tools, system, messages]), ..prompt(&parts) },
        max_output: Some(fields.max_tokens.ok_or("max_tokens: Field required")?),
        choices: 1,
        model: fields.model.ok_or("model: Field required")?,
        base64: false,
        stream: false,
        flex: false,
    })
}

fn contents(fields: Fields<'_>) -> Result<Asked<'_>, String> {
    let contents = fields.contents.ok_or("contents is not specified")?.get();
    if contents.trim_start_matches('[').trim_start().starts_with(']') {
        return Err("contents is not specified".to_owned());
    }
    let parts = [contents, fields.system_instruction.map_or("", RawValue::get)];
    let config = fields.generation_config.unwrap_or_default();
    let schema = config.response_json_schema.or(config.response_schema);
    let json = config.response_mime_type.as_deref() == Some("application/json");
    let format = |kind: &'static str| Format { kind: kind.into(), json_schema: None, schema };
    let format = match schema {
        Some(_) => Some(format("json_schema")),
        None => json.then(|| format("json_object")),
    };
    let (tool, schema) = called(fields.tools, fields.tool_config);
    Ok(Asked {
        wanted: schema.unwrap_or_else(|| wanted(format, &parts)),
        tool,
        prompt: prompt(&parts),
        max_output: config.max_output_tokens,
        choices: config.candidate_count.unwrap_or(1).clamp(1, MAX_CHOICES),
        model: fields.model.unwrap_or_default(),
        base64: false,
        stream: false,
        flex: false,
    })
}

/// The first tool and the form of its arguments, where the request insists on a call: in the words of
/// OpenAI, Anthropic or Gemini.
fn called<'a>(
    tools: Option<&'a RawValue>,
    choice: Option<&'a RawValue>,
) -> (Option<String>, Option<Wanted<'a>>) {
    let insists = |choice: &str| {
        ["\"required\"", "\"any\"", "\"ANY\"", "\"name\""].iter().any(|word| choice.contains(word))
    };
    let tools = tools.filter(|_| choice.is_some_and(|choice| insists(choice.get())));
    let Some(tool) = tools.and_then(|tools| first_tool(tools.get())) else { return (None, None) };
    (Some(tool.name), Some(tool.schema.map_or(Wanted::JsonObject, |schema| Wanted::Schema(schema.get()))))
}

struct Tool<'a> {
    name: String,
    schema: Option<&'a RawValue>,
}

fn first_tool(tools: &str) -> Option<Tool<'_>> {
    type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
    let list: Vec<Fields<'_>> = serde_json::from_str(tools).ok()?;
    let mut tool = list.into_iter().next()?;
    if let Some(function) = tool.get("function") {
        tool = serde_json::from_str(function.get()).ok()?;
    } else if let Some(declared) = tool.get("functionDeclarations") {
        let declared: Vec<Fields<'_>> = serde_json::from_str(declared.get()).ok()?;
        tool = declared.into_iter().next()?;
    }
    let schema =
        ["parameters", "input_schema", "parametersJsonSchema"].into_iter().find_map(|name| tool.get(name));
    Some(Tool { name: serde_json::from_str(tool.get("name")?.get()).ok()?, schema: schema.copied() })
}

fn embeddings(fields: Fields<'_>) -> Result<Asked<'_>, String> {
    let input = fields.input.ok_or("`input` is missing")?.get();
    let (count, tokens) = inputs(input)?;
    let mut prompt = prompt(&[input]);
    prompt.input_tokens = tokens.unwrap_or(prompt.input_tokens);
    Ok(Asked {
        prompt,
        max_output: Some(0),
        choices: 1,
        wanted: Wanted::Vectors {
            count,
            dimensions: fields.dimensions.unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS),
        },
        base64: fields.encoding_format == Some("base64"),
        stream: false,
        flex: false,
        tool: None,
        model: fields.model.ok_or("`model` is missing")?,
    })
}

/// Reads Gemini's request for vectors, `batchEmbedContents`.
pub fn read_contents_to_embed(json: &[u8]) -> Result<Asked<'_>, String> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow, default)]
        requests: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        output_dimensionality: Option<u32>,
    }
    let unread = |error: serde_json::Error| format!("cannot read the body: {error}");
    let batch: Batch<'_> = serde_json::from_slice(json).map_err(unread)?;
    let mut contents = Vec::with_capacity(batch.requests.len());
    let mut dimensions = DIMENSIONS;
    for request in &batch.requests {
        let one: One<'_> = serde_json::from_str(request.get()).map_err(unread)?;
        contents.push(one.content.ok_or("content is not specified")?.get());
        dimensions = one.output_dimensionality.unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    }
    if contents.is_empty() {
        return Err("requests is not specified".to_owned());
    }
    Ok(Asked {
        model: Cow::default(),
        prompt: prompt(&contents),
        max_output: Some(0),
        choices: 1,
        wanted: Wanted::Vectors { count: contents.len(), dimensions },
        base64: false,
        stream: false,
        flex: false,
        tool: None,
    })
}

/// How many texts `input` holds and, where they are given as token numbers, how many tokens.
fn inputs(input: &str) -> Result<(usize, Option<u64>), String> {
    if !input.starts_with('[') {
        return Ok((1, None));
    }
    let items: Vec<&RawValue> = serde_json::from_str(input).map_err(|e| format!("`input`: {e}"))?;
    let numbers = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    match items.first() {
        None => Err("`input` must not be empty".to_owned()),
        Some(first) if numbers(first.get()) => Ok((1, Some(items.len() as u64))),
        Some(_) if items.len() > MAX_INPUTS => Err(format!("`input` has more than {MAX_INPUTS} texts")),
        Some(_) => Ok((items.len(), None)),
    }
}

fn wanted<'a>(format: Option<Format<'a>>, parts: &[&'a str]) -> Wanted<'a> {
    let schema = |format: &Format<'a>| format.schema.or_else(|| format.json_schema.as_ref()?.schema);
    match format {
        Some(format) if format.kind == "json_schema" => {
            schema(&format).map_or(Wanted::JsonObject, |schema| Wanted::Schema(schema.get()))
        }
        Some(format) if format.kind == "json_object" => Wanted::JsonObject,
        _ => parts.iter().find_map(|text| choices(text)).map_or(Wanted::Text, Wanted::Choice),
    }
}

/// What follows `one of:` in a prompt, to the end of its line, sentence or text.
fn choices(json: &str) -> Option<&str> {
    const MARK: &[u8] = b"one of:";
    // Looking for the rare colon first is several times as fast as comparing at every place.
    let colons = json.bytes().enumerate().filter(|&(_, byte)| byte == b':').map(|(at, _)| at);
    let mut marks = colons.filter(|&at| {
        let start = (at + 1).saturating_sub(MARK.len());
        json.as_bytes()[start..=at].eq_ignore_ascii_case(MARK)
    });
    let rest = &json[marks.next()? + 1..];
    let bytes = rest.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b'.' | b';' | b')' | b']' => true,
        b'"' => at == 0 || bytes[at - 1] != b'\\',
        b'\\' => bytes.get(at + 1) != Some(&b'"'),
        _ => false,
    };
    let end = (0..bytes.len()).find(|&at| ends(at)).unwrap_or(bytes.len());
    let list = &rest[..end];
    list.bytes().any(|byte| byte.is_ascii_alphanumeric()).then_some(list)
}

/// What stands before the last cache mark, in the order in which the model reads: tools, system, messages.
fn kept(parts: [&str; 3]) -> Option<Kept> {
    let last = (0..parts.len()).rev().find_map(|part| Some((part, parts[part].rfind("\"cache_control\"")?)));
    let (last, end) = last?;
    let before = parts[..last].iter().copied().chain([&parts[last][..end]]);
    let (hash, tokens) = before.fold((0u64, 0), |(sum, tokens), part| {
        (sum.rotate_left(7) ^ hash(part.as_bytes()), tokens + part.len() as u64 / 4)
    });
    Some(Kept { hash, tokens })
}

/// Four characters of JSON text to a token, and a few for the frame of each part.
fn prompt(parts: &[&str]) -> Prompt {
    let mut prompt = Prompt::default();
    for part in parts {
        prompt.hash = prompt.hash.rotate_left(7) ^ hash(part.as_bytes());
        prompt.input_tokens += part.len() as u64 / 4;
    }
    prompt.input_tokens += 3;
    prompt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat_body(rest: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{rest}}}"#)
    }

    #[test]
    fn the_kind_of_answer_is_found() {
        let schema =
            r#","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"a": 1}}}"#;
        let cases = [
            ("", Wanted::Text),
            (r#","response_format":{"type":"json_object"}"#, Wanted::JsonObject),
            (r#","response_format":{"type":"text"}"#, Wanted::Text),
            (schema, Wanted::Schema(r#"{"a": 1}"#)),
        ];
        for (rest, wanted) in cases {
            assert_eq!(read(Wire::Chat, chat_body(rest).as_bytes()).unwrap().wanted, wanted);
        }
        let body =
            br#"{"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"x","schema":{}}}}"#;
        assert_eq!(read(Wire::Responses, body).unwrap().wanted, Wanted::Schema("{}"));
    }

    #[test]
    fn choices_end_with_their_sentence_line_or_text() {
        let cases = [
            (r#""Answer with One Of: pos, neg. Thanks""#, Some(" pos, neg")),
            (r#""one of: pos, neg\nText: x""#, Some(" pos, neg")),
            (r#""one of: \"pos\", \"neg\"""#, Some(r#" \"pos\", \"neg\""#)),
            (r#""say: one of: a|b""#, Some(" a|b")),
            (r#""one of:""#, None),
            (r#""none: of""#, None),
        ];
        for (json, found) in cases {
            assert_eq!(choices(json), found, "{json}");
        }
    }

    #[test]
    fn a_prompt_is_the_same_for_every_model_and_limit() {
        let a = read(Wire::Chat, br#"{"model":"a","messages":["x"],"max_tokens":5}"#).unwrap();
        let b = read(Wire::Chat, br#"{"messages":["x"],"model":"b"}"#).unwrap();
        let c = read(Wire::Chat, br#"{"messages":["y"],"model":"b"}"#).unwrap();
        assert_eq!(a.prompt, b.prompt);
        assert_ne!(b.prompt.hash, c.prompt.hash);
        assert_eq!((a.max_output, b.max_output), (Some(5), None));
    }

    #[test]
    fn embeddings_count_texts_and_tokens() {
        let cases = [
            (r#""one text""#, 1, 3 + 10 / 4),
            (r#"["one","two"]"#, 2, 3 + 13 / 4),
            ("[1,2,3]", 1, 3),
            ("[[1,2],[3]]", 2, 3 + 11 / 4),
        ];
        for (input, count, tokens) in cases {
            let body = format!(r#"{{"model":"m","input":{input},"encoding_format":"base64"}}"#);
            let asked = read(Wire::Embeddings, body.as_bytes()).unwrap();
            assert_eq!(asked.wanted, Wanted::Vectors { count, dimensions: DIMENSIONS }, "{input}");
            assert_eq!((asked.prompt.input_tokens, asked.base64), (tokens, true), "{input}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        let cases = [
            ("{", "cannot read the body"),
            ("[]", "is missing"),
            (r#"{"model":"m"}"#, "`messages` is missing"),
            (r#"{"model":"m","messages":[ ]}"#, "at least one message"),
            (r#"{"messages":[1]}"#, "`model` is missing"),
        ];
        for (body, message) in cases {
            let error = read(Wire::Chat, body.as_bytes()).unwrap_err();
            assert!(error.contains(message), "{body}: {error}");
        }
    }
}
