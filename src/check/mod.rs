//! Is this answer good? A [`Check`] is what the user asks of an answer, [`Rule`] its compiled form,
//! a [`Verdict`] what it says of one answer.
//!
//! [`read`] makes checks of what users write; a rule is compiled once and judges many answers.
//!
//! Pure, but for [`command`]: there the verdict is [`Verdict::Run`] and the driver runs the command.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attempt::ErrorCode;

pub mod command;
pub mod read;
pub mod rule;

pub use rule::Rule;

/// What the user asks of an answer.
///
/// Stored with jobs and items, so a schema is kept as the JSON text it was given in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// One JSON value and nothing else (a fenced block around it is taken off first).
    Json,
    /// JSON that this schema, given as JSON text, accepts.
    JsonSchema(Arc<str>),
    /// Text in which this pattern is found.
    Regex(String),
    /// Exactly one of these, white space around it aside.
    Choices(Vec<String>),
    /// Text that contains this.
    Contains(String),
    /// At most this many characters.
    MaxChars(u32),
    /// A command that reads the answer on its standard input; exit code 0 accepts it.
    Command(Vec<String>),
    /// All of these, in order.
    All(Vec<Check>),
}

/// What a check says of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted.
    Pass,
    /// Not accepted, and why: `/sentiment: "meh" is not one of pos, neg, neutral`.
    Fail(ErrorCode, String),
    /// So far accepted; these commands decide.
    Run(Vec<Vec<String>>),
}

impl Check {
    /// Reads a check as it is written in job lines and configs: `"json"`, `{"json": true}`,
    /// `{"json_schema": {…}}`, `{"regex": "…"}`, `{"choices": […]}`, `{"contains": "…"}`,
    /// `{"max_chars": 200}`, `{"command": ["…"]}`, `{"all": […]}`; several keys mean all of them.
    pub fn from_json(value: &serde_json::Value) -> Result<Check, String> {
        use serde_json::Value;
        let fields = match value {
            Value::String(name) if name == "json" => return Ok(Check::Json),
            Value::Object(fields) if !fields.is_empty() => fields,
            _ => {
                return Err(
                    "a check is \"json\" or an object such as {\"choices\": [\"a\", \"b\"]}".to_owned()
                );
            }
        };
        let mut checks = fields.iter().map(|(kind, value)| one_check(kind, value));
        match fields.len() {
            1 => checks.next().expect("one field gives one check"),
            _ => Ok(Check::All(checks.collect::<Result<_, _>>()?)),
        }
    }
}

/// Reads the check of one kind.
fn one_check(kind: &str, value: &serde_json::Value) -> Result<Check, String> {
    use serde_json::Value;
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| format!("`{kind}` must be text"));
    let texts = || {
        let list = value.as_array().filter(|list| !list.is_empty());
        let texts: Option<Vec<String>> =
            list.and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| format!("`{kind}` must be a list of texts"))
    };
    match kind {
        "json" if *value == Value::Bool(true) => Ok(Check::Json),
        "json" => Err("`json` must be true".to_owned()),
        "json_schema" if value.is_object() || value.is_boolean() => {
            Ok(Check::JsonSchema(value.to_string().into()))
        }
        "json_schema" => Err("`json_schema` must be a JSON schema".to_owned()),
        "regex" => Ok(Check::Regex(text()?)),
        "choices" => Ok(Check::Choices(texts()?)),
        "contains" => Ok(Check::Contains(text()?)),
        "max_chars" => {
            let limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok());
            limit.map(Check::MaxChars).ok_or_else(|| "`max_chars` must be a whole number".to_owned())
        }
        "command" => Ok(Check::Command(texts()?)),
        "all" => {
            let list = value.as_array().filter(|list| !list.is_empty());
            let list = list.ok_or_else(|| "`all` must be a list of checks".to_owned())?;
            Ok(Check::All(list.iter().map(Check::from_json).collect::<Result<_, _>>()?))
        }
        _ => Err(format!(
            "unknown check `{}`; known are json, json_schema, regex, choices, contains, max_chars, command and all",
            kind.escape_debug()
        )),
    }
}
