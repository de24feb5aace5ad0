//! `image prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use dockerapi::{DeletedImage, Filters, PrunedImages};
use store::{Image, ImageList, Removed, Usage};
use types::Digest;

use super::{alone, until};
use crate::Result;
use crate::engine::{Engine, Inner, blocking};
use crate::images::labels;

/// Which images are to go.
#[derive(Debug, Clone)]
struct Wanted {
    /// Only those without a name.
    dangling: bool,
    /// Only those made until then, nanoseconds since the epoch.
    until: Option<i64>,
    labels: Filters,
}

impl Wanted {
    fn read(filters: &Filters) -> Result<Self> {
        filters.only(&["dangling", "label", "label!", "until"])?;
        let dangling = filters.truth("dangling")?.unwrap_or(true);
        Ok(Self { dangling, until: until(filters)?, labels: filters.clone() })
    }

    fn has(&self, list: &ImageList, image: &Image) -> bool {
        let is_old = self.until.is_none_or(|until| image.created.saturating_mul(1_000_000_000) <= until);
        (!self.dangling || image.references.is_empty())
            && !list.is_attached(image)
            && is_old
            && self.labels.labels(&labels(image))
    }
}

impl Engine {
    /// Removes images without a name; with the filter `dangling=false` all that no container uses. Pinned ones stay, and what is in
    /// use by something in progress.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing; `Conflict` when one is running already.
    pub async fn image_prune(&self, filters: Filters) -> Result<PrunedImages> {
        let wanted = Wanted::read(&filters)?;
        let _alone = alone(&self.0.prunes.images)?;
        let engine = self.clone();
        let pruned = blocking(move || engine.0.prune_images(&wanted)).await??;
        self.0.tell_pruned("image", pruned.space_reclaimed);
        Ok(pruned)
    }
}

impl Inner {
    fn prune_images(&self, wanted: &Wanted) -> Result<PrunedImages> {
        let list = self.store.images();
        let sizes: BTreeMap<String, u64> = list.iter().flat_map(|image| layer_sizes(image)).collect();
        let chosen: Vec<_> = list.iter().filter(|image| wanted.has(&list, image)).cloned().collect();
        let taken = self.take_images(&chosen, &|now| wanted.has(&self.store.images(), now))?;
        let images_deleted: Vec<_> = taken.into_iter().flat_map(|(_, deleted)| deleted).collect();
        let space_reclaimed = images_deleted.iter().filter_map(|one| sizes.get(&one.deleted)).sum();
        Ok(PrunedImages { images_deleted, space_reclaimed })
    }

    /// Removes images with all their names, where they are still wanted by then and nobody uses or pinned them; the others stay out
    /// of the answer. Blocks.
    pub(crate) fn take_images(
        &self,
        images: &[Arc<Image>],
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Vec<(Digest, Vec<DeletedImage>)>> {
        let removal = self.claims.removal();
        let kept = || Some(Usage { container: "a container".to_owned(), running: true });
        // Asked while no image can change: what it says still holds when the image goes.
        let in_use = |id: &Digest| {
            let is_wanted = self.store.images().get(id).is_some_and(|now| wanted(now));
            if !is_wanted || !removal.takes(id) || self.user_of_image(id).is_some() { kept() } else { None }
        };
        let ids = images.iter().map(|image| image.id).filter(|id| !self.store.is_pinned(id));
        let removed = self.store.remove_all(&ids.collect::<Vec<_>>(), &in_use)?;
        let told = removed.into_iter().filter_map(|(id, removed)| {
            let image = images.iter().find(|image| image.id == id)?;
            Some((id, self.tell_removed(image, removed)))
        });
        Ok(told.collect())
    }

    /// Tells what a removal did, and answers it in Docker's form.
    pub(crate) fn tell_removed(&self, image: &Image, removed: Vec<Removed>) -> Vec<DeletedImage> {
        let id = image.id.to_string();
        let mut answers = Vec::new();
        for one in removed {
            match &one {
                Removed::Untagged(_) => self.tell_image("untag", image, &id),
                Removed::Deleted(text) if *text == id => self.tell_image("delete", image, &id),
                Removed::Deleted(_) => {}
            }
            answers.push(match one {
                Removed::Untagged(untagged) => DeletedImage { untagged, ..DeletedImage::default() },
                Removed::Deleted(deleted) => DeletedImage { deleted, ..DeletedImage::default() },
            });
        }
        answers
    }
}

fn layer_sizes(image: &Image) -> Vec<(String, u64)> {
    image.layers.iter().map(Digest::to_string).zip(image.layer_sizes.iter().copied()).collect()
}
