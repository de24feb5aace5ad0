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
use crate::kernel::read_file;
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
    // Whoever made the container may have been killed before, and the directory may be somebody else's mount.
    if mounts_on(&hung.directory)? <= hung.covered {
        return Ok(());
    }
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

/// Notes what take-down has to know: which namespace a path leads to now (it may lead to another one when the container has ended),
/// and what lies on the directory.
pub fn remember_namespace(plan: &mut Plan) {
    for step in &mut plan.prepare {
        if let Some(Act::HangRoot(hung)) = &mut step.act {
            hung.inode = inode(&hung.namespace).unwrap_or(0);
            // One that cannot be entered will stop the start.
            hung.covered = visit(hung).and_then(|_visit| mounts_on(&hung.directory)).unwrap_or(0);
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

/// How many mounts lie on a directory.
fn mounts_on(directory: &str) -> Result<u32, Error> {
    let mounts = read_file("/proc/self/mountinfo").tried(|| "read /proc/self/mountinfo")?;
    Ok(count(&mounts, directory))
}

fn count(mounts: &str, directory: &str) -> u32 {
    // As proc_pid_mountinfo(5) writes paths.
    let escapes = [("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012")];
    let written = escapes.iter().fold(directory.to_owned(), |text, (from, to)| text.replace(from, to));
    mounts.lines().filter(|line| line.split(' ').nth(4) == Some(&written)).count() as u32
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

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn mounts_on_one_place_are_counted() {
        let mounts = "1 0 8:1 / / rw - ext4 x rw\n2 1 8:1 /a /a\\040b rw - ext4 x rw\n3 2 8:1 /a /a\\040b rw - ext4 x rw\n";
        assert_eq!((count(mounts, "/a b"), count(mounts, "/a"), count(mounts, "/")), (2, 0, 1));
    }
}
