//! A [`Rule`] is a check made ready to judge many answers: [`Rule::compile`] once, [`Rule::judge`] often.
//!
//! Of several faults only the first is told; it is what a person would mend first. Schemas that refer
//! to other files or hosts are refused, so judging never leaves the process.
//!
//! Pure.

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use regex::{Regex, RegexBuilder};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Check, Verdict};
use crate::attempt::ErrorCode;

/// The most a pattern may take compiled; a counted repetition can ask for gigabytes.
const REGEX_SIZE: usize = 1 << 20;

/// Why an answer failed is told in at most this many characters.
const MOST_MESSAGE: usize = 300;

/// A compiled check.
#[derive(Debug)]
pub struct Rule(Kind);

#[derive(Debug)]
enum Kind {
    Json,
    JsonSchema(Box<Validator>),
    Regex(Regex),
    Choices(Vec<String>),
    Contains(String),
    MaxChars(u32),
    Command(Vec<String>),
    All(Vec<Rule>),
}

impl Rule {
    /// Makes a check ready; an error text where its pattern or schema makes no sense.
    pub fn compile(check: &Check) -> Result<Rule, String> {
        Ok(Rule(match check {
            Check::Json => Kind::Json,
            Check::JsonSchema(text) => Kind::JsonSchema(Box::new(schema(text)?)),
            Check::Regex(pattern) => Kind::Regex(pattern_of(pattern)?),
            Check::Choices(choices) => Kind::Choices(choices.clone()),
            Check::Contains(text) => Kind::Contains(text.clone()),
            Check::MaxChars(most) => Kind::MaxChars(*most),
            Check::Command(words) => Kind::Command(words.clone()),
            Check::All(checks) => Kind::All(checks.iter().map(Rule::compile).collect::<Result<_, _>>()?),
        }))
    }

    /// What the check says of one answer.
    pub fn judge(&self, text: &str) -> Verdict {
        match &self.0 {
            Kind::Json => judge_json(text),
            Kind::JsonSchema(schema) => judge_schema(schema, text),
            Kind::Regex(pattern) if !pattern.is_match(text) => {
                fail(ErrorCode::RegexMismatch, format!("the pattern {} is not found", pattern.as_str()))
            }
            Kind::Choices(choices) if !choices.iter().any(|choice| choice.trim() == text.trim()) => fail(
                ErrorCode::CheckFailed,
                format!("{:?} is not one of {}", brief(text.trim()), choices.join(", ")),
            ),
            Kind::Contains(part) if !text.contains(part.as_str()) => {
                fail(ErrorCode::CheckFailed, format!("does not contain {part:?}"))
            }
            Kind::MaxChars(most) => judge_length(*most, text),
            Kind::Regex(_) | Kind::Choices(_) | Kind::Contains(_) => Verdict::Pass,
            Kind::Command(words) => Verdict::Run(vec![words.clone()]),
            Kind::All(rules) => judge_all(rules, text),
        }
    }
}

/// The text without a fenced block (```` ```json … ``` ````) around it, if the block is all there is.
pub fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inner.and_then(|inner| inner.split_once('\n')) {
        Some((language, inner)) if language.trim().chars().all(char::is_alphanumeric) => inner.trim(),
        _ => text,
    }
}

fn schema(text: &str) -> Result<Validator, String> {
    let schema: Value =
        serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
    let compiled = jsonschema::options().offline().build(&schema);
    compiled.map_err(|error| {
        let place = error.instance_path().to_string();
        cut(format!("the schema makes no sense at {place:?}: {error}"))
    })
}

fn pattern_of(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
    compiled
        .map_err(|error| format!("the pattern {pattern} makes no sense: {}", last_line(&error.to_string())))
}

fn judge_json(text: &str) -> Verdict {
    match serde_json::from_str::<IgnoredAny>(unfenced(text)) {
        Ok(_) => Verdict::Pass,
        Err(error) => not_json(text, &error),
    }
}

fn judge_schema(schema: &Validator, text: &str) -> Verdict {
    let value: Value = match serde_json::from_str(unfenced(text)) {
        Ok(value) => value,
        Err(error) => return not_json(text, &error),
    };
    match schema.validate(&value) {
        Ok(()) => Verdict::Pass,
        Err(error) => {
            let place = error.instance_path().as_str();
            let separator = if place.is_empty() { "" } else { ": " };
            fail(ErrorCode::SchemaMismatch, format!("{place}{separator}{}", fault(&error)))
        }
    }
}

/// What is wrong, with the values of an `enum` as people write lists.
fn fault(error: &jsonschema::ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<String> = options.iter().map(plain).collect();
            format!("{} is not one of {}", brief(&error.instance().to_string()), options.join(", "))
        }
        _ => error.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn judge_length(most: u32, text: &str) -> Verdict {
    let length = text.chars().count();
    if length <= most as usize {
        Verdict::Pass
    } else {
        fail(ErrorCode::CheckFailed, format!("{length} characters, at most {most} are allowed"))
    }
}

fn judge_all(rules: &[Rule], text: &str) -> Verdict {
    let mut commands = Vec::new();
    for rule in rules {
        match rule.judge(text) {
            Verdict::Pass => {}
            Verdict::Run(more) => commands.extend(more),
            failed @ Verdict::Fail(..) => return failed,
        }
    }
    if commands.is_empty() { Verdict::Pass } else { Verdict::Run(commands) }
}

fn not_json(text: &str, error: &serde_json::Error) -> Verdict {
    let start = brief(text.trim());
    fail(ErrorCode::NotJson, format!("not JSON: {error}, in {start:?}"))
}

fn fail(code: ErrorCode, message: String) -> Verdict {
    Verdict::Fail(code, cut(message))
}

fn cut(message: String) -> String {
    match message.char_indices().nth(MOST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// As much of a text as tells which it is.
fn brief(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(check: &Check, text: &str) -> Verdict {
        Rule::compile(check).unwrap().judge(text)
    }

    #[track_caller]
    fn fails(check: &Check, text: &str, code: ErrorCode, message: &str) {
        assert_eq!(judge(check, text), Verdict::Fail(code, message.to_owned()), "{text}");
    }

    fn sentiment() -> Check {
        Check::JsonSchema(
            r#"{"type":"object","required":["sentiment"],"additionalProperties":false,
                "properties":{"sentiment":{"enum":["pos","neg","neutral"]},"score":{"type":"integer","maximum":5},"tags":{"type":"array","items":{"type":"string"}}}}"#
                .into(),
        )
    }

    #[test]
    fn json_is_one_value_and_nothing_else() {
        for text in ["{}", " [1] ", "7", "```json\n{\"a\": 1}\n```", "```\n[]\n```", r#"{"a":"```"}"#] {
            assert_eq!(judge(&Check::Json, text), Verdict::Pass, "{text}");
        }
        fails(
            &Check::Json,
            "Sure! {}",
            ErrorCode::NotJson,
            r#"not JSON: expected value at line 1 column 1, in "Sure! {}""#,
        );
        for text in ["", "{} {}", "{\"a\":", "```json\n{}\n``` done", "```json {}```", "{'a': 1}", "NaN"] {
            assert!(matches!(judge(&Check::Json, text), Verdict::Fail(ErrorCode::NotJson, _)), "{text}");
        }
    }

    #[test]
    fn a_schema_names_the_first_fault_and_where_it_is() {
        assert_eq!(judge(&sentiment(), "```json\n{\"sentiment\":\"pos\",\"score\":3}\n```"), Verdict::Pass);
        for (text, message) in [
            (r#"{"sentiment":"meh"}"#, r#"/sentiment: "meh" is not one of pos, neg, neutral"#),
            (r#"{"sentiment":7}"#, "/sentiment: 7 is not one of pos, neg, neutral"),
            ("{}", r#""sentiment" is a required property"#),
            (r#"{"sentiment":"pos","score":"3"}"#, r#"/score: "3" is not of type "integer""#),
            (r#"{"sentiment":"pos","score":9}"#, "/score: 9 is greater than the maximum of 5"),
            (r#"{"sentiment":"pos","tags":["a",1]}"#, r#"/tags/1: 1 is not of type "string""#),
            ("[]", r#"[] is not of type "object""#),
        ] {
            fails(&sentiment(), text, ErrorCode::SchemaMismatch, message);
        }
        let not_json = judge(&sentiment(), "positive");
        assert!(matches!(not_json, Verdict::Fail(ErrorCode::NotJson, _)), "{not_json:?}");
    }

    #[test]
    fn long_faults_are_cut() {
        let text = format!(r#"["{}"]"#, "é".repeat(1_000));
        let Verdict::Fail(_, message) = judge(&sentiment(), &text) else { panic!() };
        assert_eq!(message.chars().count(), MOST_MESSAGE + 1);
    }

    #[test]
    fn schemas_that_make_no_sense_are_refused() {
        for (schema, hint) in [
            ("{", "not JSON"),
            (r#"{"type":"strin"}"#, "makes no sense"),
            (r#"{"$ref":"https://example.com/schema.json"}"#, "example.com"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "makes no sense"),
            (r##"{"$ref":"#/$defs/none"}"##, "makes no sense"),
        ] {
            let error = Rule::compile(&Check::JsonSchema(schema.into())).expect_err(schema);
            assert!(error.contains(hint), "{schema}: {error}");
        }
        assert!(Rule::compile(&Check::JsonSchema("true".into())).is_ok());
    }

    #[test]
    fn patterns_are_searched_and_bounded() {
        let check = Check::Regex(r"^\d{3}$".to_owned());
        assert_eq!(judge(&check, "123"), Verdict::Pass);
        fails(&check, "12", ErrorCode::RegexMismatch, r"the pattern ^\d{3}$ is not found");
        for pattern in ["(", r"(\w{1000}){1000}", "(?=a)"] {
            let error = Rule::compile(&Check::Regex(pattern.to_owned())).expect_err(pattern);
            assert!(error.starts_with(&format!("the pattern {pattern} makes no sense: ")), "{error}");
        }
    }

    #[test]
    fn texts_are_compared_measured_and_searched() {
        let choices = Check::Choices(vec!["yes".to_owned(), "no ".to_owned()]);
        assert_eq!(judge(&choices, " yes\n"), Verdict::Pass);
        assert_eq!(judge(&choices, "no"), Verdict::Pass);
        fails(&choices, "Yes", ErrorCode::CheckFailed, r#""Yes" is not one of yes, no "#);

        let contains = Check::Contains("total".to_owned());
        assert_eq!(judge(&contains, "the total is"), Verdict::Pass);
        fails(&contains, "Total", ErrorCode::CheckFailed, r#"does not contain "total""#);

        assert_eq!(judge(&Check::MaxChars(2), "éé"), Verdict::Pass);
        fails(&Check::MaxChars(2), "ééé", ErrorCode::CheckFailed, "3 characters, at most 2 are allowed");
    }

    #[test]
    fn commands_are_left_to_the_driver_and_come_last() {
        let command = |word: &str| Check::Command(vec![word.to_owned()]);
        let check = Check::All(vec![command("a"), Check::MaxChars(1), command("b")]);
        assert_eq!(judge(&check, "x"), Verdict::Run(vec![vec!["a".to_owned()], vec!["b".to_owned()]]));
        assert!(matches!(judge(&check, "xx"), Verdict::Fail(ErrorCode::CheckFailed, _)));
        assert_eq!(judge(&Check::All(vec![Check::Json, Check::MaxChars(9)]), "{}"), Verdict::Pass);
    }
}
