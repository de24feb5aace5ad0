//! Mounting inside the root: everything is made detached, finished, and then put onto a handle of its place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Plan;
use protocol::plan::{Act, Bind, Filesystem};
use rustix::fs::{CWD, FileType, fstat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use sys::mount::{Change, IDMAP, Users, set_attributes};

use crate::error::{Error, Tried};
use crate::kernel::{Proc, open_for_write};
use crate::tree::Tree;

/// What the parent has made or opened before the clone, by target or path: in a user namespace the child has neither the
/// right to make these mounts nor to walk to their sources, nor to open its cgroups.
#[derive(Debug, Default)]
pub(crate) struct Early(Vec<(String, OwnedFd)>);

impl Early {
    pub(crate) fn of(plan: &Plan) -> Result<Self, Error> {
        let mut early = Self::default();
        if plan.users.is_none() {
            return Ok(early);
        }
        for act in plan.setup.iter().filter_map(|s| s.act.as_ref()) {
            match act {
                Act::Bind(bind) => early.0.push((bind.target.clone(), open_source(bind)?)),
                Act::EnterCgroup(path) => {
                    let file = open_for_write(path).tried(|| format!("open {path}"))?;
                    early.0.push((path.clone(), file));
                }
                Act::Sysctl(sysctl) if sysctl.early => Proc::open()?.set(sysctl)?,
                Act::Filesystem(fs) if fs.early => early.0.push((fs.target.clone(), make(fs)?)),
                _ => {}
            }
        }
        Ok(early)
    }

    /// Maps the owners of those binds that ask for it through the container's user namespace.
    pub(crate) fn map(&self, plan: &Plan, users: BorrowedFd<'_>) -> Result<(), Error> {
        for act in plan.setup.iter().filter_map(|s| s.act.as_ref()) {
            let Act::Bind(bind) = act else { continue };
            let Some((_, mount)) = self.0.iter().find(|(t, _)| bind.mapped && *t == bind.target) else {
                continue;
            };
            let change = Change { set: IDMAP, users: Some(Users(users)), ..Change::default() };
            set_attributes(mount, c"", &change, bind.recursive)
                .tried(|| format!("map the owners of {} for {}", bind.source, bind.target))?;
        }
        Ok(())
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, fd)| fd.as_fd())
    }

    pub(crate) fn take(&mut self, target: &str) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(t, _)| t == target)?;
        Some(self.0.remove(at).1)
    }
}

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

/// Makes a file system, attached nowhere.
fn make(fs: &Filesystem) -> Result<OwnedFd, Error> {
    let tried = |said: &str| match said {
        "" => format!("mount {} on {}", fs.kind, fs.target),
        said => format!("mount {} on {} ({said})", fs.kind, fs.target),
    };
    let context = fsopen(&*fs.kind, FsOpenFlags::FSOPEN_CLOEXEC).tried(|| tried(""))?;
    let refused = |errno| Error::kernel(&tried(&complaint(&context)), errno);
    fsconfig_set_string(context.as_fd(), "source", &*fs.source).map_err(refused)?;
    for option in &fs.options {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value),
            None => fsconfig_set_flag(context.as_fd(), &**option),
        }
        .map_err(|errno| {
            Error::kernel(&format!("{}: option {option}", tried(&complaint(&context))), errno)
        })?;
    }
    fsconfig_create(context.as_fd()).map_err(refused)?;
    let attributes = MountAttrFlags::from_bits_retain(fs.attributes as u32);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).tried(|| tried(""))
}

/// Puts a detached mount onto a handle.
pub(crate) fn attach(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Mounts a new file system inside the root.
pub(crate) fn filesystem(tree: &mut Tree, fs: &Filesystem, early: &mut Early) -> Result<(), Error> {
    let mount = match early.take(&fs.target) {
        Some(mount) => mount,
        None => make(fs)?,
    };
    let place = if fs.strict { tree.strict_directory(&fs.target)? } else { tree.directory(&fs.target)? };
    if fs.copy_up {
        crate::copy_up::copy(&place, &mount).tried(|| format!("copy {} into its tmpfs", fs.target))?;
    }
    attach(&mount, &place).tried(|| format!("mount {} on {}", fs.kind, fs.target))?;
    // Others' targets may be links to anywhere in the root; those of the cgroup tree are known.
    tree.covered(if fs.kind.starts_with("cgroup") { &fs.target } else { "" });
    if fs.kind == "sysfs" {
        tree.has_sysfs(&mount);
    }
    if fs.propagation != 0 {
        let change = Change { propagation: fs.propagation, ..Change::default() };
        set_attributes(&mount, c"", &change, false).tried(|| format!("set propagation of {}", fs.target))?;
    }
    Ok(())
}

/// A detached copy of a piece of the host's tree.
fn open_source(bind: &Bind) -> Result<OwnedFd, Error> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if bind.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if bind.no_follow {
        flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    }
    open_tree(CWD, &*bind.source, flags).tried(|| format!("bind {} on {}", bind.source, bind.target))
}

/// Mounts a piece of the host's tree inside the root.
pub(crate) fn bind(tree: &mut Tree, bind: &Bind, early: &mut Early) -> Result<(), Error> {
    let tried = || format!("bind {} on {}", bind.source, bind.target);
    let mount = match early.take(&bind.target) {
        Some(mount) => mount,
        None => open_source(bind)?,
    };
    let all = Change {
        set: bind.set_all,
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
    let kind = FileType::from_raw_mode(fstat(&mount).tried(tried)?.st_mode);
    let place =
        if kind == FileType::Directory { tree.directory(&bind.target)? } else { tree.file(&bind.target)? };
    attach(&mount, &place).tried(tried)?;
    // The target may be a link to anywhere in the root.
    tree.covered("");
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
