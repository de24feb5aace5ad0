//! A container's stdio as two halves. When the supervisor is replaced, the reader attaches again and the writer follows.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Ask, Attach, Attached, Input, Output, Seen, Tell};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use types::Kind;

use super::link::{is_absent, is_loss, refused};
use super::wire::{Inbox, Wire};
use crate::{Error, Result};

/// How long a supervisor may be away.
const PATIENCE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(20);
/// Input is sent in frames of at most this many bytes.
const FRAME_BYTES: usize = 32 << 10;

/// The input side.
#[derive(Debug)]
pub struct AttachWriter {
    wire: watch::Receiver<Arc<Wire>>,
}

/// The output side. Dropping both sides leaves the container alone.
#[derive(Debug)]
pub struct AttachReader {
    root: PathBuf,
    attach: Attach,
    wire: Arc<Wire>,
    next: watch::Sender<Arc<Wire>>,
    inbox: Inbox,
    first: Attached,
    /// What was got of each stream, by the supervisor's count.
    seen: Seen,
    running: bool,
    ended: bool,
}

/// Attaches; the answer comes when everything printed from now on will be seen.
pub(super) async fn attach(root: PathBuf, attach: Attach) -> Result<(AttachWriter, AttachReader)> {
    let mut inbox = Inbox::default();
    let (wire, first) = connect(&root, &attach, &mut inbox).await?;
    let wire = Arc::new(wire);
    let (next, followed) = watch::channel(wire.clone());
    let reader = AttachReader {
        root,
        // A second attach would repeat the open line.
        attach: Attach { with_open_line: false, ..attach },
        wire,
        next,
        inbox,
        first,
        seen: first.seen.unwrap_or_default(),
        running: first.running,
        ended: false,
    };
    Ok((AttachWriter { wire: followed }, reader))
}

async fn connect(root: &std::path::Path, attach: &Attach, inbox: &mut Inbox) -> Result<(Wire, Attached)> {
    let begin = Instant::now();
    loop {
        match try_connect(root, attach, inbox).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) if error.kind() != Kind::Unavailable || begin.elapsed() > PATIENCE => {
                return Err(error);
            }
            Err(error) if !(is_loss(&error) || is_absent(&error)) || begin.elapsed() > PATIENCE => {
                return Err(Error::doing("attach", Kind::Unavailable, error));
            }
            _ => {}
        }
        *inbox = Inbox::default();
        sleep(RETRY).await;
    }
}

async fn try_connect(
    root: &std::path::Path,
    attach: &Attach,
    inbox: &mut Inbox,
) -> io::Result<Result<(Wire, Attached)>> {
    let wire = Wire::connect(root).await?;
    wire.greet(inbox).await?;
    wire.ask(2, Ask::Attach(attach.clone()), &[]).await?;
    match wire.receive(inbox).await?.tell {
        Some(Tell::Attached(attached)) => Ok(Ok((wire, attached))),
        Some(Tell::Failed(failure)) => Ok(Err(refused(&failure))),
        _ => Err(io::Error::other("the supervisor did not answer an attach")),
    }
}

impl AttachReader {
    /// Where the log was when the stream began: the stream has everything after that.
    #[must_use]
    pub fn place(&self) -> Attached {
        self.first
    }

    /// The next piece of output with its stream (1 stdout or terminal, 2 stderr); `None` when the process has ended and
    /// everything was read. May be given up and called again.
    pub async fn next(&mut self) -> Option<(u8, Bytes)> {
        while !self.ended {
            match self.wire.receive(&mut self.inbox).await {
                Ok(message) => match message.tell {
                    Some(Tell::Output(output)) if output.end => self.ended = true,
                    Some(Tell::Output(output)) => {
                        self.running = true;
                        self.count(&output);
                        return Some((output.stream as u8, output.bytes.into()));
                    }
                    Some(Tell::Attached(attached)) => {
                        self.running |= attached.running;
                        self.seen = attached.seen.unwrap_or(self.seen);
                    }
                    _ => {}
                },
                Err(error) => self.attach_again(&error).await,
            }
        }
        None
    }

    fn count(&mut self, output: &Output) {
        let end = output.position + output.bytes.len() as u64;
        match output.stream {
            2 => self.seen.stderr = end,
            _ => self.seen.stdout = end,
        }
    }

    /// The supervisor is gone. The next one goes on behind what was got; of a process without a log, behind what the dead one read.
    async fn attach_again(&mut self, error: &io::Error) {
        tracing::debug!(%error, "an attached stream was cut; attaching again");
        let mut inbox = Inbox::default();
        self.attach.behind = Some(self.seen);
        match connect(&self.root, &self.attach, &mut inbox).await {
            Ok((wire, attached)) => {
                // It ran before and runs no more: its end was lost with the connection.
                self.ended = self.running && !attached.running;
                self.running |= attached.running;
                self.wire = Arc::new(wire);
                self.inbox = inbox;
                self.next.send_replace(self.wire.clone());
            }
            Err(error) => {
                tracing::warn!(%error, "an attached stream is lost");
                self.ended = true;
            }
        }
    }
}

impl AttachWriter {
    /// Sends input. Waits while the container does not read. When the supervisor is replaced, it waits for the reader, who must be
    /// read meanwhile, to attach again.
    ///
    /// # Errors
    /// When nothing takes input any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(FRAME_BYTES) {
            self.send(Input { bytes: chunk.to_vec(), end: false }).await?;
        }
        Ok(())
    }

    /// No more input will come: closes the stdin of an exec, and of a container with `stdin_once`.
    ///
    /// # Errors
    /// When nothing takes input any more.
    pub async fn end(&mut self) -> Result<()> {
        self.send(Input { bytes: Vec::new(), end: true }).await
    }

    async fn send(&mut self, input: Input) -> Result<()> {
        let frame = protocol::encode(&input);
        loop {
            let wire = self.wire.borrow_and_update().clone();
            match wire.send(&frame, &[]).await {
                Ok(()) => return Ok(()),
                Err(error) if !is_loss(&error) => {
                    return Err(Error::doing("send input", Kind::Unavailable, error));
                }
                // The reader attaches again, or is gone with the process.
                Err(_) => self
                    .wire
                    .changed()
                    .await
                    .map_err(|_| Error::new(Kind::Unavailable, "the process takes no more input"))?,
            }
        }
    }
}
