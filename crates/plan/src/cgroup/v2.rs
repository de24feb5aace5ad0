//! Files of the v2 controllers.

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::{Target, convert, swap_of};
use crate::Error;

pub(super) fn write(resources: &LinuxResources, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(memory) = &resources.memory {
        write_memory(memory, target)?;
    }
    if let Some(cpu) = &resources.cpu {
        write_cpu(cpu, target)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|p| p.limit).filter(|l| *l != 0) {
        target.v2("pids", "pids.max", "pids.limit", number_or_max(limit))?;
    }
    if let Some(block) = &resources.block_io {
        write_block(block, target)?;
    }
    for huge in &resources.hugepage_limits {
        target.v2("hugetlb", &format!("hugetlb.{}.max", huge.page_size), "hugepageLimits", huge.limit)?;
    }
    for (device, rdma) in &resources.rdma {
        let mut line = device.clone();
        line.extend(rdma.hca_handles.map(|n| format!(" hca_handle={n}")));
        line.extend(rdma.hca_objects.map(|n| format!(" hca_object={n}")));
        target.v2("rdma", "rdma.max", "rdma", line)?;
    }
    if resources.network.as_ref().is_some_and(|n| n.class_id.is_some() || !n.priorities.is_empty()) {
        target.cannot("network", "cgroup v2 has no traffic classes");
    }
    for (file, value) in &resources.unified {
        if file.contains('/') || !file.contains('.') {
            return Err(Error::invalid(format!("linux.resources.unified: {file:?} is no file of a cgroup")));
        }
        let controller = file.split('.').next().unwrap_or_default();
        if controller == "cgroup" {
            target.push(format!("{}/{file}", target.cgroup.unified), "unified", value.clone());
        } else {
            target.v2(controller, file, &format!("unified.{file}"), value)?;
        }
    }
    Ok(())
}

fn number_or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn write_memory(memory: &LinuxMemory, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(swap) = swap_of(memory, target) {
        let value = swap_max(swap, memory.limit)?;
        if target.facts.swap_limit {
            target.v2("memory", "memory.swap.max", "memory.swap", value)?;
        } else {
            target.cannot("memory.swap", "the kernel does not count swap");
        }
    }
    if let Some(limit) = memory.limit.filter(|l| *l != 0) {
        target.v2("memory", "memory.max", "memory.limit", number_or_max(limit))?;
    }
    if let Some(low) = memory.reservation.filter(|l| *l != 0) {
        target.v2("memory", "memory.low", "memory.reservation", number_or_max(low))?;
    }
    for (field, asked) in [
        ("memory.kernel", memory.kernel.is_some_and(|k| k > 0)),
        ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|k| k > 0)),
        ("memory.swappiness", memory.swappiness.is_some()),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
    ] {
        if asked {
            target.cannot(field, "cgroup v2 has no such limit");
        }
    }
    Ok(())
}

/// v1 counts memory and swap together, v2 swap alone.
fn swap_max(both: i64, limit: Option<i64>) -> Result<String, Error> {
    match (both, limit) {
        (..0, _) => Ok("max".into()),
        (both, Some(limit @ 1..)) if both >= limit => Ok((both - limit).to_string()),
        (_, Some(1..)) => {
            Err(Error::invalid("memory.swap is memory and swap together and must not be below memory.limit"))
        }
        _ => Err(Error::invalid("memory.swap needs memory.limit as well")),
    }
}

fn write_cpu(cpu: &LinuxCpu, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
        target.v2("cpu", "cpu.weight", "cpu.shares", convert::weight_of_shares(shares))?;
    }
    let quota = cpu.quota.filter(|q| *q != 0);
    let period = cpu.period.filter(|p| *p != 0);
    if quota.is_some() || period.is_some() {
        let quota = number_or_max(quota.unwrap_or(-1));
        target.v2("cpu", "cpu.max", "cpu.quota", format!("{quota} {}", period.unwrap_or(100_000)))?;
    }
    if let Some(burst) = cpu.burst {
        target.v2("cpu", "cpu.max.burst", "cpu.burst", burst)?;
    }
    if let Some(idle) = cpu.idle {
        target.v2("cpu", "cpu.idle", "cpu.idle", idle)?;
    }
    if cpu.realtime_runtime.is_some_and(|r| r != 0) || cpu.realtime_period.is_some_and(|p| p != 0) {
        target.cannot("cpu.realtimeRuntime", "cgroup v2 has no real-time limits");
    }
    if !cpu.cpus.is_empty() {
        target.v2("cpuset", "cpuset.cpus", "cpu.cpus", &cpu.cpus)?;
    }
    if !cpu.mems.is_empty() {
        target.v2("cpuset", "cpuset.mems", "cpu.mems", &cpu.mems)?;
    }
    Ok(())
}

fn write_block(block: &LinuxBlockIo, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(weight) = block.weight.filter(|w| *w != 0) {
        target.v2("io", "io.weight", "blockIO.weight", format!("default {}", convert::io_weight(weight)))?;
    }
    for device in &block.weight_device {
        let weight = convert::io_weight(device.weight.unwrap_or(10));
        let line = format!("{}:{} {weight}", device.major, device.minor);
        target.v2("io", "io.weight", "blockIO.weightDevice", line)?;
    }
    for (key, field, devices) in [
        ("rbps", "throttleReadBpsDevice", &block.throttle_read_bps_device),
        ("wbps", "throttleWriteBpsDevice", &block.throttle_write_bps_device),
        ("riops", "throttleReadIOPSDevice", &block.throttle_read_iops_device),
        ("wiops", "throttleWriteIOPSDevice", &block.throttle_write_iops_device),
    ] {
        for device in devices {
            let line = format!("{}:{} {key}={}", device.major, device.minor, device.rate);
            target.v2("io", "io.max", &format!("blockIO.{field}"), line)?;
        }
    }
    Ok(())
}
