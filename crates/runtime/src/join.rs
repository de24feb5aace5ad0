//! Namespaces that exist already: the parent steps into them for the moment of the clone, and back. A child could not join
//! all of them itself: a pid namespace takes effect for children only, and rights over the others are lost in a new user namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{Namespace, NamespaceKind};
use rustix::fs::{Mode, OFlags, open};
use types::Kind;

use crate::error::{Error, Tried};

/// Being elsewhere; dropping it returns.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    home: Vec<(OwnedFd, u32)>,
}

impl Visit {
    /// Joins every namespace of the list that has a path, but for a user namespace: from there no way leads back.
    pub(crate) fn join(namespaces: &[Namespace], fds: &[(String, BorrowedFd<'_>)]) -> Result<Self, Error> {
        let mut visit = Self::default();
        let users = NamespaceKind::User as i32;
        for namespace in namespaces.iter().filter(|n| !n.path.is_empty() && n.kind != users) {
            let kind = NamespaceKind::try_from(namespace.kind).map_err(|_| {
                Error::said(Kind::InvalidInput, "the plan joins a namespace of an unknown kind")
            })?;
            match namespace.path.strip_prefix("fd:") {
                Some(name) => {
                    let fd = fds.iter().find(|(n, _)| n == name).ok_or_else(|| {
                        Error::said(Kind::InvalidInput, format!("the descriptor {name:?} was not sent along"))
                    })?;
                    visit.enter(fd.1, kind, &namespace.path)?;
                }
                None => {
                    let fd = open(&*namespace.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                        .tried(|| format!("open {} namespace {}", kind.link(), namespace.path))?;
                    visit.enter(fd.as_fd(), kind, &namespace.path)?;
                }
            }
        }
        Ok(visit)
    }

    /// Children go into the pid namespace of the process behind `pidfd`.
    pub(crate) fn join_pid_of(pidfd: BorrowedFd<'_>) -> Result<Self, Error> {
        let mut visit = Self::default();
        visit.enter(pidfd, NamespaceKind::Pid, "of the container")?;
        Ok(visit)
    }

    fn enter(&mut self, fd: BorrowedFd<'_>, kind: NamespaceKind, path: &str) -> Result<(), Error> {
        let tried = || format!("join {} namespace {path}", kind.link());
        let home =
            open(format!("/proc/self/ns/{}", kind.link()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .tried(tried)?;
        sys::process::join(fd, clone_flag(kind)).tried(tried)?;
        self.home.push((home, clone_flag(kind)));
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for (home, flag) in self.home.drain(..).rev() {
            if let Err(errno) = sys::process::join(home.as_fd(), flag) {
                // A supervisor in a container's namespace must not go on; the way back has no reason to fail.
                panic!("cannot return to the host's namespace: {errno}");
            }
        }
    }
}

/// `CLONE_NEW*` of a kind.
pub(crate) const fn clone_flag(kind: NamespaceKind) -> u32 {
    match kind {
        NamespaceKind::Mount => 0x0002_0000,
        NamespaceKind::Cgroup => 0x0200_0000,
        NamespaceKind::Uts => 0x0400_0000,
        NamespaceKind::Ipc => 0x0800_0000,
        NamespaceKind::User => 0x1000_0000,
        NamespaceKind::Pid => 0x2000_0000,
        NamespaceKind::Net => 0x4000_0000,
        NamespaceKind::Time => 0x0000_0080,
    }
}
