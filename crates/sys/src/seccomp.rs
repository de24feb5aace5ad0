//! Installing a system call filter: `seccomp(2)`.

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::{Errno, Result};

use crate::process::last_errno;

const INSTRUCTION_BYTES: usize = 8;
const SECCOMP_SET_MODE_FILTER: u32 = 1;
const SECCOMP_GET_ACTION_AVAIL: u32 = 2;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const NEW_LISTENER: u32 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
const WAIT_KILLABLE: u32 = 1 << 5;

/// Installs `filter`, an array of `struct sock_filter`, for this process and what it executes. With
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` the answer is where notifications are read.
///
/// # Errors
/// `EINVAL` for bytes that are no program; `EACCES` without `CAP_SYS_ADMIN` and `no_new_privs`.
pub fn install(filter: &[u8], flags: u32) -> Result<Option<OwnedFd>> {
    let length = filter.len() / INSTRUCTION_BYTES;
    if filter.is_empty() || !filter.len().is_multiple_of(INSTRUCTION_BYTES) {
        return Err(Errno::INVAL);
    }
    // The kernel copies from any address; sock_filter needs no alignment there.
    let program = libc::sock_fprog {
        len: u16::try_from(length).map_err(|_| Errno::INVAL)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `program` names `length` instructions that lie in `filter`; the kernel only reads them.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program)) };
    match done {
        -1 => Err(last_errno()),
        fd if flags & NEW_LISTENER != 0 => {
            // SAFETY: the kernel just made this descriptor, close-on-exec, for us.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
        }
        _ => Ok(None),
    }
}

/// Does this kernel know the flag (`SECCOMP_FILTER_FLAG_*`)?
#[must_use]
pub fn flag_available(flag: u32) -> bool {
    // One that waits for a listener goes with a listener only.
    let flags = if flag == WAIT_KILLABLE { flag | NEW_LISTENER } else { flag };
    // SAFETY: there is no filter at the null pointer, so nothing is installed.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, ptr::null::<libc::sock_fprog>())
    };
    done == -1 && last_errno() == Errno::FAULT
}

/// Does this kernel know the action (`SECCOMP_RET_*`)?
#[must_use]
pub fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads one u32.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, ptr::from_ref(&action)) };
    done == 0
}
