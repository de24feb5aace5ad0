//! OCI `tmpcopyup`: a new tmpfs begins with what the image has in its place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, mkdirat, openat,
    readlinkat, sendfile, statat, symlinkat,
};
use rustix::io::Errno;

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Copies the tree behind a handle into a mount that is not attached yet: directories, files and links with owners and modes.
pub(crate) fn copy(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let from = openat(from, ".", OPEN_DIRECTORY, Mode::empty())?;
    let to = openat(to, ".", OPEN_DIRECTORY, Mode::empty())?;
    copy_directory(from, to.as_fd())
}

fn copy_directory(from: OwnedFd, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = fstat(&from)?;
    let directory = Dir::read_from(&from)?;
    for entry in directory {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        copy_entry(from.as_fd(), to, name)?;
    }
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            let below = openat(to, name, OPEN_DIRECTORY, Mode::empty())?;
            copy_directory(openat(from, name, OPEN_DIRECTORY, Mode::empty())?, below.as_fd())
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, flags, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = openat(to, name, flags, Mode::RUSR)?;
            while sendfile(&copy, &source, None, 1 << 30)? > 0 {}
            fchown(&copy, Some(uid), Some(gid))?;
            fchmod(&copy, Mode::from_raw_mode(stat.st_mode & 0o7777))
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        }
        // Devices, sockets and FIFOs have no content to begin with.
        _ => Ok(()),
    }
}
