//! Files of the v2 controllers.

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::convert;
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
    if resources
        .network
        .as_ref()
        .is_some_and(|n| n.class_id.is_some_and(|c| c != 0) || !n.priorities.is_empty())
    {
        target.cannot("network", "cgroup v2 has no traffic classes");
    }
    // Last, so that it has the last word.
    for (file, value) in &resources.unified {
        write_unified(file, value, target)?;
    }
    Ok(())
}

/// A file by its name, line by line: some take only one at a time.
fn write_unified(file: &str, value: &str, target: &mut Target<'_>) -> Result<(), Error> {
    let (controller, parameter) = file.split_once('.').unwrap_or((file, ""));
    if file.contains('/') || controller.is_empty() || parameter.is_empty() {
        return Err(Error::invalid(format!(
            "linux.resources.unified: {file:?} is not of the form CONTROLLER.PARAMETER"
        )));
    }
    let field = format!("unified.{file}");
    for line in value.lines() {
        if controller == "cgroup" {
            target.push(format!("{}/{file}", target.cgroup.unified), &field, line.to_owned());
        } else {
            target.v2(controller, file, &field, line)?;
        }
    }
    Ok(())
}

fn number_or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn write_memory(memory: &LinuxMemory, target: &mut Target<'_>) -> Result<(), Error> {
    check_usage(memory, target)?;
    let limit = memory.limit.filter(|l| *l != 0);
    // A new limit of memory leaves the sum as it was.
    let kept = target.present.memory_and_swap.filter(|both| *both > 0 && limit.is_some());
    if let Some(swap) = target.swap_of(memory).or(kept) {
        let value = swap_max(swap, limit.or(target.present.memory_limit))?;
        if target.facts.swap_limit {
            target.v2("memory", "memory.swap.max", "memory.swap", value)?;
        } else {
            target.cannot("memory.swap", "the kernel does not count swap");
        }
    }
    if let Some(limit) = limit {
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
        ("memory.useHierarchy", memory.use_hierarchy == Some(false)),
    ] {
        if asked {
            target.cannot(field, "cgroup v2 has no such limit");
        }
    }
    Ok(())
}

/// v1 refuses a limit below what is in use; v2 would kill.
fn check_usage(memory: &LinuxMemory, target: &Target<'_>) -> Result<(), Error> {
    let Some(usage) = target.present.memory_usage.filter(|_| memory.check_before_update == Some(true)) else {
        return Ok(());
    };
    for (field, what, limit) in
        [("swap", "memory+swap limit", memory.swap), ("limit", "memory limit", memory.limit)]
    {
        if let Some(limit) = limit.and_then(|l| u64::try_from(l).ok()).filter(|l| (1..=usage).contains(l)) {
            return Err(Error::invalid(format!(
                "linux.resources.memory.{field}: rejecting {what} {limit}, {usage} bytes are in use"
            )));
        }
    }
    Ok(())
}

/// v1 counts memory and swap together, v2 swap alone.
fn swap_max(both: i64, limit: Option<i64>) -> Result<String, Error> {
    match (both, limit) {
        (..0, _) => Ok("max".into()),
        (both, Some(..=-1)) => Ok(both.to_string()),
        (both, Some(limit @ 1..)) if both >= limit => Ok((both - limit).to_string()),
        (_, Some(1..)) => Err(Error::invalid(
            "linux.resources.memory.swap is memory and swap together and must not be below memory.limit",
        )),
        _ => Err(Error::invalid("linux.resources.memory.swap needs memory.limit as well")),
    }
}

fn write_cpu(cpu: &LinuxCpu, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
        target.v2("cpu", "cpu.weight", "cpu.shares", convert::weight_of_shares(shares))?;
    }
    let quota = cpu.quota.filter(|q| *q != 0);
    let period = cpu.period.filter(|p| *p != 0);
    let written = match (quota, period) {
        // The period stays as it is.
        (Some(quota), None) => Some(number_or_max(quota)),
        (quota, Some(period)) => {
            let quota = quota.or(target.present.cpu_quota).unwrap_or(-1);
            Some(format!("{} {period}", number_or_max(quota)))
        }
        (None, None) => None,
    };
    if let Some(value) = written {
        let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
        target.v2("cpu", "cpu.max", field, value)?;
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
    check_weights(block)?;
    // BFQ has a file of its own, on v1's scale; without it the kernel's own scheduler has the common one.
    if let Some(weight) = block.weight.filter(|w| *w != 0) {
        target.v2("io", "io.bfq.weight", "blockIO.weight", weight)?;
        target.or_else("io.weight", format!("default {}", convert::io_weight(weight)));
    }
    for device in &block.weight_device {
        let Some(weight) = device.weight.filter(|w| *w != 0) else { continue };
        let (major, minor) = (device.major, device.minor);
        target.v2("io", "io.bfq.weight", "blockIO.weightDevice", format!("{major}:{minor} {weight}"))?;
        target.or_else("io.weight", format!("{major}:{minor} {}", convert::io_weight(weight)));
    }
    for (key, field, devices) in [
        ("rbps", "throttleReadBpsDevice", &block.throttle_read_bps_device),
        ("wbps", "throttleWriteBpsDevice", &block.throttle_write_bps_device),
        ("riops", "throttleReadIOPSDevice", &block.throttle_read_iops_device),
        ("wiops", "throttleWriteIOPSDevice", &block.throttle_write_iops_device),
    ] {
        for device in devices {
            // v1's word for no ceiling.
            let rate = if device.rate == 0 { "max".to_owned() } else { device.rate.to_string() };
            let line = format!("{}:{} {key}={rate}", device.major, device.minor);
            target.v2("io", "io.max", &format!("blockIO.{field}"), line)?;
        }
    }
    Ok(())
}
