//! Saving images as an archive that Docker (any since 1.10), podman and skopeo load: an OCI layout with Docker's manifest.json
//! beside it, as `docker save` has written since 25. The same images in the same order give the same bytes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;

use layer::{Entry, Writer};
use oci::image::platform::Preference;
use oci::image::{Descriptor, Index, Layout, media};
use serde::Serialize;
use types::{Digest, Reference};

use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Found, Image, Role, Target, descriptors};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// A target, the image that manifest.json tells of it, and the names that were asked for.
struct Chosen {
    target: Arc<Target>,
    image: Arc<Image>,
    names: Vec<Reference>,
}

impl Store {
    /// Writes an archive of the images that these texts name: of an index, it with all that is here of it. What was asked for
    /// by id carries no name in it.
    ///
    /// # Errors
    /// `NotFound` when there is no such image; else when a blob cannot be read or the output fails.
    pub fn save(&self, texts: &[&str], output: &mut dyn Write) -> Result<()> {
        self.save_for(texts, &[], output)
    }

    /// As `save`, of each index only what is for these platforms, when there are any. The name leads to the manifest of a single one,
    /// and to the index, as it is, of several.
    ///
    /// # Errors
    /// As `save`; `NotFound` also when an image is not here for one of the platforms.
    pub fn save_for(&self, texts: &[&str], platforms: &[Preference], output: &mut dyn Write) -> Result<()> {
        let mut chosen: Vec<Chosen> = Vec::new();
        let list = self.images();
        for text in texts {
            let Found { target, image, name } = list.find(text, platforms.first())?;
            let mut manifests = BTreeSet::from([image.manifest]);
            for platform in platforms {
                manifests.insert(list.find(text, Some(platform))?.image.manifest);
            }
            let alone = match platforms {
                [] => target.image().is_some_and(|shown| shown.id != image.id),
                _ => manifests.len() == 1,
            };
            let target = match platforms {
                _ if alone => Arc::new(lone(&target, &image)),
                [] => target,
                _ => Arc::new(part(&target, &manifests)),
            };
            let image = target.image().map_or(image, Arc::clone);
            let name = name.filter(|name| name.digest().is_none());
            match chosen.iter_mut().find(|known| known.target.digest == target.digest) {
                Some(known) => known.names.extend(name),
                None => chosen.push(Chosen { target, image, names: name.into_iter().collect() }),
            }
        }
        let _pinned = self.pin(chosen.iter().flat_map(|one| blobs(&one.target)).collect());
        self.write_archive(&chosen, output)
    }

    fn write_archive(&self, chosen: &[Chosen], output: &mut dyn Write) -> Result<()> {
        let mut writer = Writer::new(output);
        for dir in ["blobs", "blobs/sha256"] {
            append(&mut writer, &Entry::directory(dir), &mut std::io::empty())?;
        }
        let mut written = BTreeSet::new();
        for digest in chosen.iter().flat_map(|one| blobs(&one.target)) {
            if written.insert(digest) {
                let (mut blob, size) = self.blob(&digest)?;
                append(&mut writer, &Entry::file(&blob_name(&digest), size), &mut blob)?;
            }
        }
        let layout = Layout { image_layout_version: "1.0.0".into() };
        document(&mut writer, "index.json", &index(chosen))?;
        let listed: Vec<Listed> = chosen.iter().filter(|one| one.image.is_runnable()).map(listed).collect();
        // To old readers, an archive of artifacts alone is none of theirs.
        if !listed.is_empty() {
            document(&mut writer, "manifest.json", &listed)?;
        }
        document(&mut writer, "oci-layout", &layout)?;
        writer.finish().map(|_| ()).map_err(|e| Error::call("cannot write the archive", e))
    }
}

/// One manifest of an index, as if no index led to it.
fn lone(target: &Target, image: &Image) -> Target {
    let members: Vec<_> =
        target.members.iter().filter(|member| member.digest == image.manifest).take(1).cloned().collect();
    Target {
        digest: image.manifest,
        media_type: image.manifest_type.clone(),
        size: image.manifest_size,
        indexes: Vec::new(),
        members,
        ..target.clone()
    }
}

/// An index with no other images than these.
fn part(target: &Target, manifests: &BTreeSet<Digest>) -> Target {
    let mut part = target.clone();
    for member in &mut part.members {
        let stays = match member.role {
            Role::Image => manifests.contains(&member.digest),
            Role::Attestation { of } => manifests.contains(&of),
            Role::Artifact(_) | Role::Unknown => true,
        };
        if !stays {
            member.image = None;
        }
    }
    part
}

/// All that is here of the target.
fn blobs(target: &Target) -> Vec<Digest> {
    target.documents().chain(target.images().flat_map(|image| image.content())).collect()
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn listed(one: &Chosen) -> Listed {
    Listed {
        config: blob_name(&one.image.id),
        repo_tags: one.names.iter().map(Reference::familiar).collect(),
        layers: one.image.layer_blobs().iter().map(blob_name).collect(),
    }
}

fn index(chosen: &[Chosen]) -> Index {
    let manifests: Vec<Descriptor> =
        chosen.iter().flat_map(|one| descriptors(&one.target, &one.names)).collect();
    Index { schema_version: 2, media_type: media::INDEX.into(), manifests, ..Index::default() }
}

fn document(writer: &mut Writer<&mut dyn Write>, name: &str, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(value).map_err(|e| Error::json("cannot write the archive", e))?;
    append(writer, &Entry::file(name, json.len() as u64), &mut json.as_slice())
}

fn append(writer: &mut Writer<&mut dyn Write>, entry: &Entry, data: &mut dyn Read) -> Result<()> {
    writer.append(entry, data).map_err(|e| Error::call("cannot write the archive", e))
}
