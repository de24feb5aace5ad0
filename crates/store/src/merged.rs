//! Layers seen as one tree. The kernel merges them: an overlay that is mounted nowhere, reached only by its handle, gone when
//! the handle is.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use crate::error::{Error, Result};
use crate::tree::Tree;

/// The read-only view of these layers, topmost first. What is opened in it is good while the view lives.
pub(crate) fn view(lower: &[PathBuf]) -> Result<Tree> {
    let seen = match lower {
        // Overlayfs wants two layers, or a writable one.
        [only] => Tree::open(only),
        layers => overlay(layers),
    };
    seen.map_err(|e| Error::call("cannot look into the image's layers", e))
}

/// An older kernel may take options that it does not know, and refuse them all at the end.
fn overlay(layers: &[PathBuf]) -> rustix::io::Result<Tree> {
    one_by_one(layers).or_else(|_| overlay_at_once(layers))
}

fn one_by_one(layers: &[PathBuf]) -> rustix::io::Result<Tree> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer))?;
    finish(&context)
}

/// Before Linux 6.5, all layers are one text of at most 255 bytes (fsconfig(2)): names by descriptor fit up to a dozen.
fn overlay_at_once(layers: &[PathBuf]) -> rustix::io::Result<Tree> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held: Vec<OwnedFd> =
        layers.iter().map(|layer| open(layer, flags, Mode::empty())).collect::<Result<_, _>>()?;
    let names: Vec<String> = held.iter().map(|dir| format!("/proc/self/fd/{}", dir.as_raw_fd())).collect();
    fsconfig_set_string(&context, "lowerdir", names.join(":"))?;
    finish(&context)
}

fn finish(context: &OwnedFd) -> rustix::io::Result<Tree> {
    fsconfig_create(context)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    // This very handle is what keeps the mount; it is as good as O_PATH.
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, quiet).map(Tree::new)
}
