//! One sample of a container's counters.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::nil;

/// One message of `GET /containers/{id}/stats`. All names are lower case on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// With its leading slash.
    pub name: String,
    pub id: String,
    /// RFC 3339 with nanoseconds.
    pub read: String,
    /// When `precpu_stats` were read; Go's zero time when they were not.
    pub preread: String,
    pub pids_stats: PidsStats,
    pub blkio_stats: BlkioStats,
    pub num_procs: u32,
    pub storage_stats: BTreeMap<String, u64>,
    pub cpu_stats: CpuStats,
    pub precpu_stats: CpuStats,
    pub memory_stats: MemoryStats,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, NetworkStats>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            name: String::new(),
            id: String::new(),
            read: crate::time::ZERO.to_owned(),
            preread: crate::time::ZERO.to_owned(),
            pids_stats: PidsStats::default(),
            blkio_stats: BlkioStats::default(),
            num_procs: 0,
            storage_stats: BTreeMap::new(),
            cpu_stats: CpuStats::default(),
            precpu_stats: CpuStats::default(),
            memory_stats: MemoryStats::default(),
            networks: BTreeMap::new(),
        }
    }
}

/// CPU counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    pub cpu_usage: CpuUsage,
    /// Nanoseconds of the whole host.
    #[serde(skip_serializing_if = "nil::zero")]
    pub system_cpu_usage: u64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub online_cpus: u32,
    pub throttling_data: Throttling,
}

/// Nanoseconds of CPU used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    pub total_usage: u64,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "Vec::is_empty")]
    pub percpu_usage: Vec<u64>,
    pub usage_in_kernelmode: u64,
    pub usage_in_usermode: u64,
}

/// How often a quota held the container back; the time is in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttling {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
}

/// Memory counters, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    #[serde(skip_serializing_if = "nil::zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub max_usage: u64,
    /// The kernel's memory.stat.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "nil::zero")]
    pub failcnt: u64,
    /// The container's limit, or the host's memory.
    #[serde(skip_serializing_if = "nil::zero")]
    pub limit: u64,
}

/// Counters of one network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// Number of processes and its limit (absent when there is none).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    #[serde(skip_serializing_if = "nil::zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub limit: u64,
}

/// Block device counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    #[serde(deserialize_with = "nil::or_default")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_queue_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub io_time_recursive: Vec<BlkioEntry>,
    #[serde(deserialize_with = "nil::or_default")]
    pub sectors_recursive: Vec<BlkioEntry>,
}

/// One counter of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}
