//! `system df`: what images, containers and volumes hold, and where every byte of the data root is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dockerapi::{AreaUsage, ContainerSummary, DiskUsage, Filters, ImageSummary, VolumeUsage};
use store::Area;
use types::Digest;

use crate::Result;
use crate::engine::{Engine, Inner, blocking};
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
            usage.images = self.image_list(true, Filters::default()).await?;
            self.0.count_uses(&mut usage.images);
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

impl Inner {
    /// How many containers each image has, and how much of it other images have too.
    fn count_uses(&self, images: &mut [ImageSummary]) {
        let (records, all) = (self.table.all(), self.store.images());
        let shared = shared_bytes(all.iter().map(|i| (i.id.to_string(), layers_of(i))).collect());
        for image in images {
            image.containers = count(records.iter().filter(|r| r.image_id == image.id).count());
            image.shared_size = shared.get(&image.id).map_or(0, |bytes| signed(*bytes));
        }
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

/// An image's layers and their sizes.
fn layers_of(image: &store::Image) -> Vec<(Digest, u64)> {
    image.layers.iter().copied().zip(image.layer_sizes.iter().copied()).collect()
}

/// For each image the bytes of those of its layers that another image has too.
fn shared_bytes(images: BTreeMap<String, Vec<(Digest, u64)>>) -> BTreeMap<String, u64> {
    let mut users: BTreeMap<Digest, usize> = BTreeMap::new();
    for layers in images.values() {
        let once: BTreeSet<Digest> = layers.iter().map(|(layer, _)| *layer).collect();
        once.into_iter().for_each(|layer| *users.entry(layer).or_default() += 1);
    }
    let is_shared = |layer: &Digest| users.get(layer).is_some_and(|n| *n > 1);
    let sum =
        |layers: Vec<(Digest, u64)>| layers.iter().filter(|(l, _)| is_shared(l)).map(|(_, size)| size).sum();
    images.into_iter().map(|(id, layers)| (id, sum(layers))).collect()
}

fn unique_layers(inner: &Inner) -> i64 {
    let images = inner.store.images();
    let layers: BTreeMap<_, u64> = images.iter().flat_map(|i| layers_of(i)).collect();
    signed(layers.values().sum::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_two_images_are_shared() {
        let layer = |n: u8| -> Digest { format!("sha256:{n:064}").parse().expect("digest") };
        let images = BTreeMap::from([
            ("a".to_owned(), vec![(layer(1), 10), (layer(2), 5)]),
            ("b".to_owned(), vec![(layer(1), 10), (layer(3), 7), (layer(3), 7)]),
        ]);
        let expected = BTreeMap::from([("a".to_owned(), 10), ("b".to_owned(), 10)]);
        assert_eq!(shared_bytes(images), expected);
    }
}
