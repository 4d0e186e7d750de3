//! The HTTP API of `overnight daemon` and its dashboard, on one port.
//!
//! It runs on a thread with a runtime of its own, so that a large upload never slows dispatch, nor the
//! other way round, and reaches the engine only by questions to its owner ([`App::ask`]), as commands do
//! over the control socket. Jobs come in the way a second process submits them: prompts are staged
//! beside, then the owner is asked to adopt them. What reads files or Parquet does so on threads that
//! may block.
//!
//! ```text
//! accept ─ patience ─ guard ─ router ─┬─ health, metrics   /healthz /readyz /metrics
//!                       │             ├─ models            /v1/models
//!                       └ tokens      ├─ files, batches    /v1/files /v1/batches
//!                                     ├─ sync              /v1/chat/completions …
//!                                     ├─ native, events    /api/v1: jobs as the commands show them
//!                                     └─ dashboard         / and its assets
//! ```
//!
//! | file | takes → gives |
//! |---|---|
//! | `accept` | connections → requests, within limits of number and time |
//! | `patience` | a body or socket → the same, ended when its client falls silent |
//! | `guard` | a request's head → whose it is, or a refusal; before anything is parsed |
//! | [`tokens`] | tokens of `STATE/tokens.json` and the config → callers |
//! | [`app`](App) | what every handler is given; the way to the owner of the store |
//! | `extract`, [`error`] | bodies and parameters → values; refusals → OpenAI's error objects |
//! | `files`, `batches`, `sync`, `models` | OpenAI's API, each with its `routes()` |
//! | `intake` | lines → a job, staged beside and adopted |
//! | `lately`, `recent`, `snapshot` | what is asked often, asked of the owner now and then |
//! | `page`, `expiry`, `stream` | things by name → a page of them; how long files are kept; bodies in pieces |
//! | `id`, `durable` | names that sort by time; files that are whole or not there |
//!
//! Whatever belongs to someone carries a tenant's name or none, and is shown only where
//! [`Caller::sees`](crate::tenant::Caller::sees) says so; what is not shown is not there (404).
//!
//! Shell.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::{StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Timestamp;
use crate::config::Config;
use crate::control::Asked;

mod accept;
mod app;
mod batches;
mod dashboard;
mod durable;
pub mod error;
mod events;
mod expiry;
mod extract;
mod files;
mod guard;
mod health;
mod id;
mod intake;
mod lately;
mod metrics;
mod models;
mod native;
mod page;
mod patience;
mod recent;
mod snapshot;
mod stream;
mod sync;
pub mod tokens;

pub use app::App;
pub use error::ApiError;
pub use id::random;

/// Answers and files wait for dispatch where both want the same core.
const NICENESS: i32 = 5;
/// Threads for what blocks: uploads being written, files being read.
const BLOCKING_THREADS: usize = 16;

/// The server; stops when it is dropped.
pub struct Server {
    app: App,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `listen` and answers whatever needs no store.
    pub fn start(config: Config, listen: SocketAddr) -> io::Result<Server> {
        Server::start_with(config, listen, accept::LIMITS)
    }

    fn start_with(config: Config, listen: SocketAddr, limits: accept::Limits) -> io::Result<Server> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let app = App::new(config, listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("api-files")
            .build()?;
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let (handle, served) = (runtime.handle().clone(), app.clone());
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            // On Linux that is of this thread and those it starts; elsewhere it would be of all.
            if cfg!(target_os = "linux") {
                let _ = rustix::process::nice(NICENESS);
            }
            let routes = routes(served.clone());
            // Nothing is ever sent: the server drops its end.
            let stop = async move { drop(stopped.await) };
            runtime.block_on(accept::serve(listener, served, routes, limits, stop));
            runtime.shutdown_background();
        })?;
        Ok(Server { app, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// What its handlers are given; for who reads the config again.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// From now on `driver` answers for the store, which this process owns.
    pub fn open(&self, driver: mpsc::Sender<Asked>) -> io::Result<()> {
        let _inside = self.runtime.enter();
        self.app.open(driver)?;
        events::start(&self.app);
        batches::start(&self.app).map_err(|error| io::Error::other(error.message().to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nobody to hand an error to.
            let _ = thread.join();
        }
    }
}

/// Every route there is.
fn routes(app: App) -> Router {
    let routes = Router::new()
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(models::routes())
        .merge(files::routes())
        .merge(batches::routes())
        .merge(sync::routes())
        .merge(native::routes())
        .merge(dashboard::routes());
    routes.fallback(nothing_there).method_not_allowed_fallback(not_like_this).with_state(app)
}

/// A moment as OpenAI writes it.
fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

async fn nothing_there(uri: Uri) -> ApiError {
    ApiError::not_found("path", uri.path())
}

async fn not_like_this() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
}

#[cfg(test)]
mod tests;
