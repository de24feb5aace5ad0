//! Read-only and masked paths, each through a handle of its place (CVE-2025-31133: nothing of the container's own is used).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, fstat, makedev};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::mount::{Change, RDONLY, set_attributes};

use crate::error::{Error, Tried};
use crate::mounts::{attach, tmpfs};
use crate::tree::Tree;
use crate::weak;

/// Binds each path onto itself, read-only with all below.
pub(crate) fn make_read_only(tree: &mut Tree, paths: &[String]) -> Result<(), Error> {
    for path in paths {
        let tried = || format!("make {path} read-only");
        let place = match tree.handle(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.tried(tried)?,
        };
        let place = weak::again("R12", tree.root(), path, place).tried(tried)?;
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
    let mut own = None;
    for path in paths {
        // Opened one after the other: a path that is named twice is covered twice.
        match tree.handle(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other
                .and_then(|place| weak::again("R12", tree.root(), path, place))
                .and_then(|place| cover(tree, &place, &mut own)),
        }
        .tried(|| format!("mask {path}"))?;
        tree.covered(path);
    }
    Ok(())
}

/// Covers a file by the host's null device, a directory by a copy of the tree's empty one or, without a sysfs to take that from, of a tmpfs of
/// this container's own. That one is put onto the first directory itself: a mount that is closed without having been attached
/// costs an RCU grace period, and kernels before 6.15 copy only attached ones.
fn cover(tree: &Tree, place: &OwnedFd, own: &mut Option<OwnedFd>) -> Result<(), Errno> {
    let is_directory = FileType::from_raw_mode(fstat(place)?.st_mode) == FileType::Directory;
    let copy = match (is_directory, tree.empty().or(own.as_ref())) {
        (true, Some(empty)) => copy_of(empty, "", OpenTreeFlags::AT_EMPTY_PATH)?,
        (true, None) => {
            let made = own.insert(tmpfs()?);
            attach(made, place)?;
            return set_attributes(made, c"", &READ_ONLY, false);
        }
        (false, _) => null_device(tree)?,
    };
    set_attributes(&copy, c"", &READ_ONLY, false)?;
    attach(&copy, place)
}

const READ_ONLY: Change<'_> = Change { set: RDONLY, clear: 0, propagation: 0, users: None };

fn copy_of(directory: impl AsFd, path: &str, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    open_tree(directory, path, flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}

/// The host's null device, which is still in sight; never the container's (CVE-2025-31133).
fn null_device(tree: &Tree) -> Result<OwnedFd, Errno> {
    if weak::is_off("R08") {
        return copy_of(tree.handle("/dev/null")?, "", OpenTreeFlags::AT_EMPTY_PATH);
    }
    let null = copy_of(CWD, "/dev/null", OpenTreeFlags::AT_SYMLINK_NOFOLLOW)?;
    let stat = fstat(&null)?;
    let is_null =
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(1, 3);
    if is_null { Ok(null) } else { Err(Errno::NODEV) }
}
