//! Devices of the host that a container gets.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use dockerapi::DeviceMapping;
use oci::runtime::{LinuxDevice, LinuxDeviceCgroup};
use plan::spec::request::Devices;

use crate::{Error, Result};

/// Directories of `/dev` that are mounts of their own in every container.
const OWN: [&str; 5] = ["pts", "shm", "mqueue", "fd", ".udev"];
/// A privileged container does not get more nodes than this.
const NODES_MAX: usize = 4096;

/// Adds one `--device`: a node, or every node in a directory.
pub(crate) fn add(mapping: &DeviceMapping, all: &mut Devices) -> Result<()> {
    let host = &mapping.path_on_host;
    let inside = if mapping.path_in_container.is_empty() { host } else { &mapping.path_in_container };
    let access = if mapping.cgroup_permissions.is_empty() { "rwm" } else { &mapping.cgroup_permissions };
    if !inside.starts_with('/') || !access.chars().all(|c| "rwm".contains(c)) {
        return Err(Error::invalid(format!("invalid device {host}:{inside}:{access}")));
    }
    let bad = |why: String| {
        Error::invalid(format!(
            "error gathering device information while adding custom device \"{host}\": {why}"
        ))
    };
    let path = std::fs::canonicalize(host).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => bad("no such file or directory".to_owned()),
        _ => bad(e.to_string()),
    })?;
    if path.is_dir() {
        let mut nodes = Vec::new();
        walk(&path, &path, inside, &mut nodes);
        if nodes.is_empty() {
            return Err(bad("not a device node".to_owned()));
        }
        for node in nodes {
            push(node, access, all);
        }
        return Ok(());
    }
    let node = node(&path, inside).ok_or_else(|| bad("not a device node".to_owned()))?;
    push(node, access, all);
    Ok(())
}

/// Every device node of the host, for a privileged container. Access rules are not needed: it may use all.
pub(crate) fn all_of_host() -> Devices {
    let mut nodes = Vec::new();
    walk(Path::new("/dev"), Path::new("/dev"), "/dev", &mut nodes);
    Devices { nodes, rules: Vec::new() }
}

/// Reads `c 1:3 rwm`.
pub(crate) fn rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let bad = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind @ ("a" | "b" | "c"), numbers, access] = parts[..] else { return Err(bad()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    let number = |n: &str| match n {
        "*" => Ok(None),
        n => n.parse::<u32>().map(|n| Some(i64::from(n))).map_err(|_| bad()),
    };
    if access.is_empty() || access.len() > 3 || !access.chars().all(|c| "rwm".contains(c)) {
        return Err(bad());
    }
    Ok(LinuxDeviceCgroup {
        allow: true,
        kind: kind.to_owned(),
        major: number(major)?,
        minor: number(minor)?,
        access: access.to_owned(),
    })
}

fn push(node: LinuxDevice, access: &str, all: &mut Devices) {
    all.rules.push(LinuxDeviceCgroup {
        allow: true,
        kind: node.kind.clone(),
        major: Some(node.major),
        minor: Some(node.minor),
        access: access.to_owned(),
    });
    all.nodes.retain(|n| n.path != node.path);
    all.nodes.push(node);
}

fn node(path: &Path, inside: &str) -> Option<LinuxDevice> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let kind = match metadata.file_type() {
        t if t.is_char_device() => "c",
        t if t.is_block_device() => "b",
        _ => return None,
    };
    let number = metadata.rdev();
    Some(LinuxDevice {
        path: inside.to_owned(),
        kind: kind.to_owned(),
        major: i64::from(rustix::fs::major(number)),
        minor: i64::from(rustix::fs::minor(number)),
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    })
}

/// Collects nodes below `directory`, named as if `root` were `inside`. Links are not followed.
fn walk(directory: &Path, root: &Path, inside: &str, nodes: &mut Vec<LinuxDevice>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let is_own = directory == Path::new("/dev") && (OWN.contains(&name) || name == "console");
        if is_own || name.is_empty() || nodes.len() >= NODES_MAX {
            continue;
        }
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            walk(&path, root, inside, nodes);
            continue;
        }
        let Some(rest) = path.strip_prefix(root).ok().and_then(|r| r.to_str()) else { continue };
        nodes.extend(node(&path, &format!("{}/{rest}", inside.trim_end_matches('/'))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        assert!(rule("c 1:3 rwm").is_ok_and(|r| r.major == Some(1) && r.access == "rwm"));
        assert!(rule("a *:* r").is_ok_and(|r| r.major.is_none()));
        for bad in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:-3 r", "c 1:3 x", "c 1:3 rwmr", "c  1:3 r"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nodes_of_the_host() {
        let mapping = |path: &str, access: &str| DeviceMapping {
            path_on_host: path.to_owned(),
            path_in_container: String::new(),
            cgroup_permissions: access.to_owned(),
        };
        let mut all = Devices::default();
        add(&mapping("/dev/null", "r"), &mut all).expect("null");
        assert_eq!((all.nodes[0].major, all.nodes[0].minor, all.rules[0].access.as_str()), (1, 3, "r"));
        for bad in [mapping("/etc/passwd", ""), mapping("/dev/none", ""), mapping("/dev/null", "x")] {
            assert!(add(&bad, &mut all).is_err());
        }
    }
}
