//! One connection to the supervisor: frames and descriptors, asynchronously.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use protocol::{Ask, Frame, FrameReader, Hello, Message, Request, Tell};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// `SCM_MAX_FD`.
const MOST_FDS: usize = 253;
const READ_BYTES: usize = 64 << 10;
const RETRY: Duration = Duration::from_millis(5);

/// A connected socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UnixStream,
}

/// What came over a [`Wire`].
#[derive(Debug, Default)]
pub(super) struct Inbox {
    frames: FrameReader,
    fds: VecDeque<OwnedFd>,
}

impl Wire {
    /// Connects to the supervisor of this root.
    pub(super) async fn connect(root: &Path) -> io::Result<Self> {
        loop {
            match UnixStream::connect(root.join("supervisor.sock")).await {
                // So many are knocking that there is no room to wait at the door.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(RETRY).await,
                socket => return Ok(Self { socket: socket? }),
            }
        }
    }

    /// Says hello; answers the supervisor's.
    pub(super) async fn greet(&self, inbox: &mut Inbox) -> io::Result<Hello> {
        let hello =
            Hello { version: protocol::VERSION, build: env!("CARGO_PKG_VERSION").to_owned(), instance: 0 };
        self.ask(1, Ask::Hello(hello), &[]).await?;
        match self.receive(inbox).await?.tell {
            Some(Tell::Hello(hello)) => Ok(hello),
            _ => Err(io::Error::other("the peer is no supervisor")),
        }
    }

    /// Sends a request.
    pub(super) async fn ask(&self, seq: u64, ask: Ask, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send(&protocol::encode(&Request { seq, ask: Some(ask) }), fds).await
    }

    /// Sends a frame; descriptors go with its first byte. Not to be given up half-way.
    pub(super) async fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            let fds = if sent == 0 { fds } else { &[] };
            let write = || send(self.socket.as_fd(), &bytes[sent..], fds);
            sent += self.socket.async_io(Interest::WRITABLE, write).await?;
        }
        Ok(())
    }

    /// The next message. May be given up and called again.
    pub(super) async fn receive(&self, inbox: &mut Inbox) -> io::Result<Message> {
        self.receive_frame(inbox).await
    }

    async fn receive_frame<M: Frame>(&self, inbox: &mut Inbox) -> io::Result<M> {
        loop {
            if let Some(message) = inbox.frames.take().map_err(io::Error::other)? {
                return Ok(message);
            }
            let read = || receive(self.socket.as_fd(), inbox);
            if self.socket.async_io(Interest::READABLE, read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Inbox {
    /// The descriptors of a message that names so many.
    pub(super) fn take_fds(&mut self, count: usize) -> Vec<OwnedFd> {
        self.fds.drain(..count.min(self.fds.len())).collect()
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)?)
}

fn receive(socket: BorrowedFd<'_>, inbox: &mut Inbox) -> io::Result<usize> {
    let mut buffer = [0; READ_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            inbox.fds.extend(fds);
        }
    }
    if got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: the limit of open files is reached"));
    }
    inbox.frames.push(&buffer[..got.bytes]);
    Ok(got.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_at_a_crowded_door() {
        let root = std::env::temp_dir().join(format!("berth-door-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("directory");
        let path = root.join("supervisor.sock");
        let address = rustix::net::SocketAddrUnix::new(&path).expect("address");
        let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
        let door = rustix::net::socket(family, kind, None).expect("socket");
        rustix::net::bind(&door, &address).expect("bind");
        rustix::net::listen(&door, 0).expect("listen");
        let first = UnixStream::connect(&path).await.expect("room for one");
        assert!(UnixStream::connect(&path).await.is_err(), "there is no room for a second");
        let second = tokio::spawn(async move { Wire::connect(&root).await.map(|_| root) });
        tokio::time::sleep(3 * RETRY).await;
        assert!(!second.is_finished());
        rustix::net::accept(&door).expect("accept");
        let root = second.await.expect("task").expect("connected");
        drop(first);
        std::fs::remove_dir_all(root).expect("remove");
    }
}
