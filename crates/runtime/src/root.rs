//! The root file system: an overlay or a directory, as a mount that is attached nowhere yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use protocol::plan::Root;
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};
use sys::mount::{Change, IDMAP, PRIVATE, Users, set_attributes};
use types::Kind;

use crate::error::{Error, Tried};
use crate::mounts::complaint;

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
        return overlay(root, &root.lower).map_err(|error| error.or(tried));
    };
    for path in [&root.upper, &root.work] {
        rustix::fs::chown(&**path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
            .tried(|| format!("give {path} to the container's root"))?;
    }
    let layers =
        root.lower.iter().map(|l| mapped_clone(l, owner.namespace)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = layers.iter().map(path_of).collect();
    overlay(root, &names).map_err(|error| error.or(tried))
}

fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
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

/// A refusal, with what the file system said about it.
struct Refusal(String, Errno);

impl Refusal {
    fn or(self, tried: impl FnOnce() -> String) -> Error {
        let said = if self.0.is_empty() { tried() } else { format!("{} ({})", tried(), self.0) };
        Error::kernel(&said, self.1)
    }
}

fn overlay(root: &Root, lower: &[String]) -> Result<OwnedFd, Refusal> {
    let silent = |errno| Refusal(String::new(), errno);
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(silent)?;
    let said = |errno| Refusal(complaint(&context), errno);
    let set = |key: &str, value: &str| fsconfig_set_string(context.as_fd(), key, value);
    set("source", "overlay").map_err(said)?;
    // Before 6.5 layers come as one string, which this call cuts at 255 bytes; names by descriptor fit.
    let short = if one_by_one() { ShortList::default() } else { short_list(lower).map_err(silent)? };
    if short.text.is_empty() {
        for layer in lower {
            set("lowerdir+", layer).map_err(said)?;
        }
    } else {
        set("lowerdir", &short.text).map_err(said)?;
    }
    set("upperdir", &root.upper).map_err(said)?;
    set("workdir", &root.work).map_err(said)?;
    for option in &root.options {
        match option.split_once('=') {
            Some((key, value)) => set(key, value).map_err(said)?,
            None => fsconfig_set_flag(context.as_fd(), &**option).map_err(said)?,
        }
    }
    fsconfig_create(context.as_fd()).map_err(said)?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(silent)
}

/// Does this kernel take layers one by one (6.5)?
fn one_by_one() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(6), Some(5))
}

/// Layers as one string, and the descriptors it names, open as long as the answer.
#[derive(Default)]
struct ShortList {
    text: String,
    _open: Vec<OwnedFd>,
}

fn short_list(lower: &[String]) -> Result<ShortList, Errno> {
    let plain = lower.join(":");
    if plain.len() < 256 && lower.iter().all(|l| !l.contains([':', '\\'])) {
        return Ok(ShortList { text: plain, _open: Vec::new() });
    }
    let mut open = Vec::new();
    for layer in lower {
        open.push(openat(CWD, &**layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    }
    let names: Vec<String> = open.iter().map(path_of).collect();
    Ok(ShortList { text: names.join(":"), _open: open })
}

fn directory(root: &Root, owner: Option<Owner<'_>>) -> Result<OwnedFd, Error> {
    let tried = || format!("bind the root {}", root.directory);
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, &*root.directory, flags).tried(tried)?;
    set_attributes(&tree, c"", &Change { propagation: PRIVATE, ..Change::default() }, true).tried(tried)?;
    if let Some(owner) = owner {
        let change = Change { set: IDMAP, users: Some(Users(owner.namespace)), ..Change::default() };
        set_attributes(&tree, c"", &change, false).tried(tried)?;
    }
    Ok(tree)
}
