//! What a pidfd tells beyond readiness: `PIDFD_GET_INFO` (kernel 6.13, exit codes from 6.15).

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Result;

use crate::process::last_errno;

const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` as of 6.16.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroupid: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    exit_code: i32,
}

/// The wait status of an exited process, also for one who is not its parent. `None` when the kernel cannot tell
/// (still running, or before 6.15).
///
/// # Errors
/// The kernel's, except that it does not know the question.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Result<Option<i32>> {
    // _IOWR(0xFF, 11, struct pidfd_info)
    let request: libc::Ioctl = (3 << 30 | (size_of::<Info>() as u64) << 16 | 0xFF << 8 | 11) as _;
    let mut info = Info { mask: PIDFD_INFO_EXIT, ..Info::default() };
    // SAFETY: `info` is as long as the request says, and the kernel writes no more than that.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), request, ptr::from_mut(&mut info)) };
    if done == 0 {
        return Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code));
    }
    match last_errno() {
        rustix::io::Errno::NOTTY | rustix::io::Errno::INVAL => Ok(None),
        other => Err(other),
    }
}

/// Sends any signal, real-time ones included: `pidfd_send_signal(2)`.
///
/// # Errors
/// The kernel's: no such signal, or the process has ended.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let none = ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo nothing is read or written.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
