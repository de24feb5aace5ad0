//! Mounts as the `Mounts` list of a creation asks for them.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::nil;

/// One requested mount. `kind` is `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    #[serde(rename = "Type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub read_only: bool,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// Options of a bind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    #[serde(skip_serializing_if = "nil::zero")]
    pub non_recursive: bool,
    #[serde(skip_serializing_if = "nil::zero")]
    pub create_mountpoint: bool,
    #[serde(skip_serializing_if = "nil::zero")]
    pub read_only_non_recursive: bool,
    #[serde(skip_serializing_if = "nil::zero")]
    pub read_only_force_recursive: bool,
}

/// Options of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    #[serde(skip_serializing_if = "nil::zero")]
    pub no_copy: bool,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<MountDriver>,
}

/// The driver of a volume made on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountDriver {
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Options of an image mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageOptions {
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub subpath: String,
}

/// Options of a tmpfs. The size is in bytes, the mode Go's `os.FileMode` (its low nine bits, and the sticky bit as 1<<20).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    #[serde(skip_serializing_if = "nil::zero")]
    pub size_bytes: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub mode: u32,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Vec<String>>,
}
