//! What was written, before it means anything: the file's values with their lines, and over them the
//! environment and flags.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};
use super::reader::Log;
use crate::catalog::Catalog;

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A value as written; numbers stay text, so that `0.1` is a tenth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(String),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// The whole config.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) root: BTreeMap<String, Node>,
}

/// Variables of ours that are no keys of the config.
pub(super) const ENV_PREFIX: &str = "OVERNIGHT_";
/// Stands between the parts of a key.
pub(super) const ENV_SEPARATOR: &str = "__";

impl Tree {
    /// Reads TOML; what cannot be read is a problem with its line, and the rest is kept.
    pub(super) fn parse(text: &str, log: &mut Log) -> Tree {
        let lines = Lines::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            // The error's own rendering quotes the line, and the line may hold a key.
            let line = error.span().map_or(Origin::Default, |span| Origin::File(lines.at(span.start)));
            log.problems.push(Problem::new("", line, format!("not TOML: {}", error.message().trim())));
        }
        Tree { root: entries(table.get_ref(), &lines) }
    }

    /// Lays variables such as `OVERNIGHT_BUDGET__DAY` over the file.
    pub(super) fn add_env(&mut self, env: &BTreeMap<String, String>, catalog: &Catalog, log: &mut Log) {
        for (name, text) in env {
            let Some(key) = name.strip_prefix(ENV_PREFIX).filter(|key| key.contains(ENV_SEPARATOR)) else {
                continue;
            };
            let mut path: Vec<String> = key.split(ENV_SEPARATOR).map(str::to_lowercase).collect();
            self.restore_name(&mut path, catalog);
            let origin = Origin::Env(name.clone());
            if !self.set(&path, Node { value: from_env(text, &origin), origin: origin.clone() }) {
                let message = "it sets a part of something that is no table";
                log.problems.push(Problem::new(path.join("."), origin, message));
            }
        }
    }

    /// Lays flags over everything.
    pub(super) fn add_flags(&mut self, flags: &[(&str, &str, String)]) {
        for (key, flag, text) in flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let origin = Origin::Flag((*flag).to_owned());
            self.set(&path, Node { value: from_env(text, &origin), origin });
        }
    }

    /// Variables cannot hold `-`, `/` or capitals: `GPU_BOX` means the provider `gpu-box`.
    fn restore_name(&self, path: &mut [String], catalog: &Catalog) {
        let [section, name, ..] = path else { return };
        let written = match self.root.get(section.as_str()).map(|node| &node.value) {
            Some(Value::Table(table)) => table.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let known: Vec<String> = match section.as_str() {
            "providers" => catalog.providers().map(|provider| provider.name.to_string()).collect(),
            "models" => catalog.models().map(crate::catalog::model::Model::full_name).collect(),
            _ => return,
        };
        let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_lowercase();
        if let Some(real) = written.into_iter().chain(known).find(|candidate| plain(candidate) == *name) {
            *name = real;
        }
    }

    fn set(&mut self, path: &[String], node: Node) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let mut table = &mut self.root;
        for part in parents {
            let empty = || Node { value: Value::Table(BTreeMap::new()), origin: node.origin.clone() };
            match &mut table.entry(part.clone()).or_insert_with(empty).value {
                Value::Table(inner) => table = inner,
                _ => return false,
            }
        }
        table.insert(last.clone(), node);
        true
    }
}

fn entries(table: &DeTable<'_>, lines: &Lines) -> BTreeMap<String, Node> {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let origin = Origin::File(lines.at(key.span().start));
        (key.get_ref().to_string(), Node { value: value_of(value.get_ref(), lines), origin })
    };
    table.iter().map(entry).collect()
}

fn value_of(value: &DeValue<'_>, lines: &Lines) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let decimal = i64::from_str_radix(number.as_str(), number.radix()).map(|n| n.to_string());
            Value::Number(decimal.unwrap_or_else(|_| number.as_str().to_owned()))
        }
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(list) => Value::List(
            list.iter()
                .map(|element| Node {
                    value: value_of(element.get_ref(), lines),
                    origin: Origin::File(lines.at(element.span().start)),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table, lines)),
    }
}

/// Plain text, except that lists and tables are written as in the file (or as JSON).
fn from_env(text: &str, origin: &Origin) -> Value {
    let trimmed = text.trim();
    if !trimmed.starts_with(['[', '{']) {
        return Value::Text(text.to_owned());
    }
    let value = match DeValue::parse(trimmed) {
        Ok(value) => value_of(value.get_ref(), &Lines::of("")),
        Err(_) => match serde_json::from_str(trimmed) {
            Ok(json) => from_json(json, origin),
            Err(_) => Value::Text(text.to_owned()),
        },
    };
    with_origin(value, origin)
}

fn from_json(json: serde_json::Value, origin: &Origin) -> Value {
    let node = |json| Node { value: from_json(json, origin), origin: origin.clone() };
    match json {
        serde_json::Value::Null => Value::Text(String::new()),
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Number(number.to_string()),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(list) => Value::List(list.into_iter().map(node).collect()),
        serde_json::Value::Object(map) => {
            Value::Table(map.into_iter().map(|(key, json)| (key, node(json))).collect())
        }
    }
}

fn with_origin(value: Value, origin: &Origin) -> Value {
    let node = |node: Node| Node { value: with_origin(node.value, origin), origin: origin.clone() };
    match value {
        Value::List(list) => Value::List(list.into_iter().map(node).collect()),
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, inner)| (key, node(inner))).collect())
        }
        plain => plain,
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Number(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As JSON, numbers as they were written.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Text(text) | Value::Date(text) => text.as_str().into(),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Value::Bool(flag) => (*flag).into(),
            Value::List(list) => list.iter().map(|node| node.value.to_json()).collect(),
            Value::Table(table) => {
                table.iter().map(|(key, node)| (key.clone(), node.value.to_json())).collect()
            }
        }
    }
}

/// As TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::Number(text) | Value::Date(text) => f.write_str(text),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::List(list) => {
                let parts: Vec<String> = list.iter().map(|node| node.value.to_string()).collect();
                write!(f, "[{}]", parts.join(", "))
            }
            Value::Table(table) => {
                let part = |(key, node): (&String, &Node)| format!("{} = {}", show_key(key), node.value);
                let parts: Vec<String> = table.iter().map(part).collect();
                write!(f, "{{ {} }}", parts.join(", "))
            }
        }
    }
}

/// A key as it stands in a path: quoted where TOML wants that.
pub(super) fn show_key(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { toml::Value::from(key).to_string() }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(text.bytes().enumerate().filter(|&(_, b)| b == b'\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of an offset, counted from 1.
    fn at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|&start| start <= offset)
    }
}
