//! Unpacks one layer into a directory of its own, in the form that overlayfs stacks.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use layer::{Change, Entry, EntryKind, Limits, Reader, Time, TreePath};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, XattrFlags, chmod, chownat, fchmod, fchown, fsetxattr, fstat,
    ftruncate, futimens, linkat, makedev, mkdirat, mknodat, openat, setxattr, symlinkat, utimensat,
};
use rustix::io::{Errno, pwrite};
use types::weak;

use super::attributes::{gid, timestamps, tolerate, uid};
use super::born::Born;
use super::handle::{Tree, file_type, is_whiteout, os, proc_path, stat_name};
use super::parents::{Parent, Parents};
use super::{OPAQUE_XATTR, remove_at};
use crate::error::{Error, Result};
use crate::space::Space;
use crate::writeback::Trail;

/// Files of so many bytes are asked room for beforehand.
const LARGE: u64 = 256 << 10;
/// Names of directories that are remembered for their dates. More than any image has; a hostile one gets some dates wrong.
const DATE_BYTES: usize = 64 << 20;

/// What a layer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Bytes of file content.
    pub(crate) bytes: u64,
    /// Files, directories, links and marks.
    pub(crate) entries: u64,
    /// It hides all layers below it.
    pub(crate) opaque: bool,
}

/// Unpacks the tar stream into an empty tree. `advance` is told of bytes written.
pub(crate) fn unpack(
    input: &mut dyn BufRead,
    tree: Tree,
    limits: &Limits,
    space: Space,
    trail: Trail,
    advance: &mut dyn FnMut(u64),
) -> Result<Unpacked> {
    let mut unpacker = Unpacker {
        born: Born::of(&tree),
        tree,
        reader: Reader::new(input, limits.clone()),
        parents: Parents::default(),
        dates: Vec::new(),
        date_bytes: 0,
        space,
        trail,
        done: Unpacked { bytes: 0, entries: 0, opaque: false },
        advance,
    };
    while let Some(entry) = unpacker.reader.next_entry().map_err(|e| Error::archive("cannot unpack", e))? {
        let change = layer::classify(entry, limits).map_err(|e| Error::archive("cannot unpack", e))?;
        let Some(change) = change else { continue };
        unpacker.apply(&change)?;
        unpacker.done.entries += 1;
    }
    unpacker.date_directories()?;
    Ok(unpacker.done)
}

struct Unpacker<'a> {
    tree: Tree,
    reader: Reader<&'a mut dyn BufRead>,
    born: Born,
    parents: Parents,
    /// Directories get their dates last: making things in them changes them.
    dates: Vec<(TreePath, Time)>,
    date_bytes: usize,
    space: Space,
    trail: Trail,
    done: Unpacked,
    advance: &'a mut dyn FnMut(u64),
}

/// A step's failure: the kernel's, or one with a sentence of its own.
enum Failure {
    Call(Errno),
    Own(Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Call(errno)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl Unpacker<'_> {
    fn apply(&mut self, change: &Change) -> Result<()> {
        // Whatever it is, it takes an inode: many small things leave the reserve alone too.
        self.space.wrote(0)?;
        let (path, done) = match change {
            Change::Make(entry) if entry.path.is_root() => (&entry.path, self.dress_root(entry)),
            Change::Make(entry) => (&entry.path, self.make(entry)),
            Change::Link { entry, target } => (&entry.path, self.link(entry, target)),
            Change::Whiteout(path) => (path, self.hide(path)),
            Change::Opaque(path) => (path, self.clear(path)),
        };
        done.map_err(|failure| match failure {
            Failure::Own(error) => error.within(format!("cannot unpack {:?}", path.to_string())),
            Failure::Call(errno) => explain(path, change, errno),
        })
    }

    fn make(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.born.hears_of(entry);
        let parent = self.parent_of(&entry.path)?;
        let name = entry.path.name();
        match entry.kind {
            EntryKind::File => self.file(&parent, name, entry),
            EntryKind::Directory => self.directory(&parent, name, entry),
            EntryKind::Symlink => self.symlink(&parent, name, entry),
            _ => self.node(&parent.dir, name, entry),
        }
    }

    fn file(&mut self, parent: &Parent, name: &[u8], entry: &Entry) -> Result<(), Failure> {
        if entry.stored_bytes() > LARGE {
            self.space.require(entry.stored_bytes())?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (mode, has_mode) = self.born.mode(entry, Mode::RUSR | Mode::WUSR);
        let file = self.anew(&parent.dir, name, || openat(&parent.dir, os(name), flags, mode))?;
        for segment in &entry.segments {
            self.fill(&file, segment.offset, segment.length)?;
        }
        if entry.stored_bytes() < entry.size {
            ftruncate(&file, entry.size)?;
        }
        // In this order: a new owner clears setuid bits and capabilities, and all of it changes the date.
        if !self.born.owns(entry, parent.gid) {
            fchown(&file, uid(entry), gid(entry))?;
        }
        if !has_mode {
            fchmod(&file, Mode::from_raw_mode(entry.mode))?;
        }
        for (name, value) in &entry.xattrs {
            tolerate(name, fsetxattr(&file, os(name), value, XattrFlags::empty()))?;
        }
        futimens(&file, &timestamps(entry.mtime))?;
        self.done.bytes += entry.size;
        if entry.stored_bytes() > 0 {
            self.trail.add(file, 0, entry.size);
        }
        Ok(())
    }

    /// Writes the data of the present entry from where it lies.
    fn fill(&mut self, file: &OwnedFd, mut offset: u64, length: u64) -> Result<(), Failure> {
        let end = offset + length;
        while offset < end {
            let data = self.reader.data().map_err(|e| Error::archive("cannot read its content", e))?;
            let most = data.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            let count = pwrite(file, &data[..most], offset)?;
            self.reader.consume(count);
            offset += count as u64;
            self.space.wrote(count as u64)?;
            (self.advance)(count as u64);
        }
        Ok(())
    }

    fn symlink(&mut self, parent: &Parent, name: &[u8], entry: &Entry) -> Result<(), Failure> {
        self.done.bytes += entry.link.len() as u64;
        let dir = &parent.dir;
        self.anew(dir, name, || symlinkat(os(&entry.link), dir, os(name)))?;
        if !self.born.owns(entry, parent.gid) {
            chownat(dir, os(name), uid(entry), gid(entry), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(utimensat(dir, os(name), &timestamps(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn directory(&mut self, parent: &Parent, name: &[u8], entry: &Entry) -> Result<(), Failure> {
        let (mode, has_mode) = self.born.mode(entry, Mode::RWXU);
        let (dir, is_new) = match mkdirat(&parent.dir, os(name), mode) {
            Ok(()) => (open_dir(&parent.dir, name)?, true),
            Err(Errno::EXIST) => (self.enter(&parent.dir, name)?, false),
            Err(e) => return Err(e.into()),
        };
        if !(is_new && self.born.owns(entry, parent.gid)) {
            fchown(&dir, uid(entry), gid(entry))?;
        }
        if !(is_new && has_mode && !parent.setgid) {
            fchmod(&dir, Mode::from_raw_mode(entry.mode))?;
        }
        self.dress(&dir, entry)?;
        let setgid = entry.mode & 0o2000 != 0;
        self.parents.put(entry.path.clone(), Parent { dir: Rc::new(dir), gid: entry.gid, setgid });
        Ok(())
    }

    fn dress_root(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.born.hears_of(entry);
        let root = self.tree.open_at(&entry.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        fchown(&root, uid(entry), gid(entry))?;
        fchmod(&root, Mode::from_raw_mode(entry.mode))?;
        self.parents.forget();
        self.dress(&root, entry)
    }

    /// Gives a directory its attributes, and has it dated last.
    fn dress(&mut self, dir: &OwnedFd, entry: &Entry) -> Result<(), Failure> {
        for (name, value) in &entry.xattrs {
            tolerate(name, fsetxattr(dir, os(name), value, XattrFlags::empty()))?;
        }
        self.date_bytes += entry.path.as_bytes().len();
        self.dates.push((entry.path.clone(), entry.mtime));
        if self.date_bytes > DATE_BYTES {
            self.date_directories()?;
        }
        Ok(())
    }

    fn node(&mut self, parent: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Failure> {
        let kind = match entry.kind {
            EntryKind::CharDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = makedev(entry.device.major, entry.device.minor);
        self.anew(parent, name, || mknodat(parent, os(name), kind, Mode::RUSR | Mode::WUSR, device))?;
        let node = openat(parent, os(name), node_flags(), Mode::empty())?;
        chownat(&node, "", uid(entry), gid(entry), AtFlags::EMPTY_PATH)?;
        chmod(proc_path(&node), Mode::from_raw_mode(entry.mode))?;
        for (name, value) in &entry.xattrs {
            tolerate(name, setxattr(proc_path(&node), os(name), value, XattrFlags::empty()))?;
        }
        Ok(utimensat(&node, "", &timestamps(entry.mtime), AtFlags::EMPTY_PATH)?)
    }

    fn link(&mut self, entry: &Entry, target: &TreePath) -> Result<(), Failure> {
        let (parent, name) = (self.parent_of(&entry.path)?.dir, entry.path.name());
        let from = match self.parents.get(&target.parent()) {
            Some(known) => known.dir,
            None => Rc::new(self.tree.directory(&target.parent())?),
        };
        let Some(stat) = stat_name(&from, target.name())? else {
            return Err(Error::invalid("the target of the hard link is not in the layer").into());
        };
        if file_type(&stat) == FileType::Directory || is_whiteout(&stat) {
            return Err(Error::invalid("the target of the hard link is not a file").into());
        }
        let join = || linkat(&from, os(target.name()), &parent, os(name), AtFlags::empty());
        match join() {
            Err(Errno::EXIST) => {
                let present = stat_name(&parent, name)?;
                if present.is_none_or(|p| (p.st_dev, p.st_ino) != (stat.st_dev, stat.st_ino)) {
                    self.anew(&parent, name, join)?;
                }
            }
            other => other?,
        }
        Ok(redress(&parent, name, entry, &stat)?)
    }

    /// A whiteout speaks of the layers below: what this layer has there stays, and a directory starts empty.
    fn hide(&mut self, path: &TreePath) -> Result<(), Failure> {
        let parent = self.parent_of(path)?.dir;
        match whiteout(parent.as_fd(), path.name()) {
            Err(Errno::EXIST) => {}
            other => return Ok(other?),
        }
        let is_directory = |stat| file_type(&stat) == FileType::Directory;
        if stat_name(&parent, path.name())?.is_some_and(is_directory) { self.clear(path) } else { Ok(()) }
    }

    fn clear(&mut self, path: &TreePath) -> Result<(), Failure> {
        if path.is_root() {
            // Overlayfs does not look at the mark of a root: whoever stacks the layer must know.
            self.done.opaque = true;
            return Ok(());
        }
        let parent = self.parent_of(path)?.dir;
        self.enter(&parent, path.name())?;
        let dir = self.tree.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(fsetxattr(&dir, OPAQUE_XATTR, b"y", XattrFlags::empty())?)
    }

    /// Makes sure that the name is a directory. One that takes the place of a whiteout starts empty.
    fn enter(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Failure> {
        let present = stat_name(parent, name)?;
        match present {
            Some(stat) if file_type(&stat) == FileType::Directory => return Ok(open_dir(parent, name)?),
            Some(_) if weak::is_off("I09") => return Ok(follow(parent, name)?),
            Some(_) => self.discard(parent, name)?,
            None => {}
        }
        mkdirat(parent, os(name), Mode::RWXU)?;
        let dir = open_dir(parent, name)?;
        fchmod(&dir, Mode::from_raw_mode(0o755))?;
        if present.is_some_and(|stat| is_whiteout(&stat)) {
            fsetxattr(&dir, OPAQUE_XATTR, b"y", XattrFlags::empty())?;
        }
        Ok(dir)
    }

    /// Makes something new under the name; what the layer made there before goes.
    fn anew<T>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.discard(parent, name)?;
                make()
            }
            other => other,
        }
    }

    fn discard(&mut self, parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
        self.parents.forget();
        remove_at(parent, name)
    }

    /// The directory that holds the path, made when the layer did not name it.
    fn parent_of(&mut self, path: &TreePath) -> Result<Parent, Failure> {
        let path = path.parent();
        if let Some(known) = self.parents.get(&path) {
            return Ok(known);
        }
        let dir = match self.tree.directory(&path) {
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_way(&path)?,
            other => other?,
        };
        let stat = fstat(&dir)?;
        let parent = Parent { dir: Rc::new(dir), gid: stat.st_gid, setgid: stat.st_mode & 0o2000 != 0 };
        self.parents.put(path, parent.clone());
        Ok(parent)
    }

    fn make_way(&mut self, path: &TreePath) -> Result<OwnedFd, Failure> {
        let mut at = TreePath::default();
        for name in path.components() {
            let above = self.tree.directory(&at)?;
            at = at.join(name);
            self.step_into(&above, name, &at)?;
        }
        Ok(self.tree.directory(path)?)
    }

    fn step_into(&mut self, above: &OwnedFd, name: &[u8], at: &TreePath) -> Result<(), Failure> {
        match stat_name(above, name)? {
            None => self.enter(above, name).map(drop),
            Some(stat) if is_whiteout(&stat) => self.enter(above, name).map(drop),
            Some(_) => match self.tree.directory(at) {
                Ok(_) => Ok(()),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                    Err(Error::invalid(format!("{:?} above it is not a directory", at.to_string())).into())
                }
                Err(e) => Err(e.into()),
            },
        }
    }

    fn date_directories(&mut self) -> Result<()> {
        self.date_bytes = 0;
        for (path, time) in std::mem::take(&mut self.dates).into_iter().rev() {
            // One that was replaced later has no date to keep.
            if let Ok(dir) = self.tree.open_at(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                futimens(&dir, &timestamps(time))
                    .map_err(|e| Error::call(format!("cannot date {:?}", path.to_string()), e))?;
            }
        }
        Ok(())
    }
}

fn explain(path: &TreePath, change: &Change, errno: Errno) -> Error {
    let what = format!("cannot unpack {:?}", path.to_string());
    match errno {
        Errno::PERM if matches!(change, Change::Make(e) if matches!(e.kind, EntryKind::CharDevice | EntryKind::BlockDevice)) => {
            Error::call(format!("{what}: making device files needs root"), errno)
        }
        Errno::LOOP => Error::invalid(format!("{what}: too many links on the way")),
        Errno::NOTDIR | Errno::NOENT => Error::invalid(format!("{what}: a directory on the way is missing")),
        Errno::NAMETOOLONG => Error::invalid(format!("{what}: the name is too long")),
        _ => Error::call(what, errno),
    }
}

fn open_dir(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, os(name), flags, Mode::empty())
}

/// What the unpacker would open if it did not look whether the name is a link (CVE-2026-33056).
fn follow(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    openat(parent, os(name), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    mknodat(parent, os(name), FileType::CharacterDevice, Mode::empty(), 0)
}

/// Gives a file the attributes of its latest name, where they are others. Of a symbolic link, that is its owner alone.
fn redress(parent: &OwnedFd, name: &[u8], entry: &Entry, now: &Stat) -> rustix::io::Result<()> {
    let has_owner = (now.st_uid, now.st_gid) == (entry.uid, entry.gid);
    if file_type(now) == FileType::Symlink {
        let chown = || chownat(parent, os(name), uid(entry), gid(entry), AtFlags::SYMLINK_NOFOLLOW);
        return if has_owner { Ok(()) } else { chown() };
    }
    let wanted = timestamps(entry.mtime).last_modification;
    let has_date = (now.st_mtime, now.st_mtime_nsec as i64) == (wanted.tv_sec, wanted.tv_nsec);
    if has_owner && now.st_mode & 0o7777 == entry.mode & 0o7777 && has_date && entry.xattrs.is_empty() {
        return Ok(());
    }
    let node = openat(parent, os(name), node_flags(), Mode::empty())?;
    if !has_owner {
        chownat(&node, "", uid(entry), gid(entry), AtFlags::EMPTY_PATH)?;
    }
    chmod(proc_path(&node), Mode::from_raw_mode(entry.mode))?;
    for (name, value) in &entry.xattrs {
        tolerate(name, setxattr(proc_path(&node), os(name), value, XattrFlags::empty()))?;
    }
    utimensat(&node, "", &timestamps(entry.mtime), AtFlags::EMPTY_PATH)
}

/// A handle of the name itself: a device must not be opened, a link not followed.
fn node_flags() -> OFlags {
    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC
}
