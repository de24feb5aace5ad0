//! Whoever answers a filter's notifications: told once the filter stands, while the process waits
//! (runtime-spec, config-linux.md#containerprocessstate).

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::Process;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use serde_json::{Value, json};
use types::Kind;

use crate::error::{Error, Tried};

/// The agent, and what it is to be told.
#[derive(Debug)]
pub(crate) struct Agent {
    path: String,
    metadata: String,
    state: Value,
}

impl Agent {
    /// That of a process whose filter notifies. `state` is the container's, in JSON.
    pub(crate) fn of(process: &Process, container: &str, state: &str) -> Option<Self> {
        let filter = process.seccomp.as_ref().filter(|f| !f.listener.is_empty())?;
        let state = serde_json::from_str(state).unwrap_or_else(|_| {
            json!({"ociVersion": oci::runtime::VERSION, "id": container, "status": "creating", "bundle": ""})
        });
        Some(Self { path: filter.listener.clone(), metadata: filter.metadata.clone(), state })
    }

    /// Hands over where the notifications of process `pid` are read, by a connection for this alone. A container's first process is
    /// the one of the state.
    pub(crate) fn tell(mut self, notifications: BorrowedFd<'_>, pid: i32) -> Result<(), Error> {
        let socket = self.connect()?;
        if self.state["status"] == "creating" {
            self.state["pid"] = pid.into();
        }
        let mut message = json!({
            "ociVersion": oci::runtime::VERSION,
            "fds": ["seccompFd"],
            "pid": pid,
            "state": self.state,
        });
        if !self.metadata.is_empty() {
            message["metadata"] = self.metadata.as_str().into();
        }
        send(socket.as_fd(), message.to_string().as_bytes(), notifications).tried(|| {
            format!("linux.seccomp.listenerPath: send the state to the seccomp agent at {}", self.path)
        })
    }

    fn connect(&self) -> Result<OwnedFd, Error> {
        let path = &self.path;
        let tried = || format!("linux.seccomp.listenerPath: failed to connect with seccomp agent at {path}");
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).tried(tried)?;
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None => SocketAddrUnix::new(&**path),
        };
        connect(&socket, &address.tried(tried)?).tried(tried)?;
        Ok(socket)
    }
}

/// The descriptor goes with the first bytes.
fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let mut left = bytes;
    while !left.is_empty() {
        match sendmsg(socket, &[IoSlice::new(left)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(sent) => {
                left = &left[sent..];
                ancillary.clear();
            }
        }
    }
    Ok(())
}

/// The child could not say where its notifications are read.
pub(crate) fn unsaid(errno: Errno) -> Error {
    Error::said(
        Kind::InvalidInput,
        format!("linux.seccomp: the filter itself does not let its listener be handed over: {errno}"),
    )
}
