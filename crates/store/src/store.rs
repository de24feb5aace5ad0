//! The store itself: who may change what when. Reads take the present list; changes are one at a time and publish a new
//! one; what a running load needs is pinned, so that a removal beside it does not sweep it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use types::{Digest, Rootfs};

use crate::ballast::Ballast;
use crate::blobs::Blobs;
use crate::error::{Error, Result};
use crate::image::{Image, ImageList, write_index};
use crate::ingest::{Ingest, Session};
use crate::intake::Turns;
use crate::layers::Layers;
use crate::notes::Notes;
use crate::options::Options;
use crate::partial::Partials;
use crate::records::{Durability, Records};
use crate::snapshots::Snapshots;
use crate::space::Space;
use crate::trash::Trash;
use crate::volumes::Volumes;
use crate::writeback::{Trail, Writeback};

/// The data root. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) root_fd: Arc<OwnedFd>,
    pub(crate) options: Options,
    pub(crate) ballast: Ballast,
    pub(crate) ingest: Ingest,
    pub(crate) trash: Arc<Trash>,
    pub(crate) writeback: Arc<Writeback>,
    pub(crate) partials: Partials,
    pub(crate) turns: Turns,
    pub(crate) blobs: Blobs,
    pub(crate) layers: Layers,
    pub(crate) snapshots: Snapshots,
    pub(crate) volumes: Volumes,
    pub(crate) records: Records,
    pub(crate) notes: Notes,
    pub(crate) images: RwLock<Arc<ImageList>>,
    pub(crate) warnings: Vec<String>,
    pub(crate) change: Mutex<Pins>,
    /// Held as long as the store is open: one daemon per data root.
    pub(crate) _lock: OwnedFd,
}

/// Digests (of blobs and layers) that loads in progress count on, and how many loads do.
pub(crate) type Pins = BTreeMap<Digest, usize>;

/// The right to change images, one at a time.
pub(crate) struct Change<'a>(MutexGuard<'a, Pins>);

impl Change<'_> {
    /// Whether a load, or something else in progress, counts on it.
    pub(crate) fn is_pinned(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }
}

/// Keeps what it names from being swept while it lives.
pub(crate) struct Pinned {
    store: Store,
    digests: Vec<Digest>,
}

impl Store {
    /// The data root's path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What was found damaged at open and how it was dealt with, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The images at this moment.
    #[must_use]
    pub fn images(&self) -> Arc<ImageList> {
        Arc::clone(&self.0.images.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds an image by what people type (`ImageList::resolve`).
    ///
    /// # Errors
    /// `NotFound` with Docker's sentence; `InvalidInput` when the text is no reference or means several images.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.images().resolve(text)
    }

    /// A small document of the store, such as a manifest, byte for byte.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Corrupt` when it is damaged.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>> {
        self.0.blobs.document(digest, self.0.options.document_bytes)
    }

    /// A blob of the store, and its length in bytes.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub fn blob(&self, digest: &Digest) -> Result<(File, u64)> {
        let blob = self.0.blobs.open_blob(digest)?;
        let size = blob.metadata().map_err(|e| Error::call(format!("cannot open blob {digest}"), e))?.len();
        Ok((blob, size))
    }

    /// The volumes.
    #[must_use]
    pub fn volumes(&self) -> &Volumes {
        &self.0.volumes
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Makes the writable root of a container on an image's layers. `volatile`: it will be mounted once only, so
    /// overlayfs need not sync.
    ///
    /// # Errors
    /// When the container has one already, a layer is gone, or the file system refuses.
    pub fn prepare(&self, container: &str, image: &Image, volatile: bool) -> Result<Rootfs> {
        self.0.snapshots.prepare(container, &image.layers, &self.0.layers, volatile)
    }

    /// The root that `prepare` made earlier.
    ///
    /// # Errors
    /// `NotFound` when there is none, or one of its layers is gone.
    pub fn snapshot(&self, container: &str, volatile: bool) -> Result<Rootfs> {
        self.0.snapshots.get(container, &self.0.layers, volatile)
    }

    /// Removes a container's writable root, and layers that only it kept. Not being there is fine.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn discard(&self, container: &str) -> Result<()> {
        let layers = self.0.snapshots.discard(container)?;
        let images = self.images();
        let owned = |layer: &Digest| images.iter().any(|image| image.layers.contains(layer));
        if layers.iter().all(owned) {
            return Ok(());
        }
        self.sweep_or_leave(self.change());
        Ok(())
    }

    /// Bytes of files that the container wrote.
    ///
    /// # Errors
    /// `NotFound` when it has no snapshot.
    pub fn snapshot_bytes(&self, container: &str) -> Result<u64> {
        self.0.snapshots.bytes(container)
    }

    /// The containers that have a snapshot: what is in no record can be discarded.
    #[must_use]
    pub fn snapshots(&self) -> Vec<String> {
        self.0.snapshots.names()
    }

    /// The directories of an image's layers, lowest first.
    #[must_use]
    pub fn layer_paths(&self, image: &Image) -> Vec<PathBuf> {
        image.layers.iter().map(|layer| self.0.layers.path(layer)).collect()
    }

    /// Waits until the files of what was removed are gone, too: `remove` does not.
    pub fn settle(&self) {
        self.0.trash.settle();
    }

    pub(crate) fn space(&self) -> Space {
        let Inner { root_fd, trash, options, .. } = &*self.0;
        Space::new(Arc::clone(root_fd), Arc::clone(trash), options.reserve_bytes)
    }

    /// For a writer of much.
    pub(crate) fn trail(&self) -> Trail {
        Trail::new(Arc::clone(&self.0.writeback))
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change(self.0.change.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Pins digests before looking whether they are there.
    pub(crate) fn pin(&self, digests: Vec<Digest>) -> Pinned {
        let mut change = self.change();
        for digest in &digests {
            *change.0.entry(*digest).or_default() += 1;
        }
        Pinned { store: self.clone(), digests }
    }

    /// Makes the list durable, then the one that everybody sees.
    pub(crate) fn publish(&self, _change: &Change<'_>, list: ImageList) -> Result<()> {
        let path = self.0.root.join("index.json");
        let write = |list: &ImageList| write_index(&path, list.targets().map(AsRef::as_ref));
        if let Err(e) = self.0.ballast.relieve(|| write(&list)) {
            // The new one may be in its place all the same, only not durably: a later start must not find what was refused.
            let _ = write(&self.images());
            return Err(e);
        }
        // A copy for the day on which index.json cannot be read. It is only that, so its loss is no failure.
        if let Ok(json) = std::fs::read_to_string(&path) {
            let _ = self.0.records.put("store", "index", &json, Durability::Relaxed);
        }
        *self.0.images.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        Ok(())
    }

    /// Takes blobs and layers that no image, snapshot or load needs out of sight. Answers which layers went, and the session
    /// that removes all of it when it is dropped: best after the change is over, for that takes a while.
    pub(crate) fn sweep(&self, change: &Change<'_>) -> Result<(Vec<Digest>, Session)> {
        let session = self.0.ballast.relieve(|| self.0.ingest.session())?;
        match self.sweep_into(&session, change) {
            Ok(swept) => Ok((swept, session)),
            Err(e) => {
                if self.0.layers.sync().is_err() {
                    session.leave();
                }
                Err(e)
            }
        }
    }

    fn sweep_into(&self, session: &Session, change: &Change<'_>) -> Result<Vec<Digest>> {
        let (blobs, layers) = self.wanted(change);
        for blob in self.0.blobs.list()?.iter().filter(|blob| !blobs.contains(blob)) {
            self.0.blobs.remove(blob, &session.path())?;
        }
        let held = self.0.snapshots.hold();
        self.0.layers.sweep(session, &layers.into_iter().chain(held.layers()).collect())
    }

    /// Sweeps after something durably lost its name, and answers which layers went. What the disk refuses to give up now undoes
    /// nothing: it has no owner, and goes with the next sweep, at the latest when the store is opened again.
    pub(crate) fn sweep_or_leave(&self, change: Change<'_>) -> Vec<Digest> {
        let result = self.sweep(&change);
        drop(change);
        result.map_or_else(
            |_| Vec::new(),
            |(swept, trash)| {
                self.0.trash.throw(trash);
                swept
            },
        )
    }

    /// What a sweep would take, by its place below the data root.
    pub(crate) fn strays(&self, change: &Change<'_>) -> Result<Vec<String>> {
        let (blobs, layers) = self.wanted(change);
        let held = self.0.snapshots.hold();
        let mut strays = self.0.layers.strays(&layers.into_iter().chain(held.layers()).collect())?;
        let stray = self.0.blobs.list()?.into_iter().filter(|blob| !blobs.contains(blob));
        strays.extend(stray.map(|blob| format!("blobs/sha256/{}", blob.hex())));
        Ok(strays)
    }

    /// The blobs and the layers that an image or a load needs. A plain layer's blob is named as the layer is: each is wanted for
    /// itself.
    fn wanted(&self, change: &Change<'_>) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let mut blobs: BTreeSet<Digest> = change.0.keys().copied().collect();
        let mut layers = blobs.clone();
        for target in self.images().targets() {
            blobs.extend(target.documents());
            blobs.extend(target.images().flat_map(|image| image.content()));
            layers.extend(target.images().flat_map(|image| &image.layers));
        }
        (blobs, layers)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut change = self.store.change();
        for digest in &self.digests {
            if let Some(count) = change.0.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    change.0.remove(digest);
                }
            }
        }
    }
}
