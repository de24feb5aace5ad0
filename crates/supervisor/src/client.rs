//! One connection of a daemon: frames and descriptors in, frames and descriptors out, both bounded.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{FrameReader, Message, Tell};
use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

use crate::poll::Ready;

/// `SCM_MAX_FD`.
const MOST_FDS: usize = 253;
/// Output waiting for an attached client; more makes its container wait.
const FULL_BYTES: usize = 256 << 10;
/// Anything waiting for a client; one who does not read is cut off.
const MOST_BYTES: usize = 64 << 20;

/// What a connection is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Role {
    /// Has not said hello.
    New,
    /// Asks.
    Control {
        /// Gets events.
        subscribed: bool,
    },
    /// Carries the stdio of this slot (or of a target not started yet).
    Attached {
        /// Whose stdio.
        target: protocol::Target,
        /// Feeds stdin.
        stdin: bool,
        /// Gets output.
        output: bool,
    },
}

/// A frame on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent: usize,
    pub(crate) fds: Vec<OwnedFd>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) fd: OwnedFd,
    pub(crate) role: Role,
    pub(crate) frames: FrameReader,
    pub(crate) fds: VecDeque<OwnedFd>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    waiting_bytes: usize,
    /// Its input is not read now, because its process does not take it.
    pub(crate) muted: bool,
    /// What the poll set waits for.
    pub(crate) watched: Ready,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Something; there may be more.
    Some,
    /// Nothing now.
    Nothing,
    /// The peer has gone.
    Gone,
}

impl Client {
    /// A fresh connection.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            role: Role::New,
            frames: FrameReader::default(),
            fds: VecDeque::new(),
            outgoing: VecDeque::new(),
            waiting_bytes: 0,
            muted: false,
            watched: Ready::IN,
        }
    }

    /// Takes what the peer sent.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let result = rustix::net::recvmsg(&self.fd, &mut [IoSliceMut::new(buffer)], &mut control, flags);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        match result {
            Ok(message) if message.bytes > 0 => {
                self.frames.push(&buffer[..message.bytes]);
                Received::Some
            }
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Ok(_) | Err(_) => Received::Gone,
        }
    }

    /// The next `count` descriptors that came, if that many came.
    pub(crate) fn take_fds(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        if self.fds.len() < count {
            // Some were lost on the way (no descriptor was free): none can be told from another now.
            self.fds.clear();
            return None;
        }
        Some(self.fds.drain(..count).collect())
    }

    /// Sends a message, at once as far as the socket takes it. False: the client is gone or hopelessly behind.
    pub(crate) fn tell(&mut self, seq: u64, tell: Tell, fds: &[BorrowedFd<'_>]) -> bool {
        let bytes = protocol::encode(&Message { seq, tell: Some(tell) });
        let Ok(fds) = fds.iter().map(|fd| fd.try_clone_to_owned()).collect::<std::io::Result<Vec<_>>>()
        else {
            return false;
        };
        self.waiting_bytes += bytes.len();
        self.outgoing.push_back(Outgoing { bytes, sent: 0, fds });
        self.flush()
    }

    /// Sends what waits. False: the client is gone or hopelessly behind.
    pub(crate) fn flush(&mut self) -> bool {
        while let Some(first) = self.outgoing.front_mut() {
            match send(self.fd.as_fd(), first) {
                Ok(sent) => {
                    self.waiting_bytes -= sent;
                    first.sent += sent;
                    first.fds.clear();
                    if first.sent == first.bytes.len() {
                        self.outgoing.pop_front();
                    }
                }
                Err(Errno::AGAIN) => return self.waiting_bytes <= MOST_BYTES,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Something waits to be sent.
    pub(crate) fn is_behind(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// So much waits that no more output should be read for it.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting_bytes >= FULL_BYTES
    }

    /// Puts back what an upgrade carried over.
    pub(crate) fn restore(&mut self, input: &[u8], outgoing: Vec<Outgoing>) {
        self.frames.push(input);
        self.waiting_bytes = outgoing.iter().map(|out| out.bytes.len() - out.sent).sum();
        self.outgoing = outgoing.into();
    }
}

fn send(fd: BorrowedFd<'_>, out: &Outgoing) -> Result<usize> {
    let fds: Vec<_> = out.fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::TOOBIG);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(fd, &[IoSlice::new(&out.bytes[out.sent..])], &mut control, flags)
}
