//! Manifests, indexes, descriptors and the layout file (image-spec, manifest.md, image-index.md, descriptor.md, image-layout.md).
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A reference to content: what, which, how long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(deserialize_with = "null_is_default")]
    pub media_type: String,
    /// Digest of the content.
    #[serde(deserialize_with = "null_is_default")]
    pub digest: String,
    /// Length in bytes.
    #[serde(deserialize_with = "null_is_default")]
    pub size: i64,
    /// Places it can be had from.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub urls: Vec<String>,
    /// Free-form names and values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Type of the artifact that it refers to.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub artifact_type: String,
    /// Where the image runs; in indexes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Whether it describes other content (BuildKit's attestations) or is an artifact: nothing that could run.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.annotations.contains_key("vnd.docker.reference.type") || !self.artifact_type.is_empty()
    }
}

/// Where an image runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Platform {
    /// CPU architecture, Go's name.
    #[serde(deserialize_with = "null_is_default")]
    pub architecture: String,
    /// Operating system, Go's name.
    #[serde(deserialize_with = "null_is_default")]
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub os_version: String,
    /// Features of the operating system that it needs.
    #[serde(
        rename = "os.features",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub os_features: Vec<String>,
    /// Variant of the architecture.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub variant: String,
}

/// One image: its configuration and layers. Docker's schema 2 has the same fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    #[serde(deserialize_with = "null_is_default")]
    pub schema_version: i32,
    /// Media type of this document.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub media_type: String,
    /// Type of the artifact, when it is no image.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub artifact_type: String,
    /// The configuration.
    #[serde(deserialize_with = "null_is_default")]
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form names and values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, by platform or by name. Docker's manifest list has the same fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    #[serde(deserialize_with = "null_is_default")]
    pub schema_version: i32,
    /// Media type of this document.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub media_type: String,
    /// Type of the artifact, when it is no image.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub artifact_type: String,
    /// The manifests.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form names and values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// The file `oci-layout` that marks a directory as an image layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Layout {
    /// Always `1.0.0`.
    #[serde(deserialize_with = "null_is_default")]
    pub image_layout_version: String,
}
