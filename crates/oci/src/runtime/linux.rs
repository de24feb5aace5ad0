//! The `linux` section (runtime-spec, config-linux.md), except resources and seccomp.
use super::{LinuxIdMapping, LinuxResources, LinuxSeccomp};
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What only Linux has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    /// Users of the user namespace.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Groups of the user namespace.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub gid_mappings: Vec<LinuxIdMapping>,
    /// Kernel parameters, dotted names.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub sysctl: BTreeMap<String, String>,
    /// Limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<LinuxResources>,
    /// Where in the cgroup hierarchies; absolute from their root, or `slice:prefix:name`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub cgroups_path: String,
    /// Namespaces to make or to join.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Device nodes beyond the default ones.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub devices: Vec<LinuxDevice>,
    /// Network devices moved into the container, by their name outside.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub net_devices: BTreeMap<String, LinuxNetDevice>,
    /// System call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<LinuxSeccomp>,
    /// Propagation of the root mount: `shared`, `slave`, `private`, `unbindable`, or with `r` in front.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub rootfs_propagation: String,
    /// Paths that read as empty.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub masked_paths: Vec<String>,
    /// Paths that cannot be written.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub readonly_paths: Vec<String>,
    /// SELinux label of the mounts.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub mount_label: String,
    /// Cache and memory bandwidth allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<LinuxIntelRdt>,
    /// NUMA policy, as set_mempolicy(2) takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<LinuxMemoryPolicy>,
    /// Execution domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<LinuxPersonality>,
    /// Clock offsets of the time namespace: `monotonic`, `boottime`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub time_offsets: BTreeMap<String, LinuxTimeOffset>,
}

/// One namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxNamespace {
    /// Which.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: LinuxNamespaceType,
    /// Join this one; empty: make a new one.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub path: String,
}

/// The kinds of namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinuxNamespaceType {
    /// Process ids.
    #[default]
    Pid,
    /// Network devices, addresses, ports.
    Network,
    /// Mounts.
    Mount,
    /// System V IPC and message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// Users, groups, capabilities.
    User,
    /// Root of the visible cgroup tree.
    Cgroup,
    /// Monotonic and boot clocks.
    Time,
}

/// A device node to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxDevice {
    /// Absolute path inside the container.
    #[serde(deserialize_with = "null_is_default")]
    pub path: String,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// Major number.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub minor: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// A network device that moves into the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxNetDevice {
    /// Its name inside; empty: as outside.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub name: String,
}

/// Offset of one clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq, Copy)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxTimeOffset {
    /// Seconds.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub secs: i64,
    /// Nanoseconds.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub nanosecs: u32,
}

/// Execution domain, personality(2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxPersonality {
    /// `LINUX` or `LINUX32`.
    #[serde(deserialize_with = "null_is_default")]
    pub domain: String,
    /// None is defined yet.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
}

/// Resource Director Technology (resctrl).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxIntelRdt {
    /// Class of service.
    #[serde(rename = "closID", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub clos_id: String,
    /// Lines for the class's `schemata` file.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub schemata: Vec<String>,
    /// L3 cache capacity bit masks.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub l3_cache_schema: String,
    /// Memory bandwidth shares.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub mem_bw_schema: String,
    /// Monitor cache occupancy.
    #[serde(rename = "enableCMT", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub enable_cmt: bool,
    /// Monitor memory bandwidth.
    #[serde(rename = "enableMBM", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub enable_mbm: bool,
    /// Make a monitoring group.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub enable_monitoring: bool,
}

/// NUMA memory policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxMemoryPolicy {
    /// `MPOL_…` name.
    #[serde(deserialize_with = "null_is_default")]
    pub mode: String,
    /// Node list.
    #[serde(deserialize_with = "null_is_default")]
    pub nodes: String,
    /// `MPOL_F_…` names.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
}
