//! Signals of this process: ignored, or read from a descriptor.

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Result;

use crate::process::last_errno;

/// Ignores a signal from now on.
///
/// # Errors
/// The kernel's: no such signal, or one that cannot be ignored.
pub fn ignore(signal: i32) -> Result<()> {
    // SAFETY: SIG_IGN installs no code of ours.
    let previous = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if previous == libc::SIG_ERR { Err(last_errno()) } else { Ok(()) }
}

/// Blocks these signals and gives a descriptor (close-on-exec, non-blocking) that becomes readable when one comes:
/// `signalfd(2)`.
///
/// # Errors
/// The kernel's.
pub fn descriptor(signals: &[i32]) -> Result<OwnedFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset writes the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: it was just written.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is a set; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    // SAFETY: `set` is a set, and nobody asks for the old mask.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: `set` is a set; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
