//! What registries have of a list's images.

use oci::image::{Descriptor, Index, Manifest, Platform, media};
use registry::{Client, Options, Repository, Target};
use types::{Digest, Kind, Reference};

use super::kept::Kept;
use crate::account::{self, Accounts};
use crate::error::{Error, Result};
use crate::tree::Call;

/// A repository of a registry.
pub(super) struct Remote(Repository);

impl Remote {
    /// The repository of an image, as the user may see it.
    pub(super) fn of(call: &Call, image: &Reference) -> Result<Self> {
        let account = Accounts::open(&call.settings)?.get(&account::of_reference(image)).unwrap_or_default();
        let insecure = if call.flags.is("insecure") { vec![image.domain().to_owned()] } else { Vec::new() };
        let client = Client::new(Options { insecure, ..Options::default() }).map_err(failed)?;
        Ok(Self(client.repository(image, account::credentials(&account))))
    }

    /// A manifest or index, byte for byte.
    pub(super) async fn manifest(&self, target: &Target, image: &Reference) -> Result<registry::Manifest> {
        self.0.manifest(target).await.map_err(|error| match error.kind() {
            Kind::NotFound | Kind::Unauthorized => {
                Error::new(format!("no such manifest: {image}")).of(Kind::NotFound)
            }
            _ => failed(error),
        })
    }

    /// An image, which must not be a list itself.
    pub(super) async fn image(&self, image: &Reference) -> Result<Kept> {
        let found = self.manifest(&Target::of(image), image).await?;
        if media::is_index(&found.media_type) {
            return Err(Error::new(format!("{image} is a manifest list")));
        }
        self.described(image, found).await
    }

    /// A manifest with its platform, which its configuration tells.
    pub(super) async fn described(&self, image: &Reference, found: registry::Manifest) -> Result<Kept> {
        let manifest: Manifest = serde_json::from_slice(&found.bytes).map_err(|e| {
            Error::new(format!("the manifest of {image} cannot be read: {e}")).of(Kind::Corrupt)
        })?;
        let platform = self.platform(&manifest.config).await?;
        let descriptor = Descriptor {
            media_type: found.media_type,
            digest: found.digest.to_string(),
            size: i64::try_from(found.bytes.len()).unwrap_or(i64::MAX),
            platform: Some(platform),
            ..Descriptor::default()
        };
        Kept::new(image, descriptor, &found.bytes)
    }

    async fn platform(&self, config: &Descriptor) -> Result<Platform> {
        let corrupt = |text: String| Error::new(text).of(Kind::Corrupt);
        let digest: Digest = config.digest.parse().map_err(|e: types::DigestError| corrupt(e.to_string()))?;
        let size = u64::try_from(config.size).unwrap_or(0);
        let bytes = self.0.document(&digest, size).await.map_err(failed)?;
        // An artifact's configuration need not be one of an image.
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The images of a list that a registry has.
    pub(super) async fn members(&self, list: &Reference, found: &registry::Manifest) -> Result<Vec<Kept>> {
        let index: Index = serde_json::from_slice(&found.bytes).map_err(|e| {
            Error::new(format!("the manifest list {list} cannot be read: {e}")).of(Kind::Corrupt)
        })?;
        let mut members = Vec::new();
        for entry in index.manifests {
            let digest: Digest = entry
                .digest
                .parse()
                .map_err(|e: types::DigestError| Error::new(e.to_string()).of(Kind::Corrupt))?;
            let name: Reference = format!("{}@{digest}", without_digest(list))
                .parse()
                .map_err(|e: types::ReferenceError| Error::new(e.to_string()))?;
            let member = self.manifest(&Target::Digest(digest), &name).await?;
            let mut kept = self.described(&name, member).await?;
            kept.descriptor.platform = entry.platform.or(kept.descriptor.platform);
            members.push(kept);
        }
        Ok(members)
    }

    /// Brings an image of another repository of the same registry here, without sending its blobs again.
    pub(super) async fn bring(&self, kept: &Kept) -> Result<String> {
        let bytes = kept.bytes()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(format!("the manifest of {} cannot be read: {e}", kept.reference)).of(Kind::Corrupt)
        })?;
        let from = kept.name()?;
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            let digest: Digest = blob
                .digest
                .parse()
                .map_err(|e: types::DigestError| Error::new(e.to_string()).of(Kind::Corrupt))?;
            if !self.0.mount(&digest, from.path()).await.map_err(failed)? {
                return Err(Error::new(format!(
                    "error mounting {}@{digest} to {}",
                    from.repository(),
                    self.0.familiar()
                )));
            }
        }
        let digest: Digest = kept
            .descriptor
            .digest
            .parse()
            .map_err(|e: types::DigestError| Error::new(e.to_string()).of(Kind::Corrupt))?;
        self.0
            .push_manifest(&Target::Digest(digest), &kept.descriptor.media_type, bytes.into())
            .await
            .map_err(failed)?;
        Ok(format!("Pushed ref {}@{digest} with digest: {digest}", self.0.familiar()))
    }

    /// Puts a list under its name.
    pub(super) async fn put(&self, list: &Reference, media_type: &str, document: Vec<u8>) -> Result<Digest> {
        self.0.push_manifest(&Target::of(list), media_type, document.into()).await.map_err(failed)
    }
}

fn without_digest(name: &Reference) -> String {
    match name.tag() {
        Some(tag) => format!("{}:{tag}", name.repository()),
        None => name.repository(),
    }
}

fn failed(error: registry::Error) -> Error {
    Error::new(error.to_string()).of(error.kind())
}
