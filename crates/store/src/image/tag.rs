//! Naming images.

use std::sync::Arc;

use types::{Digest, Kind, Reference};

use super::{Image, ImageList};
use crate::Store;
use crate::error::{Error, Result};

impl Store {
    /// Gives the image another name. A name that another image had moves to this one.
    ///
    /// # Errors
    /// When the image is gone, the name has a digest, or the index cannot be written.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<()> {
        if name.digest().is_some() {
            return Err(Error::invalid("refusing to create a tag with a digest reference"));
        }
        let change = self.change();
        let list = self.images();
        if list.get(&image.id).is_none() {
            return Err(Error::new(Kind::NotFound, format!("No such image: {}", image.id)));
        }
        self.publish(&change, with_name(&list, image.id, name))
    }
}

/// The list in which the name belongs to that image alone.
pub(crate) fn with_name(list: &ImageList, id: Digest, name: &Reference) -> ImageList {
    ImageList::new(list.iter().map(|image| {
        let has = image.references.contains(name);
        let mut names = image.references.clone();
        match (image.id == id, has) {
            (true, false) => names.push(name.clone()),
            (false, true) => names.retain(|known| known != name),
            _ => return Arc::clone(image),
        }
        Arc::new(image.renamed(names))
    }))
}
