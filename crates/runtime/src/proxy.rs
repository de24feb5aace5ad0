//! Being born in a user namespace that exists. Whoever steps into one cannot step back, and namespaces must be made by somebody
//! inside to belong to it; so another process goes there, clones the container's first process as its own sibling, and ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::NamespaceKind;
use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::clone::{Clone, Side};
use types::Kind;

use crate::become_program::become_root;
use crate::error::{Error, Tried};
use crate::join::clone_flag;
use crate::kernel::read_file;
use crate::report::{self, Report};

/// Opens the user namespace at `path`.
pub(crate) fn open(path: &str) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open user namespace {path}"))
}

/// As [`sys::clone::clone`], from inside `users`. The child reports on `theirs`, the caller listens on `ours`.
pub(crate) fn clone(
    what: &Clone<'_>,
    users: BorrowedFd<'_>,
    theirs: BorrowedFd<'_>,
    ours: BorrowedFd<'_>,
) -> Result<Side, Error> {
    // Born in the container's cgroup: from inside the user namespace nobody may enter it.
    let keep = [what.keep, &[users, theirs]].concat();
    let outside = Clone { namespaces: 0, keep: &keep, ..*what };
    match sys::clone::clone(&outside).tried(|| "clone a process for the user namespace")? {
        Side::Child => {
            let inside = Clone { cgroup: None, sibling: true, ..*what };
            let told = match step_in(users, &inside) {
                Ok(Side::Child) => return Ok(Side::Child),
                Ok(Side::Parent(_, pidfd)) => report::send(theirs, &Report::Born(pidfd)),
                Err(error) => report::send(theirs, &Report::Failed(error)),
            };
            sys::process::exit_now(i32::from(told.is_err()))
        }
        Side::Parent(_, proxy) => {
            // Its whole message first: nothing else can come before it.
            let _ = waitid(WaitId::PidFd(proxy.as_fd()), WaitIdOptions::EXITED);
            match report::receive(ours, RecvFlags::DONTWAIT) {
                Ok(Report::Born(pidfd)) => Ok(Side::Parent(pid_of(&pidfd)?, pidfd)),
                Ok(Report::Failed(error)) => Err(error),
                _ => Err(Error::said(Kind::Internal, "the process in the user namespace was killed")),
            }
        }
    }
}

fn step_in(users: BorrowedFd<'_>, what: &Clone<'_>) -> Result<Side, Error> {
    sys::process::join(users, clone_flag(NamespaceKind::User)).tried(|| "join the user namespace")?;
    become_root().tried(|| "become root of the user namespace")?;
    sys::clone::clone(what).tried(|| "clone the container's first process")
}

/// The pid here of the process behind a pidfd: the one that made it may have been in another pid namespace.
fn pid_of(pidfd: &OwnedFd) -> Result<i32, Error> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = read_file(&path).tried(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = line.and_then(|pid| pid.trim().parse().ok()).filter(|pid| *pid > 0);
    pid.ok_or_else(|| Error::said(Kind::Internal, "the container's first process is gone"))
}
