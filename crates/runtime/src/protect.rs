//! Read-only and masked paths, each through a handle of its place (CVE-2025-31133: nothing of the container's own is used).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};
use sys::mount::{Change, NODEV, NOEXEC, NOSUID, RDONLY, set_attributes};

use crate::error::{Error, Tried};
use crate::mounts::attach;
use crate::tree::Tree;

/// Binds each path onto itself, read-only with all below.
pub(crate) fn make_read_only(tree: &mut Tree, paths: &[String]) -> Result<(), Error> {
    for path in paths {
        let tried = || format!("make {path} read-only");
        let place = match tree.handle(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.tried(tried)?,
        };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH;
        let copy = open_tree(&place, "", flags).tried(tried)?;
        set_attributes(&copy, c"", &Change { set: RDONLY, ..Change::default() }, true).tried(tried)?;
        attach(&copy, &place).tried(tried)?;
    }
    tree.forget();
    Ok(())
}

/// Covers each path by an empty directory or file that cannot be written.
pub(crate) fn mask(tree: &mut Tree, paths: &[String]) -> Result<(), Error> {
    let mut empty = None;
    for path in paths {
        let tried = || format!("mask {path}");
        let place = match tree.handle(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.tried(tried)?,
        };
        let directory = FileType::from_raw_mode(fstat(&place).tried(tried)?.st_mode) == FileType::Directory;
        let empty = match &empty {
            Some(empty) => empty,
            None => empty.insert(Empty::make().tried(tried)?),
        };
        attach(&empty.cover(directory).tried(tried)?, &place).tried(tried)?;
    }
    tree.forget();
    Ok(())
}

/// One tmpfs with an empty directory and an empty file; every mask is a copy of a mount of one of them, so a container
/// has one more superblock, not a dozen.
struct Empty(OwnedFd);

impl Empty {
    fn make() -> Result<Self, Errno> {
        let attributes = MountAttrFlags::from_bits_retain((NOSUID | NODEV | NOEXEC) as u32);
        let mount = tmpfs("4k", attributes)?;
        mkdirat(&mount, "directory", Mode::from_raw_mode(0o555))?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(openat(&mount, "file", flags, Mode::from_raw_mode(0o444))?);
        set_attributes(&mount, c"", &Change { set: RDONLY, ..Change::default() }, false)?;
        Ok(Self(mount))
    }

    /// A mount to put over a path.
    fn cover(&self, directory: bool) -> Result<OwnedFd, Errno> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        match open_tree(&self.0, if directory { "directory" } else { "file" }, flags) {
            // Before 6.15 a detached mount cannot be copied.
            Err(Errno::INVAL) if directory => {
                let attributes = MountAttrFlags::from_bits_retain((RDONLY | NOSUID | NODEV | NOEXEC) as u32);
                tmpfs("4k", attributes)
            }
            // The host's, which is still in sight, not the container's.
            Err(Errno::INVAL) => {
                let null = open_tree(CWD, "/dev/null", flags)?;
                set_attributes(&null, c"", &Change { set: RDONLY, ..Change::default() }, false)?;
                Ok(null)
            }
            other => other,
        }
    }
}

fn tmpfs(size: &str, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "tmpfs")?;
    fsconfig_set_string(context.as_fd(), "size", size)?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
