//! Mounting inside the root: everything is made detached, finished, and then put onto a handle of its place.

use std::os::fd::{AsFd, OwnedFd};

use protocol::plan::{Bind, Filesystem, Propagation};
use rustix::fs::{CWD, FileType, fstat, readlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick, move_mount,
    open_tree,
};
use sys::mount::{Change, NODEV, NOEXEC, NOSUID, set_attributes};

use crate::early::Early;
use crate::error::{Error, Tried};
use crate::tree::Tree;
use crate::{idmap, overlay, weak};

/// What the kernel says besides the error number, when it says something.
pub(crate) fn complaint(context: &OwnedFd) -> String {
    let mut buffer = [0; 512];
    let mut said = String::new();
    while let Ok(length) = rustix::io::read(context, &mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..length]);
        // Lines begin with their grade: e, w or i.
        if let Some(error) = line.trim_end().strip_prefix("e ") {
            said = error.to_owned();
        }
    }
    said
}

/// `mounts[3]: mount tmpfs on /x`
fn tried(field: &str, text: String) -> String {
    if field.is_empty() { text } else { format!("{field}: {text}") }
}

/// Makes a file system, attached nowhere.
pub(crate) fn make(fs: &Filesystem, mode: Option<u32>) -> Result<OwnedFd, Error> {
    let tried = |said: &str| {
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        tried(&fs.field, format!("mount {} on {}{said}", fs.kind, fs.target))
    };
    let context = fsopen(&*fs.kind, FsOpenFlags::FSOPEN_CLOEXEC).tried(|| tried(""))?;
    let refused = |errno| Error::kernel(&tried(&complaint(&context)), errno);
    fsconfig_set_string(context.as_fd(), "source", &*fs.source).map_err(refused)?;
    if let Some(mode) = mode {
        fsconfig_set_string(context.as_fd(), "mode", format!("{mode:o}")).map_err(refused)?;
    }
    let mut open = Vec::new();
    for option in &fs.options {
        set_option(&context, &fs.kind, option, &mut open).map_err(|errno| {
            Error::kernel(&format!("{}: option {option}", tried(&complaint(&context))), errno)
        })?;
    }
    fsconfig_create(context.as_fd()).map_err(refused)?;
    let attributes = MountAttrFlags::from_bits_retain(fs.attributes as u32);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).tried(|| tried(""))
}

/// One option of a file system. Directories of an overlay may be longer than what the call takes.
fn set_option(context: &OwnedFd, kind: &str, option: &str, open: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    match option.split_once('=') {
        Some((key @ ("lowerdir" | "upperdir" | "workdir"), value)) if kind == "overlay" => {
            overlay::set_directories(context, key, value, open)
        }
        Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value),
        None => fsconfig_set_flag(context.as_fd(), option),
    }
}

/// A small empty file system that nobody can fill.
pub(crate) fn tmpfs() -> Result<OwnedFd, Errno> {
    let attributes = MountAttrFlags::from_bits_retain((NOSUID | NODEV | NOEXEC) as u32);
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("source", "tmpfs"), ("size", "4k"), ("mode", "555")] {
        fsconfig_set_string(context.as_fd(), key, value)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Puts a detached mount onto a handle.
pub(crate) fn attach(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Changes the propagation of a mount, step by step.
fn propagate(mount: &OwnedFd, changes: &[Propagation]) -> Result<(), Errno> {
    for change in changes {
        let word = Change { propagation: change.word, ..Change::default() };
        set_attributes(mount, c"", &word, change.all)?;
    }
    Ok(())
}

/// Mounts a new file system inside the root.
pub(crate) fn filesystem(tree: &mut Tree, fs: &Filesystem, early: &mut Early) -> Result<(), Error> {
    let tried = |text: String| tried(&fs.field, text);
    if fs.remount {
        return remount(tree, fs);
    }
    let there = if fs.inherit_mode || fs.copy_up { tree.mode(&fs.target) } else { None };
    let mode = there.filter(|_| fs.inherit_mode);
    let mount = match early.take(&fs.target) {
        Some(mount) => mount,
        None => make(fs, mode)?,
    };
    let place = if fs.strict { tree.strict_directory(&fs.target)? } else { tree.directory(&fs.target)? };
    tree.refuse_inside_proc(&place, &fs.field, &fs.target)?;
    let place = weak::again("R03", tree.root(), &fs.target, place).tried(|| tried(fs.target.clone()))?;
    // A directory that was made for the mount says nothing about the one the user wants: everybody's, as for any new tmpfs.
    if fs.copy_up && there.is_some() {
        crate::copy_up::copy(&place, &mount).tried(|| tried(format!("copy {} into its tmpfs", fs.target)))?;
    }
    attach(&mount, &place).tried(|| tried(format!("mount {} on {}", fs.kind, fs.target)))?;
    // Others' targets may be links to anywhere in the root; those of the cgroup tree are known.
    tree.covered(if fs.kind.starts_with("cgroup") { &fs.target } else { "" });
    if fs.kind == "sysfs" {
        tree.has_sysfs(&mount);
    }
    if fs.target == "/proc" {
        tree.has_proc(&mount);
    }
    let first = (fs.propagation != 0).then_some(Propagation { word: fs.propagation, all: false });
    let changes: Vec<_> = first.into_iter().chain(fs.then.iter().copied()).collect();
    propagate(&mount, &changes).tried(|| tried(format!("set propagation of {}", fs.target)))
}

/// Changes the mount that is there and, with options, its file system.
fn remount(tree: &Tree, fs: &Filesystem) -> Result<(), Error> {
    let tried = || tried(&fs.field, format!("remount {}", fs.target));
    let place = tree.handle(&fs.target).tried(tried)?;
    let change = Change { set: fs.attributes, clear: fs.clear, ..Change::default() };
    if change != Change::default() {
        set_attributes(&place, c"", &change, false).tried(tried)?;
    }
    if !fs.options.is_empty() {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        let context = fspick(&place, "", flags).tried(tried)?;
        for option in &fs.options {
            set_option(&context, &fs.kind, option, &mut Vec::new())
                .tried(|| format!("{} ({}): option {option}", tried(), complaint(&context)))?;
        }
        fsconfig_reconfigure(context.as_fd()).tried(|| format!("{} ({})", tried(), complaint(&context)))?;
    }
    propagate(&place, &fs.then).tried(tried)
}

/// A detached copy of a piece of the host's tree.
pub(crate) fn open_source(bind: &Bind) -> Result<OwnedFd, Error> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if bind.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if bind.no_follow {
        flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    }
    let text = || tried(&bind.field, format!("bind {} on {}", bind.source, bind.target));
    open_tree(CWD, &*bind.source, flags).tried(text)
}

/// A copy whose number is of now: since 6.8 lists of mounts are sorted by it, and readers expect the document's order. What the kernel
/// does not copy, as it is attached nowhere (before 6.15) or another's, stays as it is.
fn renew(mount: OwnedFd, recursive: bool) -> OwnedFd {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(&mount, "", flags).unwrap_or(mount)
}

/// Mounts a piece of the host's tree inside the root.
pub(crate) fn bind(tree: &mut Tree, bind: &Bind, early: &mut Early) -> Result<(), Error> {
    let tried = || tried(&bind.field, format!("bind {} on {}", bind.source, bind.target));
    let mount = match early.take(&bind.target) {
        Some(mount) => renew(mount, bind.recursive),
        None => open_source(bind)?,
    };
    if let Some(users) = early.take_users(&bind.target) {
        idmap::apply(&mount, bind, users.as_fd())?;
    }
    let all = Change {
        set: if weak::is_off("R05") { 0 } else { bind.set_all },
        clear: bind.clear_all,
        propagation: if bind.propagate_all { bind.propagation } else { 0 },
        ..Change::default()
    };
    if all != Change::default() {
        set_attributes(&mount, c"", &all, true).tried(tried)?;
    }
    let one = Change {
        set: bind.set,
        clear: bind.clear,
        propagation: if bind.propagate_all { 0 } else { bind.propagation },
        ..Change::default()
    };
    if one != Change::default() {
        set_attributes(&mount, c"", &one, false).tried(tried)?;
    }
    propagate(&mount, &bind.then).tried(tried)?;
    let kind = FileType::from_raw_mode(fstat(&mount).tried(tried)?.st_mode);
    if kind == FileType::Symlink {
        let text = readlinkat(&mount, "", Vec::new()).tried(tried)?;
        return tree.copy_link(&bind.target, &text.to_string_lossy());
    }
    let place =
        if kind == FileType::Directory { tree.directory(&bind.target)? } else { tree.file(&bind.target)? };
    tree.refuse_inside_proc(&place, &bind.field, &bind.target)?;
    let place = weak::again("R03", tree.root(), &bind.target, place).tried(tried)?;
    attach(&mount, &place).tried(tried)?;
    // The target may be a link to anywhere in the root.
    tree.covered("");
    if bind.target == "/proc" {
        tree.has_proc(&mount);
    }
    Ok(())
}

/// Sets attributes of the mount at `target` (the root's when empty).
pub(crate) fn attributes(tree: &Tree, target: &str, set: u64) -> Result<(), Error> {
    let tried = || format!("set attributes of the mount on {}", if target.is_empty() { "/" } else { target });
    let change = Change { set, ..Change::default() };
    if target.is_empty() {
        return set_attributes(tree.root(), c"", &change, false).tried(tried);
    }
    let mount = tree.handle(target).tried(tried)?;
    set_attributes(&mount, c"", &change, false).tried(tried)
}
