//! The command line as a tree: every verb, flag and help text.
//!
//! Global flags may stand before or after the verb. Values are read here into types, so that a wrong one
//! is refused with exit code 2 before anything is done; what needs the clock or a file is resolved later
//! by the verb ([`value`]).
//!
//! Pure.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::exit::Exit;
use super::style::ColorWhen;
use crate::simulate::SimulateArgs;

mod job;
mod look;
mod token;
pub mod value;

pub use job::{DaemonArgs, JobFlags, PlanArgs, QueueFlags, RetryArgs, RunArgs, SubmitArgs};
pub use look::{
    BackupArgs, CatalogArgs, CompletionsArgs, ConfigArgs, ConfigVerb, DemoArgs, ExportFormat, GcArgs,
    InitArgs, ItemsArgs, JobArg, ManArgs, ModelsArgs, PricesArgs, PricesUpdateArgs, PricesVerb,
    ProvidersArgs, ProvidersCheckArgs, ProvidersVerb, ReportArgs, ResultsArgs, ResumeArgs, ShowArgs,
    StateFilter, StatusArgs, StoreArgs, StoreVerb, WaitArgs, WatchArgs, WindowsArgs,
};
pub use token::{TokenArgs, TokenCreateArgs, TokenVerb};

const EXAMPLES: &str = "\
Examples:
  overnight demo                                    see it work: no key, no network, one minute
  overnight run prompts.jsonl --max-cost '$5'       answer a file now, for at most $5
  overnight submit prompts.jsonl --deadline 06:00   queue a file for tonight
  overnight results JOB -o answers.parquet          take the answers home

Data goes to stdout, everything else to stderr. With --json every verb prints one JSON document.";

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "overnight",
    version,
    about = "Gets large sets of LLM prompts answered by morning, for the least money that still gets every item right",
    long_about = "Gets large sets of LLM prompts answered by morning, for the least money that still gets every item right.\n\n\
        A job is a file of prompts; every line of it is an item. Jobs are queued durably, sent to the cheapest provider \
        that may take them while it is cheap, within rate limits and budgets. Answers are checked; what fails moves to a \
        stronger model. Results and the cost of every attempt are written as Parquet.",
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", Exit::help()),
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
)]
pub struct Args {
    /// Flags of every verb.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Use this config file [default: overnight.toml here or in a folder above, then the user's, then /etc's]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the queue in this folder [default: $XDG_STATE_HOME/overnight]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print one JSON document (watch: one a line), errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colour the output; NO_COLOR and TERM=dumb are heeded
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorWhen,
    /// Draw nothing that moves: one line a minute instead
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Answer yes to every question
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// See it work on simulated providers: no key, no network, one minute
    Demo(DemoArgs),
    /// Write a commented overnight.toml, a first prompts.jsonl and a .gitignore
    Init(InitArgs),
    /// Say what files would cost and when they would be done; sends nothing
    #[command(visible_alias = "estimate")]
    Plan(PlanArgs),
    /// Queue files durably and print their job ids
    Submit(SubmitArgs),
    /// Submit files, work on them here and watch; Ctrl-C leaves them queued
    Run(RunArgs),
    /// Work on whatever is queued until told to stop
    #[command(visible_alias = "serve")]
    Daemon(DaemonArgs),
    /// Make, list and revoke tokens of the HTTP API
    Token(TokenArgs),
    /// Serve the simulated providers over HTTP, with faults and limits, for trials without a key
    Simulate(SimulateArgs),
    /// Show all jobs, or one job and what it waits for
    Status(StatusArgs),
    /// Follow one job, or all that are not over
    Watch(WatchArgs),
    /// Wait until a job is over; the exit code says how it ended
    Wait(WaitArgs),
    /// List the items of a job
    Items(ItemsArgs),
    /// Show one item: its attempts, prompt, answer and costs
    Show(ShowArgs),
    /// Export results as Parquet, JSONL, CSV or OpenAI batch output
    Results(ResultsArgs),
    /// Sum up what was done, what failed and what it cost
    Report(ReportArgs),
    /// Queue the items of a job that did not succeed again, as a new job
    Retry(RetryArgs),
    /// Stop sending items of a job; answers already paid for are kept
    Cancel(JobArg),
    /// Stop sending items of a job until it is resumed
    Pause(JobArg),
    /// Go on with a paused job, its held items too; may raise its cap
    Resume(ResumeArgs),
    /// List providers and whether they can be used
    Providers(ProvidersArgs),
    /// List models with prices, context windows and features
    Models(ModelsArgs),
    /// Show when prices change: which hours are cheap, and when the next ones open
    Windows(WindowsArgs),
    /// Show when schedules fire next, which folders are watched and when the report comes
    Schedules,
    /// Show the prices in force and where they come from
    Prices(PricesArgs),
    /// Show or check the config
    Config(ConfigArgs),
    /// Look for what could go wrong tonight: keys, disk, limits, clock, store
    Doctor,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages into a folder
    Man(ManArgs),
    /// Delete the prompts and the index of jobs that ended long ago; results are kept
    Gc(GcArgs),
    /// Copy the queue into a folder, while a daemon works on it too
    Backup(BackupArgs),
    /// Put a backup where the queue is to be
    Restore(BackupArgs),
    /// Look after the files of the queue
    Store(StoreArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::error::ErrorKind> {
        Args::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_tree_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_of_the_interface_is_understood() {
        for line in [
            "demo",
            "init",
            "init here --service",
            "plan a.jsonl --rehearse",
            "estimate a.jsonl",
            "submit a.jsonl b.jsonl --again --skip-bad",
            "submit -",
            "run a.jsonl --model a/b,c/d --model e/f --deadline 18:00 --max-cost $5 --when asap",
            "run --resume job_01kb3v6m8d",
            "daemon --drain",
            "serve --until 06:00",
            "simulate",
            "status",
            "status job_01kb3v6m8d --watch",
            "watch",
            "wait job_01kb3v6m8d --timeout 2h",
            "items job_01kb3v6m8d --state failed,expired --reason schema_mismatch --tag team=search",
            "show job_01kb3v6m8d r-4711",
            "results job_01kb3v6m8d -o - --format jsonl --state succeeded",
            "results a b --attempts",
            "report",
            "report --since 7d",
            "retry job_01kb3v6m8d --reason schema_mismatch --model openai/gpt-5-mini --dry-run",
            "cancel job_01kb3v6m8d",
            "pause job_01kb3v6m8d",
            "resume job_01kb3v6m8d --max-cost $8",
            "providers",
            "providers check",
            "models",
            "windows",
            "schedules --json",
            "prices show",
            "prices update",
            "prices update --from openrouter --file models.json --as-of 2026-11-21",
            "prices update --from models-dev --url http://127.0.0.1:1/api.json",
            "prices diff openai/*",
            "prices verify gpt-5-mini",
            "config show",
            "config path",
            "config check",
            "config schema",
            "doctor",
            "completions zsh",
            "man pages",
            "gc --older-than 30d --dry-run",
            "backup /backups/monday",
            "restore /backups/monday",
            "store check",
            "store rebuild",
            "store repair -y",
            "--json --state-dir s --config c.toml status -v --no-progress -y --color never",
        ] {
            if let Err(kind) = parse(&format!("overnight {line}")) {
                panic!("{line}: {kind:?}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "run",
            "run a.jsonl --resume job_01kb3v6m8d",
            "submit",
            "submit a.jsonl --priority 200",
            "submit a.jsonl --max-cost five",
            "submit a.jsonl --deadline sometime",
            "submit a.jsonl --tag team",
            "submit a.jsonl --set temperature",
            "submit a.jsonl --model a/b,,c/d",
            "submit a.jsonl --limit 0",
            "submit a.jsonl --check xml",
            "daemon --drain --until 06:00",
            "items job_01kb3v6m8d --reason nonsense",
            "status -q -v",
            "completions cobol",
        ] {
            assert!(parse(&format!("overnight {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_negative_priority_is_a_value_not_a_flag() {
        let Ok(Args { verb: Verb::Submit(args), .. }) = parse("overnight submit a.jsonl --priority -5")
        else {
            panic!("not understood");
        };
        assert_eq!(args.job.priority, Some(-5));
    }

    #[test]
    fn every_flag_and_verb_says_what_it_does() {
        fn undocumented(command: &clap::Command, found: &mut Vec<String>) {
            let name = command.get_name();
            if command.get_about().is_none() {
                found.push(name.to_owned());
            }
            for arg in command.get_arguments().filter(|arg| arg.get_help().is_none()) {
                found.push(format!("{name} {}", arg.get_id()));
            }
            command.get_subcommands().for_each(|verb| undocumented(verb, found));
        }
        let mut found = Vec::new();
        undocumented(&Args::command(), &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
