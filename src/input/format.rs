//! Which of the accepted formats a line is in.
//!
//! | a line with | is |
//! |---|---|
//! | `custom_id`, `method`, `url`, `body` | an OpenAI batch request |
//! | `custom_id`, `params` | an Anthropic batch request |
//! | `key`, `request.contents` | a Gemini batch request |
//! | `prompt` | a prompt: text, or a list of messages |
//! | `messages` | a chat |
//! | `conversations` | a ShareGPT conversation |
//! | anything else, or anything not a request where a template is given | a row for the template |
//!
//! Also what is wrong with a line whatever its format, or in none.
//!
//! Pure.

use std::borrow::Cow;

use super::problem::{Problem, shown, suggestion};
use super::scan::{Kind, Member, Raw};
use crate::job::Wire;

/// A format of job lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenAI Batch API.
    OpenAi,
    /// Anthropic Message Batches.
    Anthropic,
    /// Gemini batch mode.
    Gemini,
    /// `{"prompt": …}`
    Prompt,
    /// `{"messages": […]}`
    Messages,
    /// `{"conversations": [{"from": …, "value": …}]}`
    ShareGpt,
    /// Variables for a template.
    Row,
    /// One prompt a line, not JSON.
    Text,
}

impl Format {
    /// For messages: `an OpenAI batch request`.
    pub fn with_article(self) -> &'static str {
        match self {
            Format::OpenAi => "an OpenAI batch request",
            Format::Anthropic => "an Anthropic batch request",
            Format::Gemini => "a Gemini batch request",
            Format::Prompt => "a `prompt` line",
            Format::Messages => "a `messages` line",
            Format::ShareGpt => "a `conversations` line",
            Format::Row => "a row without a request",
            Format::Text => "a line of text",
        }
    }

    /// Whether its lines hold a whole request, whose bytes are kept.
    pub fn is_request(self) -> bool {
        matches!(self, Format::OpenAi | Format::Anthropic | Format::Gemini)
    }

    /// Whether its lines must be named by the user, as the provider's own batch endpoint demands.
    pub fn needs_id(self) -> bool {
        matches!(self, Format::OpenAi | Format::Anthropic)
    }
}

/// The format of a line with these members.
pub fn detect(members: &[Member<'_>], has_template: bool) -> Format {
    let find = |key: &str| find(members, key);
    let is_object = |key: &str| find(key).is_some_and(|value| value.kind() == Kind::Object);
    let has = |key: &str| find(key).is_some();

    if (has("url") && has("method"))
        || (is_object("body") && (has("custom_id") || has("url") || has("method")))
    {
        return Format::OpenAi;
    }
    if is_object("params")
        && (has("custom_id") || find("params").is_some_and(|p| p.get("messages").is_some()))
    {
        return Format::Anthropic;
    }
    if find("request").is_some_and(|request| request.get("contents").is_some()) {
        return Format::Gemini;
    }
    match has_template {
        true => Format::Row,
        false if has("prompt") => Format::Prompt,
        false if has("messages") => Format::Messages,
        false if has("conversations") => Format::ShareGpt,
        false => Format::Row,
    }
}

/// The value of the member `key` of a line.
pub fn find<'a>(members: &[Member<'a>], key: &str) -> Option<Raw<'a>> {
    members.iter().find(|member| member.key.is(key)).map(|member| member.value)
}

/// The wire format of an OpenAI batch line, by its `url`.
pub fn wire_of(url: Option<Raw<'_>>) -> Result<Wire, String> {
    const SERVED: &str = "use /v1/chat/completions, /v1/responses or /v1/embeddings";
    let Some(url) = url else { return Err(format!("`url` is missing; {SERVED}")) };
    let Some(url) = url.text() else { return Err(format!("`url` must be text; {SERVED}")) };
    match url.trim_end_matches('/') {
        path if path.ends_with("/chat/completions") => Ok(Wire::Chat),
        path if path.ends_with("/responses") => Ok(Wire::Responses),
        path if path.ends_with("/embeddings") => Ok(Wire::Embeddings),
        path => Err(format!("`url` {} is not an endpoint that is served; {SERVED}", shown(path))),
    }
}

/// Two values under one key of a line: we cannot know which was meant.
pub fn refuse_repeated_keys(members: &[Member<'_>]) -> Result<(), Problem> {
    let mut sorted: Vec<(Cow<'_, [u8]>, usize)> = members.iter().map(|m| (m.key.name(), m.start)).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => {
            let key = String::from_utf8_lossy(&pair[1].0);
            Err(Problem { at: Some(pair[1].1), message: format!("the key {} is used twice", shown(&key)) })
        }
    }
}

/// `overnigth`: options that would be ignored in silence.
pub fn refuse_misspelt_options(members: &[Member<'_>], format: Format) -> Result<(), String> {
    if format == Format::Row {
        return Ok(());
    }
    for member in members {
        let key = member.key.name();
        if key.first() == Some(&b'o') && *key != *b"overnight" {
            let key = String::from_utf8_lossy(&key);
            if strsim::damerau_levenshtein(&key, "overnight") <= 2 {
                return Err(format!("unknown field `{}` (did you mean `overnight`?)", key.escape_debug()));
            }
        }
    }
    Ok(())
}

/// What to do about a line that asks nothing.
pub fn no_request(members: &[Member<'_>]) -> String {
    let names: Vec<String> = members
        .iter()
        .take(8)
        .map(|m| String::from_utf8_lossy(&m.key.name()).escape_debug().to_string())
        .collect();
    let meant = names.iter().find_map(|name| {
        suggestion(name, &["prompt", "messages", "conversations"]).map(|meant| (name, meant))
    });
    match meant {
        Some((name, meant)) => format!("has no request; did you mean `{meant}` by `{name}`?"),
        None if names.is_empty() => "is an empty object".to_owned(),
        None => format!(
            "has no request, only {}; --prompt \"… {{{{ {} }}}} …\" makes one from its fields",
            names.join(", "),
            names[0]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::check_object;
    use super::*;

    fn format(line: &str, has_template: bool) -> Format {
        let members: Vec<Member<'_>> = check_object(line.as_bytes()).unwrap().members().collect();
        detect(&members, has_template)
    }

    #[test]
    fn a_line_is_known_by_its_keys() {
        for (line, expected) in [
            (r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{}}"#, Format::OpenAi),
            (r#"{"custom_id":"a","body":{}}"#, Format::OpenAi),
            (r#"{"method":"POST","url":"/v1/embeddings"}"#, Format::OpenAi),
            (r#"{"custom_id":"a","params":{}}"#, Format::Anthropic),
            (r#"{"params":{"messages":[]}}"#, Format::Anthropic),
            (r#"{"key":"a","request":{"contents":[]}}"#, Format::Gemini),
            (r#"{"prompt":"a"}"#, Format::Prompt),
            (r#"{"messages":[],"source":"x"}"#, Format::Messages),
            (r#"{"conversations":[]}"#, Format::ShareGpt),
            (r#"{"subject":"a","body":"text of a mail","custom_id":"7"}"#, Format::Row),
            (r#"{"request":"please","params":"none"}"#, Format::Row),
        ] {
            assert_eq!(format(line, false), expected, "{line}");
        }
        assert_eq!(format(r#"{"prompt":"a"}"#, true), Format::Row);
        assert_eq!(format(r#"{"custom_id":"a","params":{}}"#, true), Format::Anthropic);
    }

    #[test]
    fn the_url_chooses_the_wire() {
        let wire = |url: &str| {
            let json = format!("\"{url}\"");
            wire_of(Some(super::super::scan::check(json.as_bytes()).unwrap()))
        };
        assert_eq!(wire("/v1/chat/completions"), Ok(Wire::Chat));
        assert_eq!(wire("/v4/chat/completions"), Ok(Wire::Chat));
        assert_eq!(wire("/v1/responses/"), Ok(Wire::Responses));
        assert_eq!(wire("/v1/embeddings"), Ok(Wire::Embeddings));
        assert!(wire("/v1/completions").unwrap_err().contains("\"/v1/completions\" is not an endpoint"));
        assert!(wire_of(None).unwrap_err().contains("missing"));
    }
}
