//! The root file system: an overlay or a directory, as a mount that is attached nowhere yet.

use std::os::fd::{BorrowedFd, OwnedFd};

use protocol::plan::Root;
use rustix::fs::{CWD, Gid, Uid};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::mount::{Change, IDMAP, PRIVATE, Users, set_attributes};
use types::Kind;

use crate::error::{Error, Tried};
use crate::overlay::{self, path_of};

/// A container's user namespace, and who is its root outside.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) namespace: BorrowedFd<'a>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Makes the mount. With a user namespace, owners in the read-only layers are mapped through it. The writable layer holds
/// the ids of the outside, as overlayfs itself writes there with the rights of the one who mounts.
pub(crate) fn make(root: &Root, owner: Option<Owner<'_>>) -> Result<OwnedFd, Error> {
    let owner = owner.filter(|_| root.mapped);
    if root.lower.is_empty() {
        return directory(root, owner);
    }
    let tried = || "mount the root overlay".to_owned();
    let Some(owner) = owner else {
        return overlay::make(root, &root.lower).map_err(|error| error.or(tried));
    };
    for path in [&root.upper, &root.work] {
        rustix::fs::chown(&**path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
            .tried(|| format!("give {path} to the container's root"))?;
    }
    let layers =
        root.lower.iter().map(|l| mapped_clone(l, owner.namespace)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = layers.iter().map(path_of).collect();
    overlay::make(root, &names).map_err(|error| error.or(tried))
}

/// A detached copy of the mount at `path`, owners mapped.
fn mapped_clone(path: &str, users: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let clone = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .tried(|| format!("open layer {path}"))?;
    let change = Change { set: IDMAP, propagation: PRIVATE, users: Some(Users(users)), ..Change::default() };
    match set_attributes(&clone, c"", &change, false) {
        Ok(()) => Ok(clone),
        Err(Errno::INVAL) => Err(Error::said(
            Kind::Unimplemented,
            format!(
                "a user namespace needs id-mapped mounts, which this kernel does not have for the file system of {path}"
            ),
        )),
        Err(errno) => Err(Error::kernel(&format!("map the owners of {path}"), errno)),
    }
}

fn directory(root: &Root, owner: Option<Owner<'_>>) -> Result<OwnedFd, Error> {
    let tried = || format!("bind the root {}", root.directory);
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, &*root.directory, flags).tried(tried)?;
    let propagation = if root.propagation == 0 { PRIVATE } else { root.propagation };
    set_attributes(&tree, c"", &Change { propagation, ..Change::default() }, true).tried(tried)?;
    if let Some(owner) = owner {
        let change = Change { set: IDMAP, users: Some(Users(owner.namespace)), ..Change::default() };
        set_attributes(&tree, c"", &change, false).tried(tried)?;
    }
    Ok(tree)
}
