//! [`Pieces`]: a body that another thread makes, as fast as its client takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// Pieces that may wait for the client.
const WAITING: usize = 4;

/// A body in pieces.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Pieces {
    /// Where pieces are put, and the body they make. An error breaks the body off.
    pub(super) fn new() -> (mpsc::Sender<io::Result<Bytes>>, Pieces) {
        let (sender, pieces) = mpsc::channel(WAITING);
        (sender, Pieces(pieces))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
