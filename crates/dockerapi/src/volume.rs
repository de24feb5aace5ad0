//! Volumes.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::nil;

/// One volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    /// RFC 3339 in whole seconds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    pub driver: String,
    #[serde(with = "nil::empty")]
    pub labels: BTreeMap<String, String>,
    pub mountpoint: String,
    pub name: String,
    #[serde(with = "nil::empty")]
    pub options: BTreeMap<String, String>,
    pub scope: String,
    /// Only in the disk usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_data: Option<VolumeUsage>,
}

/// How much a volume holds (bytes, -1 when not known) and how many containers use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeUsage {
    pub ref_count: i64,
    pub size: i64,
}

/// Body of `POST /volumes/create`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeCreate {
    /// Empty for a made-up name.
    #[serde(deserialize_with = "nil::or_default")]
    pub name: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub driver: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub driver_opts: BTreeMap<String, String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_volume_spec: Option<Map<String, Value>>,
}

/// Answer of `GET /volumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeList {
    #[serde(deserialize_with = "nil::or_default")]
    pub volumes: Vec<Volume>,
    #[serde(with = "nil::empty")]
    pub warnings: Vec<String>,
}
