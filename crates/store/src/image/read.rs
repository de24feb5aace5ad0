//! Reading targets back from the store's blobs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use oci::image::{Descriptor, ImageConfig, Manifest};
use types::Digest;

use super::{Document, Documents, Image, Kept, Leaf, Member, Role, Target, digest_in, parse_config, walk};
use crate::blobs::Blobs;
use crate::error::{Error, Result};
use crate::layers::Layers;
use crate::options::Options;

const PLACE: &str = "the store";

/// Where targets are read from.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) blobs: &'a Blobs,
    pub(crate) layers: &'a Layers,
    pub(crate) options: &'a Options,
}

/// The documents of one target: of an index, only those manifests that are said to be here.
struct Said<'a> {
    reader: Reader<'a>,
    target: Digest,
    here: &'a BTreeSet<Digest>,
    /// Why manifests of an index cannot be read: they take nothing else along.
    failures: RefCell<Vec<Error>>,
}

impl Documents for Said<'_> {
    fn place(&self) -> &'static str {
        PLACE
    }

    fn index(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.reader.blobs.document(digest, self.reader.options.document_bytes).map(Some)
    }

    fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let read = || self.reader.blobs.document(digest, self.reader.options.document_bytes);
        if *digest == self.target {
            return read().map(Some);
        }
        if !self.here.contains(digest) {
            return Ok(None);
        }
        Ok(read().map_err(|e| self.failures.borrow_mut().push(e)).ok())
    }
}

impl Reader<'_> {
    /// Reads a target, and why some of its manifests cannot be used.
    pub(crate) fn target(&self, digest: &Digest, kept: &Kept) -> Result<(Target, Vec<Error>)> {
        let size = self.blobs.size(digest).unwrap_or(0);
        let top = Descriptor {
            media_type: kept.media_type.clone(),
            digest: digest.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let said = Said { reader: *self, target: *digest, here: &kept.here, failures: RefCell::default() };
        let tree = walk(&top, &said)?.ok_or_else(|| Error::corrupt("its manifest is gone"))?;
        let mut failures = said.failures.into_inner();
        let mut members: Vec<Member> = Vec::new();
        for leaf in tree.leaves {
            let known = members.iter().find(|member| member.digest == leaf.digest);
            let image = match known {
                Some(known) => known.image.clone(),
                None => self.image(digest, &leaf).unwrap_or_else(|e| {
                    failures.push(e);
                    None
                }),
            };
            members.push(Member { digest: leaf.digest, descriptor: leaf.descriptor, role: leaf.role, image });
        }
        if members.iter().all(|member| member.image.is_none()) {
            let nothing = || Error::corrupt("none of its manifests is here");
            return Err(failures.into_iter().next().unwrap_or_else(nothing));
        }
        let target = Target {
            digest: *digest,
            media_type: kept.media_type.clone(),
            size,
            references: Vec::new(),
            repo_digests: Vec::new(),
            members,
            indexes: tree.indexes.iter().map(Document::digest).collect(),
            repositories: kept.repositories.clone(),
            foreign: kept.foreign,
        };
        Ok((target.renamed(kept.references.clone()), failures))
    }

    fn image(&self, target: &Digest, leaf: &Leaf) -> Result<Option<Arc<Image>>> {
        let Some(read) = &leaf.manifest else { return Ok(None) };
        let (document, manifest) = (&read.document, &read.manifest);
        let config_blob = digest_in(PLACE, &manifest.config)?;
        let blobs =
            manifest.layers.iter().map(|layer| digest_in(PLACE, layer)).collect::<Result<Vec<_>>>()?;
        let subject = manifest.subject.as_ref().and_then(|subject| subject.digest.parse().ok());
        let sizes = manifest.layers.iter().chain([&manifest.config]);
        let blob_bytes: u64 = sizes.map(|layer| u64::try_from(layer.size).unwrap_or(0)).sum();
        let bare = Image {
            id: leaf.digest,
            manifest: leaf.digest,
            target: *target,
            config: Arc::default(),
            raw_config: Arc::default(),
            references: Vec::new(),
            repo_digests: Vec::new(),
            size: blob_bytes,
            content_size: blob_bytes + document.bytes.len() as u64,
            created: moment(manifest.annotations.get("org.opencontainers.image.created")),
            layers: Vec::new(),
            layer_sizes: Vec::new(),
            artifact_type: None,
            subject,
            config_blob,
            blobs,
            manifest_type: document.media_type.clone(),
            manifest_size: document.bytes.len() as u64,
        };
        let image = match &leaf.role {
            Role::Image => self.runnable(bare)?,
            _ => self.artifact(bare, manifest)?,
        };
        Ok(Some(Arc::new(image)))
    }

    /// Completes an image from its configuration and layers.
    fn runnable(&self, bare: Image) -> Result<Image> {
        let raw_config = self.blobs.document(&bare.config_blob, self.options.document_bytes)?;
        let (config, layers) = parse_config(&raw_config, "its configuration")?;
        if bare.blobs.len() != layers.len() {
            return Err(Error::corrupt("its manifest and configuration differ in the number of layers"));
        }
        let layer_sizes = self.layer_sizes(&layers, &bare.blobs)?;
        Ok(Image {
            id: bare.config_blob,
            size: layer_sizes.iter().sum(),
            created: moment(config.created.as_ref()),
            config: Arc::new(config),
            raw_config: raw_config.into(),
            layers,
            layer_sizes,
            ..bare
        })
    }

    fn layer_sizes(&self, layers: &[Digest], blobs: &[Digest]) -> Result<Vec<u64>> {
        let mut sizes = Vec::with_capacity(layers.len());
        for (diff_id, blob) in layers.iter().zip(blobs) {
            match (self.layers.has(diff_id), self.blobs.size(blob)) {
                (true, _) => sizes.push(self.layers.note(diff_id)?.bytes),
                // It will be unpacked again.
                (false, Some(_)) => sizes.push(0),
                (false, None) => return Err(Error::corrupt(format!("its layer {diff_id} is gone"))),
            }
        }
        Ok(sizes)
    }

    fn artifact(&self, bare: Image, manifest: &Manifest) -> Result<Image> {
        for blob in bare.blobs.iter().chain([&bare.config_blob]) {
            if self.blobs.size(blob).is_none() {
                return Err(Error::corrupt(format!("its blob {blob} is gone")));
            }
        }
        let kind = super::document::artifact_type(manifest);
        Ok(Image { artifact_type: Some(kind), config: Arc::new(ImageConfig::default()), ..bare })
    }
}

/// Seconds since 1970; 0 when it was not said or is no time.
fn moment(text: Option<&String>) -> i64 {
    text.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}
