//! A tree's root as a handle. Names below it are resolved by the kernel within the root: absolute links mean the root,
//! `..` stops at it, magic links are refused (openat2(2), RESOLVE_IN_ROOT).

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layer::TreePath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, statat};
use rustix::io::Errno;
use types::weak;

/// How often the kernel may say that the tree changed under a look-up.
const TRIES: u32 = 10_000;

/// The root of a tree.
pub(crate) struct Tree {
    root: OwnedFd,
}

impl Tree {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    pub(crate) fn open(path: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::open(path, flags, Mode::empty()).map(Self::new)
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens what `path` leads to within the tree.
    pub(crate) fn open_at(&self, path: &TreePath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let name = if path.is_root() { OsStr::new(".") } else { os(path.as_bytes()) };
        let strict = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let resolve = if weak::is_off("I06") { ResolveFlags::empty() } else { strict };
        let mut tries = 0;
        loop {
            match openat2(&self.root, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // Something was renamed or mounted meanwhile; the kernel asks to try again.
                Err(Errno::AGAIN | Errno::INTR) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    /// A handle of a directory, good for making and removing names in it.
    pub(crate) fn directory(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::DIRECTORY)
    }
}

pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// What has that name in the directory, links not followed. `None`: nothing.
pub(crate) fn stat_name(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match statat(dir, os(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether it is overlayfs' mark for "not there".
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// The name by which calls that take only paths reach exactly the thing that the handle holds.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
