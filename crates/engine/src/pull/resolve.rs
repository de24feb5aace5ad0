//! What a name means at a registry: through indexes to the manifest for a platform, and its configuration.

use bytes::BytesMut;
use oci::image::platform::Preference;
use oci::image::{Descriptor, Index, media};
use registry::{Repository, Target};
use store::{Document, Documents};
use types::{Digest, Kind, Reference};

use crate::{Error, Result};

/// Indexes within indexes.
const DEPTH: usize = 8;
/// Bytes of a configuration.
const CONFIG_BYTES: u64 = 4 << 20;

/// What was found.
pub(super) struct Resolved {
    /// The digest of what the name means itself: an index or a manifest.
    pub(super) digest: Digest,
    /// Everything that leads to the layers.
    pub(super) documents: Documents,
}

/// Finds the image for the platform, or this host.
pub(super) async fn resolve(
    repository: &Repository,
    name: &Reference,
    target: &Target,
    preference: Option<&Preference>,
) -> Result<Resolved> {
    let host = Preference::host();
    let preference = preference.unwrap_or(&host);
    let mut found = document(repository, target).await?;
    let digest = found.digest();
    let mut indexes = Vec::new();
    while media::is_index(&found.media_type) {
        if indexes.len() == DEPTH {
            return Err(Error::invalid(format!(
                "{}: more than {DEPTH} indexes within indexes",
                name.familiar()
            )));
        }
        let index: Index = parse(&found, "index")?;
        let best =
            preference.best(&index.manifests).map_err(|e| Error::new(Kind::NotFound, e.to_string()))?;
        let next = named(repository, best).await?;
        indexes.push(std::mem::replace(&mut found, next));
    }
    Ok(Resolved { digest, documents: with_config(repository, indexes, found).await? })
}

/// A manifest with its configuration.
pub(super) async fn with_config(
    repository: &Repository,
    indexes: Vec<Document>,
    manifest: Document,
) -> Result<Documents> {
    let config = config(repository, &manifest).await?;
    Ok(Documents { indexes, manifest: manifest.bytes, manifest_type: manifest.media_type, config })
}

/// The document that a descriptor names, of the length that it says.
pub(super) async fn named(repository: &Repository, descriptor: &Descriptor) -> Result<Document> {
    let found = document(repository, &Target::Digest(digest_in(&descriptor.digest)?)).await?;
    if i64::try_from(found.bytes.len()) != Ok(descriptor.size) {
        let (size, said) = (found.bytes.len(), descriptor.size);
        return Err(corrupt(format!(
            "manifest {} has {size} bytes, but its index says {said}",
            descriptor.digest
        )));
    }
    Ok(found)
}

async fn document(repository: &Repository, target: &Target) -> Result<Document> {
    let manifest = repository.manifest(target).await?;
    Ok(Document { media_type: manifest.media_type, bytes: manifest.bytes.to_vec() })
}

/// The configuration that a manifest names.
async fn config(repository: &Repository, manifest: &Document) -> Result<Vec<u8>> {
    let manifest: oci::image::Manifest = parse(manifest, "manifest")?;
    let digest = digest_in(&manifest.config.digest)?;
    let size = u64::try_from(manifest.config.size).ok().filter(|size| *size <= CONFIG_BYTES);
    let size = size.ok_or_else(|| {
        Error::invalid(format!(
            "the configuration {digest} has {} bytes; at most {CONFIG_BYTES} are read",
            manifest.config.size
        ))
    })?;
    let mut blob = repository
        .blob(&digest, size, 0)
        .await
        .map_err(|e| Error::doing("error pulling image configuration", e.kind(), e))?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = blob.chunk().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.to_vec())
}

/// Only what leads on is read here; the store looks at all of it.
pub(super) fn parse<T: serde::de::DeserializeOwned>(document: &Document, what: &str) -> Result<T> {
    oci::image::parse(&document.bytes)
        .map_err(|e| Error::invalid(format!("cannot read the {what} {}: {e}", document.digest())))
}

pub(super) fn digest_in(text: &str) -> Result<Digest> {
    text.parse().map_err(|e: types::DigestError| Error::invalid(e.to_string()))
}

pub(super) fn corrupt(what: String) -> Error {
    Error::new(Kind::Corrupt, what)
}
