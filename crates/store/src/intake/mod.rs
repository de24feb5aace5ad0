//! Taking in an image that comes piece by piece, as from a registry. The documents come first and say which layers there are; layers
//! come in any order and at once; the image is there when all of it is.
//!
//! Of each layer, one thread writes the blob to its file and hashes it, one inflates what is in the file so far, one
//! hashes that, and one unpacks it.

mod growing;
mod receive;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use types::{Digest, Kind, Reference};

pub use receive::{Arrived, Receiving, Step};
pub(crate) use turns::Turns;

use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Document, Image, check_index, check_manifest, digest_in, is_of_image, parse_config};
use crate::ingest::Session;
use crate::load::{Part, Proof, Proposal, Source};
use crate::store::Pinned;
use crate::stream::digest_of;

/// An image's documents as they came, byte for byte: their digests never change.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The indexes on the way to the manifest, topmost first: that one is what the name leads to. None when the name leads to the
    /// manifest itself.
    pub indexes: Vec<Document>,
    /// The manifest of the image itself, not of a list.
    pub manifest: Vec<u8>,
    /// The media type under which it came.
    pub manifest_type: String,
    /// The configuration that it names.
    pub config: Vec<u8>,
}

/// One layer of an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Layer {
    /// The digest of its blob, compressed or not.
    pub blob: Digest,
    /// The length of its blob.
    pub size: u64,
    /// The digest of its uncompressed tar; of a blob of an artifact, that of the blob.
    pub diff_id: Digest,
    /// It is a blob of an artifact: kept as it is, never unpacked.
    pub is_opaque: bool,
}

/// An image on its way in. As long as it lives, nothing of what it names is swept.
pub struct Intake {
    store: Store,
    documents: Documents,
    is_artifact: bool,
    layers: Vec<Layer>,
    pinned: Option<Pinned>,
    /// A commit did not come to its end: some of it may be in its place.
    failed: AtomicBool,
}

impl Store {
    /// Begins to take in the image of these documents.
    ///
    /// # Errors
    /// `InvalidInput` when a document is malformed, they contradict each other, or there are too many layers.
    pub fn intake(&self, documents: Documents) -> Result<Intake> {
        let (id, layers) = read(&documents, self.0.options.image_layers)?;
        let is_artifact =
            !is_of_image(&check_manifest(&documents.manifest, &documents.manifest_type, "the manifest")?);
        check_way(&documents)?;
        let mut digests = vec![id, digest_of(&documents.manifest)];
        digests.extend(documents.indexes.iter().map(Document::digest));
        digests.extend(layers.iter().flat_map(|layer| [layer.blob, layer.diff_id]));
        let pinned = self.pin(digests);
        let failed = AtomicBool::new(false);
        Ok(Intake { store: self.clone(), documents, is_artifact, layers, pinned: Some(pinned), failed })
    }
}

impl Intake {
    /// The image's layers, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Whether the store has the layer, its blob and the proof that they belong together.
    #[must_use]
    pub fn has(&self, layer: &Layer) -> bool {
        let inner = &self.store.0;
        if layer.is_opaque {
            return inner.blobs.size(&layer.blob) == Some(layer.size);
        }
        let proven = |image: &Arc<Image>| {
            image.blobs.iter().zip(&image.layers).any(|pair| pair == (&layer.blob, &layer.diff_id))
        };
        inner.layers.has(&layer.diff_id)
            && inner.blobs.size(&layer.blob) == Some(layer.size)
            && self.store.images().iter().any(proven)
    }

    /// Makes the image durable and visible, under `name` if there is one. `arrived`: the layers that the store did not have.
    ///
    /// # Errors
    /// When a layer is missing, or the disk is full.
    pub fn commit(&self, arrived: &[Arc<Arrived>], name: Option<&Reference>) -> Result<Arc<Image>> {
        self.commit_with(arrived, &[], name)
    }

    /// As `commit`, together with other manifests of the same index: all are there afterwards, or none.
    ///
    /// # Errors
    /// As `commit`; `InvalidInput` when one is of another index.
    pub fn commit_with(
        &self,
        arrived: &[Arc<Arrived>],
        others: &[(Self, Vec<Arc<Arrived>>)],
        name: Option<&Reference>,
    ) -> Result<Arc<Image>> {
        if others.iter().any(|(other, _)| other.documents.indexes != self.documents.indexes) {
            return Err(Error::invalid("manifests of several indexes do not come together"));
        }
        let committed = self.admit(arrived, others, name);
        for intake in others.iter().map(|(other, _)| other).chain([self]) {
            intake.failed.fetch_or(committed.is_err(), Ordering::Relaxed);
        }
        committed
    }

    fn admit(
        &self,
        arrived: &[Arc<Arrived>],
        others: &[(Self, Vec<Arc<Arrived>>)],
        name: Option<&Reference>,
    ) -> Result<Arc<Image>> {
        let session = self.store.0.ingest.session()?;
        let mut proof = Proof::default();
        let mut parts = vec![self.part(&session, arrived, &mut proof)?];
        for (other, arrived) in others {
            parts.push(other.part(&session, arrived, &mut proof)?);
        }
        let (by_digest, tagged): (Vec<_>, Vec<_>) =
            name.into_iter().partition(|name| name.digest().is_some());
        let mut indexes = self.documents.indexes.clone();
        let proposal = Proposal {
            target: if indexes.is_empty() { parts[0].manifest.clone() } else { indexes.remove(0) },
            indexes,
            parts,
            foreign: true,
            references: tagged.into_iter().cloned().collect(),
            repositories: by_digest.into_iter().map(Reference::repository).collect(),
        };
        let images = self.store.admit(&session, &[proposal], proof, &mut |_| ())?;
        images
            .into_iter()
            .next()
            .ok_or_else(|| Error::corrupt("the image disappeared while it was committed"))
    }

    /// What is proposed of it, and what was proven of its layers as they came.
    fn part(&self, session: &Session, arrived: &[Arc<Arrived>], proof: &mut Proof) -> Result<Part> {
        for one in arrived.iter().filter(|one| !one.layer.is_opaque) {
            proof.add(one.layer.blob, one.layer.diff_id, one.fresh.as_ref());
        }
        let source = |layer: &Layer| Source {
            digest: layer.blob,
            spooled: arrived.iter().find(|one| one.layer == *layer).and_then(|one| one.spooled.clone()),
        };
        let manifest = Document {
            media_type: self.documents.manifest_type.clone(),
            bytes: self.documents.manifest.clone(),
        };
        let mut blobs: Vec<Source> = self.layers.iter().map(source).collect();
        if !self.is_artifact {
            return Ok(Part::of_image(manifest, self.documents.config.clone(), blobs));
        }
        let config = session.spool(&mut self.documents.config.as_slice(), &mut self.store.space())?;
        blobs.insert(0, Source { digest: config.digest, spooled: Some(config) });
        Ok(Part::of_artifact(manifest, blobs))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if *self.failed.get_mut() {
            // What was moved already has no owner once it is no longer pinned.
            self.pinned = None;
            self.store.sweep_or_leave(self.store.change());
        }
    }
}

/// Each index must lead to the next document.
fn check_way(documents: &Documents) -> Result<()> {
    let mut next = digest_of(&documents.manifest).to_string();
    for document in documents.indexes.iter().rev() {
        let index =
            check_index(&document.bytes, &document.media_type, &format!("index {}", document.digest()))?;
        if !index.manifests.iter().any(|entry| entry.digest == next) {
            return Err(Error::invalid(format!("index {} does not lead to {next}", document.digest())));
        }
        next = document.digest().to_string();
    }
    Ok(())
}

fn read(documents: &Documents, most: usize) -> Result<(Digest, Vec<Layer>)> {
    let manifest = check_manifest(&documents.manifest, &documents.manifest_type, "the manifest")?;
    let id: Digest =
        manifest.config.digest.parse().map_err(|e| Error::invalid(format!("the manifest: {e}")))?;
    if digest_of(&documents.config) != id {
        return Err(Error::new(Kind::Corrupt, format!("image config verification failed for digest {id}")));
    }
    let opaque = !is_of_image(&manifest);
    let diff_ids = if opaque {
        let digests = manifest.layers.iter().map(|layer| digest_in("the manifest", layer));
        digests.collect::<Result<_>>()?
    } else {
        parse_config(&documents.config, "the configuration")?.1
    };
    if diff_ids.len() != manifest.layers.len() {
        return Err(Error::invalid(format!(
            "the manifest has {} layers, but its configuration {}",
            manifest.layers.len(),
            diff_ids.len()
        )));
    }
    if diff_ids.len() > most {
        let count = diff_ids.len();
        return Err(Error::invalid(format!("it has {count} layers; at most {most} can be stacked")));
    }
    let layer = |(descriptor, diff_id): (&oci::image::Descriptor, Digest)| {
        let blob = descriptor.digest.parse().map_err(|e| Error::invalid(format!("the manifest: {e}")))?;
        let size = u64::try_from(descriptor.size)
            .map_err(|_| Error::invalid(format!("the manifest says that blob {blob} has a negative size")))?;
        Ok(Layer { blob, size, diff_id, is_opaque: opaque })
    };
    let layers = manifest.layers.iter().zip(diff_ids).map(layer).collect::<Result<_>>()?;
    Ok((id, layers))
}
