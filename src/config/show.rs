//! `config show`: every value and where it came from.

use std::path::Path;

use serde::Serialize;

use super::Config;
use super::problem::Origin;

/// A value and where it came from. Keys are shown by the name of their place, as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Setting {
    /// `budget.day`.
    pub key: String,
    /// As TOML.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Setting {
    pub(super) fn new(key: &str, value: String, origin: &Origin) -> Setting {
        Setting { key: key.to_owned(), value, origin: origin.clone() }
    }
}

/// The whole config as it is shown; with `--json` as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownConfig<'a> {
    /// `overnight.config/1`.
    pub schema: &'static str,
    /// The file, where there is one.
    pub path: Option<&'a Path>,
    /// In order of key.
    pub settings: Vec<&'a Setting>,
}

impl Config {
    /// What is shown of it.
    pub fn shown(&self) -> ShownConfig<'_> {
        let mut settings: Vec<&Setting> = self.settings.iter().collect();
        settings.sort();
        ShownConfig { schema: "overnight.config/1", path: self.path.as_deref(), settings }
    }

    /// One line a value: `budget.day = "$20"   # line 4`.
    pub fn show(&self) -> String {
        let shown = self.shown();
        let lines: Vec<(String, &Origin)> = shown
            .settings
            .iter()
            .map(|setting| (format!("{} = {}", setting.key, setting.value), &setting.origin))
            .collect();
        // One long value must not push every comment off the screen.
        let width =
            lines.iter().map(|(line, _)| line.chars().count()).filter(|&n| n <= 60).max().unwrap_or(0);
        let mut text = match shown.path {
            Some(path) => format!("# {}\n", path.display()),
            None => "# no config file; defaults and environment\n".to_owned(),
        };
        for (line, origin) in lines {
            text.push_str(&format!("{line:<width$}   # {origin}\n"));
        }
        text
    }
}
