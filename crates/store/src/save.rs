//! Saving images as an archive that Docker (any since 1.10), podman and skopeo load: an OCI layout with Docker's manifest.json
//! beside it, as `docker save` has written since 25.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;

use layer::{Entry, Writer};
use oci::image::{Descriptor, Index, Layout, media};
use serde::Serialize;
use types::{Digest, Reference};

use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Image, descriptors};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// An image, and the names of it that were asked for.
type Chosen = (Arc<Image>, Vec<Reference>);

impl Store {
    /// Writes an archive of the images that these texts name. An image that was asked for by id carries no name in it.
    ///
    /// # Errors
    /// `NotFound` when there is no such image; else when a blob cannot be read or the output fails.
    pub fn save(&self, texts: &[&str], output: &mut dyn Write) -> Result<()> {
        let mut chosen: Vec<Chosen> = Vec::new();
        let list = self.images();
        for text in texts {
            let (image, name) = list.find(text)?;
            let name = name.filter(|name| name.digest().is_none());
            match chosen.iter_mut().find(|(known, _)| known.id == image.id) {
                Some((_, names)) => names.extend(name),
                None => chosen.push((image, name.into_iter().collect())),
            }
        }
        let _pinned = self.pin(chosen.iter().flat_map(|(image, _)| blobs(image)).collect());
        self.write_archive(&chosen, output)
    }

    fn write_archive(&self, chosen: &[Chosen], output: &mut dyn Write) -> Result<()> {
        let mut writer = Writer::new(output);
        for dir in ["blobs", "blobs/sha256"] {
            append(&mut writer, &Entry::directory(dir), &mut std::io::empty())?;
        }
        let mut written = BTreeSet::new();
        for digest in chosen.iter().flat_map(|(image, _)| blobs(image)) {
            if written.insert(digest) {
                let size = self.0.blobs.size(&digest).unwrap_or(0);
                let mut blob = self.0.blobs.open_blob(&digest)?;
                append(&mut writer, &Entry::file(&blob_name(&digest), size), &mut blob)?;
            }
        }
        let layout = Layout { image_layout_version: "1.0.0".into() };
        document(&mut writer, "index.json", &index(chosen))?;
        document(&mut writer, "manifest.json", &chosen.iter().map(listed).collect::<Vec<_>>())?;
        document(&mut writer, "oci-layout", &layout)?;
        writer.finish().map(|_| ()).map_err(|e| Error::call("cannot write the archive", e))
    }
}

fn blobs(image: &Image) -> Vec<Digest> {
    [image.manifest, image.id].into_iter().chain(image.blobs.iter().copied()).collect()
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn listed((image, names): &Chosen) -> Listed {
    Listed {
        config: blob_name(&image.id),
        repo_tags: names.iter().map(Reference::familiar).collect(),
        layers: image.blobs.iter().map(blob_name).collect(),
    }
}

fn index(chosen: &[Chosen]) -> Index {
    let manifests: Vec<Descriptor> =
        chosen.iter().flat_map(|(image, names)| descriptors(&image.renamed(names.clone()))).collect();
    Index { schema_version: 2, media_type: media::INDEX.into(), manifests, ..Index::default() }
}

fn document(writer: &mut Writer<&mut dyn Write>, name: &str, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(value).map_err(|e| Error::json("cannot write the archive", e))?;
    append(writer, &Entry::file(name, json.len() as u64), &mut json.as_slice())
}

fn append(writer: &mut Writer<&mut dyn Write>, entry: &Entry, data: &mut dyn Read) -> Result<()> {
    writer.append(entry, data).map_err(|e| Error::call("cannot write the archive", e))
}
