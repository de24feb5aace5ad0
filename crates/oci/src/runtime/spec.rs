//! The bundle's `config.json` (runtime-spec, config.md and config-linux.md).
use super::{Linux, Process};
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole document. Only the Linux part of the platform sections is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Version of the specification that the document follows.
    #[serde(deserialize_with = "null_is_default")]
    pub oci_version: String,
    /// The program to run; required by `start`, not by `create`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Name in the UTS namespace.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub hostname: String,
    /// NIS domain name in the UTS namespace.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub domainname: String,
    /// Mounts beyond the root, in order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub mounts: Vec<Mount>,
    /// Programs run at points of the life cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Free-form names and values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Everything that only Linux has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Root {
    /// Directory, absolute or relative to the bundle.
    #[serde(deserialize_with = "null_is_default")]
    pub path: String,
    /// Mount it read-only.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub readonly: bool,
}

/// One entry of `mounts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    /// Absolute path inside the container.
    #[serde(deserialize_with = "null_is_default")]
    pub destination: String,
    /// File system type; `bind` or empty with a bind option for bind mounts.
    #[serde(rename = "type", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Device or directory; relative ones start at the bundle.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub source: String,
    /// fstab-style options, in order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub options: Vec<String>,
    /// User mapping of an id-mapped mount.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Group mapping of an id-mapped mount.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub gid_mappings: Vec<LinuxIdMapping>,
}

/// One range of user or group ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxIdMapping {
    /// First id inside.
    #[serde(rename = "containerID", deserialize_with = "null_is_default")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID", deserialize_with = "null_is_default")]
    pub host_id: u32,
    /// How many.
    #[serde(deserialize_with = "null_is_default")]
    pub size: u32,
}

/// Programs run at points of the life cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    /// Deprecated; as `createRuntime`, called just before it.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub prestart: Vec<Hook>,
    /// During create, in the runtime's namespaces, before the root is switched.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub create_runtime: Vec<Hook>,
    /// During create, in the container's namespaces, before the root is switched.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub create_container: Vec<Hook>,
    /// During start, in the container, before the user's program.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub start_container: Vec<Hook>,
    /// After the user's program has started.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub poststart: Vec<Hook>,
    /// After the container is deleted.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub poststop: Vec<Hook>,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// Absolute path.
    #[serde(deserialize_with = "null_is_default")]
    pub path: String,
    /// Arguments, the program's name first.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub args: Vec<String>,
    /// Environment, `name=value`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub env: Vec<String>,
    /// Seconds after which it is killed; must be positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
}
