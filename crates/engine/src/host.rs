//! The host, as lists and checks need it. Looked at once, when the engine opens.

use std::fs::read_to_string;
use std::path::Path;

use dockerapi::Resources;
use plan::facts::Facts;
use plan::spec::limits;

use crate::{Error, Result};

/// What the engine saw of the host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) facts: Facts,
    /// CPUs that are online.
    pub(crate) cpus: u32,
    /// Memory nodes that are online, as a list.
    pub(crate) memory_nodes: String,
    /// Block devices can be shared out by weight.
    has_block_weight: bool,
    pub(crate) memory_bytes: u64,
    /// Names this boot.
    pub(crate) boot: String,
    pub(crate) hostname: String,
    pub(crate) kernel: String,
    pub(crate) operating_system: String,
    pub(crate) os_version: String,
    /// The kernel's unit of CPU time, per second.
    pub(crate) clock_ticks: u64,
}

impl Host {
    pub(crate) fn gather() -> Result<Self> {
        let facts = runtime::facts::gather()
            .map_err(|e| Error::doing("cannot look at the host", types::Kind::Internal, e))?;
        let name = rustix::system::uname();
        let has_block_weight = block_weight(&facts);
        let release = read_to_string("/etc/os-release").unwrap_or_default();
        Ok(Self {
            facts,
            has_block_weight,
            cpus: online_cpus(),
            memory_nodes: read_to_string("/sys/devices/system/node/online")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            memory_bytes: memory_bytes(&read_to_string("/proc/meminfo").unwrap_or_default()),
            boot: read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
            hostname: name.nodename().to_string_lossy().into_owned(),
            kernel: name.release().to_string_lossy().into_owned(),
            operating_system: os_field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
            os_version: os_field(&release, "VERSION_ID").unwrap_or_default(),
            clock_ticks: rustix::param::clock_ticks_per_second(),
        })
    }

    /// Takes away a weight of block I/O that this kernel cannot hold, and says so in Docker's words.
    pub(crate) fn discard_weight(&self, limits: &mut Resources) -> Option<String> {
        if limits.blkio_weight == 0 || self.has_block_weight {
            return None;
        }
        limits.blkio_weight = 0;
        Some(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                .to_owned(),
        )
    }

    /// What limits are checked against.
    pub(crate) fn for_limits(&self) -> limits::Host<'_> {
        limits::Host { facts: &self.facts, cpus: self.cpus, nodes: &self.memory_nodes }
    }

    /// CPU time of the whole host in nanoseconds, as Docker reckons it.
    pub(crate) fn system_cpu_ns(&self) -> u64 {
        let stat = read_to_string("/proc/stat").unwrap_or_default();
        let ticks: u64 = stat
            .lines()
            .next()
            .unwrap_or("")
            .split_whitespace()
            .skip(1)
            .take(7)
            .filter_map(|n| n.parse::<u64>().ok())
            .sum();
        ticks * (1_000_000_000 / self.clock_ticks.max(1))
    }
}

/// Version 1 shows in the root whether a scheduler knows weights; version 2 only below it, once there is a cgroup.
fn block_weight(facts: &Facts) -> bool {
    match facts.cgroups.v1_of("blkio") {
        Some(hierarchy) => Path::new(&hierarchy.mount).join("blkio.bfq.weight").exists(),
        None => facts.cgroups.v2_has("io"),
    }
}

fn online_cpus() -> u32 {
    let list = read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let count = |part: &str| -> Option<u32> {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(to.parse::<u32>().ok()?.saturating_sub(from.parse().ok()?) + 1)
    };
    list.trim().split(',').filter_map(count).sum::<u32>().max(1)
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or("");
    let kib = line.trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().unwrap_or(0) * 1024
}

fn os_field(release: &str, name: &str) -> Option<String> {
    let line = release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_texts() {
        assert_eq!(memory_bytes("MemTotal:       16 kB\nMemFree: 1 kB\n"), 16 * 1024);
        let release = "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\n";
        assert_eq!(os_field(release, "PRETTY_NAME").as_deref(), Some("Debian GNU/Linux 12"));
        assert_eq!(os_field(release, "VERSION_ID").as_deref(), Some("12"));
        assert!(online_cpus() > 0);
    }
}
