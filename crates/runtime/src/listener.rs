//! Whoever answers a filter's notifications: reached before anything is begun, told once the filter stands
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

/// An open connection to the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: OwnedFd,
    path: String,
    metadata: String,
    state: Value,
}

impl Agent {
    /// Connects, when the process has a filter that notifies. `state` is the container's, in JSON.
    pub(crate) fn of(process: &Process, container: &str, state: &str) -> Result<Option<Self>, Error> {
        let Some(filter) = process.seccomp.as_ref().filter(|f| !f.listener.is_empty()) else {
            return Ok(None);
        };
        let path = filter.listener.clone();
        let tried = || format!("linux.seccomp.listenerPath: failed to connect with seccomp agent at {path}");
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).tried(tried)?;
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None => SocketAddrUnix::new(&*path),
        };
        connect(&socket, &address.tried(tried)?).tried(tried)?;
        let state = serde_json::from_str(state).unwrap_or_else(|_| {
            json!({"ociVersion": oci::runtime::VERSION, "id": container, "status": "creating", "bundle": ""})
        });
        Ok(Some(Self { socket, path, metadata: filter.metadata.clone(), state }))
    }

    /// Hands over where the notifications of process `pid` are read; the connection ends with it. A container's first
    /// process is the one of the state.
    pub(crate) fn tell(mut self, notifications: BorrowedFd<'_>, pid: i32) -> Result<(), Error> {
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
        send(self.socket.as_fd(), message.to_string().as_bytes(), notifications).tried(|| {
            format!("linux.seccomp.listenerPath: send the state to the seccomp agent at {}", self.path)
        })
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
