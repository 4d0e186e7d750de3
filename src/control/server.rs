//! The owner's side: every question on every connection becomes one [`Asked`] for the driver.
//!
//! The driver sees single questions only. A client that wants to be kept posted has its question asked
//! again by us, and hears of it when the answer changed, so that the engine knows nothing of listeners.
//!
//! Shell.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::place::{self, Place};
use super::{Ask, Hello, MAX_REQUEST, RefusedCode, Request, Response};
use crate::job::JobId;

/// More clients at once are turned away: each costs a task and a descriptor.
const MAX_CLIENTS: usize = 64;
/// The fastest a client is kept posted.
const FASTEST: Duration = Duration::from_millis(100);
/// An unchanged answer is sent again after this many rounds, to find out whether anyone still listens.
const HEARTBEAT_ROUNDS: u32 = 10;
/// A client that says nothing for so long is dropped.
const IDLE: Duration = Duration::from_secs(60);
/// A client that does not take its answer for so long is dropped.
const SLOW: Duration = Duration::from_secs(10);

/// A question for the driver; whoever dropped `reply` did not answer.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// Takes the answer.
    pub reply: oneshot::Sender<Response>,
}

/// The owner's socket; taken away again when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    place: Place,
    state: PathBuf,
}

impl Listener {
    /// Starts to listen for `state`, inside a runtime. Only the process that holds the store's lock may:
    /// what an owner before it left behind is removed.
    pub fn bind(state: &Path) -> io::Result<Listener> {
        Listener::bind_with(state, &place::runtime_folder())
    }

    pub(super) fn bind_with(state: &Path, runtime: &Path) -> io::Result<Listener> {
        let path = place::choose(state, runtime)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let place = Place { socket: path, pid: std::process::id() };
        place.write(state)?;
        Ok(Listener { socket, place, state: state.to_owned() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.place.socket
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.place.remove(&self.state);
    }
}

/// Serves clients until the driver no longer takes questions.
///
/// Dropping the future hangs up on every client.
pub async fn serve(listener: Listener, driver: mpsc::Sender<Asked>) -> io::Result<()> {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = driver.closed() => return Ok(()),
            Some(_) = clients.join_next() => {}
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, _)) if may_ask(&stream) && clients.len() < MAX_CLIENTS => {
                    clients.spawn(attend(stream, driver.clone()));
                }
                Ok(_) => {}
                // Out of descriptors, for one: the engine must go on, and the next client may succeed.
                Err(error) => {
                    tracing::warn!(%error, "control socket: cannot accept");
                    sleep(FASTEST).await;
                }
            },
        }
    }
}

/// Only our own user and root; the file's mode says the same where the system heeds it.
fn may_ask(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

/// Answers one client until it hangs up. Errors of its connection are its own affair.
async fn attend(stream: UnixStream, driver: mpsc::Sender<Asked>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    if say(&mut writer, &Hello::ours()).await.is_err() {
        return;
    }
    while let Ok(Some(line)) = next_line(&mut reader).await {
        let answered = match understand(&line) {
            Ok(Ask { request, every_ms: Some(ms) }) => {
                let pace = Duration::from_millis(ms).max(FASTEST);
                keep_posted(&mut writer, &driver, request, pace).await
            }
            Ok(Ask { request, every_ms: None }) => say(&mut writer, &ask(&driver, request).await).await,
            Err(refused) => say(&mut writer, &refused).await,
        };
        if answered.is_err() {
            return;
        }
    }
}

/// The next line without its end; `None` when the client hung up.
async fn next_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    // One byte more than allowed, to tell a line that is too long from one that just fits.
    let mut limited = reader.take(MAX_REQUEST as u64 + 1);
    timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        None => Ok(None),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "line too long or cut off")),
    }
}

/// Reads a question; names in it are checked here, because the store makes paths of them.
fn understand(line: &[u8]) -> Result<Ask, Response> {
    let refuse = |message: String| Response::refused(RefusedCode::BadRequest, message);
    let ask: Ask = serde_json::from_slice(line)
        .map_err(|error| refuse(format!("the request cannot be read: {error}")))?;
    if ask.request.job().is_some_and(|job| JobId::parse(job.as_str()).is_none()) {
        return Err(refuse("the request names no possible job".to_owned()));
    }
    if ask.every_ms.is_some() && !ask.request.is_view() {
        return Err(refuse("only views can be asked for again and again".to_owned()));
    }
    Ok(ask)
}

/// The driver's answer.
async fn ask(driver: &mpsc::Sender<Asked>, request: Request) -> Response {
    let stopping = || Response::refused(RefusedCode::Stopping, "the process that owns the store is stopping");
    let (reply, answer) = oneshot::channel();
    match driver.send(Asked { request, reply }).await {
        Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
        Err(_) => stopping(),
    }
}

/// Answers whenever the answer changed, until the client hangs up or there is nothing more to say.
async fn keep_posted(
    writer: &mut OwnedWriteHalf,
    driver: &mpsc::Sender<Asked>,
    request: Request,
    pace: Duration,
) -> io::Result<()> {
    let mut last = None;
    let mut unchanged = 0;
    loop {
        let answer = ask(driver, request.clone()).await;
        unchanged = if last.as_ref() == Some(&answer) { unchanged + 1 } else { 0 };
        if unchanged % HEARTBEAT_ROUNDS == 0 {
            say(writer, &answer).await?;
        }
        if matches!(answer, Response::Refused(_)) {
            return Ok(());
        }
        last = Some(answer);
        sleep(pace).await;
    }
}

async fn say(writer: &mut OwnedWriteHalf, what: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    timeout(SLOW, writer.write_all(&line)).await?
}
