//! Pipes that outlive the supervisor. The program has both directions of its stdout and stderr open (and of a stdin that never ends), so that
//! nothing breaks while nobody else has them; a next supervisor finds them among the descriptors of the container's processes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Result;

/// The same pipe, open for both directions.
pub(crate) fn both_ways(end: BorrowedFd<'_>) -> Result<OwnedFd> {
    open_again(end, OFlags::RDWR)
}

/// Which pipe this is.
pub(crate) fn number(end: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(end).map_or(0, |stat| stat.st_ino)
}

/// An end of the pipe with this number, non-blocking, if one of these processes has it open.
pub(crate) fn find(pids: &[i32], number: u64, direction: OFlags) -> Option<OwnedFd> {
    pids.iter().find_map(|pid| find_in(*pid, number, direction).ok().flatten())
}

fn find_in(pid: i32, number: u64, direction: OFlags) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    for name in Dir::read_from(&directory)? {
        let name = name?;
        if !name.file_name().to_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // The container may put something else there at any moment: looked at by a handle, which opens nothing yet.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let Ok(handle) = rustix::fs::openat(&directory, name.file_name(), flags, Mode::empty()) else {
            continue;
        };
        let stat = rustix::fs::fstat(&handle)?;
        if stat.st_ino == number && FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
            return open_again(handle.as_fd(), direction | OFlags::NONBLOCK).map(Some);
        }
    }
    Ok(None)
}

fn open_again(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
}
