//! index.json of the data root's OCI layout: what names lead to. One descriptor
//! per name, so that `skopeo inspect oci:<data-root>:<name>` finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use oci::image::{Descriptor, Index, Layout, Platform, media};
use types::{Digest, Reference};

use super::{Kept, Target, check_index};
use crate::durable;
use crate::error::{Error, Result};

const NAME: &str = "org.opencontainers.image.ref.name";
/// What containerd and Docker look for.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The document came from elsewhere, as it is.
const FOREIGN: &str = "dev.berth.foreign-manifest";
/// Which manifests of an index are here: digests with commas between them.
const HERE: &str = "dev.berth.manifests";
/// Which repositories have it, beside those of its names: with commas between them.
const REPOSITORIES: &str = "dev.berth.repositories";

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
pub(crate) fn read_index(path: &Path) -> Result<Option<BTreeMap<Digest, Kept>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::call("cannot read index.json", e)),
    };
    let index = check_index(&bytes, media::INDEX, "index.json")?;
    let mut all: BTreeMap<Digest, Kept> = BTreeMap::new();
    for descriptor in index.manifests {
        let digest = descriptor.digest.parse().map_err(|e| Error::invalid(format!("index.json: {e}")))?;
        let annotation = |key: &str| descriptor.annotations.get(key);
        let listed = |key: &str| annotation(key).into_iter().flat_map(|text| text.split(','));
        let kept = all.entry(digest).or_default();
        kept.foreign |= annotation(FOREIGN).is_some();
        kept.references.extend(annotation(NAME).and_then(|name| name.parse().ok()));
        kept.here.extend(listed(HERE).filter_map(|text| text.parse::<Digest>().ok()));
        kept.repositories.extend(listed(REPOSITORIES).map(str::to_owned));
        let named =
            [descriptor.media_type.as_str(), media::MANIFEST].into_iter().find(|text| !text.is_empty());
        kept.media_type = named.unwrap_or_default().to_owned();
    }
    Ok(Some(all))
}

/// Writes the index, durably.
pub(crate) fn write_index<'a>(path: &Path, targets: impl Iterator<Item = &'a Target>) -> Result<()> {
    let index = Index {
        schema_version: 2,
        media_type: media::INDEX.into(),
        manifests: targets.flat_map(own_descriptors).collect(),
        ..Index::default()
    };
    let json = serde_json::to_vec_pretty(&index).map_err(|e| Error::json("cannot write index.json", e))?;
    durable::write(path, &json)
}

/// With what only this store needs to know.
fn own_descriptors(target: &Target) -> Vec<Descriptor> {
    let mut notes = BTreeMap::new();
    if target.foreign {
        notes.insert(FOREIGN.to_owned(), "true".to_owned());
    }
    if target.is_index() {
        let here: BTreeSet<_> = target.images().map(|image| image.manifest.to_string()).collect();
        notes.insert(HERE.to_owned(), here.into_iter().collect::<Vec<_>>().join(","));
    }
    if !target.repositories.is_empty() {
        let known: Vec<_> = target.repositories.iter().map(String::as_str).collect();
        notes.insert(REPOSITORIES.to_owned(), known.join(","));
    }
    let mut descriptors = descriptors(target, &target.references);
    descriptors.iter_mut().for_each(|descriptor| descriptor.annotations.extend(notes.clone()));
    descriptors
}

/// The target under each of these names; without names, once.
pub(crate) fn descriptors(target: &Target, names: &[Reference]) -> Vec<Descriptor> {
    let bare = Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest.to_string(),
        size: i64::try_from(target.size).unwrap_or(i64::MAX),
        ..described(target)
    };
    if names.is_empty() {
        return vec![bare];
    }
    let named = |name: &Reference| {
        let mut descriptor = bare.clone();
        descriptor.annotations.insert(NAME.into(), name.to_string());
        descriptor.annotations.insert(CONTAINERD_NAME.into(), name.to_string());
        descriptor
    };
    names.iter().map(named).collect()
}

/// What a single manifest is for.
fn described(target: &Target) -> Descriptor {
    let lone = target.images().next().filter(|_| !target.is_index());
    match lone.map(|image| (image, &image.artifact_type)) {
        Some((image, None)) => {
            let Platform { architecture, os, variant, .. } = image.platform();
            let platform = Platform { architecture, os, variant, ..Platform::default() };
            Descriptor { platform: Some(platform), ..Descriptor::default() }
        }
        Some((_, Some(kind))) => Descriptor { artifact_type: kind.clone(), ..Descriptor::default() },
        None => Descriptor::default(),
    }
}
