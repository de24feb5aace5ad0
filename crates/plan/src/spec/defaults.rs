//! What every container gets unless it asks otherwise: mounts, hidden paths, devices (Docker's lists).

use oci::runtime::{LinuxDeviceCgroup, Mount};

/// Size of `/dev/shm` in bytes when nothing is asked.
pub const SHM_BYTES: i64 = 64 << 20;

/// Paths that read as empty.
pub const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that cannot be written.
pub const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The mounts of every container, in order. `writable` is for privileged containers.
#[must_use]
pub fn mounts(writable: bool) -> Vec<Mount> {
    let access = if writable { "rw" } else { "ro" };
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", access]),
    ]
}

/// `/dev/mqueue` of an IPC namespace of its own.
#[must_use]
pub fn mqueue() -> Mount {
    mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"])
}

/// `/dev/shm` of this size.
#[must_use]
pub fn shm(bytes: i64) -> Mount {
    mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &format!("size={bytes}")])
}

/// Device access of an ordinary container: nothing, except making nodes and using the harmless ones.
#[must_use]
pub fn device_rules() -> Vec<LinuxDeviceCgroup> {
    let rule = |allow, kind: &str, major: Option<i64>, minor: Option<i64>, access: &str| LinuxDeviceCgroup {
        allow,
        kind: kind.to_owned(),
        major,
        minor,
        access: access.to_owned(),
    };
    let mut rules = vec![
        rule(false, "a", None, None, "rwm"),
        rule(true, "c", None, None, "m"),
        rule(true, "b", None, None, "m"),
    ];
    // null, zero, full, random, urandom, tty, console, ptmx, and every pts.
    let usable = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)].map(|(a, b)| (a, Some(b)));
    for (major, minor) in usable.into_iter().chain([(136, None)]) {
        rules.push(rule(true, "c", Some(major), minor, "rwm"));
    }
    rules
}

/// A mount, with its fields in the order of mount(2).
#[must_use]
pub fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|&o| o.to_owned()).collect(),
        ..Mount::default()
    }
}
