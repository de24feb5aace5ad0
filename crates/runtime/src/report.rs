//! What a child tells its parent before it becomes the program, over a socket that the exec closes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use types::Kind;

use crate::Error;

/// One message.
#[derive(Debug)]
pub(crate) enum Report {
    /// Something nobody asked for was refused.
    Warning(String),
    /// The terminal's master side.
    Terminal(OwnedFd),
    /// The container's first process was cloned by another one, which ends now.
    Born(OwnedFd),
    /// Waits until the parent has done something for it.
    Waiting(Wait),
    /// Where the notifications of the filter are read, which stands from now on.
    Listener(OwnedFd),
    /// Everything is done but the exec.
    Ready,
    /// The start failed.
    Failed(Error),
    /// The other side is gone (or has become the program).
    Closed,
}

/// What only the parent can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Run the caller's hooks.
    Hooks = b'H' as isize,
    /// Move network devices here.
    Devices = b'D' as isize,
    /// Set the clocks of the new time namespace, which a user namespace's root may not.
    Clocks = b'C' as isize,
}

/// Longest message; longer texts are cut.
const MAX_BYTES: usize = 4096;

/// Parent's and child's end.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// The child sends.
pub(crate) fn send(socket: BorrowedFd<'_>, report: &Report) -> Result<(), Errno> {
    match report {
        Report::Warning(text) => send_bytes(socket, b'W', text.as_bytes(), None),
        Report::Terminal(fd) => send_bytes(socket, b'T', &[], Some(fd.as_fd())),
        Report::Born(pidfd) => send_bytes(socket, b'B', &[], Some(pidfd.as_fd())),
        Report::Waiting(wait) => send_bytes(socket, *wait as u8, &[], None),
        Report::Listener(fd) => send_bytes(socket, b'L', &[], Some(fd.as_fd())),
        Report::Ready => send_bytes(socket, b'R', &[], None),
        Report::Closed => Ok(()),
        Report::Failed(error) => {
            let kind = error.kind() as u8;
            let step = error.step().map_or(-1, |s| s as i32);
            let mut body = vec![kind];
            body.extend(error.exit_code().to_le_bytes());
            body.extend(step.to_le_bytes());
            body.extend(error.to_string().as_bytes());
            send_bytes(socket, b'E', &body, None)
        }
    }
}

/// The parent lets a waiting child go on, with a descriptor if there is one.
pub(crate) fn send_go(socket: BorrowedFd<'_>, fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    send_bytes(socket, b'G', &[], fd)
}

/// The child waits for [`send_go`].
pub(crate) fn wait_go(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    match receive_bytes(socket, RecvFlags::empty())? {
        (bytes, fd) if bytes.first() == Some(&b'G') => Ok(fd),
        _ => Err(Errno::PIPE),
    }
}

/// The parent receives; with `DONTWAIT` among the flags, `EAGAIN` says that nothing was told yet.
pub(crate) fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<Report, Errno> {
    let (bytes, fd) = receive_bytes(socket, flags)?;
    let Some((tag, body)) = bytes.split_first() else { return Ok(Report::Closed) };
    Ok(match (tag, fd) {
        (b'W', _) => Report::Warning(String::from_utf8_lossy(body).into_owned()),
        (b'T', Some(fd)) => Report::Terminal(fd),
        (b'B', Some(fd)) => Report::Born(fd),
        (b'L', Some(fd)) => Report::Listener(fd),
        (b'H', _) => Report::Waiting(Wait::Hooks),
        (b'D', _) => Report::Waiting(Wait::Devices),
        (b'C', _) => Report::Waiting(Wait::Clocks),
        (b'R', _) => Report::Ready,
        _ => Report::Failed(read_error(body)),
    })
}

fn read_error(body: &[u8]) -> Error {
    let number =
        |at: usize| body.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_le_bytes);
    let kind = body.first().and_then(|k| Kind::ALL.get(usize::from(*k))).copied().unwrap_or(Kind::Internal);
    let text = String::from_utf8_lossy(body.get(9..).unwrap_or_default()).into_owned();
    Error::told(kind, number(1), u32::try_from(number(5)).ok(), text)
}

fn send_bytes(socket: BorrowedFd<'_>, tag: u8, body: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let body = &body[..body.len().min(MAX_BYTES - 1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(|fd| [fd]);
    if let Some(fds) = &fds {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let parts = [IoSlice::new(std::slice::from_ref(&tag)), IoSlice::new(body)];
    sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

fn receive_bytes(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<(Vec<u8>, Option<OwnedFd>), Errno> {
    let mut bytes = vec![0; MAX_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(socket, &mut parts, &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // The child ended with messages of ours unread.
            Err(Errno::CONNRESET) => break 0,
            other => break other?.bytes,
        }
    };
    bytes.truncate(length);
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((bytes, fd))
}
