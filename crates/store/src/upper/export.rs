//! `export`: the whole root as an archive, what the container wrote laid over its layers.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;

use layer::{TreePath, Writer};
use rustix::fs::{FileType, Stat};

use super::entry::{another_name, describe};
use super::{Owners, check_depth, is_opaque, names, open_dir};
use crate::Store;
use crate::error::{Error, Result};
use crate::tree::{file_type, is_whiteout, stat_name};

const BUFFER: usize = 256 << 10;

impl Store {
    /// Writes a container's root as a tar: owners, modes, dates, extended attributes, hard links, devices. Holes come as zeros, which
    /// every reader of tar understands. Mounts are not in it.
    ///
    /// # Errors
    /// `NotFound` when it has no snapshot; `Conflict` when it is removed meanwhile; when the output fails.
    pub fn export(&self, container: &str, owners: Owners, output: &mut dyn Write) -> Result<()> {
        let sides = self.sides(container)?;
        let writer = Writer::new(BufWriter::with_capacity(BUFFER, output));
        let mut export = Export { writer, links: HashMap::new(), owners };
        let fail = |e: io::Error| Error::stream(&format!("cannot export container {container}"), e);
        let root = Place { upper: Some(&sides.upper), lower: Some(&sides.lower) };
        export.directory(&root, &TreePath::default(), 0).map_err(fail)?;
        self.still_there(container, "exported")?;
        export.writer.finish().map(|_| ()).map_err(fail)
    }
}

/// One directory on both sides.
struct Place<'a> {
    upper: Option<&'a OwnedFd>,
    lower: Option<&'a OwnedFd>,
}

struct Export<W: Write> {
    writer: Writer<W>,
    /// Files with several names: the first one.
    links: HashMap<(u64, u64), TreePath>,
    owners: Owners,
}

impl<W: Write> Export<W> {
    fn directory(&mut self, place: &Place<'_>, path: &TreePath, depth: usize) -> io::Result<()> {
        check_depth(depth)?;
        let lower = place.lower.filter(|_| !place.upper.is_some_and(is_opaque));
        let mut all = BTreeMap::new();
        for (side, dir) in [(false, lower), (true, place.upper)] {
            for name in dir.map(names).transpose()?.unwrap_or_default() {
                all.insert(name, side);
            }
        }
        for (name, is_upper) in all {
            let side = if is_upper { place.upper } else { lower };
            let Some(dir) = side else { continue };
            let Some(stat) = stat_name(dir, &name)? else { continue };
            if is_whiteout(&stat) {
                continue;
            }
            let path = path.join(&name);
            let owners = if is_upper { self.owners } else { Owners::default() };
            self.entry((dir, &name), path.clone(), &stat, owners)?;
            if file_type(&stat) == FileType::Directory {
                let open = |dir: Option<&OwnedFd>| dir.map_or(Ok(None), |dir| open_dir(dir, &name));
                let upper = open(place.upper.filter(|_| is_upper))?;
                let lower = open(lower)?;
                let inner = Place { upper: upper.as_ref(), lower: lower.as_ref() };
                self.directory(&inner, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        (dir, name): (&OwnedFd, &[u8]),
        path: TreePath,
        stat: &Stat,
        owners: Owners,
    ) -> io::Result<()> {
        let key = (stat.st_dev, stat.st_ino);
        let is_linked = stat.st_nlink > 1 && file_type(stat) != FileType::Directory;
        let described = match self.links.get(&key).filter(|_| is_linked) {
            Some(first) => Some(another_name(path.clone(), first, stat)),
            None => describe(dir, name, path.clone(), stat)?,
        };
        let Some(mut described) = described.map(|one| one.owned(owners)) else { return Ok(()) };
        if is_linked {
            self.links.entry(key).or_insert(path);
        }
        let entry = described.entry.clone();
        self.writer.append(&entry, &mut described.content())
    }
}
