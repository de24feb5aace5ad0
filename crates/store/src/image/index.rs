//! index.json of the data root's OCI layout: which manifests are images, and what they are called. One descriptor
//! per name, so that `skopeo inspect oci:<data-root>:<name>` finds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use oci::image::{Descriptor, Index, Layout, Platform, media};
use types::{Digest, Reference};

use super::{Image, check_index};
use crate::durable;
use crate::error::{Error, Result};

const NAME: &str = "org.opencontainers.image.ref.name";
/// What containerd and Docker look for.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The manifest came from elsewhere, as it is.
const FOREIGN: &str = "dev.berth.foreign-manifest";

/// One manifest of the index and its names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    pub(crate) media_type: String,
    pub(crate) references: Vec<Reference>,
    pub(crate) foreign: bool,
}

/// Writes the marker of the layout, when it is not there or damaged.
pub(crate) fn read_layout(root: &Path) -> Result<()> {
    let path = root.join("oci-layout");
    if fs::read(&path).is_ok_and(|json| serde_json::from_slice::<Layout>(&json).is_ok()) {
        return Ok(());
    }
    let layout = Layout { image_layout_version: "1.0.0".into() };
    let json = serde_json::to_vec(&layout).map_err(|e| Error::json("cannot write oci-layout", e))?;
    durable::write(&path, &json)
}

/// What the index says; `None` when there is none yet.
pub(crate) fn read_index(path: &Path) -> Result<Option<BTreeMap<Digest, Naming>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::call("cannot read index.json", e)),
    };
    let index = check_index(&bytes, media::INDEX, "index.json")?;
    let mut namings: BTreeMap<Digest, Naming> = BTreeMap::new();
    for descriptor in index.manifests {
        let digest = descriptor.digest.parse().map_err(|e| Error::invalid(format!("index.json: {e}")))?;
        let naming = namings.entry(digest).or_default();
        naming.media_type = descriptor.media_type;
        naming.foreign |= descriptor.annotations.contains_key(FOREIGN);
        naming.references.extend(descriptor.annotations.get(NAME).and_then(|name| name.parse().ok()));
    }
    Ok(Some(namings))
}

/// Writes the index, durably.
pub(crate) fn write_index<'a>(path: &Path, images: impl Iterator<Item = &'a Image>) -> Result<()> {
    let index = Index {
        schema_version: 2,
        media_type: media::INDEX.into(),
        manifests: images.flat_map(descriptors).collect(),
        ..Index::default()
    };
    let json = serde_json::to_vec_pretty(&index).map_err(|e| Error::json("cannot write index.json", e))?;
    durable::write(path, &json)
}

pub(crate) fn descriptors(image: &Image) -> Vec<Descriptor> {
    let mut bare = Descriptor {
        media_type: image.manifest_type.clone(),
        digest: image.manifest.to_string(),
        size: i64::try_from(image.manifest_size).unwrap_or(i64::MAX),
        platform: Some(Platform {
            architecture: image.config.architecture.clone(),
            os: image.config.os.clone(),
            variant: image.config.variant.clone(),
            ..Platform::default()
        }),
        ..Descriptor::default()
    };
    if image.foreign_manifest {
        bare.annotations.insert(FOREIGN.into(), "true".into());
    }
    if image.references.is_empty() {
        return vec![bare];
    }
    let named = |name: &Reference| {
        let mut descriptor = bare.clone();
        descriptor.annotations.insert(NAME.into(), name.to_string());
        descriptor.annotations.insert(CONTAINERD_NAME.into(), name.to_string());
        descriptor
    };
    image.references.iter().map(named).collect()
}
