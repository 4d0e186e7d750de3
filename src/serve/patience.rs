//! How long a client may take: [`PatientBody`] for what it sends, [`PatientSocket`] for what it reads.
//!
//! Both count silence, not length: a large upload may take an hour as long as something of it comes
//! every half minute, and a client that stops reading is not waited for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// The client said nothing for too long, in the middle of its request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nothing came for {0:?} in the middle of the request")]
pub(super) struct Idle(Duration);

/// A wait that begins anew whenever something comes.
struct Alarm {
    patience: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new(patience: Duration) -> Alarm {
        Alarm { patience, sleep: Box::pin(sleep(patience)) }
    }

    fn reset(&mut self) {
        self.sleep.as_mut().reset(Instant::now() + self.patience);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

/// A request's body that ends with an error when its client falls silent.
pub(super) struct PatientBody {
    body: Incoming,
    alarm: Option<Alarm>,
    patience: Duration,
}

impl PatientBody {
    pub(super) fn new(body: Incoming, patience: Duration) -> PatientBody {
        PatientBody { body, alarm: None, patience }
    }
}

impl Body for PatientBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.alarm = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = self.patience;
        ready!(self.alarm.get_or_insert_with(|| Alarm::new(patience)).poll(cx));
        Poll::Ready(Some(Err(Idle(patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose writes fail when nothing of them is taken for too long.
pub(super) struct PatientSocket {
    io: TokioIo<TcpStream>,
    alarm: Alarm,
    is_waiting: bool,
}

impl PatientSocket {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> PatientSocket {
        PatientSocket { io: TokioIo::new(stream), alarm: Alarm::new(patience), is_waiting: false }
    }

    /// What came of a write: one that cannot go on starts the alarm, one that does stops it.
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !std::mem::replace(&mut self.is_waiting, true) {
            self.alarm.reset();
        }
        ready!(self.alarm.poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for PatientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for PatientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.judge(cx, written)
    }
}
