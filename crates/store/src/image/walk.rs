//! From a target down to its manifests, over any number of nested indexes (image-spec, image-index.md). The documents may lie in an
//! archive or in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oci::image::{Descriptor, Manifest, media};
use types::Digest;

use super::document::{artifact_type, check_index, check_manifest, is_of_image};
use super::{Document, Role};
use crate::error::{Error, Result};

/// Indexes within indexes.
const DEPTH: usize = 8;
/// Descriptors in one index, manifests of one target.
pub(crate) const WIDTH: usize = 4096;

/// Where documents are found.
pub(crate) trait Documents {
    /// What these documents are part of, for sentences: `the archive`.
    fn place(&self) -> &'static str;

    /// The index of that digest, byte for byte, checked against it. `None`: not here, and nobody expects it here.
    fn index(&self, digest: &Digest) -> Result<Option<Vec<u8>>>;

    /// As `index`, a manifest.
    fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>>;
}

/// A target's documents.
pub(crate) struct Tree {
    pub(crate) target: Document,
    /// Indexes below a target that is one.
    pub(crate) indexes: Vec<Document>,
    pub(crate) leaves: Vec<Leaf>,
}

/// A manifest of a target.
pub(crate) struct Leaf {
    pub(crate) digest: Digest,
    pub(crate) descriptor: Descriptor,
    pub(crate) role: Role,
    /// When it is here.
    pub(crate) manifest: Option<Arc<Read>>,
}

/// A manifest that was read.
pub(crate) struct Read {
    pub(crate) document: Document,
    pub(crate) manifest: Manifest,
}

/// Reads everything below the descriptor. `None`: the target itself is not here.
pub(crate) fn walk(top: &Descriptor, documents: &dyn Documents) -> Result<Option<Tree>> {
    let mut walker = Walker {
        documents,
        indexes: Vec::new(),
        leaves: Vec::new(),
        seen: BTreeSet::new(),
        read: BTreeMap::new(),
    };
    walker.descend(top, 0)?;
    let target = match media::is_index(&top.media_type) {
        true => (!walker.indexes.is_empty()).then(|| walker.indexes.remove(0)),
        false => {
            let read = walker.leaves.first().and_then(|leaf| leaf.manifest.as_ref());
            read.map(|read| read.document.clone())
        }
    };
    Ok(target.map(|target| Tree { target, indexes: walker.indexes, leaves: walker.leaves }))
}

struct Walker<'a> {
    documents: &'a dyn Documents,
    indexes: Vec<Document>,
    leaves: Vec<Leaf>,
    /// Indexes that were followed: once is enough.
    seen: BTreeSet<Digest>,
    /// Manifests that were read: one may be there for several platforms.
    read: BTreeMap<Digest, Arc<Read>>,
}

impl Walker<'_> {
    fn descend(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let digest = self.digest(descriptor)?;
        if !media::is_index(&descriptor.media_type) {
            return self.leaf(descriptor, digest);
        }
        let place = self.documents.place();
        if depth == DEPTH {
            return Err(Error::invalid(format!("{place} nests more than {DEPTH} indexes")));
        }
        if !self.seen.insert(digest) {
            return Ok(());
        }
        let Some(bytes) = self.documents.index(&digest)? else { return Ok(()) };
        check_size(descriptor, bytes.len() as u64, "index")?;
        let index = check_index(&bytes, &descriptor.media_type, &format!("index {digest}"))?;
        self.indexes.push(Document { media_type: descriptor.media_type.clone(), bytes });
        if index.manifests.len() + self.leaves.len() > WIDTH {
            return Err(Error::invalid(format!("index {digest} leads to more than {WIDTH} manifests")));
        }
        index.manifests.iter().try_for_each(|entry| self.descend(entry, depth + 1))
    }

    fn leaf(&mut self, descriptor: &Descriptor, digest: Digest) -> Result<()> {
        if self.leaves.len() == WIDTH {
            return Err(Error::invalid(format!(
                "{} has more than {WIDTH} manifests",
                self.documents.place()
            )));
        }
        let manifest =
            if media::is_manifest(&descriptor.media_type) { self.read(descriptor, digest)? } else { None };
        let role = role(descriptor, manifest.as_ref().map(|read| &read.manifest));
        self.leaves.push(Leaf { digest, descriptor: descriptor.clone(), role, manifest });
        Ok(())
    }

    fn read(&mut self, descriptor: &Descriptor, digest: Digest) -> Result<Option<Arc<Read>>> {
        if let Some(read) = self.read.get(&digest) {
            return Ok(Some(Arc::clone(read)));
        }
        let Some(bytes) = self.documents.manifest(&digest)? else { return Ok(None) };
        check_size(descriptor, bytes.len() as u64, "manifest")?;
        let manifest = check_manifest(&bytes, &descriptor.media_type, &format!("manifest {digest}"))?;
        let document = Document { media_type: descriptor.media_type.clone(), bytes };
        let read = Arc::new(Read { document, manifest });
        self.read.insert(digest, Arc::clone(&read));
        Ok(Some(read))
    }

    fn digest(&self, descriptor: &Descriptor) -> Result<Digest> {
        digest_in(self.documents.place(), descriptor)
    }
}

/// What a manifest is for, by how it is named and, when it is here, by what it says itself.
fn role(descriptor: &Descriptor, manifest: Option<&Manifest>) -> Role {
    let annotation = |key: &str| descriptor.annotations.get(key);
    if annotation("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
        && let Some(of) = annotation("vnd.docker.reference.digest").and_then(|digest| digest.parse().ok())
    {
        return Role::Attestation { of };
    }
    let nowhere = descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    match manifest {
        Some(manifest) if is_of_image(manifest) && !nowhere => Role::Image,
        Some(manifest) => Role::Artifact(artifact_type(manifest)),
        None if !descriptor.artifact_type.is_empty() => Role::Artifact(descriptor.artifact_type.clone()),
        None if nowhere || !media::is_manifest(&descriptor.media_type) => Role::Unknown,
        None => Role::Image,
    }
}

/// The digest that a descriptor names; `place`: where it was found.
pub(crate) fn digest_in(place: &str, descriptor: &Descriptor) -> Result<Digest> {
    descriptor.digest.parse().map_err(|e| Error::invalid(format!("{place} has a bad digest: {e}")))
}

/// What is there must be as long as was said.
pub(crate) fn check_size(descriptor: &Descriptor, size: u64, what: &str) -> Result<()> {
    if u64::try_from(descriptor.size) == Ok(size) {
        return Ok(());
    }
    let (digest, said) = (&descriptor.digest, descriptor.size);
    Err(Error::invalid(format!("{what} {digest} is {size} bytes long, but should be {said}")))
}
