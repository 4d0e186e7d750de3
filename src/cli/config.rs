//! `overnight config show | path | check | schema`.

use std::path::PathBuf;

use serde_json::json;

use super::args::{ConfigArgs, ConfigVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::style::{Line, Paint};
use crate::config::{Config, find, template};

/// Shows the config, or says whether it is right.
pub fn run(args: &ConfigArgs, context: &Context) -> Result<Exit, CliError> {
    match args.verb {
        ConfigVerb::Schema => schema(context)?,
        ConfigVerb::Show => show(context.config()?, context)?,
        ConfigVerb::Path => path(context.config()?, context)?,
        ConfigVerb::Check => check(context.config()?, context)?,
    }
    Ok(Exit::Done)
}

fn show(config: &Config, context: &Context) -> Result<(), CliError> {
    match context.globals.json {
        true => context.print(&super::items::json(&config.shown())?),
        false => context.print(&config.show()),
    }
}

fn path(config: &Config, context: &Context) -> Result<(), CliError> {
    let searched = candidates()?;
    if context.globals.json {
        let document =
            json!({ "schema": "overnight.config_path/1", "path": config.path, "searched": searched });
        return context.print(&format!("{document}\n"));
    }
    match &config.path {
        Some(path) => context.print(&format!("{}\n", path.display())),
        None => {
            context.note(&Line::new().text("no config file; defaults and the environment hold. Looked for:"));
            for path in searched {
                context.note(&Line::new().add(Paint::Faint, format!("  {}", path.display())));
            }
            Ok(())
        }
    }
}

fn check(config: &Config, context: &Context) -> Result<(), CliError> {
    let usable =
        config.catalog.providers().filter(|provider| provider.unusable().is_none() && provider.wanted());
    let usable: Vec<String> = usable.map(|provider| provider.name.to_string()).collect();
    if context.globals.json {
        let document = json!({
            "schema": "overnight.config_check/1", "path": config.path, "problems": [], "usable_providers": usable,
        });
        return context.print(&format!("{document}\n"));
    }
    let what = match &config.path {
        Some(path) => format!("{} is right", path.display()),
        None => "no config file; defaults and the environment are right".to_owned(),
    };
    let providers = match usable.is_empty() {
        true => "no provider can be used yet: `overnight providers` says what is missing".to_owned(),
        false => format!("providers that can be used: {}", usable.join(", ")),
    };
    context.lines(&[Line::new().text(what), Line::new().text(providers)])
}

fn schema(context: &Context) -> Result<(), CliError> {
    if context.globals.json {
        let document = json!({ "schema": "overnight.config_schema/1", "toml": template() });
        return context.print(&format!("{document}\n"));
    }
    context.print(template())
}

fn candidates() -> Result<Vec<PathBuf>, CliError> {
    let cwd = std::env::current_dir()?;
    let env = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    Ok(find::candidates(&cwd, &env.collect()))
}
