//! OCI layouts: index.json leads, over any number of nested indexes, to manifests (image-spec, image-layout.md).

use std::collections::BTreeSet;

use oci::image::platform::Preference;
use oci::image::{Descriptor, Manifest, Platform, media};
use types::{Digest, Kind, Reference};

use super::archive::Archive;
use super::{Part, Proposal, Source, naming};
use crate::error::{Error, Result};
use crate::image::{
    Document, Documents, Leaf, Role, Tree, WIDTH, check_index, check_size, digest_in, parse_config, walk,
};

const PLACE: &str = "the archive";

impl Documents for Archive {
    fn place(&self) -> &'static str {
        PLACE
    }

    fn index(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.blob_document(digest, "index").map(Some)
    }

    /// Tools leave out what they have not got of an index.
    fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.has_blob(digest).then(|| self.blob_document(digest, "manifest")).transpose()
    }
}

/// The targets of the archive's OCI layout; `platforms`: only what is for these, when there are any.
pub(super) fn proposals(archive: &Archive, platforms: &[Preference]) -> Result<Vec<Proposal>> {
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
        for descriptor in choose(group.descriptors)? {
            let digest = digest_in(PLACE, &descriptor)?;
            let known = proposals.iter_mut().find(|known| known.target.digest() == digest);
            match known {
                Some(known) => known.references.extend(group.name.clone()),
                None => proposals.extend(propose(archive, &descriptor, group.name.clone(), platforms)?),
            }
        }
    }
    Ok(proposals)
}

struct Group {
    name: Option<Reference>,
    descriptors: Vec<Descriptor>,
}

/// The descriptors of one name are one image's platforms; what has no name stands alone.
fn groups(descriptors: Vec<Descriptor>) -> Result<Vec<Group>> {
    if descriptors.len() > WIDTH {
        return Err(Error::invalid(format!("the archive's index.json has more than {WIDTH} entries")));
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = BTreeSet::new();
    for descriptor in descriptors.into_iter().filter(is_target) {
        let name = naming::of_descriptor(&descriptor)?;
        if !seen.insert((name.clone(), descriptor.digest.clone())) {
            continue;
        }
        match groups.iter_mut().find(|group| name.is_some() && group.name == name) {
            Some(group) => group.descriptors.push(descriptor),
            None => groups.push(Group { name, descriptors: vec![descriptor] }),
        }
    }
    Ok(groups)
}

/// What only states something about another manifest is kept where an index leads to it, not by itself.
fn is_target(descriptor: &Descriptor) -> bool {
    let known = media::is_index(&descriptor.media_type) || media::is_manifest(&descriptor.media_type);
    let attached = descriptor.annotations.contains_key("vnd.docker.reference.type");
    let nowhere = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown");
    known && !attached && !nowhere
}

/// Of several platforms, those for this machine; a single one, and what is for none, is taken as it is.
fn choose(descriptors: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
    if descriptors.len() < 2 || descriptors.iter().all(|d| d.platform.is_none()) {
        return Ok(descriptors);
    }
    let preference = Preference::host();
    let rank = |d: &Descriptor| d.platform.as_ref().and_then(|platform| preference.rank(platform));
    match descriptors.iter().filter_map(rank).min() {
        Some(best) => Ok(descriptors.into_iter().filter(|d| rank(d) == Some(best)).collect()),
        None => Err(refuse(&preference, descriptors.iter().filter_map(|d| d.platform.as_ref()))),
    }
}

/// Nothing for that platform, and what there is.
pub(super) fn refuse<'a>(preference: &Preference, have: impl Iterator<Item = &'a Platform>) -> Error {
    let have: BTreeSet<_> = have.map(Platform::to_string).collect();
    let have = have.into_iter().collect::<Vec<_>>().join(", ");
    Error::new(Kind::NotFound, format!("{} (it has: {have})", preference.refusal()))
}

/// `None`: an index that leads to nothing.
fn propose(
    archive: &Archive,
    descriptor: &Descriptor,
    name: Option<Reference>,
    platforms: &[Preference],
) -> Result<Option<Proposal>> {
    let digest = digest_in(PLACE, descriptor)?;
    let Some(tree) = walk(descriptor, archive)? else {
        return Err(Error::invalid(format!("manifest {digest} is not in the archive")));
    };
    if tree.leaves.is_empty() {
        return Ok(None);
    }
    let lone = !media::is_index(&descriptor.media_type);
    let mut parts = Vec::new();
    for leaf in wanted(&tree, platforms)? {
        parts.extend(
            part(archive, leaf, lone)?.filter(|part: &Part| !parts.iter().any(|p: &Part| same(p, part))),
        );
    }
    if parts.is_empty() {
        return Err(Error::invalid(format!("index {digest} leads to nothing that is in the archive")));
    }
    Ok(Some(Proposal {
        target: tree.target,
        indexes: tree.indexes,
        parts,
        foreign: true,
        references: name.into_iter().collect(),
        repositories: Vec::new(),
    }))
}

fn same(one: &Part, other: &Part) -> bool {
    one.manifest.bytes == other.manifest.bytes
}

/// The manifests to take in: all that are there, or the best for each platform and what is about them.
fn wanted<'a>(tree: &'a Tree, platforms: &[Preference]) -> Result<Vec<&'a Leaf>> {
    let here = tree.leaves.iter().filter(|leaf| leaf.manifest.is_some());
    if platforms.is_empty() {
        return Ok(here.collect());
    }
    let images: Vec<Descriptor> =
        here.clone().filter(|leaf| leaf.role == Role::Image).map(|leaf| leaf.descriptor.clone()).collect();
    if images.is_empty() {
        return Ok(here.collect());
    }
    let have = images.iter().filter_map(|descriptor| descriptor.platform.as_ref());
    let best = |wanted: &Preference| wanted.best(&images).map_err(|_| refuse(wanted, have.clone()));
    let best = platforms.iter().map(best).collect::<Result<Vec<_>>>()?;
    let is_wanted = |leaf: &&Leaf| match &leaf.role {
        Role::Image => best.contains(&&leaf.descriptor),
        Role::Attestation { of } => best.iter().any(|image| of.to_string() == image.digest),
        _ => true,
    };
    Ok(here.filter(is_wanted).collect())
}

/// `None`: an image for another operating system, of which only the index knows. A lone one is refused.
fn part(archive: &Archive, leaf: &Leaf, lone: bool) -> Result<Option<Part>> {
    let Some(read) = &leaf.manifest else { return Ok(None) };
    let (document, manifest) = (&read.document, &read.manifest);
    let elsewhere = leaf.descriptor.platform.as_ref().is_some_and(|platform| platform.os != "linux");
    match &leaf.role {
        Role::Image if elsewhere && !lone => Ok(None),
        Role::Image => image(archive, document, manifest).map(Some),
        _ => artifact(archive, document, manifest).map(Some),
    }
}

fn image(archive: &Archive, document: &Document, manifest: &Manifest) -> Result<Part> {
    let digest = document.digest();
    let id = digest_in(PLACE, &manifest.config)?;
    let config = archive.blob_document(&id, "configuration")?;
    check_size(&manifest.config, config.len() as u64, "configuration")?;
    let (_, diff_ids) = parse_config(&config, &format!("configuration {id}"))?;
    if diff_ids.len() != manifest.layers.len() {
        return Err(Error::invalid(format!(
            "manifest {digest} has {} layers, but its configuration {}",
            manifest.layers.len(),
            diff_ids.len()
        )));
    }
    let layers = manifest.layers.iter().map(|layer| source(archive, layer)).collect::<Result<_>>()?;
    Ok(Part::of_image(document.clone(), config, layers))
}

fn artifact(archive: &Archive, document: &Document, manifest: &Manifest) -> Result<Part> {
    let blobs = [&manifest.config].into_iter().chain(&manifest.layers).map(|blob| source(archive, blob));
    Ok(Part::of_artifact(document.clone(), blobs.collect::<Result<_>>()?))
}

fn source(archive: &Archive, blob: &Descriptor) -> Result<Source> {
    let digest = digest_in(PLACE, blob)?;
    if !archive.has_blob(&digest) {
        return Ok(Source { digest, spooled: None });
    }
    let spooled = archive.blob(&digest, "layer")?;
    check_size(blob, spooled.size, "layer")?;
    Ok(Source { digest, spooled: Some(spooled.clone()) })
}
