//! `/api/v1/events`: what changes, as it changes, to be gone on with after a break.
//!
//! The present state of every job is kept with the number of its last change. Whoever was cut off says the
//! last number it saw (`Last-Event-ID`) and gets every job that changed since, as it is now: what happened
//! in between is not replayed, so nobody can fall so far behind that something is lost. A number of another
//! process, or one too old to know what is gone, begins anew with everything.
//!
//! | event | data |
//! |---|---|
//! | `jobs` | everything: `{"jobs": […], "budgets": […]}`; the first one |
//! | `job` | one job, as in `status --json` |
//! | `gone` | `{"job_id": …}`: removed |
//! | `budgets` | every budget |
//!
//! Shell, but for [`Board`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::stream::Pieces;
use super::{ApiError, App, id};
use crate::clock;
use crate::tenant::Caller;

mod board;

use board::Board;
pub(super) use board::{Point, sees, shown};

/// How often the jobs are looked at while somebody listens.
const PACE: Duration = Duration::from_secs(1);
/// The same while nobody does: for the course of each job.
const SLOW_PACE: Duration = Duration::from_secs(10);
/// A line of comment after so long without news, so that a connection that is dead shows.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams at once; each is one of the server's connections.
const MAX_LISTENERS: usize = 64;

/// What every listener shares.
pub(super) struct Hub {
    /// Tells the numbers of this process from those of others.
    epoch: String,
    board: Mutex<Board>,
    changed: watch::Sender<u64>,
    listeners: AtomicUsize,
    joined: Notify,
}

impl Hub {
    pub(super) fn new() -> Hub {
        Hub {
            epoch: id::request().replace("req_", ""),
            board: Mutex::default(),
            changed: watch::Sender::new(0),
            listeners: AtomicUsize::new(0),
            joined: Notify::new(),
        }
    }

    /// What is known.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        // Changed in single steps, so a panic elsewhere leaves it right.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, headers: &HeaderMap) -> Option<u64> {
        let last = headers.get("last-event-id")?.to_str().ok()?;
        let (epoch, seq) = last.split_once('-')?;
        (epoch == self.epoch).then(|| seq.parse().ok()).flatten()
    }
}

/// The route of this file.
pub(super) fn route() -> MethodRouter<App> {
    get(listen)
}

/// Begins to look; inside the server's runtime.
pub(super) fn start(app: &App) {
    tokio::spawn(look(app.clone()));
}

async fn look(app: App) {
    let hub = app.hub();
    while look_once(&app).await.is_ok() {
        let pace = if hub.listeners.load(Ordering::Relaxed) > 0 { PACE } else { SLOW_PACE };
        let _ = tokio::time::timeout(pace, hub.joined.notified()).await;
    }
}

/// Takes in how everything is now.
async fn look_once(app: &App) -> Result<(), ApiError> {
    let snapshot = app.snapshot().await?;
    let (views, budgets) = (snapshot.jobs.clone(), snapshot.budgets.clone());
    let hub = app.hub();
    let seq = hub.board().see(views, budgets, clock::now());
    hub.changed.send_if_modified(|known| std::mem::replace(known, seq) != seq);
    Ok(())
}

async fn listen(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Response, ApiError> {
    let hub = app.hub();
    // While nobody listened, nobody looked much.
    look_once(&app).await?;
    if hub.listeners.fetch_add(1, Ordering::Relaxed) >= MAX_LISTENERS {
        hub.listeners.fetch_sub(1, Ordering::Relaxed);
        return Err(ApiError::unavailable("too many listen already", HEARTBEAT));
    }
    let seen = hub.seen(&headers);
    let (sender, pieces) = Pieces::new();
    let listener = Listener { app: app.clone(), caller };
    tokio::spawn(async move { listener.tell(seen, &sender).await });
    hub.joined.notify_one();
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(pieces)).into_response())
}

/// One of those who listen.
struct Listener {
    app: App,
    caller: Caller,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.app.hub().listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// Tells what changed until the client hangs up or the owner of the store stops.
    async fn tell(&self, seen: Option<u64>, to: &mpsc::Sender<std::io::Result<Bytes>>) {
        let hub = self.app.hub();
        let mut changed = hub.changed.subscribe();
        let mut seen = seen;
        loop {
            let (text, seq) = self.news(seen);
            seen = Some(seq);
            if !text.is_empty() && to.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
            let quiet = tokio::select! {
                () = to.closed() => return,
                waited = tokio::time::timeout(HEARTBEAT, changed.changed()) => waited.is_err(),
            };
            if !self.app.is_ready() {
                return;
            }
            if quiet && to.send(Ok(Bytes::from_static(b":\n\n"))).await.is_err() {
                return;
            }
        }
    }

    /// Events since, and the number of the last.
    fn news(&self, seen: Option<u64>) -> (String, u64) {
        let hub = self.app.hub();
        let board = hub.board();
        let news = board.since(seen, &self.caller);
        let mut text = String::new();
        for event in &news {
            text +=
                &format!("id: {}-{}\nevent: {}\ndata: {}\n\n", hub.epoch, event.seq, event.kind, event.data);
        }
        (text, board.seq())
    }
}
