//! Images: list, inspection, history, removal.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Config, nil};

/// One item of `GET /images/json`. -1 stands for "not counted".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageSummary {
    pub containers: i64,
    /// Unix seconds.
    pub created: i64,
    pub id: String,
    #[serde(with = "nil::empty")]
    pub labels: BTreeMap<String, String>,
    pub parent_id: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub repo_digests: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub repo_tags: Vec<String>,
    pub shared_size: i64,
    /// Bytes, unpacked.
    pub size: i64,
    /// The same as `size`; only below API 1.44.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<i64>,
    /// The document that the names lead to, as the OCI describes content; from API 1.48 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Value>,
    /// Where the parts of it are; only when asked for, from API 1.47 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifest>>,
    /// Berth's own: the type of what is no container image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// Berth's own, beside `manifests`: manifests that are about this image, as the OCI describes content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Value>,
}

impl Default for ImageSummary {
    fn default() -> Self {
        Self {
            containers: -1,
            created: 0,
            id: String::new(),
            labels: BTreeMap::new(),
            parent_id: String::new(),
            repo_digests: Vec::new(),
            repo_tags: Vec::new(),
            shared_size: -1,
            size: 0,
            virtual_size: None,
            descriptor: None,
            manifests: None,
            artifact_type: String::new(),
            referrers: Vec::new(),
        }
    }
}

/// One manifest of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageManifest {
    /// Its digest.
    #[serde(rename = "ID")]
    pub id: String,
    /// As the OCI describes content.
    pub descriptor: Value,
    /// Whether all of it is here.
    pub available: bool,
    pub size: ManifestSize,
    /// `image`, `attestation` or `unknown`.
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_data: Option<ManifestImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_data: Option<ManifestAttestation>,
}

/// Bytes of one manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestSize {
    /// As registries have it.
    pub content: i64,
    /// That, and what is unpacked.
    pub total: i64,
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestImage {
    /// As the OCI describes platforms.
    pub platform: Value,
    /// The ids of the containers that use it.
    pub containers: Vec<String>,
    pub size: ManifestImageSize,
}

/// Bytes of what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestImageSize {
    pub unpacked: i64,
}

/// What is stated of another manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestAttestation {
    /// The digest of that manifest.
    #[serde(rename = "For")]
    pub of: String,
}

/// An image's configuration has the container's shape on the wire.
pub type ImageConfig = Config;

/// Answer of `GET /images/{name}/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageInspect {
    pub id: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub repo_tags: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    /// RFC 3339 with nanoseconds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created: String,
    pub docker_version: String,
    pub author: String,
    pub config: ImageConfig,
    pub architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    pub os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Bytes, unpacked.
    pub size: i64,
    /// The same as `size`; only below API 1.44.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<i64>,
    pub graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: Metadata,
    /// The document that the name leads to, as the OCI describes content; from API 1.48 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Value>,
    /// Where the parts of it are; only when asked for, from API 1.48 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifest>>,
    /// Berth's own: the type of what is no container image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// Berth's own: manifests that are about this image, as the OCI describes content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Value>,
}

/// How layers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GraphDriver {
    #[serde(with = "nil::empty")]
    pub data: BTreeMap<String, String>,
    pub name: String,
}

/// The layers of an image by diffID, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RootFs {
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// What the engine notes about an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Metadata {
    /// RFC 3339, or Go's zero time.
    pub last_tag_time: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { last_tag_time: crate::time::ZERO.to_owned() }
    }
}

/// One line of an image's history, newest first. `<missing>` is the id of a line that is no image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryItem {
    pub comment: String,
    /// Unix seconds.
    pub created: i64,
    pub created_by: String,
    pub id: String,
    /// Bytes.
    pub size: i64,
    #[serde(with = "nil::empty")]
    pub tags: Vec<String>,
}

/// One act of an image's removal; exactly one of the two is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeletedImage {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deleted: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub untagged: String,
}
