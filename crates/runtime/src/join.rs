//! Namespaces that exist already: the parent steps into them for the moment of the clone, and back. A child could not join
//! all of them itself: a pid namespace takes effect for children only, and rights over the others are lost in a new user namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{Namespace, NamespaceKind};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use rustix::io::Errno;
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
        join_of(fd, &[kind]).tried(tried)?;
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

/// Joins namespaces of the process behind a pidfd, or a namespace by its own descriptor. Without pidfds the process is known by its
/// directory in `/proc`, and each namespace by its link there.
pub(crate) fn join_of(process: BorrowedFd<'_>, kinds: &[NamespaceKind]) -> Result<(), Errno> {
    if kinds.is_empty() {
        return Ok(());
    }
    match sys::process::join(process, kinds.iter().fold(0, |all, kind| all | clone_flag(*kind))) {
        Err(Errno::INVAL) if is_directory(process) => {}
        other => return other,
    }
    let open = |kind: &NamespaceKind| {
        let link = format!("ns/{}", kind.link());
        Ok((*kind, openat(process, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    };
    let mut left = kinds.iter().map(open).collect::<Result<Vec<_>, Errno>>()?;
    // Those of the outside need the rights of the outside, those of a user namespace perhaps only its own.
    left.sort_by_key(|(kind, _)| (*kind == NamespaceKind::User, *kind == NamespaceKind::Mount));
    let mut refused = Vec::new();
    for (kind, namespace) in left {
        match sys::process::join(namespace.as_fd(), clone_flag(kind)) {
            Err(Errno::PERM) if kind != NamespaceKind::User => refused.push((kind, namespace)),
            other => other?,
        }
    }
    refused.iter().try_for_each(|(kind, namespace)| sys::process::join(namespace.as_fd(), clone_flag(*kind)))
}

fn is_directory(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
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
