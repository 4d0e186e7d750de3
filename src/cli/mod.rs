//! The command line: one file a verb, hands only; the heads are its namesakes in `src/`.
//!
//! | file | what |
//! |---|---|
//! | [`args`] | the tree of verbs and flags, and their help |
//! | [`context`] | what every verb is given: state folder, streams, `--json` |
//! | [`jobs`] | the jobs there are, asked of the owner of the store or read from it |
//! | [`rows`] | the same with their rows, for the verbs that read results |
//! | [`error`], [`exit`] | how a command fails, and the numbers scripts branch on |
//! | [`words`], [`format`](mod@format), [`zone`], [`style`], [`term`] | a job in words, numbers, times, lines, safe text, the terminal |
//! | [`live`], [`notice`] | the picture `run` and `watch` draw, and what is said above it |
//! | [`log`] | log lines and the last words of a panic |
//! | the others | a verb each |
//!
//! Data goes to stdout, everything else to stderr.

use std::ffi::OsString;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

pub mod args;
pub mod ask;
pub mod backup;
pub mod change;
pub mod completions;
pub mod config;
pub mod context;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod exit;
pub mod format;
pub mod gc;
pub mod init;
pub mod items;
pub mod jobs;
pub mod live;
pub mod log;
pub mod man;
pub mod models;
pub mod notice;
pub mod odds;
pub mod plan;
pub mod prices;
pub mod providers;
pub mod queue;
pub mod report;
pub mod results;
pub mod retry;
pub mod rows;
pub mod run;
#[cfg(test)]
pub(crate) mod samples;
pub mod schedules;
pub mod session;
pub mod show;
pub mod status;
pub mod store;
pub mod style;
pub mod submit;
pub mod term;
pub mod token;
pub mod wait;
pub mod watch;
pub mod windows;
pub mod words;
pub mod work;
pub mod zone;

use args::{Args, StatusArgs, SubmitArgs, Verb, WatchArgs};
use change::Wish;
use context::Context;
use error::CliError;
use exit::Exit;
use session::Hold;

use crate::clock;
use crate::control::Client;

/// Does what the arguments say and gives the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    log::tame_panics();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let args = match parse(&arguments) {
        Ok(args) => args,
        Err(error) => return refuse(&error, json).into(),
    };
    let colour = term::Terminal::stderr(args.globals.color, false, false).colour;
    let is_daemon = matches!(args.verb, Verb::Daemon(_));
    log::start(&args.globals, is_daemon, colour);
    // The hook has said where; nothing is left to say but that it failed.
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| dispatch(args)));
    done.unwrap_or(Ok(Exit::Unexpected)).unwrap_or_else(|error| tell(&error, json, colour)).into()
}

/// Reads the arguments, with help in colour only where that is wanted.
fn parse(arguments: &[OsString]) -> Result<Args, clap::Error> {
    let color = arguments.iter().skip_while(|argument| *argument != "--color").nth(1);
    let given = |word: &str| {
        color.is_some_and(|color| color == word) || arguments.iter().any(|a| *a == *format!("--color={word}"))
    };
    let choice = match (given("never"), given("always")) {
        (true, _) => ColorChoice::Never,
        (_, true) => ColorChoice::Always,
        _ => ColorChoice::Auto,
    };
    Args::from_arg_matches(&Args::command().color(choice).try_get_matches_from(arguments)?)
}

/// Prints help where it was asked for, else says which argument is wrong.
fn refuse(error: &clap::Error, json: bool) -> Exit {
    if !error.use_stderr() {
        // Help to a pager that was closed is no failure.
        let _ = error.print();
        return Exit::Done;
    }
    if json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return tell(&CliError::usage(message).hint("overnight --help"), true, false);
    }
    let _ = error.print();
    Exit::Usage
}

/// Says why a command failed.
fn tell(error: &CliError, json: bool, colour: bool) -> Exit {
    if error.is_broken_pipe() {
        return Exit::Done;
    }
    let text = if json { error.json() } else { error.human(colour) };
    let _ = std::io::stderr().write_all(text.as_bytes());
    error.exit
}

fn dispatch(args: Args) -> Result<Exit, CliError> {
    let context = Context::new(args.globals);
    match &args.verb {
        Verb::Submit(args) => submitted(args, &context),
        Verb::Run(args) => run::run(args, &context),
        Verb::Plan(args) => plan::run(args, &context),
        Verb::Demo(args) => demo::run(args, &context),
        Verb::Doctor => doctor::run(&context),
        Verb::Daemon(args) => daemon::run(args, &context),
        Verb::Token(args) => token::run(args, &context),
        Verb::Simulate(args) => crate::simulate::run(args).map(|()| Exit::Done).map_err(not_listening),
        Verb::Status(StatusArgs { job, watch: true }) => {
            watch::run(&WatchArgs { job: job.clone() }, &context, owner(&context)?)
        }
        Verb::Status(args) => status::run(args, &context, &mut Hold::jobs(&context)?),
        Verb::Watch(args) => watch::run(args, &context, owner(&context)?),
        Verb::Wait(args) => match context.owner()? {
            Some(client) => wait::run(args, &context, client),
            None => wait::without_owner(args, &context, &mut Hold::jobs(&context)?),
        },
        Verb::Cancel(args) => change::run(&args.job, Wish::Cancel, &context, &mut Hold::jobs(&context)?),
        Verb::Pause(args) => change::run(&args.job, Wish::Pause, &context, &mut Hold::jobs(&context)?),
        Verb::Resume(args) => {
            change::run(&args.job, Wish::Resume(args.max_cost), &context, &mut Hold::jobs(&context)?)
        }
        Verb::Results(args) => results::run(args, &context),
        Verb::Items(args) => items::run(args, &context),
        Verb::Show(args) => show::run(args, &context),
        Verb::Report(args) => report::run(args, &context),
        Verb::Retry(args) => retry::run(args, &context),
        Verb::Gc(args) => gc::run(args, &context),
        Verb::Backup(args) => backup::back_up(args, &context),
        Verb::Restore(args) => backup::restore(args, &context),
        Verb::Store(args) => store::run(args, &context),
        Verb::Config(args) => config::run(args, &context),
        Verb::Providers(args) => providers::run(args, &context),
        Verb::Models(args) => models::run(args, &context),
        Verb::Windows(args) => windows::run(args, &context),
        Verb::Prices(args) => prices::run(args, &context),
        Verb::Schedules => schedules::run(&context),
        Verb::Completions(args) => completions::run(args, &context),
        Verb::Man(args) => man::run(args, &context),
        Verb::Init(args) => init::run(args, &context),
    }
}

/// An address that cannot be listened on is a flag to be chosen anew.
fn not_listening(error: anyhow::Error) -> CliError {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable};
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    match causes.map(std::io::Error::kind).any(|kind| matches!(kind, AddrInUse | AddrNotAvailable)) {
        true => CliError::new("listen", Exit::Usage, format!("{error:#}")),
        false => error.into(),
    }
}

/// Queues files at the owner of the store, or in it.
fn submitted(args: &SubmitArgs, context: &Context) -> Result<Exit, CliError> {
    let ask = ask::ask(&args.job, &args.queue, context.config()?, clock::now())?;
    let mut hold = Hold::take(context)?;
    let has_owner = matches!(hold, Hold::Theirs(_));
    submit::run(&args.files, context, has_owner, |file| {
        queue::queue(file, &ask, args.queue.again, context, &mut hold)
    })
}

/// The process that owns the store, which must be there.
fn owner(context: &Context) -> Result<Client, CliError> {
    let dir = context.state_dir()?.display();
    context.owner()?.ok_or_else(|| {
        CliError::new("no_daemon", Exit::Owner, format!("no process owns the store at {dir}"))
            .hint("start one: overnight daemon, or overnight run FILE")
    })
}
