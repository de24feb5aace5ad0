//! The bundle for OCI runtimes: the same container that the engines are asked for, as a document.

use std::path::{Path, PathBuf};

use oci::runtime::{
    Linux, LinuxCapabilities, LinuxCpu, LinuxMemory, LinuxNamespace, LinuxNamespaceType, LinuxPids,
    LinuxResources, Process, Root, Spec, User,
};
use plan::seccomp::{Arch, default_profile};
use plan::spec::defaults;

use super::image::{self, Image};

/// In what bundles differ.
pub(super) struct Shape {
    /// Where it is counted.
    pub(super) cgroup: String,
    /// The program of the image.
    pub(super) program: &'static str,
    /// With Docker's default filter.
    pub(super) filtered: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { cgroup: String::new(), program: "/true", filtered: true }
    }
}

/// Writes a bundle; answers its directory.
pub(super) fn write(directory: PathBuf, image: &Image, shape: &Shape) -> Result<PathBuf, String> {
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let document = serde_json::to_vec(&document(&image.root, shape)?).map_err(|error| error.to_string())?;
    image::write(&directory.join("config.json"), &document)?;
    Ok(directory)
}

fn document(root: &Path, shape: &Shape) -> Result<Spec, String> {
    let capabilities = image::capabilities()?;
    let namespace = |kind| LinuxNamespace { kind, ..LinuxNamespace::default() };
    let mut mounts = defaults::mounts(false);
    mounts.extend([defaults::mqueue(), defaults::shm(defaults::SHM_BYTES)]);
    Ok(Spec {
        oci_version: "1.0.2".to_owned(),
        hostname: "bench".to_owned(),
        root: Some(Root { path: root.to_string_lossy().into_owned(), readonly: false }),
        process: Some(Process {
            user: User::default(),
            args: vec![shape.program.to_owned()],
            env: vec!["PATH=/bin".to_owned()],
            cwd: "/".to_owned(),
            capabilities: Some(LinuxCapabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities.clone(),
                ..LinuxCapabilities::default()
            }),
            ..Process::default()
        }),
        mounts,
        linux: Some(Linux {
            namespaces: [
                LinuxNamespaceType::Pid,
                LinuxNamespaceType::Mount,
                LinuxNamespaceType::Network,
                LinuxNamespaceType::Uts,
                LinuxNamespaceType::Ipc,
                LinuxNamespaceType::Cgroup,
            ]
            .map(namespace)
            .to_vec(),
            cgroups_path: shape.cgroup.clone(),
            resources: Some(resources()),
            seccomp: shape.filtered.then(|| default_profile(&capabilities, (6, 1), Arch::native())),
            masked_paths: defaults::MASKED.map(str::to_owned).to_vec(),
            readonly_paths: defaults::READONLY.map(str::to_owned).to_vec(),
            ..Linux::default()
        }),
        ..Spec::default()
    })
}

/// As `--memory 64m --cpus 1 --pids-limit 100`.
fn resources() -> LinuxResources {
    LinuxResources {
        devices: defaults::device_rules(),
        memory: Some(LinuxMemory { limit: Some(64 << 20), swap: Some(128 << 20), ..LinuxMemory::default() }),
        cpu: Some(LinuxCpu { quota: Some(100_000), period: Some(100_000), ..LinuxCpu::default() }),
        pids: Some(LinuxPids { limit: Some(100) }),
        ..LinuxResources::default()
    }
}
