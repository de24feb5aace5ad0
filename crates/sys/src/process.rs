//! Processes: `fork(2)`, `execve(2)`, and the clean signal state a program expects.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::{Errno, Result};

/// Clones this process in the plain way, which filters that know no `clone3` allow too: `fork(2)`. `None` is the child.
///
/// # Errors
/// The kernel's, and `EDEADLK` when this process has more than one thread.
pub fn fork() -> Result<Option<i32>> {
    if !is_single()? {
        return Err(Errno::DEADLK);
    }
    // SAFETY: there is one thread, so the child may do whatever the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Does this process have one thread only?
pub(crate) fn is_single() -> Result<bool> {
    // SAFETY: changes nothing: there is nothing to unshare for a process of one thread, and others are told so (`unshare(2)`).
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(true),
        _ if last_errno() == Errno::INVAL => Ok(false),
        // A filter may be in the way.
        _ => Ok(rustix::fs::stat("/proc/self/task")?.st_nlink == 3),
    }
}

/// A list of strings as `execve(2)` takes it. Made before the child must no longer fail.
#[derive(Debug)]
pub struct StringList {
    strings: Vec<CString>,
}

impl StringList {
    /// `None` when a string holds a NUL byte.
    pub fn new<S: AsRef<str>>(strings: &[S]) -> Option<Self> {
        let strings = strings.iter().map(|s| CString::new(s.as_ref()).ok()).collect::<Option<_>>()?;
        Some(Self { strings })
    }

    /// Adds one, unless it holds a NUL byte.
    pub fn push(&mut self, string: &str) {
        self.strings.extend(CString::new(string));
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    }
}

/// Replaces this program: `execve(2)`. Returns only on failure.
pub fn exec(path: &CString, args: &StringList, env: &StringList) -> Errno {
    let (args, env) = (args.pointers(), env.pointers());
    // SAFETY: all three point to NUL-terminated strings, both arrays end with a null pointer, and all outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    last_errno()
}

/// Replaces this program by an open file: `execveat(2)` with `AT_EMPTY_PATH`. Returns only on failure.
pub fn exec_file(file: BorrowedFd<'_>, args: &StringList, env: &StringList) -> Errno {
    let (args, env) = (args.pointers(), env.pointers());
    // SAFETY: as in `exec`; the empty path is a valid C string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// Ends this process at once: no destructors, no flushing of buffers that belong to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number.
    unsafe { libc::syscall(libc::SYS_exit_group, code) };
    // A filter forbids it, or makes it fail. musl's `_exit` would try for ever; this ends in an instruction that is forbidden, too.
    std::process::abort()
}

/// Gives every signal its default action and blocks none, as an executed program expects to find them.
///
/// # Errors
/// None is expected.
pub fn reset_signals() -> Result<()> {
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // The kernel's own layout: handler, flags, restorer, mask.
        let default = [0_u64; 4];
        // SAFETY: `default` is a whole kernel sigaction (SIG_DFL, no flags, empty mask of 8 bytes).
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null::<u64>(), 8_usize)
        };
    }
    let none = 0_u64;
    // SAFETY: `none` is a kernel signal set of the size passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&none),
            ptr::null::<u64>(),
            8_usize,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets a resource limit by the kernel's number.
///
/// # Errors
/// `EPERM` when the hard limit would be raised without `CAP_SYS_RESOURCE`.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is a whole rlimit64; the old value is not asked for.
    let done = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            ptr::from_ref(&limit),
            ptr::null_mut::<libc::rlimit64>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Takes close-on-exec off these descriptors of the caller's, which a program is to inherit.
///
/// # Errors
/// `EBADF` when one is not open.
pub fn inherit(first: u32, count: u32) -> Result<()> {
    for number in first..first.saturating_add(count) {
        // SAFETY: changes a flag of a descriptor, or fails when the number is none.
        let done = unsafe { libc::fcntl(number as i32, libc::F_SETFD, 0) };
        if done != 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// Are these descriptors open?
#[must_use]
pub fn are_open(first: u32, count: u32) -> bool {
    // SAFETY: asks for a flag of a descriptor, or fails when the number is none.
    (first..first.saturating_add(count)).all(|n| unsafe { libc::fcntl(n as i32, libc::F_GETFD) } >= 0)
}

/// Marks every descriptor from `first` on close-on-exec: `close_range(2)`.
///
/// # Errors
/// The kernel's.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: only sets a flag; no descriptor is closed now.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets the host name of this UTS namespace.
///
/// # Errors
/// The kernel's.
pub fn set_hostname(name: &str) -> Result<()> {
    // SAFETY: pointer and length describe `name`.
    let done = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets the NIS domain name of this UTS namespace.
///
/// # Errors
/// The kernel's.
pub fn set_domainname(name: &str) -> Result<()> {
    // SAFETY: pointer and length describe `name`.
    let done = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Joins a namespace, or several of a process at once when `fd` is a pidfd: `setns(2)`.
///
/// # Errors
/// The kernel's.
pub fn join(fd: BorrowedFd<'_>, kinds: u32) -> Result<()> {
    // SAFETY: the descriptor is open for the length of the call.
    let done = unsafe { libc::setns(fd.as_raw_fd(), kinds as i32) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Moves this process into new namespaces: `unshare(2)` with `CLONE_NEW*` only.
///
/// # Errors
/// The kernel's.
pub fn unshare(kinds: u32) -> Result<()> {
    const SHARED_TABLES: u32 = (libc::CLONE_FILES | libc::CLONE_FS | libc::CLONE_SYSVSEM) as u32;
    // SAFETY: without CLONE_FILES the descriptor table stays what the program believes it is.
    let done = unsafe { libc::unshare((kinds & !SHARED_TABLES) as i32) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Joins a new, empty session keyring: keys of the caller's session are not for the program.
///
/// # Errors
/// `ENOSYS` without keyrings, `EDQUOT` when the user has too many.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    let done =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<libc::c_char>()) };
    if done >= 0 { Ok(()) } else { Err(last_errno()) }
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
