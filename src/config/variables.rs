//! Environment variables that look like settings and name none.
//!
//! A setting is `OVERNIGHT_SECTION__KEY`. With one underscore between the parts it would be ignored in
//! silence, and the night would run with another budget or another folder than was meant. Others that
//! begin alike are not ours to judge: keys that the config refers to, or what a cluster sets for a
//! service of our name.
//!
//! Pure.

use std::collections::BTreeMap;

use super::problem::{Origin, Problem};
use super::reader::Log;
use super::source::{ENV_PREFIX, ENV_SEPARATOR, Node, Tree, Value};
use crate::catalog::names::{did_you_mean, nearest};

/// Variables with a meaning of their own.
const OURS: [&str; 2] = ["CONFIG", "TOKEN"];
/// The tables of the config.
const SECTIONS: [&str; 8] =
    ["BUDGET", "DAEMON", "DEFAULTS", "LADDERS", "MODELS", "PROVIDERS", "RESULTS", "STATE"];

/// Reports the variables that were meant to set something; `log` knows every key there is.
pub(super) fn check(env: &BTreeMap<String, String>, tree: &Tree, log: &mut Log) {
    let known: Vec<String> = log.asked.iter().map(|(key, _)| variable(key)).collect();
    for name in env.keys() {
        let Some(key) = name.strip_prefix(ENV_PREFIX).filter(|key| !key.contains(ENV_SEPARATOR)) else {
            continue;
        };
        if OURS.contains(&key) || tree.root.values().any(|node| refers_to(node, name)) {
            continue;
        }
        let meant = meant(key, &known).map(|key| format!("{ENV_PREFIX}{key}"));
        let section = SECTIONS.iter().any(|section| key.split('_').next() == Some(section));
        if meant.is_some() || section {
            let message = format!(
                "sets nothing{}; two underscores stand between the parts of a key",
                did_you_mean(meant.as_deref())
            );
            log.problems.push(Problem::new("", Origin::Env(name.clone()), message));
        }
    }
}

/// `budget.day` as its variable ends: `BUDGET__DAY`.
fn variable(key: &str) -> String {
    let parts = key.split('.').map(|part| part.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    parts.collect::<Vec<_>>().join(ENV_SEPARATOR).to_uppercase()
}

/// The setting that is written nearly like that, or that is called so within its section.
fn meant<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    let known = || known.iter().map(String::as_str);
    nearest(key, known()).or_else(|| known().find(|known| known.rsplit(ENV_SEPARATOR).next() == Some(key)))
}

/// Whether a value names the variable as the place of a key.
fn refers_to(node: &Node, variable: &str) -> bool {
    match &node.value {
        Value::Text(text) => text.strip_prefix("env:") == Some(variable),
        Value::List(list) => list.iter().any(|node| refers_to(node, variable)),
        Value::Table(table) => table.values().any(|node| refers_to(node, variable)),
        Value::Number(_) | Value::Bool(_) | Value::Date(_) => false,
    }
}
