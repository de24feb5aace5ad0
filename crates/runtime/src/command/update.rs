//! `update`: limits of a running container.

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::arguments::Arguments;
use super::document;
use super::output::Complaint;
use super::records::Root;

const VALUES: [&str; 15] = [
    "resources",
    "r",
    "memory",
    "memory-reservation",
    "memory-swap",
    "cpu-period",
    "cpu-quota",
    "cpu-share",
    "cpu-burst",
    "cpuset-cpus",
    "cpuset-mems",
    "pids-limit",
    "blkio-weight",
    "cpu-idle",
    "kernel-memory",
];

pub(super) fn update(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &VALUES)?;
    arguments.only(&VALUES)?;
    let record = root.load(arguments.id()?)?;
    if !record.alive() {
        return Err(Complaint::new(format!("container {} is not running", record.id)));
    }
    let resources = match arguments.value(&["resources", "r"]) {
        Some(path) => read_document(path)?,
        None => read_options(&arguments)?,
    };
    let writes = plan::cgroup::update(&resources, &record.plan, &root.facts()?)?;
    crate::apply_writes(&writes)?;
    Ok(0)
}

fn read_document(path: &str) -> Result<LinuxResources, Complaint> {
    if path == "-" {
        return document::read_stdin("resources");
    }
    document::read(path.as_ref(), "resources", document::From::FileOrPipe)
}

fn read_options(arguments: &Arguments) -> Result<LinuxResources, Complaint> {
    let number = |name: &str| -> Result<Option<i64>, Complaint> {
        let Some(text) = arguments.value(&[name]) else { return Ok(None) };
        let read = if name.starts_with("memory") && text != "-1" {
            types::parse_bytes(text).ok().and_then(|n| i64::try_from(n).ok())
        } else {
            text.parse().ok()
        };
        read.map(Some).ok_or_else(|| Complaint::new(format!("--{name} {text:?} is not a number")))
    };
    let positive = |name: &str| -> Result<Option<u64>, Complaint> {
        number(name)?
            .map(|n| u64::try_from(n).map_err(|_| Complaint::new(format!("--{name} must not be negative"))))
            .transpose()
    };
    Ok(LinuxResources {
        memory: Some(LinuxMemory {
            limit: number("memory")?,
            reservation: number("memory-reservation")?,
            swap: number("memory-swap")?,
            ..LinuxMemory::default()
        }),
        cpu: Some(LinuxCpu {
            shares: positive("cpu-share")?,
            quota: number("cpu-quota")?,
            period: positive("cpu-period")?,
            burst: positive("cpu-burst")?,
            idle: number("cpu-idle")?,
            cpus: arguments.value(&["cpuset-cpus"]).unwrap_or_default().to_owned(),
            mems: arguments.value(&["cpuset-mems"]).unwrap_or_default().to_owned(),
            ..LinuxCpu::default()
        }),
        pids: Some(LinuxPids { limit: number("pids-limit")? }),
        block_io: Some(LinuxBlockIo {
            weight: number("blkio-weight")?.map(|w| w.clamp(0, 1000) as u16),
            ..LinuxBlockIo::default()
        }),
        ..LinuxResources::default()
    })
}
