//! Being born where no way leads back from: in a user namespace that exists (and namespaces must be made by somebody inside to belong
//! to it), or, for a caller without rights over the host's namespaces, in any. So another process goes there, clones the container's
//! first process as its own sibling, and ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::NamespaceKind;
use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::clone::{Clone, Side};
use types::Kind;

use crate::become_program::become_root;
use crate::error::{Error, Tried};
use crate::join::join_of;
use crate::kernel::read_file;
use crate::report::{self, Report};

/// Opens the user namespace at `path`.
pub(crate) fn open(path: &str) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open user namespace {path}"))
}

/// The way in.
pub(crate) struct Door<'a> {
    /// Steps over the threshold. May answer with a warning.
    pub(crate) step_in: &'a dyn Fn() -> Result<Option<String>, Error>,
    /// What it needs for that.
    pub(crate) keep: &'a [BorrowedFd<'a>],
    /// The child reports here.
    pub(crate) theirs: BorrowedFd<'a>,
    /// The caller listens here.
    pub(crate) ours: BorrowedFd<'a>,
}

/// As [`sys::clone::clone`], from behind the door.
pub(crate) fn clone(what: &Clone<'_>, door: &Door<'_>, warnings: &mut Vec<String>) -> Result<Side, Error> {
    // Born in the container's cgroup: from inside the user namespace nobody may enter it.
    let keep = [what.keep, door.keep, &[door.theirs]].concat();
    let outside = Clone { namespaces: 0, keep: &keep, ..*what };
    match sys::clone::clone(&outside).tried(|| "clone a process for the user namespace")? {
        Side::Child => {
            let inside = Clone { cgroup: None, sibling: true, ..*what };
            let told = match step_in(door, &inside) {
                // It says nothing before the proxy has: both speak to the same ear.
                Ok(Side::Child) if report::wait_go(door.theirs).is_ok() => return Ok(Side::Child),
                Ok(Side::Child) => sys::process::exit_now(1),
                Ok(Side::Parent(_, pidfd)) => report::send(door.theirs, &Report::Born(pidfd)),
                Err(error) => report::send(door.theirs, &Report::Failed(error)),
            };
            sys::process::exit_now(i32::from(told.is_err()))
        }
        Side::Parent(_, proxy) => {
            // Its whole message first: nothing else can come before it.
            let _ = waitid(WaitId::PidFd(proxy.as_fd()), WaitIdOptions::EXITED);
            loop {
                match report::receive(door.ours, RecvFlags::DONTWAIT) {
                    Ok(Report::Born(pidfd)) => {
                        report::send_go(door.ours, None).tried(|| "wake the container's first process")?;
                        return Ok(Side::Parent(pid_of(&pidfd)?, pidfd));
                    }
                    Ok(Report::Warning(text)) => warnings.push(text),
                    Ok(Report::Failed(error)) => return Err(error),
                    _ => {
                        return Err(Error::said(
                            Kind::Internal,
                            "the process in the user namespace was killed",
                        ));
                    }
                }
            }
        }
    }
}

fn step_in(door: &Door<'_>, what: &Clone<'_>) -> Result<Side, Error> {
    if let Some(warning) = (door.step_in)()? {
        report::send(door.theirs, &Report::Warning(warning)).tried(|| "report to the caller")?;
    }
    sys::clone::clone(what).tried(|| "clone the container's first process")
}

/// Joins a user namespace, with others of the same process if wanted, and becomes its root.
pub(crate) fn join_users(fd: BorrowedFd<'_>, others: &[NamespaceKind]) -> Result<(), Error> {
    join_of(fd, &[&[NamespaceKind::User], others].concat()).tried(|| "join the user namespace")?;
    become_root().tried(|| "become root of the user namespace")
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
