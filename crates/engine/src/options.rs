//! What a daemon is told about itself.

use std::path::PathBuf;

use net::BridgeConfig;

use crate::Registries;

/// The roots and names of one daemon. Several run side by side when they share none of these.
#[derive(Debug, Clone)]
pub struct Options {
    /// Images, layers, volumes, records: what outlives a boot.
    pub data_root: PathBuf,
    /// Sockets and run state: what does not.
    pub exec_root: PathBuf,
    /// Absolute path, from the cgroup hierarchies' roots, under which containers get their cgroups.
    pub cgroup_parent: String,
    /// The default bridge; `None`: there is none, and containers have no network unless they ask for one.
    pub bridge: Option<BridgeConfig>,
    /// The small program: supervisor, init, and the embedded image.
    pub runtime: PathBuf,
    /// A log file is rotated at this size.
    pub log_max_bytes: u64,
    /// So many log files are kept for a container.
    pub log_max_files: u32,
    /// How registries are reached.
    pub registries: Registries,
    /// Bytes that images may take before those that were used longest ago go; `None`: as many as there is room for.
    pub image_budget_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_root: PathBuf::from("/var/lib/berth"),
            exec_root: PathBuf::from("/run/berth"),
            cgroup_parent: "/berth".to_owned(),
            bridge: Some(BridgeConfig::default()),
            runtime: PathBuf::from("berth-runtime"),
            log_max_bytes: 16 << 20,
            log_max_files: 4,
            registries: Registries::default(),
            image_budget_bytes: None,
        }
    }
}
