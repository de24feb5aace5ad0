//! An image that somebody wants in the store, not proven yet.

use oci::image::{Descriptor, Manifest, media};
use types::{Digest, Reference};

use crate::error::{Error, Result};
use crate::ingest::Spooled;
use crate::stream::{Compression, digest_of, sniff};

/// An image with the places of its parts.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    /// The digest of its configuration.
    pub(crate) id: Digest,
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_type: String,
    /// The manifest came with the image, byte for byte.
    pub(crate) foreign: bool,
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Source>,
    pub(crate) references: Vec<Reference>,
}

/// A layer's blob, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) digest: Digest,
    /// `None`: only the store can have it.
    pub(crate) spooled: Option<Spooled>,
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
    let id = digest_of(&config);
    let manifest = Manifest {
        schema_version: 2,
        media_type: media::MANIFEST.into(),
        config: Descriptor {
            media_type: media::CONFIG.into(),
            digest: id.to_string(),
            size: size(config.len() as u64),
            ..Descriptor::default()
        },
        layers: descriptors,
        ..Manifest::default()
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|e| Error::json("cannot write a manifest", e))?;
    let source = |layer: Spooled| Source { digest: layer.digest, spooled: Some(layer) };
    Ok(Proposal {
        id,
        manifest,
        manifest_type: media::MANIFEST.into(),
        foreign: false,
        config,
        layers: layers.into_iter().map(source).collect(),
        references,
    })
}

fn layer_type(layer: &Spooled) -> Result<&'static str> {
    let file = std::fs::File::open(&layer.path).map_err(|e| Error::call("cannot read back a layer", e))?;
    Ok(match sniff(file)?.0 {
        Compression::Plain => media::LAYER_TAR,
        Compression::Gzip => media::LAYER_GZIP,
        Compression::Zstd => media::LAYER_ZSTD,
    })
}
