//! The two halves of an attached session.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::detach::DetachKeys;
use crate::logs::Past;
use crate::supervisor;
use crate::{Error, Result};

/// How long the end of an exec may take to be written down after its last byte.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// An attached session.
#[derive(Debug)]
pub struct Attached {
    /// Output is a terminal's: to be sent without stream headers.
    pub tty: bool,
    /// The output.
    pub reader: AttachReader,
    /// The input, when it was asked for.
    pub writer: Option<AttachWriter>,
}

/// The output of a session.
#[derive(Debug)]
pub struct AttachReader {
    past: Option<Past>,
    live: Option<supervisor::AttachReader>,
    /// Standard output, standard error.
    wanted: [bool; 2],
    detached: watch::Receiver<bool>,
    /// Becomes true when the end of the exec was written down.
    ended: Option<watch::Receiver<bool>>,
}

/// The input of a session.
#[derive(Debug)]
pub struct AttachWriter {
    live: supervisor::AttachWriter,
    keys: DetachKeys,
    detached: watch::Sender<bool>,
}

pub(super) struct Parts {
    pub(super) tty: bool,
    pub(super) past: Option<Past>,
    pub(super) reader: Option<supervisor::AttachReader>,
    pub(super) writer: Option<supervisor::AttachWriter>,
    pub(super) wanted: [bool; 2],
    pub(super) keys: DetachKeys,
    pub(super) ended: Option<watch::Receiver<bool>>,
}

pub(super) fn join(parts: Parts) -> Attached {
    let (sender, detached) = watch::channel(false);
    let reader = AttachReader {
        past: parts.past,
        live: parts.reader,
        wanted: parts.wanted,
        detached,
        ended: parts.ended,
    };
    let writer = parts.writer.map(|live| AttachWriter { live, keys: parts.keys, detached: sender });
    Attached { tty: parts.tty, reader, writer }
}

impl AttachReader {
    /// The next piece of output and its stream (1 stdout or terminal, 2 stderr); `None` when the process has ended and
    /// everything was handed out, or the detach keys were pressed. May be given up and called again.
    pub async fn next(&mut self) -> Option<(u8, Bytes)> {
        if let Some(past) = &mut self.past {
            if let Some(entry) = past.next() {
                return Some(entry);
            }
            self.past = None;
        }
        while let Some(live) = &mut self.live {
            let next = tokio::select! {
                biased;
                () = pressed(&mut self.detached) => None,
                next = live.next() => next,
            };
            match next {
                Some((stream, bytes)) if self.wanted[usize::from(stream == 2)] => {
                    return Some((stream, bytes));
                }
                Some(_) => {}
                None => self.live = None,
            }
        }
        if let Some(mut ended) = self.ended.take()
            && !*self.detached.borrow()
        {
            // Whoever saw the last byte may ask for the exit code next.
            let _ = tokio::time::timeout(END_PATIENCE, ended.wait_for(|e| *e)).await;
        }
        None
    }
}

/// Resolves when the detach keys were pressed; never when there is no input.
async fn pressed(detached: &mut watch::Receiver<bool>) {
    if detached.wait_for(|d| *d).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl AttachWriter {
    /// Sends input, without the detach keys.
    ///
    /// # Errors
    /// When nothing takes input any more, or the session was detached.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let filtered = self.keys.filter(bytes);
        if !filtered.pass.is_empty() {
            self.live.write(&filtered.pass).await?;
        }
        if filtered.detached {
            self.detached.send_replace(true);
            return Err(Error::new(types::Kind::Unavailable, "read escape sequence"));
        }
        Ok(())
    }

    /// The client has no more input.
    pub async fn close(mut self) {
        if !*self.detached.borrow() {
            let _ = self.live.end().await;
        }
    }
}
