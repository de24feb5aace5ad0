//! Layers seen as one tree. The kernel merges them: an overlay that is mounted nowhere, reached only by its handle, gone when
//! the handle is.

use std::path::{Path, PathBuf};

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

fn overlay(layers: &[PathBuf]) -> rustix::io::Result<Tree> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    if layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer)).is_err() {
        return overlay_at_once(layers);
    }
    finish(&context)
}

/// Before 6.7, all layers are one text.
fn overlay_at_once(layers: &[PathBuf]) -> rustix::io::Result<Tree> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let escape = |path: &Path| path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:");
    let joined = layers.iter().map(|path| escape(path)).collect::<Vec<_>>().join(":");
    fsconfig_set_string(&context, "lowerdir", joined)?;
    finish(&context)
}

fn finish(context: &std::os::fd::OwnedFd) -> rustix::io::Result<Tree> {
    fsconfig_create(context)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    // This very handle is what keeps the mount; it is as good as O_PATH.
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, quiet).map(Tree::new)
}
