//! What an image is here. A *target* is what names lead to: one document, a manifest or an index, with what is here of what
//! it leads to. An *image* is one manifest of a target: something that runs on one platform, or an artifact. Documents are
//! kept byte for byte, so digests stay what the registry said.
//!
//! The OCI layout's index.json is the one truth; a list of images is an immutable snapshot, replaced whole. Decision 0010.

mod document;
mod index;
mod kept;
mod list;
mod read;
mod remove;
mod tag;
mod target;
mod walk;

use std::sync::Arc;

use oci::image::{ImageConfig, Platform};
use types::{Digest, Reference};

pub use document::Document;
pub(crate) use document::{check_index, check_manifest, is_of_image, parse_config};
pub(crate) use index::{descriptors, read_index, read_layout, write_index};
pub(crate) use kept::Kept;
pub(crate) use list::Found;
pub use list::ImageList;
pub(crate) use read::Reader;
pub use remove::{Removed, Usage};
pub(crate) use tag::with_name;
pub use target::{Member, Role, Target};
pub(crate) use walk::{Documents, Leaf, Tree, WIDTH, check_size, digest_in, walk};

/// One manifest with its configuration: what runs on one platform, or an artifact.
///
/// To pull: look up `ImageList::target` of the name; when its digest is what the registry says and `Target::image_for` finds the
/// platform, it is up to date. To push: send `Target::documents` and the blobs of its `members` byte for byte
/// (`Store::document`, `Store::blob`). To run: `is_runnable` first.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration; of an artifact, which may share its configuration with others, that of its manifest.
    pub id: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// What its name leads to: an index or, when there is none, its manifest.
    pub target: Digest,
    /// Its configuration, parsed; empty for an artifact.
    pub config: Arc<ImageConfig>,
    /// Its configuration, byte for byte; empty for an artifact.
    pub raw_config: Arc<[u8]>,
    /// The names that lead to it, in order. Those of an index lead to the images of all its platforms.
    pub references: Vec<Reference>,
    /// `repository@digest` for each repository that it is known to be in; the digest is the target's. Empty when its manifest
    /// was made here and not pushed.
    pub repo_digests: Vec<String>,
    /// Bytes of file content in all its layers; of an artifact, of its blobs.
    pub size: u64,
    /// Bytes of its manifest, configuration and layers as registries have them.
    pub content_size: u64,
    /// When it was made, seconds since 1970; 0 when nobody said.
    pub created: i64,
    /// The diffIDs of its layers, bottom first; none of an artifact.
    pub layers: Vec<Digest>,
    /// Bytes of file content of each layer, bottom first.
    pub layer_sizes: Vec<u64>,
    /// The type of an artifact: what is in it is not for running.
    pub artifact_type: Option<String>,
    /// The manifest that this one is about.
    pub subject: Option<Digest>,
    pub(crate) config_blob: Digest,
    pub(crate) blobs: Vec<Digest>,
    pub(crate) manifest_type: String,
    pub(crate) manifest_size: u64,
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

    /// Whether containers can be made of it.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        self.artifact_type.is_none()
    }

    /// Where it runs, as its configuration says.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.config.architecture.clone(),
            os: self.config.os.clone(),
            os_version: self.config.os_version.clone(),
            os_features: self.config.os_features.clone(),
            variant: self.config.variant.clone(),
        }
    }

    /// The digests of all that makes it up: manifest, configuration, layers.
    pub fn content(&self) -> impl Iterator<Item = Digest> + '_ {
        [self.manifest, self.config_blob].into_iter().chain(self.blobs.iter().copied())
    }
}
