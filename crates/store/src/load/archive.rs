//! The files of an image archive, spooled to disk and hashed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

use layer::{EntryKind, Limits, Reader, TreePath};
use types::{Digest, Kind, weak};

use super::Progress;
use crate::Store;
use crate::blobs::read_document;
use crate::error::{Error, Result};
use crate::ingest::{Session, Spooled};
use crate::space::Space;
use crate::stream::{Bound, Bounded, Counted, inflate, sniff};

/// Bytes of a name in the archive: its files are named by digests.
const PATH: usize = 512;
/// Links in a row that are followed within the archive.
const LINKS: usize = 40;
/// So many documents of the greatest length are read of one archive.
const DOCUMENTS: u64 = 64;
const WHAT: &str = "cannot read the image archive";

/// A spooled archive.
pub(super) struct Archive {
    items: BTreeMap<TreePath, Item>,
    document_bytes: u64,
    /// Bytes of documents that may still be read: lists can name the same large one any number of times.
    budget: Cell<u64>,
    limits: Limits,
}

enum Item {
    File(Spooled),
    Link(TreePath),
}

impl Archive {
    pub(super) fn spool(
        store: &Store,
        session: &Session,
        input: &mut dyn Read,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let options = &store.0.options;
        let limits = Limits { need_end: true, path_bytes: PATH, ..options.tar.clone() };
        let (counted, taken) = Counted::new(input);
        let (compression, whole) = sniff(counted)?;
        let inflated = inflate(compression, whole).map_err(|e| Error::stream(WHAT, e))?;
        let bounded = Bounded::new(inflated, Bound::archive(options), taken);
        let mut spooler = Spooler {
            archive: Self {
                items: BTreeMap::new(),
                document_bytes: options.document_bytes,
                budget: Cell::new(options.document_bytes.saturating_mul(DOCUMENTS)),
                limits: limits.clone(),
            },
            reader: Reader::new(BufReader::with_capacity(64 << 10, bounded), limits),
            session,
            space: store.space(),
            received: 0,
            files: 0,
            most: options.archive_files,
        };
        while spooler.next(progress)? {}
        Ok(spooler.archive)
    }

    /// Whether it has an OCI layout's marks.
    pub(super) fn is_layout(&self) -> bool {
        self.has("index.json") && self.has("oci-layout")
    }

    /// Whether it has docker-archive's list.
    pub(super) fn is_docker(&self) -> bool {
        self.has("manifest.json")
    }

    /// What to say when no image is in it.
    pub(super) fn without_images(&self) -> Error {
        let is_root = ["etc", "bin", "usr"]
            .iter()
            .any(|dir| self.items.keys().any(|path| path.components().next() == Some(dir.as_bytes())));
        let hint = match (is_root, self.has("repositories")) {
            (true, _) => ": it looks like a root file system, which can be imported",
            (_, true) => ": it is in the format of Docker before 1.10, which is not supported",
            _ => ": it has neither a manifest.json nor an OCI layout with an image",
        };
        Error::invalid(format!("the archive has no image in it{hint}"))
    }

    /// A file by its name in the archive, links followed.
    pub(super) fn file(&self, name: &str) -> Result<&Spooled> {
        let path = TreePath::parse(name.as_bytes(), &self.limits)
            .map_err(|e| Error::invalid(format!("the archive names a file {name:?}: {e}")))?;
        let missing = || Error::invalid(format!("the archive names {name:?}, which is not in it"));
        let mut at = &path;
        for _ in 0..LINKS {
            match self.items.get(at).ok_or_else(missing)? {
                Item::File(spooled) => return Ok(spooled),
                Item::Link(target) => at = target,
            }
        }
        Err(Error::invalid(format!("the archive's {name:?} is a link that leads nowhere")))
    }

    /// A small file's content.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>> {
        self.read(self.file(name)?, &format!("the archive's {name}"))
    }

    /// A blob of the OCI layout, checked against its digest.
    pub(super) fn blob(&self, digest: &Digest, what: &str) -> Result<&Spooled> {
        let spooled = self
            .file(&format!("blobs/sha256/{}", digest.hex()))
            .map_err(|_| Error::invalid(format!("{what} {digest} is not in the archive")))?;
        if spooled.digest == *digest {
            Ok(spooled)
        } else {
            let found = spooled.digest;
            Err(Error::invalid(format!("{what} {digest} is damaged: its content has the digest {found}")))
        }
    }

    pub(super) fn blob_document(&self, digest: &Digest, what: &str) -> Result<Vec<u8>> {
        self.read(self.blob(digest, what)?, &format!("{what} {digest}"))
    }

    fn read(&self, spooled: &Spooled, what: &str) -> Result<Vec<u8>> {
        let left = self.budget.get().checked_sub(spooled.size).ok_or_else(|| {
            let most = types::print_bytes(self.document_bytes.saturating_mul(DOCUMENTS));
            Error::new(Kind::Exhausted, format!("the archive's lists name more than {most} of documents"))
        })?;
        self.budget.set(left);
        read_document(open(spooled)?, self.document_bytes, what)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.file(name).is_ok()
    }

    pub(super) fn has_blob(&self, digest: &Digest) -> bool {
        self.has(&format!("blobs/sha256/{}", digest.hex()))
    }
}

fn open(spooled: &Spooled) -> Result<File> {
    File::open(&spooled.path).map_err(|e| Error::call("cannot read back the archive", e))
}

struct Spooler<'a, R: Read> {
    archive: Archive,
    reader: Reader<R>,
    session: &'a Session,
    space: Space,
    received: u64,
    files: usize,
    most: usize,
}

impl<R: Read> Spooler<'_, R> {
    /// Takes the next entry; false at the end.
    fn next(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<bool> {
        let Some(entry) = self.reader.next_entry().map_err(|e| Error::archive(WHAT, e))? else {
            return Ok(false);
        };
        let shown = entry.path.to_string();
        if entry.kind == EntryKind::Directory {
            return Ok(true);
        }
        // Counted before they are spooled, and those of one name each.
        if self.files == self.most {
            let what = format!("{WHAT}: it has more than {} files", self.most);
            return Err(Error::new(Kind::Exhausted, what));
        }
        self.files += 1;
        let item = match entry.kind {
            EntryKind::File => {
                self.check_document(&shown, entry.size)?;
                if entry.segments.len() > 1 || entry.stored_bytes() != entry.size {
                    return Err(Error::invalid(format!("{WHAT}: {shown:?} is sparse")));
                }
                self.space.require(entry.size)?;
                let mut data = Data { reader: &mut self.reader, received: &mut self.received, progress };
                Item::File(self.session.spool(&mut data, &mut self.space)?)
            }
            EntryKind::Symlink => Item::Link(self.link(&entry.path.parent(), &entry.link, &shown)?),
            EntryKind::Hardlink => Item::Link(self.link(&TreePath::default(), &entry.link, &shown)?),
            _ => {
                return Err(Error::invalid(format!("{WHAT}: {shown:?} is neither file, directory nor link")));
            }
        };
        match self.archive.items.insert(entry.path, item) {
            Some(before) if !same(&before, self.archive.file(&shown).ok()) => {
                Err(Error::invalid(format!("{WHAT}: {shown:?} is in it twice, and differs")))
            }
            _ => Ok(true),
        }
    }

    /// A huge index is refused before it is written anywhere.
    fn check_document(&self, name: &str, size: u64) -> Result<()> {
        let is_document = matches!(name, "index.json" | "manifest.json" | "oci-layout" | "repositories");
        if is_document && size > self.archive.document_bytes && !weak::is_off("I05") {
            let most = self.archive.document_bytes;
            return Err(Error::invalid(format!(
                "the archive's {name} is longer than the {most} bytes that a document may have"
            )));
        }
        Ok(())
    }

    /// Links lead from their own directory to another file of the archive, by text alone.
    fn link(&self, from: &TreePath, target: &[u8], shown: &str) -> Result<TreePath> {
        if target.len() > PATH {
            return Err(Error::invalid(format!("{WHAT}: the target of the link {shown:?} is too long")));
        }
        let mut at = if target.starts_with(b"/") { TreePath::default() } else { from.clone() };
        for component in target.split(|b| *b == b'/') {
            match component {
                b"" | b"." => {}
                b".." if at.is_root() => {
                    return Err(Error::invalid(format!("{WHAT}: the link {shown:?} leads out of it")));
                }
                b".." => at = at.parent(),
                name => at = at.join(name),
            }
        }
        Ok(at)
    }
}

fn same(before: &Item, now: Option<&Spooled>) -> bool {
    matches!((before, now), (Item::File(before), Some(now)) if before.digest == now.digest)
}

/// The data of the present entry, counted for the progress.
struct Data<'a, R> {
    reader: &'a mut Reader<R>,
    received: &'a mut u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read_data(buffer);
        let count = read.map_err(|e| io::Error::other(Error::archive(WHAT, e)))?;
        *self.received += count as u64;
        (self.progress)(Progress::Receiving { bytes: *self.received });
        Ok(count)
    }
}
