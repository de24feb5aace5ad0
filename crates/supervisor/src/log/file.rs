//! A container's log file: written at known places, rotated so that an interrupted rotation can be continued.

use std::os::fd::OwnedFd;

use protocol::Log;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::stdio::park;

/// The current file of a log.
#[derive(Debug)]
pub(crate) struct LogFile {
    rules: Log,
    fd: OwnedFd,
    /// Which file `fd` is.
    pub(crate) inode: u64,
    /// Where the next entry goes.
    pub(crate) size: u64,
}

/// Whether an entry of `adding` bytes must go to a new file. An entry longer than the limit gets a file of its own.
pub(crate) fn must_rotate(size: u64, adding: u64, max_bytes: u64) -> bool {
    max_bytes > 0 && size > 0 && size + adding > max_bytes
}

impl LogFile {
    /// Opens the log at its present end, making it when it is missing.
    pub(crate) fn open(rules: &Log) -> Result<Self> {
        let (fd, inode, size) = open(&rules.path)?;
        Ok(Self { rules: rules.clone(), fd, inode, size })
    }

    /// The file it is, as the kernel sees it now: somebody may have truncated it, and then writing goes on there.
    pub(crate) fn refresh(&mut self) {
        if let Ok(stat) = rustix::fs::fstat(&self.fd) {
            self.size = stat.st_size as u64;
        }
    }

    /// Whether an entry that long belongs into the next file when it would begin at `offset` of this one.
    pub(crate) fn is_full(&self, offset: u64, adding: usize) -> bool {
        must_rotate(offset, adding as u64, self.rules.max_bytes)
    }

    /// Writes entries at this place. On failure (a full disk) the file ends with the last whole one that found room.
    pub(crate) fn write_at(&mut self, offset: u64, entries: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < entries.len() {
            match rustix::io::pwrite(&self.fd, &entries[done..], offset + done as u64) {
                Ok(0) => return self.give_up(offset, &entries[..done], Errno::IO),
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(error) => return self.give_up(offset, &entries[..done], error),
            }
        }
        self.size = offset + entries.len() as u64;
        Ok(())
    }

    fn give_up(&mut self, offset: u64, written: &[u8], error: Errno) -> Result<()> {
        let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        if rustix::fs::ftruncate(&self.fd, offset + whole).is_ok() {
            self.size = offset + whole;
        }
        Err(error)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &str {
        &self.rules.path
    }

    /// Moves the files up by one and begins a new one. Called again after an interruption (with the current file
    /// still in its place) it continues: the names move up to the first gap only.
    pub(crate) fn rotate(&mut self) -> Result<()> {
        if self.rules.max_files <= 1 {
            rustix::fs::ftruncate(&self.fd, 0)?;
            self.size = 0;
            return Ok(());
        }
        let last = self.rules.max_files - 1;
        let gap = (1..last).find(|n| !is_there(&self.name(*n))).unwrap_or(last);
        for number in (0..gap).rev() {
            rustix::fs::rename(self.name(number), self.name(number + 1))?;
        }
        self.reopen()
    }

    /// Opens whatever is at the log's path now.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        (self.fd, self.inode, self.size) = open(&self.rules.path)?;
        Ok(())
    }

    fn name(&self, number: u32) -> String {
        if number == 0 { self.rules.path.clone() } else { format!("{}.{number}", self.rules.path) }
    }
}

fn is_there(path: &str) -> bool {
    rustix::fs::lstat(path).is_ok()
}

fn open(path: &str) -> Result<(OwnedFd, u64, u64)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o640))?;
    let stat = rustix::fs::fstat(&fd)?;
    Ok((park(fd), stat.st_ino, stat.st_size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_decision() {
        for (size, adding, max, expected) in [
            (0, 10, 0, false),
            (1 << 40, 10, 0, false),
            (0, 100, 50, false),
            (40, 10, 50, false),
            (41, 10, 50, true),
        ] {
            assert_eq!(must_rotate(size, adding, max), expected, "{size} {adding} {max}");
        }
    }
}
