//! How much a tree holds.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::handle::Tree;

/// Directories deeper than this are not counted: only a hostile tree has them.
const DEPTH: usize = 512;

/// The sum of the lengths of all regular files below the path. What disappears meanwhile is not counted.
pub(crate) fn content_bytes(path: &Path) -> rustix::io::Result<u64> {
    let tree = Tree::open(path)?;
    let root = openat(tree.root(), ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    count(&root, 0)
}

fn count(dir: &OwnedFd, depth: usize) -> rustix::io::Result<u64> {
    let mut bytes = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match entry.file_type() {
            FileType::Directory if depth < DEPTH => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match openat(dir, name, flags, Mode::empty()) {
                    Ok(inner) => bytes += count(&inner, depth + 1)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(e) => return Err(e),
                }
            }
            FileType::RegularFile => match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => bytes += u64::try_from(stat.st_size).unwrap_or(0),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            },
            _ => {}
        }
    }
    Ok(bytes)
}
