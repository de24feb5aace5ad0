//! The list of images at one moment, and finding one in it by what people type.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{Digest, Kind, Reference, ReferenceError};

use super::Image;
use crate::error::{Error, Result};

/// All images at one moment. Never changes; the store replaces it.
#[derive(Clone, Debug, Default)]
pub struct ImageList {
    by_id: BTreeMap<Digest, Arc<Image>>,
    by_name: BTreeMap<Reference, Digest>,
}

impl ImageList {
    pub(crate) fn new(images: impl IntoIterator<Item = Arc<Image>>) -> Self {
        let mut list = Self::default();
        for image in images {
            list.by_name.extend(image.references.iter().map(|name| (name.clone(), image.id)));
            list.by_id.insert(image.id, image);
        }
        list
    }

    /// Every image, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.by_id.values()
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

    /// The image of that very name.
    #[must_use]
    pub fn named(&self, name: &Reference) -> Option<&Arc<Image>> {
        self.by_name.get(name).and_then(|id| self.by_id.get(id))
    }

    /// Finds an image by name, name and digest, id, or the beginning of an id (with or without `sha256:`).
    ///
    /// # Errors
    /// `NotFound` with Docker's sentence; `InvalidInput` when the text is no reference or means several images.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.find(text).map(|(image, _)| image)
    }

    /// As `resolve`; also by which name it was found, when it was not by id.
    pub(crate) fn find(&self, text: &str) -> Result<(Arc<Image>, Option<Reference>)> {
        let whole = text.parse::<Digest>().or_else(|_| format!("sha256:{text}").parse());
        if let Ok(id) = whole {
            let image = self.get(&id).ok_or_else(|| missing(text))?;
            return Ok((Arc::clone(image), None));
        }
        match text.parse::<Reference>() {
            Ok(name) => match self.by_reference(&name) {
                Some(image) => Ok((Arc::clone(image), Some(name))),
                None => self.by_prefix(text, &name.familiar()),
            },
            // Such as `sha256:ab`: a reference would want a whole digest.
            Err(_) if text.starts_with("sha256:") => self.by_prefix(text, text),
            Err(e @ ReferenceError::Uppercase(_)) => Err(Error::invalid(e.to_string())),
            Err(e) => Err(Error::invalid(format!("{text:?}: {e}"))),
        }
    }

    /// With a digest, that digest must be one of this very repository's (moby 20.10.20).
    fn by_reference(&self, name: &Reference) -> Option<&Arc<Image>> {
        let Some(digest) = name.digest() else { return self.named(name) };
        let known = format!("{}@{digest}", name.familiar_name());
        self.iter().find(|image| image.repo_digests.contains(&known))
    }

    fn by_prefix(&self, text: &str, shown: &str) -> Result<(Arc<Image>, Option<Reference>)> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !prefix.is_empty() && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(missing(shown));
        }
        let mut found = self.iter().filter(|image| image.id.hex().starts_with(prefix));
        match (found.next(), found.count()) {
            (None, _) => Err(missing(shown)),
            (Some(image), 0) => Ok((Arc::clone(image), None)),
            (Some(_), more) => {
                let what = format!("ambiguous image id prefix {prefix:?}: {} images have it", more + 1);
                Err(Error::invalid(what))
            }
        }
    }
}

fn missing(shown: &str) -> Error {
    Error::new(Kind::NotFound, format!("No such image: {shown}"))
}
