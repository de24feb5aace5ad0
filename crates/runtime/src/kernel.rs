//! The one place that opens `/proc` and `/sys` files of the host for a container, each checked to be what it claims.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::Sysctl;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat2};
use rustix::io::Errno;

use crate::error::{Error, Tried};
use crate::weak;
use types::Kind;

/// A verified handle of the host's `/proc`.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

const PROC_MAGIC: i64 = 0x9fa0;
const PROC_ROOT_INODE: u64 = 1;

impl Proc {
    /// Opens `/proc` and makes sure that it is the root of a procfs (CVE-2019-16884, CVE-2025-52881).
    pub(crate) fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let proc = open("/proc", flags, Mode::empty()).tried(|| "open /proc")?;
        let magic = fstatfs(&proc).tried(|| "check /proc")?.f_type;
        let inode = fstat(&proc).tried(|| "check /proc")?.st_ino;
        if (magic != PROC_MAGIC || inode != PROC_ROOT_INODE) && !weak::is_off("R10") {
            return Err(Error::said(Kind::Unavailable, "/proc of the host is not a proc file system"));
        }
        Ok(Self(proc))
    }

    /// Writes a file below `/proc`, reached without crossing a mount or a magic link.
    pub(crate) fn write(&self, path: &str, value: &str) -> Result<(), Errno> {
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let resolve = if weak::is_off("R10") { ResolveFlags::empty() } else { strict };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(&self.0, path, flags, Mode::empty(), resolve)?;
        write_once(file.as_fd(), value)
    }

    /// Is this file there?
    pub(crate) fn has(&self, path: &str) -> bool {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        openat2(&self.0, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).is_ok()
    }

    /// Sets a kernel parameter, as this process's namespaces see it.
    pub(crate) fn set(&self, sysctl: &Sysctl) -> Result<(), Error> {
        let path = format!("sys/{}", sysctl.path);
        let done = self.write(&path, &sysctl.value);
        done.tried(|| format!("{}: write {} to /proc/{path}", sysctl.field, sysctl.value))
    }
}

/// Opens a kernel file (cgroup) for writing.
pub(crate) fn open_for_write(path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

/// Writes a kernel file: one `write(2)`, as such files want it.
pub(crate) fn write_file(path: &str, value: &str) -> Result<(), Errno> {
    write_once(open_for_write(path)?.as_fd(), value)
}

/// One `write(2)`.
pub(crate) fn write_once(file: BorrowedFd<'_>, value: &str) -> Result<(), Errno> {
    loop {
        match rustix::io::write(file, value.as_bytes()) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Reads a kernel file whole.
pub(crate) fn read_file(path: &str) -> Result<String, Errno> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
