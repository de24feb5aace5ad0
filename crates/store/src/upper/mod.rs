//! What a container wrote: its upper directory beside the layers below. Compared for `diff`, merged for `export`, captured for
//! `commit`. Read from handles, also while the container runs: what vanishes meanwhile is left out.

mod capture;
mod changes;
mod entry;
mod export;
mod spool;
mod stub;

use std::os::fd::OwnedFd;

use rustix::fs::{Dir, Mode, OFlags, Stat, fgetxattr, openat};
use rustix::io::Errno;
use types::{Kind, Rootfs};

pub use capture::Captured;
pub use changes::{ChangeKind, Changed};
pub(crate) use spool::Spool;

use crate::Store;
use crate::error::{Error, Result};
use crate::merged;
use crate::tree::{OPAQUE_XATTR, Tree, os, stat_name};

/// Directories within directories. An image cannot have deeper ones either (`layer::Limits::path_depth`).
const DEPTH: usize = 256;

/// The ids on disk of a container that has users of its own: its 0 is the host's `first`. By default ids are what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The host's id of the container's root.
    pub first: u32,
    /// So many ids are the container's.
    pub count: u32,
}

impl Owners {
    /// The id that the container sees.
    fn within(self, id: u32) -> u32 {
        let own = id.checked_sub(self.first).filter(|own| *own < self.count);
        own.unwrap_or(id)
    }

    /// What has that name in an upper directory, with the owners that the container sees.
    fn stat(self, dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
        let stat = stat_name(dir, name)?;
        Ok(stat.map(|mut stat| {
            (stat.st_uid, stat.st_gid) = (self.within(stat.st_uid), self.within(stat.st_gid));
            stat
        }))
    }
}

/// A container's upper directory and the view of its layers.
struct Sides {
    upper: OwnedFd,
    lower: OwnedFd,
    /// Keeps the view.
    _view: Tree,
}

impl Store {
    fn sides(&self, container: &str) -> Result<Sides> {
        let Rootfs::Overlay { lower, upper, .. } = self.snapshot(container, false)? else {
            return Err(Error::corrupt(format!("container {container} has no writable layer")));
        };
        let view = merged::view(&lower)?;
        let fail = |e: Errno| Error::call(format!("cannot open the root of container {container}"), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let upper = rustix::fs::open(&upper, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(fail)?;
        let lower = openat(view.root(), ".", flags, Mode::empty()).map_err(fail)?;
        Ok(Sides { upper, lower, _view: view })
    }

    /// Whoever reads a tree without holding it must see afterwards that it was there all the time.
    fn still_there(&self, container: &str, tried: &str) -> Result<()> {
        self.snapshot(container, false).map(|_| ()).map_err(|_| {
            Error::new(Kind::Conflict, format!("container {container} was removed while it was {tried}"))
        })
    }
}

/// The names in a directory, sorted.
fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a directory in a directory; nothing when it vanished or is something else by now.
fn open_dir(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, os(name), flags, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether the directory hides what the layers below have in it.
fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0; 8];
    fgetxattr(dir, OPAQUE_XATTR, &mut value[..]).is_ok_and(|length| value[..length] == *b"y")
}

fn within(path: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
    [path, slash, name].concat()
}

fn check_depth(depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH { Err(Errno::NAMETOOLONG) } else { Ok(()) }
}
