//! What goes out with a request: nothing, a few bytes, or a stream of known length.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::watch::Watch;

/// The pieces of a stream; an error ends it.
pub(crate) type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

/// The body of a request.
pub(crate) enum Payload {
    Nothing,
    Whole(Bytes),
    /// Pieces that make up exactly `left` bytes.
    Stream {
        pieces: Pieces,
        left: u64,
    },
}

impl Payload {
    /// The same once more, when it can be sent twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Nothing => Some(Self::Nothing),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }
}

/// A payload under way: each piece that leaves is a sign of life.
pub(crate) struct Outgoing {
    pub(crate) payload: Payload,
    pub(crate) watch: Watch,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let piece = match &mut this.payload {
            Payload::Nothing => None,
            Payload::Whole(bytes) => Some(Ok(std::mem::take(bytes)))
                .filter(|p| p.as_ref().is_ok_and(|bytes: &Bytes| !bytes.is_empty())),
            Payload::Stream { left: 0, .. } => None,
            Payload::Stream { pieces, left } => match pieces.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => Some(take(piece, left)),
                Poll::Ready(Some(Err(error))) => Some(Err(error)),
                Poll::Ready(None) => Some(Err(std::io::Error::other("it ended before its length"))),
            },
        };
        this.watch.touch();
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.payload {
            Payload::Nothing => true,
            Payload::Whole(bytes) => bytes.is_empty(),
            Payload::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.payload {
            Payload::Nothing => 0,
            Payload::Whole(bytes) => bytes.len() as u64,
            Payload::Stream { left, .. } => *left,
        })
    }
}

/// Counts a piece against what may still come.
fn take(piece: Bytes, left: &mut u64) -> std::io::Result<Bytes> {
    *left = left
        .checked_sub(piece.len() as u64)
        .ok_or_else(|| std::io::Error::other("it is longer than it was said to be"))?;
    Ok(piece)
}
