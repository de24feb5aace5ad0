//! One line of the container list.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Endpoint, MountPoint, nil};

/// One item of `GET /containers/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSummary {
    pub id: String,
    /// With their leading slash.
    pub names: Vec<String>,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// Path and arguments joined by blanks.
    pub command: String,
    /// Unix seconds.
    pub created: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub ports: Vec<PortSummary>,
    #[serde(skip_serializing_if = "nil::zero")]
    pub size_rw: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub size_root_fs: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub labels: BTreeMap<String, String>,
    pub state: String,
    /// For people: `Up 5 minutes`, `Exited (0) 3 seconds ago`.
    pub status: String,
    pub host_config: SummaryHost,
    pub network_settings: SummaryNetworks,
    /// The manifest of the image on its platform, as the OCI describes content; from API 1.48 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<Value>,
    #[serde(deserialize_with = "nil::or_default")]
    pub mounts: Vec<MountPoint>,
}

/// The part of the host configuration that lists show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryHost {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network_mode: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The part of the network settings that lists show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryNetworks {
    #[serde(deserialize_with = "nil::or_default")]
    pub networks: BTreeMap<String, Endpoint>,
}

/// One port of a listed container; without a public port it is only exposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortSummary {
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    pub private_port: u16,
    #[serde(skip_serializing_if = "nil::zero")]
    pub public_port: u16,
    #[serde(rename = "Type")]
    pub protocol: String,
}
