//! A target that somebody wants in the store, not proven yet.

use oci::image::{Descriptor, Manifest, media};
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::image::Document;
use crate::ingest::Spooled;
use crate::stream::{Compression, digest_of, sniff};

/// A target, with the places of what is here of it.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    /// What names will lead to: an index, or the manifest of the only part.
    pub(crate) target: Document,
    /// Indexes below a target that is one.
    pub(crate) indexes: Vec<Document>,
    /// Those of its manifests that come with it: at least one.
    pub(crate) parts: Vec<Part>,
    /// The target came with the image, byte for byte.
    pub(crate) foreign: bool,
    pub(crate) references: Vec<Reference>,
    /// Repositories that have it, beside those of its names: as when it was pulled by digest.
    pub(crate) repositories: Vec<String>,
}

/// One manifest with what it names.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// What the image will be called: the digest of its configuration; of an artifact, that of its manifest.
    pub(crate) id: Digest,
    pub(crate) manifest: Document,
    /// The configuration of an image. That of an artifact is one of its blobs.
    pub(crate) config: Option<Vec<u8>>,
    /// The layers, bottom first; of an artifact all its blobs.
    pub(crate) blobs: Vec<Source>,
}

/// A blob, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) digest: Digest,
    /// `None`: only the store can have it.
    pub(crate) spooled: Option<Spooled>,
}

impl Proposal {
    /// Of one manifest that no index leads to.
    pub(crate) fn of_part(part: Part, foreign: bool, references: Vec<Reference>) -> Self {
        Self {
            target: part.manifest.clone(),
            indexes: Vec::new(),
            parts: vec![part],
            foreign,
            references,
            repositories: Vec::new(),
        }
    }

    /// Every document of it.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let parts = self.parts.iter().flat_map(|part| {
            [Some(part.manifest.bytes.as_slice()), part.config.as_deref()].into_iter().flatten()
        });
        [&self.target].into_iter().chain(&self.indexes).map(|document| document.bytes.as_slice()).chain(parts)
    }
}

impl Part {
    /// A manifest of an image: its id is the digest of its configuration.
    pub(crate) fn of_image(manifest: Document, config: Vec<u8>, layers: Vec<Source>) -> Self {
        Self { id: digest_of(&config), manifest, config: Some(config), blobs: layers }
    }

    /// A manifest of anything else.
    pub(crate) fn of_artifact(manifest: Document, blobs: Vec<Source>) -> Self {
        Self { id: manifest.digest(), manifest, config: None, blobs }
    }
}

/// An image without a manifest of its own gets one.
pub(crate) fn compose(config: Vec<u8>, layers: Vec<Spooled>, references: Vec<Reference>) -> Result<Proposal> {
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut descriptors = Vec::new();
    for layer in &layers {
        descriptors.push(Descriptor {
            media_type: layer_type(layer)?.into(),
            digest: layer.digest.to_string(),
            size: size(layer.size),
            ..Descriptor::default()
        });
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: media::MANIFEST.into(),
        config: Descriptor {
            media_type: media::CONFIG.into(),
            digest: digest_of(&config).to_string(),
            size: size(config.len() as u64),
            ..Descriptor::default()
        },
        layers: descriptors,
        ..Manifest::default()
    };
    let bytes = serde_json::to_vec(&manifest).map_err(|e| Error::json("cannot write a manifest", e))?;
    let manifest = Document { media_type: media::MANIFEST.into(), bytes };
    let source = |layer: Spooled| Source { digest: layer.digest, spooled: Some(layer) };
    let part = Part::of_image(manifest, config, layers.into_iter().map(source).collect());
    Ok(Proposal::of_part(part, false, references))
}

fn layer_type(layer: &Spooled) -> Result<&'static str> {
    let file = std::fs::File::open(&layer.path).map_err(|e| Error::call("cannot read back a layer", e))?;
    Ok(match sniff(file)?.0 {
        Compression::Plain => media::LAYER_TAR,
        Compression::Gzip => media::LAYER_GZIP,
        Compression::Zstd => media::LAYER_ZSTD,
    })
}
