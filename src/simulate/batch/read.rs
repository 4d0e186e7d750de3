//! What is posted to the batch APIs → a [`BatchOrder`], as strict as the providers are.
//!
//! Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::catalog::batch::BatchDialect;
use crate::job::Wire;
use crate::provider::simulated::batch::{Asks, BatchFile, BatchLine, BatchOrder};

/// A multipart upload: the file's name, what it is for, and its bytes.
pub(super) fn upload(content_type: &str, body: &Bytes) -> Result<(String, String, Bytes), String> {
    let boundary = content_type.split_once("boundary=").ok_or("the upload names no boundary")?.1;
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
    let (mut name, mut purpose, mut bytes) = (String::new(), String::new(), None);
    let mut parts = parts(body, boundary);
    for (index, (head, content)) in parts.drain(..).enumerate() {
        let text = String::from_utf8_lossy(&content).into_owned();
        if head.contains("name=\"purpose\"") {
            purpose = text;
        } else if let Some((_, rest)) = head.split_once("filename=\"") {
            name = rest.split('"').next().unwrap_or_default().to_owned();
            bytes = Some(content);
        } else if let (0, Ok(about)) = (index, serde_json::from_str::<Value>(&text)) {
            // Google describes the file first and sends it second.
            name = about["file"]["displayName"].as_str().unwrap_or_default().to_owned();
        } else {
            bytes = Some(content);
        }
    }
    Ok((name, purpose, bytes.ok_or("there is no file in the upload")?))
}

/// The parts of a multipart body: what is said of each, and what is in it.
fn parts(body: &Bytes, boundary: &str) -> Vec<(String, Bytes)> {
    let line = format!("--{boundary}");
    let marks: Vec<usize> = memchr::memmem::find_iter(body, line.as_bytes()).collect();
    let between = |pair: &[usize]| {
        let part = body.slice(pair[0] + line.len()..pair[1]);
        let head = memchr::memmem::find(&part, b"\r\n\r\n")?;
        let content = part.slice(head + 4..part.len().saturating_sub(2).max(head + 4));
        Some((String::from_utf8_lossy(&part[..head]).into_owned(), content))
    };
    marks.windows(2).filter_map(between).collect()
}

#[derive(Deserialize)]
struct OverFile {
    input_file_id: Option<String>,
    input_files: Option<Vec<String>>,
    endpoint: Option<String>,
    completion_window: Option<String>,
    model: Option<String>,
    metadata: Option<Value>,
    name: Option<String>,
}

/// A batch over a file, of OpenAI, Mistral or xAI; `file` finds it.
pub(super) fn over_file<'a>(
    dialect: BatchDialect,
    body: &[u8],
    file: impl FnOnce(&str) -> Option<&'a BatchFile>,
) -> Result<BatchOrder, String> {
    let asked: OverFile = read(body)?;
    if dialect == BatchDialect::OpenAi && asked.completion_window.is_none() {
        return Err("`completion_window` is missing".to_owned());
    }
    let named = asked.input_files.and_then(|files| files.into_iter().next()).or(asked.input_file_id);
    let id = named.ok_or("`input_file_id` is missing")?;
    let file = file(&id).ok_or_else(|| format!("there is no file {id:?}"))?;
    let endpoint = match dialect {
        // Its lines say where they would go.
        BatchDialect::Xai => address(&file.bytes)?,
        _ => asked.endpoint.ok_or("`endpoint` is missing")?,
    };
    let wire = wire(&endpoint)?;
    let mut order = BatchOrder {
        dialect,
        wire,
        model: asked.model,
        called: None,
        endpoint,
        input_file: Some(id),
        label: asked.metadata.or(asked.name.map(Value::from)).unwrap_or_default(),
        lines: lines(&file.bytes, dialect, wire)?,
    };
    match dialect {
        BatchDialect::Mistral if order.model.is_none() => return Err("`model` is missing".to_owned()),
        BatchDialect::Mistral => {}
        _ => order.model = Some(one_model(&order.lines)?),
    }
    Ok(order)
}

#[derive(Deserialize)]
struct Inline<'a> {
    endpoint: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    requests: Vec<&'a RawValue>,
}

/// A batch with its requests inside, of Anthropic or OpenRouter.
pub(super) fn inline(dialect: BatchDialect, body: &[u8]) -> Result<BatchOrder, String> {
    let asked: Inline<'_> = read(body)?;
    let endpoint = asked.endpoint.unwrap_or_else(|| "/v1/messages".to_owned());
    let wire = if dialect == BatchDialect::Anthropic { Wire::Messages } else { wire(&endpoint)? };
    let lines = asked.requests.iter().map(|raw| line(raw.get(), dialect, wire)).collect::<Result<_, _>>()?;
    if dialect == BatchDialect::OpenRouter {
        let text = String::from_utf8_lossy(body);
        if text.find("\"model\"") > text.find("\"requests\"") {
            return Err("`model` must come before `requests`".to_owned());
        }
    }
    let order = BatchOrder {
        dialect,
        wire,
        model: asked.model,
        called: None,
        endpoint,
        input_file: None,
        label: Value::Null,
        lines,
    };
    distinct(order)
}

/// Google's batch for a model, inline or over a file.
pub(super) fn gemini<'a>(
    model: &str,
    body: &[u8],
    file: impl FnOnce(&str) -> Option<&'a BatchFile>,
) -> Result<BatchOrder, String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        batch: Batch<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Batch<'a> {
        display_name: Option<String>,
        #[serde(borrow)]
        input_config: Input<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input<'a> {
        file_name: Option<String>,
        #[serde(borrow)]
        requests: Option<Requests<'a>>,
    }
    #[derive(Deserialize)]
    struct Requests<'a> {
        #[serde(borrow)]
        requests: Vec<&'a RawValue>,
    }

    let Body { batch } = read(body)?;
    let input_file = batch.input_config.file_name;
    let lines = match (&input_file, batch.input_config.requests) {
        (Some(id), _) => {
            let file = file(id).ok_or_else(|| format!("there is no file {id:?}"))?;
            lines(&file.bytes, BatchDialect::Gemini, Wire::GenerateContent)?
        }
        (None, Some(inline)) => {
            let line = |raw: &&RawValue| line(raw.get(), BatchDialect::Gemini, Wire::GenerateContent);
            inline.requests.iter().map(line).collect::<Result<_, _>>()?
        }
        (None, None) => return Err("inputConfig is not specified".to_owned()),
    };
    distinct(BatchOrder {
        dialect: BatchDialect::Gemini,
        wire: Wire::GenerateContent,
        model: Some(model.to_owned()),
        called: None,
        endpoint: String::new(),
        input_file,
        label: batch.display_name.map(Value::from).unwrap_or_default(),
        lines,
    })
}

#[derive(Deserialize)]
struct LineIn<'a> {
    custom_id: Option<String>,
    key: Option<String>,
    metadata: Option<Key>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Key {
    key: Option<String>,
}

fn line(text: &str, dialect: BatchDialect, wire: Wire) -> Result<BatchLine, String> {
    let line: LineIn<'_> = serde_json::from_str(text).map_err(|error| format!("a request: {error}"))?;
    let (id, body) = match dialect {
        BatchDialect::Anthropic => (line.custom_id, line.params),
        BatchDialect::Gemini => (line.key.or(line.metadata.and_then(|metadata| metadata.key)), line.request),
        BatchDialect::OpenAi | BatchDialect::Mistral | BatchDialect::OpenRouter | BatchDialect::Xai => {
            (line.custom_id, line.body)
        }
    };
    let body = body.ok_or("a request holds nothing that is asked")?;
    // Google's requests need no name; their place is one.
    let id = if dialect == BatchDialect::Gemini { Some(id.unwrap_or_default()) } else { id };
    let id = id.ok_or("a request has no `custom_id`")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_name = (1..=64).contains(&id.len()) && id.bytes().all(plain);
    if dialect == BatchDialect::Anthropic && !is_name {
        return Err(format!("custom_id: {id:?} should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"));
    }
    Ok(BatchLine { id, asks: Asks::Body(wire, Bytes::copy_from_slice(body.get().as_bytes())) })
}

fn lines(file: &[u8], dialect: BatchDialect, wire: Wire) -> Result<Vec<BatchLine>, String> {
    let text = std::str::from_utf8(file).map_err(|error| error.to_string())?;
    text.lines().filter(|text| !text.trim().is_empty()).map(|text| line(text, dialect, wire)).collect()
}

/// Where the requests of a file would go one by one.
fn address(file: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Addressed {
        url: Option<String>,
    }
    let first = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    read::<Addressed>(first)?.url.ok_or_else(|| "a request has no `url`".to_owned())
}

fn distinct(order: BatchOrder) -> Result<BatchOrder, String> {
    let mut seen = BTreeSet::new();
    match order.lines.iter().find(|line| !line.id.is_empty() && !seen.insert(&line.id)) {
        Some(line) => Err(format!("the id {:?} is used twice", line.id)),
        None => Ok(order),
    }
}

fn one_model(lines: &[BatchLine]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Named {
        model: Option<String>,
    }
    let mut models = BTreeSet::new();
    for line in lines {
        let Asks::Body(_, body) = &line.asks else { continue };
        let named: Named = read(body)?;
        models.insert(named.model.ok_or("a request names no model")?);
    }
    let first = models.pop_first().unwrap_or_default();
    if models.is_empty() { Ok(first) } else { Err("all requests must ask the same model".to_owned()) }
}

fn wire(endpoint: &str) -> Result<Wire, String> {
    let ends = [
        ("/chat/completions", Wire::Chat),
        ("/responses", Wire::Responses),
        ("/embeddings", Wire::Embeddings),
    ];
    let found = ends.into_iter().find(|(end, _)| endpoint.ends_with(end));
    found.map(|(_, wire)| wire).ok_or_else(|| format!("the endpoint {endpoint:?} takes no batches"))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("cannot read the body: {error}"))
}
