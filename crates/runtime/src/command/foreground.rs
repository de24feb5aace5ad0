//! Waiting in the foreground: signals go on to the container, its terminal to ours, its exit code is the answer.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::output::Complaint;
use crate::Started;
use crate::error::Tried;

/// Signals are caught from its making on.
pub(crate) struct Watch {
    signals: OwnedFd,
}

/// Signals that are passed on to the container. The others are ours: SIGCHLD, SIGWINCH, and faults of this program.
const PASSED: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
];

impl Watch {
    pub(crate) fn begin() -> Result<Self, Complaint> {
        let mut numbers: Vec<i32> = PASSED.iter().map(|s| s.as_raw()).collect();
        numbers.push(Signal::WINCH.as_raw());
        Ok(Self { signals: sys::signal::descriptor(&numbers).tried(|| "catch signals")? })
    }

    /// Passes signals and bytes on until the process has ended.
    pub(crate) fn until_exit(&self, started: &Started) -> Result<i32, Complaint> {
        let terminal = started.terminal.as_ref();
        let raw = terminal.and_then(|_| Raw::make());
        if let Some(terminal) = terminal {
            copy_size(terminal.as_fd());
        }
        let mut input_open = true;
        loop {
            let stdin = rustix::stdio::stdin();
            let mut watched =
                vec![PollFd::new(&started.pidfd, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            if let Some(terminal) = terminal {
                watched.push(PollFd::new(terminal, PollFlags::IN));
                if input_open {
                    watched.push(PollFd::new(&stdin, PollFlags::IN));
                }
            }
            match poll(&mut watched, None) {
                Err(Errno::INTR) => continue,
                other => other.tried(|| "watch the container")?,
            };
            let ready: Vec<bool> = watched.iter().map(|w| !w.revents().is_empty()).collect();
            drop(watched);
            let at = |index: usize| ready.get(index).copied().unwrap_or(false);
            if at(1) {
                self.pass_signals(started);
            }
            if let Some(terminal) = terminal {
                if at(3) {
                    input_open = copy_some(stdin, terminal.as_fd())?;
                }
                if at(2) {
                    copy_some(terminal.as_fd(), rustix::stdio::stdout())?;
                }
            }
            // The last words are read before the end is believed.
            if at(0) && !(terminal.is_some() && at(2) && pending(terminal)) {
                break;
            }
        }
        drop(raw);
        reap(started)
    }

    fn pass_signals(&self, started: &Started) {
        while let Some(number) = next_signal(self.signals.as_fd()) {
            if number == Signal::WINCH.as_raw() {
                if let Some(terminal) = &started.terminal {
                    copy_size(terminal.as_fd());
                }
            } else if let Some(signal) = Signal::from_named_raw(number) {
                let _ = pidfd_send_signal(&started.pidfd, signal);
            }
        }
    }
}

/// The number of a signal that has come: the first word of `struct signalfd_siginfo`.
pub(crate) fn next_signal(signals: BorrowedFd<'_>) -> Option<i32> {
    let mut info = [0; 128];
    let length = rustix::io::read(signals, &mut info).ok()?;
    let number = info.first_chunk::<4>().filter(|_| length == info.len())?;
    Some(i32::from_le_bytes(*number))
}

/// More output waits in the terminal.
fn pending(terminal: Option<&OwnedFd>) -> bool {
    let Some(terminal) = terminal else { return false };
    let mut watched = [PollFd::new(terminal, PollFlags::IN)];
    let none = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&none)).is_ok() && watched[0].revents().contains(PollFlags::IN)
}

/// Copies what is there; false at the end.
fn copy_some(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<bool, Complaint> {
    let mut buffer = [0; 4096];
    let length = match rustix::io::read(from, &mut buffer) {
        // A terminal whose other side is closed answers so.
        Err(Errno::IO) => 0,
        Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
        other => other.tried(|| "read from the terminal")?,
    };
    let mut left = &buffer[..length];
    while !left.is_empty() {
        // Where nobody reads, the container is to go on all the same.
        let Ok(written) = rustix::io::write(to, left) else { break };
        left = &left[written..];
    }
    Ok(length > 0)
}

fn copy_size(terminal: BorrowedFd<'_>) {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok().filter(|size| size.ws_col != 0);
    if let Some(size) = size {
        let _ = tcsetwinsize(terminal, size);
    }
}

/// Our terminal in raw mode; dropping it restores it.
struct Raw(Termios);

impl Raw {
    fn make() -> Option<Self> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // The container's leaves newlines as they are.
        raw.output_modes.insert(OutputModes::OPOST);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Reaps the process: its exit code, or 128 and the signal's number.
pub(crate) fn reap(started: &Started) -> Result<i32, Complaint> {
    let status = loop {
        match waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            other => break other.tried(|| "wait for the container's end")?,
        }
    };
    let status = status.ok_or_else(|| Complaint::new("the exit status is gone"))?;
    Ok(status.exit_status().or_else(|| status.terminating_signal().map(|s| 128 + s)).unwrap_or(255))
}

/// Sends a descriptor to whoever listens at `path` (runc's `--console-socket` and `--pidfd-socket`).
pub(crate) fn send_descriptor(path: &str, what: &str, fd: BorrowedFd<'_>) -> Result<(), Complaint> {
    let failed =
        |errno| Complaint::new(format!("send the {what} to {path}: {}", crate::error::text_of(errno)));
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
    connect(&socket, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&socket, &[IoSlice::new(what.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)
        .map_err(failed)?;
    Ok(())
}
