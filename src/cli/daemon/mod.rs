//! `overnight daemon`: owns the store, works on whatever is queued and serves the HTTP API, until told
//! to stop.
//!
//! | file | idea |
//! |---|---|
//! | `attend` | a thread that looks at the clock and into folders |
//! | [`clerk`] | what is due at a moment, and doing it |
//! | `schedules`, `folders`, `submit` | firings and files become jobs |
//! | `morning` | the report of the night |
//! | `diary` | what of this must survive a restart |
//! | `reload` | another config while there is work |
//! | `notify`, `harden` | the service manager, and what is given up at the start |
//!
//! Shell.

use std::net::SocketAddr;

use chrono::Local;

use super::args::DaemonArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::notice;
use super::session::Session;
use super::work::{Guests, Worked, work_with};
use crate::clock;
use crate::engine::Notice;
use crate::live::{Ended, Show, Until};
use crate::serve::Server;
use crate::view::Waiting;

mod attend;
pub mod clerk;
mod diary;
mod folders;
mod harden;
mod morning;
mod notify;
mod reload;
mod schedules;
mod submit;

use attend::{Attendant, Order};
use clerk::Clerk;
use notify::Pulse;

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
    let server = serve(args.listen, context)?;
    harden::harden();
    let mut session = Session::open(context)?;
    let mut clerk = Clerk::new(context.clone())?;
    let unfinished = session.ledger.jobs().filter(|(_, state)| state.finished_at.is_none()).count();
    tracing::info!(state = %context.state_dir()?.display(), pid = std::process::id(), unfinished, "started");
    if args.drain {
        session = clerk.catch_up(session)?;
    }
    let until = if args.drain { Until::Idle } else { Until::Stopped };
    let end = args.until.map(|moment| moment.resolve(clock::now(), &Local));
    let attendant = Attendant::start(clerk);
    let orders = attendant.orders();
    let reload = reload::reader(context.clone(), orders.clone(), server.app().clone());
    let mut pulse = Pulse::new();
    let mut told = false;
    let open = |driver| {
        server.open(driver)?;
        tracing::info!("listening on http://{}", server.address());
        Ok(())
    };
    let guests = Guests { reload: Some(reload), open };
    let worked = work_with(guests, session, context, until, end, |shown, stopping| {
        if stopping && !told {
            told = true;
            notify::stopping();
            tracing::info!("stopping: answers on their way are still taken; a second signal stops at once");
        }
        match &shown {
            Show::Views(_) => pulse.beat(),
            Show::Notice(Notice::Finished(job)) => drop(orders.send(Order::Finished(job.clone()))),
            _ => {}
        }
        log(&shown);
    });
    notify::stopping();
    drop(orders);
    attendant.stop();
    ended(worked?, args, context)
}

fn ended(worked: Worked, args: &DaemonArgs, context: &Context) -> Result<Exit, CliError> {
    let is_over = !matches!(worked, Worked::Interrupted | Worked::Abandoned);
    if is_over && (args.drain || args.until.is_some()) {
        // What was done is done; a report that cannot be written is only told.
        if let Err(error) = Clerk::close_the_night(context) {
            tracing::error!("the report was not written: {}", error.human(false).trim());
        }
    }
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

/// Listens before the store is opened, which may take a moment; whoever comes until then is told so.
fn serve(listen: Option<SocketAddr>, context: &Context) -> Result<Server, CliError> {
    let config = context.config()?;
    let listen = listen.unwrap_or(config.daemon.listen);
    if let Some(obstacle) = config.daemon.obstacle(listen) {
        return Err(CliError::usage(format!("--listen {listen}: {obstacle}")));
    }
    Server::start(config.clone(), listen).map_err(|error| {
        CliError::new("listen", Exit::Usage, format!("cannot listen on {listen}: {error}"))
            .hint("choose another address with --listen, or [daemon] listen in the config")
    })
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
