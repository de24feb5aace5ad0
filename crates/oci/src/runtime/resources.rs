//! Limits (runtime-spec, config-linux.md#control-groups). Units are the kernel files' own.
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every limit of a container. `update` takes the same document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxResources {
    /// Device access rules, in order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub devices: Vec<LinuxDeviceCgroup>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<LinuxMemory>,
    /// CPU time and placement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<LinuxCpu>,
    /// Number of tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<LinuxPids>,
    /// Block devices.
    #[serde(rename = "blockIO", skip_serializing_if = "Option::is_none")]
    pub block_io: Option<LinuxBlockIo>,
    /// Huge pages.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub hugepage_limits: Vec<LinuxHugepageLimit>,
    /// Traffic classes (v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<LinuxNetwork>,
    /// RDMA, by device.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub rdma: BTreeMap<String, LinuxRdma>,
    /// Files of the v2 cgroup and their values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub unified: BTreeMap<String, String>,
}

/// One device access rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxDeviceCgroup {
    /// Allow or deny.
    #[serde(deserialize_with = "null_is_default")]
    pub allow: bool,
    /// `a` (or empty), `c` or `b`.
    #[serde(rename = "type", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Major number; absent or -1: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; absent or -1: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Any of `r`, `w`, `m`; empty: all.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub access: String,
}

/// Memory limits in bytes; -1 is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxMemory {
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Soft limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// Kernel memory; the kernel has dropped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<i64>,
    /// TCP buffers (v1 only).
    #[serde(rename = "kernelTCP", skip_serializing_if = "Option::is_none")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100 (v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Stop instead of killing (v1 only).
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "Option::is_none")]
    pub disable_oom_killer: Option<bool>,
    /// Count the children too; the kernel always does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_hierarchy: Option<bool>,
    /// Refuse a new limit below the present use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_before_update: Option<bool>,
}

/// CPU limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxCpu {
    /// Relative weight, v1 scale (1024 is one share).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Microseconds of CPU time per period; not positive: unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// Microseconds that may be saved up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Length of a period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Microseconds for real-time tasks per period (v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_runtime: Option<i64>,
    /// Real-time period in microseconds (v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_period: Option<u64>,
    /// CPUs, as a list.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub cpus: String,
    /// Memory nodes, as a list.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub mems: String,
    /// 1: run only when nobody else wants to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
}

/// Limit of tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxPids {
    /// How many; not positive: unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Block device weights and ceilings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxBlockIo {
    /// Relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Weight against the children (v1 cfq only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
    /// Weight by device.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub weight_device: Vec<LinuxWeightDevice>,
    /// Read ceiling in bytes per second.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub throttle_read_bps_device: Vec<LinuxThrottleDevice>,
    /// Write ceiling in bytes per second.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub throttle_write_bps_device: Vec<LinuxThrottleDevice>,
    /// Read ceiling in operations per second.
    #[serde(
        rename = "throttleReadIOPSDevice",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub throttle_read_iops_device: Vec<LinuxThrottleDevice>,
    /// Write ceiling in operations per second.
    #[serde(
        rename = "throttleWriteIOPSDevice",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub throttle_write_iops_device: Vec<LinuxThrottleDevice>,
}

/// Weight on one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxWeightDevice {
    /// Major number.
    #[serde(deserialize_with = "null_is_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_is_default")]
    pub minor: i64,
    /// Relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Weight against the children (v1 cfq only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
}

/// Ceiling on one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxThrottleDevice {
    /// Major number.
    #[serde(deserialize_with = "null_is_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_is_default")]
    pub minor: i64,
    /// Bytes or operations per second.
    #[serde(deserialize_with = "null_is_default")]
    pub rate: u64,
}

/// Limit for one huge page size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxHugepageLimit {
    /// `2MB`, `1GB` and so on.
    #[serde(deserialize_with = "null_is_default")]
    pub page_size: String,
    /// Bytes.
    #[serde(deserialize_with = "null_is_default")]
    pub limit: u64,
}

/// Traffic class and priorities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxNetwork {
    /// Value of `net_cls.classid`.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Lines of `net_prio.ifpriomap`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub priorities: Vec<LinuxInterfacePriority>,
}

/// Priority of one interface's traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxInterfacePriority {
    /// Interface.
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    /// Priority.
    #[serde(deserialize_with = "null_is_default")]
    pub priority: u32,
}

/// RDMA limits of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxRdma {
    /// Handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_handles: Option<u32>,
    /// Objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_objects: Option<u32>,
}
