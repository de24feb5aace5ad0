//! The host half of a container's configuration. Every field Docker has is here, so that what cannot be
//! honoured can be refused.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Mount, nil};

/// Container port (`80/tcp`) to the host addresses it is published on; `None` or an empty list: on none yet.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// How a container is tied to its host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `source:target[:options]`.
    #[serde(with = "nil::empty")]
    pub binds: Vec<String>,
    #[serde(rename = "ContainerIDFile", deserialize_with = "nil::or_default")]
    pub container_id_file: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub log_config: LogConfig,
    #[serde(deserialize_with = "nil::or_default")]
    pub network_mode: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub port_bindings: PortMap,
    #[serde(deserialize_with = "nil::or_default")]
    pub restart_policy: RestartPolicy,
    #[serde(deserialize_with = "nil::or_default")]
    pub auto_remove: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub volume_driver: String,
    #[serde(with = "nil::empty")]
    pub volumes_from: Vec<String>,
    /// Height, width.
    #[serde(deserialize_with = "nil::or_default")]
    pub console_size: [u32; 2],
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(with = "nil::empty")]
    pub cap_add: Vec<String>,
    #[serde(with = "nil::empty")]
    pub cap_drop: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub cgroupns_mode: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub dns: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub dns_options: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub dns_search: Vec<String>,
    #[serde(with = "nil::empty")]
    pub extra_hosts: Vec<String>,
    #[serde(with = "nil::empty")]
    pub group_add: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub ipc_mode: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub cgroup: String,
    #[serde(with = "nil::empty")]
    pub links: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub oom_score_adj: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub pid_mode: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub privileged: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub publish_all_ports: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub readonly_rootfs: bool,
    #[serde(with = "nil::empty")]
    pub security_opt: Vec<String>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    /// Path to mount options.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(rename = "UTSMode", deserialize_with = "nil::or_default")]
    pub uts_mode: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub userns_mode: String,
    /// Bytes; 0 means the default of 64 MiB.
    #[serde(deserialize_with = "nil::or_default")]
    pub shm_size: i64,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub runtime: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub isolation: String,
    #[serde(flatten)]
    pub resources: Resources,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// `None`: the default list; empty: nothing is masked.
    pub masked_paths: Option<Vec<String>>,
    /// `None`: the default list; empty: nothing is read-only.
    pub readonly_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Fields newer than API 1.51, so that they can be seen and refused.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Limits; also the body of an update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_shares: i64,
    /// Bytes.
    #[serde(deserialize_with = "nil::or_default")]
    pub memory: i64,
    /// Billionths of a CPU.
    #[serde(deserialize_with = "nil::or_default")]
    pub nano_cpus: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub cgroup_parent: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub blkio_weight: u16,
    #[serde(deserialize_with = "nil::or_default")]
    pub blkio_weight_device: Vec<WeightDevice>,
    #[serde(deserialize_with = "nil::or_default")]
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    #[serde(deserialize_with = "nil::or_default")]
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceReadIOps", deserialize_with = "nil::or_default")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceWriteIOps", deserialize_with = "nil::or_default")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Microseconds.
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_period: i64,
    /// Microseconds per period; -1 for no limit.
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_quota: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_realtime_period: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_realtime_runtime: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpuset_cpus: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpuset_mems: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub devices: Vec<DeviceMapping>,
    #[serde(with = "nil::empty")]
    pub device_cgroup_rules: Vec<String>,
    #[serde(with = "nil::empty")]
    pub device_requests: Vec<DeviceRequest>,
    /// Bytes. Gone since API 1.42.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub kernel_memory: i64,
    /// Bytes. Gone since API 1.42.
    #[serde(
        rename = "KernelMemoryTCP",
        deserialize_with = "nil::or_default",
        skip_serializing_if = "nil::zero"
    )]
    pub kernel_memory_tcp: i64,
    /// Bytes.
    #[serde(deserialize_with = "nil::or_default")]
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1 for unlimited swap.
    #[serde(deserialize_with = "nil::or_default")]
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    /// 0 and -1 are no limit, `None` keeps what is.
    pub pids_limit: Option<i64>,
    #[serde(deserialize_with = "nil::or_default")]
    pub ulimits: Vec<Ulimit>,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_count: i64,
    #[serde(deserialize_with = "nil::or_default")]
    pub cpu_percent: i64,
    #[serde(rename = "IOMaximumIOps", deserialize_with = "nil::or_default")]
    pub io_maximum_iops: u64,
    #[serde(rename = "IOMaximumBandwidth", deserialize_with = "nil::or_default")]
    pub io_maximum_bandwidth: u64,
}

/// Which log driver with which options; an empty type is the default driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    #[serde(rename = "Type", deserialize_with = "nil::or_default")]
    pub driver: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub config: BTreeMap<String, String>,
}

/// `no`, `always`, `unless-stopped`, `on-failure`; empty is `no`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    #[serde(deserialize_with = "nil::or_default")]
    pub name: String,
    /// Only with `on-failure`; 0 is without end.
    #[serde(deserialize_with = "nil::or_default")]
    pub maximum_retry_count: i64,
}

/// One host address of a published port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// Empty for every address.
    #[serde(deserialize_with = "nil::or_default")]
    pub host_ip: String,
    /// Empty or `0` for a free one; may be a range `8000-8010` to pick from.
    #[serde(deserialize_with = "nil::or_default")]
    pub host_port: String,
}

/// A host device given to the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMapping {
    pub path_on_host: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub path_in_container: String,
    /// Some of `rwm`; empty is all.
    #[serde(deserialize_with = "nil::or_default")]
    pub cgroup_permissions: String,
}

/// Devices asked of a driver (`--gpus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceRequest {
    #[serde(deserialize_with = "nil::or_default")]
    pub driver: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub count: i64,
    #[serde(rename = "DeviceIDs", with = "nil::empty")]
    pub device_ids: Vec<String>,
    #[serde(with = "nil::empty")]
    pub capabilities: Vec<Vec<String>>,
    #[serde(deserialize_with = "nil::or_default")]
    pub options: BTreeMap<String, String>,
}

/// A limit by getrlimit(2)'s name in lower case without `RLIMIT_`; -1 is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}

/// Relative IO weight of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightDevice {
    pub path: String,
    pub weight: u16,
}

/// Bytes or operations per second of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ThrottleDevice {
    pub path: String,
    pub rate: u64,
}
