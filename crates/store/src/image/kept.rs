//! What index.json says of a target beside its digest.

use std::collections::BTreeSet;

use types::{Digest, Reference};

use super::Target;

/// A target as it is written down: how it is named, and which of its manifests are here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) media_type: String,
    pub(crate) references: Vec<Reference>,
    /// Repositories that have it, beside those of its names.
    pub(crate) repositories: BTreeSet<String>,
    pub(crate) foreign: bool,
    /// Of an index: the manifests that are here.
    pub(crate) here: BTreeSet<Digest>,
}

impl From<&Target> for Kept {
    fn from(target: &Target) -> Self {
        Self {
            media_type: target.media_type.clone(),
            references: target.references.clone(),
            repositories: target.repositories.clone(),
            foreign: target.foreign,
            here: target.images().map(|image| image.manifest).collect(),
        }
    }
}
