//! Docker's limits: what is sane, and what they are in the terms of the runtime spec.

use dockerapi::{Resources, Ulimit};
use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, PosixRlimit};

use crate::Error;
use crate::facts::Facts;

const MEMORY_MIN: i64 = 6 << 20;

/// What limits depend on beside the plan's facts.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The host's facts.
    pub facts: &'a Facts,
    /// How many CPUs are online.
    pub cpus: u32,
    /// The memory nodes that are online, as a list like `0-1`.
    pub nodes: &'a str,
}

/// Fills what Docker fills: swap as large as memory again. What means "no limit" in several ways means it in one.
pub fn complete(limits: &mut Resources) {
    limits.pids_limit = limits.pids_limit.filter(|n| *n > 0);
    limits.memory_swappiness = limits.memory_swappiness.filter(|s| *s != -1);
    if limits.memory > 0 && limits.memory_swap == 0 {
        limits.memory_swap = limits.memory.saturating_mul(2);
    }
}

/// Checks limits, in Docker's words. Returns warnings for what this host cannot do but the container can live without.
///
/// # Errors
/// A limit out of range, in conflict with another one, or that this host or Berth cannot honour.
pub fn check(limits: &Resources, host: &Host<'_>) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    memory(limits, host, &mut warnings)?;
    cpu(limits, host)?;
    unsupported(limits)?;
    if limits.blkio_weight != 0 && !(10..=1000).contains(&limits.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    for limit in &limits.ulimits {
        rlimit(limit)?;
    }
    Ok(warnings)
}

fn memory(limits: &Resources, host: &Host<'_>, warnings: &mut Vec<String>) -> Result<(), Error> {
    let (memory, swap, reservation) = (limits.memory, limits.memory_swap, limits.memory_reservation);
    if memory != 0 && memory < MEMORY_MIN {
        return Err(Error::invalid("Minimum memory limit allowed is 6MB"));
    }
    if memory > 0 && swap > 0 && swap < memory {
        return Err(Error::invalid("Minimum memoryswap limit should be larger than memory limit, see usage"));
    }
    if swap < -1 {
        return Err(Error::invalid(format!("invalid memoryswap limit {swap}: only -1 means unlimited")));
    }
    if memory == 0 && swap > 0 {
        return Err(Error::invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ));
    }
    if memory > 0 && swap != -1 && !host.facts.swap_limit {
        warnings.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
                .to_owned(),
        );
    }
    if reservation != 0 && reservation < MEMORY_MIN {
        return Err(Error::invalid("Minimum memory reservation allowed is 6MB"));
    }
    if memory > 0 && reservation > memory {
        return Err(Error::invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ));
    }
    if let Some(swappiness) = limits.memory_swappiness.filter(|s| !(-1..=100).contains(s)) {
        return Err(Error::invalid(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )));
    }
    if limits.oom_kill_disable == Some(true) && memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of \
             resources."
                .to_owned(),
        );
    }
    Ok(())
}

fn cpu(limits: &Resources, host: &Host<'_>) -> Result<(), Error> {
    let most = i64::from(host.cpus) * 1_000_000_000;
    if limits.nano_cpus > 0 && limits.cpu_period > 0 {
        return Err(Error::invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
    }
    if limits.nano_cpus > 0 && limits.cpu_quota > 0 {
        return Err(Error::invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set"));
    }
    if limits.nano_cpus < 0 || limits.nano_cpus > most || (1..10_000_000).contains(&limits.nano_cpus) {
        return Err(Error::invalid(format!(
            "Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available",
            cpus = host.cpus
        )));
    }
    if limits.cpu_shares < 0 || limits.cpu_shares == 1 {
        return Err(Error::invalid("The minimum allowed cpu-shares is 2"));
    }
    if limits.cpu_shares > 262_144 {
        return Err(Error::invalid("The maximum allowed cpu-shares is 262144"));
    }
    if limits.cpu_period != 0 && !(1_000..=1_000_000).contains(&limits.cpu_period) {
        return Err(Error::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if limits.cpu_quota > 0 && limits.cpu_quota < 1000 {
        return Err(Error::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    for (what, list) in [("cpus", &limits.cpuset_cpus), ("mems", &limits.cpuset_mems)] {
        let numbers = cpu_list(list)
            .ok_or_else(|| Error::invalid(format!("Invalid value {list} for cpuset {what}")))?;
        if what == "cpus" && numbers.is_some_and(|highest| highest >= host.cpus) {
            return Err(Error::invalid(format!(
                "Requested CPUs are not available - requested {list}, available: 0-{}",
                host.cpus.saturating_sub(1)
            )));
        }
        let last_node = cpu_list(host.nodes).flatten().unwrap_or(u32::MAX);
        if what == "mems" && numbers.is_some_and(|highest| highest > last_node) {
            return Err(Error::invalid(format!(
                "Requested memory nodes are not available - requested {list}, available: {}",
                host.nodes
            )));
        }
    }
    Ok(())
}

/// The highest number of a list like `0-2,4`; `Some(None)` for the empty list, `None` for no list at all.
fn cpu_list(text: &str) -> Option<Option<u32>> {
    let mut highest = None;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |t: &str| t.trim().parse::<u32>().ok();
        let (from, to) = (number(from)?, number(to)?);
        if from > to {
            return None;
        }
        highest = highest.max(Some(to));
    }
    Some(highest)
}

fn unsupported(limits: &Resources) -> Result<(), Error> {
    let asked = [
        ("BlkioWeightDevice", !limits.blkio_weight_device.is_empty()),
        ("BlkioDeviceReadBps", !limits.blkio_device_read_bps.is_empty()),
        ("BlkioDeviceWriteBps", !limits.blkio_device_write_bps.is_empty()),
        ("BlkioDeviceReadIOps", !limits.blkio_device_read_iops.is_empty()),
        ("BlkioDeviceWriteIOps", !limits.blkio_device_write_iops.is_empty()),
        ("CpuRealtimePeriod", limits.cpu_realtime_period != 0),
        ("CpuRealtimeRuntime", limits.cpu_realtime_runtime != 0),
        ("KernelMemory", limits.kernel_memory != 0),
        ("KernelMemoryTCP", limits.kernel_memory_tcp != 0),
        ("CgroupParent", !limits.cgroup_parent.is_empty()),
        ("DeviceRequests", !limits.device_requests.is_empty()),
        ("CpuCount", limits.cpu_count != 0),
        ("CpuPercent", limits.cpu_percent != 0),
        ("IOMaximumIOps", limits.io_maximum_iops != 0),
        ("IOMaximumBandwidth", limits.io_maximum_bandwidth != 0),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(Error::unimplemented(format!(
            "HostConfig.{field} is not supported by Berth yet; leave it out"
        ))),
        None => Ok(()),
    }
}

/// The limits in the runtime spec's terms. What was not asked stays absent.
#[must_use]
pub fn resources(limits: &Resources, facts: &Facts) -> LinuxResources {
    let positive = |n: i64| (n > 0).then_some(n);
    let unsigned = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
    let swap = if facts.swap_limit { Some(limits.memory_swap).filter(|s| *s != 0) } else { None };
    let memory = LinuxMemory {
        limit: positive(limits.memory),
        reservation: positive(limits.memory_reservation),
        swap,
        swappiness: limits.memory_swappiness.and_then(|s| u64::try_from(s).ok()),
        disable_oom_killer: limits.oom_kill_disable.filter(|d| *d),
        ..LinuxMemory::default()
    };
    let (quota, period) = match limits.nano_cpus {
        0 => (Some(limits.cpu_quota).filter(|q| *q != 0), unsigned(limits.cpu_period)),
        nano => (Some(nano / 10_000), Some(100_000)),
    };
    let cpu = LinuxCpu {
        shares: unsigned(limits.cpu_shares),
        quota,
        period,
        cpus: limits.cpuset_cpus.clone(),
        mems: limits.cpuset_mems.clone(),
        ..LinuxCpu::default()
    };
    let weight = Some(limits.blkio_weight).filter(|w| *w != 0);
    let block_io = weight.map(|w| LinuxBlockIo { weight: Some(w), ..LinuxBlockIo::default() });
    LinuxResources {
        memory: (memory != LinuxMemory::default()).then_some(memory),
        cpu: (cpu != LinuxCpu::default()).then_some(cpu),
        pids: limits.pids_limit.filter(|n| *n != 0).map(|n| LinuxPids { limit: Some(n) }),
        block_io,
        ..LinuxResources::default()
    }
}

/// One `--ulimit`.
///
/// # Errors
/// An unknown name, or a soft limit above the hard one.
pub fn rlimit(limit: &Ulimit) -> Result<PosixRlimit, Error> {
    const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let name = limit.name.to_lowercase();
    if !NAMES.contains(&name.as_str()) {
        return Err(Error::invalid(format!("invalid ulimit type: {}", limit.name)));
    }
    let value = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
    let (soft, hard) = (value(limit.soft), value(limit.hard));
    if limit.soft < -1 || limit.hard < -1 || soft > hard {
        return Err(Error::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        )));
    }
    Ok(PosixRlimit { kind: format!("RLIMIT_{}", name.to_uppercase()), soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(limits: Resources) -> String {
        let facts = Facts { swap_limit: true, ..Facts::default() };
        let host = Host { facts: &facts, cpus: 2, nodes: "0" };
        match check(&limits, &host) {
            Ok(warnings) => warnings.join(";"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn ranges() {
        const MB: i64 = 1 << 20;
        let r = Resources::default;
        for (limits, expected) in [
            (r(), ""),
            (Resources { memory: 5 * MB, ..r() }, "Minimum memory limit allowed is 6MB"),
            (Resources { memory: -1, ..r() }, "Minimum memory limit allowed is 6MB"),
            (
                Resources { memory: 64 * MB, memory_swap: 32 * MB, ..r() },
                "Minimum memoryswap limit should be larger",
            ),
            (Resources { memory_swap: 32 * MB, ..r() }, "You should always set the Memory limit"),
            (Resources { memory: 64 * MB, memory_swap: -1, ..r() }, ""),
            (
                Resources { memory: 64 * MB, memory_reservation: 65 * MB, ..r() },
                "Minimum memory limit can not",
            ),
            (Resources { memory_swappiness: Some(101), ..r() }, "Invalid value: 101"),
            (Resources { oom_kill_disable: Some(true), ..r() }, "OOM killer is disabled"),
            (Resources { nano_cpus: 3_000_000_000, ..r() }, "Range of CPUs is from 0.01 to 2.00"),
            (Resources { nano_cpus: 1, ..r() }, "Range of CPUs"),
            (Resources { nano_cpus: 1_500_000_000, ..r() }, ""),
            (
                Resources { nano_cpus: 1_000_000_000, cpu_quota: 5000, ..r() },
                "Conflicting options: Nano CPUs and CPU Quota",
            ),
            (Resources { cpu_period: 5, ..r() }, "CPU cfs period"),
            (Resources { cpu_quota: 5, ..r() }, "CPU cfs quota"),
            (Resources { cpu_shares: 1, ..r() }, "The minimum allowed cpu-shares is 2"),
            (Resources { cpuset_cpus: "0-1".to_owned(), ..r() }, ""),
            (Resources { cpuset_cpus: "0-2".to_owned(), ..r() }, "Requested CPUs are not available"),
            (Resources { cpuset_cpus: "1-0".to_owned(), ..r() }, "Invalid value 1-0 for cpuset cpus"),
            (Resources { cpuset_mems: "x".to_owned(), ..r() }, "Invalid value x for cpuset mems"),
            (Resources { cpuset_mems: "0".to_owned(), ..r() }, ""),
            (Resources { cpuset_mems: "1".to_owned(), ..r() }, "Requested memory nodes are not available"),
            (Resources { blkio_weight: 5, ..r() }, "Range of blkio weight"),
            (Resources { kernel_memory: 1, ..r() }, "HostConfig.KernelMemory is not supported"),
        ] {
            let got = sentence(limits.clone());
            assert!(got.starts_with(expected) && got.is_empty() == expected.is_empty(), "{limits:?}: {got}");
        }
    }

    #[test]
    fn terms_of_the_runtime_spec() {
        let facts = Facts { swap_limit: true, ..Facts::default() };
        let mut limits = Resources {
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            pids_limit: Some(-1),
            memory_swappiness: Some(-1),
            cpu_shares: 512,
            ..Resources::default()
        };
        complete(&mut limits);
        assert_eq!((limits.pids_limit, limits.memory_swappiness), (None, None));
        limits.pids_limit = Some(-1);
        let resources = resources(&limits, &facts);
        let memory = resources.memory.unwrap_or_default();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        let cpu = resources.cpu.unwrap_or_default();
        assert_eq!((cpu.quota, cpu.period, cpu.shares), (Some(50_000), Some(100_000), Some(512)));
        assert_eq!(resources.pids.and_then(|p| p.limit), Some(-1));
    }

    #[test]
    fn ulimits() {
        let one = |name: &str, soft, hard| {
            rlimit(&Ulimit { name: name.to_owned(), soft, hard }).map(|r| (r.kind, r.soft, r.hard))
        };
        assert_eq!(one("nofile", 1, 2), Ok(("RLIMIT_NOFILE".to_owned(), 1, 2)));
        assert_eq!(one("core", -1, -1).map(|r| r.1), Ok(u64::MAX));
        assert!(one("core", -1, 5).is_err() && one("nope", 1, 1).is_err() && one("core", 2, 1).is_err());
    }
}
