//! The list of images at one moment, and finding one in it by what people type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oci::image::platform::Preference;
use types::{Digest, Kind, Reference, ReferenceError, weak};

use super::{Image, Role, Target};
use crate::error::{Error, Result};

/// All images at one moment. Never changes; the store replaces it.
#[derive(Clone, Debug, Default)]
pub struct ImageList {
    targets: BTreeMap<Digest, Arc<Target>>,
    by_id: BTreeMap<Digest, Arc<Image>>,
    by_name: BTreeMap<Reference, Digest>,
    /// The targets of each image.
    by_image: BTreeMap<Digest, BTreeSet<Digest>>,
}

/// What a text led to.
pub(crate) struct Found {
    pub(crate) target: Arc<Target>,
    /// The image of the target that was meant.
    pub(crate) image: Arc<Image>,
    /// The name by which it was found, when it was not by id.
    pub(crate) name: Option<Reference>,
}

impl ImageList {
    pub(crate) fn new(targets: impl IntoIterator<Item = Arc<Target>>) -> Self {
        let targets: BTreeMap<_, _> = targets.into_iter().map(|target| (target.digest, target)).collect();
        let names = Names::of(targets.values());
        let mut list = Self::default();
        // What came from elsewhere stands for an image rather than what was made here.
        let (foreign, own): (Vec<_>, Vec<_>) = targets.into_values().partition(|target| target.foreign);
        for target in foreign.into_iter().chain(own) {
            let target = names.given(&target);
            list.by_name.extend(target.references.iter().map(|name| (name.clone(), target.digest)));
            for image in target.members.iter().filter(|m| is_listed(&m.role)).filter_map(|m| m.image.as_ref())
            {
                list.by_id.entry(image.id).or_insert_with(|| Arc::clone(image));
            }
            for image in target.images() {
                list.by_image.entry(image.id).or_default().insert(target.digest);
            }
            list.targets.insert(target.digest, target);
        }
        list
    }

    /// Every image, of all platforms that are here, by id. Attestations are not images.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.by_id.values()
    }

    /// Everything that has names or had some, by digest.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.values()
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The image of that id.
    #[must_use]
    pub fn get(&self, id: &Digest) -> Option<&Arc<Image>> {
        self.by_id.get(id)
    }

    /// The document of that digest, when names lead to it or did.
    #[must_use]
    pub fn target(&self, digest: &Digest) -> Option<&Arc<Target>> {
        self.targets.get(digest)
    }

    /// What that very name leads to.
    #[must_use]
    pub fn target_of(&self, name: &Reference) -> Option<&Arc<Target>> {
        self.by_name.get(name).and_then(|digest| self.targets.get(digest))
    }

    /// The image of that very name that stands for it on this host.
    #[must_use]
    pub fn named(&self, name: &Reference) -> Option<&Arc<Image>> {
        self.target_of(name).and_then(|target| target.image())
    }

    /// The targets that have this image.
    pub fn targets_with(&self, id: Digest) -> impl Iterator<Item = &Arc<Target>> {
        let digests = self.by_image.get(&id).into_iter().flatten();
        digests.filter_map(|digest| self.targets.get(digest))
    }

    /// Manifests that are about the manifest or index of that digest.
    pub fn referrers(&self, digest: Digest) -> impl Iterator<Item = &Arc<Image>> {
        self.by_id.values().filter(move |image| image.subject == Some(digest))
    }

    /// Whether an image without a name is about something that is here: then it is kept with that, and goes with it.
    #[must_use]
    pub fn is_attached(&self, image: &Image) -> bool {
        let is_here = |subject: Digest| {
            self.targets.contains_key(&subject) || self.by_id.values().any(|one| one.manifest == subject)
        };
        image.references.is_empty() && image.subject.is_some_and(is_here)
    }

    /// Finds an image by name, name and digest, id, or the beginning of an id (with or without `sha256:`). Of an index, it
    /// is the image that stands for it on this host.
    ///
    /// # Errors
    /// `NotFound` with Docker's sentence; `InvalidInput` when the text is no reference or means several images.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.find(text, None).map(|found| found.image)
    }

    /// As `resolve`, for that platform.
    ///
    /// # Errors
    /// As `resolve`; `NotFound` also when the image is not here for that platform.
    pub fn resolve_for(&self, text: &str, platform: Option<&Preference>) -> Result<Arc<Image>> {
        self.find(text, platform).map(|found| found.image)
    }

    pub(crate) fn find(&self, text: &str, platform: Option<&Preference>) -> Result<Found> {
        let whole = text.parse::<Digest>().or_else(|_| format!("sha256:{text}").parse());
        if let Ok(digest) = whole {
            return self.by_digest(digest, text, platform)?.ok_or_else(|| missing(text));
        }
        match text.parse::<Reference>() {
            Ok(name) => match self.by_reference(&name) {
                Some((target, None)) => {
                    let image = Arc::clone(target.choose(text, platform)?);
                    Ok(Found { target: Arc::clone(target), image, name: Some(name) })
                }
                Some((target, Some(image))) => Ok(Found {
                    target: Arc::clone(target),
                    image: checked(Arc::clone(image), text, platform)?,
                    name: Some(name),
                }),
                None => self.by_prefix(text, &name.familiar(), platform),
            },
            // Such as `sha256:ab`: a reference would want a whole digest.
            Err(_) if text.starts_with("sha256:") => self.by_prefix(text, text, platform),
            Err(e @ ReferenceError::Uppercase(_)) => Err(Error::invalid(e.to_string())),
            Err(e) => Err(Error::invalid(format!("{text:?}: {e}"))),
        }
    }

    /// With a digest, that digest must be one of this very repository's (moby 20.10.20), or of a manifest in such an index.
    fn by_reference(&self, name: &Reference) -> Option<(&Arc<Target>, Option<&Arc<Image>>)> {
        let Some(digest) = name.digest() else { return self.target_of(name).map(|target| (target, None)) };
        let is_known = |target: &Target| {
            weak::is_off("I03")
                || target.repo_digests.contains(&format!("{}@{}", name.familiar_name(), target.digest))
        };
        if let Some(target) = self.target(&digest).filter(|target| is_known(target)) {
            return Some((target, None));
        }
        self.targets().filter(|target| is_known(target)).find_map(|target| {
            let image = target.images().find(|image| image.manifest == digest)?;
            Some((target, Some(image)))
        })
    }

    /// By the id of an image, or by the digest of an index or manifest.
    fn by_digest(&self, digest: Digest, shown: &str, platform: Option<&Preference>) -> Result<Option<Found>> {
        if let Some(image) = self.get(&digest).or_else(|| self.by_manifest(digest)) {
            let image = checked(Arc::clone(image), shown, platform)?;
            return Ok(self.found(image));
        }
        let Some(target) = self.target(&digest) else { return Ok(None) };
        let image = Arc::clone(target.choose(shown, platform)?);
        Ok(Some(Found { target: Arc::clone(target), image, name: None }))
    }

    fn by_manifest(&self, digest: Digest) -> Option<&Arc<Image>> {
        let listed =
            self.targets().flat_map(|target| &target.members).filter(|member| is_listed(&member.role));
        listed.filter_map(|member| member.image.as_ref()).find(|image| image.manifest == digest)
    }

    fn found(&self, image: Arc<Image>) -> Option<Found> {
        let target = Arc::clone(self.target(&image.target)?);
        Some(Found { target, image, name: None })
    }

    fn by_prefix(&self, text: &str, shown: &str, platform: Option<&Preference>) -> Result<Found> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !prefix.is_empty() && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(missing(shown));
        }
        let ids = self.by_id.keys().chain(self.targets.keys());
        let manifests = self.by_id.values().map(|image| &image.manifest);
        let matching = ids.chain(manifests).filter(|digest| digest.hex().starts_with(prefix));
        let mut found: BTreeMap<Digest, Found> = BTreeMap::new();
        for digest in matching.copied().collect::<BTreeSet<_>>() {
            if let Some(one) = self.by_digest(digest, shown, platform)? {
                found.insert(one.image.id, one);
            }
        }
        match (found.pop_first(), found.len()) {
            (None, _) => Err(missing(shown)),
            (Some((_, one)), 0) => Ok(one),
            (Some(_), more) => {
                let what = format!("ambiguous image id prefix {prefix:?}: {} images have it", more + 1);
                Err(Error::invalid(what))
            }
        }
    }
}

/// An image that was named by its own digest must be for the platform that was asked for.
fn checked(image: Arc<Image>, shown: &str, platform: Option<&Preference>) -> Result<Arc<Image>> {
    match platform {
        Some(wanted) if wanted.rank(&image.platform()).is_none() => {
            let what = format!(
                "image with reference {shown} was found but does not provide the specified platform ({})",
                wanted.wanted()
            );
            Err(Error::new(Kind::NotFound, what))
        }
        _ => Ok(image),
    }
}

fn is_listed(role: &Role) -> bool {
    !matches!(role, Role::Attestation { .. })
}

fn missing(shown: &str) -> Error {
    Error::new(Kind::NotFound, format!("No such image: {shown}"))
}

/// By image: its names and digests, of all targets that have it.
#[derive(Default)]
struct Names {
    of: BTreeMap<Digest, (BTreeSet<Reference>, BTreeSet<String>)>,
}

impl Names {
    fn of<'a>(targets: impl Iterator<Item = &'a Arc<Target>>) -> Self {
        let mut names = Self::default();
        for target in targets {
            for image in target.images() {
                let (references, digests) = names.of.entry(image.id).or_default();
                references.extend(target.references.iter().cloned());
                digests.extend(target.repo_digests.iter().cloned());
            }
        }
        names
    }

    /// The target with the names of its images as they are now.
    fn given(&self, target: &Arc<Target>) -> Arc<Target> {
        let mut given = Target::clone(target);
        for image in given.members.iter_mut().filter_map(|member| member.image.as_mut()) {
            let Some((references, digests)) = self.of.get(&image.id) else { continue };
            if !(image.references.iter().eq(references) && image.repo_digests.iter().eq(digests)) {
                let renamed = Image::clone(image);
                *image = Arc::new(Image {
                    references: references.iter().cloned().collect(),
                    repo_digests: digests.iter().cloned().collect(),
                    ..renamed
                });
            }
        }
        Arc::new(given)
    }
}
