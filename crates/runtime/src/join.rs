//! Namespaces that exist already: the parent steps into them for the moment of the clone, and back. A child could not join
//! all of them itself: a pid namespace takes effect for children only, and rights over the others are lost in a new user namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{Namespace, NamespaceKind};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{chroot, fchdir};
use types::Kind;

use crate::error::{Error, Tried};

/// Being elsewhere; dropping it returns.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    home: Vec<(OwnedFd, u32)>,
    /// Root and working directory, which another mount namespace replaces by its own.
    place: Option<[OwnedFd; 2]>,
}

impl Visit {
    /// Joins every namespace of the list that has a path, but for a user namespace: from there no way leads back.
    pub(crate) fn join(namespaces: &[Namespace], fds: &[(String, BorrowedFd<'_>)]) -> Result<Self, Error> {
        let mut visit = Self::default();
        let (users, mounts) = (NamespaceKind::User as i32, NamespaceKind::Mount as i32);
        let asked = |n: &&Namespace| !n.path.is_empty() && n.kind != users;
        // The paths are the caller's, so its mounts are left last.
        let (last, first): (Vec<_>, Vec<_>) = namespaces.iter().filter(asked).partition(|n| n.kind == mounts);
        for namespace in first.into_iter().chain(last) {
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
        if kind == NamespaceKind::Mount {
            let here =
                |path: &str| open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
            self.place = Some([here("/").tried(tried)?, here(".").tried(tried)?]);
        }
        sys::process::join(fd, clone_flag(kind)).tried(tried)?;
        self.home.push((home, clone_flag(kind)));
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut back: rustix::io::Result<()> =
            self.home.drain(..).rev().try_for_each(|(home, flag)| sys::process::join(home.as_fd(), flag));
        if let Some([root, directory]) = self.place.take() {
            back =
                back.and_then(|()| fchdir(root)).and_then(|()| chroot(".")).and_then(|()| fchdir(directory));
        }
        if let Err(errno) = back {
            // A supervisor in a container's namespace must not go on; the way back has no reason to fail.
            panic!("cannot return to the host's namespace: {errno}");
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
