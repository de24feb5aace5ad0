//! `system df`: what images, containers and volumes hold, and where every byte of the data root is.

use std::collections::BTreeMap;
use std::path::Path;

use dockerapi::{AreaUsage, ContainerSummary, DiskUsage, Filters, VolumeUsage};
use store::Area;

use crate::Result;
use crate::engine::{Engine, Inner, blocking};
use crate::images::{ImageListOptions, layers_of};
use crate::list::ListOptions;

/// Which parts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskOptions {
    /// Images and their layers.
    pub images: bool,
    /// Containers and what they wrote.
    pub containers: bool,
    /// Volumes.
    pub volumes: bool,
    /// The whole data root, by what its files are.
    pub areas: bool,
}

impl Engine {
    /// What images, containers and volumes take on the disk.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn disk_usage(&self, options: DiskOptions) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if options.images {
            let options = ImageListOptions { all: true, shared_size: true, ..ImageListOptions::default() };
            usage.images = self.image_list(options).await?;
            usage.layers_size = unique_layers(&self.0);
        }
        if options.containers {
            let all = ListOptions { all: true, size: true, ..ListOptions::default() };
            let containers: Vec<ContainerSummary> = self.list(all).await?;
            usage.containers = containers;
        }
        if options.volumes {
            usage.volumes = self.volume_list(Filters::default()).await?.volumes;
            let paths: Vec<String> = usage.volumes.iter().map(|v| v.mountpoint.clone()).collect();
            let measured = blocking(move || {
                let bytes = |path: &String| store::content_bytes(Path::new(path)).map_or(-1, signed);
                paths.iter().map(bytes).collect::<Vec<i64>>()
            });
            for (volume, size) in usage.volumes.iter_mut().zip(measured.await?) {
                let ref_count = count(self.0.users_of_volume(&volume.name, "").len());
                volume.usage_data = Some(VolumeUsage { ref_count, size });
            }
        }
        if options.areas {
            let engine = self.clone();
            let census = blocking(move || engine.0.store.census()).await??;
            usage.data_root = census
                .into_iter()
                .map(|(area, room)| AreaUsage {
                    name: word(area).to_owned(),
                    files: signed(room.files),
                    size: signed(room.bytes),
                    on_disk: signed(room.disk),
                })
                .collect();
        }
        Ok(usage)
    }
}

const fn word(area: Area) -> &'static str {
    match area {
        Area::Layers => "layers",
        Area::Blobs => "blobs",
        Area::Writable => "written by containers",
        Area::Containers => "logs and settings of containers",
        Area::Volumes => "volumes",
        Area::Unfinished => "unfinished loads and pulls",
        Area::Records => "records",
        Area::Ballast => "reserve",
        Area::Other => "other",
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn unique_layers(inner: &Inner) -> i64 {
    let images = inner.store.images();
    let layers: BTreeMap<_, u64> = images.iter().flat_map(|image| layers_of(&images, image)).collect();
    signed(layers.values().sum::<u64>())
}
