//! docker-archive: manifest.json lists images with their configuration, layers and names (`docker save`, `podman save`).

use oci::image::Platform;
use oci::image::platform::Preference;
use serde::Deserialize;
use types::{Digest, Reference};

use super::archive::Archive;
use super::layout::refuse;
use super::{Proposal, compose, naming};
use crate::Store;
use crate::error::{Error, Result};
use crate::image::{WIDTH, parse_config};
use crate::ingest::Spooled;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Adds the images of manifest.json. One that the OCI layout gave already (Docker writes both) only gets its names; of what the layout
/// gave for certain platforms, only those count.
pub(super) fn add_proposals(
    store: &Store,
    archive: &Archive,
    platforms: &[Preference],
    proposals: &mut Vec<Proposal>,
) -> Result<()> {
    let bytes = archive.document("manifest.json")?;
    let listed: Vec<Listed> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::json("cannot read the archive's manifest.json", e))?;
    if listed.len() > WIDTH {
        return Err(Error::invalid(format!("the archive's manifest.json lists more than {WIDTH} images")));
    }
    for image in listed {
        let tags = image.repo_tags.iter().flatten();
        let references = tags.map(|tag| naming::parse(tag)).collect::<Result<Vec<Reference>>>()?;
        let config = named_by_digest(archive, &image.config, "configuration")?;
        let has = |known: &&mut Proposal| known.parts.iter().any(|part| part.id == config.digest);
        match proposals.iter_mut().find(has) {
            Some(known) => {
                let new: Vec<_> = references.into_iter().filter(|r| !known.references.contains(r)).collect();
                known.references.extend(new);
            }
            None if !platforms.is_empty() && archive.is_layout() => {}
            None => proposals.push(propose(store, archive, &image, platforms, references)?),
        }
    }
    Ok(())
}

fn propose(
    store: &Store,
    archive: &Archive,
    image: &Listed,
    platforms: &[Preference],
    references: Vec<Reference>,
) -> Result<Proposal> {
    let config = archive.document(&image.config)?;
    let what = format!("the configuration {:?}", image.config);
    let (parsed, diff_ids) = parse_config(&config, &what)?;
    let own = Platform {
        architecture: parsed.architecture.clone(),
        os: parsed.os.clone(),
        variant: parsed.variant.clone(),
        ..Platform::default()
    };
    if let Some(wanted) = platforms.iter().find(|wanted| wanted.rank(&own).is_none()) {
        return Err(refuse(wanted, std::iter::once(&own)));
    }
    let names = image.layers.as_deref().unwrap_or_default();
    if names.len() != diff_ids.len() {
        return Err(Error::invalid(format!(
            "{what} has {} layers, but manifest.json lists {}",
            diff_ids.len(),
            names.len()
        )));
    }
    let layers = names.iter().zip(&diff_ids).map(|(name, diff_id)| layer(store, archive, name, diff_id));
    compose(config, layers.collect::<Result<_>>()?, references)
}

/// A layer that is not in the archive may be in the store.
fn layer(store: &Store, archive: &Archive, name: &str, diff_id: &Digest) -> Result<Spooled> {
    if archive.has(name) {
        return named_by_digest(archive, name, "layer").cloned();
    }
    let blobs = &store.0.blobs;
    match blobs.size(diff_id) {
        Some(size) => Ok(Spooled { path: blobs.path(diff_id), digest: *diff_id, size }),
        None => Err(Error::invalid(format!("layer {diff_id} ({name:?}) is not in the archive"))),
    }
}

/// Where the name is a digest (`<hex>.json`, `<hex>.tar`, `blobs/sha256/<hex>`), the content must have it. Other hex names
/// (`<id>/layer.tar`) are ids.
fn named_by_digest<'a>(archive: &'a Archive, name: &str, what: &str) -> Result<&'a Spooled> {
    let spooled = archive.file(name)?;
    let base = name.rsplit('/').next().unwrap_or(name);
    let stem = base.strip_suffix(".json").or_else(|| base.strip_suffix(".tar")).unwrap_or(base);
    let named = format!("sha256:{stem}").parse::<Digest>().ok();
    match named.filter(|digest| *digest != spooled.digest) {
        // podman names plain layers by diffID, also when it wrote them compressed: those are checked as such.
        Some(_) if what == "layer" && base.ends_with(".tar") => Ok(spooled),
        Some(digest) => {
            let found = spooled.digest;
            Err(Error::invalid(format!("{what} {digest} is damaged: its content has the digest {found}")))
        }
        None => Ok(spooled),
    }
}
