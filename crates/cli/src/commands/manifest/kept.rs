//! One image of a list, as Docker's command line keeps it in a file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::image::{Descriptor, media};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{Kind, Reference};

use crate::error::{Error, Result};

/// An image's manifest, and where it is from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its whole name.
    #[serde(rename = "Ref")]
    pub(super) reference: String,
    /// What it is, and for which platform.
    #[serde(rename = "Descriptor")]
    pub(super) descriptor: Descriptor,
    /// The manifest's bytes, in base64.
    #[serde(rename = "Raw", default, skip_serializing_if = "String::is_empty")]
    raw: String,
    #[serde(rename = "SchemaV2Manifest", default, skip_serializing_if = "Option::is_none")]
    docker: Option<Box<RawValue>>,
    #[serde(rename = "OCIManifest", default, skip_serializing_if = "Option::is_none")]
    oci: Option<Box<RawValue>>,
}

impl Kept {
    /// A manifest under its name.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(super) fn new(name: &Reference, descriptor: Descriptor, manifest: &[u8]) -> Result<Self> {
        let value: Box<RawValue> = serde_json::from_slice(manifest)
            .map_err(|e| Error::new(format!("the manifest of {name} is no JSON: {e}")).of(Kind::Corrupt))?;
        let is_docker = descriptor.media_type == media::DOCKER_MANIFEST;
        let (docker, oci) = if is_docker { (Some(value), None) } else { (None, Some(value)) };
        Ok(Self { reference: name.to_string(), descriptor, raw: STANDARD.encode(manifest), docker, oci })
    }

    /// Its name.
    pub(super) fn name(&self) -> Result<Reference> {
        self.reference.parse().map_err(|e: types::ReferenceError| Error::new(e.to_string()))
    }

    /// The manifest's text.
    pub(super) fn manifest(&self) -> &str {
        self.docker.as_ref().or(self.oci.as_ref()).map_or("{}", |value| value.get())
    }

    /// The manifest, byte for byte.
    ///
    /// # Errors
    /// When the file does not have it.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = STANDARD.decode(&self.raw).ok().filter(|bytes| !bytes.is_empty());
        bytes.ok_or_else(|| {
            Error::new(format!("the kept manifest of {} is damaged: create the list again", self.reference))
                .of(Kind::Corrupt)
        })
    }

    /// Everything that is known of it.
    pub(super) fn print(&self) -> Result<String> {
        printed(self)
    }
}

/// A document as one line.
pub(super) fn printed(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|e| Error::new(e.to_string()).of(Kind::Internal))
}
