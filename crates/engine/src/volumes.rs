//! Volumes: the store's, in Docker's form.

use std::sync::atomic::{AtomicBool, Ordering};

use dockerapi::{Filters, Volume, VolumeCreate, VolumeList};
use store::VolumeOptions;

use crate::engine::{Engine, Inner, blocking};
use crate::{Error, Result};

impl Engine {
    /// Lists volumes by name.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn volume_list(&self, filters: Filters) -> Result<VolumeList> {
        filters.only(&["dangling", "driver", "label", "label!", "name"])?;
        let dangling = filters.truth("dangling")?;
        let volumes = self
            .0
            .store
            .volumes()
            .list()
            .into_iter()
            .filter(|v| filters.exact("driver", "local") && filters.labels(&v.labels))
            .filter(|v| {
                !filters.has("name") || filters.get("name").iter().any(|n| v.name.contains(n.as_str()))
            })
            .filter(|v| {
                dangling.is_none_or(|d| d == self.0.users_of_volume(&v.name, &v.container).is_empty())
            })
            .map(|v| document(&v))
            .collect();
        Ok(VolumeList { volumes, warnings: Vec::new() })
    }

    /// One volume.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        Ok(document(&self.0.store.volumes().get(name)?))
    }

    /// Makes a volume, or answers the one that is there.
    ///
    /// # Errors
    /// A name, driver or option that Berth does not have.
    pub async fn volume_create(&self, body: VolumeCreate) -> Result<Volume> {
        if !matches!(body.driver.as_str(), "" | "local") {
            return Err(Error::unimplemented(format!(
                "volume driver {:?} is not supported by Berth",
                body.driver
            )));
        }
        if body.cluster_volume_spec.is_some_and(|spec| !spec.is_empty()) {
            return Err(Error::unimplemented("cluster volumes are not supported by Berth"));
        }
        if !body.name.is_empty() {
            plan::spec::bind::volume_name(&body.name)?;
        }
        let options = VolumeOptions {
            name: body.name,
            labels: body.labels,
            options: body.driver_opts,
            container: String::new(),
        };
        let engine = self.clone();
        blocking(move || {
            let (volume, is_new) = engine.0.store.volumes().create(options)?;
            if is_new {
                engine.0.tell_volume("create", &volume.name);
            }
            Ok(document(&volume))
        })
        .await?
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// `Conflict` when a container has it; `NotFound` unless forced.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let inner = &engine.0;
            let existed = AtomicBool::new(false);
            let made_for = inner.store.volumes().get(&name).map_or_else(|_| String::new(), |v| v.container);
            inner.store.volumes().remove(&name, force, &|volume| {
                existed.store(true, Ordering::Relaxed);
                inner.users_of_volume(volume, &made_for)
            })?;
            if existed.load(Ordering::Relaxed) {
                inner.tell_volume("destroy", &name);
            }
            Ok(())
        })
        .await?
    }
}

impl Inner {
    /// The containers that mount a volume, also those that are being made. `made_for`: whom it was made for, if it is anonymous.
    pub(crate) fn users_of_volume(&self, name: &str, made_for: &str) -> Vec<String> {
        let all = self.table.all();
        let uses = all.iter().filter(|r| r.mounts.iter().any(|m| m.kind == "volume" && m.name == name));
        uses.map(|r| r.id.clone()).chain(self.claims.of_volume(name, made_for)).collect()
    }
}

fn document(volume: &store::Volume) -> Volume {
    Volume {
        created_at: volume.created.clone(),
        driver: "local".to_owned(),
        labels: volume.labels.clone(),
        mountpoint: volume.path.to_string_lossy().into_owned(),
        name: volume.name.clone(),
        options: volume.options.clone(),
        scope: "local".to_owned(),
        usage_data: None,
    }
}
