//! What prune calls answer.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use serde::{Deserialize, Serialize};

use crate::{DeletedImage, nil};

/// Answer of a container prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pruned {
    #[serde(with = "nil::empty")]
    pub containers_deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// Answer of a volume prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PrunedVolumes {
    #[serde(with = "nil::empty")]
    pub volumes_deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// Answer of an image prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PrunedImages {
    #[serde(with = "nil::empty")]
    pub images_deleted: Vec<DeletedImage>,
    /// Bytes of file content in the layers that went.
    pub space_reclaimed: u64,
}

/// Answer of a network prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PrunedNetworks {
    #[serde(with = "nil::empty")]
    pub networks_deleted: Vec<String>,
}

/// Answer of a prune of the build cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PrunedBuildCache {
    #[serde(with = "nil::empty")]
    pub caches_deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}
