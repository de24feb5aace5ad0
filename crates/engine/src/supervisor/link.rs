//! The task that keeps the one control connection: it sends requests, hands out answers and events, holds duplicates, and, when the
//! supervisor is gone, starts another and gives it what the dead one had. Requests under way then are asked again.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use protocol::{Ask, Empty, Event, Message, Tell};
use tokio::sync::{mpsc, oneshot};
use types::Kind;

use super::hands::Hands;
use super::process::Spawned;
use super::wire::{Inbox, Wire};
use crate::{Error, Result};

/// How long a supervisor may take to answer before requests fail.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(5);
/// The seq of messages whose answer nobody waits for.
const UNASKED: u64 = 2;
/// The seq of asking for duplicates.
const DUPLICATE: u64 = 3;

/// A request of somebody in this daemon.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) ask: Ask,
    pub(super) fds: Vec<OwnedFd>,
    /// Where the answer goes, with whether it was asked more than once; nobody waits for an acknowledgement's.
    pub(super) answer: Option<oneshot::Sender<(Result<Tell>, bool)>>,
    /// It was sent to a supervisor that died before it answered.
    pub(super) again: bool,
}

/// The task's own.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) root: PathBuf,
    pub(super) runtime: PathBuf,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    spawned: Spawned,
    hands: Hands,
    /// Asked and not answered.
    open: BTreeMap<u64, Wish>,
    /// To be asked again.
    again: VecDeque<Wish>,
    next_seq: u64,
    /// The last event handed out; later subscriptions repeat what was not acknowledged.
    last_event: u64,
    /// It was asked to end and agreed: its end is no loss.
    dismissed: bool,
}

impl Link {
    /// A link that has not connected yet.
    pub(super) fn new(
        root: PathBuf,
        runtime: PathBuf,
        wishes: mpsc::UnboundedReceiver<Wish>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        Self {
            root,
            runtime,
            wishes,
            events,
            spawned: Spawned::default(),
            hands: Hands::default(),
            open: BTreeMap::new(),
            again: VecDeque::new(),
            next_seq: 10,
            last_event: 0,
            dismissed: false,
        }
    }

    /// Runs until nobody wants anything any more.
    pub(super) async fn run(mut self, ready: oneshot::Sender<Result<()>>) {
        let mut ready = Some(ready);
        loop {
            let result = match tokio::time::timeout(PATIENCE, self.connect()).await {
                Ok(Ok((wire, inbox))) => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Ok(()));
                    }
                    self.serve(&wire, inbox).await
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
            };
            match result {
                Ok(()) => return,
                Err(error) if is_loss(&error) && self.dismissed => return,
                Err(error) if is_loss(&error) => self.take_back(),
                Err(error) => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Err(unavailable(&error)));
                        return;
                    }
                    if !self.fail_all(&error).await {
                        return;
                    }
                }
            }
        }
    }

    /// Finds a supervisor or starts one, and brings it up to date.
    async fn connect(&mut self) -> io::Result<(Wire, Inbox)> {
        loop {
            match Wire::connect(&self.root).await {
                Ok(wire) => {
                    let mut inbox = Inbox::default();
                    match self.introduce(&wire, &mut inbox).await {
                        Ok(()) => return Ok((wire, inbox)),
                        Err(error) if is_loss(&error) => self.hear_last(&wire, inbox).await,
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if is_absent(&error) => {
                    if self.spawned.reap() {
                        self.spawned.start(&self.root, &self.runtime)?;
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn introduce(&mut self, wire: &Wire, inbox: &mut Inbox) -> io::Result<()> {
        let hello = wire.greet(inbox).await?;
        tracing::debug!(instance = hello.instance, build = %hello.build, "connected to the supervisor");
        self.hands.give(wire, UNASKED).await?;
        wire.ask(UNASKED, Ask::Subscribe(Empty {}), &[]).await?;
        self.hands.doubt();
        wire.ask(DUPLICATE, Ask::Duplicate(Empty {}), &[]).await?;
        if hello.build != env!("CARGO_PKG_VERSION") {
            // Left by another version of the daemon: it follows this one.
            let program = self.runtime.to_string_lossy().into_owned();
            tracing::info!(from = %hello.build, "upgrading the supervisor in place");
            wire.ask(UNASKED, Ask::Upgrade(program), &[]).await?;
        }
        Ok(())
    }

    /// Carries requests and answers until the connection is lost (`Err`) or nobody wants anything (`Ok`).
    async fn serve(&mut self, wire: &Wire, mut inbox: Inbox) -> io::Result<()> {
        loop {
            let sent = match self.again.pop_front() {
                Some(wish) => self.send(wire, wish).await,
                None => tokio::select! {
                    message = wire.receive(&mut inbox) => {
                        self.heard(message?, &mut inbox);
                        Ok(())
                    }
                    wish = self.wishes.recv() => match wish {
                        Some(wish) => self.send(wire, wish).await,
                        None => return Ok(()),
                    },
                },
            };
            if let Err(error) = sent {
                self.hear_last(wire, inbox).await;
                return Err(error);
            }
        }
    }

    /// What a supervisor said before it died, descriptors above all, is on this side already.
    async fn hear_last(&mut self, wire: &Wire, mut inbox: Inbox) {
        while let Ok(message) = wire.receive(&mut inbox).await {
            self.heard(message, &mut inbox);
        }
    }

    async fn send(&mut self, wire: &Wire, wish: Wish) -> io::Result<()> {
        let seq = self.next_seq;
        self.next_seq += 1;
        let ask = wish.ask.clone();
        if wish.answer.is_none() {
            return wire.ask(UNASKED, ask, &[]).await;
        }
        // In the table before the first byte is out: whatever happens, it is answered.
        let wish = self.open.entry(seq).or_insert(wish);
        let fds: Vec<BorrowedFd<'_>> = wish.fds.iter().map(AsFd::as_fd).collect();
        wire.ask(seq, ask, &fds).await
    }

    fn heard(&mut self, message: Message, inbox: &mut Inbox) {
        match message.tell {
            Some(Tell::Held(held)) => {
                let fds = inbox.take_fds(held.fds.len());
                self.hands.take(held, fds);
            }
            Some(Tell::Release(released)) => self.hands.release(&released),
            Some(Tell::Event(event)) if event.number > self.last_event => {
                self.last_event = event.number;
                let _ = self.events.send(event);
            }
            Some(Tell::Event(_)) => {}
            Some(Tell::Done(_)) if message.seq == DUPLICATE => self.hands.settle(),
            Some(tell) => self.answered(message.seq, tell),
            None => {}
        }
    }

    fn answered(&mut self, seq: u64, tell: Tell) {
        let Some(wish) = self.open.remove(&seq) else {
            if let Tell::Failed(failure) = tell {
                tracing::warn!(failure.message, "the supervisor refused");
            }
            return;
        };
        self.dismissed |= matches!((&wish.ask, &tell), (Ask::Shutdown(_), Tell::Done(_)));
        let Some(answer) = wish.answer else { return };
        let result = match tell {
            // Asked twice: the first time it was done, and the answer lost.
            Tell::Failed(failure) if wish.again && is_done_before(&wish.ask, &failure.kind) => {
                Ok(Tell::Done(Empty {}))
            }
            Tell::Failed(failure) => Err(refused(&failure)),
            tell => Ok(tell),
        };
        let _ = answer.send((result, wish.again));
    }

    /// The supervisor is gone: what it did not answer is asked again, except what must not happen twice.
    fn take_back(&mut self) {
        tracing::warn!("the supervisor is gone; starting another");
        for (_, mut wish) in std::mem::take(&mut self.open) {
            if matches!(wish.ask, Ask::Exec(_)) {
                if let Some(answer) = wish.answer.take() {
                    let message = "the supervisor was replaced while it was asked; the outcome is unknown";
                    let _ = answer.send((Err(Error::new(Kind::Unavailable, message)), true));
                }
            } else {
                wish.again = true;
                self.again.push_back(wish);
            }
        }
    }

    /// No supervisor can be had: everybody who waits is told. False: nobody will ask again.
    async fn fail_all(&mut self, error: &io::Error) -> bool {
        tracing::error!(%error, "no supervisor answers");
        self.take_back();
        let mut waiting: Vec<Wish> = self.again.drain(..).collect();
        while let Ok(wish) = self.wishes.try_recv() {
            waiting.push(wish);
        }
        for Wish { answer, again: wish_again, .. } in waiting {
            let Some(answer) = answer else { continue };
            let _ = answer.send((Err(unavailable(error)), wish_again));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        !self.wishes.is_closed()
    }
}

/// The peer went away, as one that was killed does.
pub(super) fn is_loss(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Nobody listens.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), ConnectionRefused | NotFound)
}

/// Whether a second asking fails in this way because the first was done.
fn is_done_before(ask: &Ask, kind: &str) -> bool {
    matches!(ask, Ask::Remove(_)) && kind == "NotFound"
}

fn unavailable(error: &io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("the supervisor cannot be reached: {error}"))
}

/// A failure as the supervisor told it.
pub(super) fn refused(failure: &protocol::Failure) -> Error {
    let named = Kind::ALL.into_iter().find(|kind| format!("{kind:?}") == failure.kind);
    let error = Error::new(named.unwrap_or(Kind::Internal), failure.message.clone());
    error.with_exit_code(failure.exit_code)
}
