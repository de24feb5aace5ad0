//! `diff`: the root as it is against the root as the image has it, in Docker's terms. A directory is changed when its owner, mode
//! or content is; its date does not count. Of what is new everything is told, of what is gone only the top.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, Stat, fgetxattr, openat};

use super::{Owners, check_depth, is_opaque, names, open_dir, stub, within};
use crate::Store;
use crate::error::{Error, Result};
use crate::tree::{file_type, is_whiteout, os, stat_name};

/// What happened to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It is other than in the image.
    Modified,
    /// The image does not have it.
    Added,
    /// The image has it.
    Deleted,
}

/// One changed path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// From the root, with a leading slash. Not always UTF-8.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ChangeKind,
}

impl Store {
    /// What a container changed in its root, by path.
    ///
    /// # Errors
    /// `NotFound` when it has no snapshot; `Conflict` when it is removed meanwhile; when a directory cannot be read.
    pub fn changes(&self, container: &str, owners: Owners) -> Result<Vec<Changed>> {
        let sides = self.sides(container)?;
        let mut comparison = Comparison { found: Vec::new(), owners };
        let root = Pair { new: &sides.upper, old: Some(&sides.lower), hidden: false };
        comparison
            .directory(&root, b"", 0)
            .map_err(|e| Error::call(format!("cannot compare the root of container {container}"), e))?;
        self.still_there(container, "compared")?;
        Ok(comparison.found)
    }
}

/// A directory of the container and what the image has in its place.
struct Pair<'a> {
    new: &'a OwnedFd,
    old: Option<&'a OwnedFd>,
    /// What the image has here does not show through.
    hidden: bool,
}

struct Comparison {
    owners: Owners,
    found: Vec<Changed>,
}

impl Comparison {
    fn tell(&mut self, path: &[u8], kind: ChangeKind) {
        self.found.push(Changed { path: [b"/", path].concat(), kind });
    }

    fn directory(&mut self, pair: &Pair<'_>, path: &[u8], depth: usize) -> rustix::io::Result<()> {
        check_depth(depth)?;
        let hidden = pair.hidden || is_opaque(pair.new);
        let written = names(pair.new)?;
        let mut gone = Vec::new();
        if let Some(old) = pair.old.filter(|_| hidden) {
            gone = names(old)?;
            gone.retain(|name| written.binary_search(name).is_err());
        }
        let mut all: Vec<_> = written.iter().chain(&gone).collect();
        all.sort_unstable();
        for name in all {
            let path = within(path, name);
            if gone.binary_search(name).is_ok() {
                self.tell(&path, ChangeKind::Deleted);
            } else {
                let pair = Pair { hidden, ..*pair };
                self.entry(&pair, name, &path, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, pair: &Pair<'_>, name: &[u8], path: &[u8], depth: usize) -> rustix::io::Result<()> {
        let Some(stat) = self.owners.stat(pair.new, name)? else { return Ok(()) };
        let old = pair.old.map_or(Ok(None), |dir| stat_name(dir, name))?;
        if is_whiteout(&stat) {
            if old.is_some() {
                self.tell(path, ChangeKind::Deleted);
            }
            return Ok(());
        }
        let start = self.found.len();
        let changed = match &old {
            None if stub::is_file(path, &stat) => return Ok(()),
            None => Some(ChangeKind::Added),
            Some(old) => differs(pair, name, &stat, old)?.then_some(ChangeKind::Modified),
        };
        if let Some(kind) = changed {
            self.tell(path, kind);
        }
        if file_type(&stat) != FileType::Directory {
            return Ok(());
        }
        let Some(new) = open_dir(pair.new, name)? else { return Ok(()) };
        let below = match pair.old {
            Some(dir) if old.is_some() => open_dir(dir, name)?,
            _ => None,
        };
        let within = Pair { new: &new, old: below.as_ref(), hidden: pair.hidden };
        self.directory(&within, path, depth + 1)?;
        let is_empty = self.found.len() == start + usize::from(changed.is_some());
        if changed == Some(ChangeKind::Added) && is_empty && stub::is_directory(path) {
            self.found.truncate(start);
        } else if changed.is_none() && !is_empty {
            let path = [b"/", path].concat();
            self.found.insert(start, Changed { path, kind: ChangeKind::Modified });
        }
        Ok(())
    }
}

/// Docker's comparison: owner, mode, device; of anything but a directory also length, date and capabilities.
fn differs(pair: &Pair<'_>, name: &[u8], new: &Stat, old: &Stat) -> rustix::io::Result<bool> {
    if new.st_mode != old.st_mode || new.st_uid != old.st_uid || new.st_gid != old.st_gid {
        return Ok(true);
    }
    match file_type(new) {
        FileType::Directory => return Ok(false),
        FileType::CharacterDevice | FileType::BlockDevice if new.st_rdev != old.st_rdev => return Ok(true),
        _ => {}
    }
    let same_nanos =
        new.st_mtime_nsec == old.st_mtime_nsec || new.st_mtime_nsec == 0 || old.st_mtime_nsec == 0;
    if new.st_size != old.st_size || new.st_mtime != old.st_mtime || !same_nanos {
        return Ok(true);
    }
    match (file_type(new), pair.old) {
        (FileType::RegularFile, Some(old)) => Ok(capability(pair.new, name)? != capability(old, name)?),
        _ => Ok(false),
    }
}

fn capability(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(dir, os(name), flags, Mode::empty()) else { return Ok(None) };
    let mut value = [0; 64];
    Ok(fgetxattr(&file, "security.capability", &mut value[..]).ok().map(|length| value[..length].to_vec()))
}
