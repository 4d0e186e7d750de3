//! `overnight daemon`: owns the store and works on whatever is queued, until told to stop.

use chrono::Local;

use super::args::DaemonArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::notice;
use super::session::Session;
use super::work::{Worked, work};
use crate::clock;
use crate::live::{Ended, Show, Until};
use crate::view::Waiting;

/// Works until a signal, a time, or until nothing is left to do.
pub fn run(args: &DaemonArgs, context: &Context) -> Result<Exit, CliError> {
    if let Some(client) = context.owner()? {
        let pid = client.owner().pid;
        let dir = context.state_dir()?.display().to_string();
        return Err(CliError::new(
            "store_owned",
            Exit::Owner,
            format!("the store is owned by process {pid}: {dir}"),
        )
        .hint(format!("stop it (kill {pid}), or use another store with --state-dir")));
    }
    let session = Session::open(context)?;
    let unfinished = session.ledger.jobs().filter(|(_, state)| state.finished_at.is_none()).count();
    tracing::info!(state = %context.state_dir()?.display(), pid = std::process::id(), unfinished, "started");
    let until = if args.drain { Until::Idle } else { Until::Stopped };
    let end = args.until.map(|moment| moment.resolve(clock::now(), &Local));
    let mut told = false;
    let worked = work(session, context, until, end, |shown, stopping| {
        if stopping && !told {
            told = true;
            tracing::info!("stopping: answers on their way are still taken; a second signal stops at once");
        }
        log(&shown);
    })?;
    match worked {
        Worked::Ended(Ended::Blocked(job, waiting, words)) => {
            tracing::warn!(%job, waiting = waiting.as_str(), "{words}");
            let exit = if waiting == Waiting::Budget { Exit::MaxCost } else { Exit::SomeFailed };
            Err(CliError::new("blocked", exit, format!("{job} cannot go on without you: {words}"))
                .hint(format!("nothing is lost; look at it: overnight status {job}")))
        }
        _ => {
            tracing::info!("stopped, everything is saved");
            Ok(Exit::Done)
        }
    }
}

fn log(shown: &Show<'_>) {
    match shown {
        Show::Views(_) => {}
        Show::Notice(told) => tracing::info!("{}", notice::line(told).render(usize::MAX, false)),
        Show::DiskFull(Some(why)) => tracing::error!("disk full: {why}; nothing is sent"),
        Show::DiskFull(None) => tracing::info!("there is room on the disk again"),
        Show::ResultsBlocked(Some(why)) => {
            tracing::error!("results wait: {why}; work goes on, no row is lost");
        }
        Show::ResultsBlocked(None) => tracing::info!("results are written again"),
    }
}
