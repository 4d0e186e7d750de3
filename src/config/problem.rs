//! What is wrong with a config, all of it at once, and where each thing was written.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// The config file, at this line.
    File(usize),
    /// This environment variable.
    Env(String),
    /// This flag.
    Flag(String),
}

/// `line 4`, `OVERNIGHT_BUDGET__DAY`, `--state-dir`, `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(line) => write!(f, "line {line}"),
            Origin::Env(name) | Origin::Flag(name) => f.write_str(name),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key, such as `providers.openai.rpm`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to write instead. Never holds a value that may be a key.
    pub message: String,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: impl Into<String>, origin: Origin, message: impl Into<String>) -> Problem {
        Problem { origin, key: key.into(), message: message.into() }
    }
}

/// ``line 4: `budget.day`: "many" is not an amount of money``
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A config that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// In order of line.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(path: Option<PathBuf>, mut problems: Vec<Problem>) -> ConfigError {
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        problems.dedup();
        ConfigError { path, problems }
    }
}

/// A heading, and one indented line for each problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: ", path.display())?,
            None => f.write_str("config: ")?,
        }
        match self.problems.len() {
            1 => f.write_str("1 problem")?,
            n => write!(f, "{n} problems")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
