//! Between `create` and `start`: the container's first process waits at a FIFO in the state directory. One byte lets it go on; it lets
//! go of the FIFO when it becomes the program, or leaves a word there why it could not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::error::{Error, Tried};

/// The byte that `start` writes.
pub(crate) const GO: u8 = b'0';
/// The byte that sends the process home.
const LEAVE: u8 = b'1';

/// Signals that end a waiting process. The first process of a pid namespace is not ended by one it does not handle; whoever asks it
/// to end meanwhile is obeyed.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Opened for reading and writing, so that neither this open nor the container's read waits for or misses the other side.
pub(crate) fn make(path: &Path) -> Result<OwnedFd, Errno> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// The child: waits until it may go on.
pub(crate) fn wait(fifo: BorrowedFd<'_>) -> Result<(), Error> {
    let tried = || "wait for the start";
    let signals = sys::signal::descriptor(&ENDING.map(Signal::as_raw)).tried(tried)?;
    let mut byte = [0];
    loop {
        let mut watched =
            [PollFd::from_borrowed_fd(fifo, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut watched, None) {
            Err(Errno::INTR) => continue,
            other => other.tried(tried)?,
        };
        if watched[0].revents().contains(PollFlags::IN) && rustix::io::read(fifo, &mut byte).tried(tried)? > 0
        {
            match byte {
                [LEAVE] => sys::process::exit_now(0),
                _ => return sys::process::reset_signals().tried(tried),
            }
        }
        if let Some(signal) = crate::command::next_signal(signals.as_fd()) {
            sys::process::exit_now(128 + signal);
        }
    }
}

/// Does a process wait at the FIFO, or is one on its way there?
pub(crate) fn is_waiting(path: &Path) -> bool {
    !matches!(open_other_side(path), Err(Errno::NOENT | Errno::NXIO))
}

fn open_other_side(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
}

/// Sends a process home whose pid nobody wrote down, and waits a while for it to go.
pub(crate) fn dismiss(path: &Path) {
    let Ok(fifo) = open_other_side(path) else { return };
    if rustix::io::write(&fifo, &[LEAVE]).is_ok() {
        let limit = rustix::time::Timespec { tv_sec: 2, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&fifo, PollFlags::empty())], Some(&limit));
    }
}

/// The child: leaves word, for `start` and for whoever reads the container's output.
pub(crate) fn complain(fifo: BorrowedFd<'_>, error: &Error) {
    let text = error.to_string();
    let _ = rustix::io::write(fifo, text.as_bytes());
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes());
}

/// `start`, after its byte: waits until the program runs, or why it does not.
pub(crate) fn outcome(path: &Path, fifo: &OwnedFd) -> Result<Option<String>, Errno> {
    // Without a reader there is an error to see, and nothing else is asked for.
    let mut watched = [PollFd::new(fifo, PollFlags::empty())];
    while !watched[0].revents().contains(PollFlags::ERR) {
        match poll(&mut watched, None) {
            Err(Errno::INTR) => {}
            other => drop(other?),
        }
    }
    let left = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut word = [0; 4096];
    let length = match rustix::io::read(&left, &mut word) {
        Err(Errno::AGAIN) => 0,
        other => other?,
    };
    Ok(match &word[..length] {
        [] => None,
        [GO, ..] => Some("the container's first process is gone".to_owned()),
        word => Some(String::from_utf8_lossy(word).into_owned()),
    })
}
