//! `openat2(2)` where a filter or an old kernel answers that there is none: the path is walked part by part, each part opened as a handle
//! without following it. Links are read and walked the same way, `..` goes back to the handle one came from, so no step can leave
//! the directory that the walk began in, whoever renames what meanwhile (docs/decisions/0009).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, fstatfs, openat, readlinkat, statx,
};
use rustix::io::Errno;

use crate::kernel::{PROC_MAGIC, PROC_ROOT_INODE};

const MOST_LINKS: u32 = 40;
const TRIES: u32 = 128;

/// As `openat2`, for `IN_ROOT` or `BENEATH` with `NO_MAGICLINKS`, and perhaps `NO_SYMLINKS` or `NO_XDEV`.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    for _ in 0..TRIES {
        let walk = Walk { root, reached: Vec::new(), left: Vec::new(), resolve, links: 0 };
        match walk.run(path, flags) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// Handles from below the root to where the walk is.
    reached: Vec<OwnedFd>,
    /// Parts still to go, the next one last.
    left: Vec<String>,
    resolve: ResolveFlags,
    links: u32,
}

impl Walk<'_> {
    fn run(mut self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        self.begin(path)?;
        while let Some(part) = self.left.pop() {
            match &*part {
                ".." => self.back()?,
                "." if !self.left.is_empty() => {}
                "." => return self.finish(".", flags),
                name => {
                    let entry = openat(
                        self.here(),
                        name,
                        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                        Mode::empty(),
                    )?;
                    let last = self.left.is_empty();
                    let is_link = FileType::from_raw_mode(fstat(&entry)?.st_mode) == FileType::Symlink;
                    if is_link && !(last && flags.contains(OFlags::NOFOLLOW)) {
                        self.follow(&entry)?;
                    } else if last {
                        return self.finish(name, flags);
                    } else {
                        self.reached.push(entry);
                    }
                }
            }
        }
        self.finish(".", flags)
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.reached.last().map_or(self.root, AsFd::as_fd)
    }

    /// Puts a path in front of what is left. One that ends with a slash ends in a directory.
    fn begin(&mut self, path: &str) -> Result<(), Errno> {
        if path.starts_with('/') {
            if self.resolve.contains(ResolveFlags::BENEATH) {
                return Err(Errno::XDEV);
            }
            self.reached.clear();
        }
        if path.ends_with('/') {
            self.left.push(".".to_owned());
        }
        self.left.extend(path.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned));
        Ok(())
    }

    fn back(&mut self) -> Result<(), Errno> {
        // Of what is no directory there is nothing above.
        openat(self.here(), ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if self.reached.pop().is_none() && self.resolve.contains(ResolveFlags::BENEATH) {
            return Err(Errno::XDEV);
        }
        Ok(())
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Errno> {
        self.links += 1;
        let refused = self.resolve.contains(ResolveFlags::NO_SYMLINKS) || self.links > MOST_LINKS;
        if refused || self.is_magic(link)? {
            return Err(Errno::LOOP);
        }
        let text = readlinkat(link, "", Vec::new())?;
        let text = text.to_str().map_err(|_| Errno::ILSEQ)?;
        self.begin(text)
    }

    /// Links of a procfs say something else than where they lead, but for those of its root (`self`, `mounts`, …).
    fn is_magic(&self, link: &OwnedFd) -> Result<bool, Errno> {
        Ok(fstatfs(link)?.f_type == PROC_MAGIC && fstat(self.here())?.st_ino != PROC_ROOT_INODE)
    }

    /// Opens the last part in the directory reached, which it does not leave.
    fn finish(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let opened = openat(self.here(), name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let opened = match opened {
            // It was no link a moment ago.
            Err(Errno::LOOP) if !flags.contains(OFlags::NOFOLLOW) => return Err(Errno::AGAIN),
            other => other?,
        };
        // Opened as a handle, a link that came in between is no error.
        let is_link = FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Symlink;
        if is_link && !flags.contains(OFlags::NOFOLLOW) {
            return Err(Errno::AGAIN);
        }
        let crossed =
            self.resolve.contains(ResolveFlags::NO_XDEV) && mount_of(opened.as_fd())? != mount_of(self.root)?;
        if crossed { Err(Errno::XDEV) } else { Ok(opened) }
    }
}

/// The id of the mount that a handle is on (Linux 5.8).
fn mount_of(handle: BorrowedFd<'_>) -> Result<u64, Errno> {
    let stat = statx(handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if stat.stx_mask & StatxFlags::MNT_ID.bits() == 0 { Err(Errno::XDEV) } else { Ok(stat.stx_mnt_id) }
}

#[cfg(test)]
mod tests;
