//! What stands on the host with a daemon's mark on it: processes, mounts, cgroups, links, table elements, directories.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Daemon;

/// Everything of one daemon's containers that the kernel and the disk show. Two of them are compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Census {
    /// Processes in the daemon's cgroups.
    pub processes: Vec<i32>,
    /// Lines of the host's mount table below the daemon's directory.
    pub mounts: Vec<String>,
    /// Container cgroups.
    pub cgroups: Vec<String>,
    /// Elements of its nft table.
    pub elements: Vec<String>,
    /// Container directories in the data root and snapshots.
    pub directories: Vec<String>,
}

impl Census {
    /// Looks now.
    #[must_use]
    pub fn of(daemon: &Daemon) -> Self {
        let directory = daemon.directory().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let cgroups = cgroups(daemon.mark());
        let processes = cgroups.iter().filter_map(|c| fs::read_to_string(format!("{c}/cgroup.procs")).ok());
        let mut processes: Vec<i32> =
            processes.flat_map(|p| p.lines().filter_map(|l| l.parse().ok()).collect::<Vec<_>>()).collect();
        processes.sort_unstable();
        processes.dedup();
        Self {
            processes,
            mounts: mounts.lines().filter(|l| l.contains(&directory)).map(str::to_owned).collect(),
            cgroups,
            elements: elements(daemon.mark()),
            directories: directories(&daemon.data_root()),
        }
    }

    /// Nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
            && self.mounts.is_empty()
            && self.cgroups.is_empty()
            && self.elements.is_empty()
            && self.directories.is_empty()
    }
}

/// Every live process whose command line names `text`.
#[must_use]
pub fn processes_naming(text: &str) -> Vec<(i32, String)> {
    let pids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let lines = pids.filter_map(|pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    });
    lines.filter(|(_, line)| line.contains(text)).collect()
}

/// The containers' cgroups below the mark, in every hierarchy.
fn cgroups(mark: &str) -> Vec<String> {
    let mut hierarchies = vec!["/sys/fs/cgroup".to_owned()];
    let children = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    hierarchies.extend(children.filter(|e| e.path().is_dir()).map(|e| e.path().display().to_string()));
    let parents = hierarchies.into_iter().map(|h| format!("{h}/{mark}"));
    let found = parents.flat_map(|parent| {
        let inner = fs::read_dir(parent).into_iter().flatten().flatten();
        inner.filter(|e| e.path().is_dir()).map(|e| e.path().display().to_string()).collect::<Vec<_>>()
    });
    found.collect()
}

/// Lines of `nft list table` that are elements of maps and sets.
fn elements(table: &str) -> Vec<String> {
    let Ok(output) = Command::new("nft").args(["list", "table", "ip", table]).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside |= line.contains("elements = {");
        if inside {
            found.push(line.trim().to_owned());
        }
        inside &= !line.contains('}');
    }
    found
}

fn directories(data: &Path) -> Vec<String> {
    let roots = ["containers", "overlay/containers", "snapshots"];
    let found = roots.iter().flat_map(|root| {
        let inner = fs::read_dir(data.join(root)).into_iter().flatten().flatten();
        inner.map(|e| e.path().display().to_string()).collect::<Vec<_>>()
    });
    found.collect()
}
