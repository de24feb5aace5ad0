//! `commit`, first half: the upper directory becomes a layer's archive. The same tree gives the same bytes.

use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::os::fd::OwnedFd;

use layer::{Entry, OPAQUE_MARK, TreePath, WHITEOUT_MARK, Writer};
use rustix::fs::{FileType, Stat, fstat};

use super::entry::{Described, another_name, describe};
use super::{Owners, Spool, check_depth, is_opaque, names, open_dir, stub};
use crate::Store;
use crate::error::{Error, Result};
use crate::ingest::{Session, Spooled};
use crate::tree::{file_type, is_whiteout, stat_name};

const BUFFER: usize = 256 << 10;

/// What a container wrote, as a plain archive on its way to be a layer. Goes when it is dropped.
pub struct Captured {
    pub(crate) session: Session,
    pub(crate) archive: Spooled,
    /// Nothing was written.
    pub(crate) is_empty: bool,
}

impl Store {
    /// Captures what a container wrote. The container should not run meanwhile, or be paused: files are taken as they are when
    /// they are reached.
    ///
    /// # Errors
    /// `NotFound` when it has no snapshot; `InvalidInput` when a name cannot be kept in a layer; `Exhausted` when the disk is full.
    pub fn capture(&self, container: &str, owners: Owners) -> Result<Captured> {
        let sides = self.sides(container)?;
        let session = self.0.ingest.session()?;
        let spool = Spool::create(session.path(), self.space())?;
        let writer = Writer::new(BufWriter::with_capacity(BUFFER, spool));
        let mut capture = Capture { writer, links: HashMap::new(), pending: Vec::new(), entries: 0, owners };
        let fail = |e: io::Error| Error::stream(&format!("cannot capture container {container}"), e);
        let place = Place { upper: &sides.upper, lower: Some(&sides.lower) };
        capture.directory(&place, &TreePath::default(), 0).map_err(fail)?;
        let is_empty = capture.entries == 0;
        let spool = capture.writer.finish().map_err(fail)?.into_inner().map_err(|e| fail(e.into_error()))?;
        Ok(Captured { session, archive: spool.finish(), is_empty })
    }
}

struct Place<'a> {
    upper: &'a OwnedFd,
    /// What the layers have there, hidden or not.
    lower: Option<&'a OwnedFd>,
}

struct Capture<W: io::Write> {
    writer: Writer<W>,
    /// Files with several names: the first one.
    links: HashMap<(u64, u64), TreePath>,
    /// Directories on the way that are written only when something in them is.
    pending: Vec<Described>,
    entries: u64,
    owners: Owners,
}

impl<W: io::Write> Capture<W> {
    fn directory(&mut self, place: &Place<'_>, path: &TreePath, depth: usize) -> io::Result<()> {
        check_depth(depth)?;
        if place.lower.is_some() && is_opaque(place.upper) {
            self.put(mark(&path.join(OPAQUE_MARK)))?;
        }
        for name in names(place.upper)? {
            let Some(stat) = stat_name(place.upper, &name)? else { continue };
            let below = place.lower.map_or(Ok(None), |dir| stat_name(dir, &name))?;
            if is_whiteout(&stat) {
                // Where nothing is below, or a directory above hides it, the mark says nothing.
                if below.is_some() {
                    self.put(mark(&path.join(&[WHITEOUT_MARK, &name].concat())))?;
                }
                continue;
            }
            let path = path.join(&name);
            if name.starts_with(WHITEOUT_MARK) {
                return Err(io::Error::other(unfit(&path)));
            }
            if below.is_none() && stub::is_file(path.as_bytes(), &stat) {
                continue;
            }
            match file_type(&stat) {
                FileType::Directory => self.inner(place, &name, path, below.as_ref(), depth)?,
                _ => self.file(place.upper, &name, path, &stat)?,
            }
        }
        Ok(())
    }

    /// A directory in a directory. One that is only there because mount points were made in it is left out.
    fn inner(
        &mut self,
        place: &Place<'_>,
        name: &[u8],
        path: TreePath,
        below: Option<&Stat>,
        depth: usize,
    ) -> io::Result<()> {
        let Some(upper) = open_dir(place.upper, name)? else { return Ok(()) };
        let Some(described) = describe(place.upper, name, path.clone(), &fstat(&upper)?)? else {
            return Ok(());
        };
        let described = described.owned(self.owners);
        let is_same = below.is_none_or(|old| is_same_directory(&described.entry, old));
        let lower = match place.lower {
            Some(dir) if below.is_some() => open_dir(dir, name)?,
            _ => None,
        };
        let waiting = self.pending.len();
        self.pending.push(described);
        if !stub::is_directory(path.as_bytes()) || !is_same {
            self.flush()?;
        }
        self.directory(&Place { upper: &upper, lower: lower.as_ref() }, &path, depth + 1)?;
        self.pending.truncate(waiting);
        Ok(())
    }

    fn file(&mut self, dir: &OwnedFd, name: &[u8], path: TreePath, stat: &Stat) -> io::Result<()> {
        let key = (stat.st_dev, stat.st_ino);
        let is_linked = stat.st_nlink > 1;
        let described = match self.links.get(&key).filter(|_| is_linked) {
            Some(first) => Some(another_name(path.clone(), first, stat)),
            None => describe(dir, name, path.clone(), stat)?,
        };
        if is_linked && described.is_some() {
            self.links.entry(key).or_insert(path);
        }
        described.map_or(Ok(()), |described| self.put(described.owned(self.owners)))
    }

    fn put(&mut self, described: Described) -> io::Result<()> {
        self.flush()?;
        self.write(described)
    }

    fn flush(&mut self) -> io::Result<()> {
        for directory in std::mem::take(&mut self.pending) {
            self.write(directory)?;
        }
        Ok(())
    }

    fn write(&mut self, mut described: Described) -> io::Result<()> {
        self.entries += 1;
        let entry = described.entry.clone();
        self.writer.append(&entry, &mut described.content())
    }
}

fn is_same_directory(new: &Entry, old: &Stat) -> bool {
    file_type(old) == FileType::Directory
        && (new.mode, new.uid, new.gid) == (old.st_mode & 0o7777, old.st_uid, old.st_gid)
}

fn mark(path: &TreePath) -> Described {
    let mut entry = Entry::file("", 0);
    entry.path = path.clone();
    Described::bare(entry)
}

fn unfit(path: &TreePath) -> Error {
    let path = path.to_string();
    Error::invalid(format!(
        "{path:?} cannot be kept: in a layer, a name that begins with .wh. removes another"
    ))
}
