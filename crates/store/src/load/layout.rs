//! OCI layouts: index.json leads, over any number of nested indexes, to manifests (image-spec, image-layout.md).

use std::collections::BTreeSet;

use oci::image::platform::Preference;
use oci::image::{Descriptor, Platform, media};
use types::{Digest, Kind, Reference};

use super::archive::Archive;
use super::{Proposal, Source, naming};
use crate::error::{Error, Result};
use crate::image::{check_index, check_manifest, parse_config};

/// Indexes within indexes.
const DEPTH: usize = 8;
/// Images in one archive, descriptors in one index.
pub(super) const WIDTH: usize = 4096;

/// The images of the archive's OCI layout.
pub(super) fn proposals(archive: &Archive) -> Result<Vec<Proposal>> {
    let layout = archive.document("oci-layout")?;
    let layout: oci::image::Layout = serde_json::from_slice(&layout)
        .map_err(|e| Error::json("cannot read the archive's oci-layout", e))?;
    if layout.image_layout_version != "1.0.0" {
        let version = layout.image_layout_version;
        return Err(Error::invalid(format!(
            "the archive has an OCI layout of the unknown version {version:?}"
        )));
    }
    let index = check_index(&archive.document("index.json")?, media::INDEX, "the archive's index.json")?;
    let mut proposals: Vec<Proposal> = Vec::new();
    for group in groups(index.manifests)? {
        for descriptor in choose(group.descriptors, false)? {
            let Some(descriptor) = descend(archive, descriptor, 0)? else { continue };
            let proposal = propose(archive, &descriptor, group.name.clone())?;
            match proposals.iter_mut().find(|known| known.id == proposal.id) {
                Some(known) => known.references.extend(proposal.references),
                None => proposals.push(proposal),
            }
        }
    }
    Ok(proposals)
}

struct Group {
    name: Option<Reference>,
    descriptors: Vec<Descriptor>,
}

/// The descriptors of one name are one image's platforms.
fn groups(descriptors: Vec<Descriptor>) -> Result<Vec<Group>> {
    if descriptors.len() > WIDTH {
        return Err(Error::invalid(format!("the archive's index.json has more than {WIDTH} entries")));
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = BTreeSet::new();
    for descriptor in descriptors.into_iter().filter(is_image) {
        let name = naming::of_descriptor(&descriptor)?;
        if !seen.insert((name.clone(), descriptor.digest.clone())) {
            continue;
        }
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.descriptors.push(descriptor),
            None => groups.push(Group { name, descriptors: vec![descriptor] }),
        }
    }
    Ok(groups)
}

/// Signatures, attestations and other artifacts are not for running.
fn is_image(descriptor: &Descriptor) -> bool {
    let known = media::is_index(&descriptor.media_type) || media::is_manifest(&descriptor.media_type);
    let attached = descriptor.annotations.contains_key("vnd.docker.reference.type");
    let unknown = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown");
    known && !attached && !unknown && descriptor.artifact_type.is_empty()
}

/// Of several, those for this machine; a single one is taken as it is. `must`: there has to be one.
fn choose(descriptors: Vec<Descriptor>, must: bool) -> Result<Vec<Descriptor>> {
    let preference = Preference::host();
    let chosen = preference.choose(&descriptors);
    let with_platform = chosen.iter().filter(|descriptor| descriptor.platform.is_some());
    if let Some(best) = with_platform.clone().next() {
        let rank = |d: &Descriptor| d.platform.as_ref().and_then(|platform| preference.rank(platform));
        return Ok(with_platform.filter(|d| rank(d) == rank(best)).map(|d| (*d).clone()).collect());
    }
    let no_platforms = descriptors.iter().all(|d| d.platform.is_none());
    if descriptors.len() == 1 || (no_platforms && !must) {
        return Ok(descriptors);
    }
    let have = descriptors.iter().filter_map(|d| d.platform.as_ref());
    let have: BTreeSet<_> = have.map(Platform::to_string).collect();
    let have = have.into_iter().collect::<Vec<_>>().join(", ");
    Err(Error::new(Kind::NotFound, format!("{} (it has: {have})", preference.refusal())))
}

/// Follows indexes down to a manifest. `None`: an index without images.
fn descend(archive: &Archive, descriptor: Descriptor, depth: usize) -> Result<Option<Descriptor>> {
    if !media::is_index(&descriptor.media_type) {
        return Ok(Some(descriptor));
    }
    if depth == DEPTH {
        return Err(Error::invalid(format!("the archive nests more than {DEPTH} indexes")));
    }
    let digest = digest_of(&descriptor)?;
    let bytes = archive.blob_document(&digest, "index")?;
    check_size(&descriptor, bytes.len() as u64, "index")?;
    let index = check_index(&bytes, &descriptor.media_type, &format!("index {digest}"))?;
    let images: Vec<_> = index.manifests.into_iter().filter(is_image).take(WIDTH).collect();
    if images.is_empty() {
        return Ok(None);
    }
    match choose(images, true)?.into_iter().next() {
        Some(chosen) => descend(archive, chosen, depth + 1),
        None => Ok(None),
    }
}

fn propose(archive: &Archive, descriptor: &Descriptor, name: Option<Reference>) -> Result<Proposal> {
    let digest = digest_of(descriptor)?;
    let manifest = archive.blob_document(&digest, "manifest")?;
    check_size(descriptor, manifest.len() as u64, "manifest")?;
    let parsed = check_manifest(&manifest, &descriptor.media_type, &format!("manifest {digest}"))?;
    let id = digest_of(&parsed.config)?;
    let config = archive.blob_document(&id, "configuration")?;
    check_size(&parsed.config, config.len() as u64, "configuration")?;
    let (_, diff_ids) = parse_config(&config, &format!("configuration {id}"))?;
    if diff_ids.len() != parsed.layers.len() {
        return Err(Error::invalid(format!(
            "manifest {digest} has {} layers, but its configuration {}",
            parsed.layers.len(),
            diff_ids.len()
        )));
    }
    let layers = parsed.layers.iter().map(|layer| source(archive, layer)).collect::<Result<_>>()?;
    let references = name.into_iter().collect();
    let manifest_type = descriptor.media_type.clone();
    Ok(Proposal { id, manifest, manifest_type, foreign: true, config, layers, references })
}

fn source(archive: &Archive, layer: &Descriptor) -> Result<Source> {
    let digest = digest_of(layer)?;
    if !archive.has(&format!("blobs/sha256/{}", digest.hex())) {
        return Ok(Source { digest, spooled: None });
    }
    let spooled = archive.blob(&digest, "layer")?;
    check_size(layer, spooled.size, "layer")?;
    Ok(Source { digest, spooled: Some(spooled.clone()) })
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    descriptor.digest.parse().map_err(|e| Error::invalid(format!("the archive has a bad digest: {e}")))
}

fn check_size(descriptor: &Descriptor, size: u64, what: &str) -> Result<()> {
    if u64::try_from(descriptor.size) == Ok(size) {
        return Ok(());
    }
    let (digest, said) = (&descriptor.digest, descriptor.size);
    Err(Error::invalid(format!("{what} {digest} is {size} bytes long, but should be {said}")))
}
