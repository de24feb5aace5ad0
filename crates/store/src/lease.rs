//! Leases: what something in progress counts on stays until it is over. A lease lives in the daemon's memory, so that of a killed
//! one nothing is left; what its work left on the disk goes when the store is opened again.

use types::Digest;

use crate::Store;
use crate::image::{Image, Target};
use crate::store::Pinned;

/// Keeps an image from prunes, and its blobs and layers from every sweep, while it lives.
pub struct Lease(#[expect(dead_code, reason = "held for its end")] Pinned);

impl Store {
    /// Leases what a name leads to, with the images of all its platforms. Look afterwards whether it is still in the list: a removal
    /// that began before is not held up.
    #[must_use]
    pub fn lease_target(&self, target: &Target) -> Lease {
        let mut digests: Vec<Digest> = target.documents().collect();
        digests.push(target.digest);
        for image in target.images() {
            digests.push(image.id);
            digests.extend(image.content());
            digests.extend(&image.layers);
        }
        Lease(self.pin(digests))
    }

    /// Whether something in progress counts on the image: a load, pull, save, push or commit.
    #[must_use]
    pub fn is_leased(&self, image: &Image) -> bool {
        let change = self.change();
        [image.id, image.target, image.manifest].iter().any(|digest| change.is_pinned(digest))
    }

    /// The bytes of the files that the image has in the store: its layers as they came, its manifest and configuration.
    #[must_use]
    pub fn blob_sizes(&self, image: &Image) -> Vec<(Digest, u64)> {
        image.content().filter_map(|digest| Some((digest, self.0.blobs.size(&digest)?))).collect()
    }
}
