//! What a request asks, in no family's words: every format is read into an [`Ask`] and written from
//! one.
//!
//! Values are kept as the JSON text they were written in. A format that cannot say a part of it
//! refuses by the name of that part.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::json::{self, Json};

/// The fields of a JSON object, by name; of two that are named alike the last one counts.
pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Ask<'a> {
    /// What stands above the conversation: JSON strings.
    pub(super) system: Vec<Json<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) max_output: Option<Json<'a>>,
    pub(super) temperature: Option<Json<'a>>,
    pub(super) top_p: Option<Json<'a>>,
    pub(super) top_k: Option<Json<'a>>,
    pub(super) presence_penalty: Option<Json<'a>>,
    pub(super) frequency_penalty: Option<Json<'a>>,
    pub(super) seed: Option<Json<'a>>,
    pub(super) choices: Option<Json<'a>>,
    /// JSON strings.
    pub(super) stop: Vec<Json<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) format: Option<Format<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
}

#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) parts: Vec<Part<'a>>,
}

#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A JSON string.
    Text(Json<'a>),
    Image(Image),
    /// A tool the model calls.
    Call(Call<'a>),
    /// What the tool gave: a JSON string.
    Result {
        id: String,
        output: Json<'a>,
    },
}

#[derive(Debug)]
pub(super) enum Image {
    Url(String),
    Inline { mime: String, base64: String },
}

#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) name: String,
    /// A JSON object.
    pub(super) arguments: Json<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Tool<'a> {
    pub(super) name: String,
    /// A JSON string.
    pub(super) description: Option<Json<'a>>,
    /// A JSON schema.
    pub(super) parameters: Option<Json<'a>>,
    /// The provider holds the arguments to the schema.
    pub(super) strict: bool,
}

#[derive(Debug)]
pub(super) enum ToolChoice {
    Auto,
    None,
    Any,
    One(String),
}

#[derive(Debug)]
pub(super) enum Format<'a> {
    JsonObject,
    Schema { name: Option<Json<'a>>, schema: Json<'a>, strict: Option<Json<'a>> },
}

impl<'a> Ask<'a> {
    /// The ask, if it is one that any format can make.
    pub(super) fn checked(self, prompt: &str) -> Result<Ask<'a>, String> {
        match self.turns.last() {
            None => Err(format!("`{prompt}` is missing or empty")),
            Some(Turn { role: Role::Assistant, .. }) => Err(
                "the last turn is the assistant's, which other formats cannot continue; end with a user turn"
                    .to_owned(),
            ),
            Some(turn) if turn.parts.is_empty() => Err(format!("the last turn of `{prompt}` is empty")),
            Some(_) => Ok(self),
        }
    }

    /// Adds a turn; what several messages in a row say in one role is one turn.
    pub(super) fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        let results = |parts: &[Part<'_>]| parts.iter().all(|part| matches!(part, Part::Result { .. }));
        match self.turns.last_mut() {
            Some(last) if last.role == role && results(&last.parts) && results(&parts) => {
                last.parts.extend(parts);
            }
            _ => self.turns.push(Turn { role, parts }),
        }
    }

    /// The name of the tool that a result answers to.
    pub(super) fn called(&self, id: &str) -> Option<&str> {
        let parts = self.turns.iter().flat_map(|turn| &turn.parts);
        parts.into_iter().find_map(|part| match part {
            Part::Call(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }

    /// An error where one of these says something: `format` has no word for it.
    pub(super) fn refuse(&self, format: &str, parts: &[(&str, bool)]) -> Result<(), String> {
        match parts.iter().find(|(_, said)| *said) {
            Some((name, _)) => Err(no_counterpart(name, format)),
            None => Ok(()),
        }
    }

    /// Whether more than one answer is asked for.
    pub(super) fn wants_several(&self) -> bool {
        self.choices.as_deref().is_some_and(|n| n.trim() != "1")
    }
}

impl<'a> Image {
    /// The image at an address, which may hold the image itself.
    pub(super) fn at(url: String) -> Image {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match inline {
            Some((mime, base64)) => Image::Inline { mime: mime.to_owned(), base64: base64.to_owned() },
            None => Image::Url(url),
        }
    }

    /// Bytes, if they are an image.
    pub(super) fn inline(mime: String, base64: String) -> Result<Part<'a>, String> {
        if mime.starts_with("image/") {
            Ok(Part::Image(Image::Inline { mime, base64 }))
        } else {
            Err(format!("{mime} data has no counterpart in other formats"))
        }
    }

    /// As one address.
    pub(super) fn url(&self) -> String {
        match self {
            Image::Url(url) => url.clone(),
            Image::Inline { mime, base64 } => format!("data:{mime};base64,{base64}"),
        }
    }
}

/// The fields of a body or of a part of it.
pub(super) fn fields<'a>(json: &'a str, name: &str) -> Result<Fields<'a>, String> {
    serde_json::from_str(json).map_err(|error| format!("{name}: {error}"))
}

/// The elements of a list.
pub(super) fn elements<'a>(json: &'a str, name: &str) -> Result<Vec<&'a RawValue>, String> {
    serde_json::from_str(json).map_err(|error| format!("{name}: {error}"))
}

/// A string's text.
pub(super) fn text(value: Option<&&RawValue>) -> Option<String> {
    json::text_of(value?.get())
}

/// `raw`, if it is a JSON string.
pub(super) fn string(raw: &RawValue) -> Option<Json<'_>> {
    raw.get().starts_with('"').then(|| raw.get().into())
}

/// A value, unless it is `null`.
pub(super) fn some(raw: &RawValue) -> Option<Json<'_>> {
    (raw.get() != "null").then(|| raw.get().into())
}

/// A number that says something: neither `null` nor 0, which is what is done without it.
pub(super) fn not_zero(raw: &RawValue) -> Option<Json<'_>> {
    some(raw).filter(|text| text.parse() != Ok(0.0))
}

/// One string, or a list of them.
pub(super) fn strings<'a>(raw: &'a RawValue, name: &str) -> Result<Vec<Json<'a>>, String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Ok(vec![raw.get().into()]),
        Some(b'n') => Ok(Vec::new()),
        _ => Ok(elements(raw.get(), name)?.into_iter().filter_map(string).collect()),
    }
}

/// Texts in a row as one JSON string; a single one keeps its bytes.
pub(super) fn joined<'a>(texts: &[Json<'a>], between: &str) -> Json<'a> {
    match texts {
        [one] => one.clone(),
        several => {
            // What is between two quotes of JSON strings can be put in a row as it is.
            let inner: Vec<&str> = several.iter().map(|text| inside(text)).collect();
            let between = json::quoted(between);
            format!("\"{}\"", inner.join(inside(&between))).into()
        }
    }
}

fn inside(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(string)
}

/// The error for a part that a format has no word for.
pub(super) fn no_counterpart(part: &str, format: &str) -> String {
    format!("`{part}` has no counterpart in {format}")
}

/// The error for a field that only its own format has.
pub(super) fn only_there(field: &str) -> String {
    format!("`{field}` has no counterpart in other formats")
}
