//! Acts on a container's cgroups: making and removing them, limits, freezing, killing, counting.

mod control;
mod make;
mod write;

use protocol::Plan;
use protocol::plan::Cgroup;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use types::Kind;

pub(crate) use control::is_frozen;
pub use control::{freeze, kill_all};
pub(crate) use make::{make, remove};
pub use write::{apply_writes, present};
pub(crate) use write::{refusal, resolve};

use crate::error::{Error, Tried};
use crate::kernel::read_file;

/// The cgroups right below one.
fn children(path: &str) -> Vec<String> {
    let Ok(directory) = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
        return Vec::new();
    };
    let Ok(entries) = rustix::fs::Dir::new(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|e| e.file_type() == FileType::Directory)
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "." && name != "..")
        .map(|name| format!("{path}/{name}"))
        .collect()
}

/// A directory in which all of the container's processes are listed.
fn listing(cgroup: &Cgroup) -> Option<&str> {
    if !cgroup.unified.is_empty() {
        return Some(&cgroup.unified);
    }
    let pids = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == "pids"));
    pids.or(cgroup.hierarchies.first()).map(|h| h.path.as_str())
}

/// The container's directory of a v1 controller.
pub(crate) fn v1<'a>(cgroup: &'a Cgroup, controller: &str) -> Option<&'a str> {
    let found = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == controller));
    found.map(|h| h.path.as_str())
}

pub(crate) fn cgroup_of(plan: &Plan) -> Result<&Cgroup, Error> {
    let there = |cgroup: &&Cgroup| !cgroup.unified.is_empty() || !cgroup.hierarchies.is_empty();
    plan.cgroup.as_ref().filter(there).ok_or_else(|| {
        Error::said(
            Kind::Unimplemented,
            "the container has no cgroup: its maker could not make one, and none was handed down",
        )
    })
}

/// Every process of the container, also those in cgroups it made itself, by their pids here.
///
/// # Errors
/// When the cgroup cannot be read.
pub fn pids(plan: &Plan) -> Result<Vec<i32>, Error> {
    let Some(place) = listing(cgroup_of(plan)?) else {
        return Err(Error::said(Kind::Unimplemented, "this host has no cgroups to list processes by"));
    };
    let mut pids = Vec::new();
    pids_below(place, &mut pids).tried(|| format!("read {place}/cgroup.procs"))?;
    Ok(pids)
}

fn pids_below(place: &str, pids: &mut Vec<i32>) -> Result<(), Errno> {
    let list = match read_file(&format!("{place}/cgroup.procs")) {
        // A threaded cgroup has threads only; their processes are listed above it.
        Err(Errno::OPNOTSUPP) => String::new(),
        other => other?,
    };
    pids.extend(list.lines().filter_map(|line| line.trim().parse::<i32>().ok()).filter(|pid| *pid > 0));
    for child in children(place) {
        let _ = pids_below(&child, pids);
    }
    Ok(())
}

/// How many processes of the container the kernel has killed for memory.
///
/// # Errors
/// When the counter cannot be read.
pub fn oom_kills(plan: &Plan) -> Result<u64, Error> {
    let Ok(cgroup) = cgroup_of(plan) else { return Ok(0) };
    let path = match v1(cgroup, "memory") {
        Some(place) => format!("{place}/memory.oom_control"),
        None if !cgroup.unified.is_empty() => format!("{}/memory.events", cgroup.unified),
        None => return Ok(0),
    };
    let text = match read_file(&path) {
        Err(Errno::NOENT) => return Ok(0),
        other => other.tried(|| format!("read {path}"))?,
    };
    let count =
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|n| n.trim().parse().ok());
    Ok(count.unwrap_or(0))
}

/// The directory handle that a clone enters.
pub(crate) fn open_directory(path: &str) -> Result<std::os::fd::OwnedFd, Error> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open cgroup {path}"))
}
