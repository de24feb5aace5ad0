//! `volume prune`.

use std::path::Path;

use dockerapi::{Filters, PrunedVolumes};

use super::alone;
use crate::engine::{Engine, Inner, blocking};
use crate::{Error, Result};

impl Engine {
    /// Removes volumes that no container has: those without a name of their own, with the filter `all=true` the named ones, too.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing; `Conflict` when one is running already.
    pub async fn volume_prune(&self, filters: Filters) -> Result<PrunedVolumes> {
        filters.only(&["all", "label", "label!"])?;
        let all = filters.truth("all")?.unwrap_or(false);
        let _alone = alone(&self.0.prunes.volumes)?;
        let engine = self.clone();
        let pruned = blocking(move || engine.0.prune_volumes(&filters, all)).await??;
        self.0.tell_pruned("volume", pruned.space_reclaimed);
        Ok(pruned)
    }
}

impl Inner {
    fn prune_volumes(&self, filters: &Filters, all: bool) -> Result<PrunedVolumes> {
        let mut pruned = PrunedVolumes::default();
        for volume in self.store.volumes().list() {
            let is_wanted = (all || volume.anonymous) && filters.labels(&volume.labels);
            let users = |name: &str| self.users_of_volume(name, &volume.container);
            if !is_wanted || !users(&volume.name).is_empty() {
                continue;
            }
            let bytes = store::content_bytes(Path::new(&volume.path)).unwrap_or(0);
            // Asked again while no volume can be made or found.
            match self.store.volumes().remove(&volume.name, false, &users) {
                Ok(()) => {
                    self.tell_volume("destroy", &volume.name);
                    pruned.volumes_deleted.push(volume.name);
                    pruned.space_reclaimed += bytes;
                }
                Err(error) if matches!(error.kind(), types::Kind::Conflict | types::Kind::NotFound) => {}
                Err(error) => return Err(Error::from(error)),
            }
        }
        Ok(pruned)
    }
}
