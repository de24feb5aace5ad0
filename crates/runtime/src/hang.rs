//! A container without a mount namespace of its own: its root hangs in others' mounts, and is taken down after its end.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use protocol::Plan;
use protocol::plan::{Act, HungRoot, Namespace, NamespaceKind, Root};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use sys::mount::{Change, PRIVATE, set_attributes};

use crate::error::{Error, Tried};
use crate::join::Visit;
use crate::root;
use crate::tree::Tree;

/// Hangs the root onto its own directory, where the mounts below it do not travel any further.
pub(crate) fn hang(hung: &HungRoot) -> Result<(), Error> {
    let tried = || format!("hang the root {} into the mounts there are", hung.directory);
    let _visit = visit(hung)?;
    let mount = root::make(&Root { directory: hung.directory.clone(), ..Root::default() }, None)?;
    move_mount(&mount, "", CWD, &*hung.directory, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).tried(tried)?;
    // Being attached to a shared mount has made it shared.
    let private = Change { propagation: PRIVATE, ..Change::default() };
    set_attributes(&mount, c"", &private, true).tried(tried)
}

/// Takes it down, with all that hangs below it. A namespace that is gone took it along.
pub(crate) fn take_down(hung: &HungRoot) -> Result<(), Error> {
    if !hung.namespace.is_empty() && inode(&hung.namespace) != Some(hung.inode) {
        return Ok(());
    }
    let _visit = visit(hung)?;
    match unmount(&*hung.directory, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        other => other.tried(|| format!("take the root {} down", hung.directory)),
    }
}

/// The root that hangs already.
pub(crate) fn open(directory: &str) -> Result<Tree, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root: OwnedFd =
        rustix::fs::open(directory, flags, Mode::empty()).tried(|| format!("open the root {directory}"))?;
    Ok(Tree::new(root))
}

/// Notes which namespace a path leads to now: it may lead to another one when the container has ended.
pub fn remember_namespace(plan: &mut Plan) {
    for step in &mut plan.prepare {
        if let Some(Act::HangRoot(hung)) = &mut step.act {
            hung.inode = inode(&hung.namespace).unwrap_or(0);
        }
    }
}

fn visit(hung: &HungRoot) -> Result<Visit, Error> {
    if hung.namespace.is_empty() {
        return Ok(Visit::default());
    }
    let kind = NamespaceKind::Mount as i32;
    Visit::join(&[Namespace { kind, path: hung.namespace.clone(), late: false }], &[])
}

fn inode(path: &str) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.ino())
}

/// The root of a process, which may be below its namespace's.
pub(crate) fn root_of(pid: i32) -> Result<OwnedFd, Error> {
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&*path, flags, Mode::empty()).tried(|| format!("open {path}"))
}

/// Makes a directory the root: all there is to it where the mounts are others'.
pub(crate) fn change_root(root: impl AsFd) -> Result<(), Error> {
    let change = || {
        rustix::process::fchdir(root)?;
        rustix::process::chroot(".")?;
        rustix::process::chdir("/")
    };
    change().tried(|| "switch to the container's root")
}
