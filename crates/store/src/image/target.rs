//! What names lead to.

use std::collections::BTreeSet;
use std::sync::Arc;

use oci::image::platform::Preference;
use oci::image::{Descriptor, Platform, media};
use types::{Digest, Kind, Reference};

use super::Image;
use crate::error::{Error, Result};

/// A document that has names, or had some: a manifest, or an index of manifests for several platforms.
#[derive(Clone, Debug)]
pub struct Target {
    /// The digest of the document: what registries call the image's digest.
    pub digest: Digest,
    /// The media type under which it came.
    pub media_type: String,
    /// The document's length in bytes.
    pub size: u64,
    /// Its names, in order.
    pub references: Vec<Reference>,
    /// `repository@digest` for each repository that it is known to be in.
    pub repo_digests: Vec<String>,
    /// The manifests that it leads to, in its order: of an index also those that are not here; else one.
    pub members: Vec<Member>,
    /// Indexes below this one.
    pub(crate) indexes: Vec<Digest>,
    /// Repositories that have it, also when no name says so.
    pub(crate) repositories: BTreeSet<String>,
    /// The document came with the image: its digest means something elsewhere.
    pub(crate) foreign: bool,
}

/// A manifest that a target leads to.
#[derive(Clone, Debug)]
pub struct Member {
    /// The manifest's digest.
    pub digest: Digest,
    /// How the index names it; of a target that is no index, how it would be named.
    pub descriptor: Descriptor,
    /// What it is for.
    pub role: Role,
    /// The manifest with all that it names, when it is here.
    pub image: Option<Arc<Image>>,
}

impl Member {
    /// Where it runs, as its index says, or as it says itself.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let own = || self.image.as_ref().filter(|image| image.is_runnable()).map(|image| image.platform());
        self.descriptor.platform.clone().or_else(own)
    }
}

/// What a manifest is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// It runs.
    Image,
    /// It states something about another manifest of its index, as BuildKit attaches them.
    Attestation {
        /// That manifest.
        of: Digest,
    },
    /// Content of that type, for other programs.
    Artifact(String),
    /// It is not here, and the index does not say.
    Unknown,
}

impl Target {
    /// Whether it is an index of manifests.
    #[must_use]
    pub fn is_index(&self) -> bool {
        media::is_index(&self.media_type)
    }

    /// How it is named: type, digest, length; of an artifact also of which type it is.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let bare = super::descriptors(self, &[]).into_iter().next().unwrap_or_default();
        Descriptor { platform: None, ..bare }
    }

    /// The documents that lead to the manifests, topmost first; none when it is a manifest itself.
    pub fn documents(&self) -> impl Iterator<Item = Digest> + '_ {
        self.is_index().then_some(self.digest).into_iter().chain(self.indexes.iter().copied())
    }

    /// What is here of it, attestations too.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.members.iter().filter_map(|member| member.image.as_ref())
    }

    /// The image that will do best for that platform, of those that are here.
    #[must_use]
    pub fn image_for(&self, preference: &Preference) -> Option<&Arc<Image>> {
        let ranked = self.members.iter().filter_map(|member| {
            let image = member.image.as_ref().filter(|image| image.is_runnable())?;
            Some((preference.rank(&member.platform()?)?, image))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, image)| image)
    }

    /// The image that stands for it: this host's, else the first that runs anywhere, else an artifact.
    #[must_use]
    pub fn image(&self) -> Option<&Arc<Image>> {
        let own = |member: &&Member| !matches!(member.role, Role::Attestation { .. });
        let first = |runs: bool| {
            let here = self.members.iter().filter(own).filter_map(|member| member.image.as_ref());
            here.clone().find(|image| image.is_runnable() == runs)
        };
        self.image_for(&Preference::host()).or_else(|| first(true)).or_else(|| first(false))
    }

    /// The image for that platform, or the one that stands for the target.
    ///
    /// # Errors
    /// `NotFound` in Docker's words, when it is not here for that platform.
    pub fn choose(&self, shown: &str, preference: Option<&Preference>) -> Result<&Arc<Image>> {
        let found = match preference {
            Some(preference) => self.image_for(preference),
            None => self.image(),
        };
        found.ok_or_else(|| {
            let wanted = preference.map_or_else(|| "any".to_owned(), |p| p.wanted().to_string());
            let what = format!("image with reference {shown} was found but does not provide the specified platform ({wanted})");
            Error::new(Kind::NotFound, what)
        })
    }

    /// Bytes of everything of it that is here, as registries have it.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        let documents = if self.is_index() { self.size } else { 0 };
        documents + self.images().map(|image| image.content_size).sum::<u64>()
    }

    /// The same under other names.
    pub(crate) fn renamed(&self, mut references: Vec<Reference>) -> Self {
        references.sort();
        references.dedup();
        let mut renamed = Self { references, ..self.clone() };
        renamed.repo_digests = renamed.known_digests();
        renamed
    }

    /// Without this name; its repository is forgotten with its last name.
    pub(crate) fn without_name(&self, name: &Reference) -> Self {
        let kept: Vec<_> = self.references.iter().filter(|known| *known != name).cloned().collect();
        let mut target = self.clone();
        if !kept.iter().any(|known| known.repository() == name.repository()) {
            target.repositories.remove(&name.repository());
        }
        target.renamed(kept)
    }

    /// After another document got this name: the repository still has this one, under its digest.
    pub(crate) fn bereft_of(&self, name: &Reference) -> Self {
        let kept = self.references.iter().filter(|known| *known != name).cloned().collect();
        let mut target = self.clone();
        if self.foreign {
            target.repositories.insert(name.repository());
        }
        target.renamed(kept)
    }

    fn known_digests(&self) -> Vec<String> {
        let named = self.references.iter().filter(|_| self.foreign).map(Reference::repository);
        let known: BTreeSet<String> = named.chain(self.repositories.iter().cloned()).collect();
        let digests = known.iter().filter_map(|repository| {
            let name: Reference = format!("{repository}@{}", self.digest).parse().ok()?;
            Some(name.familiar())
        });
        digests.collect()
    }
}
