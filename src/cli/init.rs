//! `overnight init [DIR]`: a commented config, a first file of prompts, a `.gitignore`; or a systemd unit.
//!
//! Nothing that is there is touched: if any of the files exists, none is written.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::args::InitArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::style::{Line, Paint};
use crate::config::find::FILE_NAME;
use crate::config::template;

const PROMPTS: &str = include_str!("init/prompts.jsonl");
const GITIGNORE: &str = include_str!("init/gitignore");
const SERVICE: &str = include_str!("init/overnight.service");

/// Writes the files, or prints the unit.
pub fn run(args: &InitArgs, context: &Context) -> Result<Exit, CliError> {
    if args.service {
        context.print(SERVICE)?;
        return Ok(Exit::Done);
    }
    let files = [(FILE_NAME, template()), ("prompts.jsonl", PROMPTS), (".gitignore", GITIGNORE)]
        .map(|(name, text)| (args.dir.join(name), text));
    refuse_to_overwrite(&files)?;
    fs::create_dir_all(&args.dir).with_context(|| format!("make folder {}", args.dir.display()))?;
    for (path, text) in &files {
        // `create_new`, because a file may have come since we looked.
        let mut file = OpenOptions::new().write(true).create_new(true).open(path);
        let written = file.as_mut().map_err(|error| std::io::Error::new(error.kind(), error.to_string()));
        written
            .and_then(|file| file.write_all(text.as_bytes()))
            .with_context(|| format!("write {}", path.display()))?;
    }
    tell(args, &files.map(|(path, _)| path), context)?;
    Ok(Exit::Done)
}

fn refuse_to_overwrite(files: &[(PathBuf, &str)]) -> Result<(), CliError> {
    let taken = files.iter().filter(|(path, _)| fs::symlink_metadata(path).is_ok());
    let taken: Vec<String> = taken.map(|(path, _)| path.display().to_string()).collect();
    if taken.is_empty() {
        return Ok(());
    }
    Err(CliError::new("exists", Exit::Usage, format!("already there: {}", taken.join(", ")))
        .hint("nothing was written; name another folder: overnight init DIR"))
}

fn tell(args: &InitArgs, paths: &[PathBuf], context: &Context) -> Result<(), CliError> {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    context.document("init", "wrote", &json!(paths), || {
        let mut lines: Vec<Line> =
            paths.iter().map(|path| Line::new().text("wrote ").add(Paint::Name, path)).collect();
        let enter = match args.dir.as_os_str() == "." {
            true => String::new(),
            false => format!("cd {} && ", args.dir.display()),
        };
        lines.push(Line::new().text(format!("next: set a key, then  {enter}overnight run prompts.jsonl")));
        lines.push(Line::new().add(Paint::Faint, "      or without one:  overnight demo"));
        lines
    })
}
