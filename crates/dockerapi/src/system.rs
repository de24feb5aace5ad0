//! The engine about itself: info, version, disk usage.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ContainerSummary, ImageSummary, Volume, nil};

/// Answer of `GET /info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    #[serde(rename = "ID")]
    pub id: String,
    pub containers: i64,
    pub containers_running: i64,
    pub containers_paused: i64,
    pub containers_stopped: i64,
    pub images: i64,
    pub driver: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub driver_status: Vec<(String, String)>,
    pub plugins: Plugins,
    pub memory_limit: bool,
    pub swap_limit: bool,
    pub cpu_cfs_period: bool,
    pub cpu_cfs_quota: bool,
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    pub pids_limit: bool,
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    pub debug: bool,
    #[serde(rename = "NFd")]
    pub n_fd: i64,
    pub oom_kill_disable: bool,
    #[serde(rename = "NGoroutines")]
    pub n_goroutines: i64,
    /// RFC 3339 with nanoseconds.
    pub system_time: String,
    pub logging_driver: String,
    pub cgroup_driver: String,
    /// `1` or `2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup_version: String,
    #[serde(rename = "NEventsListener")]
    pub n_events_listener: i64,
    pub kernel_version: String,
    pub operating_system: String,
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// The kernel's name: `x86_64`.
    pub architecture: String,
    pub index_server_address: String,
    pub registry_config: Option<Value>,
    #[serde(rename = "NCPU")]
    pub n_cpu: i64,
    /// Bytes.
    pub mem_total: i64,
    pub generic_resources: Option<Value>,
    pub docker_root_dir: String,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    pub name: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub labels: Vec<String>,
    pub experimental_build: bool,
    pub server_version: String,
    pub runtimes: BTreeMap<String, RuntimeEntry>,
    pub default_runtime: String,
    pub swarm: SwarmInfo,
    pub live_restore_enabled: bool,
    pub isolation: String,
    pub init_binary: String,
    pub containerd_commit: Commit,
    pub runc_commit: Commit,
    pub init_commit: Commit,
    #[serde(deserialize_with = "nil::or_default")]
    pub security_options: Vec<String>,
    #[serde(rename = "CDISpecDirs", deserialize_with = "nil::or_default")]
    pub cdi_spec_dirs: Vec<String>,
    /// What filters packets; from API 1.49 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_backend: Option<FirewallBackend>,
    /// Printed by the docker CLI.
    #[serde(with = "nil::empty")]
    pub warnings: Vec<String>,
}

/// What filters packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FirewallBackend {
    pub driver: String,
}

/// Drivers by what they drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugins {
    #[serde(with = "nil::empty")]
    pub volume: Vec<String>,
    #[serde(with = "nil::empty")]
    pub network: Vec<String>,
    #[serde(with = "nil::empty")]
    pub authorization: Vec<String>,
    #[serde(with = "nil::empty")]
    pub log: Vec<String>,
}

/// One runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RuntimeEntry {
    #[serde(rename = "path", skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// A part's commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Expected")]
    pub expected: String,
}

/// The swarm this engine is not part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmInfo {
    #[serde(rename = "NodeID")]
    pub node_id: String,
    pub node_addr: String,
    pub local_node_state: String,
    pub control_available: bool,
    pub error: String,
    pub remote_managers: Option<Value>,
}

impl Default for SwarmInfo {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            node_addr: String::new(),
            local_node_state: "inactive".to_owned(),
            control_available: false,
            error: String::new(),
            remote_managers: None,
        }
    }
}

/// Answer of `GET /version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    pub platform: Platform,
    #[serde(deserialize_with = "nil::or_default")]
    pub components: Vec<Component>,
    pub version: String,
    pub api_version: String,
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    pub git_commit: String,
    /// Docker's clients print it; Berth has none.
    pub go_version: String,
    pub os: String,
    pub arch: String,
    pub kernel_version: String,
    #[serde(skip_serializing_if = "nil::zero")]
    pub experimental: bool,
    pub build_time: String,
}

/// The product's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Platform {
    pub name: String,
}

/// One program of the product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Component {
    pub name: String,
    pub version: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// Answer of `GET /system/df`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskUsage {
    /// Bytes of all image layers, shared ones counted once.
    pub layers_size: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub images: Vec<ImageSummary>,
    #[serde(deserialize_with = "nil::or_default")]
    pub containers: Vec<ContainerSummary>,
    #[serde(deserialize_with = "nil::or_default")]
    pub volumes: Vec<Volume>,
    #[serde(deserialize_with = "nil::or_default")]
    pub build_cache: Vec<BuildCache>,
    /// Berth's own: the data root by what its files are. The sum of `on_disk` is what `du` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_root: Vec<AreaUsage>,
}

/// Berth's own: a part of the data root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AreaUsage {
    pub name: String,
    /// Files of every kind but directories.
    pub files: i64,
    /// Bytes, by the lengths of files and links.
    pub size: i64,
    /// Bytes, by the blocks that the file system gave, directories too.
    pub on_disk: i64,
}

/// Berth's own: what the policy for images removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Collected {
    /// Bytes that all images may take.
    pub budget: u64,
    /// Bytes that they took, shared content once.
    pub before: u64,
    /// Bytes that they take afterwards.
    pub after: u64,
    pub dry_run: bool,
    /// Those that go, in this order.
    pub images: Vec<CollectedImage>,
    /// Those that stay whatever the budget is.
    pub kept: Vec<CollectedImage>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CollectedImage {
    pub id: String,
    pub names: Vec<String>,
    /// Bytes, unpacked, shared layers included.
    pub size: i64,
    /// RFC 3339.
    pub last_used: String,
    /// Why it stays.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kept: String,
}

/// One record of the build cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BuildCache {
    #[serde(rename = "ID")]
    pub id: String,
    pub size: i64,
}
