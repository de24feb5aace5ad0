//! Files of the v1 controllers.

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::either::check_weights;
use super::target::Target;
use crate::Error;

pub(super) fn write(resources: &LinuxResources, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(memory) = &resources.memory {
        write_memory(memory, target)?;
    }
    if let Some(cpu) = &resources.cpu {
        write_cpu(cpu, target)?;
    }
    if let Some(block) = &resources.block_io {
        write_block(block, target)?;
    }
    if let Some(network) = &resources.network {
        if let Some(class) = network.class_id.filter(|class| *class != 0) {
            target.v1("net_cls", "net_cls.classid", "network.classID", class)?;
        }
        for entry in &network.priorities {
            let line = format!("{} {}", entry.name, entry.priority);
            target.v1("net_prio", "net_prio.ifpriomap", "network.priorities", line)?;
        }
    }
    if let Some(file) = resources.unified.keys().next() {
        return Err(Error::invalid(format!(
            "linux.resources.unified.{file} cannot be set: invalid configuration, the controllers of this host are on cgroup v1"
        )));
    }
    Ok(())
}

fn write_memory(memory: &LinuxMemory, target: &mut Target<'_>) -> Result<(), Error> {
    let mut put = |file: &str, field: &str, value: Option<i64>| match value {
        Some(value) if value != 0 => target.v1("memory", file, field, value),
        _ => Ok(()),
    };
    put("memory.limit_in_bytes", "memory.limit", memory.limit)?;
    put("memory.soft_limit_in_bytes", "memory.reservation", memory.reservation)?;
    put("memory.kmem.tcp.limit_in_bytes", "memory.kernelTCP", memory.kernel_tcp)?;
    if let Some(swap) = target.swap_of(memory) {
        if target.facts.swap_limit {
            target.v1("memory", "memory.memsw.limit_in_bytes", "memory.swap", swap)?;
        } else {
            target.cannot("memory.swap", "the kernel does not count swap");
        }
    }
    if let Some(kernel) = memory.kernel.filter(|k| *k > 0) {
        target.cannot("memory.kernel", &format!("kernels since 5.16 have no limit for it ({kernel})"));
    }
    if let Some(swappiness) = memory.swappiness {
        if swappiness > 100 {
            return Err(Error::invalid(format!(
                "linux.resources.memory.swappiness {swappiness} is not within 0 and 100"
            )));
        }
        target.v1("memory", "memory.swappiness", "memory.swappiness", swappiness)?;
    }
    if memory.disable_oom_killer == Some(true) {
        target.v1("memory", "memory.oom_control", "memory.disableOOMKiller", 1)?;
    }
    if memory.use_hierarchy == Some(false) {
        target.cannot("memory.useHierarchy", "kernels since 5.11 always count what is below, too");
    }
    Ok(())
}

fn write_cpu(cpu: &LinuxCpu, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
        // The kernel would take the nearest it has.
        if !(2..=262_144).contains(&shares) {
            return Err(Error::invalid(format!(
                "linux.resources.cpu.shares {shares} is out of range: the minimum allowed cpu-shares is 2, the maximum 262144"
            )));
        }
        target.v1("cpu", "cpu.shares", "cpu.shares", shares)?;
    }
    // The period first: the kernel checks a quota against the period in force.
    if let Some(period) = cpu.period.filter(|p| *p != 0) {
        target.v1("cpu", "cpu.cfs_period_us", "cpu.period", period)?;
    }
    if let Some(quota) = cpu.quota.filter(|q| *q != 0) {
        target.v1("cpu", "cpu.cfs_quota_us", "cpu.quota", quota)?;
    }
    if let Some(burst) = cpu.burst {
        target.v1("cpu", "cpu.cfs_burst_us", "cpu.burst", burst)?;
    }
    if let Some(period) = cpu.realtime_period.filter(|p| *p != 0) {
        target.v1("cpu", "cpu.rt_period_us", "cpu.realtimePeriod", period)?;
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|r| *r != 0) {
        target.v1("cpu", "cpu.rt_runtime_us", "cpu.realtimeRuntime", runtime)?;
    }
    if let Some(idle) = cpu.idle {
        target.v1("cpu", "cpu.idle", "cpu.idle", idle)?;
    }
    if !cpu.cpus.is_empty() {
        target.v1("cpuset", "cpuset.cpus", "cpu.cpus", &cpu.cpus)?;
    }
    if !cpu.mems.is_empty() {
        target.v1("cpuset", "cpuset.mems", "cpu.mems", &cpu.mems)?;
    }
    Ok(())
}

fn write_block(block: &LinuxBlockIo, target: &mut Target<'_>) -> Result<(), Error> {
    check_weights(block)?;
    // The plain names belonged to CFQ, which is gone since 5.0; BFQ has its own.
    if let Some(weight) = block.weight.filter(|w| *w != 0) {
        target.v1("blkio", "blkio.bfq.weight", "blockIO.weight", weight)?;
    }
    for device in &block.weight_device {
        let Some(weight) = device.weight.filter(|w| *w != 0) else { continue };
        let line = format!("{}:{} {weight}", device.major, device.minor);
        target.v1("blkio", "blkio.bfq.weight_device", "blockIO.weightDevice", line)?;
    }
    for (file, field, devices) in [
        ("blkio.throttle.read_bps_device", "throttleReadBpsDevice", &block.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", "throttleWriteBpsDevice", &block.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", "throttleReadIOPSDevice", &block.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", "throttleWriteIOPSDevice", &block.throttle_write_iops_device),
    ] {
        for device in devices {
            let line = format!("{}:{} {}", device.major, device.minor, device.rate);
            target.v1("blkio", file, &format!("blockIO.{field}"), line)?;
        }
    }
    Ok(())
}
