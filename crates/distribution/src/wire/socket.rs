//! A connection's socket as hyper sees it: bytes in, bytes out, and files out by `sendfile(2)`. A peer that takes nothing for long is
//! let go.

use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::segments::{Segments, stands_in};

/// How long a peer may take nothing.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// A plain TCP connection.
pub(crate) struct Socket {
    stream: TokioIo<TcpStream>,
    segments: Arc<Segments>,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, segments: Arc<Segments>) -> Self {
        Self { stream: TokioIo::new(stream), segments, stalled: None }
    }

    /// Waits until the socket takes bytes, but not for ever.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(room) = self.stream.inner().poll_write_ready(cx) {
            self.stalled = None;
            return Poll::Ready(room);
        }
        let sleep =
            self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALL)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }

    /// Does a call that may find the socket full.
    fn poll_call(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_room(cx))?;
            let stream = self.stream.inner();
            match stream.try_io(Interest::WRITABLE, || call(stream)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_send_file(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        let Some(segment) = self.segments.first() else {
            return Poll::Ready(Err(io::Error::other("a stand-in without a file")));
        };
        let count = length.min(usize::try_from(segment.length).unwrap_or(length));
        let sent = ready!(self.poll_call(cx, |stream| {
            let mut offset = segment.offset;
            Ok(rustix::fs::sendfile(stream.as_fd(), segment.file.as_fd(), Some(&mut offset), count)?)
        }))?;
        if sent == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a content is cut short")));
        }
        self.segments.sent(sent as u64);
        Poll::Ready(Ok(sent))
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if stands_in(bytes) {
            return self.poll_send_file(cx, bytes.len());
        }
        self.poll_call(cx, |stream| Ok(send(stream.as_fd(), bytes, SendFlags::NOSIGNAL)?))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writes what lies before the first stand-in, or that stand-in.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let plain = slices.iter().position(|slice| stands_in(slice));
        match plain {
            Some(0) => self.poll_send_file(cx, slices[0].len()),
            // The head of an answer waits for the first bytes of the file and shares their packet.
            Some(1) => self.poll_call(cx, |stream| {
                Ok(send(stream.as_fd(), &slices[0], SendFlags::NOSIGNAL | SendFlags::MORE)?)
            }),
            Some(count) => self.poll_call(cx, |stream| stream.try_write_vectored(&slices[..count])),
            None => self.poll_call(cx, |stream| stream.try_write_vectored(slices)),
        }
    }
}
