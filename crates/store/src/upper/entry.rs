//! A file of a tree as an entry of an archive.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use layer::{Device, Entry, EntryKind, Segment, Time, TreePath};
use rustix::fs::{
    FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, getxattr, listxattr, major, minor, openat,
    readlinkat,
};
use rustix::io::Errno;

use super::Owners;
use crate::tree::{file_type, os, proc_path};

const XATTR_BYTES: usize = 64 << 10;

/// An entry, and where its content comes from.
pub(super) struct Described {
    pub(super) entry: Entry,
    file: Option<File>,
}

impl Described {
    /// An entry without content.
    pub(super) fn bare(entry: Entry) -> Self {
        Self { entry, file: None }
    }

    /// With the owners that the container sees, also in a capability that is good for its users only.
    pub(super) fn owned(mut self, owners: Owners) -> Self {
        let entry = &mut self.entry;
        (entry.uid, entry.gid) = (owners.within(entry.uid), owners.within(entry.gid));
        for (name, value) in &mut entry.xattrs {
            if name == b"security.capability" && owners.count > 0 {
                widen_capability(value, owners.first);
            }
        }
        self
    }

    /// The content: as long as the entry says, also when the file is cut meanwhile.
    pub(super) fn content(&mut self) -> Box<dyn Read + '_> {
        match &mut self.file {
            Some(file) => Box::new(file.chain(io::repeat(0)).take(self.entry.size)),
            None => Box::new(io::empty()),
        }
    }
}

/// A capability of the third form names the root of the users that it is good for (capabilities(7)); one for the container's own
/// root is, within it, one of the second form.
fn widen_capability(value: &mut Vec<u8>, root: u32) {
    const FORM: usize = 3;
    if value.len() == 24 && value[FORM] == 3 && value[20..] == root.to_le_bytes() {
        value[FORM] = 2;
        value.truncate(20);
    }
}

/// Describes what has that name. Nothing for a socket, which no archive can hold, and for what vanished.
pub(super) fn describe(
    dir: &OwnedFd,
    name: &[u8],
    path: TreePath,
    stat: &Stat,
) -> rustix::io::Result<Option<Described>> {
    let kind = match file_type(stat) {
        FileType::RegularFile => return regular(dir, name, path),
        FileType::Directory => return directory(dir, name, path),
        FileType::Symlink => EntryKind::Symlink,
        FileType::CharacterDevice => EntryKind::CharDevice,
        FileType::BlockDevice => EntryKind::BlockDevice,
        FileType::Fifo => EntryKind::Fifo,
        _ => return Ok(None),
    };
    let mut entry = of(path, kind, stat);
    if kind == EntryKind::Symlink {
        match readlinkat(dir, os(name), Vec::new()) {
            Ok(target) => entry.link = target.into_bytes(),
            Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
            Err(e) => return Err(e),
        }
        return Ok(Some(Described { entry, file: None }));
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some(node) = present(openat(dir, os(name), flags, Mode::empty()))? else { return Ok(None) };
    let path = proc_path(&node);
    entry.xattrs = xattrs(|names| listxattr(&path, names), |name, value| getxattr(&path, os(name), value))?;
    Ok(Some(Described { entry, file: None }))
}

/// Another name of a file that the archive has already.
pub(super) fn another_name(path: TreePath, first: &TreePath, stat: &Stat) -> Described {
    let mut entry = of(path, EntryKind::Hardlink, stat);
    entry.link = first.as_bytes().to_vec();
    Described { entry, file: None }
}

fn regular(dir: &OwnedFd, name: &[u8], path: TreePath) -> rustix::io::Result<Option<Described>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Some(file) = present(openat(dir, os(name), flags, Mode::empty()))? else { return Ok(None) };
    let stat = fstat(&file)?;
    if file_type(&stat) != FileType::RegularFile {
        return Ok(None);
    }
    let mut entry = of(path, EntryKind::File, &stat);
    entry.size = u64::try_from(stat.st_size).unwrap_or(0);
    entry.segments = vec![Segment { offset: 0, length: entry.size }];
    entry.xattrs = of_handle(&file)?;
    Ok(Some(Described { entry, file: Some(File::from(file)) }))
}

fn directory(dir: &OwnedFd, name: &[u8], path: TreePath) -> rustix::io::Result<Option<Described>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some(handle) = present(openat(dir, os(name), flags, Mode::empty()))? else { return Ok(None) };
    let mut entry = of(path, EntryKind::Directory, &fstat(&handle)?);
    entry.xattrs = of_handle(&handle)?;
    Ok(Some(Described { entry, file: None }))
}

/// Nothing for what vanished, or is something else by now.
fn present(opened: rustix::io::Result<OwnedFd>) -> rustix::io::Result<Option<OwnedFd>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

fn of(path: TreePath, kind: EntryKind, stat: &Stat) -> Entry {
    let mut entry = Entry::new("", kind, stat.st_mode & 0o7777);
    entry.path = path;
    entry.uid = stat.st_uid;
    entry.gid = stat.st_gid;
    entry.mtime =
        Time { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() };
    if matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
        entry.device = Device { major: major(stat.st_rdev), minor: minor(stat.st_rdev) };
    }
    entry
}

fn of_handle(file: impl AsFd) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    xattrs(|names| flistxattr(&file, names), |name, value| fgetxattr(&file, os(name), value))
}

/// The attributes that a layer may have, sorted, so that the same tree gives the same archive.
fn xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Nearly every file has none, or few.
    let mut few = [0; 256];
    let names = match list(&mut few) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => few[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut many = vec![0; XATTR_BYTES];
            let length = list(&mut many)?;
            many.truncate(length);
            many
        }
        Err(e) => return Err(e),
    };
    let mut value = vec![0; XATTR_BYTES];
    let mut found = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        if !layer::is_allowed_xattr(name) {
            continue;
        }
        match get(name, &mut value) {
            Ok(length) => found.push((name.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e),
        }
    }
    found.sort_unstable();
    Ok(found)
}
