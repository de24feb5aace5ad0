//! Removing trees that others made: by handle, never following a link, and however deep they are.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::handle::os;
use crate::error::{Error, Result};

/// Directories open at once. What lies deeper is first moved up.
const DEPTH: usize = 64;

/// Removes a file or tree by its path, which must be ours. Not being there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let fail = |e: Errno| Error::call(format!("cannot remove {}", path.display()), e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(dir) => remove_at(&dir, name.as_encoded_bytes()).map_err(fail),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(fail(e)),
    }
}

/// Removes what has that name in the directory. Not being there is fine.
pub(crate) fn remove_at(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<()> {
    let mut moved = Vec::new();
    remove_name(dir.as_fd(), os(name), dir.as_fd(), 0, &mut moved)?;
    while let Some(name) = moved.pop() {
        remove_name(dir.as_fd(), os(name.as_bytes()), dir.as_fd(), 0, &mut moved)?;
    }
    Ok(())
}

fn remove_name<P: rustix::path::Arg + Copy>(
    dir: BorrowedFd<'_>,
    name: P,
    top: BorrowedFd<'_>,
    depth: usize,
    moved: &mut Vec<CString>,
) -> rustix::io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // A directory: Linux says EISDIR, POSIX EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    if depth == DEPTH {
        let place = unique_name();
        renameat(dir, name, top, &place)?;
        moved.push(place);
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(dir, name, flags, Mode::empty())?;
    // Removing while reading may skip a name: then the directory is not empty yet.
    loop {
        empty(&inner, top, depth, moved)?;
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {}
            Err(Errno::NOENT) => return Ok(()),
            other => return other,
        }
    }
}

fn empty(
    dir: &OwnedFd,
    top: BorrowedFd<'_>,
    depth: usize,
    moved: &mut Vec<CString>,
) -> rustix::io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            remove_name(dir.as_fd(), entry.file_name(), top, depth + 1, moved)?;
        } else {
            unlink_or_descend(dir, entry.file_name(), top, depth, moved)?;
        }
    }
    Ok(())
}

fn unlink_or_descend(
    dir: &OwnedFd,
    name: &std::ffi::CStr,
    top: BorrowedFd<'_>,
    depth: usize,
    moved: &mut Vec<CString>,
) -> rustix::io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => remove_name(dir.as_fd(), name, top, depth + 1, moved),
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn unique_name() -> CString {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(".deep-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    CString::new(name).unwrap_or_default()
}
