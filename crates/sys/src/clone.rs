//! Clones: `clone3(2)`, and a child that has nothing of its parent's but what it was given.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use linux_raw_sys::general::{
    CLONE_INTO_CGROUP, CLONE_NEWCGROUP, CLONE_NEWTIME, CLONE_PARENT, CLONE_PIDFD, clone_args,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions};

use crate::process::{exit_now, is_single, join, last_errno, unshare};

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
    /// The caller has few descriptors, whose table is copied faster than it is shared and left. What the caller closes, it must not
    /// expect to be the last to close before it hears from the child.
    pub few: bool,
}

impl Clone<'_> {
    fn flags(&self) -> u64 {
        let sibling = if self.sibling { u64::from(CLONE_PARENT) } else { 0 };
        self.namespaces | u64::from(CLONE_PIDFD) | sibling
    }

    /// What the child does with its table, which is its own by now.
    fn close_others(&self, besides: Option<BorrowedFd<'_>>) -> Result<()> {
        close_all_but(3 + self.inherited, self.keep.iter().copied().chain(besides))
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
/// Unless they are `few`, the child's descriptor table is as long as its highest kept descriptor asks for, not as its parent's: for a parent with
/// thousands of them that saves 64 KiB in every child for its whole life, and the copying.
///
/// # Errors
/// The kernel's; `EDEADLK` when this process has more than one thread: the child of such a process could not even allocate;
/// `ETIMEDOUT` when the child began so late that it had been given up.
pub fn clone(what: &Clone<'_>) -> Result<Side> {
    if !is_single()? {
        return Err(Errno::DEADLK);
    }
    // A sibling could not be waited for, should it not run.
    if what.sibling || what.few { clone_with_copy(what) } else { clone_sharing(what) }
}

/// The table is shared first, and left by the child at once: the kernel copies only what is not closed at the same time.
fn clone_sharing(what: &Clone<'_>) -> Result<Side> {
    let alone = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    if let Side::Parent(pid, pidfd) = clone_with(what, libc::CLONE_FILES as u64)? {
        if waited_for(&alone, &pidfd) {
            return Ok(Side::Parent(pid, pidfd));
        }
        // It does not run: its cgroup may be frozen. Nobody waits for that; a child with a table of its own needs no waiting.
        rustix::process::pidfd_send_signal(&pidfd, Signal::KILL)?;
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        let ran = rustix::io::read(&alone, &mut [0; 8]).is_ok();
        // The next child closes them among all others: it must not own them.
        drop((alone, pidfd));
        // It ran after all, just before its end: what it has told its parent must not be taken for the next one's.
        return if ran { Err(Errno::TIMEDOUT) } else { clone_with_copy(what) };
    }
    let kept = what.keep.iter().map(AsRawFd::as_raw_fd).chain([alone.as_raw_fd()]).map(|fd| fd as u32);
    if leave_shared_table(kept.fold(2 + what.inherited, u32::max) + 1).is_err() {
        // Still the parent's: nothing of it may be closed here.
        exit_now(1);
    }
    // What the parent closes after it has been told, it is the last to close.
    let closed = what.close_others(Some(alone.as_fd()));
    let told = closed.and_then(|()| rustix::io::write(&alone, &1_u64.to_ne_bytes()));
    drop(alone);
    in_child(told.map(drop))
}

/// The table is copied whole.
fn clone_with_copy(what: &Clone<'_>) -> Result<Side> {
    match clone_with(what, 0)? {
        Side::Child => in_child(what.close_others(None)),
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

/// Waits until the child has written there or has ended; false after too long, or when that cannot be waited for.
fn waited_for(alone: &OwnedFd, child: &OwnedFd) -> bool {
    const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut fds = [PollFd::new(alone, PollFlags::IN), PollFd::new(child, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, Some(&PATIENCE)) {
            Err(Errno::INTR) => {}
            other => return other.is_ok_and(|ready| ready > 0),
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
    if pid == -1 && last_errno() == Errno::NOSYS {
        return older_clone(what, flags);
    }
    answer(pid, pidfd)
}

/// Which side this is, by what the kernel answered.
fn answer(pid: i64, pidfd: i32) -> Result<Side> {
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: on success CLONE_PIDFD stored a fresh descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent(pid as i32, pidfd))
        }
    }
}

/// `clone(2)`, where a filter answers `clone3` with `ENOSYS` because it cannot look into its arguments (Docker's default profile does).
/// It knows no cgroups and has no room for the flag of a time namespace: its parent moves the child, which then makes both namespaces
/// itself. The root of a cgroup namespace is the cgroup that one is in at that moment.
fn older_clone(what: &Clone<'_>, flags: u64) -> Result<Side> {
    let mut late = u64::from(CLONE_NEWTIME);
    let Some(cgroup) = what.cgroup else {
        return match plain_clone(flags & !late)? {
            Side::Child => in_child(make_late(flags & late)),
            parent => Ok(parent),
        };
    };
    late |= u64::from(CLONE_NEWCGROUP);
    let procs = openat(cgroup, "cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let (moved, mover) = pipe_with(PipeFlags::CLOEXEC)?;
    // With a table of its own, the child sees it when its parent ends before it has been moved.
    match plain_clone(flags & !(late | libc::CLONE_FILES as u64))? {
        Side::Child => {
            drop((mover, procs));
            match rustix::io::read(&moved, &mut [0]) {
                Ok(1) => in_child(make_late(flags & late)),
                _ => exit_now(1),
            }
        }
        Side::Parent(pid, pidfd) => {
            let done = rustix::io::write(&procs, pid.to_string().as_bytes());
            if let Err(errno) = done.and_then(|_| rustix::io::write(&mover, b".")) {
                rustix::process::pidfd_send_signal(&pidfd, Signal::KILL)?;
                rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
                return Err(errno);
            }
            Ok(Side::Parent(pid, pidfd))
        }
    }
}

/// Namespaces that `clone(2)` could not make as it was to.
fn make_late(flags: u64) -> Result<()> {
    if flags != 0 {
        unshare(flags as u32)?;
    }
    if flags & u64::from(CLONE_NEWTIME) == 0 {
        return Ok(());
    }
    let path = "/proc/self/ns/time_for_children";
    let clocks = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    join(clocks.as_fd(), CLONE_NEWTIME)
}

fn plain_clone(flags: u64) -> Result<Side> {
    let flags = flags | libc::SIGCHLD as u64;
    let mut pidfd: i32 = -1;
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: as for clone3 above; with CLONE_PIDFD the third argument is where the descriptor is stored.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone, flags, nothing, ptr::from_mut(&mut pidfd), nothing, nothing)
    };
    answer(pid, pidfd)
}

/// Closes every descriptor from `first` on but these.
fn close_all_but<'a>(first: u32, keep: impl Iterator<Item = BorrowedFd<'a>>) -> Result<()> {
    let mut keep: Vec<u32> = keep.map(|fd| fd.as_raw_fd() as u32).filter(|fd| *fd >= first).collect();
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
