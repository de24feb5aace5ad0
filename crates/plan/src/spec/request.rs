//! A request with everything looked up: names are numbers, volumes are paths, other containers are their processes.

use std::collections::BTreeMap;

use oci::runtime::{
    LinuxDevice, LinuxDeviceCgroup, LinuxIdMapping, LinuxResources, LinuxSeccomp, Mount, PosixRlimit,
};

use super::user::User;

/// What [`spec`](super::spec) makes a document of.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The container's host name; empty when it shares the host's UTS namespace.
    pub hostname: String,
    /// Its NIS domain name.
    pub domainname: String,
    /// The program and its surroundings.
    pub program: Program,
    /// Whom it shares namespaces with.
    pub namespaces: Namespaces,
    /// Its file systems beside the root.
    pub filesystems: Filesystems,
    /// Its devices.
    pub devices: Devices,
    /// What confines it.
    pub confinement: Confinement,
    /// Its limits, without device rules.
    pub resources: LinuxResources,
    /// Kernel parameters, checked.
    pub sysctl: BTreeMap<String, String>,
    /// Absolute path of its cgroup from the hierarchies' roots.
    pub cgroup: String,
    /// The request's own annotations; never an image's labels (CVE-2026-53488).
    pub annotations: BTreeMap<String, String>,
}

/// The program and its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// Working directory; empty is `/`.
    pub cwd: String,
    /// Who runs it.
    pub user: Option<User>,
    /// With a terminal.
    pub terminal: bool,
    /// Resource limits.
    pub rlimits: Vec<PosixRlimit>,
    /// Value of `oom_score_adj`, if asked for.
    pub oom_score_adj: Option<i32>,
    /// Path on the host of a small init that is to be pid 1.
    pub init: Option<String>,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Space {
    /// Its own.
    #[default]
    New,
    /// The host's.
    Host,
    /// The one behind this path (`fd:net`, `/proc/1/ns/net`).
    Join(String),
}

/// Whom the container shares namespaces with.
#[derive(Debug, Clone, Default)]
pub struct Namespaces {
    /// Network.
    pub network: Space,
    /// IPC.
    pub ipc: Space,
    /// Process ids.
    pub pid: Space,
    /// Host name.
    pub uts: Space,
    /// Cgroup root.
    pub cgroup: Space,
    /// Clocks.
    pub time: Space,
    /// A user namespace with this map of users and groups.
    pub users: Option<LinuxIdMapping>,
}

/// File systems beside the root.
#[derive(Debug, Clone, Default)]
pub struct Filesystems {
    /// The root cannot be written.
    pub readonly: bool,
    /// Bytes of `/dev/shm`; `None`: there is none of its own.
    pub shm_bytes: Option<i64>,
    /// The host has message queues mounted, which a container in the host's IPC then sees.
    pub host_mqueue: bool,
    /// What the request mounts: binds, volumes, tmpfs.
    pub mounts: Vec<Mount>,
    /// Files that the engine keeps for the container: source and destination (`/etc/hosts`, …).
    pub files: Vec<(String, String)>,
}

/// Devices beyond the usual ones.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// Nodes to make.
    pub nodes: Vec<LinuxDevice>,
    /// Access to allow.
    pub rules: Vec<LinuxDeviceCgroup>,
}

/// What confines the container.
#[derive(Debug, Clone, Default)]
pub struct Confinement {
    /// Every device, writable system paths, nothing masked.
    pub privileged: bool,
    /// Capabilities, with their prefix `CAP_`.
    pub capabilities: Vec<String>,
    /// The system call filter.
    pub seccomp: Option<LinuxSeccomp>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Paths that read as empty.
    pub masked: Vec<String>,
    /// Paths that cannot be written.
    pub readonly: Vec<String>,
}
