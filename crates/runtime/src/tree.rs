//! Walking a container's root by its handle. The tree is foreign: a link in it may say anything, and another container may
//! change it meanwhile, so every path is resolved by the kernel below the handle, and acts go to what was opened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fstat, mkdirat, mknodat, openat, openat2,
    readlinkat, symlinkat,
};
use rustix::io::Errno;

use crate::error::{Error, Tried};
use crate::{walk, weak};
use types::Kind;

/// A root, and the last directory in which something was made.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    last: Option<(String, OwnedFd)>,
    empty: Option<OwnedFd>,
    /// The device of the container's procfs.
    proc: Option<u64>,
}

const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY_MODE: u32 = 0o755;
const MOST_LINKS: u32 = 40;

impl Tree {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root, last: None, empty: None, proc: None }
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens what is at `path`, following links as the container would.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        open_below(self.root.as_fd(), path, flags, WITHIN)
    }

    /// Opens a handle of what is at `path`.
    pub(crate) fn handle(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.open(path, OFlags::PATH)
    }

    /// A handle of an ordinary directory, reached without any link; made if missing.
    pub(crate) fn strict_directory(&mut self, path: &str) -> Result<OwnedFd, Error> {
        if weak::is_off("R02") {
            return self.directory(path);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let strict = WITHIN.union(ResolveFlags::NO_SYMLINKS);
        match open_below(self.root.as_fd(), path, flags, strict) {
            Err(Errno::NOENT) => self.directory(path),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::said(
                Kind::InvalidInput,
                format!("{path} in the image must be an ordinary directory"),
            )),
            other => other.tried(|| format!("open {path}")),
        }
    }

    /// A handle of the directory at `path`, made with its parents if missing.
    pub(crate) fn directory(&mut self, path: &str) -> Result<OwnedFd, Error> {
        // Beside what was made last nothing is there yet, mostly: not worth a walk.
        if let Some(made) = self.make_beside_last(path) {
            return made.tried(|| format!("make directory {path}"));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.open(path, flags) {
            Err(Errno::NOENT) => self.make_directory(path),
            other => other.tried(|| format!("open directory {path}")),
        }
    }

    /// Makes a directory where something was made before. `None`: it is elsewhere, or there already.
    fn make_beside_last(&self, path: &str) -> Option<Result<OwnedFd, Errno>> {
        let (directory, name) =
            path.rsplit_once('/').filter(|(_, name)| !matches!(*name, "" | "." | ".."))?;
        let (_, handle) = self.last.as_ref().filter(|(last, _)| last == directory)?;
        mkdirat(handle, name, Mode::from_raw_mode(DIRECTORY_MODE)).ok()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Some(openat(handle, name, flags, Mode::empty()))
    }

    /// Mostly only the last part is missing, and its parent is open.
    fn make_directory(&mut self, path: &str) -> Result<OwnedFd, Error> {
        let tried = || format!("make directory {path}");
        weak::make_directories("R07", self.root(), path);
        let (parent, name) = self.parent(path)?;
        if mkdirat(parent, name, Mode::from_raw_mode(DIRECTORY_MODE)).is_ok() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return openat(parent, name, flags, Mode::empty()).tried(tried);
        }
        self.make_directories(path, 0).tried(tried)
    }

    /// Part by part from the root: what exists is followed, what is missing is made in the directory reached. A link to
    /// something missing is followed as the container would follow it, and that is made.
    fn make_directories(&self, path: &str, links: u32) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut reached = self.open("/", flags)?;
        let mut prefix = String::new();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            let here = format!("{prefix}/{part}");
            reached = match self.open(&here, flags) {
                Err(Errno::NOENT) => match mkdirat(&reached, part, Mode::from_raw_mode(DIRECTORY_MODE)) {
                    Ok(()) => {
                        openat(&reached, part, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?
                    }
                    Err(Errno::EXIST) if links == MOST_LINKS => return Err(Errno::LOOP),
                    Err(Errno::EXIST) => {
                        let text = readlinkat(&reached, part, Vec::new())?;
                        let text = text.to_str().map_err(|_| Errno::ILSEQ)?;
                        let target =
                            if text.starts_with('/') { text.to_owned() } else { format!("{prefix}/{text}") };
                        self.make_directories(&target, links + 1)?
                    }
                    Err(errno) => return Err(errno),
                },
                other => other?,
            };
            prefix = here;
        }
        Ok(reached)
    }

    /// A handle of the file at `path`, made empty if missing. A link to something missing (images have one for
    /// `/etc/resolv.conf`) is followed as the container would follow it, and that is made.
    pub(crate) fn file(&mut self, path: &str) -> Result<OwnedFd, Error> {
        let mut place = path.to_owned();
        for _ in 0..MOST_LINKS {
            match self.handle(&place) {
                Err(Errno::NOENT) => {}
                other => return other.tried(|| format!("open {path}")),
            }
            match self.make_file(&place)? {
                None => return self.handle(&place).tried(|| format!("open {path}")),
                Some(target) => place = target,
            }
        }
        Err(Error::kernel(&format!("open {path}"), Errno::LOOP))
    }

    /// Makes an empty file, or answers where a link in its place leads.
    fn make_file(&mut self, path: &str) -> Result<Option<String>, Error> {
        let tried = || format!("make file {path}");
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(parent, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) => return Ok(None),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::kernel(&tried(), errno)),
        }
        let text = match readlinkat(parent, name, Vec::new()) {
            // Somebody else has made it.
            Err(Errno::INVAL) => return Ok(None),
            other => other.tried(tried)?,
        };
        let text = text.to_str().map_err(|_| Errno::ILSEQ).tried(tried)?;
        let directory = path.trim_end_matches('/').rsplit_once('/').map_or("", |(directory, _)| directory);
        Ok(Some(if text.starts_with('/') { text.to_owned() } else { format!("{directory}/{text}") }))
    }

    /// Makes a device node or FIFO. One that is there stays (somebody mounted it).
    pub(crate) fn node(
        &mut self,
        path: &str,
        mode: u32,
        device: u64,
        owner: (u32, u32),
    ) -> Result<(), Error> {
        let (parent, name) = self.parent(path)?;
        let tried = || format!("make device node {path}");
        match mknodat(parent, name, FileType::from_raw_mode(mode), Mode::from_raw_mode(mode), device) {
            Err(Errno::EXIST) => return Ok(()),
            other => other.tried(tried)?,
        }
        if owner != (0, 0) {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .tried(tried)?;
        }
        Ok(())
    }

    /// Makes a symbolic link, unless something is there.
    pub(crate) fn link(&mut self, path: &str, text: &str) -> Result<(), Error> {
        let (parent, name) = self.parent(path)?;
        match symlinkat(text, parent, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(Error::kernel(&format!("make link {path}"), errno)),
        }
    }

    /// Makes a symbolic link; what is there must be the same (OCI runtimes' `copy-symlink`).
    pub(crate) fn copy_link(&mut self, path: &str, text: &str) -> Result<(), Error> {
        let (parent, name) = self.parent(path)?;
        match symlinkat(text, parent, name) {
            Err(Errno::EXIST)
                if readlinkat(parent, name, Vec::new())
                    .is_ok_and(|there| there.to_bytes() == text.as_bytes()) =>
            {
                Ok(())
            }
            other => other.tried(|| format!("make link {path}")),
        }
    }

    /// A directory in which nobody can make anything: where a sysfs, the container's own, expects the cgroups to be mounted.
    /// As the cover of masked directories it costs no file system of its own.
    pub(crate) fn empty(&self) -> Option<&OwnedFd> {
        self.empty.as_ref()
    }

    /// A sysfs was mounted.
    pub(crate) fn has_sysfs(&mut self, mount: &OwnedFd) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.empty = openat(mount, "fs/cgroup", flags, Mode::empty()).ok();
    }

    /// A procfs was mounted where it belongs.
    pub(crate) fn has_proc(&mut self, mount: &OwnedFd) {
        self.proc = fstat(mount).ok().map(|stat| stat.st_dev);
    }

    /// Links of the root must not lead a mount over files of the container's `/proc`, where they would fool whoever reads or writes
    /// those (CVE-2019-19921). Targets that say they are there were judged when the plan was made.
    pub(crate) fn refuse_inside_proc(&self, place: &OwnedFd, field: &str, target: &str) -> Result<(), Error> {
        let Some(proc) = self.proc else { return Ok(()) };
        let said = target.strip_prefix("/proc").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if said || fstat(place).is_ok_and(|stat| stat.st_dev != proc) {
            return Ok(());
        }
        let message = format!("{field}: {target} cannot be mounted because it leads into /proc");
        Err(Error::said(Kind::InvalidInput, message))
    }

    /// The permission bits of the directory at `path`, if there is one.
    pub(crate) fn mode(&self, path: &str) -> Option<u32> {
        let directory = self.open(path, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        fstat(&directory).ok().map(|stat| stat.st_mode & 0o7777)
    }

    /// A mount was added at `target`: a directory opened there before lies under it now.
    pub(crate) fn covered(&mut self, target: &str) {
        let below = |last: &str| {
            last.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.last.as_ref().is_some_and(|(last, _)| below(last)) {
            self.last = None;
        }
    }

    /// The directory that holds `path`, made if missing, and the last part.
    fn parent<'a>(&mut self, path: &'a str) -> Result<(BorrowedFd<'_>, &'a str), Error> {
        let (directory, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        if matches!(name, "" | "." | "..") {
            return Err(Error::said(Kind::InvalidInput, format!("{path:?} names no file")));
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != directory) {
            let handle = self.directory(if directory.is_empty() { "/" } else { directory })?;
            let handle =
                weak::again("R11", self.root(), directory, handle).tried(|| format!("open {directory}"))?;
            self.last = Some((directory.to_owned(), handle));
        }
        match &self.last {
            Some((_, handle)) => Ok((handle.as_fd(), name)),
            None => Err(Error::said(Kind::Internal, format!("{directory} was not opened"))),
        }
    }
}

/// `openat2` until no rename disturbs it.
pub(crate) fn open_below(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    const TRIES: u32 = 128;
    for _ in 0..TRIES {
        match openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => return walk::open(directory, path, flags, resolve),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}
