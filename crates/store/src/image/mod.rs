//! Images: what they are, how they are found, named and removed. The OCI layout's index.json is the one truth; a list of
//! them is an immutable snapshot, replaced whole.

mod document;
mod index;
mod list;
mod remove;
mod tag;

use oci::image::ImageConfig;
use types::{Digest, Reference};

pub(crate) use document::{check_index, check_manifest, parse_config};
pub(crate) use index::{Naming, descriptors, read_index, read_layout, write_index};
pub use list::ImageList;
pub use remove::{Removed, Usage};
pub(crate) use tag::with_name;

/// One image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// The digest of its manifest in the store.
    pub manifest: Digest,
    /// Its configuration, parsed.
    pub config: ImageConfig,
    /// Its configuration, byte for byte.
    pub raw_config: Vec<u8>,
    /// Its names, in order.
    pub references: Vec<Reference>,
    /// `repository@digest` for each repository it came from. Empty when its manifest was made here.
    pub repo_digests: Vec<String>,
    /// Bytes of file content in all its layers.
    pub size: u64,
    /// When it was made, seconds since 1970; 0 when nobody said.
    pub created: i64,
    /// The diffIDs of its layers, bottom first.
    pub layers: Vec<Digest>,
    /// Bytes of file content of each layer, bottom first.
    pub layer_sizes: Vec<u64>,
    pub(crate) blobs: Vec<Digest>,
    pub(crate) manifest_type: String,
    pub(crate) manifest_size: u64,
    /// The manifest came with the image: its digest means something elsewhere.
    pub(crate) foreign_manifest: bool,
}

impl Image {
    /// Its names as people write them: `busybox:latest`.
    #[must_use]
    pub fn repo_tags(&self) -> Vec<String> {
        self.references.iter().map(Reference::familiar).collect()
    }

    /// The digests of its compressed or plain layer blobs, bottom first.
    #[must_use]
    pub fn layer_blobs(&self) -> &[Digest] {
        &self.blobs
    }

    /// The same image under other names.
    pub(crate) fn renamed(&self, mut references: Vec<Reference>) -> Self {
        references.sort();
        references.dedup();
        let mut repo_digests = Vec::new();
        if self.foreign_manifest {
            repo_digests =
                references.iter().map(|r| format!("{}@{}", r.familiar_name(), self.manifest)).collect();
            repo_digests.dedup();
        }
        Self { references, repo_digests, ..self.clone() }
    }
}
