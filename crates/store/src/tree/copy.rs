//! Copies a tree by handle: owners, modes, dates, attributes, hard links, special files. Neither side can lead
//! the copy out of its root.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat, mkdirat, mknodat, openat,
    readlinkat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::handle::{file_type, is_whiteout, os, proc_path, stat_name};

/// Directories within directories. Image paths are not deeper (`layer::Limits::path_depth`).
const DEPTH: usize = 256;

/// Copies everything below `from` into `to`, and dresses `to` as `from` is.
pub(crate) fn copy_contents(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    Copier { links: HashMap::new() }.directory(from, to, 0)
}

struct Copier {
    /// Files with several names: where the first one was copied to.
    links: HashMap<(u64, u64), (OwnedFd, Vec<u8>)>,
}

impl Copier {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
        if depth > DEPTH {
            return Err(io::Error::from(Errno::NAMETOOLONG));
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                self.entry(from, to, name, depth)?;
            }
        }
        let stat = fstat(from)?;
        fchown(to, uid(&stat), gid(&stat))?;
        fchmod(to, mode(&stat))?;
        copy_xattrs(from.as_fd(), to.as_fd())?;
        Ok(futimens(to, &times(&stat))?)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &[u8], depth: usize) -> io::Result<()> {
        let Some(stat) = stat_name(from, name)? else { return Ok(()) };
        let key = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 && file_type(&stat) != FileType::Directory {
            if let Some((dir, first)) = self.links.get(&key) {
                return Ok(linkat(dir, os(first), to, os(name), AtFlags::empty())?);
            }
            self.links.insert(key, (to.try_clone()?, name.to_vec()));
        }
        match file_type(&stat) {
            FileType::Directory => {
                mkdirat(to, os(name), Mode::RWXU)?;
                let (inner, target) = (open_dir(from, name)?, open_dir(to, name)?);
                self.directory(&inner, &target, depth + 1)
            }
            FileType::RegularFile => copy_file(from, to, name, &stat),
            FileType::Symlink => {
                symlinkat(readlinkat(from, os(name), Vec::new())?, to, os(name))?;
                dress_node(to, name, &stat)
            }
            // A mark of overlayfs: nothing is there.
            FileType::CharacterDevice if is_whiteout(&stat) => Ok(()),
            FileType::Socket => Ok(()),
            kind => {
                mknodat(to, os(name), kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?;
                dress_node(to, name, &stat)
            }
        }
    }
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(openat(from, os(name), flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(openat(to, os(name), flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(&mut source, &mut target)?;
    fchown(&target, uid(stat), gid(stat))?;
    fchmod(&target, mode(stat))?;
    copy_xattrs(source.as_fd(), target.as_fd())?;
    Ok(futimens(&target, &times(stat))?)
}

fn dress_node(to: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<()> {
    let node = openat(to, os(name), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    chownat(&node, "", uid(stat), gid(stat), AtFlags::EMPTY_PATH)?;
    if file_type(stat) != FileType::Symlink {
        chmod(proc_path(&node), mode(stat))?;
    }
    Ok(utimensat(&node, "", &times(stat), AtFlags::EMPTY_PATH)?)
}

/// Overlay's own marks stay behind; what the target's file system does not know is left out.
fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(from, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    let mut value = vec![0; 64 << 10];
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let count = fgetxattr(from, os(name), &mut value[..])?;
        match fsetxattr(to, os(name), &value[..count], XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {}
            other => other?,
        }
    }
    Ok(())
}

fn open_dir(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, os(name), flags, Mode::empty())
}

fn uid(stat: &Stat) -> Option<Uid> {
    Some(Uid::from_raw(stat.st_uid))
}

fn gid(stat: &Stat) -> Option<Gid> {
    Some(Gid::from_raw(stat.st_gid))
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: nanos.cast_signed() };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}
