//! Working on what is queued, in this process: `run`, `daemon` and `demo` share it.
//!
//! Owns the store for as long as it works, and so answers other commands over the control socket. The
//! first signal to stop lets answers on their way arrive; the second ends at once, which loses nothing
//! that is written down.
//!
//! Shell.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::context::Context;
use super::error::CliError;
use super::session::{self, Session};
use crate::clock::{self, Timestamp};
use crate::config::Config;
use crate::control::{self, Asked, Listener, Request};
use crate::live::{self, Ended, LiveError, Reload, Reloaded, Setup, Show, Until};
use crate::provider::client::client;
use crate::provider::http::Providers;
use crate::traces::Traces;
use crate::webhook::Webhook;

/// Questions of other commands that may wait.
const ASKED: usize = 64;
/// The clock is looked at least this often: timers stop while a machine is suspended.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worked {
    /// As it was to, or because a job waits for a person.
    Ended(Ended),
    /// By a signal, with everything in order.
    Interrupted,
    /// By a second signal.
    Abandoned,
}

/// Works until `until`, until `end`, or until told to stop. `show` hears what happens, and whether a
/// signal asked to stop.
pub fn work(
    session: Session,
    context: &Context,
    until: Until,
    end: Option<Timestamp>,
    show: impl FnMut(Show<'_>, bool),
) -> Result<Worked, CliError> {
    work_with(Guests { reload: None, open: |_| Ok(()) }, session, context, until, end, show)
}

/// Whom a long-lived owner serves beside commands.
pub struct Guests<F> {
    /// Reads the config again, on SIGHUP and when another command asks for it.
    pub reload: Option<Reload>,
    /// Is given where others may ask, once someone answers there.
    pub open: F,
}

/// The same for a long-lived owner.
pub fn work_with(
    guests: Guests<impl FnOnce(mpsc::Sender<Asked>) -> Result<(), CliError>>,
    session: Session,
    context: &Context,
    until: Until,
    end: Option<Timestamp>,
    mut show: impl FnMut(Show<'_>, bool),
) -> Result<Worked, CliError> {
    let state = context.state_dir()?.to_owned();
    let Guests { reload, open } = guests;
    let heeds_hangup = reload.is_some();
    let setup = Setup { reload, ..setup(session, context)? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let interrupted = Cell::new(false);
    let worked = runtime.block_on(async {
        let (asks, asked) = mpsc::channel::<Asked>(ASKED);
        let listener = Listener::bind(&state)?;
        open(asks.clone())?;
        if heeds_hangup {
            tokio::spawn(reload_on_hangup(signal(SignalKind::hangup())?, asks.downgrade()));
        }
        let server = tokio::spawn(control::serve(listener, asks));
        let (mut stops, stop) = stops()?;
        let stop = async {
            tokio::select! {
                stopped = stop => interrupted.set(stopped.is_ok()),
                () = reached(end) => {}
            }
        };
        let worked = tokio::select! {
            ended = live::run(setup, until, asked, stop, |shown| show(shown, interrupted.get())) => {
                Worked::Ended(ended?)
            }
            () = stops.again() => Worked::Abandoned,
        };
        // Clients whose answers are still on their way to the socket get them.
        let _ = tokio::time::timeout(Duration::from_millis(200), server).await;
        Ok::<_, CliError>(worked)
    })?;
    Ok(match worked {
        Worked::Ended(Ended::Stopped) if interrupted.get() => Worked::Interrupted,
        worked => worked,
    })
}

fn setup(session: Session, context: &Context) -> Result<Setup, CliError> {
    let config = context.config()?;
    let Reloaded { routes_for, providers, limits, webhook, .. } = in_force(config)?;
    Ok(Setup {
        limits,
        webhook,
        routes: session::all_routes(config, &session.ledger),
        routes_for,
        providers,
        parts: session::parts(config)?,
        store: session.store,
        ledger: session.ledger,
        reload: None,
        traces: Traces::from_env(&super::context::environment()).map_err(CliError::usage)?,
    })
}

/// What of a config can change while there is work.
pub fn in_force(config: &Config) -> Result<Reloaded, CliError> {
    let http = client().map_err(CliError::usage)?;
    let providers = Providers::new(config.catalog.endpoints(), &http).map_err(CliError::usage)?;
    let webhook = config.budget.webhook.as_ref();
    let webhook = webhook.map(|webhook| Webhook::new(&webhook.url, webhook.secret.as_ref())).transpose();
    let catalog = config.catalog.clone();
    let now = clock::now();
    Ok(Reloaded {
        routes: session::on_lanes(&catalog, catalog.routes(now), now),
        routes_for: Box::new(move |job| {
            let now = clock::now();
            session::on_lanes(&catalog, session::routes_of(&catalog, job, now), now)
        }),
        providers: Arc::new(providers),
        limits: session::limits_of(config),
        webhook: webhook.map_err(CliError::usage)?,
    })
}

/// Asks for the config to be read again, as another command would; the log says what came of it.
async fn reload_on_hangup(mut hangup: Signal, asks: mpsc::WeakSender<Asked>) {
    while hangup.recv().await.is_some() {
        let Some(asks) = asks.upgrade() else { return };
        let (reply, answer) = oneshot::channel();
        if asks.send(Asked { request: Request::Reload, reply }).await.is_err() {
            return;
        }
        // The config's reader says all there is to say.
        let _ = answer.await;
    }
}

/// The second signal.
struct Stops(oneshot::Receiver<()>);

impl Stops {
    async fn again(&mut self) {
        if (&mut self.0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Listens for signals: the first resolves the future, the second [`Stops::again`].
fn stops() -> Result<(Stops, impl Future<Output = Result<(), oneshot::error::RecvError>>), CliError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (first, is_first) = oneshot::channel();
    let (second, is_second) = oneshot::channel();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        let _ = first.send(());
        either(&mut interrupt, &mut terminate).await;
        let _ = second.send(());
    });
    Ok((Stops(is_second), is_first))
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn reached(end: Option<Timestamp>) {
    let Some(end) = end else { return std::future::pending().await };
    loop {
        let left = end.since(clock::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

impl From<LiveError> for CliError {
    fn from(error: LiveError) -> CliError {
        match error {
            LiveError::Store(error) => error.into(),
            LiveError::Fatal(_) => {
                CliError::new("store_failed", super::exit::Exit::Unexpected, error.to_string())
                    .hint("what was written down is safe; run the same command again once the disk is well")
            }
        }
    }
}
