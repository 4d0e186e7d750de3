//! What may be asked of a batch beyond OpenAI's fields: under `overnight` in the body, or in the
//! metadata as `overnight_max_cost` and so on, for clients that send nothing they do not know.
//!
//! They are the flags of `overnight submit`, read with the same words, but for those that reach into
//! this machine: nobody may name a file or a command over the network.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::record::Metadata;
use crate::check::{Check, Rule};
use crate::cli::args::value::{MomentArg, StepArg, Tag};
use crate::cli::args::{JobFlags, QueueFlags};
use crate::input::problem::unknown_field;
use crate::money::Usd;
use crate::serve::ApiError;
use crate::tenant::Caller;

/// What is understood.
const FIELDS: [&str; 14] = [
    "models",
    "check",
    "max_cost",
    "deadline",
    "when",
    "priority",
    "name",
    "tags",
    "duplicates",
    "max_attempts",
    "accept_truncated",
    "allow_unpriced",
    "keep_input",
    "system",
];
/// Before each of them in the metadata.
const PREFIX: &str = "overnight_";

/// What is asked, ready to be asked of a job.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct Options {
    pub(in crate::serve) flags: JobFlags,
    pub(in crate::serve) queue: QueueFlags,
    pub(in crate::serve) check: Option<Check>,
    pub(in crate::serve) max_attempts: Option<u8>,
}

/// Both places as one; the body is stronger.
pub(super) fn gather(metadata: Option<&Metadata>, body: Option<Map<String, Value>>) -> Map<String, Value> {
    let named = metadata.into_iter().flatten();
    let ours = named.filter_map(|(key, text)| {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        Some((key.strip_prefix(PREFIX)?.to_owned(), value))
    });
    let mut all: Map<String, Value> = ours.collect();
    all.extend(body.unwrap_or_default());
    all
}

/// Reads what was gathered; an error names the field.
pub(in crate::serve) fn read(gathered: &Map<String, Value>, caller: &Caller) -> Result<Options, ApiError> {
    let mut options = Options::default();
    for (field, value) in gathered {
        let wrong = |why: String| ApiError::invalid(format!("`overnight.{field}`: {why}")).param("overnight");
        if !FIELDS.contains(&field.as_str()) {
            return Err(ApiError::invalid(format!("`overnight`: {}", unknown_field(field, &FIELDS)))
                .param("overnight"));
        }
        set(&mut options, field, value, caller).map_err(wrong)?;
    }
    Ok(options)
}

fn set(options: &mut Options, field: &str, value: &Value, caller: &Caller) -> Result<(), String> {
    let flags = &mut options.flags;
    match field {
        "models" => flags.models = ladder(value)?,
        "check" => options.check = Some(check(value)?),
        "max_cost" => flags.max_cost = Some(money(value)?),
        "deadline" => {
            flags.deadline = Some(text(value).parse::<MomentArg>().map_err(|error| error.to_string())?);
        }
        "when" => flags.when = Some(word(value)?),
        "duplicates" => flags.duplicates = Some(word(value)?),
        "priority" => {
            let number = value.as_i64().and_then(|number| i8::try_from(number).ok());
            let number = number.filter(|number| (-100..=100).contains(number));
            flags.priority = Some(number.ok_or("a whole number from -100 to 100")?);
        }
        "max_attempts" => {
            let number =
                value.as_u64().and_then(|number| u8::try_from(number).ok()).filter(|&number| number > 0);
            options.max_attempts = Some(number.ok_or("a whole number from 1 to 255")?);
        }
        "name" => flags.name = Some(text(value)),
        "system" => flags.system = Some(text(value)),
        "tags" => flags.tags = tags(value, caller)?,
        "accept_truncated" => flags.accept_truncated = yes_or_no(value)?,
        // What costs nothing in a budget would let a tenant out of it.
        "allow_unpriced" if caller.tenant().is_some() => return Err("only the operator may".to_owned()),
        "allow_unpriced" => flags.allow_unpriced = yes_or_no(value)?,
        "keep_input" => options.queue.keep_input = yes_or_no(value)?,
        _ => return Err("is not known".to_owned()),
    }
    Ok(())
}

/// Text as it is; in the metadata a number is text too.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn word<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn yes_or_no(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "true or false".to_owned())
}

fn money(value: &Value) -> Result<Usd, String> {
    let amount: Usd = text(value).parse().map_err(|error| format!("{error}"))?;
    if amount < Usd::ZERO { Err("an amount below zero".to_owned()) } else { Ok(amount) }
}

/// `"a,b > c"`, `["a", "c"]` or `[["a", "b"], "c"]`.
fn ladder(value: &Value) -> Result<Vec<StepArg>, String> {
    let hint = || "write a ladder such as [[\"a\", \"b\"], \"c\"]: a or b, then c".to_owned();
    let step = |step: &Value| match step {
        Value::String(names) => names.parse::<StepArg>().map_err(|error| error.to_string()),
        Value::Array(names) if !names.is_empty() => {
            let names: Option<Vec<String>> =
                names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.map(StepArg).ok_or_else(hint)
        }
        _ => Err(hint()),
    };
    match value {
        Value::String(steps) => steps.split('>').map(|names| step(&Value::from(names.trim()))).collect(),
        Value::Array(steps) if !steps.is_empty() => steps.iter().map(step).collect(),
        _ => Err(hint()),
    }
}

fn check(value: &Value) -> Result<Check, String> {
    let check = Check::from_json(value)?;
    if runs_command(&check) {
        return Err(
            "nobody may name a command over the network; the config may ([defaults] check)".to_owned()
        );
    }
    Rule::compile(&check)?;
    Ok(check)
}

fn runs_command(check: &Check) -> bool {
    match check {
        Check::Command(_) => true,
        Check::All(checks) => checks.iter().any(runs_command),
        _ => false,
    }
}

fn tags(value: &Value, caller: &Caller) -> Result<Vec<Tag>, String> {
    let pairs: BTreeMap<String, String> = match value {
        Value::Object(pairs) => pairs.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        Value::String(pairs) => {
            let pairs =
                pairs.split(',').map(|pair| pair.trim().parse::<Tag>().map(|tag| (tag.key, tag.value)));
            pairs.collect::<Result<_, _>>().map_err(|error| error.to_string())?
        }
        _ => return Err("an object such as {\"team\": \"search\"}".to_owned()),
    };
    let fixed = caller.tags();
    if let Some(key) = pairs.keys().find(|key| fixed.contains_key(*key)) {
        return Err(format!("the tag `{key}` is set by your token"));
    }
    Ok(pairs.into_iter().map(|(key, value)| Tag { key, value }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Result<Options, ApiError> {
        read(value.as_object().unwrap(), &Caller::Operator)
    }

    #[test]
    fn the_body_is_stronger_than_the_metadata() {
        let metadata = Metadata::from([
            ("overnight_max_cost".to_owned(), "$5".to_owned()),
            ("overnight_priority".to_owned(), "7".to_owned()),
            ("project".to_owned(), "x".to_owned()),
        ]);
        let gathered = gather(Some(&metadata), json!({ "max_cost": "$1" }).as_object().cloned());
        let options = read(&gathered, &Caller::Operator).unwrap();
        assert_eq!(options.flags.max_cost, Some("$1".parse().unwrap()));
        assert_eq!(options.flags.priority, Some(7));
        assert_eq!(gathered.len(), 2);
    }

    #[test]
    fn ladders_are_written_in_three_ways() {
        for written in [json!("a/b,c/d > e/f"), json!([["a/b", "c/d"], "e/f"]), json!(["a/b,c/d", ["e/f"]])] {
            let options = of(json!({ "models": written })).unwrap();
            assert_eq!(StepArg::ladder(&options.flags.models).to_string(), "a/b|c/d > e/f");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases = [
            (json!({ "priorty": 1 }), "did you mean `priority`"),
            (json!({ "max_cost": "-1" }), "below zero"),
            (json!({ "deadline": "soon" }), "06:00"),
            (json!({ "check": { "command": "rm -rf /" } }), "command"),
            (json!({ "check": { "regex": "(" } }), "makes no sense"),
            (json!({ "models": [] }), "ladder"),
            (json!({ "when": "never" }), "cheapest"),
        ];
        for (body, told) in cases {
            let error = of(body.clone()).unwrap_err();
            assert!(error.message().contains(told), "{body}: {}", error.message());
        }
    }

    #[test]
    fn a_tenant_sets_no_tag_of_its_token_and_spends_nothing_unpriced() {
        let tenant = crate::tenant::Tenant {
            name: "acme".to_owned(),
            tags: BTreeMap::from([("team".to_owned(), "search".to_owned())]),
            models: Vec::new(),
        };
        let caller = Caller::Tenant(std::sync::Arc::new(tenant));
        for body in [
            json!({ "tags": { "tenant": "other" } }),
            json!({ "tags": "team=ads" }),
            json!({ "allow_unpriced": true }),
        ] {
            assert!(read(body.as_object().unwrap(), &caller).is_err(), "{body}");
        }
        assert!(read(json!({ "tags": { "run": "7" } }).as_object().unwrap(), &caller).is_ok());
    }
}
