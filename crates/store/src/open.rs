//! Opening the data root: the directories, the lock, and the images that its OCI layout names. Damage is put aside and told,
//! never a reason not to start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use oci::image::media;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use types::{Digest, Kind};

use crate::Store;
use crate::ballast::Ballast;
use crate::blobs::Blobs;
use crate::durable;
use crate::error::{Error, Result};
use crate::image::{
    ImageList, Kept, Reader, Target, check_index, check_manifest, read_index, read_layout, write_index,
};
use crate::ingest::Ingest;
use crate::intake::Turns;
use crate::layers::Layers;
use crate::notes::Notes;
use crate::options::Options;
use crate::partial::Partials;
use crate::records::Records;
use crate::snapshots::Snapshots;
use crate::store::Inner;
use crate::trash::Trash;
use crate::volumes::Volumes;
use crate::writeback::Writeback;

/// A daemon that was just killed, or a child that it was starting, may hold the lock for a moment more: half a second.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Opens the data root, making what is missing.
    ///
    /// # Errors
    /// `Conflict` when another daemon has it open; else when a directory cannot be made or read.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, Options::default())
    }

    /// Opens the data root with other caps than the default ones.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(root: &Path, options: Options) -> Result<Self> {
        let is_new = !root.is_dir();
        durable::make_dir(root, 0o710)?;
        let root = fs::canonicalize(root).map_err(|e| Error::call("cannot resolve the data root", e))?;
        let lock = lock(&root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root_fd =
            open(&root, flags, Mode::empty()).map_err(|e| Error::call("cannot open the data root", e))?;
        durable::remove_unfinished(&root)?;
        let overlay = root.join("overlay");
        durable::make_dir(&overlay, 0o710)?;
        read_layout(&root)?;
        let ballast = Ballast::open(root.join("ballast"));
        let records = Records::open(&root.join("berth.db"), ballast.clone())?;
        let quarantine = records.quarantine().map(|path| {
            format!(
                "the database was damaged: it was moved to {} and a new one was made of what could be read",
                path.display()
            )
        });
        let inner = Inner {
            ballast,
            layers: Layers::open(&overlay)?,
            ingest: Ingest::open(root.join("ingest"))?,
            trash: Arc::new(Trash::new()),
            writeback: Arc::new(Writeback::new()),
            partials: Partials::open(root.join("partial"))?,
            turns: Turns::new(),
            blobs: Blobs::open(root.join("blobs/sha256"))?,
            snapshots: Snapshots::open(overlay.join("snapshots"))?,
            volumes: Volumes::open(root.join("volumes"))?,
            records,
            notes: Notes::default(),
            images: RwLock::default(),
            change: Mutex::default(),
            warnings: quarantine.into_iter().collect(),
            root_fd: Arc::new(root_fd),
            root,
            options,
            _lock: lock,
        };
        for dir in ["", "blobs", "overlay"] {
            durable::sync_dir(&inner.root.join(dir))?;
        }
        if let Some(above) = inner.root.parent().filter(|_| is_new) {
            durable::sync_dir(above)?;
        }
        with_images(inner)
    }

    /// Reads a target back from its blobs, or says why something of it cannot be used.
    pub(crate) fn read_target(&self, digest: &Digest, kept: &Kept) -> Result<Target> {
        let (target, failures) = self.0.reader().target(digest, kept)?;
        failures.into_iter().next().map_or(Ok(target), Err)
    }
}

impl Inner {
    fn reader(&self) -> Reader<'_> {
        Reader { blobs: &self.blobs, layers: &self.layers, options: &self.options }
    }
}

fn lock(root: &Path) -> Result<OwnedFd> {
    let path = root.join("lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| Error::call(format!("cannot open {}", path.display()), e))?;
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) => thread::sleep(LOCK_PAUSE),
            Err(e) => return Err(Error::call(format!("cannot lock {}", path.display()), e)),
        }
    }
    let root = root.display();
    let what = format!("another daemon uses the data root {root}; give this one another --data-root");
    Err(Error::new(Kind::Conflict, what))
}

/// Reads every image of the index; those that cannot be read are left out and told.
fn with_images(mut inner: Inner) -> Result<Store> {
    let path = inner.root.join("index.json");
    let (namings, whole) = match read_index(&path) {
        Ok(Some(namings)) => (namings, true),
        // Written at once: from now on, a missing index is one that got lost.
        Ok(None) if inner.blobs.list()?.is_empty() => {
            write_index(&path, std::iter::empty())?;
            (BTreeMap::new(), true)
        }
        Ok(None) => {
            inner.warnings.push("index.json was missing; it was rebuilt".to_owned());
            (rescue_index(&inner, &path)?, false)
        }
        Err(e) => {
            let aside = path.with_extension("json.damaged");
            fs::rename(&path, &aside)
                .map_err(|e| Error::call("cannot move the damaged index.json aside", e))?;
            let aside = aside.display();
            inner.warnings.push(format!("index.json was damaged ({e}); it was moved to {aside} and rebuilt"));
            (rescue_index(&inner, &path)?, false)
        }
    };
    let mut targets = Vec::new();
    let mut lost = false;
    for (digest, kept) in &namings {
        let (target, failures) = match inner.reader().target(digest, kept) {
            Ok((target, failures)) => (Some(target), failures),
            Err(e) => (None, vec![e]),
        };
        lost |= !failures.is_empty();
        let names: Vec<_> = kept.references.iter().map(|r| r.familiar()).collect();
        let told = failures.iter().map(|e| format!("image {digest} {names:?} cannot be used: {e}"));
        inner.warnings.extend(told);
        targets.extend(target.map(Arc::new));
    }
    let mut store = Store(Arc::new(inner));
    let change = store.change();
    *store.0.images.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ImageList::new(targets));
    let mut found = Vec::new();
    // What a killed load committed before its last step. Where anything is amiss, nothing is thrown away.
    if whole
        && !lost
        && let Err(e) = store.sweep(&change)
    {
        found.push(format!("what an unfinished load left cannot be removed yet: {e}"));
    }
    drop(change);
    found.extend(store.restore_layers());
    if !whole && let Err(e) = store.publish(&store.change(), (*store.images()).clone()) {
        found.push(format!("the rebuilt index.json could not be written: {e}"));
    }
    if let Some(inner) = Arc::get_mut(&mut store.0) {
        inner.warnings.extend(found);
    }
    Ok(store)
}

/// What index.json said, as far as it can be known: names come from the copy in the records, else there are none, and manifests
/// come from the blobs.
fn rescue_index(inner: &Inner, path: &Path) -> Result<BTreeMap<Digest, Kept>> {
    let copy = inner.records.get("store", "index").ok().flatten();
    if let Some(json) = copy {
        let scratch = path.with_file_name("index.copy.new");
        fs::write(&scratch, json).map_err(|e| Error::call("cannot read the copy of index.json", e))?;
        let namings = read_index(&scratch);
        let _ = fs::remove_file(&scratch);
        if let Ok(Some(namings)) = namings {
            return Ok(namings);
        }
    }
    rescue_targets(inner)
}

/// Every index and manifest of the blobs, but those that an index leads to.
fn rescue_targets(inner: &Inner) -> Result<BTreeMap<Digest, Kept>> {
    let most = inner.options.document_bytes;
    let mut found: BTreeMap<Digest, Kept> = BTreeMap::new();
    let mut below: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    let all = inner.blobs.list()?;
    for digest in all.iter().filter(|digest| inner.blobs.size(digest).is_some_and(|size| size <= most)) {
        let Ok(bytes) = inner.blobs.document(digest, most) else { continue };
        let typed =
            |own: &str, default: &str| if own.is_empty() { default.to_owned() } else { own.to_owned() };
        if let Ok(index) = check_index(&bytes, "", "a blob").and_then(needs_entries) {
            let entries = index.manifests.iter().filter_map(|entry| entry.digest.parse().ok()).collect();
            below.insert(*digest, entries);
            let media_type = typed(&index.media_type, media::INDEX);
            found.insert(*digest, Kept { media_type, foreign: true, ..Kept::default() });
        } else if let Ok(manifest) = check_manifest(&bytes, "", "a blob") {
            let media_type = typed(&manifest.media_type, media::MANIFEST);
            found.insert(*digest, Kept { media_type, ..Kept::default() });
        }
    }
    let here: BTreeSet<Digest> = found.keys().copied().collect();
    for entries in below.values() {
        found.retain(|digest, _| !entries.contains(digest));
    }
    for kept in found.iter_mut().filter(|(digest, _)| below.contains_key(digest)).map(|(_, kept)| kept) {
        kept.here.clone_from(&here);
    }
    Ok(found)
}

/// Any JSON object is an index without entries.
fn needs_entries(index: oci::image::Index) -> Result<oci::image::Index> {
    let some = !index.manifests.is_empty();
    some.then_some(index).ok_or_else(|| Error::invalid("it has no manifests"))
}
