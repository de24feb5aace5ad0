//! Making the new root the root.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};
use sys::mount::{Change, SLAVE, set_attributes};

use crate::error::{Error, Tried};
use crate::kernel::read_file;
use crate::mounts::{attach, tmpfs};
use crate::tree::Tree;

const TRIED: &str = "switch to the container's root";

/// `pivot_root(2)` with both arguments ".": the old root ends up on top of the new one and is detached from there.
pub(crate) fn pivot(tree: &Tree) -> Result<(), Error> {
    let tried = || TRIED;
    let old = open_directory("/").tried(tried)?;
    fchdir(tree.root()).tried(tried)?;
    pivot_root(".", ".").tried(tried)?;
    // The host must not lose what is detached here.
    fchdir(&old).tried(tried)?;
    set_attributes(&old, c"", &Change { propagation: SLAVE, ..Change::default() }, true).tried(tried)?;
    unmount(".", UnmountFlags::DETACH).tried(tried)?;
    chdir("/").tried(tried)
}

/// Where the host's root cannot be detached: the new one lies over it, and the process is held there. `hidden` is where the new root
/// hangs, unless that is "/" already.
pub(crate) fn enter(tree: &Tree, hidden: &str) -> Result<(), Error> {
    let tried = || format!("{TRIED} without a pivot");
    // The kernel lets a user namespace mount a proc or sysfs only where it sees a whole one. The host's, still there below, must not
    // be the one.
    let mounts = read_file("/proc/self/mountinfo").tried(|| "read /proc/self/mountinfo")?;
    for place in whole_views(&mounts, hidden) {
        hide(place).tried(|| format!("hide {place} of the host"))?;
    }
    if !hidden.is_empty() {
        move_mount(tree.root(), "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).tried(tried)?;
    }
    fchdir(tree.root()).tried(tried)?;
    chroot(".").tried(tried)?;
    chdir("/").tried(tried)
}

/// Places where a whole proc or sysfs of the host is mounted. What hangs below the new root, or lies over "/", is the container's.
fn whole_views<'a>(mounts: &'a str, hidden: &str) -> Vec<&'a str> {
    let mut views = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let kind = right.split(' ').next().unwrap_or_default();
        let (Some(whole), Some(place)) = (left.get(3), left.get(4)) else { continue };
        let inside =
            !hidden.is_empty() && place.strip_prefix(hidden).is_some_and(|rest| rest.starts_with('/'));
        if *whole == "/" && matches!(kind, "proc" | "sysfs") && !inside {
            views.push(*place);
        }
    }
    views
}

fn hide(place: &str) -> Result<(), Errno> {
    match unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // It went with one above it, or is the container's, which lies over "/" and has no such place in the host's tree.
        Err(Errno::NOENT) => Ok(()),
        // Not without rights over the host's mounts.
        Err(Errno::PERM | Errno::INVAL) => match open_directory(place) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(errno),
            Ok(directory) => attach(&tmpfs()?, &directory),
        },
        other => other,
    }
}

fn open_directory(path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::whole_views;

    #[test]
    fn whole_views_of_the_host_are_found() {
        let mounts = "22 1 0:20 / /proc rw shared:1 - proc proc rw\n23 22 0:20 /sys /proc/sys ro - proc proc rw\n\
                      24 1 0:21 / /sys rw - sysfs sysfs rw\n25 1 0:22 / /b/rootfs/proc rw - proc proc rw\n26 1 8:1 / / rw - ext4 x rw\n";
        assert_eq!(whole_views(mounts, "/b/rootfs"), ["/proc", "/sys"]);
        assert_eq!(whole_views(mounts, ""), ["/proc", "/sys", "/b/rootfs/proc"]);
    }
}
