//! Names of images: given, taken away.

use dockerapi::DeletedImage;
use store::Usage;
use types::Digest;

use super::{new_name, preferences};
use crate::Result;
use crate::engine::{Engine, Inner, blocking};

impl Engine {
    /// Gives an image one more name.
    ///
    /// # Errors
    /// When there is no such image, or the name is none.
    pub async fn image_tag(&self, name: &str, target: &str) -> Result<()> {
        let target = new_name(target, "refusing to create a tag with a digest reference")?;
        let image = self.image_for(name).await?;
        let engine = self.clone();
        blocking(move || {
            engine.0.store.tag(&image, &target)?;
            engine.0.tell_image("tag", &image, &target.familiar());
            Ok(())
        })
        .await?
    }

    /// Takes a name away, or the image with its last one; with platforms, only what is here for those.
    ///
    /// # Errors
    /// `Conflict` when containers use it, or it has several names and was named by id.
    pub async fn image_remove(
        &self,
        name: &str,
        platforms: &[String],
        force: bool,
    ) -> Result<Vec<DeletedImage>> {
        let (engine, name, platforms) = (self.clone(), name.to_owned(), preferences(platforms)?);
        blocking(move || {
            let inner = &engine.0;
            let image = inner.store.resolve(&name)?;
            let removal = inner.claims.removal();
            let in_use = |id: &Digest| {
                let user = inner.user_of_image(id);
                user.or_else(|| (!removal.takes(id)).then(|| inner.maker_of_image(id)))
            };
            let removed = match platforms.as_slice() {
                [] => inner.store.remove(&name, force, &in_use)?,
                some => inner.store.remove_platforms(&name, some, force, &in_use)?,
            };
            Ok(inner.tell_removed(&image, removed))
        })
        .await?
    }
}

impl Inner {
    /// A container of this image, a running one if there is one.
    pub(crate) fn user_of_image(&self, id: &Digest) -> Option<Usage> {
        let id = id.to_string();
        let mut users: Vec<_> = self.table.all().into_iter().filter(|r| r.image_id == id).collect();
        users.sort_by_key(|r| !r.state.is_running());
        users.first().map(|r| Usage { container: r.id.clone(), running: r.state.is_running() })
    }

    /// A container of this image that is being made.
    fn maker_of_image(&self, id: &Digest) -> Usage {
        Usage { container: self.claims.of_image(id).unwrap_or_default(), running: true }
    }
}
