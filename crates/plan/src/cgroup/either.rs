//! Limits whose files are the same in both versions of cgroups, or which a hybrid host may have in either.

use oci::runtime::{LinuxBlockIo, LinuxHugepageLimit, LinuxPids, LinuxRdma, LinuxResources};

use super::target::Target;
use crate::Error;

pub(super) fn write(resources: &LinuxResources, target: &mut Target<'_>) -> Result<(), Error> {
    if let Some(limit) = resources.pids.as_ref().and_then(|pids: &LinuxPids| pids.limit) {
        let value = match limit {
            // Nobody can be in a cgroup for no task; service managers and runc take it for one, too.
            0 => "1".to_owned(),
            ..0 => "max".to_owned(),
            limit => limit.to_string(),
        };
        target.either("pids", ("pids.max", "pids.max"), "pids.limit", value)?;
    }
    for huge in &resources.hugepage_limits {
        write_huge(huge, target)?;
    }
    for (device, rdma) in &resources.rdma {
        let line = rdma_line(device, rdma)?;
        target.either("rdma", ("rdma.max", "rdma.max"), "rdma", line)?;
    }
    Ok(())
}

/// Pages in use, and those that are reserved (which never ends in a SIGBUS), as far as the kernel counts them.
fn write_huge(huge: &LinuxHugepageLimit, target: &mut Target<'_>) -> Result<(), Error> {
    let size = huge.page_size.as_str();
    let plain = ["KB", "MB", "GB"].iter().filter_map(|unit| size.strip_suffix(unit));
    if !plain.into_iter().any(|n| !n.is_empty() && n.len() < 8 && n.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Error::invalid(format!(
            "linux.resources.hugepageLimits: {size:?} is no page size like 2MB"
        )));
    }
    let kinds: &[&str] = if target.facts.kernel >= (5, 7) { &["", ".rsvd"] } else { &[""] };
    for kind in kinds {
        let files = (format!("hugetlb.{size}{kind}.limit_in_bytes"), format!("hugetlb.{size}{kind}.max"));
        target.either("hugetlb", (&files.0, &files.1), "hugepageLimits", huge.limit)?;
    }
    Ok(())
}

fn rdma_line(device: &str, rdma: &LinuxRdma) -> Result<String, Error> {
    if device.is_empty() || device.contains(char::is_whitespace) {
        return Err(Error::invalid(format!("linux.resources.rdma: {device:?} is no device")));
    }
    let handles = rdma.hca_handles.map(|n| format!(" hca_handle={n}"));
    let objects = rdma.hca_objects.map(|n| format!(" hca_object={n}"));
    if handles.is_none() && objects.is_none() {
        return Err(Error::invalid(format!(
            "linux.resources.rdma: {device:?} has neither hcaHandles nor hcaObjects"
        )));
    }
    Ok([device.to_owned(), handles.unwrap_or_default(), objects.unwrap_or_default()].concat())
}

/// Refuses weights out of range and those that only CFQ had, which is gone since Linux 5.0.
pub(super) fn check_weights(block: &LinuxBlockIo) -> Result<(), Error> {
    let devices = &block.weight_device;
    if block.leaf_weight.is_some_and(|w| w != 0)
        || devices.iter().any(|d| d.leaf_weight.is_some_and(|w| w != 0))
    {
        return Err(Error::unimplemented(
            "linux.resources.blockIO.leafWeight cannot be set: it belonged to the scheduler CFQ, which Linux has no longer",
        ));
    }
    for device in devices {
        if device.weight.is_none() && device.leaf_weight.is_none() {
            return Err(Error::invalid(format!(
                "linux.resources.blockIO.weightDevice: {}:{} has no weight",
                device.major, device.minor
            )));
        }
    }
    let weights = block.weight.iter().chain(devices.iter().filter_map(|d| d.weight.as_ref()));
    match weights.filter(|w| **w != 0).find(|w| !(10..=1000).contains(*w)) {
        Some(weight) => {
            Err(Error::invalid(format!("linux.resources.blockIO: weight {weight} is not within 10 and 1000")))
        }
        None => Ok(()),
    }
}
