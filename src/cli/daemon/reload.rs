//! Another config while there is work: read and checked whole, then put in force, or not at all.
//!
//! | takes effect | keeps until a restart |
//! |---|---|
//! | providers, keys, models, prices, hours, limits, budgets | where the state is |
//! | what jobs to come ask for | where results go |
//! | schedules, folders, the report | where the daemon listens, and its token |
//!
//! Shell.

use std::sync::mpsc::Sender;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::work::in_force;
use super::attend::Order;
use super::notify;
use crate::config::Config;
use crate::live::{Reload, Reloaded};
use crate::serve::App;

/// Reads the config of `context` again whenever it is asked to, and tells the attendant and the server.
pub(super) fn reader(context: Context, attendant: Sender<Order>, server: App) -> Reload {
    let mut present = context;
    Box::new(move || {
        notify::reloading();
        let read = read(&present);
        notify::ready();
        match read {
            Ok((context, reloaded)) => {
                // An attendant that is gone has nothing to attend to any more.
                let _ = attendant.send(Order::Config(Box::new(context.clone())));
                server.reconfigure(context.config().map_err(|error| error.message)?.clone());
                present = context;
                Ok(reloaded)
            }
            Err(error) => {
                tracing::error!(
                    "the config was not read again, the old one stays in force: {}",
                    error.human(false).trim()
                );
                Err(error.message)
            }
        }
    })
}

fn read(present: &Context) -> Result<(Context, Reloaded), CliError> {
    let new = present.anew()?;
    require_same_file(new.config()?, present.config()?)?;
    let (config, fixed) = with_what_stays(new.config()?, present.config()?);
    for key in &fixed {
        tracing::warn!(
            key,
            "this setting was changed and keeps its old value until the daemon is started again"
        );
    }
    let context = Context::with_config(present.globals.clone(), config);
    let reloaded = in_force(context.config()?)?;
    let config = context.config()?;
    tracing::info!(
        schedules = config.schedules.len(),
        folders = config.watches.len(),
        "the config was read again and is in force"
    );
    Ok((context, reloaded))
}

/// The file that held before is the one that is read again: without it every default would be in force, and
/// no budget.
fn require_same_file(new: &Config, old: &Config) -> Result<(), CliError> {
    let Some(before) = old.path.as_ref().filter(|before| new.path.as_ref() != Some(before)) else {
        return Ok(());
    };
    let message = match &new.path {
        None => format!("{} is gone", before.display()),
        Some(other) => format!("{} was in force, and now {} would be", before.display(), other.display()),
    };
    let hint = "put the file back, or start the daemon again to go by another";
    Err(CliError::new("bad_config", Exit::Usage, message).hint(hint))
}

/// The new config with the old one's values where those cannot change, and the keys that wanted to.
fn with_what_stays(new: &Config, old: &Config) -> (Config, Vec<&'static str>) {
    let token = |config: &Config| config.daemon.token.as_ref().map(|token| token.expose().to_owned());
    let changed = [
        ("state.dir", new.state_dir != old.state_dir),
        ("results", new.results != old.results),
        ("daemon.listen", new.daemon.listen != old.daemon.listen),
        ("daemon.token", token(new) != token(old)),
    ];
    let fixed = changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect();
    let config = Config {
        state_dir: old.state_dir.clone(),
        results: old.results.clone(),
        daemon: old.daemon.clone(),
        ..new.clone()
    };
    (config, fixed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::{Inputs, parse};

    fn config(text: &str) -> Config {
        let env = BTreeMap::from([("OVERNIGHT_TOKEN".to_owned(), "t".to_owned())]);
        parse(text, &Inputs { file: None, cwd: Path::new("/srv"), env: &env, flags: &[] }).unwrap()
    }

    #[test]
    fn what_cannot_change_stays_and_is_named() {
        let old = config("[state]\ndir = \"/a\"\n[budget]\nday = \"$1\"");
        let new = config(
            "[state]\ndir = \"/b\"\n[results]\nraw = false\n[daemon]\ntoken = \"env:OVERNIGHT_TOKEN\"\n[budget]\nday = \"$2\"",
        );
        let (merged, fixed) = with_what_stays(&new, &old);
        assert_eq!(fixed, ["state.dir", "results", "daemon.token"]);
        assert_eq!((merged.state_dir.as_path(), merged.results.raw), (Path::new("/a"), true));
        assert!(merged.daemon.token.is_none());
        assert_eq!(merged.budget.day, Some("$2".parse().unwrap()), "the rest is the new one's");
        assert_eq!(with_what_stays(&old, &old).1, [""; 0]);
    }
}
