//! What HTTP libraries are made to prevent: connections that are reset, and bodies that break off.
//!
//! Shell.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Whether a connection is to end with a reset.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<AtomicBool>);

impl Switch {
    /// The connection is reset when it is dropped.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A TCP connection that can end with a reset.
#[derive(Debug)]
pub(super) struct Socket {
    io: TokioIo<TcpStream>,
    switch: Switch,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> (Socket, Switch) {
        let switch = Switch::default();
        (Socket { io: TokioIo::new(stream), switch: switch.clone() }, switch)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.switch.0.load(Ordering::Relaxed) {
            // Closing a socket that may not linger sends RST in place of FIN. Where the option cannot be
            // set the client sees an early end, which is as unknown to it as a reset.
            let _ = self.io.inner().set_zero_linger();
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly end here would come before the reset and take its place.
        if self.switch.0.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

/// The bytes of a response, of which the last may never come.
#[derive(Debug)]
pub(super) struct Sent {
    bytes: Option<Bytes>,
    /// How many were promised beyond these.
    missing: usize,
    flushed: bool,
}

/// The connection ends in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the body breaks off here")]
pub(super) struct BreaksOff;

impl Sent {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Sent {
        Sent { bytes: Some(bytes.into()), missing: 0, flushed: false }
    }

    /// The first half of these bytes, with all of them promised.
    pub(super) fn half(bytes: impl Into<Bytes>) -> Sent {
        let bytes = bytes.into();
        let half = bytes.len() / 2;
        Sent { missing: bytes.len() - half, bytes: Some(bytes.slice(..half)), flushed: false }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BreaksOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BreaksOff>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.missing == 0 {
            return Poll::Ready(None);
        }
        if !self.flushed {
            // An error throws away what was not flushed, and a body that is pending is flushed.
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(BreaksOff)))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        let here = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact((here + self.missing) as u64)
    }
}
