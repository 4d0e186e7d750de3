//! What a request body says about itself: its model, how much it may answer, what it needs.
//!
//! Takes a body in any wire format, gives [`Facts`]; the body is only looked at. [`prepare`] makes
//! the few edits that are made at submit and looks again.
//!
//! Pure.

use super::build::quoted;
use super::edit::{self, Edit};
use super::scan::{Kind, Raw, check_object};
use super::settings::Setting;
use super::tokens::{Counter, Parts};
use crate::job::{Needs, Wire};

/// What is known of a body without sending it.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// The model it names.
    pub model: Option<Raw<'a>>,
    /// Where that name stands.
    pub model_at: Option<(u32, u32)>,
    /// Tokens it allows an answer, over all choices.
    pub max_output: Option<u32>,
    /// Answers it asks for.
    pub choices: u16,
    /// What a model must be able to do.
    pub needs: Needs,
    /// Asked twice, it should be answered alike: temperature 0, or an embedding.
    pub is_repeatable: bool,
    /// Its input tokens, estimated.
    pub input_tokens: u32,
    /// It asks to be streamed.
    streams: bool,
    /// It says how to be streamed.
    has_stream_options: bool,
    /// It has instructions of its own.
    has_system: bool,
    prompt: Option<Raw<'a>>,
}

/// What is changed in every body of a job.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Instructions for bodies without any, as JSON text.
    pub system: Option<Vec<u8>>,
    /// Keys that are set.
    pub set: Vec<Setting>,
}

/// What was done to one body, for the notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Streaming was taken out.
    pub stream_removed: bool,
    /// Instructions were given but the body has its own.
    pub kept_system: bool,
    /// Instructions were given but an embedding has no place for them.
    pub system_unused: bool,
}

/// The edited body, or `None` where it stays as it is.
pub fn prepare(wire: Wire, body: Raw<'_>, facts: &Facts<'_>, changes: &Changes) -> (Option<Vec<u8>>, Done) {
    let mut edits: Vec<Edit<'_>> = Vec::new();
    let mut done = Done { stream_removed: facts.streams, ..Done::default() };
    if facts.streams {
        edits.push(Edit::Remove("stream"));
    }
    if facts.has_stream_options {
        edits.push(Edit::Remove("stream_options"));
    }
    let instructions;
    match &changes.system {
        None => {}
        Some(_) if wire == Wire::Embeddings => done.system_unused = true,
        Some(_) if facts.has_system => done.kept_system = true,
        Some(text) => {
            instructions = instructions_for(wire, text, facts.prompt);
            edits.push(Edit::Set(instructions.0, &instructions.1));
        }
    }
    for setting in &changes.set {
        edits.retain(|edit| !matches!(edit, Edit::Set(key, _) if *key == setting.key));
        edits.push(Edit::Set(&setting.key, &setting.value));
    }
    match edits.is_empty() {
        true => (None, done),
        false => (Some(edit::apply(body, &edits)), done),
    }
}

/// The key that holds instructions, and its new value.
fn instructions_for(wire: Wire, text: &[u8], prompt: Option<Raw<'_>>) -> (&'static str, Vec<u8>) {
    match wire {
        Wire::Chat | Wire::Embeddings => {
            let list = prompt.map_or(&b"[]"[..], Raw::bytes);
            let rest = list[1..].trim_ascii_start();
            let comma: &[u8] = if rest.starts_with(b"]") { b"" } else { b"," };
            let message =
                [&b"[{\"role\":\"system\",\"content\":"[..], text, b"}", comma, &list[1..]].concat();
            ("messages", message)
        }
        Wire::Responses => ("instructions", text.to_vec()),
        Wire::Messages => ("system", text.to_vec()),
        Wire::GenerateContent => {
            ("systemInstruction", [&b"{\"parts\":[{\"text\":"[..], text, b"}]}"].concat())
        }
    }
}

impl Changes {
    /// Instructions and settings as the command line gives them.
    pub fn new(system: Option<&str>, set: &[Setting]) -> Changes {
        Changes { system: system.map(quoted), set: set.to_vec() }
    }
}

/// What a tokenizer has to count of a body; nothing where it is no request of this format.
pub fn parts(wire: Wire, body: &[u8]) -> Option<Parts> {
    let mut seen = Seen::new(wire);
    seen.counter = seen.counter.keeping_texts();
    for member in check_object(body).ok()?.members() {
        seen.field(&member.key.name(), member.value).ok()?;
    }
    seen.prompt().ok()?;
    Some(seen.counter.into_parts())
}

/// Looks through a body; the error says which of its fields cannot be.
pub fn facts(wire: Wire, body: Raw<'_>) -> Result<Facts<'_>, String> {
    let mut seen = Seen::new(wire);
    for member in body.members() {
        match (wire, &*member.key.name()) {
            (_, b"model") => seen.model(member.value, member.value_start, member.end())?,
            (_, b"stream") => {
                seen.facts.streams = !matches!(member.value.bytes(), b"false" | b"null");
            }
            (_, b"stream_options") => seen.facts.has_stream_options = true,
            (_, key) => seen.field(key, member.value)?,
        }
    }
    seen.finish()
}

/// A body that is being looked through.
struct Seen<'a> {
    wire: Wire,
    facts: Facts<'a>,
    counter: Counter,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stored_prompt: bool,
}

impl<'a> Seen<'a> {
    fn new(wire: Wire) -> Seen<'a> {
        let counter = match wire {
            Wire::Embeddings => Counter::of_token_ids(),
            _ => Counter::default(),
        };
        let is_repeatable = wire == Wire::Embeddings;
        let facts = Facts { choices: 1, is_repeatable, ..Facts::default() };
        Seen { wire, facts, counter, max_tokens: None, max_completion_tokens: None, stored_prompt: false }
    }

    fn model(&mut self, value: Raw<'a>, start: usize, end: usize) -> Result<(), String> {
        match value.text() {
            Some(name) if !name.trim().is_empty() => {}
            _ => return Err("`model` must be the name of a model".to_owned()),
        }
        let place = |at: usize| u32::try_from(at).map_err(|_| "the body is longer than 4 GiB".to_owned());
        self.facts.model = Some(value);
        self.facts.model_at = Some((place(start)?, place(end)?));
        Ok(())
    }

    fn field(&mut self, key: &[u8], value: Raw<'a>) -> Result<(), String> {
        use Wire::{Chat, Embeddings, GenerateContent, Messages, Responses};
        match (self.wire, key) {
            (Chat | Messages, b"messages")
            | (Responses | Embeddings, b"input")
            | (GenerateContent, b"contents") => self.facts.prompt = Some(value),
            (Responses, b"prompt") => self.stored_prompt = true,
            (Messages, b"system")
            | (Responses, b"instructions")
            | (GenerateContent, b"systemInstruction" | b"system_instruction") => {
                self.facts.has_system = !value.is_null();
                self.counter.prompt(value);
            }
            (Chat, b"max_completion_tokens") => {
                self.max_completion_tokens = limit("max_completion_tokens", value)?;
            }
            (Chat | Messages, b"max_tokens") => self.max_tokens = limit("max_tokens", value)?,
            (Responses, b"max_output_tokens") => self.max_tokens = limit("max_output_tokens", value)?,
            (Chat, b"n") => self.choices("n", value)?,
            (GenerateContent, b"generationConfig" | b"generation_config") => self.generation_config(value)?,
            (Chat | Responses | Messages | GenerateContent, b"tools") | (Chat, b"functions") => {
                self.facts.needs.tools |= value.elements().next().is_some();
                self.counter.schema(value);
            }
            (Chat | Responses | Messages, b"temperature") => self.facts.is_repeatable = is_zero(value),
            (Chat, b"response_format") => self.answer_format(value),
            (Responses, b"text") | (Messages, b"output_config") => {
                if let Some(format) = value.get("format") {
                    self.answer_format(format);
                }
            }
            (Messages, b"output_format") => self.answer_format(value),
            _ => {}
        }
        Ok(())
    }

    fn answer_format(&mut self, format: Raw<'_>) {
        if format.get("type").is_some_and(|kind| kind.is("json_schema")) {
            self.facts.needs.json_schema = true;
            self.counter.schema(format);
        }
    }

    fn generation_config(&mut self, config: Raw<'_>) -> Result<(), String> {
        for member in config.members() {
            match &*member.key.name() {
                b"maxOutputTokens" | b"max_output_tokens" => {
                    self.max_tokens = limit("maxOutputTokens", member.value)?;
                }
                b"temperature" => self.facts.is_repeatable = is_zero(member.value),
                b"candidateCount" | b"candidate_count" => self.choices("candidateCount", member.value)?,
                b"responseSchema" | b"response_schema" | b"responseJsonSchema" | b"response_json_schema" => {
                    self.facts.needs.json_schema = !member.value.is_null();
                    self.counter.schema(member.value);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn choices(&mut self, key: &str, value: Raw<'_>) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        let choices = value.whole().filter(|&n| n > 0).and_then(|n| u16::try_from(n).ok());
        self.facts.choices =
            choices.ok_or_else(|| format!("`{key}` must be a whole number from 1 to 65535"))?;
        Ok(())
    }

    fn finish(mut self) -> Result<Facts<'a>, String> {
        self.prompt()?;
        self.facts.max_output = match self.wire {
            Wire::Embeddings => Some(0),
            _ => self.max_completion_tokens.or(self.max_tokens).map(|tokens| {
                let all = tokens.saturating_mul(u64::from(self.facts.choices));
                u32::try_from(all).unwrap_or(u32::MAX)
            }),
        };
        if self.wire == Wire::Messages && self.max_tokens.is_none() {
            return Err(
                "`max_tokens` is missing; this format demands it (--set max_tokens=1024 adds it)".to_owned()
            );
        }
        self.facts.needs.vision = self.counter.has_images();
        self.facts.input_tokens = self.counter.total();
        Ok(self.facts)
    }

    /// Checks and counts what the model is asked.
    fn prompt(&mut self) -> Result<(), String> {
        let (field, may_be_text) = match self.wire {
            Wire::Chat | Wire::Messages => ("messages", false),
            Wire::Responses | Wire::Embeddings => ("input", true),
            Wire::GenerateContent => ("contents", false),
        };
        let Some(prompt) = self.facts.prompt else {
            return match self.stored_prompt {
                true => Ok(()),
                false => Err(format!("`{field}` is missing in the request")),
            };
        };
        match prompt.kind() {
            Kind::Array if prompt.elements().next().is_none() => return Err(format!("`{field}` is empty")),
            Kind::String if may_be_text && prompt.inner() == Some(b"") => {
                return Err(format!("`{field}` is empty"));
            }
            Kind::Array => {}
            Kind::String if may_be_text => {}
            _ if may_be_text => return Err(format!("`{field}` must be text or a list")),
            _ => return Err(format!("`{field}` must be a list")),
        }
        self.counter.prompt(prompt);
        if self.wire == Wire::Chat {
            let first = prompt.elements().next().and_then(|message| message.get("role"));
            self.facts.has_system = first.is_some_and(|role| role.is("system") || role.is("developer"));
        }
        if self.wire != Wire::Embeddings {
            self.counter.reply_start();
        }
        Ok(())
    }
}

fn is_zero(value: Raw<'_>) -> bool {
    std::str::from_utf8(value.bytes()).is_ok_and(|text| text.parse() == Ok(0.0))
}

fn limit(key: &str, value: Raw<'_>) -> Result<Option<u64>, String> {
    match value.whole().filter(|&tokens| tokens > 0) {
        Some(tokens) => Ok(Some(tokens)),
        None if value.is_null() => Ok(None),
        None => Err(format!("`{key}` must be a whole number above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::check;
    use super::*;

    fn raw(json: &str) -> Raw<'_> {
        check(json.as_bytes()).unwrap()
    }

    fn prepared(wire: Wire, body: &str, changes: &Changes) -> (String, Done) {
        let facts = facts(wire, raw(body)).unwrap();
        let (edited, done) = prepare(wire, raw(body), &facts, changes);
        (edited.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap()), done)
    }

    #[test]
    fn limits_choices_and_needs_are_found_in_every_wire_format() {
        let needs = |tools, vision, json_schema| Needs { tools, vision, json_schema };
        for (wire, body, max_output, choices, expected) in [
            (
                Wire::Chat,
                r#"{"messages":[{}],"max_tokens":10,"max_completion_tokens":20,"n":5}"#,
                Some(100),
                5,
                needs(false, false, false),
            ),
            (
                Wire::Chat,
                r#"{"messages":[{}],"max_tokens":null,"n":null}"#,
                None,
                1,
                needs(false, false, false),
            ),
            (
                Wire::Chat,
                r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}],"tools":[{}],"response_format":{"type":"json_schema"}}"#,
                None,
                1,
                needs(true, true, true),
            ),
            (
                Wire::Chat,
                r#"{"messages":[{}],"tools":[],"response_format":{"type":"json_object"}}"#,
                None,
                1,
                needs(false, false, false),
            ),
            (
                Wire::Responses,
                r#"{"input":"hi","max_output_tokens":7,"text":{"format":{"type":"json_schema"}}}"#,
                Some(7),
                1,
                needs(false, false, true),
            ),
            (
                Wire::Messages,
                r#"{"messages":[{}],"max_tokens":9,"tools":[{}]}"#,
                Some(9),
                1,
                needs(true, false, false),
            ),
            (
                Wire::GenerateContent,
                r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}],"generationConfig":{"maxOutputTokens":8,"candidateCount":2,"responseSchema":{}}}"#,
                Some(16),
                2,
                needs(false, true, true),
            ),
            (Wire::Embeddings, r#"{"input":["a","b"]}"#, Some(0), 1, needs(false, false, false)),
            (Wire::Responses, r#"{"prompt":{"id":"pmpt_1"}}"#, None, 1, needs(false, false, false)),
        ] {
            let facts = facts(wire, raw(body)).unwrap();
            assert_eq!(
                (facts.max_output, facts.choices, facts.needs),
                (max_output, choices, expected),
                "{body}"
            );
        }
    }

    #[test]
    fn the_last_model_counts_and_its_place_is_known() {
        let body = r#"{"model":"a","messages":[{}],"model": "b"}"#;
        let facts = facts(Wire::Chat, raw(body)).unwrap();
        let (start, end) = facts.model_at.unwrap();
        assert_eq!(&body[start as usize..end as usize], "\"b\"");
    }

    #[test]
    fn what_a_provider_would_refuse_is_refused_here() {
        for (wire, body, message) in [
            (Wire::Chat, r#"{}"#, "`messages` is missing"),
            (Wire::Chat, r#"{"messages":[]}"#, "`messages` is empty"),
            (Wire::Chat, r#"{"messages":"hi"}"#, "`messages` must be a list"),
            (Wire::Chat, r#"{"messages":[{}],"n":0}"#, "`n` must be"),
            (Wire::Chat, r#"{"messages":[{}],"max_tokens":"10"}"#, "`max_tokens` must be"),
            (Wire::Chat, r#"{"messages":[{}],"max_tokens":1.5}"#, "`max_tokens` must be"),
            (Wire::Chat, r#"{"messages":[{}],"model":7}"#, "`model` must be"),
            (Wire::Embeddings, r#"{"input":""}"#, "`input` is empty"),
            (Wire::Embeddings, r#"{"input":{}}"#, "`input` must be text or a list"),
            (Wire::Messages, r#"{"messages":[{}]}"#, "`max_tokens` is missing"),
            (Wire::GenerateContent, r#"{"messages":[{}]}"#, "`contents` is missing"),
        ] {
            let error = facts(wire, raw(body)).unwrap_err();
            assert!(error.contains(message), "{body}: {error}");
        }
    }

    #[test]
    fn streaming_is_taken_out_and_nothing_else_changes() {
        let body = r#"{"stream":true,"seed":12345678901234567890, "messages":[{}],"stream_options":{"include_usage":true}}"#;
        let (edited, done) = prepared(Wire::Chat, body, &Changes::default());
        assert_eq!(edited, r#"{"seed":12345678901234567890, "messages":[{}]}"#);
        assert!(done.stream_removed);
        let body = r#"{"messages":[{}],"stream":false}"#;
        assert_eq!(prepared(Wire::Chat, body, &Changes::default()), (body.to_owned(), Done::default()));
    }

    #[test]
    fn instructions_go_where_the_wire_format_has_them() {
        let changes = Changes::new(Some("be \"brief\""), &[]);
        for (wire, body, expected) in [
            (
                Wire::Chat,
                r#"{"messages":[ {"role":"user"}]}"#,
                r#"{"messages":[{"role":"system","content":"be \"brief\""}, {"role":"user"}]}"#,
            ),
            (Wire::Responses, r#"{"input":"a"}"#, r#"{"input":"a","instructions":"be \"brief\""}"#),
            (
                Wire::Messages,
                r#"{"max_tokens":1,"messages":[{}]}"#,
                r#"{"max_tokens":1,"messages":[{}],"system":"be \"brief\""}"#,
            ),
            (
                Wire::GenerateContent,
                r#"{"contents":[{}]}"#,
                r#"{"contents":[{}],"systemInstruction":{"parts":[{"text":"be \"brief\""}]}}"#,
            ),
        ] {
            assert_eq!(prepared(wire, body, &changes).0, expected);
        }
    }

    #[test]
    fn instructions_of_the_line_itself_are_kept() {
        let changes = Changes::new(Some("x"), &[]);
        for (wire, body) in [
            (Wire::Chat, r#"{"messages":[{"role":"system","content":"own"},{}]}"#),
            (Wire::Chat, r#"{"messages":[{"role":"developer","content":"own"},{}]}"#),
            (Wire::Messages, r#"{"max_tokens":1,"system":"own","messages":[{}]}"#),
        ] {
            let (edited, done) = prepared(wire, body, &changes);
            assert_eq!((edited.as_str(), done.kept_system), (body, true));
        }
        let (_, done) = prepared(Wire::Embeddings, r#"{"input":"a"}"#, &changes);
        assert!(done.system_unused);
    }
}
