//! SHA-256 on the way.

use aws_lc_rs::digest::{Context, SHA256, digest};
use types::Digest;

/// Hashes what it is shown.
pub(crate) struct Hasher(Context);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        to_digest(&self.0.finish())
    }
}

/// The digest of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    to_digest(&digest(&SHA256, bytes))
}

fn to_digest(hash: &aws_lc_rs::digest::Digest) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    Digest::from_hash(bytes)
}
