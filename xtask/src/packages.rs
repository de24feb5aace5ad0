//! Debian packages that a new machine lacks, installed by name.

use std::process::{Command, Stdio};

use crate::command;

/// What the build needs.
pub(crate) const BUILD: &[&str] = &["gcc", "libc6-dev", "make", "musl-dev"];

/// What the demo needs besides: nothing but the two programs.
pub(crate) const DEMO: &[&str] = BUILD;

/// What the tests need besides: a root file system, real peers and clients, a guest's kernel.
pub(crate) const TEST: &[&str] = &[
    "apache2-utils",
    "bsdutils",
    "buildah",
    "busybox-static",
    "catatonit",
    "containerd",
    "cpio",
    "crun",
    "curl",
    "debootstrap",
    "docker-registry",
    "docker.io",
    "e2fsprogs",
    "fuse-overlayfs",
    "iproute2",
    "libseccomp-dev",
    "linux-image-cloud-amd64",
    "nftables",
    "podman",
    "procps",
    "python3-venv",
    "qemu-system-x86",
    "runc",
    "skopeo",
    "slirp4netns",
    "strace",
    "uidmap",
    "util-linux",
    "zstd",
];

/// Installs those of `names` that are missing. Does nothing, and needs no root, when none is.
pub(crate) fn install(names: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !command::is_root() {
        return Err(format!(
            "these Debian packages are missing and only root can install them: {}",
            missing.join(" ")
        ));
    }
    println!("installing {}", missing.join(" "));
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(words);
        // Services of the peers are not wanted: tests start what they need, privately.
        apt.env("RUNLEVEL", "1").stdout(Stdio::null());
        command::run(&mut apt)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())
}

fn is_installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", name]).stderr(Stdio::null());
    query.output().is_ok_and(|found| found.stdout == b"installed")
}
