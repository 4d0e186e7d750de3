//! Checks as users write them: JSON (or TOML turned into it) in job files and config, `--check` on the
//! command line.
//!
//! Only the form is judged here; whether a pattern or schema makes sense is for
//! [`Rule::compile`](super::Rule::compile).
//!
//! Pure: schema files are read by the caller's function.

use serde_json::Value;

use super::Check;

/// What a check may be called; also the words to suggest from.
const KINDS: [&str; 7] = ["json", "json_schema", "regex", "choices", "contains", "max_chars", "command"];

impl Check {
    /// Reads `"json"`, `{"regex": "…"}` and so on; several keys must all hold.
    pub fn from_json(value: &Value) -> Result<Check, String> {
        let fields = match value {
            Value::String(text) if text == "json" => return Ok(Check::Json),
            Value::String(text) => return Err(unknown(text)),
            Value::Object(fields) => fields,
            _ => return Err("a check is \"json\" or an object such as {\"regex\": \"…\"}".to_owned()),
        };
        let mut checks = Vec::new();
        // In the order of the list, so that cheap checks go first and commands last.
        for kind in KINDS {
            if let Some(value) = fields.get(kind) {
                checks.push(one(kind, value)?);
            }
        }
        match fields.keys().find(|name| !KINDS.contains(&name.as_str())) {
            Some(name) => Err(unknown(name)),
            None => all(checks),
        }
    }

    /// Reads `json`, `schema:FILE`, `regex:RE`, `choices:a,b`, `contains:TEXT`, `max_chars:N` or
    /// `command:LINE`; `read_file` gives the text of a schema file.
    pub fn from_flag(
        flag: &str,
        read_file: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Check, String> {
        let (kind, value) = match flag.split_once(':') {
            Some((kind, value)) => (kind.trim(), value),
            None => (flag.trim(), ""),
        };
        if kind == "json" && value.is_empty() {
            return Ok(Check::Json);
        }
        if !(kind == "schema" || KINDS.contains(&kind) && kind != "json") {
            return Err(unknown(flag));
        }
        if value.is_empty() {
            return Err(format!("check `{kind}` needs a value: {}", example(kind)));
        }
        match kind {
            "schema" | "json_schema" => {
                let text = read_file(value)?;
                let schema: Value =
                    serde_json::from_str(&text).map_err(|error| format!("{value} is not JSON: {error}"))?;
                one("json_schema", &schema)
            }
            "choices" => one(kind, &value.split(',').map(str::trim).collect()),
            "max_chars" => {
                let number = value.trim().parse::<u32>();
                number
                    .map(Check::MaxChars)
                    .map_err(|_| format!("max_chars: {value:?} is not a number of characters"))
            }
            _ => one(kind, &value.into()),
        }
    }
}

fn one(kind: &str, value: &Value) -> Result<Check, String> {
    let wrong = || format!("check `{kind}` is written {}", example(kind));
    match (kind, value) {
        ("json", Value::Bool(true)) => Ok(Check::Json),
        ("json_schema", Value::Object(_) | Value::Bool(_)) => Ok(Check::JsonSchema(value.to_string().into())),
        ("regex", Value::String(pattern)) => Ok(Check::Regex(pattern.clone())),
        ("choices", Value::Array(choices)) if !choices.is_empty() => {
            strings(choices).map(Check::Choices).ok_or_else(wrong)
        }
        ("contains", Value::String(text)) if !text.is_empty() => Ok(Check::Contains(text.clone())),
        ("max_chars", Value::Number(number)) => {
            let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
            number.map(Check::MaxChars).ok_or_else(wrong)
        }
        ("command", Value::String(line)) if !line.trim().is_empty() => {
            Ok(Check::Command(vec!["sh".to_owned(), "-c".to_owned(), line.clone()]))
        }
        ("command", Value::Array(words)) if !words.is_empty() => {
            strings(words).map(Check::Command).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn strings(values: &[Value]) -> Option<Vec<String>> {
    values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

fn all(mut checks: Vec<Check>) -> Result<Check, String> {
    match checks.len() {
        0 => Err(format!("a check names at least one of {}", KINDS.join(", "))),
        1 => Ok(checks.remove(0)),
        _ => Ok(Check::All(checks)),
    }
}

fn unknown(word: &str) -> String {
    let near = |kind: &&&str| strsim::damerau_levenshtein(word, kind) <= 2 || kind.ends_with(word);
    match KINDS.iter().find(near).filter(|_| word.len() > 2) {
        Some(kind) => format!("unknown check `{word}` (did you mean `{kind}`?)"),
        None => format!("unknown check `{word}`; there are {}", KINDS.join(", ")),
    }
}

fn example(kind: &str) -> &'static str {
    match kind {
        "json" => r#"{"json": true}"#,
        "schema" => "schema:FILE",
        "json_schema" => r#"{"json_schema": {"type": "object"}}"#,
        "regex" => r#"{"regex": "^[A-Z]+$"}, or regex:^[A-Z]+$"#,
        "choices" => r#"{"choices": ["yes", "no"]}, or choices:yes,no"#,
        "contains" => r#"{"contains": "total"}, or contains:total"#,
        "max_chars" => r#"{"max_chars": 200}, or max_chars:200"#,
        _ => r#"{"command": ["python3", "check.py"]}, or command:LINE for the shell"#,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(words: &[&str]) -> Check {
        Check::Command(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn every_form_is_read() {
        for (value, expected) in [
            (json!("json"), Check::Json),
            (json!({"json": true}), Check::Json),
            (json!({"json_schema": {"type": "object"}}), Check::JsonSchema(r#"{"type":"object"}"#.into())),
            (json!({"regex": "a+"}), Check::Regex("a+".to_owned())),
            (json!({"choices": ["a", "b"]}), Check::Choices(vec!["a".to_owned(), "b".to_owned()])),
            (json!({"contains": "x"}), Check::Contains("x".to_owned())),
            (json!({"max_chars": 9}), Check::MaxChars(9)),
            (json!({"command": "wc -c"}), command(&["sh", "-c", "wc -c"])),
            (json!({"command": ["wc", "-c"]}), command(&["wc", "-c"])),
            (
                json!({"command": "true", "max_chars": 9, "json": true}),
                Check::All(vec![Check::Json, Check::MaxChars(9), command(&["sh", "-c", "true"])]),
            ),
        ] {
            assert_eq!(Check::from_json(&value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn wrong_forms_are_explained() {
        for (value, hint) in [
            (json!("jsn"), "did you mean `json`?"),
            (json!("yaml"), "there are json, json_schema"),
            (json!({"schema": {}}), "did you mean `json_schema`?"),
            (json!({"regexp": "a"}), "did you mean `regex`?"),
            (json!({"regex": "a", "max_char": 3}), "did you mean `max_chars`?"),
            (json!({}), "at least one of"),
            (json!(7), "a check is"),
            (json!({"json": false}), r#"{"json": true}"#),
            (json!({"json_schema": "x"}), "json_schema"),
            (json!({"choices": []}), "choices:yes,no"),
            (json!({"choices": [1]}), "choices:yes,no"),
            (json!({"contains": ""}), "contains"),
            (json!({"max_chars": -1}), "max_chars"),
            (json!({"max_chars": 1e12}), "max_chars"),
            (json!({"command": []}), "command"),
            (json!({"command": " "}), "command"),
        ] {
            let error = Check::from_json(&value).expect_err("must be refused");
            assert!(error.contains(hint), "{value}: {error}");
        }
    }

    #[test]
    fn every_flag_is_read() {
        let file = |name: &str| match name {
            "a.json" => Ok(r#"{"type": "object"}"#.to_owned()),
            "bad.json" => Ok("{".to_owned()),
            _ => Err(format!("cannot read {name}")),
        };
        for (flag, expected) in [
            ("json", Ok(Check::Json)),
            ("schema:a.json", Ok(Check::JsonSchema(r#"{"type":"object"}"#.into()))),
            ("regex:^a:b$", Ok(Check::Regex("^a:b$".to_owned()))),
            ("choices:a, b", Ok(Check::Choices(vec!["a".to_owned(), "b".to_owned()]))),
            ("contains:x:y", Ok(Check::Contains("x:y".to_owned()))),
            ("max_chars:9", Ok(Check::MaxChars(9))),
            ("command:wc -c", Ok(command(&["sh", "-c", "wc -c"]))),
            ("schema:bad.json", Err("bad.json is not JSON")),
            ("schema:none", Err("cannot read none")),
            ("schema:", Err("needs a value")),
            ("max_chars:many", Err("not a number")),
            ("regx:a", Err("unknown check")),
            ("json:x", Err("unknown check")),
            ("", Err("unknown check")),
        ] {
            match (Check::from_flag(flag, file), expected) {
                (Ok(check), Ok(expected)) => assert_eq!(check, expected, "{flag}"),
                (Err(error), Err(hint)) => assert!(error.contains(hint), "{flag}: {error}"),
                (got, _) => panic!("{flag}: {got:?}"),
            }
        }
    }
}
