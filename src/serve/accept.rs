//! The accept loop: connections with a limit on their number and on their patience, one service each.
//!
//! axum's own loop has no time-outs, so this one is ours; axum only routes. Every answer leaves here
//! with its request's name and the headers that keep browsers from guessing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Request, Response};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::app::App;
use super::patience::{PatientBody, PatientSocket};
use super::{guard, id};

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// More connections at once wait to be accepted: each costs a task, a descriptor and a buffer.
    pub(super) connections: usize,
    /// From opening a connection, or from the last answer on it, to the end of the next headers.
    pub(super) headers: Duration,
    /// The longest silence in the middle of a body, either way.
    pub(super) idle: Duration,
}

/// As the daemon has it.
pub(super) const LIMITS: Limits =
    Limits { connections: 256, headers: Duration::from_secs(10), idle: Duration::from_secs(30) };
/// Read at once of a connection; headers must fit.
const BUFFER: usize = 64 << 10;
/// A pause after a failed accept: when descriptors run out, trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests under way may go on when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves until `stop`, then lets requests under way end.
pub(super) async fn serve(
    listener: TcpListener,
    app: App,
    routes: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stopping, is_stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let place = places.clone();
        let next = async {
            let place = place.acquire_owned().await.expect("it is never closed");
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut stop => break,
            (accepted, place) = next => match accepted {
                Ok((stream, _)) => {
                    let served = connection(stream, app.clone(), routes.clone(), limits, is_stopping.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stopping);
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(
    stream: TcpStream,
    app: App,
    routes: Router,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) {
    // An answer leaves at once.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let (app, routes) = (app.clone(), routes.clone());
        async move { Ok::<_, Infallible>(respond(app, routes, limits, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(PatientSocket::new(stream, limits.idle), service));
    // Clients leave as they like: how a connection ends is no news.
    tokio::select! {
        _ = &mut connection => {}
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// One request: let in by the guard or not, then routed.
async fn respond(app: App, routes: Router, limits: Limits, request: Request<Incoming>) -> Response<Body> {
    let id = id::request();
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let path = parts.uri.path().to_owned();
    let mut response = match guard::admit(&app, &parts) {
        Ok(caller) => {
            parts.extensions.insert(caller);
            let request = Request::from_parts(parts, Body::new(PatientBody::new(body, limits.idle)));
            TowerToHyperService::new(routes).call(request).await.into_response()
        }
        Err(refused) => {
            let mut response = refused.into_response();
            // What else it sends is not read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    tracing::debug!(request = %id, %method, path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&id).expect("letters and digits"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
