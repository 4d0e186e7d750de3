//! The simulated provider over HTTP, in the wire formats of OpenAI, Anthropic and Gemini: [`crate::provider::simulated`] behind
//! real sockets, for trials without a key and as the other end of our tests and benchmarks.
//!
//! Faults are acted out for what they are: a reset is a TCP reset, a hanging request is never
//! answered, a cut body is shorter than its `content-length`. What goes in is only ever the model's
//! request and the clock; every decision and the whole ledger are the pure model's.
//!
//! | path | what |
//! |---|---|
//! | `POST /v1/chat/completions`, `/v1/responses`, `/v1/embeddings` | answers |
//! | `POST /v1/messages` | answers as Anthropic gives them |
//! | `POST /v1beta/models/MODEL:generateContent` | answers as Gemini gives them; also `:streamGenerateContent` |
//! | `POST /v1beta/models/MODEL:batchEmbedContents` | vectors as Gemini gives them |
//! | `/v1/batches`, `/v1/messages/batches`, … | batches of every kind; see `batch` |
//! | `GET /v1/models`, `/v1beta/models` | the models |
//! | `GET /sim/ledger` | totals and peaks; see [`Summary`] |
//! | `GET /sim/log` | the request log as JSON lines; see [`LineOut`] |
//! | `POST /sim/faults` | what goes wrong from now on; see [`FaultChange`] |
//!
//! Shell. It must cost little beside what is measured with it, so that a request's body is read in
//! place, its answer written by hand, and nothing waits on a timer at zero latency.
//!
//! [`LineOut`]: crate::provider::simulated::LineOut
//! [`FaultChange`]: crate::provider::simulated::FaultChange

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::clock;
use crate::provider::simulated::batch::{Batch, Left};
use crate::provider::simulated::{ChangeError, Config, FaultChange, Line, Simulated, Summary};

mod args;
mod batch;
mod service;
mod socket;
mod spec;
mod wire;

pub use args::{SimulateArgs, run};

/// A provider that several connections, and whoever looks on, share.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Simulated>>);

impl Shared {
    /// A provider that nothing was asked of yet.
    pub fn new(config: Config) -> Shared {
        Shared(Arc::new(Mutex::new(Simulated::new(config))))
    }

    /// The provider itself; hold it for moments only.
    pub fn lock(&self) -> MutexGuard<'_, Simulated> {
        // Its books are changed in whole steps, so that a panic elsewhere leaves them right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause after a failed accept: when files run out, trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves on `listener` until `shutdown`; open connections are dropped then.
pub async fn serve(listener: TcpListener, shared: Shared, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, shared.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Shared) {
    // An answer leaves in one piece, and at once.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (socket, switch) = socket::Socket::new(stream);
    let service = service_fn(move |request| {
        let (shared, switch) = (shared.clone(), switch.clone());
        async move { service::respond(shared, switch, request).await }
    });
    // Clients leave as they like, and some faults end connections: neither is news.
    let _ = http1::Builder::new().serve_connection(socket, service).await;
}

/// Starts a provider on a free port of this machine, in a thread of its own.
pub fn spawn(config: Config) -> io::Result<Handle> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Shared::new(config);
    let (stop, stopped) = oneshot::channel::<Infallible>();
    let served = shared.clone();
    let thread = std::thread::Builder::new().name("simulated".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener)?;
            // Nothing is ever sent: the handle drops its end.
            serve(listener, served, async move { drop(stopped.await) }).await;
            Ok(())
        })
    })?;
    Ok(Handle { address, shared, stop: Some(stop), thread: Some(thread) })
}

/// A provider that runs until this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients are given as base URL.
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }

    /// Totals and peaks so far.
    pub fn summary(&self) -> Summary {
        self.shared.lock().summary()
    }

    /// Every request so far, in order of arrival.
    pub fn log(&self) -> Vec<Line> {
        self.shared.lock().log().to_vec()
    }

    /// Every batch so far, as they stand now.
    pub fn batches(&self) -> Vec<Batch> {
        self.shared.lock().all_batches(clock::now()).to_vec()
    }

    /// What lies there of batches and was not deleted.
    pub fn left(&self) -> Vec<Left> {
        self.shared.lock().left(clock::now())
    }

    /// Puts the clock of batches forward.
    pub fn pass(&self, time: Duration) {
        self.shared.lock().pass(time);
    }

    /// Changes what goes wrong from now on; nothing changes where it is refused.
    pub fn change(&self, change: FaultChange) -> Result<(), ChangeError> {
        self.shared.lock().change(clock::now(), change)
    }

    /// The provider itself.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nobody to hand an error to.
            let _ = thread.join();
        }
    }
}

fn base_url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

#[cfg(test)]
mod tests;
