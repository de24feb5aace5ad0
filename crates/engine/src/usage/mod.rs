//! What a container uses right now, from its cgroup files: v1, v2 and hybrid hosts give one answer.

mod files;

use std::path::{Path, PathBuf};

use plan::facts::Facts;

use files::{blkio_v1, io_v2, keyed, number, read};

/// One reading. Times in nanoseconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    /// Processes and threads, and their limit (`None`: unlimited).
    pub(crate) pids: u64,
    pub(crate) pids_limit: Option<u64>,
    pub(crate) io: Vec<Io>,
    /// The hierarchy is v2: Docker's documents differ.
    pub(crate) is_v2: bool,
}

/// CPU time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) total_ns: u64,
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
    /// v1 only.
    pub(crate) per_cpu_ns: Vec<u64>,
    pub(crate) periods: u64,
    pub(crate) throttled_periods: u64,
    pub(crate) throttled_ns: u64,
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) usage: u64,
    /// v1 only.
    pub(crate) max_usage: u64,
    /// v1 only: how often the limit was hit.
    pub(crate) failures: u64,
    /// `None`: unlimited.
    pub(crate) limit: Option<u64>,
    /// Every line of `memory.stat`.
    pub(crate) stat: Vec<(String, u64)>,
}

/// Bytes and operations of one kind on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Io {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    /// `read`, `write`, ….
    pub(crate) kind: String,
    pub(crate) bytes: Option<u64>,
    pub(crate) operations: Option<u64>,
}

/// Where a container's files are: a directory per controller.
struct Place<'a> {
    facts: &'a Facts,
    cgroup: &'a str,
}

impl Place<'_> {
    /// The v1 directory of a controller, as the plan made it.
    fn v1(&self, controller: &str) -> Option<PathBuf> {
        let hierarchy = self.facts.cgroups.v1_of(controller)?;
        Some(under(&hierarchy.mount, self.cgroup))
    }

    fn v2(&self, controller: &str) -> Option<PathBuf> {
        let v2 = self.facts.cgroups.v2.as_ref()?;
        self.facts.cgroups.v2_has(controller).then(|| under(&v2.mount, self.cgroup))
    }
}

fn under(mount: &str, cgroup: &str) -> PathBuf {
    Path::new(mount).join(cgroup.trim_start_matches('/'))
}

/// Reads everything there is for `cgroup` (`/berth/<id>`). What is missing stays zero.
pub(crate) fn gather(facts: &Facts, cgroup: &str) -> Usage {
    let place = Place { facts, cgroup };
    let (pids, pids_limit) = pids(&place);
    Usage {
        cpu: cpu(&place),
        memory: memory(&place),
        pids,
        pids_limit,
        io: io(&place),
        is_v2: place.v2("memory").is_some(),
    }
}

fn cpu(place: &Place<'_>) -> Cpu {
    if let Some(dir) = place.v2("cpu") {
        let stat = keyed(&read(&dir, "cpu.stat"));
        let us = |name: &str| lookup(&stat, name) * 1000;
        return Cpu {
            total_ns: us("usage_usec"),
            user_ns: us("user_usec"),
            system_ns: us("system_usec"),
            per_cpu_ns: Vec::new(),
            periods: lookup(&stat, "nr_periods"),
            throttled_periods: lookup(&stat, "nr_throttled"),
            throttled_ns: us("throttled_usec"),
        };
    }
    let mut cpu = Cpu::default();
    if let Some(dir) = place.v1("cpuacct") {
        cpu.total_ns = number(&read(&dir, "cpuacct.usage")).unwrap_or(0);
        cpu.user_ns = number(&read(&dir, "cpuacct.usage_user")).unwrap_or(0);
        cpu.system_ns = number(&read(&dir, "cpuacct.usage_sys")).unwrap_or(0);
        let per_cpu = read(&dir, "cpuacct.usage_percpu");
        cpu.per_cpu_ns = per_cpu.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    }
    if let Some(dir) = place.v1("cpu") {
        let stat = keyed(&read(&dir, "cpu.stat"));
        cpu.periods = lookup(&stat, "nr_periods");
        cpu.throttled_periods = lookup(&stat, "nr_throttled");
        cpu.throttled_ns = lookup(&stat, "throttled_time");
    }
    cpu
}

fn memory(place: &Place<'_>) -> Memory {
    if let Some(dir) = place.v2("memory") {
        return Memory {
            usage: number(&read(&dir, "memory.current")).unwrap_or(0),
            limit: number(&read(&dir, "memory.max")),
            stat: keyed(&read(&dir, "memory.stat")),
            ..Memory::default()
        };
    }
    let Some(dir) = place.v1("memory") else { return Memory::default() };
    let limit = number(&read(&dir, "memory.limit_in_bytes"));
    Memory {
        usage: number(&read(&dir, "memory.usage_in_bytes")).unwrap_or(0),
        max_usage: number(&read(&dir, "memory.max_usage_in_bytes")).unwrap_or(0),
        failures: number(&read(&dir, "memory.failcnt")).unwrap_or(0),
        // "Unlimited" of v1 is the largest multiple of a page that fits.
        limit: limit.filter(|l| *l < (1 << 62)),
        stat: keyed(&read(&dir, "memory.stat")),
    }
}

fn pids(place: &Place<'_>) -> (u64, Option<u64>) {
    let Some(dir) = place.v2("pids").or_else(|| place.v1("pids")) else { return (0, None) };
    (number(&read(&dir, "pids.current")).unwrap_or(0), number(&read(&dir, "pids.max")))
}

fn io(place: &Place<'_>) -> Vec<Io> {
    if let Some(dir) = place.v2("io") {
        return io_v2(&read(&dir, "io.stat"));
    }
    let Some(dir) = place.v1("blkio") else { return Vec::new() };
    let bytes = read(&dir, "blkio.throttle.io_service_bytes_recursive");
    let operations = read(&dir, "blkio.throttle.io_serviced_recursive");
    blkio_v1(&bytes, &operations)
}

fn lookup(stat: &[(String, u64)], name: &str) -> u64 {
    stat.iter().find(|(n, _)| n == name).map_or(0, |(_, v)| *v)
}
