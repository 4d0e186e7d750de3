//! Typed values out of the tree, one section at a time.
//!
//! A [`Section`] remembers which keys it was asked for: the others are unknown, and the asked ones are
//! what a mistyped key may have meant.

use std::collections::BTreeMap;
use std::time::Duration;

use super::problem::{Origin, Problem};
use super::show::Setting;
use super::source::{Node, Tree, Value, show_key};
use crate::catalog::names;
use crate::money::Usd;

/// What reading a config brings to light.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) problems: Vec<Problem>,
    pub(super) settings: Vec<Setting>,
    /// Every key that was asked for and whether it was set; a test holds the template against it.
    pub(super) asked: Vec<(String, bool)>,
}

impl Log {
    /// A problem with what stands at a path of the tree.
    pub(super) fn problem_at(&mut self, tree: &Tree, path: &[&str], message: String) {
        let mut origin = Origin::Default;
        let mut table = Some(&tree.root);
        for part in path {
            let Some(node) = table.and_then(|table| table.get(*part)) else { break };
            origin = node.origin.clone();
            table = match &node.value {
                Value::Table(inner) => Some(inner),
                _ => None,
            };
        }
        let key = path.iter().map(|part| show_key(part)).collect::<Vec<_>>().join(".");
        self.problems.push(Problem::new(key, origin, message));
    }
}

static NOTHING: BTreeMap<String, Node> = BTreeMap::new();

/// One table of the config, while it is read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    table: &'a BTreeMap<String, Node>,
    origin: Origin,
    asked: Vec<&'static str>,
    /// Its defaults are those of another section and shown there.
    is_quiet: bool,
}

/// One entry of a list that takes lines and tables.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// A text, and where it stands.
    Text(String, Section<'a>),
    /// A table.
    Table(Section<'a>),
}

/// A parser of one value: what is wrong with it, where something is.
pub(super) type Parsed<T> = Result<T, String>;

impl<'a> Section<'a> {
    pub(super) fn root(tree: &'a Tree) -> Section<'a> {
        Section {
            path: String::new(),
            table: &tree.root,
            origin: Origin::Default,
            asked: Vec::new(),
            is_quiet: false,
        }
    }

    /// A table below this one, empty where it is absent.
    pub(super) fn section(&mut self, key: &'static str, log: &mut Log) -> Section<'a> {
        let path = self.key(key);
        match self.node(key) {
            Some(node) => Section::of(path, node, log),
            None => {
                Section { path, table: &NOTHING, origin: Origin::Default, asked: Vec::new(), is_quiet: false }
            }
        }
    }

    /// A table below this one, where there is one.
    pub(super) fn section_if(&mut self, key: &'static str, log: &mut Log) -> Option<Section<'a>> {
        let path = self.key(key);
        let node = self.node(key);
        log.asked.push((path.clone(), node.is_some()));
        let section = Section::of(path, node?, log);
        matches!(node?.value, Value::Table(_)).then_some(section)
    }

    /// The tables below this one whose names the user chooses.
    pub(super) fn named(&mut self, key: &'static str, log: &mut Log) -> Vec<(String, Section<'a>)> {
        let outer = self.section(key, log);
        let inner = |(name, node): (&'a String, &'a Node)| {
            (name.clone(), Section::of(format!("{}.{}", outer.path, show_key(name)), node, log))
        };
        outer.table.iter().map(inner).collect()
    }

    /// The values of a table below this one whose keys the user chooses.
    pub(super) fn values<T>(
        &mut self,
        key: &'static str,
        log: &mut Log,
        parse: impl Fn(&str, &Value) -> Parsed<T>,
    ) -> BTreeMap<String, T> {
        let section = self.section(key, log);
        let mut values = BTreeMap::new();
        for (name, node) in section.table {
            let path = section.key(name);
            log.asked.push((path.clone(), true));
            match parse(name, &node.value) {
                Ok(value) => {
                    log.settings.push(Setting::new(&path, node.value.to_string(), &node.origin));
                    values.insert(name.clone(), value);
                }
                Err(message) => log.problems.push(Problem::new(path, node.origin.clone(), message)),
            }
        }
        values
    }

    /// The tables of a list below this one; `None` where there is none.
    pub(super) fn list(&mut self, key: &'static str, log: &mut Log) -> Option<Vec<Section<'a>>> {
        let path = self.key(key);
        let node = self.node(key)?;
        log.asked.push((path.clone(), true));
        let Value::List(list) = &node.value else {
            log.problems.push(Problem::new(path, node.origin.clone(), "must be a list of tables"));
            return None;
        };
        log.settings.push(Setting::new(&path, node.value.to_string(), &node.origin));
        let numbered = list.iter().enumerate();
        Some(numbered.map(|(at, node)| Section::of(format!("{path}[{at}]"), node, log)).collect())
    }

    /// The entries of a list of texts and tables below this one, or the one that stands alone; `None`
    /// where there is none.
    pub(super) fn entries(&mut self, key: &'static str, log: &mut Log) -> Option<Vec<Entry<'a>>> {
        let path = self.key(key);
        let node = self.node(key);
        log.asked.push((path.clone(), node.is_some()));
        let node = node?;
        log.settings.push(Setting::new(&path, node.value.to_string(), &node.origin));
        let entry = |(path, node): (String, &'a Node)| match &node.value {
            Value::Text(text) => {
                let origin = node.origin.clone();
                Some(Entry::Text(
                    text.clone(),
                    Section { path, table: &NOTHING, origin, asked: Vec::new(), is_quiet: false },
                ))
            }
            Value::Table(_) => Some(Entry::Table(Section::of(path, node, log))),
            other => {
                let message = format!("must be text or a table, not {}", other.kind());
                log.problems.push(Problem::new(path, node.origin.clone(), message));
                None
            }
        };
        Some(match &node.value {
            Value::List(list) => {
                let numbered = list.iter().enumerate();
                numbered.map(|(at, node)| (format!("{path}[{at}]"), node)).filter_map(entry).collect()
            }
            _ => [(path, node)].into_iter().filter_map(entry).collect(),
        })
    }

    fn of(path: String, node: &'a Node, log: &mut Log) -> Section<'a> {
        let table = match &node.value {
            Value::Table(table) => table,
            other => {
                let message = format!("must be a table, not {}", other.kind());
                log.problems.push(Problem::new(&path, node.origin.clone(), message));
                &NOTHING
            }
        };
        Section { path, table, origin: node.origin.clone(), asked: Vec::new(), is_quiet: false }
    }

    /// Reads a value where one is set.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        log: &mut Log,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> Option<T> {
        let path = self.key(key);
        let node = self.node(key);
        log.asked.push((path.clone(), node.is_some()));
        let node = node?;
        match parse(&node.value) {
            Ok(value) => {
                log.settings.push(Setting::new(&path, node.value.to_string(), &node.origin));
                Some(value)
            }
            Err(message) => {
                log.problems.push(Problem::new(path, node.origin.clone(), message));
                None
            }
        }
    }

    /// Reads a value, else takes the default, which is shown as such.
    pub(super) fn get_or<T>(
        &mut self,
        key: &'static str,
        default: (T, &str),
        log: &mut Log,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> T {
        if !self.table.contains_key(key) && !self.is_quiet {
            log.settings.push(Setting::new(&self.key(key), default.1.to_owned(), &Origin::Default));
        }
        self.get(key, log, parse).unwrap_or(default.0)
    }

    /// Shows no defaults from here on: they are those of another section, and shown there.
    pub(super) fn keep_quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Adds a problem with this section, or with one of its keys.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>, log: &mut Log) {
        let origin = self.table.get(key).map_or(&self.origin, |node| &node.origin);
        let path = if key.is_empty() { self.path.clone() } else { self.key(key) };
        log.problems.push(Problem::new(path, origin.clone(), message));
    }

    /// Whether a key is set at all.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key is set to a table, where it may be set to something plain too.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|node| matches!(node.value, Value::Table(_)))
    }

    /// Reports the keys nobody asked for.
    pub(super) fn finish(&self, log: &mut Log) {
        for (key, node) in self.table {
            if !self.asked.contains(&key.as_str()) {
                let nearest = names::nearest(key, self.asked.iter().copied());
                let message = match nearest {
                    Some(name) => format!("unknown key (did you mean `{name}`?)"),
                    None => format!("unknown key; known here: {}", self.asked.join(", ")),
                };
                log.problems.push(Problem::new(self.key(key), node.origin.clone(), message));
            }
        }
    }

    fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key)
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { show_key(key) } else { format!("{}.{}", self.path, show_key(key)) }
    }
}

/// Text.
pub(super) fn text(value: &Value) -> Parsed<String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(format!("must be text in quotes, not {}", other.kind())),
    }
}

/// Text or a date without quotes.
pub(super) fn text_or_date(value: &Value) -> Parsed<String> {
    match value {
        Value::Date(text) => Ok(text.clone()),
        other => text(other),
    }
}

/// An amount of money that is not negative.
pub(super) fn money(value: &Value) -> Parsed<Usd> {
    let written = match value {
        Value::Number(number) => {
            return Err(format!("money is text: write \"${number}\""));
        }
        other => text(other)?,
    };
    let amount: Usd = written.parse().map_err(|error: crate::money::ParseUsdError| error.to_string())?;
    if amount < Usd::ZERO {
        return Err(format!("{written:?} is less than nothing"));
    }
    if amount > MOST_MONEY {
        return Err(format!("{written:?} is more than a billion dollars"));
    }
    Ok(amount)
}

/// More is a slip of the pen, and sums of less stay exact everywhere.
const MOST_MONEY: Usd = Usd::from_pico(1_000_000_000 * 1_000_000_000_000);

/// A length of time.
pub(super) fn duration(value: &Value) -> Parsed<Duration> {
    super::duration::parse(&text(value)?).map_err(|error| error.to_string())
}

/// A whole number between two others.
pub(super) fn whole<T>(least: T, most: T) -> impl Fn(&Value) -> Parsed<T>
where
    T: TryFrom<i128> + Into<i128> + Copy,
{
    move |value| {
        let range = || format!("must be a whole number from {} to {}", least.into(), most.into());
        let digits = match value {
            Value::Number(digits) | Value::Text(digits) => digits.trim().replace('_', ""),
            _ => return Err(range()),
        };
        let number: i128 = digits.parse().map_err(|_| range())?;
        if !(least.into()..=most.into()).contains(&number) {
            return Err(range());
        }
        T::try_from(number).map_err(|_| range())
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value) -> Parsed<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Text(text) if text == "true" => Ok(true),
        Value::Text(text) if text == "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A decimal number, as it was written.
pub(super) fn decimal(value: &Value) -> Parsed<String> {
    match value {
        Value::Number(text) | Value::Text(text) => Ok(text.clone()),
        other => Err(format!("must be a number, not {}", other.kind())),
    }
}

/// Text, or a list of texts.
pub(super) fn texts(value: &Value) -> Parsed<Vec<String>> {
    match value {
        Value::List(list) => list.iter().map(|node| text_or_date(&node.value)).collect(),
        other => Ok(vec![text(other).map_err(|_| "must be a list of texts".to_owned())?]),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Value) -> Parsed<T> {
    move |value| {
        let written = text(value)?;
        let known = words.iter().find(|(word, _)| *word == written);
        known.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            format!("{written:?} is not one of {}", all.join(", "))
        })
    }
}

/// Texts by name.
pub(super) fn text_map(value: &Value) -> Parsed<BTreeMap<String, String>> {
    match value {
        Value::Table(table) => {
            table.iter().map(|(key, node)| Ok((key.clone(), text(&node.value)?))).collect()
        }
        other => Err(format!("must be a table of texts, not {}", other.kind())),
    }
}
