//! `overnight completions SHELL`: a script that teaches a shell our verbs and flags.

use clap::CommandFactory;

use super::args::{Args, CompletionsArgs};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;

/// Prints the script.
pub fn run(args: &CompletionsArgs, context: &Context) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "overnight", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
