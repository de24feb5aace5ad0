//! The body of an answer: nothing, some bytes, or part of a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::cache::Arrival;

use super::segments::{REGION, Segment, Segments};

/// How much of a file is read at a time, where the kernel cannot send it.
const STEP: usize = 128 << 10;

/// What an answer carries.
#[derive(Debug, Default)]
pub(crate) enum Body {
    #[default]
    Empty,
    Bytes(Bytes),
    /// Sent by the kernel.
    Sent(Segment, Arc<Segments>),
    /// Read and written by us: the connection is encrypted.
    Read(Reading),
    /// One after the other.
    Several(VecDeque<Body>),
}

/// A file that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Reading {
    segment: Segment,
    /// The file is still coming in.
    arrival: Option<Arrival>,
    next: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body {
    /// Part of a file; `segments` is there when the kernel can send it.
    pub(crate) fn file(file: Arc<File>, offset: u64, length: u64, segments: Option<&Arc<Segments>>) -> Self {
        let segment = Segment { file, offset, length };
        match segments {
            _ if length == 0 => Self::Empty,
            Some(segments) => Self::Sent(segment, segments.clone()),
            None => Self::Read(Reading { segment, arrival: None, next: None }),
        }
    }

    /// Part of a file that is still coming in: bytes are given out as they are there.
    pub(crate) fn arriving(arrival: Arrival, offset: u64, length: u64) -> Self {
        let segment = Segment { file: arrival.file.clone(), offset, length };
        Self::Read(Reading { segment, arrival: Some(arrival), next: None })
    }

    fn left(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Sent(segment, _) | Self::Read(Reading { segment, .. }) => segment.length,
            Self::Several(bodies) => bodies.iter().map(Self::left).sum(),
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Bytes(text.into()) }
    }
}

impl Segment {
    /// Takes some bytes off its front.
    fn split(&mut self, most: usize) -> Self {
        let length = self.length.min(most as u64);
        let front = Self { file: self.file.clone(), offset: self.offset, length };
        self.offset += length;
        self.length -= length;
        front
    }

    fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(self.length).unwrap_or(STEP)];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes.into())
    }
}

impl Reading {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let next = self.next.get_or_insert_with(|| {
            let part = self.segment.split(STEP);
            let Some(arrival) = self.arrival.clone() else {
                return tokio::task::spawn_blocking(move || part.read());
            };
            tokio::spawn(async move {
                arrival.wait(part.offset + part.length).await?;
                tokio::task::spawn_blocking(move || part.read()).await.map_err(io::Error::other)?
            })
        });
        let read = ready!(Pin::new(next).poll(cx));
        self.next = None;
        Poll::Ready(read.map_err(io::Error::other).flatten())
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match &mut *self {
            Self::Empty => return Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Ok(bytes)
            }
            Self::Sent(segment, _) if segment.length == 0 => return Poll::Ready(None),
            Self::Sent(segment, segments) => Ok(segments.push(segment.split(REGION))),
            Self::Read(reading) if reading.segment.length == 0 && reading.next.is_none() => {
                return Poll::Ready(None);
            }
            Self::Read(reading) => ready!(reading.poll_next(cx)),
            Self::Several(bodies) => {
                while let Some(first) = bodies.front_mut() {
                    match ready!(Pin::new(first).poll_frame(cx)) {
                        Some(frame) => return Poll::Ready(Some(frame)),
                        None => drop(bodies.pop_front()),
                    }
                }
                return Poll::Ready(None);
            }
        };
        Poll::Ready(Some(frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Read(reading) => reading.segment.length == 0 && reading.next.is_none(),
            Self::Several(bodies) => bodies.iter().all(Self::is_end_stream),
            _ => self.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // A piece on its way is no longer counted: say nothing rather than something wrong.
            Self::Read(Reading { next: Some(_), .. }) => SizeHint::default(),
            Self::Several(bodies) if bodies.iter().any(|body| body.size_hint().exact().is_none()) => {
                SizeHint::default()
            }
            _ => SizeHint::with_exact(self.left()),
        }
    }
}
