//! `overnight.toml`, the environment and flags as one checked [`Config`].
//!
//! Flag over environment over file over default. A file is looked for in the order of [`find`]; the
//! first one wins whole, nothing is merged. All problems are reported together, each with its line.
//! Keys of providers are never written in a config, only where they are to be found (`config::secrets`).
//!
//! One tree of nodes holds what was written and where; the reader takes typed
//! values out of it and so knows every key there is, which is how unknown keys are found and
//! `config show` is filled. serde would stop at the first problem and forget the lines.
//!
//! Shell: reads files. The environment comes as an argument.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::catalog::ladder::AUTO;
use crate::catalog::settings::Settings;

mod allowance;
mod batch;
mod budget;
pub mod duration;
pub mod find;
mod hours;
mod intake;
mod ladders;
pub mod lists;
mod models;
mod morning;
mod problem;
mod providers;
mod reader;
mod secrets;
mod sections;
mod show;
mod source;
mod template;
mod variables;

pub use budget::{Budget, Webhook};
pub use intake::{Schedule, Terms, Watch};
pub use morning::Morning;
pub use problem::{ConfigError, Origin, Problem};
pub use sections::{Daemon, Defaults, Results};
pub use show::{Setting, ShownConfig};
pub use template::template;

use reader::{Log, Section};
use source::Tree;

/// What a config is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `--config`.
    pub file: Option<&'a Path>,
    /// The working directory.
    pub cwd: &'a Path,
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// Flags that set a key: `("state.dir", "--state-dir", "/data")`.
    pub flags: &'a [(&'a str, &'a str, String)],
}

/// A checked config.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: Option<PathBuf>,
    /// What jobs ask for where they say nothing.
    pub defaults: Defaults,
    /// What may be spent, and who is told.
    pub budget: Budget,
    /// The daemon.
    pub daemon: Daemon,
    /// Files that are submitted by the clock.
    pub schedules: Vec<Schedule>,
    /// Folders whose files are submitted.
    pub watches: Vec<Watch>,
    /// The report of the night.
    pub morning: Morning,
    /// Where results go.
    pub results: Results,
    /// Where the queue is kept.
    pub state_dir: PathBuf,
    /// The bundled catalog with the user's providers, models and keys.
    pub catalog: Catalog,
    /// Price lists that were fetched, in order of precedence.
    pub lists: Vec<lists::List>,
    /// Every value and where it came from.
    pub settings: Vec<Setting>,
}

/// Finds, reads and checks the config; without a file the defaults and the environment are one.
pub fn load(inputs: &Inputs<'_>) -> Result<Config, ConfigError> {
    let path = find::config_file(inputs).map_err(|problem| ConfigError::new(None, vec![problem]))?;
    let text = match &path {
        Some(path) => read(path)?,
        None => String::new(),
    };
    check(path, &text, inputs)
}

/// The config that `text` is, whatever files there are; relative folders are below the working directory.
pub fn parse(text: &str, inputs: &Inputs<'_>) -> Result<Config, ConfigError> {
    check(None, text, inputs)
}

/// Checks a config that was read.
fn check(path: Option<PathBuf>, text: &str, inputs: &Inputs<'_>) -> Result<Config, ConfigError> {
    let bundled = Catalog::bundled();
    let mut log = Log::default();
    let mut tree = Tree::parse(text, &mut log);
    tree.add_env(inputs.env, &bundled, &mut log);
    tree.add_flags(inputs.flags);
    let base = path.as_deref().and_then(Path::parent).unwrap_or(inputs.cwd);
    let places = sections::Places { base, inputs };

    let mut root = Section::root(&tree);
    let defaults = sections::defaults(&mut root.section("defaults", &mut log), &mut log);
    let ladders = ladders::read(&mut root, &mut log);
    let budget = budget::budget(&mut root.section("budget", &mut log), inputs.env, &mut log);
    let daemon = sections::daemon(&mut root.section("daemon", &mut log), inputs.env, &mut log);
    let schedules = intake::schedules(&mut root, &defaults, &places, &mut log);
    let watches = intake::watches(&mut root, &defaults, &places, &mut log);
    let morning = morning::morning(&mut root.section("report", &mut log), &places, inputs.env, &mut log);
    let results = sections::results(&mut root.section("results", &mut log), &places, &mut log);
    let state_dir = sections::state(&mut root.section("state", &mut log), &places, &mut log);
    let providers = providers::read(&mut root, &bundled, &places, &mut log);
    let lanes: Vec<(String, Vec<String>)> = providers
        .iter()
        .filter_map(|(name, settings)| Some((name.clone(), settings.lanes.clone()?)))
        .collect();
    let models = models::read(&mut root, &mut log);
    root.finish(&mut log);
    variables::check(inputs.env, &tree, &mut log);

    // The user's providers, then lists of prices for them, then what the user states of models.
    let (catalog, _) = bundled.merge(&Settings { providers, ..Settings::default() });
    let lists = lists::load(&state_dir, &catalog);
    let imported = lists.iter().filter_map(|list| list.read.as_ref().ok());
    let catalog = imported.fold(catalog, Catalog::with_imported);
    let (catalog, errors) = catalog.merge(&Settings { models, ..Settings::default() });
    for (model, error) in errors {
        log.problem_at(&tree, &["models", &model], error.to_string());
    }
    for (provider, lanes) in lanes {
        for lane in lanes {
            if let Some(why) = catalog.lacks_lane(&provider, &lane) {
                log.problem_at(&tree, &["providers", &provider, "lanes"], why);
            }
        }
    }
    let ladders = ladders::with_usual(ladders, &defaults.models);
    for (ladder, steps) in &ladders {
        let path = if ladder == AUTO { ["defaults", "models"] } else { ["ladders", ladder] };
        for name in steps.iter().flatten().filter(|name| !name.contains(['@', '*', '?'])) {
            if let Err(error) = catalog.find(name) {
                log.problem_at(&tree, &path, error.to_string());
            }
        }
    }
    let catalog = catalog.with_ladders(ladders);
    if log.problems.is_empty() {
        Ok(Config {
            path,
            defaults,
            budget,
            daemon,
            schedules,
            watches,
            morning,
            results,
            state_dir,
            catalog,
            lists,
            settings: log.settings,
        })
    } else {
        Err(ConfigError::new(path, log.problems))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let problem = Problem::new("", Origin::Default, format!("it cannot be read: {error}"));
        ConfigError::new(Some(path.to_owned()), vec![problem])
    })
}

#[cfg(test)]
mod tests;
