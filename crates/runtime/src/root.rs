//! The root file system: an overlay or a directory, as a mount that is attached nowhere yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use protocol::plan::Root;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};
use sys::mount::{Change, IDMAP, PRIVATE, Users, set_attributes};

use crate::error::{Error, Tried};
use crate::mounts::complaint;

/// Makes the mount. With a user namespace, owners in the layers are mapped through it.
pub(crate) fn make(root: &Root, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    if root.lower.is_empty() {
        return directory(root, users.filter(|_| root.mapped));
    }
    let tried = || "mount the root overlay".to_owned();
    match users.filter(|_| root.mapped) {
        None => overlay(root, &root.lower, &root.upper, &root.work).map_err(|error| error.or(tried)),
        Some(users) => {
            let layers = root.lower.iter().map(|l| mapped_clone(l, users)).collect::<Result<Vec<_>, _>>()?;
            // Upper and work directory must lie on one mount: their common parent is cloned.
            let (parent, upper, work) = common_parent(&root.upper, &root.work);
            let parent = mapped_clone(parent, users)?;
            let below = |name: &str| openat(&parent, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let upper = below(upper).tried(|| format!("open {}", root.upper))?;
            let work = below(work).tried(|| format!("open {}", root.work))?;
            let names: Vec<String> = layers.iter().map(path_of).collect();
            overlay(root, &names, &path_of(&upper), &path_of(&work)).map_err(|error| error.or(tried))
        }
    }
}

fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn common_parent<'a>(upper: &'a str, work: &'a str) -> (&'a str, &'a str, &'a str) {
    let cut = upper
        .bytes()
        .zip(work.bytes())
        .enumerate()
        .take_while(|(_, (a, b))| a == b)
        .filter(|(_, (a, _))| *a == b'/')
        .last()
        .map_or(0, |(at, _)| at);
    (if cut == 0 { "/" } else { &upper[..cut] }, &upper[cut + 1..], &work[cut + 1..])
}

/// A detached copy of the mount at `path`, owners mapped.
fn mapped_clone(path: &str, users: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let clone = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .tried(|| format!("open layer {path}"))?;
    let change = Change { set: IDMAP, propagation: PRIVATE, users: Some(Users(users)), ..Change::default() };
    set_attributes(&clone, c"", &change, false).tried(|| format!("map the owners of {path}"))?;
    Ok(clone)
}

/// A refusal, with what the file system said about it.
struct Refusal(String, Errno);

impl Refusal {
    fn or(self, tried: impl FnOnce() -> String) -> Error {
        let said = if self.0.is_empty() { tried() } else { format!("{} ({})", tried(), self.0) };
        Error::kernel(&said, self.1)
    }
}

fn overlay(root: &Root, lower: &[String], upper: &str, work: &str) -> Result<OwnedFd, Refusal> {
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
    set("upperdir", upper).map_err(said)?;
    set("workdir", work).map_err(said)?;
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

fn directory(root: &Root, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    let tried = || format!("bind the root {}", root.directory);
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, &*root.directory, flags).tried(tried)?;
    set_attributes(&tree, c"", &Change { propagation: PRIVATE, ..Change::default() }, true).tried(tried)?;
    if let Some(users) = users {
        let change = Change { set: IDMAP, users: Some(Users(users)), ..Change::default() };
        set_attributes(&tree, c"", &change, false).tried(tried)?;
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::common_parent;

    #[test]
    fn parents() {
        assert_eq!(common_parent("/a/b/upper", "/a/b/work"), ("/a/b", "upper", "work"));
        assert_eq!(common_parent("/a/ux", "/a/uy"), ("/a", "ux", "uy"));
        assert_eq!(common_parent("/u", "/w"), ("/", "u", "w"));
    }
}
