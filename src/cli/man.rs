//! `overnight man DIR`: a man page for the program and one for every verb, from the same help texts.

use std::fs;

use anyhow::Context as _;
use clap::CommandFactory;

use super::args::{Args, ManArgs};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::style::{Line, Paint};

/// Writes the pages.
pub fn run(args: &ManArgs, context: &Context) -> Result<Exit, CliError> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("make folder {}", dir.display()))?;
    clap_mangen::generate_to(Args::command(), dir)
        .with_context(|| format!("write man pages into {}", dir.display()))?;
    let shown = dir.display().to_string();
    context.note(&Line::new().text("wrote the man pages into ").add(Paint::Name, &shown));
    context.note(&Line::new().add(Paint::Faint, format!("  man {shown}/overnight.1")));
    Ok(Exit::Done)
}
