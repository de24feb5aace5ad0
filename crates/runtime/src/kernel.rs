//! The one place that opens `/proc` and `/sys` files of the host for a container, each checked to be what it claims.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::Sysctl;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Error, Tried};
use crate::tree::open_below;
use crate::weak;
use types::Kind;

/// A verified handle of the host's `/proc`.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

pub(crate) const PROC_MAGIC: i64 = 0x9fa0;
pub(crate) const PROC_ROOT_INODE: u64 = 1;

impl Proc {
    /// Opens `/proc` and makes sure that it is the root of a procfs (CVE-2019-16884, CVE-2025-52881).
    pub(crate) fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::check(open("/proc", flags, Mode::empty()).tried(|| "open /proc")?)
    }

    fn check(proc: OwnedFd) -> Result<Self, Error> {
        let magic = fstatfs(&proc).tried(|| "check /proc")?.f_type;
        let inode = fstat(&proc).tried(|| "check /proc")?.st_ino;
        if (magic != PROC_MAGIC || inode != PROC_ROOT_INODE) && !weak::is_off("R10") {
            return Err(Error::said(Kind::Unavailable, "/proc of the host is not a proc file system"));
        }
        Ok(Self(proc))
    }

    /// Writes a file below `/proc`.
    pub(crate) fn write(&self, path: &str, value: &str) -> Result<(), Errno> {
        write_once(self.open_for_write(path)?.as_fd(), value)
    }

    /// Opens a file below `/proc`, reached without crossing a mount or a magic link.
    fn open_for_write(&self, path: &str) -> Result<OwnedFd, Errno> {
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let resolve = if weak::is_off("R10") { ResolveFlags::empty() } else { strict };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        open_below(self.0.as_fd(), path, flags, resolve)
    }

    /// A handle of a process that never becomes another's: its pidfd, or where there are none its directory, which takes signals just
    /// as well (`pidfd_send_signal(2)`).
    pub(crate) fn process(pid: Pid) -> Result<OwnedFd, Errno> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::NOSYS) => {}
            other => return other,
        }
        let proc = Self::open().map_err(|_| Errno::NOSYS)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&proc.0, pid.as_raw_pid().to_string(), flags, Mode::empty()) {
            Err(Errno::NOENT) => Err(Errno::SRCH),
            other => other,
        }
    }

    /// Is this file there?
    pub(crate) fn has(&self, path: &str) -> bool {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        open_below(self.0.as_fd(), path, OFlags::PATH, resolve).is_ok()
    }

    /// Sets a kernel parameter, as this process's namespaces see it.
    pub(crate) fn set(&self, sysctl: &Sysctl) -> Result<(), Error> {
        let path = format!("sys/{}", sysctl.path);
        let done = self.write(&path, &sysctl.value);
        done.tried(|| format!("{}: write {} to /proc/{path}", sysctl.field, sysctl.value))
    }
}

/// How readily the kernel kills this process for memory: `oom_score_adj` of proc(5).
///
/// # Errors
/// When the score may not be lowered, or `/proc` is none.
pub fn set_own_oom_score(score: i32) -> Result<(), Error> {
    let done = Proc::open()?.write("self/oom_score_adj", &score.to_string());
    done.tried(|| "write to /proc/self/oom_score_adj")
}

/// Opens a kernel file (cgroup, or below `/proc`) for writing.
pub(crate) fn open_for_write(path: &str) -> Result<OwnedFd, Errno> {
    if let Some(below) = path.strip_prefix("/proc/") {
        return Proc::open().map_err(|_| Errno::NODEV)?.open_for_write(below);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// R10: what lies at `/proc` is the root of a procfs, or nothing is written there.
    #[test]
    fn r10_only_a_root_of_a_procfs_will_do() {
        let check =
            |path: &str| Proc::check(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap());
        assert!(check("/proc").is_ok());
        for path in
            ["/", "/proc/self/", "/proc/self/fd", "/proc/sys", "/proc/version", "/sys", "/dev", "/tmp"]
        {
            assert!(check(path).is_err(), "{path}");
        }
        let proc = Proc::open().unwrap();
        for path in [
            "../etc/hostname",
            "/etc/hostname",
            "self/root/etc/hostname",
            "self/cwd/x",
            "self/exe",
            "self/fd/0",
        ] {
            let errno = proc.open_for_write(path).expect_err(path);
            assert!(matches!(errno, Errno::XDEV | Errno::LOOP | Errno::NOENT), "{path}: {errno}");
        }
        assert!(open_for_write("/proc/self/comm").is_ok());
    }
}
