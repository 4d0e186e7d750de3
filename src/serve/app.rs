//! [`App`]: what every request is given, and the only way to the process that works on the queue.
//!
//! The server listens before the store is open; what needs the store is there from [`App::open`] on, and
//! until then a request is told to come back.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::error::ApiError;
use super::lately::Lately;
use super::recent::Recent;
use super::snapshot::Snapshot;
use super::tokens::InForce;
use super::{batches, events, files, native};
use crate::config::Config;
use crate::control::{Asked, RefusedCode, Request, Response};
use crate::job::JobId;
use crate::record::JobChange;
use crate::view::JobView;

/// A client that comes too early or too late is told to come back after so long.
const SOON: Duration = Duration::from_secs(1);

/// What every request is given.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: RwLock<Arc<Config>>,
    state: PathBuf,
    address: SocketAddr,
    tokens: InForce,
    hub: events::Hub,
    desk: native::Desk,
    opened: OnceLock<Opened>,
}

/// What is there while the store is open.
struct Opened {
    driver: mpsc::Sender<Asked>,
    files: files::Shelf,
    batches: batches::Shelf,
    recent: Recent,
    snapshot: Lately<Snapshot>,
    metrics: Lately<Bytes>,
    /// Counts what this process changed.
    changes: AtomicU64,
}

impl App {
    pub(super) fn new(config: Config, address: SocketAddr) -> App {
        let state = config.state_dir.clone();
        let tokens = InForce::new(&state, config.daemon.token.as_ref());
        let config = RwLock::new(Arc::new(config));
        let (hub, desk) = (events::Hub::new(), native::Desk::default());
        App(Arc::new(Shared { config, state, address, tokens, hub, desk, opened: OnceLock::new() }))
    }

    /// The config was read again; requests that come from now on go by it. The address, the state folder
    /// and the token stay as they were at the start.
    pub fn reconfigure(&self, config: Config) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The store is open, and whoever works on it answers there. Only the first call counts.
    pub(super) fn open(&self, driver: mpsc::Sender<Asked>) -> io::Result<()> {
        let state = self.state_dir();
        let (files, batches) = (files::Shelf::open(state)?, batches::Shelf::open(state)?);
        let _ = self.0.opened.set(Opened {
            driver,
            files,
            batches,
            recent: Recent::default(),
            snapshot: Lately::default(),
            metrics: Lately::default(),
            changes: AtomicU64::new(0),
        });
        Ok(())
    }

    /// The config as the daemon read it last.
    pub fn config(&self) -> Arc<Config> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the state is kept.
    pub fn state_dir(&self) -> &Path {
        &self.0.state
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(super) fn tokens(&self) -> &InForce {
        &self.0.tokens
    }

    /// What changes, for those who listen.
    pub(super) fn hub(&self) -> &events::Hub {
        &self.0.hub
    }

    /// What the native API keeps between requests.
    pub(super) fn desk(&self) -> &native::Desk {
        &self.0.desk
    }

    /// Whether requests can be served.
    pub fn is_ready(&self) -> bool {
        self.0.opened.get().is_some_and(|opened| !opened.driver.is_closed())
    }

    /// Asks whoever works on the queue.
    pub async fn ask(&self, request: Request) -> Result<Response, ApiError> {
        let opened = self.opened()?;
        let (reply, answer) = oneshot::channel();
        let changed = changed(&request);
        opened.driver.send(Asked { request, reply }).await.map_err(|_| stopping())?;
        let answer = answer.await.map_err(|_| stopping());
        opened.note(changed);
        answered(answer?)
    }

    /// The same from a thread that may block.
    pub fn ask_blocking(&self, request: Request) -> Result<Response, ApiError> {
        let opened = self.opened()?;
        let (reply, answer) = oneshot::channel();
        let changed = changed(&request);
        opened.driver.blocking_send(Asked { request, reply }).map_err(|_| stopping())?;
        let answer = answer.blocking_recv().map_err(|_| stopping());
        opened.note(changed);
        answered(answer?)
    }

    /// Does what blocks, where that holds up nobody.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&App) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app)).await.map_err(ApiError::internal)?
    }

    /// Every file.
    pub(super) fn files(&self) -> Result<&files::Shelf, ApiError> {
        Ok(&self.opened()?.files)
    }

    /// Every batch.
    pub(super) fn batches(&self) -> Result<&batches::Shelf, ApiError> {
        Ok(&self.opened()?.batches)
    }

    /// Everything as it was a moment ago.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, ApiError> {
        let opened = self.opened()?;
        opened.snapshot.get(|| opened.changes(), async || Snapshot::look(self).await).await
    }

    /// What a monitor reads, as it was a moment ago.
    pub(super) async fn metrics(&self) -> Result<Bytes, ApiError> {
        let opened = self.opened()?;
        let ask = async || match self.ask(Request::Metrics).await? {
            Response::Metrics(text) => Ok(Bytes::from(text)),
            other => Err(ApiError::internal(format!("metrics were asked for, {other:?} came"))),
        };
        opened.metrics.get(|| opened.changes(), ask).await.map(|text| Bytes::clone(&text))
    }

    /// One job; nothing where there is none of this name.
    pub async fn view(&self, job: &JobId) -> Result<Option<JobView>, ApiError> {
        viewed(self.ask(Request::View { job: job.clone() }).await)
    }

    /// The same from a thread that may block.
    pub fn view_blocking(&self, job: &JobId) -> Result<Option<JobView>, ApiError> {
        viewed(self.ask_blocking(Request::View { job: job.clone() }))
    }

    /// Changes a job; done and durable when this returns.
    pub async fn change(&self, job: &JobId, change: JobChange) -> Result<(), ApiError> {
        self.ask(Request::Change { job: job.clone(), change }).await.map(drop)
    }

    /// Something of a job was changed otherwise than by [`ask`](App::ask).
    pub(super) fn touched(&self, job: JobId) -> Result<(), ApiError> {
        self.opened()?.note(Some(job));
        Ok(())
    }

    /// Several jobs as they were a moment ago, those that are there.
    pub async fn recent_views(&self, jobs: &[JobId]) -> Result<Vec<JobView>, ApiError> {
        self.opened()?.recent.views(self, jobs).await
    }

    fn opened(&self) -> Result<&Opened, ApiError> {
        self.0.opened.get().ok_or_else(|| ApiError::unavailable("the store is being opened", SOON))
    }
}

impl Opened {
    /// What was looked at before a job was changed is old.
    fn note(&self, changed: Option<JobId>) {
        let Some(job) = changed else { return };
        self.recent.forget(&job);
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }
}

/// The job that a request changes or makes.
fn changed(request: &Request) -> Option<JobId> {
    match request {
        Request::Change { job, .. } | Request::Adopt { job } => Some(job.clone()),
        _ => None,
    }
}

fn stopping() -> ApiError {
    ApiError::unavailable("this process is stopping", SOON)
}

fn viewed(answer: Result<Response, ApiError>) -> Result<Option<JobView>, ApiError> {
    match answer {
        Ok(Response::Views(views)) => Ok(views.into_iter().next()),
        Ok(other) => Err(ApiError::internal(format!("a job was asked for, {other:?} came"))),
        Err(error) if error.status() == axum::http::StatusCode::NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

fn answered(response: Response) -> Result<Response, ApiError> {
    let Response::Refused(refused) = response else { return Ok(response) };
    Err(match refused.code {
        RefusedCode::NoSuchJob => {
            ApiError::new(axum::http::StatusCode::NOT_FOUND, refused.message).code("not_found")
        }
        RefusedCode::NotPossible => ApiError::conflict(refused.message),
        RefusedCode::Stopping => stopping(),
        RefusedCode::BadRequest | RefusedCode::Failed => ApiError::internal(refused.message),
    })
}
