//! Makes the pipes of a process: both sides at once, ours non-blocking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Stdio;
use rustix::fs::OFlags;
use rustix::io::Result;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::entry::Ours;
use crate::pipes;

/// The process's side. `None` is /dev/null.
#[derive(Debug)]
pub(crate) struct Theirs {
    ends: [Option<OwnedFd>; 3],
}

impl Theirs {
    /// Has the program hold its own pipes open, so that they outlive the supervisor. Not for one whose end others wait for.
    pub(crate) fn hold_open(&mut self, stdio: Stdio) -> Result<()> {
        for (index, end) in self.ends.iter_mut().enumerate() {
            // Such a stdin ends by being closed.
            if index == 0 && stdio.stdin_once {
                continue;
            }
            if let Some(end) = end {
                *end = pipes::both_ways(end.as_fd())?;
            }
        }
        Ok(())
    }

    /// The descriptors that become 0, 1 and 2.
    pub(crate) fn fds<'a>(&'a self, null: BorrowedFd<'a>) -> [BorrowedFd<'a>; 3] {
        self.ends.each_ref().map(|end| end.as_ref().map_or(null, AsFd::as_fd))
    }
}

/// Pipes as asked for; a terminal is made by the runtime inside the container instead.
pub(crate) fn make(stdio: Stdio) -> Result<(Ours, Theirs)> {
    let mut ours = Ours::default();
    let mut ends = [None, None, None];
    if stdio.terminal {
        return Ok((ours, Theirs { ends }));
    }
    if stdio.stdin {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        nonblocking(&write)?;
        ours.stdin = Some(park(write));
        ends[0] = Some(read);
    }
    for stream in 0..2 {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        nonblocking(&read)?;
        ours.output[stream] = Some(park(read));
        ends[stream + 1] = Some(write);
    }
    Ok((ours, Theirs { ends }))
}

/// Gives a descriptor that is held as long as a container lives a high number. The low ones stay free for what a start needs:
/// the table that a container's process inherits is as long as the highest of those ([`sys::clone::clone`]).
pub(crate) fn park(fd: OwnedFd) -> OwnedFd {
    const FIRST_PARKED: i32 = 1024;
    rustix::io::fcntl_dupfd_cloexec(&fd, FIRST_PARKED).unwrap_or(fd)
}

/// Reads and writes never wait. Only this side: the flag belongs to this end of the pipe.
pub(crate) fn nonblocking(fd: impl AsFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)
}
