//! `spec`, `features`, `--version`.

use std::path::Path;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::output::{Complaint, say};
use super::records::write_whole;
use super::rootless;

pub(super) fn version() -> Result<i32, Complaint> {
    say(format_args!("berth-runtime version {}", env!("CARGO_PKG_VERSION")))?;
    say(format_args!("spec: {}", oci::runtime::VERSION)).map(|()| 0)
}

/// Writes a document to begin with.
pub(super) fn spec(rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["bundle", "b"])?;
    arguments.only(&["bundle", "b", "rootless"])?;
    let path = Path::new(arguments.value(&["bundle", "b"]).unwrap_or(".")).join("config.json");
    if path.exists() {
        return Err(Complaint::new(format!("{} exists; remove it first", path.display())));
    }
    let mut document = document();
    if arguments.has("rootless") {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        rootless::adapt(&mut document, uid.as_raw(), gid.as_raw());
    }
    let text = format!("{document:#}");
    write_whole(&path, text.as_bytes(), 0o666)
        .map_err(|e| Complaint::io(&format!("write {}", path.display()), &e))?;
    Ok(0)
}

pub(super) fn document() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": options});
    json!({
        "ociVersion": oci::runtime::VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "berth",
        "mounts": [
            mount("/proc", "proc", "proc", &[]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// What is supported (runtime-spec, features.md).
pub(super) fn features() -> Result<i32, Complaint> {
    let document = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": oci::runtime::VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": plan::container::MOUNT_OPTIONS.as_slice(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": plan::capability::names(u64::MAX),
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true},
            "seccomp": seccomp(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "memoryPolicy": {
                "modes": plan::container::MEMORY_MODES,
                "flags": plan::container::MEMORY_FLAGS.map(|(name, _)| name),
            },
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
    });
    say(format_args!("{document:#}")).map(|()| 0)
}

fn seccomp() -> Value {
    use plan::seccomp::{ACTIONS, FLAGS, OPERATORS};
    let supported = FLAGS.into_iter().filter(|(_, bit)| sys::seccomp::flag_available(*bit));
    json!({
        "enabled": true,
        "actions": ACTIONS,
        "operators": OPERATORS,
        "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
        "knownFlags": FLAGS.map(|(name, _)| name),
        "supportedFlags": supported.map(|(name, _)| name).collect::<Vec<_>>(),
    })
}
