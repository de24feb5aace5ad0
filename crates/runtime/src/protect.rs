//! Read-only and masked paths, each through a handle of its place (CVE-2025-31133: nothing of the container's own is used).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat};
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
        tree.covered(path);
    }
    Ok(())
}

/// Covers each path by an empty directory or file that cannot be written.
pub(crate) fn mask(tree: &mut Tree, paths: &[String]) -> Result<(), Error> {
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    for path in paths {
        let tried = || format!("mask {path}");
        let place = match tree.handle(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.tried(tried)?,
        };
        let kind = FileType::from_raw_mode(fstat(&place).tried(tried)?.st_mode);
        if kind == FileType::Directory { &mut directories } else { &mut files }.push((path, place));
    }
    if directories.is_empty() && files.is_empty() {
        return Ok(());
    }
    let Some(((first_path, first), others)) = directories.split_first() else {
        return files
            .iter()
            .try_for_each(|(path, place)| null_device(place).tried(|| format!("mask {path}")));
    };
    let tried = || format!("mask {first_path}");
    let empty = tmpfs().tried(tried)?;
    attach(&empty, first).tried(tried)?;
    for (path, place) in others {
        cover(&empty, "", place).tried(|| format!("mask {path}"))?;
    }
    if !files.is_empty() {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&empty, "file", flags, Mode::from_raw_mode(0o444)).map(drop).tried(tried)?;
        for (path, place) in &files {
            cover(&empty, "file", place).tried(|| format!("mask {path}"))?;
        }
        unlinkat(&empty, "file", AtFlags::empty()).tried(tried)?;
    }
    let directory = openat(&empty, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(tried)?;
    fchmod(directory, Mode::from_raw_mode(0o555)).tried(tried)?;
    set_attributes(&empty, c"", &READ_ONLY, false).tried(tried)?;
    paths.iter().for_each(|path| tree.covered(path));
    Ok(())
}

const READ_ONLY: Change<'_> = Change { set: RDONLY, clear: 0, propagation: 0, users: None };

/// Puts a read-only copy of the empty tmpfs, or of the file in it, onto a place. One tmpfs serves all masks, so a
/// container has one more superblock, not a dozen. It is attached itself: a mount that is closed without having been
/// attached costs an RCU grace period, and kernels before 6.15 copy only attached ones.
fn cover(empty: &OwnedFd, name: &str, place: &OwnedFd) -> Result<(), Errno> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let copy = open_tree(empty, name, flags)?;
    set_attributes(&copy, c"", &READ_ONLY, false)?;
    attach(&copy, place)
}

/// Without a directory to put the tmpfs on: the host's null device, which is still in sight; never the container's.
fn null_device(place: &OwnedFd) -> Result<(), Errno> {
    let null =
        open_tree(CWD, "/dev/null", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    set_attributes(&null, c"", &READ_ONLY, false)?;
    attach(&null, place)
}

fn tmpfs() -> Result<OwnedFd, Errno> {
    let attributes = MountAttrFlags::from_bits_retain((NOSUID | NODEV | NOEXEC) as u32);
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "tmpfs")?;
    fsconfig_set_string(context.as_fd(), "size", "4k")?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
