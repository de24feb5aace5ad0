//! Naming images.

use std::sync::Arc;

use types::{Digest, Kind, Reference};

use super::{Image, ImageList, Target};
use crate::Store;
use crate::error::{Error, Result};

impl Store {
    /// Gives what the image was found by (`Image::target`) another name. A name that another had moves to it.
    ///
    /// # Errors
    /// When the image is gone, the name has a digest, or the index cannot be written.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<()> {
        if name.digest().is_some() {
            return Err(Error::invalid("refusing to create a tag with a digest reference"));
        }
        let change = self.change();
        let list = self.images();
        let target = list.target(&image.target).map(|target| target.digest);
        let elsewhere = || list.get(&image.id).map(|image| image.target);
        let Some(target) = target.or_else(elsewhere) else {
            return Err(Error::new(Kind::NotFound, format!("No such image: {}", image.id)));
        };
        self.publish(&change, with_name(&list, target, name))
    }

    /// Notes that the repository of this name has the target, as after a push.
    ///
    /// # Errors
    /// `NotFound` when the target is gone; else when the index cannot be written.
    pub fn note_repository(&self, target: &Digest, name: &Reference) -> Result<()> {
        let change = self.change();
        let list = self.images();
        let Some(known) = list.target(target) else {
            return Err(Error::new(Kind::NotFound, format!("No such image: {target}")));
        };
        if known.repositories.contains(&name.repository()) {
            return Ok(());
        }
        let mut noted = (**known).clone();
        noted.repositories.insert(name.repository());
        let noted = noted.renamed(known.references.clone());
        let others = list.targets().filter(|other| other.digest != *target).cloned();
        self.publish(&change, ImageList::new(others.chain([Arc::new(noted)])))
    }
}

/// The list in which the name leads to that target alone.
pub(crate) fn with_name(list: &ImageList, target: Digest, name: &Reference) -> ImageList {
    let named = list.targets().map(|known| {
        let has = known.references.contains(name);
        match (known.digest == target, has) {
            (true, false) => {
                let names = known.references.iter().chain([name]).cloned().collect();
                Arc::new(known.renamed(names))
            }
            (false, true) => Arc::new(known.bereft_of(name)),
            _ => Arc::clone(known),
        }
    });
    without_doubles(ImageList::new(named.collect::<Vec<_>>()))
}

/// What was made here for an image that others lead to as well goes with its last name.
fn without_doubles(list: ImageList) -> ImageList {
    let is_elsewhere = |target: &Target, image: &Arc<Image>| {
        list.targets_with(image.id).any(|other| other.digest != target.digest && other.foreign)
    };
    let is_double = |target: &Target| {
        target.references.is_empty()
            && !target.foreign
            && target.repositories.is_empty()
            && target.images().all(|image| is_elsewhere(target, image))
    };
    let doubles: Vec<Digest> =
        list.targets().filter(|target| is_double(target)).map(|target| target.digest).collect();
    if doubles.is_empty() {
        return list;
    }
    ImageList::new(
        list.targets().filter(|target| !doubles.contains(&target.digest)).cloned().collect::<Vec<_>>(),
    )
}
