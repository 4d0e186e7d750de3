//! What one line asks for itself, under its key `overnight`.
//!
//! Takes the object as it was written, gives what it overrides of its job. Unknown fields are
//! errors, because a misspelt deadline that is ignored costs a night.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::{shown, unknown_field};
use super::scan::Raw;
use super::when::{self, Zone};
use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{ItemOptions, Ladder, Worth};
use crate::money::Usd;

/// The fields that are known.
const FIELDS: [&str; 9] = [
    "models",
    "check",
    "max_cost",
    "give_up_above",
    "deadline",
    "not_before",
    "priority",
    "max_attempts",
    "tags",
];

/// What a line overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// Which models may answer.
    pub ladder: Option<Ladder>,
    /// Its place among other items.
    pub priority: Option<i8>,
    /// When it must be done.
    pub deadline: Option<Timestamp>,
    /// Nothing is sent before.
    pub not_before: Option<Timestamp>,
    /// What is not of its class.
    pub item: ItemOptions,
}

impl LineOptions {
    /// Whether the line is scheduled differently from its job.
    pub fn changes_class(&self) -> bool {
        self.ladder.is_some()
            || self.priority.is_some()
            || self.deadline.is_some()
            || self.not_before.is_some()
    }
}

/// Reads the object under `overnight`.
///
/// A line may only name a command to run where `commands` says so: files come from elsewhere more
/// often than flags do.
pub fn parse(raw: Raw<'_>, now: Timestamp, zone: Zone, commands: bool) -> Result<LineOptions, String> {
    let value: Value =
        serde_json::from_slice(raw.bytes()).map_err(|error| format!("`overnight`: {error}"))?;
    let Value::Object(fields) = value else {
        return Err(format!("`overnight` is {}; it must be an object", raw.kind().with_article()));
    };
    let mut options = LineOptions::default();
    for (field, value) in &fields {
        let read = match field.as_str() {
            "models" => ladder(value).map(|ladder| options.ladder = Some(ladder)),
            "check" => check(value, commands).map(|check| options.item.check = Some(check)),
            "max_cost" => money(value).map(|cost| options.item.max_cost = Some(cost)),
            "give_up_above" => worth(value).map(|worth| options.item.give_up_above = Some(worth)),
            "deadline" => {
                moment(value, |text| when::deadline(text, now, zone)).map(|at| options.deadline = Some(at))
            }
            "not_before" => {
                moment(value, |text| when::parse(text, now, zone)).map(|at| options.not_before = Some(at))
            }
            "priority" => priority(value).map(|priority| options.priority = Some(priority)),
            "max_attempts" => attempts(value).map(|attempts| options.item.max_attempts = Some(attempts)),
            "tags" => tags(value).map(|tags| options.item.tags = tags),
            _ => return Err(unknown_field(field, &FIELDS)),
        };
        read.map_err(|reason| format!("`overnight.{field}`: {reason}"))?;
    }
    match (options.not_before, options.deadline) {
        (Some(start), Some(end)) if start >= end => {
            Err("`overnight.not_before` is not before `overnight.deadline`".to_owned())
        }
        _ => Ok(options),
    }
}

/// Reads a ladder: `"a"`, `["a", "b"]` (a, then b) or `[["a", "b"], "c"]` (a or b, then c).
fn ladder(value: &Value) -> Result<Ladder, String> {
    let steps = match value {
        Value::String(_) => vec![step(value)?],
        Value::Array(steps) if !steps.is_empty() => steps.iter().map(step).collect::<Result<_, _>>()?,
        _ => return Err("give a list of models such as [[\"a\", \"b\"], \"c\"]: a or b, then c".to_owned()),
    };
    match steps.len() > Ladder::MAX_STEPS {
        true => Err(format!("a ladder has at most {} steps", Ladder::MAX_STEPS)),
        false => Ok(Ladder(steps)),
    }
}

fn step(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(equals) if !equals.is_empty() => equals.iter().map(model).collect(),
        _ => Ok(vec![model(value)?]),
    }
}

fn model(value: &Value) -> Result<String, String> {
    match value.as_str().map(str::trim) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(format!("{value} is not the name of a model")),
    }
}

fn check(value: &Value, commands: bool) -> Result<Check, String> {
    let check = Check::from_json(value)?;
    match !commands && runs_command(&check) {
        true => Err("a line may not name a command to run; give it with --check or in the config".to_owned()),
        false => Ok(check),
    }
}

fn runs_command(check: &Check) -> bool {
    match check {
        Check::Command(_) => true,
        Check::All(checks) => checks.iter().any(runs_command),
        _ => false,
    }
}

fn money(value: &Value) -> Result<Usd, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("{value} is not an amount of money; write it like \"$0.002\"")),
    };
    let amount: Usd = text.parse().map_err(|error| format!("{error}"))?;
    match amount < Usd::ZERO {
        true => Err(format!("{} is below zero", shown(&text))),
        false => Ok(amount),
    }
}

fn worth(value: &Value) -> Result<Worth, String> {
    match value.as_str() {
        Some("unlimited") => Ok(Worth::Unlimited),
        _ => money(value).map(Worth::UpTo),
    }
}

fn moment(
    value: &Value,
    read: impl Fn(&str) -> Result<Timestamp, when::WhenError>,
) -> Result<Timestamp, String> {
    let text = value.as_str().ok_or_else(|| format!("{value} is not a time; write it like \"06:00\""))?;
    read(text).map_err(|error| error.to_string())
}

fn priority(value: &Value) -> Result<i8, String> {
    let priority = value.as_i64().filter(|priority| (-100..=100).contains(priority));
    let priority = priority.and_then(|priority| i8::try_from(priority).ok());
    priority.ok_or_else(|| format!("{value} is not a whole number from -100 to 100"))
}

fn attempts(value: &Value) -> Result<u8, String> {
    let attempts = value.as_u64().filter(|&attempts| attempts > 0);
    let attempts = attempts.and_then(|attempts| u8::try_from(attempts).ok());
    attempts.ok_or_else(|| format!("{value} is not a whole number from 1 to 255"))
}

fn tags(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let pairs =
        value.as_object().ok_or_else(|| "give an object such as {\"team\": \"search\"}".to_owned())?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    pairs
        .iter()
        .map(|(key, value)| match text(value) {
            Some(text) => Ok((key.clone(), text)),
            None => Err(format!("the value of {} is not text", shown(key))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::*;

    fn read(json: &str) -> Result<LineOptions, String> {
        let now = "2026-11-21T18:00:00Z".parse().unwrap();
        parse(scan::check(json.as_bytes()).unwrap(), now, Zone::Named(chrono_tz::UTC), false)
    }

    #[test]
    fn every_field_is_read() {
        let options = read(
            r#"{"models":[["a/x","b/y"],"c/z"],"check":{"max_chars":5},"max_cost":"$0.002","deadline":"06:00",
                "give_up_above":"unlimited",
                "not_before":"22:00","priority":10,"max_attempts":3,"tags":{"team":"search","n":1}}"#,
        )
        .unwrap();
        assert_eq!(options.ladder.as_ref().unwrap().to_string(), "a/x|b/y > c/z");
        assert_eq!(options.item.check, Some(Check::MaxChars(5)));
        assert_eq!(options.item.max_cost.unwrap().to_string(), "$0.0020");
        assert_eq!(options.deadline.unwrap().to_string(), "2026-11-22T06:00:00Z");
        assert_eq!(options.not_before.unwrap().to_string(), "2026-11-21T22:00:00Z");
        assert_eq!((options.priority, options.item.max_attempts), (Some(10), Some(3)));
        assert_eq!(options.item.give_up_above, Some(Worth::Unlimited));
        assert_eq!(options.item.tags.len(), 2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_field() {
        for (json, message) in [
            (r#"{"priorty":1}"#, "unknown field `priorty` (did you mean `priority`?)"),
            (r#"{"colour":1}"#, "unknown field `colour`; known are models"),
            (r#"[]"#, "`overnight` is an array"),
            (r#"{"priority":101}"#, "`overnight.priority`: 101 is not"),
            (r#"{"max_attempts":0}"#, "1 to 255"),
            (r#"{"max_cost":"five"}"#, "not an amount of money"),
            (r#"{"max_cost":-1}"#, "below zero"),
            (r#"{"give_up_above":"never"}"#, "`overnight.give_up_above`: "),
            (r#"{"deadline":"2020-01-01T00:00:00Z"}"#, "already past"),
            (r#"{"deadline":7}"#, "is not a time"),
            (r#"{"deadline":"20:00","not_before":"21:00"}"#, "not before"),
            (r#"{"models":[]}"#, "list of models"),
            (r#"{"models":["a",[]]}"#, "not the name of a model"),
            (r#"{"tags":{"a":[1]}}"#, "is not text"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn a_line_does_not_get_to_run_commands() {
        let json = r#"{"check":{"json":true,"command":["rm","-rf","/"]}}"#;
        assert!(read(json).unwrap_err().contains("may not name a command"));
        let allowed = parse(scan::check(json.as_bytes()).unwrap(), Timestamp::default(), Zone::Machine, true);
        assert!(allowed.is_ok());
    }
}
