//! Making processes: `clone3(2)`, `execve(2)`, and the clean signal state a program expects.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use linux_raw_sys::general::{CLONE_INTO_CGROUP, CLONE_PARENT, CLONE_PIDFD, clone_args};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::{Errno, Result};
use rustix::process::{Signal, WaitId, WaitIdOptions};

/// What [`clone`] makes.
#[derive(Debug, Default)]
pub struct Clone<'a> {
    /// Namespaces to make: `CLONE_NEW*`.
    pub namespaces: u64,
    /// Be born in this v2 cgroup.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// What the child goes on with besides descriptors 0 to 2. It has no other: not one of its parent's may be found in a
    /// container (CVE-2024-21626).
    pub keep: &'a [BorrowedFd<'a>],
    /// How many descriptors from 3 on it goes on with besides.
    pub inherited: u32,
    /// Be a child of the caller's parent: `CLONE_PARENT`.
    pub sibling: bool,
}

impl Clone<'_> {
    fn flags(&self) -> u64 {
        let sibling = if self.sibling { u64::from(CLONE_PARENT) } else { 0 };
        self.namespaces | u64::from(CLONE_PIDFD) | sibling
    }

    /// What the child does with its table, which is its own by now.
    fn close_others(&self) -> Result<()> {
        close_all_but(3 + self.inherited, self.keep)
    }
}

/// Which side of a clone the caller is on.
#[derive(Debug)]
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's pid (in its own pid namespace) and pidfd.
    Parent(i32, OwnedFd),
}

/// Clones this process: `clone3(2)` with a pidfd, `SIGCHLD` on exit, memory copied. Both sides return.
///
/// The child's descriptor table is as long as its highest kept descriptor asks for, not as its parent's: for a parent with
/// thousands of them that saves 64 KiB in every child for its whole life, and the copying.
///
/// # Errors
/// The kernel's, and `EDEADLK` when this process has more than one thread: the child of such a process could not
/// even allocate.
pub fn clone(what: &Clone<'_>) -> Result<Side> {
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    // A sibling could not be waited for, should it not run.
    if what.sibling { clone_with_copy(what) } else { clone_sharing(what) }
}

/// The table is shared first, and left by the child at once: the kernel copies only what is not closed at the same time.
fn clone_sharing(what: &Clone<'_>) -> Result<Side> {
    let alone = eventfd(0, EventfdFlags::CLOEXEC)?;
    if let Side::Parent(pid, pidfd) = clone_with(what, libc::CLONE_FILES as u64)? {
        if waited_for(&alone, &pidfd)? {
            return Ok(Side::Parent(pid, pidfd));
        }
        // It does not run: its cgroup may be frozen. Nobody waits for that; a child with a table of its own needs no waiting.
        rustix::process::pidfd_send_signal(&pidfd, Signal::KILL)?;
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        return clone_with_copy(what);
    }
    let kept = what.keep.iter().map(AsRawFd::as_raw_fd).chain([alone.as_raw_fd()]).map(|fd| fd as u32);
    let left = leave_shared_table(kept.fold(2 + what.inherited, u32::max) + 1);
    let told = left.and_then(|()| rustix::io::write(&alone, &1_u64.to_ne_bytes()));
    drop(alone);
    in_child(told.and_then(|_| what.close_others()))
}

/// The table is copied whole.
fn clone_with_copy(what: &Clone<'_>) -> Result<Side> {
    match clone_with(what, 0)? {
        Side::Child => in_child(what.close_others()),
        parent => Ok(parent),
    }
}

/// A child that cannot get rid of its parent's descriptors must not go on.
fn in_child(closed: Result<()>) -> Result<Side> {
    match closed {
        Ok(()) => Ok(Side::Child),
        Err(_) => exit_now(1),
    }
}

/// Waits until the child has written there or has ended; false after too long.
fn waited_for(alone: &OwnedFd, child: &OwnedFd) -> Result<bool> {
    const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut fds = [PollFd::new(alone, PollFlags::IN), PollFd::new(child, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, Some(&PATIENCE)) {
            Err(Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// Makes the descriptor table this process's own, without what lies from `first` on: `close_range(2)`.
fn leave_shared_table(first: u32) -> Result<()> {
    const CLOSE_RANGE_UNSHARE: u32 = 2;
    // SAFETY: the caller, a child about to become another program, uses none of these descriptors any more.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_UNSHARE) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

fn clone_with(what: &Clone<'_>, flags: u64) -> Result<Side> {
    let flags = what.flags() | flags;
    let mut pidfd: i32 = -1;
    let mut args = clone_args {
        flags,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        // A sibling announces its end as the caller does.
        exit_signal: if what.sibling { 0 } else { libc::SIGCHLD as u64 },
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = what.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a whole clone_args with no stack, so the child runs on a copy of this one; there is one
    // thread, so no lock can be held by somebody who is missing in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, ptr::from_ref(&args), size_of::<clone_args>()) };
    let refusal = if pid == -1 { Some(last_errno()) } else { None };
    let pid = match refusal {
        Some(Errno::NOSYS) if what.cgroup.is_none() => older_clone(flags, &mut pidfd)?,
        Some(errno) => return Err(errno),
        None => pid,
    };
    match pid {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: on success CLONE_PIDFD stored a fresh descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent(pid as i32, pidfd))
        }
    }
}

/// `clone(2)`, where a filter answers `clone3` with `ENOSYS` because it cannot look into its arguments (Docker's
/// default profile does).
fn older_clone(flags: u64, pidfd: &mut i32) -> Result<i64> {
    let flags = flags | libc::SIGCHLD as u64;
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: as for clone3 above; with CLONE_PIDFD the third argument is where the descriptor is stored.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, flags, nothing, ptr::from_mut(pidfd), nothing, nothing) };
    if pid == -1 { Err(last_errno()) } else { Ok(pid) }
}

/// Clones this process in the plain way, which filters that know no `clone3` allow too: `fork(2)`. `None` is the child.
///
/// # Errors
/// The kernel's, and `EDEADLK` when this process has more than one thread.
pub fn fork() -> Result<Option<i32>> {
    if threads()? != 1 {
        return Err(Errno::DEADLK);
    }
    // SAFETY: there is one thread, so the child may do whatever the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// How many threads this process has.
fn threads() -> Result<u64> {
    let task = rustix::fs::stat("/proc/self/task")?;
    Ok(task.st_nlink.saturating_sub(2))
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
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
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

/// Closes every descriptor from `first` on but these.
fn close_all_but(first: u32, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut first = first;
    for last in keep.into_iter().map(Some).chain([None]) {
        let until = last.map_or(u32::MAX, |fd| fd - 1);
        if first <= until {
            // SAFETY: the caller, a child about to become another program, uses none of these descriptors any more.
            let done = unsafe { libc::syscall(libc::SYS_close_range, first, until, 0) };
            if done != 0 {
                return Err(last_errno());
            }
        }
        first = last.map_or(u32::MAX, |fd| fd + 1);
    }
    Ok(())
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
