//! What a registry has under a name (`GET /distribution/{name}/json`).
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The content, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Distribution {
    pub descriptor: DistributionDescriptor,
    pub platforms: Vec<DistributionPlatform>,
}

/// The manifest or index. Its fields are spelled as the OCI spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DistributionDescriptor {
    pub media_type: String,
    pub digest: String,
    /// Bytes.
    pub size: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DistributionPlatform {
    pub architecture: String,
    pub os: String,
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
}
