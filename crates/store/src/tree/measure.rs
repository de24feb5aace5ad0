//! How much a tree holds.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::handle::Tree;

/// Directories deeper than this are not counted: only a hostile tree has them.
const DEPTH: usize = 512;

/// The bytes of all files and symbolic links below the path, one with several names once, as Docker counts them. What disappears
/// meanwhile is not counted.
///
/// # Errors
/// When a directory cannot be read.
pub fn content_bytes(path: &Path) -> std::io::Result<u64> {
    let tree = Tree::open(path)?;
    let root = openat(tree.root(), ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(count(&root, 0, &mut HashSet::new())?)
}

fn count(dir: &OwnedFd, depth: usize, seen: &mut HashSet<(u64, u64)>) -> rustix::io::Result<u64> {
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
                    Ok(inner) => bytes += count(&inner, depth + 1, seen)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(e) => return Err(e),
                }
            }
            FileType::RegularFile | FileType::Symlink => match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) => {}
                Ok(stat) => bytes += u64::try_from(stat.st_size).unwrap_or(0),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            },
            _ => {}
        }
    }
    Ok(bytes)
}
